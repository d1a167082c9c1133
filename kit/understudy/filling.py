"""Which of a sentence's words are the arguments of a tool: one search over the assignments of candidates to slots.

Every value comes from the sentence, and no word is two values: nothing is invented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kit.understudy.candidates import Candidate, Finder
from kit.understudy.features import none_features
from kit.understudy.slots import Slot, ToolReading

BEAM = 24
PER_SLOT = 8  # candidates tried for one slot
UNLIKELY = 2.0  # candidates that count less than none by more than this are not tried
DEEPEST = 2  # objects in objects: one that refers to itself has no end
PLAIN = 1.0  # an argument that counts so much more than what else it could be was said plainly


@dataclass
class Filling:
    """The arguments found for one tool. `score` is what they count, against no arguments at all."""

    chosen: dict[str, Candidate] = field(default_factory=dict)
    missing: list[Slot] = field(default_factory=list)
    score: float = 0.0
    mask: int = 0  # the tokens of the arguments
    guesses: dict[str, Any] = field(default_factory=dict)  # arguments that were not said plainly

    @property
    def arguments(self) -> dict[str, Any]:
        return {name: candidate.value for name, candidate in self.chosen.items()}


def fill(finder: Finder, reading: ToolReading) -> Filling:
    """The best arguments of the tool in the sentence."""
    return fillings(finder, reading, 1)[0]


def fillings(finder: Finder, reading: ToolReading, count: int) -> list[Filling]:
    """The best assignments of arguments, at most `count`, the best first."""
    options: list[tuple[Slot, list[tuple[float, Candidate]]]] = []
    for slot in reading.slots:
        found = _objects(finder, reading, slot) if slot.kind == "object" else finder.candidates(reading, slot)
        none = finder.weights.sum(none_features(slot, len(found)))
        options.append((slot, [(c.score - none, c) for c in found[:PER_SLOT]]))
    # the surest first: what follows finds its words taken
    options.sort(key=lambda option: -max((gain for gain, _ in option[1]), default=-99.0))
    beam: list[_State] = [(0.0, 0, ())]
    for slot, candidates in options:
        grown = list(beam)
        for score, mask, chosen in beam:
            grown += [
                (score + gain, mask | candidate.mask, (*chosen, (slot.name, candidate)))
                for gain, candidate in candidates
                if gain > -UNLIKELY and candidate.mask & mask == 0
            ]
        grown.sort(key=lambda state: -state[0])
        beam = grown[:BEAM]
    values = {slot.name: candidates for slot, candidates in options}
    return [_filling(reading, values, *state) for state in beam[:count]]


_State = tuple[float, int, tuple[tuple[str, Candidate], ...]]


def _objects(finder: Finder, reading: ToolReading, slot: Slot) -> list[Candidate]:
    """An object as one candidate: its own arguments are found as those of a tool are."""
    if not slot.schema.get("properties") or reading.level == DEEPEST:
        return []
    parameters = {**slot.schema, "$defs": slot.definitions}
    nested = ToolReading(
        {"name": slot.name, "description": slot.description, "parameters": parameters}, reading.level + 1
    )
    filling = fill(finder, nested)
    if not filling.chosen or filling.missing:
        return []
    found = Candidate(filling.arguments, 0, 0, [], filling.score)
    found.mask = filling.mask
    return [found]


def _filling(
    reading: ToolReading,
    values: dict[str, list[tuple[float, Candidate]]],
    score: float,
    mask: int,
    chosen: tuple[tuple[str, Candidate], ...],
) -> Filling:
    found = dict(chosen)
    return Filling(
        chosen={slot.name: found[slot.name] for slot in reading.slots if slot.name in found},
        missing=[s for s in reading.slots if s.required and s.name not in found and not s.has_default],
        score=score,
        mask=mask,
        guesses={n: c.value for n, c in found.items() if _margin(values[n], c) < PLAIN},
    )


def _margin(options: list[tuple[float, Candidate]], chosen: Candidate) -> float:
    """How much more a value counts than the next one that it could have been."""
    gain = next(gain for gain, candidate in options if candidate is chosen)
    others = (other for other, candidate in options if candidate.mask & chosen.mask == 0)
    return gain - max(others, default=0.0)
