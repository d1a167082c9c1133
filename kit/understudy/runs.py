"""The runs of words in a sentence that may be a value, and those that commas and `and` tie to a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kit.understudy.context import STOPS, Context
from kit.understudy.weights import Weights
from kit.words import DETERMINERS

LONGEST = 14  # words of a run that is no text; a text goes on to the end of its sentence
TEXT_ENDS = 40  # words of a text
KEPT = 24  # runs of words that are looked at for one kind of slot, the best by their words and borders
MOST_ITEMS = 30  # of a list
_EDGES = frozenset(",.;:!?()[]{}\"'`-/&+*=\n")
_INNER = ("quote", "code", "path", "number", "email", "url")  # values that may be in an item of a list
_Run = tuple[int, int, list[str]]


class Runs:
    """The runs of words of one sentence, found once for each kind of value."""

    def __init__(self, context: Context, weights: Weights, exhaustive: bool) -> None:
        self.context, self.weights, self.exhaustive = context, weights, exhaustive
        self._found: dict[str, list[_Run]] = {}

    def of(self, kind: str) -> list[_Run]:
        """(first, last, features) of the runs of words that may be a value of the kind."""
        if kind not in self._found:
            self._found[kind] = list(self._best(kind))
        return self._found[kind]

    def _best(self, kind: str) -> Iterator[_Run]:
        context, total = self.context, self.weights.sum
        begin = {i: context.start_features(kind, i) for i in range(context.size) if self._is_start(i)}
        end = {j: context.end_features(kind, j) for j in range(1, context.size + 1) if self._is_end(j)}
        at_begin, at_end = {i: total(f) for i, f in begin.items()}, {j: total(f) for j, f in end.items()}
        found = []
        for i in begin:
            for j in range(i + 1, self._limit(kind, i) + 1):
                if j in end:
                    inner = context.inner_features(kind, i, j)
                    found.append((at_begin[i] + at_end[j] + total(inner), i, j, inner))
        if not self.exhaustive:
            found.sort(key=lambda run: (-run[0], run[1], run[2]))
            found = found[:KEPT]
        for _, i, j, inner in found:
            yield i, j, [*begin[i], *end[j], *inner]

    def _limit(self, kind: str, i: int) -> int:
        """Where a run from `i` on ends at the latest: at the end of its sentence, but for a text."""
        if kind == "text":
            return min(self.context.size, i + TEXT_ENDS)
        last = min(self.context.size, i + LONGEST)
        return next((j for j in range(i + 1, last) if self.context.tokens[j].text in STOPS), last)

    def _is_start(self, i: int) -> bool:
        token = self.context.tokens[i]
        return i in self.context.taken or (
            token.text not in _EDGES and not token.low.startswith(("'", "n't"))
        )

    def _is_end(self, j: int) -> bool:
        token = self.context.tokens[j - 1]
        is_clitic = token.low.startswith("'") and token.low != "'s"
        return (
            j - 1 in self.context.taken or token.text == ")" or (token.text not in _EDGES and not is_clitic)
        )

    def text(self, i: int, j: int) -> str:
        """The words of a run as a value: what a quote contains, if it is just that."""
        value = self.context.taken.get(i)
        if value and value.kind == "quote" and j == i + 1:
            return str(value.value)
        return self.context.sentence.words(i, j)

    def groups(self) -> Iterator[list[tuple[int, int, Any]]]:
        """(first, last, value) of the items of lists, from each word on where one can begin."""
        context = self.context
        inner = [self._is_inner(i) for i in range(context.size)]
        for start in range(context.size):
            i = start
            parts: list[tuple[int, int, Any]] = []
            while i < context.size and inner[i] and len(parts) < MOST_ITEMS:
                j = next((k for k in range(i, context.size) if not inner[k]), context.size)
                parts.append((i, j, self.text(i, j)))
                yield list(parts)
                i = j
                while i < context.size and context.tokens[i].low in (",", "and", "or", "&", *DETERMINERS):
                    i += 1
                if not self.joins(j, i):
                    break

    def _is_inner(self, i: int) -> bool:
        value, symbol = self.context.taken.get(i), self.context.symbols[i]
        return value.kind in _INNER if value else symbol[0] == "<" or symbol in ("&", "-", "of")

    def joins(self, last: int, first: int) -> bool:
        """Whether what stands between two tokens ties the items of a list."""
        between = {token.low for token in self.context.tokens[last:first]} - DETERMINERS
        return bool(between) and between <= {",", "and", "or", "&", ";", "plus", "then", "by", "also"}
