"""Arguments that have a form of their own: dates and addresses, members of an enum, switches, numbers."""

from __future__ import annotations

import re

from kit.understudy.candidates import Candidate, around, bits, direction, named
from kit.understudy.clauses import MONEY
from kit.understudy.sentence import Sentence, Value
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import SYNONYMS, VERBS, stems
from kit.words import FUNCTION, stem, words

_UNDER = words("under below max maximum most than cheaper less within beneath upto up")
_OVER = words("over above min minimum least more from starting exceeding")
_NEGATIONS = words("not no without n't never non un off disable disabled deny")
_LEADING = words("number no id # the with of is to at for a .")
_PERCENT = stems("percent percentage rate interest discount tip brightness level volume")
_SWITCH = stems("on enabled active power state switch turn")
_NO_FLAG = stems("is has only with include show allow enabled be are can flag get")
_NO_SIGN = stems("true false return also include set user only")
_SWITCHES = {"on": True, "off": False, "enable": True, "disable": False, "true": True, "false": False,
             "yes": True, "no": False}  # fmt: skip
_OPPOSITES = {
    "done": stems("pending open undone unfinished incomplete outstanding"),
    "open": stems("closed"),
    "public": stems("private"),
    "private": stems("public"),
}


def formed(sentence: Sentence, slot: Slot) -> list[Candidate]:
    kinds = {
        "datetime": ("datetime", "date"),
        "date": ("date", "datetime"),
        "url": ("url",),
        "phone": ("phone", "code", "number"),
    }
    options = []
    for value in sentence.values:
        if value.kind not in kinds.get(slot.kind, (slot.kind,)):
            continue
        data, mask = value.value, bits(value.first, value.last)
        before, after = around(sentence, value.first, value.last)
        score = 1.0 + direction(slot, before) + 0.3 * _is_named(slot, before + after)
        if slot.kind == "phone":
            data = sentence.words(value.first, value.last)
            score += 0.0 if value.kind == "phone" else -0.7 + _is_named(slot, before)
        if slot.kind == "datetime" and value.kind == "date":
            time = next((v for v in sentence.values if v.kind == "time"), None)
            if time:
                data, mask = f"{data}T{time.value}:00"[:19], mask | bits(time.first, time.last)
        if slot.kind == "date" and value.kind == "datetime":
            data = str(data)[:10]
        if slot.kind == "time" and slot.schema.get("format") == "time" and str(data).count(":") == 1:
            data = f"{data}:00"
        options.append(Candidate(data, mask, score))
    return options


def _is_named(slot: Slot, words: list[str]) -> float:
    return max((1.0 for w in words if stem(w) in slot.stems), default=0.0)


def members(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    options = []
    for member in slot.enum:
        text = re.sub(r"([a-z])([A-Z])", r"\1 \2", str(member))
        words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", text.lower())
        for i in range(len(sentence.tokens)) if words else ():
            quality, width = _match(sentence, i, words)
            value, kind = sentence.taken.get(i), sentence.kind_at(i)
            if value and kind == "quote" and str(value.value).lower() == str(member).lower():
                quality = 2.3
            elif value and kind == "number" and isinstance(member, int | float) and value.value == member:
                quality = 1.6
            if not quality:
                continue
            before, after = around(sentence, i, i + width)
            score = quality - 0.6 + direction(slot, before[:2])
            score += 0.4 * min(1.0, named(slot, before[:2] + after[:1], reading))
            if slot.is_source and sentence.kind_at(i - 1) == "number":
                score += 1.0  # `80 kg`: the unit to convert from
            if before and before[0] in ("not", "no", "non", "without", "except"):
                score -= 1.5
            options.append(Candidate(member, bits(i, i + width), score))
    return options


def _match(sentence: Sentence, i: int, words: list[str]) -> tuple[float, int]:
    """How well the tokens from `i` on match the words of an enum's member, and how many they are."""
    token, size = sentence.tokens[i], len(words)
    tokens = sentence.tokens[i : i + size]
    hyphened = sentence.tokens[i : i + 2 * size - 1]
    if [t.low for t in tokens] == words:
        return 2.2, size
    if token.low.replace("-", "").replace("_", "") == "".join(words):
        return 2.2, 1
    if [t.low for t in hyphened[::2]] == words and all(t.text == "-" for t in hyphened[1::2]):
        return 2.2, 2 * size - 1
    if [t.stem for t in tokens] == [stem(w) for w in words]:
        return 1.7, size
    if size > 1:
        return 0.0, 1
    (word,) = words
    is_content = token.low not in FUNCTION
    if (
        is_content
        and len(word) > 3
        and token.low.startswith(word[:5])
        and abs(len(token.low) - len(word)) <= 4
    ):
        return 1.2, 1
    if (is_content or token.low in _UNDER | _OVER) and stem(word) in SYNONYMS.get(token.stem, ()):
        return 0.9, 1
    return 0.0, 1


def booleans(sentence: Sentence, slot: Slot) -> list[Candidate]:
    names = (slot.stems - _NO_FLAG) or slot.stems
    synonyms = names | {s for n in names for s in SYNONYMS.get(n, ()) if n != "do"}
    opposites = {s for word in slot.words for s in _OPPOSITES.get(word, ())}
    is_switch = bool(
        slot.stems & _SWITCH
        or stem("turn") in slot.described
        or "whether it is on" in slot.description.lower()
    )
    options = []
    for i, token in enumerate(sentence.tokens):
        if i in sentence.taken or not token.is_word:
            continue
        before, after = around(sentence, i, i + 1, back=3, ahead=2)
        negated = any(w in _NEGATIONS or w.endswith("n't") for w in before[:2]) or "free" in after[:1]
        is_content = token.low not in FUNCTION and token.stem not in VERBS
        if token.low in _SWITCHES and (is_switch or slot.stems & {stem(w) for w in before[:2]}):
            is_command = {stem(w) for w in before} & stems("turn switch set put")
            value, score = _SWITCHES[token.low], 1.5 if is_command else 1.2
        elif token.stem in names or (
            token.low.startswith("non") and stem(re.sub(r"^non-?", "", token.low)) in names
        ):
            value, score = not (negated or token.low.startswith("non")), 1.0
        elif token.stem in opposites:
            value, score = False, 0.8
        elif token.stem in synonyms and is_content:
            value, score = not negated, 0.5
        elif is_content and token.stem in slot.described - _NO_SIGN and len(token.stem) > 3:
            value, score = not negated, 0.15
        else:
            continue
        options.append(Candidate(value, bits(i, i + 1), score))
    return options


def numbers(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    options = []
    for value in sentence.values:
        number = value.value
        if value.kind == "code" and slot.is_index and re.fullmatch(r"[A-Za-z]+-?\d+", str(number)):
            continue
        if value.kind == "quote" and re.fullmatch(r"\d+(\.\d+)?", str(number)):
            number = float(number) if "." in str(number) else int(number)
        elif value.kind != "number":
            continue
        if slot.type == "integer":
            if number != int(number):
                continue
            number = int(number)
        low, high = slot.schema.get("minimum"), slot.schema.get("maximum")
        if (isinstance(low, int | float) and number < low) or (
            isinstance(high, int | float) and number > high
        ):
            continue
        before, after = around(sentence, value.first, value.last)
        if value.unit and value.unit[0].isalpha() and value.unit != "th":
            after = [value.unit, *after]
        score = _number_score(slot, value, before, after, reading)
        options.append(Candidate(number, bits(value.first, value.last), score))
    return options


def _number_score(
    slot: Slot, value: Value, before: list[str], after: list[str], reading: ToolReading
) -> float:
    score = 0.3
    marks = set(before[:3])
    # `3 days`, `event 41`, `price of 20`, `recipe number 87`
    close = [w for w in before if w not in _LEADING]
    unit = after[:1] if after and after[0] not in (",", "and", "or", "to") else []
    cued = max(
        named(slot, close[:2], reading), named(slot, unit, reading), named(slot, after[:2], reading) - 0.3
    )
    score += cued
    if slot.is_index:
        if set(before[:2]) & {"number", "no", "id", "#", "no."}:
            score += 1.2
        if before and stem(before[0]) in reading.nouns:
            score += 0.7
        if value.unit == "th":
            score += 0.6
        if (
            unit
            and stem(unit[0]) not in reading.nouns
            and unit[0] not in FUNCTION
            and unit[0].isalpha()
            and not cued
        ):
            score -= 0.6
    elif set(before[:1]) & {"#", "id"}:
        score -= 1.0
    if set(before[:1]) & {"last", "first", "latest", "top", "next", "recent", "past", "newest"}:
        score += -1.2 if slot.is_index else 0.9 if slot.is_count else 0.3
    is_price = value.unit in ("$", "€", "£", "¥") or bool({stem(w) for w in after[:1]} & MONEY)
    if slot.is_money:
        score += 1.2 if is_price else 0.2 if slot.stems & stems("amount value total spend") else -0.2
        score += 0.6 if marks & {"for", "costs", "cost", "paid", "spent", "price", "under", "below"} else 0.0
    elif is_price:
        score -= 0.6 if slot.stems & stems("value amount max min") else 1.2
    percent = value.unit == "%" or bool(after and after[0] in ("percent", "%", "pct"))
    if percent:
        score += (
            1.2
            if slot.stems & _PERCENT or "percent" in slot.description.lower() or "%" in slot.description
            else -0.8
        )
    if marks & _UNDER and not (marks & {"least"}):
        score += 1.2 if slot.is_maximum else -0.5 if slot.is_minimum else 0.0
    if (
        (marks & {"at", "least", "over", "above", "minimum", "min"} and (marks & _OVER))
        or (after[:2] and after[0] in ("or",) and "more" in after)
        or (len(after) > 2 and after[1:3] == ["or", "more"])
    ):
        score += 1.2 if slot.is_minimum else -0.7 if slot.is_maximum else 0.0
    if (slot.is_maximum or slot.is_minimum) and not marks & (_UNDER | _OVER) and not cued and not is_price:
        score -= 0.5
    if slot.is_count and unit and unit[0].isalpha() and unit[0] not in FUNCTION:
        score += 0.5
    if isinstance(value.value, int) and 1900 <= value.value <= 2099:
        score += 1.0 if slot.is_year else 0.0 if cued else -0.5
    elif slot.is_year and not cued:
        score -= 1.0
    return score + direction(slot, before[:2])
