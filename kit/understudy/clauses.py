"""Where a sentence says what to do, and the runs of words in between that may be values."""

from __future__ import annotations

from dataclasses import dataclass

from kit.understudy.candidates import STOPS
from kit.understudy.sentence import Sentence
from kit.understudy.slots import ToolReading
from kit.understudy.words import MODALS, QUESTION, VERBS, stems
from kit.words import DETERMINERS, FUNCTION, PREPOSITIONS, PRONOUNS, words

CUES = words("called named titled saying says = -")
AUXILIARIES = words(
    "am is are was were does do did has have had 's 'm 're be been can could will would should must may might"
)
COMPARATORS = words("cheaper max maximum min minimum under below above over exceeding")
PARTICLES = words("up out off down away back")
POLITE = words("hi hello hey thanks thank ok okay please alexa siri kindly go ahead now quickly")
MONEY = stems("dollar buck euro pound usd eur gbp cent yen chf franc")
_SUBJECTS = words("i we he she they")
_BREAKS = (
    PREPOSITIONS | CUES | COMPARATORS | AUXILIARIES | MODALS | (PRONOUNS - {"one"})
    | words("and or that please then because if when but so just also where who whose i you let lets let's i'd how "
            "many much what which why")
)  # fmt: skip
_WH = words("what which who whom whose when where why how")
_MARKERS = PREPOSITIONS | CUES | words(": that is does did do has , 'm because")


@dataclass(frozen=True)
class Run:
    """Words first..last that may be a value. `marker` is the word before them."""

    first: int
    last: int
    marker: str
    joins: int = 0
    is_text: bool = False  # it contains a value or a clause of its own, as only a text does


def is_break(sentence: Sentence, i: int, starts: set[int]) -> bool:
    token = sentence.tokens[i]
    if i in sentence.taken or " " in token.text:
        return True
    low = token.low
    if not token.is_word:
        return low not in ("&", "/", "-", "+", "'")
    before = sentence.tokens[i - 1].low if i else ""
    return (
        i in starts
        or low in _BREAKS
        or low.endswith("n't")
        or (low in QUESTION and before in ("", ",", ".", ";"))
        or (low in PARTICLES and i - 1 in starts)
        or (before in _SUBJECTS and low not in FUNCTION)  # `I hurt my knee`: a verb
        or (i - 1 in sentence.taken and token.stem in MONEY)  # `1200 dollars for ...`
    )


def commands(sentence: Sentence, reading: ToolReading | None = None) -> set[int]:
    """Where a clause begins with what to do: `add`, `could you show`, `I'd like to book`."""
    starts: set[int] = set()
    open_clause = True
    polite = FUNCTION - PREPOSITIONS | {"to", "like", "for"}
    for i, token in enumerate(sentence.tokens):
        if i in sentence.taken:
            open_clause = False
            continue
        if token.text in ".;!?," or token.low == "then":
            open_clause = True
            continue
        if not open_clause:
            if token.low == "and" and i + 1 < len(sentence.tokens):
                open_clause = sentence.tokens[i + 1].stem in VERBS
            continue
        own = reading is not None and (
            token.stem in reading.name_stems or token.stem in reading.described[:1]
        )
        if i and sentence.tokens[i - 1].low in DETERMINERS:  # `any notes`, `my order`: not a verb
            open_clause = False
            continue
        if i == 0 if token.low == "open" else token.stem in VERBS or own:
            starts.add(i)
            open_clause = False
        elif (token.low in _WH and i and sentence.tokens[i - 1].low not in (",", ".")) or (
            token.low not in polite and token.low not in POLITE
        ):
            open_clause = False
    return starts


def runs(sentence: Sentence, reading: ToolReading) -> list[Run]:
    """The runs of words between breaks, and up to five of them joined."""
    starts = commands(sentence, reading)
    inside = (i for i in range(len(sentence.tokens)) if not is_break(sentence, i, starts))
    simple: list[tuple[int, int]] = []
    for i in inside:
        if simple and simple[-1][1] == i:
            simple[-1] = (simple[-1][0], i + 1)
        else:
            simple.append((i, i + 1))
    runs = []
    for n, (first, last) in enumerate(simple):
        marker = marker_of(sentence, first, starts)
        runs.append(Run(first, last, marker))
        is_text = False
        end = last
        for joins, (start, next_end) in enumerate(simple[n + 1 : n + 6], 1):
            between = range(end, start)
            end = next_end
            if any(sentence.tokens[k].text in STOPS | {":"} or k in starts for k in between):
                break
            is_text = is_text or any(
                k in sentence.taken or sentence.tokens[k].low in ("that", "which", "who") for k in between
            )
            runs.append(Run(first, end, marker, joins, is_text))
    return runs


def marker_of(sentence: Sentence, first: int, starts: set[int]) -> str:
    i = first - 1
    while (
        i >= 0
        and sentence.tokens[i].low in DETERMINERS
        and i not in starts
        and sentence.tokens[i].low != "that"
    ):
        i -= 1
    if i > 0 and sentence.tokens[i].low in PARTICLES and i - 1 in starts:
        i -= 1
    if i < 0 or i in starts:
        return ""
    low = sentence.tokens[i].low
    if " " in sentence.tokens[i].text:
        low = sentence.tokens[i].text.lower().rsplit(" ", 1)[-1]  # an idiom: `how much does`
    if low in MODALS and low not in ("has", "have", "had"):
        return "must"
    if low == "to" and i and sentence.tokens[i - 1].low in MODALS:
        return "must"
    if low in ("was", "are", "'s", "'re", "were"):
        return "is"
    if low in ("regarding", "concerning"):
        return "about"
    return low if low in _MARKERS else ""
