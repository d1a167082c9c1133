"""`Turns`: how many of this process write at once. Threads wait here, where they hold no connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TRIALS = 0.1  # of the writes


class TurnTimeout(Exception):
    """One's turn did not come in time."""


class Turns:
    """Some writers beside each other, or one alone, in the order in which they came. `TurnTimeout` after `seconds`.

    How many depends on how often they conflict, as TCP finds its rate (RFC 5681): a conflict halves the number, ten writes
    without one by each of those beside each other add one. So the writers of one row take turns, those of many rows do
    not, and about a tenth of the writes is spent on finding out. `most` leaves the readers a connection.
    """

    def __init__(self, most: int) -> None:
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._count = 0
        self._most = self._limit = float(most)

    @contextmanager
    def alone(self, seconds: float) -> Iterator[None]:
        self._take(seconds, below=1)
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def beside(self, seconds: float) -> Iterator[None]:
        self._take(seconds)
        with self._changed:
            self._count += 1
        self._turn.release()
        try:
            yield
            self._limit = min(self._most, self._limit + _TRIALS / self._limit)
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def conflicted(self) -> None:
        self._limit = max(1.0, self._limit / 2)

    def _take(self, seconds: float, below: float | None = None) -> None:
        """Takes the turn once fewer than `below` write, by default the limit."""
        if not self._turn.acquire(timeout=seconds):
            raise TurnTimeout
        with self._changed:
            if self._changed.wait_for(lambda: self._count + 1 <= (below or self._limit), seconds):
                return
        self._turn.release()
        raise TurnTimeout
