"""A reply while its turn goes on: shown in the running cell, or printed to a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from kit import jupyter
from kit.chat.reply import CallEnded, CallStarted, Event, Finished, Reply, TextDelta, outcome_line
from kit.client.installed import call_line
from kit.visible import visible, visible_line

REFRESH = 0.05  # seconds between two updates of the transcript in a cell


class LiveReply:
    """The reply so far, built from the events of a turn. `show` is as in `Chat`."""

    def __init__(self, question: str, show: bool | None) -> None:
        self.reply = Reply(question)
        self._shown = time.monotonic()
        self._view = jupyter.LiveView(self.reply, jupyter.has_output() if show is None else show)

    @property
    def is_shown(self) -> bool:
        return self._view.is_on

    def add(self, event: Event) -> None:
        """Adds an event to the transcript."""
        if isinstance(event, TextDelta):
            self.reply.text += event.text
        elif isinstance(event, CallEnded):
            self.reply.calls.append(event.result)
            if self.reply.text and not self.reply.text.endswith("\n"):
                self.reply.text += "\n\n"
        elif isinstance(event, Finished):
            self.reply = event.reply
            if self.is_shown:
                self.reply.live = self._view
        now = time.monotonic()
        if not isinstance(event, TextDelta) or now - self._shown > REFRESH:
            self._shown = now
            self._view.update(self.reply)


def print_events(events: Iterable[Event]) -> Reply:
    """Prints a turn to the terminal as it comes; returns its reply."""
    reply = Reply("")
    is_open = False  # whether the last line is unfinished
    for event in events:
        if isinstance(event, TextDelta):
            print(visible(event.text), end="", flush=True)
            is_open = not event.text.endswith("\n")
        elif isinstance(event, CallStarted):
            print("\n" if is_open else "", end="")
            print(f"  calls {call_line(event)}", flush=True)
            is_open = False
        elif isinstance(event, CallEnded):
            print(f"  {outcome_line(event.result)}", flush=True)
        else:
            reply = event.reply
    if is_open:
        print()
    for note in filter(None, [*reply.notes, reply.error]):
        print(f"  ({visible_line(note)})", file=sys.stderr)
    return reply
