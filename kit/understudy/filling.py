"""Which of a sentence's words are the arguments of a tool.

Every slot gets candidates: values of its form, members of its enum, runs of words with the word
before them (`for`, `in`, `called`, `'s`). The filling chosen is the one that leaves the least of the
sentence unexplained. Every value comes from the sentence: nothing is made up.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from kit.understudy.candidates import Candidate
from kit.understudy.list_candidates import lists
from kit.understudy.sentence import Sentence, Value
from kit.understudy.slots import Slot, ToolReading, shape
from kit.understudy.text_candidates import texts
from kit.understudy.typed_candidates import booleans, formed, members, numbers
from kit.understudy.words import VERBS
from kit.words import FUNCTION

BEAM = 24
PER_SLOT = 8  # candidates kept for one slot
MISSING = 1.3  # what a required argument that cannot be found costs
UNEXPLAINED = 0.4  # what a word costs that neither the tool nor an argument explains
UNUSED = 0.9  # the same for a value: a number or a date is not said without reason


@dataclass
class Filling:
    """The arguments found for one tool. `score` says how well they and the sentence fit each other."""

    arguments: dict[str, Any] = field(default_factory=dict)
    missing: list[Slot] = field(default_factory=list)
    score: float = 0.0
    mask: int = 0
    masks: dict[str, int] = field(default_factory=dict)  # the tokens of each argument
    best: float = 0.0  # the score of the surest argument
    strong: float = 0.0  # arguments found by a clear sign, not merely as what was left over
    left_over: float = 0.0  # what nothing explains
    shaped: int = 0  # arguments that look like the examples of the description


def fill(sentence: Sentence, reading: ToolReading) -> Filling:
    """The best arguments of the tool in the sentence."""
    found = {slot.name: candidates(sentence, reading, slot) for slot in reading.slots}
    order = sorted(reading.slots, key=lambda s: (not s.required, len(found[s.name])))
    beam: list[tuple[float, int, dict[str, Candidate]]] = [(0.0, 0, {})]
    for slot in order:
        grown = []
        for score, mask, chosen in beam:
            grown.append((score - (MISSING if slot.required else 0.0), mask, chosen))
            grown += [
                (score + candidate.score, mask | candidate.mask, {**chosen, slot.name: candidate})
                for candidate in found[slot.name]
                if candidate.mask & mask == 0
            ]
        grown.sort(key=lambda state: -state[0] - 0.25 * state[1].bit_count())
        beam = grown[:BEAM]
    score, mask, chosen = max(
        beam, key=lambda s: s[0] - _left_over(sentence, reading, s[1]) + _in_order(reading, s[2])
    )
    return Filling(
        arguments={slot.name: chosen[slot.name].value for slot in reading.slots if slot.name in chosen},
        best=max((candidate.score for candidate in chosen.values()), default=0.0),
        left_over=_left_over(sentence, reading, mask),
        missing=[slot for slot in reading.slots if slot.required and slot.name not in chosen],
        score=score - _left_over(sentence, reading, mask),
        mask=mask,
        masks={name: candidate.mask for name, candidate in chosen.items()},
        strong=sum(
            0.45 if slot.kind in ("person", "place", "name", "text", "query") else 0.6
            for slot in reading.slots
            if slot.name in chosen and chosen[slot.name].score >= 0.9
        ),
        shaped=sum(
            shape(str(chosen[s.name].value)) in s.shapes
            and re.search(r"[A-Z0-9]", str(chosen[s.name].value)) is not None
            for s in reading.slots
            if s.kind == "id" and s.name in chosen
        ),
    )


def _left_over(sentence: Sentence, reading: ToolReading, mask: int) -> float:
    cost = 0.0
    for i, token in enumerate(sentence.tokens):
        if mask >> i & 1:
            continue
        value = sentence.taken.get(i)
        if value is not None:
            if value.first == i and not (value.kind == "number" and value.unit == "th" and value.value == 1):
                cost += UNUSED * (0.25 if _goes_with_used(sentence, value, mask) else 1.0)
        elif token.is_word and token.low not in FUNCTION and not _explained(token.stem, reading):
            cost += UNEXPLAINED * (0.4 if token.stem in VERBS else 1.0)
    return cost


def _goes_with_used(sentence: Sentence, value: Value, mask: int) -> bool:
    """Whether `and` or a comma ties a value to a used one of its kind: the call is made again for it."""
    before = [i for i in range(value.first) if sentence.tokens[i].is_word or i in sentence.taken]
    while before and sentence.tokens[before[-1]].low in ("and", "or"):
        before.pop()
    other = sentence.taken.get(before[-1]) if before else None
    return other is not None and other.kind == value.kind and bool(mask >> other.first & 1)


def _explained(word: str, reading: ToolReading) -> bool:
    return word in reading.lexicon or word in reading.related


def _in_order(reading: ToolReading, chosen: dict[str, Candidate]) -> float:
    """Arguments are mostly said in the order in which a tool declares them."""
    starts = [
        chosen[slot.name].mask & -chosen[slot.name].mask for slot in reading.slots if slot.name in chosen
    ]
    return sum(0.08 for a, b in itertools.pairwise(starts) if a < b)


# -- candidates -----------------------------------------------------------------


def candidates(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    if slot.kind == "enum":
        found = members(sentence, reading, slot)
    elif slot.kind == "boolean":
        found = booleans(sentence, slot)
    elif slot.kind == "number":
        found = numbers(sentence, reading, slot)
    elif slot.kind == "array":
        found = lists(sentence, reading, slot, candidates)
    elif slot.kind == "object":
        found = _object(sentence, reading, slot)
    elif slot.kind in ("date", "time", "datetime", "email", "url", "uuid", "phone"):
        found = formed(sentence, slot)
    else:
        found = texts(sentence, reading, slot)
    if not slot.required:
        # An optional argument is given only where the sentence clearly says it.
        found = [Candidate(c.value, c.mask, c.score - (0.1 if c.score > 0.7 else 0.4)) for c in found]
    found.sort(key=lambda c: (-c.score, c.mask))
    return found[:PER_SLOT]


def _object(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    inner = slot.schema.get("properties")
    if not inner:
        return []
    nested = ToolReading(
        {"name": reading.name, "description": reading.description, "parameters": slot.schema}
    )
    filling = fill(sentence, nested)
    if filling.missing or not filling.arguments:
        return []
    return [Candidate(filling.arguments, filling.mask, 0.5 + 0.5 * len(filling.arguments))]
