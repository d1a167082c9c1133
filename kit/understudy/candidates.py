"""The values in a sentence that an argument may have, each with its features.

Values of a form (numbers, dates, addresses) are there already; members of an enum, switches and lists are looked for; everything else is any run of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from kit.understudy import features
from kit.understudy.context import Context, is_negated
from kit.understudy.runs import Runs
from kit.understudy.sentence import Sentence, Value
from kit.understudy.slots import TEXTS, Slot, ToolReading, shape
from kit.understudy.weights import Weights
from kit.understudy.words import VERBS
from kit.words import FUNCTION, stem

_ACCEPTED = {
    "datetime": ("datetime", "date"),
    "date": ("date", "datetime"),
    "phone": ("phone", "code", "number"),
}
_YES = {
    **dict.fromkeys(("true", "yes", "on", "enabled", "enable"), True),
    **dict.fromkeys(("false", "no", "off", "disabled", "disable"), False),
}


@dataclass
class Candidate:
    """A value for a slot, from the tokens first..last (exclusive), and how much speaks for it."""

    value: Any
    first: int
    last: int
    features: list[str]
    score: float = 0.0

    @cached_property
    def mask(self) -> int:
        return ((1 << (self.last - self.first)) - 1) << self.first


@dataclass
class Finder:
    """Looks for candidates in one sentence; what several slots and tools share is found once."""

    sentence: Sentence
    weights: Weights
    exhaustive: bool = False  # every run of words, not the best alone: to learn from

    def __post_init__(self) -> None:
        self.context = Context(self.sentence)
        self.runs = Runs(self.context, self.weights, self.exhaustive)

    def candidates(self, reading: ToolReading, slot: Slot) -> list[Candidate]:
        """All that the slot may be, the likeliest first."""
        find: Callable[[ToolReading, Slot], Iterable[Candidate]] = {
            "enum": self._members,
            "boolean": self._switches,
            "number": self._numbers,
            "array": self._lists,
        }.get(slot.kind, self._texts if slot.kind in TEXTS else self._formed)
        found = list(find(reading, slot))
        for candidate in found:
            candidate.score += self.weights.sum(candidate.features)
        found.sort(key=lambda c: (-c.score, c.first, c.last))
        return found

    # -- values of a form ---------------------------------------------------------

    def _values(self, *kinds: str) -> list[Value]:
        return [value for value in self.sentence.values if value.kind in kinds]

    def _formed(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        values = self._values(*_ACCEPTED.get(slot.kind, (slot.kind,)))
        for n, value in enumerate(values):
            data, first, last = value.value, value.first, value.last
            if slot.kind == "phone":
                data = self.sentence.words(value.first, value.last)
            elif slot.kind == "datetime" and value.kind == "date":
                data, first, last = self._with_time(value)
            elif slot.kind == "date":
                data = _in_form(str(data)[:10], slot.date_form)
            elif slot.kind == "time" and slot.schema.get("format") == "time" and str(data).count(":") == 1:
                data = f"{data}:00"
            marks = [f"{slot.kind}.is={value.kind}"]
            marks += features.slot_features(self.context, reading, slot, first, last, value.kind)
            marks += features.order_features(n, len(values), reading.slots, slot, marks)
            yield Candidate(data, first, last, marks)

    def _with_time(self, day: Value) -> tuple[str, int, int]:
        """`2026-03-14` and the time nearest to it, as one value."""
        times = [
            v for v in self._values("time") if abs(v.first - day.last) < 4 or abs(day.first - v.last) < 4
        ]
        if not times:
            return f"{day.value}T00:00:00", day.first, day.last
        return (
            f"{day.value}T{times[0].value}:00"[:19],
            min(day.first, times[0].first),
            max(day.last, times[0].last),
        )

    def _numbers(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        values = self._values("number")
        for n, value in enumerate(values):
            number = value.value
            if slot.type == "integer" and not float(number).is_integer():
                continue
            if slot.type == "integer":
                number = int(number)
            elif value.unit == "%" and slot.is_decimal_ratio:
                number = round(number / 100, 10)
            marks = features.number_features(self.context, slot, value)
            marks += features.slot_features(self.context, reading, slot, value.first, value.last, "number")
            marks += features.order_features(n, len(values), reading.slots, slot, marks)
            yield Candidate(number, value.first, value.last, marks)

    # -- enums and switches -------------------------------------------------------

    def _members(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        members = {
            str(member): re.findall(r"[a-z]+|\d+(?:\.\d+)?", _spaced(str(member)).lower())
            for member in slot.enum
        }
        for member in slot.enum:
            said = members[str(member)]
            for i in range(self.context.size) if said else ():
                how, last = self._match(i, said, member)
                if how:
                    marks = [
                        f"enum.{how}",
                        f"enum.{how}.{'function' if self.context.tokens[i].low in FUNCTION else 'content'}",
                    ]
                    marks += ["enum.negated"] * is_negated(self.context, i)
                    marks += ["enum.command"] * (i in self.context.commands)
                    marks += features.slot_features(self.context, reading, slot, i, last)
                    marks += [
                        f"enum.{m}"
                        for m in features.order_features(0, 1, reading.slots, slot, marks)
                        if m.endswith(".one")
                    ]
                    yield Candidate(member, i, last, marks)

    def _match(self, i: int, said: list[str], member: Any) -> tuple[str, int]:
        """How the tokens from `i` on match the words of a member, and where they end."""
        tokens, size = self.context.tokens, len(said)
        token, value = tokens[i], self.context.taken.get(i)
        run = tokens[i : i + size]
        hyphened = tokens[i : i + 2 * size - 1]
        if value and value.first == i and str(value.value).lower() == str(member).lower():
            return "value", value.last
        if [t.low for t in run] == said:
            return "exact", i + size
        if re.sub("[-_]", "", token.low) == "".join(said):
            return "exact", i + 1
        if [t.low for t in hyphened[::2]] == said and all(t.text in "-/" for t in hyphened[1::2]):
            return "exact", i + 2 * size - 1
        if [t.stem for t in run] == [stem(w) for w in said]:
            return "stem", i + size
        if token.low in FUNCTION or not token.is_word:
            return "", i
        if size > 1:
            return ("part", i + 1) if token.stem in {stem(w) for w in said} else ("", i)
        (word,) = said
        if len(word) > 3 and token.low.startswith(word[:5]) and abs(len(token.low) - len(word)) <= 4:
            return "prefix", i + 1
        return ("synonym", i + 1) if features.matches(token.stem, {stem(word)}) else ("", i)

    def _switches(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        for i, token in enumerate(self.context.tokens):
            if not token.is_word or i in self.context.taken:
                continue
            how = features.matches(token.stem, slot.stems) if token.low not in FUNCTION else ""
            undone = (
                token.low.startswith(("un", "non"))
                and stem(re.sub("^(?:un|non-?)", "", token.low)) in slot.stems
            )
            if not how and token.stem in slot.described and token.low not in FUNCTION:
                how = "described" if token.stem not in reading.nouns else "described.noun"
            word = _YES.get(token.low)
            if not how and word is None and not undone:
                continue
            negated = is_negated(self.context, i) != undone
            for value in (True, False):
                said = f"said.{word == value}" if word is not None else f"negated.{negated}"
                marks = [
                    f"boolean.{value}.{said}",
                    f"boolean.{value}.{how or 'none'}",
                    f"boolean.{how}.command={i in self.context.commands}",
                ]
                marks += [f"boolean.verb={token.stem in VERBS}"]
                marks += (
                    features.slot_features(self.context, reading, slot, i, i + 1) if word is not None else []
                )
                yield Candidate(value, i, i + 1, marks)

    # -- words --------------------------------------------------------------------

    def _texts(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        quotes = self._values("quote")
        for i, j, marks in self.runs.of(slot.kind):
            text = self.runs.text(i, j)
            own = features.text_features(self.context, reading, slot, i, j, text, shape(text))
            own += features.slot_features(self.context, reading, slot, i, j)
            if quotes and quotes[0].first == i and j == i + 1:
                own += features.order_features(
                    0, len(quotes), [s for s in reading.slots if s.kind in TEXTS], slot, own
                )
            yield Candidate(text, i, j, [*marks, *own])

    # -- lists -----------------------------------------------------------------------

    def _lists(self, reading: ToolReading, slot: Slot) -> Iterator[Candidate]:
        item = slot.item
        groups = list(self.runs.groups() if item.kind in TEXTS else self._formed_groups(reading, item))
        for n, parts in enumerate(groups):
            first, last = parts[0][0], parts[-1][1]
            same = [g for g in groups if g[0][0] == first]
            marks = [f"list.size={min(len(parts), 4)}", f"list.{item.kind}.size={min(len(parts), 4)}"]
            marks += [f"list.longest={parts is max(same, key=len)}"]
            marks += [f"list.R1={self.context.symbols[last if last < self.context.size else -2]}"]
            marks += ["list.bracket"] * (first > 0 and self.context.tokens[first - 1].text in "[(")
            marks += [f"list.{f}" for f in self.context.start_features(item.kind, first)[:3]]
            marks += features.slot_features(self.context, reading, slot, first, last, item.kind)
            if item.kind not in TEXTS:
                marks += features.order_features(n, len(groups), reading.slots, slot, marks)
            else:
                stems = [
                    t.stem for t in self.context.tokens[first:last] if t.is_word and t.low not in FUNCTION
                ]
                marks.append(f"list.own={any(s in reading.nouns for s in stems)}")
                marks.append(f"list.verb={any(i in self.context.commands for i in range(first, last))}")
            yield Candidate([value for *_, value in parts], first, last, marks)

    def _formed_groups(self, reading: ToolReading, item: Slot) -> Iterator[list[tuple[int, int, Any]]]:
        """Values of one form with nothing but commas and `and` between them."""
        best: dict[int, Candidate] = {}
        for candidate in self.candidates(reading, item):
            if all(c.last <= candidate.first or candidate.last <= c.first for c in best.values()):
                best[candidate.first] = candidate
        group: list[tuple[int, int, Any]] = []
        for first in sorted(best):
            found = best[first]
            if group and not self.runs.joins(group[-1][1], first):
                yield group
                group = []
            group = [*group, (found.first, found.last, found.value)]
        if group:
            yield group


def _in_form(day: str, form: str) -> str:
    try:
        return day if form == "%Y-%m-%d" else date.fromisoformat(day).strftime(form)
    except ValueError:
        return day


def _spaced(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
