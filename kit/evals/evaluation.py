"""`Evaluation`: how often a model chose right, by operation and by model, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

from kit.chat.prices import cost, dollars
from kit.chat.reply import Usage
from kit.diagrams import Matrix, duration
from kit.errors import ExpectationFailed
from kit.evals.outcome import NO_CALL, Outcome, Score
from kit.markup import box, code, columns, details, escape, table
from kit.redaction import hide

MOST = 50  # cases that are shown; the object has all


class Evaluation:
    """The outcomes of all cases. Shows accuracy, the confusions as a picture, and the wrong cases first.

    `prices` are dollars for a million tokens, (input, output), by model.
    """

    def __init__(
        self,
        title: str,
        outcomes: Iterable[Outcome],
        operations: Iterable[str] = (),
        prices: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.title = title
        self.outcomes = list(outcomes)
        self.operations = list(operations)
        self.prices = dict(prices or {})

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(outcome.model for outcome in self.outcomes))

    def of(self, model: str) -> Evaluation:
        """The outcomes of one model."""
        own = [outcome for outcome in self.outcomes if outcome.model == model]
        return Evaluation(self.title, own, self.operations, self.prices)

    @property
    def wrong(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.right]

    @property
    def score(self) -> Score:
        """Right outcomes. A case that was asked several times counts once in the interval: its answers are alike."""
        return Score(len(self.outcomes) - len(self.wrong), len(self.outcomes))

    @property
    def accuracy(self) -> float:
        """The share of cases that are right, 0 to 1."""
        return self.score.share

    @property
    def by_operation(self) -> dict[str, Score]:
        """The score of the cases that expect each operation, and of those that expect no call."""
        right: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for outcome in self.outcomes:
            for name in {wanted for wanted, called in outcome.confusions()} - {*self._uncalled(outcome)}:
                total[name] += 1
                right[name] += outcome.right
        ordered = sorted(total, key=lambda name: (name == NO_CALL, self._rank(name)))
        return {name: Score(right[name], total[name]) for name in ordered}

    @staticmethod
    def _uncalled(outcome: Outcome) -> list[str]:
        """NO_CALL, unless a turn of the case expects that nothing is called."""
        return [] if any(turn.calls == () for turn in outcome.case.turns) else [NO_CALL]

    def _rank(self, name: str) -> int:
        return self.operations.index(name) if name in self.operations else len(self.operations)

    @property
    def confusion(self) -> dict[tuple[str, str], int]:
        """How often (expected, called) occurred."""
        return dict(Counter(pair for outcome in self.outcomes for pair in outcome.confusions()))

    @property
    def undescribed(self) -> list[Outcome]:
        """The right outcomes that are right without descriptions too: names and arguments sufficed."""
        return [outcome for outcome in self.outcomes if outcome.right and outcome.undescribed]

    @property
    def usage(self) -> Usage:
        total = Usage()
        for outcome in self.outcomes:
            total.add(outcome.usage)
        return total

    @property
    def cost(self) -> float | None:
        """Dollars; None if the price of a model is not known, or no tokens were counted."""
        if not {*self.models} <= self.prices.keys() or not self.usage.total_tokens:
            return None
        return sum(cost(outcome.usage, self.prices, outcome.model) or 0 for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """The median time of a case."""
        return median(outcome.seconds for outcome in self.outcomes) if self.outcomes else 0.0

    def expect(self, accuracy: float = 1.0) -> Evaluation:
        """Raises `ExpectationFailed`, with the wrong cases, unless at least this share is right."""
        if self.outcomes and self.accuracy >= accuracy:
            return self
        raise ExpectationFailed(
            f"{self.title}: {self.score}, expected {accuracy:.0%}.\n{self._wrong_lines()}",
            "Improve the descriptions, or the cases.",
        )

    def save(self, file: str | Path) -> Path:
        """Writes the result: all of it to a .json file, a row for each case to .csv, JUnit's form to .xml."""
        from kit.evals.files import write

        return write(self, Path(file))

    def _wrong_lines(self) -> str:
        return "\n".join(f"✗ {o.case.title}: {'; '.join(o.misfits)}" for o in self.wrong)

    def __repr__(self) -> str:
        return _text(self)

    def _repr_html_(self) -> str:
        return _card(self)


# -- views --------------------------------------------------------------------


def _matrix(evaluation: Evaluation) -> Matrix:
    """What was expected against what was called, "no call" included."""
    order = [*evaluation.operations, NO_CALL]
    return Matrix(f"{evaluation.title}: calls", "expected", "called", evaluation.confusion, order)


def _text(evaluation: Evaluation) -> str:
    """The evaluation for a terminal."""
    parts = [f"{evaluation.title}: {evaluation.score} right"]
    if len(evaluation.models) > 1:
        parts.append(columns(_model_rows(evaluation), "  "))
    rows = [(name, repr(score)) for name, score in evaluation.by_operation.items()]
    parts += [columns(rows, "  "), _sums(evaluation)]
    if note := _undescribed(evaluation):
        parts.append(note)
    for outcome in evaluation.wrong[:MOST]:
        parts.append(
            f"✗ {_title(evaluation, outcome)}\n" + "\n".join(f"    {why}" for why in hide(outcome.misfits))
        )
    rest = len(evaluation.wrong) - MOST
    return "\n".join(parts + ([f"... and {rest:,} more wrong ones"] if rest > 0 else []))


def _card(evaluation: Evaluation) -> str:
    """The evaluation as HTML."""
    head = (
        f"<b>{escape(evaluation.title)}</b>: {escape(evaluation.score)} right<br>{escape(_sums(evaluation))}"
    )
    if note := _undescribed(evaluation):
        head += f"<br><i>{escape(note)}</i>"
    parts = [box(head)]
    if len(evaluation.models) > 1:
        parts.append(
            table(("model", "right", "cost"), [tuple(map(escape, row)) for row in _model_rows(evaluation)])
        )
    rows = [(code(name), escape(score)) for name, score in evaluation.by_operation.items()]
    parts.append(table(("cases for", "right"), rows))
    if evaluation.confusion:
        parts.append(f"<div>{_matrix(evaluation)._repr_html_()}</div>")
    shown = evaluation.wrong[:MOST]
    parts += [_case(evaluation, outcome) for outcome in shown]
    right = [outcome for outcome in evaluation.outcomes if outcome.right][:MOST]
    if right:
        parts.append(
            details(
                f"{len(evaluation.outcomes) - len(evaluation.wrong)} right",
                "".join(_case(evaluation, o) for o in right),
            )
        )
    return "".join(parts)


def _case(evaluation: Evaluation, outcome: Outcome) -> str:
    mark = "✓" if outcome.right else "✗"
    whys = "".join(f"<br>&emsp;{escape(why)}" for why in hide(outcome.misfits))
    return details(f"{mark} {escape(_title(evaluation, outcome))}{whys}", transcript(outcome))


def transcript(outcome: Outcome) -> str:
    replies = "".join(reply._repr_html_() for reply in outcome.replies)
    return replies + (f"<div>{escape(outcome.error)}</div>" if outcome.error else "")


def _title(evaluation: Evaluation, outcome: Outcome) -> str:
    return outcome.case.title + (f" ({outcome.model})" if len(evaluation.models) > 1 else "")


def _model_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    of = {model: evaluation.of(model) for model in evaluation.models}
    return [(model, repr(own.score), _sums(own)) for model, own in of.items()]


def _sums(evaluation: Evaluation) -> str:
    spent = ", ".join(filter(None, (str(evaluation.usage), dollars(evaluation.cost)))) or "tokens not counted"
    return f"{spent}; {duration(evaluation.seconds)} a case (median)"


def _undescribed(evaluation: Evaluation) -> str:
    asked = [outcome for outcome in evaluation.outcomes if outcome.undescribed is not None]
    if not asked:
        return ""
    right, count = sum(outcome.right for outcome in asked), len(evaluation.undescribed)
    return (
        f"{count} of the {right} right ones were chosen without a description: with every description taken out, "
        "names and arguments sufficed."
    )
