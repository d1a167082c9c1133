"""`compare`: two versions of a plugin, or two models, on the same cases, paired."""

from __future__ import annotations

from math import comb
from typing import Any

from kit.diagrams import Bars
from kit.errors import CaseError
from kit.evals.cases import read
from kit.evals.evaluation import MOST, Evaluation, transcript
from kit.evals.outcome import Outcome
from kit.evals.run import evaluate
from kit.markup import box, columns, details, escape

LIKELY_CHANCE = 0.05  # the usual level of a test


class Comparison:
    """Two evaluations of the same cases. `better` and `worse` are the pairs that flipped, (before, after)."""

    def __init__(self, before: Evaluation, after: Evaluation) -> None:
        self.before, self.after = before, after
        self.pairs = list(_pairs(before, after))

    @property
    def better(self) -> list[tuple[Outcome, Outcome]]:
        return [(old, new) for old, new in self.pairs if new.right and not old.right]

    @property
    def worse(self) -> list[tuple[Outcome, Outcome]]:
        return [(old, new) for old, new in self.pairs if old.right and not new.right]

    @property
    def p_value(self) -> float:
        """How likely so uneven a split of the flipped cases is by chance: McNemar's test, exact, two-sided."""
        better, flipped = len(self.better), len(self.better) + len(self.worse)
        tail = sum(comb(flipped, k) for k in range(min(better, flipped - better) + 1))
        return float(min(1.0, 2 * tail / 2**flipped))

    @property
    def verdict(self) -> str:
        """What the numbers allow one to say, in a sentence or two."""
        up, down, p = len(self.better), len(self.worse), self.p_value
        if not up + down:
            said = f"No case flipped in {len(self.pairs)}."
        else:
            word = "better" if up > down else "worse" if down > up else "neither better nor worse"
            said = f"{word.capitalize()}: {up} wrong became right, {down} right became wrong (p = {p:.2g})."
            if p > LIKELY_CHANCE:
                said += " That may be chance: more cases would tell."
        old, new = len(self.before.undescribed), len(self.after.undescribed)
        if any(outcome.undescribed is not None for outcome in self.after.outcomes):
            said += f" Chosen without a description: {old} of {self.before.score.right} before, {new} of {self.after.score.right} after."
        return said

    def __repr__(self) -> str:
        return _text(self)

    def _repr_html_(self) -> str:
        return _card(self)


def compare(before: Any, after: Any, cases: Any = None, **options: Any) -> Comparison:
    """Two versions of a plugin on the same cases: each is whatever `evaluate` takes, or an `Evaluation`.

    Two models are compared by `compare(result.of("a"), result.of("b"))`. The options are those of `evaluate`.
    """
    sides = (before, after)
    if cases is None and not all(isinstance(side, Evaluation) for side in sides):
        raise CaseError("There are no cases to compare on.", "Pass them: kit.compare(before, after, cases).")
    listed = None if cases is None else read(cases)
    old, new = (side if isinstance(side, Evaluation) else evaluate(side, listed, **options) for side in sides)
    return Comparison(old, new)


def _pairs(before: Evaluation, after: Evaluation) -> list[tuple[Outcome, Outcome]]:
    if [o.case for o in before.outcomes] != [o.case for o in after.outcomes]:
        raise CaseError(
            "The two evaluations are of different cases, or asked them a different number of times.",
            "Compare on one list of cases: kit.compare(before, after, cases).",
        )
    return list(zip(before.outcomes, after.outcomes, strict=True))


# -- views --------------------------------------------------------------------


def _text(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    before, after = comparison.before, comparison.after
    lines = [columns([("before", repr(before.score)), ("after", repr(after.score))]), comparison.verdict]
    for word, flipped in (("better", comparison.better), ("worse", comparison.worse)):
        lines += [f"{word}: {new.case.title}" for _, new in flipped[:MOST]]
    return "\n".join(lines)


def _card(comparison: Comparison) -> str:
    """The comparison as HTML: both numbers as bars, the cases that flipped with both transcripts."""
    before, after = comparison.before, comparison.after
    groups = {"before": {"": 100 * before.accuracy}, "after": {"": 100 * after.accuracy}}
    parts = [Bars(f"{after.title}: right", groups, "%")._repr_html_(), box(escape(comparison.verdict))]
    for word, flipped in (("✓ better", comparison.better), ("✗ worse", comparison.worse)):
        for old, new in flipped[:MOST]:
            both = (f"<b>{name}</b>{transcript(one)}" for name, one in (("before", old), ("after", new)))
            parts.append(details(f"{word}: {escape(new.case.title)}", "".join(both)))
    return "".join(parts)
