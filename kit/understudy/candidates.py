"""A candidate for an argument, and what the words around it say about which argument it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kit.understudy.sentence import Sentence
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import OPERATION_VERBS, SYNONYMS, VERBS
from kit.words import FUNCTION, PREPOSITIONS, stem, words

STOPS = frozenset(".;!?")


@dataclass(frozen=True)
class Candidate:
    """A value for a slot, from the tokens in `mask`. A good one scores about 1, a doubtful one 0."""

    value: Any
    mask: int
    score: float


def bits(first: int, last: int) -> int:
    return ((1 << (last - first)) - 1) << first


def around(
    sentence: Sentence, first: int, last: int, back: int = 4, ahead: int = 3
) -> tuple[list[str], list[str]]:
    """The words before (nearest first) and after a span, up to the end of its sentence."""
    before, after = [], []
    for i in range(first - 1, max(-1, first - 1 - back), -1):
        if sentence.tokens[i].text in STOPS:
            break
        before.append(sentence.tokens[i].low)
    for i in range(last, min(len(sentence.tokens), last + ahead)):
        if sentence.tokens[i].text in STOPS:
            break
        after.append(sentence.tokens[i].low)
    return before, after


def named(slot: Slot, near: list[str], reading: ToolReading) -> float:
    """How clearly the words near a value name the slot; the nearest counts most."""
    best = 0.0
    for distance, word in enumerate(near):
        if word in (",", "and") and distance == 0:
            break
        s = stem(word)
        if s in slot.stems and word not in FUNCTION:
            best = max(best, 2.0 - 0.35 * distance)
        elif s in slot.described and s not in OPERATION_VERBS:
            best = max(best, 1.2 - 0.3 * distance)
        elif any(s in SYNONYMS.get(name, ()) for name in slot.stems) and s not in VERBS:
            best = max(best, 0.8 - 0.25 * distance)
    return best


_SOURCE = {"from": 1.2, "between": 1.2, "since": 1.2, "starting": 1.2, "after": 0.9, "leaving": 1.0}
_TARGET = {"to": 1.2, "until": 1.2, "till": 1.2, "into": 1.2, "in": 0.8, "through": 1.0, "and": 0.9, "before": 0.9,
           "-": 1.0, "many": 1.0}  # fmt: skip
_NOT_SOURCE = words("to until till into in and through before many")
_NOT_TARGET = words("from since between of")


def direction(slot: Slot, before: list[str]) -> float:
    """How well the word before a value fits a slot that is one of a pair (from and to, start and end)."""
    near = next((word for word in before if word in PREPOSITIONS or word in _TARGET), "")
    if slot.is_source:
        return _SOURCE.get(near, -1.0 if near in _NOT_SOURCE else 0.0)
    if slot.is_target:
        return _TARGET.get(near, -1.0 if near in _NOT_TARGET else 0.0)
    return 0.0
