"""`Attempt`: one run of an operation, and whether it can run again from its start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from kit.errors import DatabaseAway, DatabaseBusy

if TYPE_CHECKING:
    from kit.errors import DatabaseError

is_used = False  # whether this process has a database


class Attempt:
    """One run of an operation. It can run again while it has not answered and has not stored anything."""

    def __init__(self, is_last: bool) -> None:
        self.is_last = is_last
        self.has_answered = False
        self.conflict: DatabaseBusy | None = None  # the refusal of a write that met another one
        self.writes = 0  # sessions of write() that were begun
        self.open = 0  # those that have not ended
        self.stored = 0  # those that were committed
        self.transactions = 0  # of a session beside others: its author may commit in between
        self.unavailable: DatabaseError | None = None

    @property
    def writes_beside_others(self) -> bool:
        """Whether its next `write()` may meet others, since it can be repeated."""
        return not (self.is_last or self.has_answered or self.writes)

    @property
    def is_void(self) -> bool:
        """Whether it has to run again: what it did was undone."""
        is_undone = not (self.stored or self.open or self.transactions > 1)
        return self.conflict is not None and is_undone and not (self.is_last or self.has_answered)

    @contextmanager
    def noted(self, mode: str) -> Iterator[None]:
        """Counts a session; `mode` "read" is none of a write."""
        count = int(mode != "read")
        self.writes += count
        self.open += count
        try:
            yield
            self.stored += count
        except (DatabaseAway, DatabaseBusy) as error:
            self.unavailable = error
            raise
        finally:
            self.open -= count


running: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def current() -> Attempt:
    """The run that this code belongs to; outside an operation, one that cannot be repeated."""
    return running.get() or Attempt(is_last=True)
