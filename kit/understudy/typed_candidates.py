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
_PERCENT = stems("percent percentage rate interest discount tip brightness level volume")
_SWITCH = stems("on enabled active power state switch turn")
_NO_FLAG = stems("is has only with include show allow enabled be are can flag get")


def formed(sentence: Sentence, slot: Slot) -> list[Candidate]:
    kinds = {
        "datetime": ("datetime", "date"),
        "date": ("date", "datetime"),
        "url": ("url",),
        "phone": ("phone", "code", "number"),
    }
    found = []
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
        found.append(Candidate(data, mask, score))
    return found


def _is_named(slot: Slot, words: list[str]) -> float:
    return max((1.0 for w in words if stem(w) in slot.stems), default=0.0)


def members(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    found = []
    stems = [t.stem for t in sentence.tokens]
    for member in slot.enum:
        words = [
            w.lower()
            for w in re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?", re.sub(r"([a-z])([A-Z])", r"\1 \2", str(member)))
        ]
        if not words:
            continue
        size = len(words)
        for i in range(len(stems)):
            quality = 0.0
            width = 1
            token = sentence.tokens[i]
            if [t.low for t in sentence.tokens[i : i + size]] == words:
                quality, width = 2.2, size
            elif token.low.replace("-", "").replace("_", "") == "".join(words):
                quality = 2.2
            elif (
                [t.low for t in sentence.tokens[i : i + 2 * size - 1 : 2]] == words
                and size > 1
                and all(t.text == "-" for t in sentence.tokens[i + 1 : i + 2 * size - 1 : 2])
            ):
                quality, width = 2.2, 2 * size - 1
            elif stems[i : i + size] == [stem(w) for w in words]:
                quality, width = 1.7, size
            elif (
                size == 1
                and len(words[0]) > 3
                and token.low not in FUNCTION
                and (token.low.startswith(words[0][:5]) and abs(len(token.low) - len(words[0])) <= 4)
            ):
                quality = 1.2
            elif (
                size == 1
                and (token.low not in FUNCTION or token.low in _UNDER | _OVER)
                and stem(words[0]) in SYNONYMS.get(token.stem, ())
            ):
                quality = 0.9
            value = sentence.taken.get(i)
            if (
                value is not None
                and value.kind == "quote"
                and str(value.value).lower() == str(member).lower()
            ):
                quality = 2.3
            elif (
                value is not None
                and value.kind == "number"
                and isinstance(member, int | float)
                and value.value == member
            ):
                quality = 1.6
            if not quality:
                continue
            before, after = around(sentence, i, i + width)
            score = (
                quality
                - 0.6
                + direction(slot, before[:2])
                + 0.4 * min(1.0, named(slot, before[:2] + after[:1], reading))
            )
            if slot.is_source and i - 1 in sentence.taken and sentence.taken[i - 1].kind == "number":
                score += 1.0  # `80 kg`: the unit that was given
            if any(w in ("not", "no", "non", "without", "except") for w in before[:1]):
                score -= 1.5
            found.append(Candidate(member, bits(i, i + width), score))
    return found


def booleans(sentence: Sentence, slot: Slot) -> list[Candidate]:
    names = (slot.stems - _NO_FLAG) or slot.stems
    opposites = {
        "done": ("pending", "open", "undone", "unfinished", "incomplete", "outstanding"),
        "open": ("closed",),
        "public": ("private",),
        "private": ("public",),
    }
    lists = {
        True: names | {s for n in names for s in SYNONYMS.get(n, ()) if n not in ("do",)},
        False: {stem(w) for n in slot.words for w in opposites.get(n, ())},
    }
    switches = {
        "on": True,
        "off": False,
        "enable": True,
        "disable": False,
        "true": True,
        "false": False,
        "yes": True,
        "no": False,
    }
    is_switch = bool(
        slot.stems & _SWITCH
        or stem("turn") in slot.described
        or "whether it is on" in slot.description.lower()
    )
    found = []
    for i, token in enumerate(sentence.tokens):
        if i in sentence.taken or not token.is_word:
            continue
        before, after = around(sentence, i, i + 1, back=3, ahead=2)
        negated = any(w in _NEGATIONS or w.endswith("n't") for w in before[:2]) or "free" in after[:1]
        if token.low in switches and (is_switch or slot.stems & {stem(w) for w in before[:2]}):
            told = {stem(w) for w in before} & stems("turn switch set put")
            found.append(Candidate(switches[token.low], bits(i, i + 1), 1.5 if told else 1.2))
        elif any(token.stem == n for n in names) or (
            re.sub(r"^non-?", "", token.low) != token.low and stem(re.sub(r"^non-?", "", token.low)) in names
        ):
            value = not (negated or token.low.startswith("non"))
            found.append(Candidate(value, bits(i, i + 1), 1.0))
        elif token.stem in lists[False]:
            found.append(Candidate(False, bits(i, i + 1), 0.8))
        elif token.stem in lists[True] and token.low not in FUNCTION and token.stem not in VERBS:
            found.append(Candidate(not negated, bits(i, i + 1), 0.5))
        elif (
            token.stem in slot.described
            and len(token.stem) > 3
            and token.stem not in VERBS
            and token.low not in FUNCTION
            and token.stem not in stems("true false return also include set user only")
        ):
            found.append(Candidate(not negated, bits(i, i + 1), 0.15))
    return found


def numbers(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    found = []
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
        found.append(
            Candidate(
                number,
                bits(value.first, value.last),
                _number_score(sentence, slot, value, before, after, reading),
            )
        )
    return found


def _number_score(
    sentence: Sentence, slot: Slot, value: Value, before: list[str], after: list[str], reading: ToolReading
) -> float:
    score = 0.3
    marks = set(before[:3])
    # `3 days`, `event 41`, `price of 20`, `recipe number 87`
    close = [
        w
        for w in before
        if w not in ("number", "no", "id", "#", "the", "with", "of", "is", "to", "at", "for", "a", ".")
    ]
    unit = after[:1] if after and after[0] not in (",", "and", "or", "to") else []
    cued = max(
        named(slot, [*close[:2]], reading), named(slot, unit, reading), named(slot, after[:2], reading) - 0.3
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
