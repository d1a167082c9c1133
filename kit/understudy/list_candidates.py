"""Arguments that are lists: values of one form, or words between commas and `and`."""

from __future__ import annotations

import re
from collections.abc import Callable

from kit.understudy.candidates import Candidate, around, bits, named
from kit.understudy.clauses import commands, is_break, marker_of
from kit.understudy.sentence import Sentence
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import TRAILING
from kit.words import DETERMINERS, stem

_MARKERS = {":": 0.6, "with": 0.5, "as": 0.5, "": 0.1, "between": 0.6, "from": 0.2, "of": 0.2}


def lists(
    sentence: Sentence,
    reading: ToolReading,
    slot: Slot,
    candidates: Callable[[Sentence, ToolReading, Slot], list[Candidate]],
) -> list[Candidate]:
    """Candidates for a list; `candidates` finds those for one item."""
    if slot.item.kind in ("number", "enum", "date", "email", "url", "uuid"):
        return _formed(candidates(sentence, reading, slot.item))
    options = []
    quotes = [v for v in sentence.values if v.kind == "quote"]
    if len(quotes) > 1:
        options.append(Candidate([q.value for q in quotes], sum(bits(q.first, q.last) for q in quotes), 1.5))
    starts = commands(sentence, reading)
    ends = _ends(sentence, starts)
    for first in range(len(sentence.tokens)):
        if ends[first] > first and (first == 0 or _begins(sentence, first, starts, slot)):
            items, mask = _items(sentence, first, ends, slot)
            if items:
                options.append(Candidate(items, mask, _score(sentence, reading, slot, first, starts, items)))
    return options


def _formed(singles: list[Candidate]) -> list[Candidate]:
    """All values of one form as a list: of those that overlap the first."""
    best: dict[int, Candidate] = {}
    for single in singles:
        if single.score > 0:
            best.setdefault(single.mask, single)
    kept: list[Candidate] = []
    mask = 0
    for single in sorted(best.values(), key=lambda c: c.mask & -c.mask):
        if single.mask & mask == 0:
            kept.append(single)
            mask |= single.mask
    return [Candidate([c.value for c in kept], mask, max(c.score for c in kept))] if kept else []


def _items(sentence: Sentence, first: int, ends: list[int], slot: Slot) -> tuple[list[str], int]:
    """The items from a token on, with commas and `and` between them, and their tokens."""
    tokens, n = sentence.tokens, len(sentence.tokens)
    items: list[str] = []
    mask = 0
    i = first
    while i < n:
        a, b = i, ends[i]
        while a < b and (
            tokens[a].low in DETERMINERS
            or (tokens[a].stem in slot.stems | slot.described and not items and b - a > 1)
        ):
            a += 1
        while b > a and tokens[b - 1].low in TRAILING:
            b -= 1
        if a >= b:
            break
        is_quote = sentence.kind_at(a) == "quote" and b - a == 1
        items.append(str(sentence.taken[a].value) if is_quote else sentence.words(a, b))
        mask |= bits(a, b)
        i = end = ends[i]
        while i < n and tokens[i].low in (",", "and", "or", "&", "plus"):
            i += 1
        if i == end:
            break
    return items, mask


def _score(
    sentence: Sentence, reading: ToolReading, slot: Slot, first: int, starts: set[int], items: list[str]
) -> float:
    before, _ = around(sentence, first, first)
    is_labelled = before and stem(before[0]) in slot.stems
    marker = ":" if is_labelled else marker_of(sentence, first, starts)
    own = sum(stem(w) in reading.nouns for text in items for w in re.findall(r"\w+", text))
    return (
        (-0.4 if len(items) == 1 else 0.1)
        + 0.45 * min(len(items), 4)
        + 0.7 * named(slot, before[:3], reading)
        + _MARKERS.get(marker, 0.0)
        - 0.4 * own
    )


def _ends(sentence: Sentence, starts: set[int]) -> list[int]:
    """For each token, where the words from it on that can be part of an item end: at itself, if it cannot."""
    ends = [len(sentence.tokens)] * (len(sentence.tokens) + 1)
    for i in reversed(range(len(sentence.tokens))):
        if is_break(sentence, i, starts) and sentence.kind_at(i) not in ("quote", "code"):
            ends[i] = i
        elif i + 1 < len(sentence.tokens):
            ends[i] = ends[i + 1]
    return ends


def _begins(sentence: Sentence, i: int, starts: set[int], slot: Slot) -> bool:
    before = sentence.tokens[i - 1]
    return before.stem in slot.stems or is_break(sentence, i - 1, starts) or before.low in DETERMINERS
