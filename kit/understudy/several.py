"""Several requests in one text, and one request for several values."""

from __future__ import annotations

import re
from typing import Any

from kit.understudy.candidates import Candidate, Finder
from kit.understudy.choice import Choice
from kit.understudy.sentence import Sentence
from kit.understudy.weights import learned
from kit.understudy.words import QUESTION
from kit.words import words

_JOINING = words("and or , & the number a of in for to at with from on")
ALIKE = 4.0  # values of one list count about the same


def split(sentence: Sentence) -> list[str]:
    """The text cut where another request begins: a verb or a question after a full stop, `and`, `then` or a comma."""
    tokens = sentence.tokens
    starts = Finder(sentence, learned()[0]).context.commands
    cuts = [0]
    for i in range(1, len(tokens)):
        begin = next(
            (k for k in range(i, len(tokens)) if tokens[k].low not in ("and", "then", "also", "please")), i
        )
        if (
            tokens[i - 1].text in ".!?;"
            or tokens[i].low in ("and", "then")
            or tokens[i - 1].text == ","
            or "\n" in sentence.text[tokens[i - 1].end : tokens[i].start]
        ):
            is_question = tokens[begin].low in QUESTION and tokens[i - 1].text in ".!?;,"
            if (begin in starts or is_question or tokens[i - 1].text in ".!?;") and i - cuts[-1] > 1:
                cuts.append(i)
    parts = [sentence.words(a, b).strip(" ,") for a, b in zip(cuts, [*cuts[1:], len(tokens)], strict=True)]
    return [re.sub(r"^(?:(?:and|then|also)\s+)+", "", part, flags=re.IGNORECASE) for part in parts if part]


def repeated(sentence: Sentence, chosen: Choice, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """`todos 3 and 5`, `in Paris and London`: the same call for each of the values."""
    finder = Finder(sentence, learned()[0])
    for slot in chosen.tool.slots:
        first = chosen.filling.chosen.get(slot.name)
        if (
            first is None
            or slot.kind in ("boolean", "array", "object")
            or arguments[slot.name] != first.value
        ):
            continue
        quoted = sentence.taken.get(first.first)
        is_quote = quoted is not None and quoted.kind == "quote"
        if slot.kind in ("text", "query") and not is_quote:
            continue
        parts = (
            re.split(r",\s*(?:and\s+)?|\s+and\s+(?:(?:of|in|for|to|from)\s+)?", str(first.value))
            if slot.kind in ("person", "place")
            else []
        )
        if (
            len(parts) > 1
            and " and " in str(first.value)
            and len({part[:1].isupper() for part in parts}) == 1
        ):
            return [{**arguments, slot.name: part} for part in parts]
        found, used = [first], chosen.filling.mask
        for other in sorted(finder.candidates(chosen.tool, slot), key=lambda c: (-c.score, c.first)):
            if other.mask & used == 0 and any(_is_joined(sentence, one, other) for one in found):
                found.append(other)
                used |= other.mask
        if len(found) > 1:
            return [{**arguments, slot.name: each.value} for each in sorted(found, key=lambda c: c.first)]
    return [arguments]


def _is_joined(sentence: Sentence, one: Candidate, other: Candidate) -> bool:
    """Whether nothing but `and`, a comma and small words stands between two values of one kind."""
    kinds = {value.kind if (value := sentence.taken.get(c.first)) else "" for c in (one, other)}
    if len(kinds) > 1 or (kinds == {""} and abs(one.score - other.score) > ALIKE):
        return False
    first, second = sorted((one, other), key=lambda c: c.first)
    between = {token.low for token in sentence.tokens[first.last : second.first]}
    return bool(between) and between <= _JOINING and bool(between & {"and", "or", ",", "&"})
