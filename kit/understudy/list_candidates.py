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


def lists(
    sentence: Sentence,
    reading: ToolReading,
    slot: Slot,
    candidates: Callable[[Sentence, ToolReading, Slot], list[Candidate]],
) -> list[Candidate]:
    """Candidates for a list; `candidates` finds those for one item."""
    item = slot.item
    if item.kind in ("number", "enum", "date", "email", "url", "uuid"):
        singles = candidates(sentence, reading, item)
        best: dict[int, Candidate] = {}
        for single in singles:
            if single.score > 0 and single.mask not in best:
                best[single.mask] = single
        if not best:
            return []
        chosen = [best[mask] for mask in sorted(best, key=lambda m: m & -m)]
        mask = 0
        kept = []
        for candidate in chosen:
            if candidate.mask & mask == 0:
                kept.append(candidate)
                mask |= candidate.mask
        return [Candidate([c.value for c in kept], mask, max(c.score for c in kept))]
    quotes = [v for v in sentence.values if v.kind == "quote"]
    found = []
    if len(quotes) > 1:
        found.append(Candidate([q.value for q in quotes], sum(bits(q.first, q.last) for q in quotes), 1.5))
    tokens = sentence.tokens
    starts = commands(sentence, reading)
    n = len(tokens)
    for first in range(n):
        quoted = first in sentence.taken and sentence.taken[first].kind in ("quote", "code")
        if (is_break(sentence, first, starts) and not quoted) or (
            first and not _begins(sentence, first, starts, slot)
        ):
            continue
        items: list[str] = []
        mask = 0
        i = first
        while i < n:
            j = i
            while j < n and (
                not is_break(sentence, j, starts)
                or (j in sentence.taken and sentence.taken[j].kind in ("quote", "code"))
            ):
                j += 1
            a, b = i, j
            while a < b and (
                tokens[a].low in DETERMINERS
                or (tokens[a].stem in slot.stems | slot.described and not items and b - a > 1)
            ):
                a += 1
            while b > a and tokens[b - 1].low in TRAILING:
                b -= 1
            if a >= b:
                break
            value = sentence.taken.get(a)
            items.append(
                str(value.value) if value and value.kind == "quote" and b - a == 1 else sentence.words(a, b)
            )
            mask |= bits(a, b)
            k = j
            while k < n and tokens[k].low in (",", "and", "or", "&", "plus"):
                k += 1
            if k == j or k >= n:
                break
            i = k
        if not items:
            continue
        marker = marker_of(sentence, first, starts)
        before, _ = around(sentence, first, first)
        if before and stem(before[0]) in slot.stems:
            marker = ":"
        score = (
            (-0.4 if len(items) == 1 else 0.1)
            + 0.45 * min(len(items), 4)
            + 0.7 * named(slot, before[:3], reading)
        )
        score += {":": 0.6, "with": 0.5, "as": 0.5, "": 0.1, "between": 0.6, "from": 0.2, "of": 0.2}.get(
            marker, 0.0
        )
        own = sum(stem(w) in reading.nouns for text in items for w in re.findall(r"\w+", text))
        score -= 0.4 * own
        found.append(Candidate(items, mask, score))
    return found


def _begins(sentence: Sentence, i: int, starts: set[int], slot: Slot) -> bool:
    return (
        sentence.tokens[i - 1].stem in slot.stems
        or is_break(sentence, i - 1, starts)
        or sentence.tokens[i - 1].low in DETERMINERS
    )
