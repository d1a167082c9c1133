"""What a cell or a case expects of calls, held against those that were made; each difference is a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

from kit import jupyter
from kit.client.installed import CallResult, call_line
from kit.errors import ExpectationFailed
from kit.matching import misfits, shown


class Wanted(Protocol):
    """A call that is expected: a `kit.evals.cases.Expected`."""

    @property
    def operation(self) -> str:
        """The operation's name."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Values or matchers, by argument."""


Call = TypeVar("Call", bound=Wanted)


def check_reply(reply: Any, operation: Any, arguments: Mapping[str, Any]) -> None:
    """Raises `ExpectationFailed` as `Reply.expect` says."""
    found: list[str] = []
    if operation is None:
        found = [f"No call was expected, and {call_line(call)} was made." for call in reply.calls]
    elif operation is ...:
        found = troubles(reply)
    else:
        found = _never_made(reply.calls, operation, arguments)
    if found:
        raise ExpectationFailed("\n".join(found), f"What happened:\n{reply!r}")


def troubles(reply: Any) -> list[str]:
    """What went wrong in a turn whatever was expected: it stopped early, or a call had no successful answer."""
    found = [f"The turn stopped: {reply.error}"] if reply.error else []
    return found + [f"{call_line(call)} was answered {call.outcome}." for call in reply.calls if not call.ok]


def _never_made(calls: Sequence[CallResult], operation: str, arguments: Mapping[str, Any]) -> list[str]:
    """Why none of the calls is the expected one; empty if one is."""
    wanted = f"{operation}({', '.join(f'{name}={shown(value)}' for name, value in arguments.items())})"
    same = [call for call in calls if call.operation == operation]
    if not same:
        made = ", ".join(call_line(call) for call in calls) or "nothing was called"
        return [f"Expected {wanted}: {made}."]
    reasons = []
    for call in same:
        why = misfits(dict(arguments), call.arguments)
        if not why and not call.ok:
            why = [f"it was answered {call.outcome}"]
        if not why:
            return []
        reasons.append(f"Expected {wanted}: {'; '.join(why)}, in {call_line(call)}.")
    return reasons


def paired(
    wanted: Iterable[Call], calls: Iterable[CallResult], also: Iterable[str] = ()
) -> list[tuple[Call | None, CallResult | None]]:
    """The expected calls with those that were made, best fits first; None where one has no partner.

    Calls in `also` that nothing expects are left out.
    """
    missing, left = list(wanted), list(calls)
    pairs: list[tuple[Call | None, CallResult | None]] = []
    for is_exact in (True, False):
        for want in list(missing):
            for call in left:
                if want.operation == call.operation and not (
                    is_exact and misfits(want.arguments, call.arguments)
                ):
                    pairs.append((want, call))
                    missing.remove(want)
                    left.remove(call)
                    break
    return pairs + list(zip_longest(missing, [call for call in left if call.operation not in also]))


def check_strictly(reply: Any, has_tools: bool) -> None:
    """With KIT_STRICT=1, as in a CI, a turn is an error if a call failed, or if nothing was called.

    A cell with an expectation of its own (`reply.expect(None)`) may call nothing. Raises `ExpectationFailed`.
    """
    if os.environ.get("KIT_STRICT", "") in ("", "0"):
        return
    # what the arguments did not allow was not sent: the model reads why, and may do better
    failed = [it for it in reply.calls if it.url and (it.status is None or it.status >= 500)]
    found = [f"{call_line(call)} was answered {call.outcome}." for call in failed]
    cell = jupyter.running_cell()
    if has_tools and not reply.calls and not (cell and ".expect(" in cell.source):
        found.append("Nothing was called. If that is right, say so: reply.expect(None).")
    if found:
        raise ExpectationFailed("\n".join(found), f"What happened:\n{reply!r}")
