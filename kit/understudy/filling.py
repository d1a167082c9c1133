"""Which of a sentence's words are the arguments of a tool.

Every slot gets candidates: values of its form, members of its enum, runs of words with the word
before them (`for`, `in`, `called`, `'s`). The chosen filling is the one that leaves the least of the
sentence unexplained. Every value comes from the sentence: nothing is invented.
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
MAX_LEVEL = 2  # objects in objects: one that refers to itself has no end
MISSING = 1.3  # the cost of a required argument that is not found
UNEXPLAINED = 0.4  # the cost of a word that neither the tool nor an argument explains
UNUSED = 0.9  # the same for a value: nobody mentions a number or a date without a reason


@dataclass
class Filling:
    """The arguments found for one tool. `score` says how well they fit the sentence."""

    arguments: dict[str, Any] = field(default_factory=dict)
    missing: list[Slot] = field(default_factory=list)
    score: float = 0.0
    mask: int = 0
    masks: dict[str, int] = field(default_factory=dict)  # the tokens of each argument
    best: float = 0.0  # the highest score of an argument
    strong: float = 0.0  # weight of the arguments with a clear sign, not just what was left over
    left_over: float = 0.0  # the cost of what nothing explains
    shaped: int = 0  # arguments that look like the examples in the description


def fill(sentence: Sentence, reading: ToolReading) -> Filling:
    """The best arguments of the tool in the sentence."""
    options = {slot.name: candidates(sentence, reading, slot) for slot in reading.slots}
    beam: list[tuple[float, int, dict[str, Candidate]]] = [(0.0, 0, {})]
    for slot in sorted(reading.slots, key=lambda s: (not s.required, len(options[s.name]))):
        grown = []
        for score, mask, chosen in beam:
            grown.append((score - (MISSING if slot.required else 0.0), mask, chosen))
            grown += [
                (score + candidate.score, mask | candidate.mask, {**chosen, slot.name: candidate})
                for candidate in options[slot.name]
                if candidate.mask & mask == 0
            ]
        grown.sort(key=lambda state: -state[0] - 0.25 * state[1].bit_count())
        beam = grown[:BEAM]
    score, mask, chosen = max(
        beam, key=lambda s: s[0] - _left_over(sentence, reading, s[1]) + _in_order(reading, s[2])
    )
    left_over = _left_over(sentence, reading, mask)
    filled = [(slot, chosen[slot.name]) for slot in reading.slots if slot.name in chosen]
    return Filling(
        arguments={slot.name: candidate.value for slot, candidate in filled},
        best=max((candidate.score for candidate in chosen.values()), default=0.0),
        left_over=left_over,
        missing=[slot for slot in reading.slots if slot.required and slot.name not in chosen],
        score=score - left_over,
        mask=mask,
        masks={name: candidate.mask for name, candidate in chosen.items()},
        strong=sum(
            0.45 if slot.kind in ("person", "place", "name", "text", "query") else 0.6
            for slot, candidate in filled
            if candidate.score >= 0.9
        ),
        shaped=sum(
            shape(str(candidate.value)) in slot.shapes
            and re.search(r"[A-Z0-9]", str(candidate.value)) is not None
            for slot, candidate in filled
            if slot.kind == "id"
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
        elif token.is_word and token.low not in FUNCTION and not reading.weight(token.stem):
            cost += UNEXPLAINED * (0.4 if token.stem in VERBS else 1.0)
    return cost


def _goes_with_used(sentence: Sentence, value: Value, mask: int) -> bool:
    """Whether `and` or a comma ties a value to a used one of its kind: it gets a call of its own."""
    i = value.first - 1
    while (
        i >= 0
        and i not in sentence.taken
        and (not sentence.tokens[i].is_word or sentence.tokens[i].low in ("and", "or"))
    ):
        i -= 1
    other = sentence.taken.get(i)
    return other is not None and other.kind == value.kind and bool(mask >> other.first & 1)


def _in_order(reading: ToolReading, chosen: dict[str, Candidate]) -> float:
    """Arguments mostly come in the order in which a tool declares them."""
    starts = [
        chosen[slot.name].mask & -chosen[slot.name].mask for slot in reading.slots if slot.name in chosen
    ]
    return sum(0.08 for a, b in itertools.pairwise(starts) if a < b)


# -- candidates -----------------------------------------------------------------


def candidates(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    """The best candidates for a slot, the best first."""
    if slot.kind == "enum":
        options = members(sentence, reading, slot)
    elif slot.kind == "boolean":
        options = booleans(sentence, slot)
    elif slot.kind == "number":
        options = numbers(sentence, reading, slot)
    elif slot.kind == "array":
        options = lists(sentence, reading, slot, candidates)
    elif slot.kind == "object":
        options = _object(sentence, reading, slot)
    elif slot.kind in ("date", "time", "datetime", "email", "url", "uuid", "phone"):
        options = formed(sentence, slot)
    else:
        options = texts(sentence, reading, slot)
    if not slot.required:
        # An optional argument is passed only if the sentence clearly says it.
        options = [Candidate(c.value, c.mask, c.score - (0.1 if c.score > 0.7 else 0.4)) for c in options]
    options.sort(key=lambda c: (-c.score, c.mask))
    return options[:PER_SLOT]


def _object(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    if not slot.schema.get("properties") or reading.level == MAX_LEVEL:
        return []
    parameters = {**slot.schema, "$defs": slot.definitions}
    tool = {"name": reading.name, "description": reading.description, "parameters": parameters}
    nested = ToolReading(tool, reading.level + 1)
    filling = fill(sentence, nested)
    if filling.missing or not filling.arguments:
        return []
    return [Candidate(filling.arguments, filling.mask, 0.5 + 0.5 * len(filling.arguments))]
