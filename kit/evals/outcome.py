"""`Outcome`: what a model did in one case, and whether it is right. `Score`: right ones among all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any

from kit.chat.expectation import paired
from kit.chat.reply import Reply, Usage
from kit.client.installed import call_line
from kit.evals.cases import Case, Expected, Turn
from kit.matching import misfits

NO_CALL = "no call"
CONFIDENCE = 0.95


@dataclass
class Outcome:
    """One case, asked once of one model. `replies` are those of its turns; `error` says why it ended early, if it did.

    `undescribed` is whether it was right without a single description as well; None where that was not asked.
    """

    case: Case
    model: str
    replies: list[Reply] = field(default_factory=list)
    error: str = ""
    undescribed: bool | None = None

    @cached_property
    def pairs(self) -> list[tuple[Expected | None, Any]]:
        """(expected call, call made) for each; None where one has no partner."""
        return [
            pair
            for turn, reply in self._turns()
            if turn.calls is not None
            for pair in paired(turn.calls, reply.calls, self.case.also)
        ]

    @cached_property
    def wrong_choices(self) -> list[str]:
        """Which calls were not as expected, as sentences."""
        found = []
        for wanted, call in self.pairs:
            if wanted is None:
                found.append(f"{call_line(call)} was called, and not expected")
            elif call is None:
                found.append(f"{wanted} was not called")
            elif call.operation != wanted.operation:
                found.append(f"{call_line(call)} was called in the place of {wanted}")
            else:
                found += [f"{call.operation}: {why}" for why in misfits(wanted.arguments, call.arguments)]
        return found

    @cached_property
    def misfits(self) -> list[str]:
        """What was not as expected, as sentences; empty if the case is right."""
        found = [f"It stopped: {self.error}"] if self.error else []
        found += self.wrong_choices
        for turn, reply in self._turns():
            text = reply.text.lower()
            found += [f"the answer does not mention {it!r}" for it in turn.mentions if it.lower() not in text]
            found += _wrong_answers(turn, reply)
        return found

    @property
    def right(self) -> bool:
        return not self.misfits

    @property
    def usage(self) -> Usage:
        total = Usage()
        for reply in self.replies:
            total.add(reply.usage)
        return total

    @property
    def seconds(self) -> float:
        """How long all turns took."""
        return sum(reply.seconds for reply in self.replies)

    def confusions(self) -> list[tuple[str, str]]:
        """(expected, called) for each call, by the operations' names; a turn rightly without calls counts once."""
        found = [
            (wanted.operation if wanted else NO_CALL, call.operation if call else NO_CALL)
            for wanted, call in self.pairs
        ]
        silent = sum(turn.calls == () and not reply.calls for turn, reply in self._turns())
        return found + [(NO_CALL, NO_CALL)] * silent

    def _turns(self) -> Iterable[tuple[Turn, Reply]]:
        return zip(self.case.turns, self.replies, strict=False)

    def as_data(self) -> dict[str, Any]:
        """The outcome for a file."""
        return {
            "case": self.case.as_data(),
            "model": self.model,
            "right": self.right,
            "misfits": self.misfits,
            "right_without_descriptions": self.undescribed,
            "calls": [
                {"operation": call.operation, "arguments": call.arguments, "status": call.status}
                for reply in self.replies
                for call in reply.calls
            ],
            "answers": [reply.text for reply in self.replies],
            "seconds": round(self.seconds, 3),
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
        }


def _wrong_answers(turn: Turn, reply: Reply) -> list[str]:
    """Calls that were answered otherwise than with success or the status that the turn names."""
    if turn.status is not None:
        got = [call.status for call in reply.calls]
        return [] if turn.status in got else [f"no call was answered {turn.status}"]
    return [f"{call_line(call)} was answered {call.outcome}" for call in reply.calls if not call.ok]


class Score:
    """Right ones among all, with the interval in which the true share lies."""

    def __init__(self, right: int, total: int) -> None:
        self.right, self.total = right, total

    @property
    def share(self) -> float:
        return self.right / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %: also right for few cases and for shares near 0 and 1."""
        if not self.total:
            return 0.0, 1.0
        z, n, p = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), self.total, self.share
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"{self.right} of {self.total}, {self.share:.0%} ({low:.0%} to {high:.0%})"
            if self.total
            else "none"
        )
