"""What happened in a conversation, as a list of events, and the tabs that watch it grow.

Each event has a number, `at`. A tab says which it has seen and gets the later ones, so that a reload, a second tab and the
live stream work alike. What a model says comes in many small pieces (`delta`); as soon as it has said something whole, one
event with the text takes their place, so that a chat that is opened again is read at once.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from itertools import groupby
from typing import Any

from kit.visible import encodable

Event = dict[str, Any]

FRAME = 1 / 60  # seconds: no browser draws more often, so pieces that come faster are sent together
ALIVE = 15  # seconds without an event, after which a closed tab is looked for


class EventLog:
    """The events of one conversation."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self.next = 0  # the number of the next one
        self._changed = asyncio.Event()

    def record(self, kind: str, **facts: Any) -> None:
        """Adds an event; whatever the model was saying is whole before it."""
        if kind != "delta":
            self._settle()
        self._add(kind, facts)

    def _settle(self) -> None:
        said = []
        while self.all and self.all[-1]["type"] == "delta":
            said.append(self.all.pop()["text"])
        if said:
            self._add("text", {"text": "".join(reversed(said))})

    def _add(self, kind: str, facts: dict[str, Any]) -> None:
        self.all.append(encodable({"type": kind, **facts, "at": self.next}))
        self.next += 1
        self.wake()

    def wake(self) -> None:
        """Lets those who watch look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self, start: int, goes_on: Callable[[], bool]) -> AsyncIterator[list[Event]]:
        """The events from number `start` on, each time all that there are; ends when nothing more comes."""
        while True:
            changed = self._changed
            if start < self.next:
                later, start = self._since(start), self.next
                yield later
                continue
            if not goes_on():
                return
            try:
                await asyncio.wait_for(changed.wait(), ALIVE)
                await asyncio.sleep(FRAME)
            except TimeoutError:
                yield [{"type": "alive"}]

    def _since(self, start: int) -> list[Event]:
        """The events from a number on as they are now, pieces of text that follow each other as one."""
        found = []
        later = self.all[bisect_left(self.all, start, key=lambda event: event["at"]) :]
        for is_piece, group in groupby(later, lambda event: event["type"] == "delta"):
            events = list(group)
            if is_piece:
                events = [{**events[-1], "text": "".join(event["text"] for event in events)}]
            found += events
        return found
