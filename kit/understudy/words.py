"""Words: how an identifier is split into them, and what little English the understudy knows.

No model file: the verbs of everyday requests in four classes, and groups of words that people use for
the same thing. Nothing here names a plugin.
"""

from __future__ import annotations

import re

from kit.words import stem, words

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


_COMPOUND = re.compile(
    r"([a-z]{3,})(name|code|number|zone)|(start|end|due|birth|from|to|check)(date|time|day|in|out)"
)


def identifier_words(name: str) -> list[str]:
    """`getTodos_byUsername` as get, todos, by, user, name."""
    parts: list[str] = []
    for word in _SPLIT.findall(name):
        compound = _COMPOUND.fullmatch(word.lower())
        parts += [group for group in compound.groups() if group] if compound else [word.lower()]
    return parts


def stems(text: str) -> frozenset[str]:
    """The stems of the words of a text, to compare with the stems of a sentence."""
    return frozenset(stem(word) for word in text.split())


MODALS = words("must should shall has have had needs need ought got gotta wants want")
QUESTION = words(
    "what which who whom whose when where why how is are was were do does did any can could has have will"
)
TRAILING = words(
    "please thanks thank you now right today asap soon too also again me us for all well there then anymore "
    "anyway okay ok currently left exactly one more once at moment still already typically usually really "
    "actually ever"
)
SMALL_TALK = words(
    "hi hello hey thanks thank thx ty bye goodbye cheers morning evening afternoon night good great nice cool "
    "awesome lol haha hahaha ok okay perfect wonderful brilliant super wow sorry welcome"
)

# Several words that mean the same as one verb or noun.
IDIOMS = {
    "keep in mind": "remember", "get rid of": "delete", "take off": "delete", "cross off": "delete", "cross out": "delete",
    "throw away": "delete", "throw out": "delete", "call off": "cancel", "put off": "postpone", "push back": "postpone",
    "look up": "find", "set up": "create", "sign up": "register", "find out": "find", "bring back": "return",
    "give back": "return", "write down": "note", "jot down": "note", "put down": "note", "make a note": "note",
    "let me know": "notify", "have to do": "todo", "to-dos": "todos", "to do list": "todo list", "to-do list": "todo list", "how much is": "price",
    "how much does": "price", "how expensive": "price",
}  # fmt: skip

# The verbs of everyday requests.
_CLASSES = {
    "create": "add create insert put note record log save store write register submit post make open start new remind "
              "append upload import jot enter enroll place set give book schedule reserve subscribe send build generate remember plan "
              "pay spend buy eat drink sleep run walk swim weigh",
    "read": "get list show display view see read find search look fetch retrieve check tell browse lookup query return "
            "describe explain count summarize recall watch pull open see know compare calculate estimate convert "
            "suggest recommend",
    "update": "update change edit modify rename move reschedule mark complete set adjust replace correct fix switch "
              "turn assign raise tick lower increase decrease extend postpone shift rate tag finish close toggle",
    "delete": "delete remove drop cancel erase clear discard rid destroy unsubscribe forget end stop unregister undo scratch "
              "cross strike take empty",
}  # fmt: skip
VERBS: dict[str, frozenset[str]] = {}
for _class, _text in _CLASSES.items():
    for _word in _text.split():
        VERBS[stem(_word)] = VERBS.get(stem(_word), frozenset()) | {_class}
# First words of a name or a description that say what an operation does.
_OPERATIONS = {
    "create": "add create insert new post register save store record log submit place book make schedule append "
              "remember reserve send write report sign enroll join invite start issue",
    "read": "get list show find search read fetch view look retrieve query check recall describe calculate count "
            "estimate lookup browse return convert",
    "update": "update change edit modify rename move reschedule mark complete set put patch assign adjust tag rate finish",
    "delete": "delete remove cancel drop clear erase forget withdraw unregister unsubscribe void revoke reset empty purge",
}  # fmt: skip
OPERATION_VERBS = {stem(word): kind for kind, text in _OPERATIONS.items() for word in text.split()}

_GROUPS = """
todo task chore reminder remind to-do item duty
list overview all everything
event meeting appointment calendar agenda
schedule timetable calendar agenda plan
weather forecast rain hot cold sunny umbrella snow wind windy temperature warm cloudy sunshine humid degree freezing outside
alert warning storm flood hurricane danger dangerous tornado severe heatwave notify
free slot available availability room gap open vacant
invite guest attendee participant join
buy order purchase checkout
buy purchase sale sell
product item article goods thing stuff
price cost expensive cheap rate fee pay charge much worth trading
salary earn wage income pay
job position opening vacancy role career employment
home house apartment flat property listing condo place rental
tour viewing visit see
mortgage loan borrow
recipe dish cook meal food make bake prepare ingredient fridge
movie film cinema show
book novel title read
author writer written
song track music tune play listen
playlist mix
flight fly plane airline
hotel stay accommodation
ticket issue bug problem incident case
report damage broken defect flat fault
restaurant table reservation dinner lunch eat
bus train tram transit departure leave depart
station stop dock
bike bicycle cycle
car vehicle automobile
currency money dollar euro exchange
convert conversion change express equal
unit measure measurement gram kilogram ounce pound mile kilometer kilometre meter metre foot feet inch yard centimeter centimetre liter litre gallon acre ton cup hectare
length mile kilometer meter foot feet inch yard centimeter
weight gram kilogram ounce pound ton
above over more exceed
below under less
note memo jot
remember memory memorize mind
recall remind
forget delete
link url bookmark website page
contact person people
phone telephone call number mobile
email mail e-mail
company firm employer business work
tag label
vote ballot choice choose pick
poll survey
result outcome winner win
close end finish shut
stock inventory supply quantity
share stock ticker quote
symbol ticker
expense spend spent spending cost
budget limit
workout exercise train training gym fitness run session
habit routine streak
water drink watering
plant flower
wine bottle vintage
review rating rate star opinion feedback
quiz question trivia
answer reply respond
room space
light lamp bulb
thermostat heating temperature warm
door lock unlock
device appliance gadget
reading meter consumption usage
translate translation language
word vocabulary term
definition define meaning mean
pet dog cat animal puppy kitten
customer client buyer
user account member
message text sms
photo picture image
document file
date day
cancel drop delete remove call-off
complete finish done check accomplish
open active current unresolved pending
borrow lend loan checkout
return bring
rent hire
upcoming next soon
history past previous
random surprise inspiration
summary total sum overview overall
roll throw dice die
flip toss coin
delivery shipping ship deliver
address location place
near nearby close around
parking park garage
class lesson course
score point
goal target
nonstop direct
high low level reading measure
sleep slept asleep rest
food eat meal
deadline due
priority urgent important urgency
status state progress
description detail information info more about
"""
SYNONYMS: dict[str, set[str]] = {}
for _line in _GROUPS.strip().splitlines():
    _stems = {stem(w) for w in _line.split()}
    for _stem in _stems:
        SYNONYMS.setdefault(_stem, set()).update(_stems - {_stem})

NUMBERS = {word: n for n, word in enumerate(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
)} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
      "dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000}  # fmt: skip
ORDINALS = {word: n for n, word in enumerate(
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"], 1
)}  # fmt: skip
MONTHS = {name: n for n, names in enumerate(
    ["january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug", "september sep sept", "october oct", "november nov", "december dec"], 1
) for name in names.split()}  # fmt: skip
