"""One conversation of the page: its turns run here, whether or not a tab is watching.

Everything that happens is a list of events. A tab draws them from the first on, so that a reload, a second tab and
the live stream work alike.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from kit.chat.client import NO_KEY
from kit.chat.conversation import Chat
from kit.chat.reply import CallEnded, CallStarted, Finished, TextDelta
from kit.client.installed import CallResult
from kit.errors import KitError
from kit.markup import markdown, short
from kit.redaction import hide_given
from kit.visible import encodable
from kit.web.plugins import PluginEntry, PluginRegistry

Event = dict[str, Any]
ANSWERS = ("allow", "always", "deny")


class Conversation:
    """The events, the `Chat` behind them, and the ids of the plugins that it may use."""

    def __init__(self, registry: PluginRegistry, options: dict[str, Any]) -> None:
        self.id = secrets.token_urlsafe(6)
        self.title = ""
        self.events: list[Event] = []
        self.enabled = [entry.id for entry in registry.installed]
        self.calls: dict[int, tuple[PluginEntry | None, CallResult]] = {}
        self._registry = registry
        self._options = options
        self._chat: Chat | None = None
        self._turn: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._questions: dict[int, asyncio.Future[str]] = {}
        self._called: dict[int, PluginEntry | None] = {}

    @property
    def is_busy(self) -> bool:
        return self._turn is not None and not self._turn.done()

    def summary(self) -> dict[str, Any]:
        """What the page shows besides its events."""
        return {"id": self.id, "title": self.title, "enabled": self.enabled, "busy": self.is_busy}

    def plugins(self) -> list[PluginEntry]:
        """The plugins that it may use now."""
        return [entry for entry in self._registry.installed if entry.id in self.enabled]

    async def watch(self, start: int) -> AsyncIterator[Event]:
        """The events from `start` on; ends when no turn is running."""
        while True:
            changed = self._changed
            while start < len(self.events):
                yield self.events[start]
                start += 1
            if not self.is_busy:
                return
            try:
                await asyncio.wait_for(changed.wait(), 15)
            except TimeoutError:
                yield {"type": "alive"}  # detects a closed tab

    def say(self, text: str) -> None:
        """Starts a turn. Raises `KitError` while another is running."""
        if self.is_busy:
            raise KitError("The last answer is still being written.", "Wait for it, or stop it.")
        self.title = self.title or short(text, 60)
        self._record("user", text=text)
        self._turn = asyncio.ensure_future(self._run(text))

    def stop(self) -> None:
        """Ends the running turn."""
        if self._turn is not None:
            self._turn.cancel()

    def answer(self, number: int, answer: str) -> None:
        """The user's answer to the question about a call. Raises `KitError` if there is no such question."""
        question = self._questions.pop(number, None)
        if answer not in ANSWERS:
            raise KitError(f"{answer!r} is not an answer.", f"Use one of: {', '.join(ANSWERS)}.")
        if question is None or question.done():
            raise KitError("This question is answered already.", "There is nothing left to do.")
        question.set_result(answer)

    async def again(self, number: int, arguments: dict[str, Any]) -> None:
        """Sends a call again, with other arguments. The model is not informed."""
        if number not in self.calls or self.calls[number][0] is None:
            raise KitError("This call does not exist.", "Reload the page.")
        entry, call = self.calls[number]
        assert entry is not None  # noqa: S101 - for mypy: never false
        result = await entry.plugin.acall(call.operation, arguments)
        self._record("again", n=number, **_outcome(result))

    # -- one turn ---------------------------------------------------------------------

    async def _run(self, text: str) -> None:
        start = time.perf_counter()
        numbers: list[int] = []  # the calls that have no result yet, in order
        try:
            for entry in self.plugins():
                if change := await self._registry.refresh(entry):
                    self._record("note", text=change)
            async for event in self._with_plugins().astream(text):
                if isinstance(event, TextDelta):
                    self._record("delta", text=event.text)
                elif isinstance(event, CallStarted):
                    numbers.append(self._started(event))
                elif isinstance(event, CallEnded):
                    self._ended(numbers.pop(0), event.result)
                elif isinstance(event, Finished):
                    self._finished(event, time.perf_counter() - start)
        except KitError as error:
            self._record("error", text=error.problem, remedy=error.remedy)
        except asyncio.CancelledError:
            self._record("error", text="Stopped.", remedy="")
        except Exception as error:  # a bug must not leave the page waiting
            text = f"{type(error).__name__}: {error}"
            self._record("error", text=text, remedy="This is a bug in the kit.")
        finally:
            self._turn = None
            self._questions.clear()
            self._wake()

    def _with_plugins(self) -> Chat:
        """The chat; a new one with the same history if the plugins have changed."""
        plugins = [entry.plugin for entry in self.plugins()]
        old = self._chat
        if old is None or [id(p) for p in old.plugins] != [id(p) for p in plugins]:
            self._chat = Chat(*plugins, confirm=self._confirm, show=False, **self._options)
            self._chat.history = old.history if old else []
        assert self._chat is not None  # noqa: S101 - for mypy: never false
        return self._chat

    def _started(self, call: CallStarted) -> int:
        number = len(self._called) + 1
        entry = self._entry_of(call.plugin)
        self._record(
            "call",
            n=number,
            plugin=entry.name if entry else call.plugin or "an unknown plugin",
            image=entry.image if entry else "",
            operation=call.operation,
            arguments=call.arguments,
            asks=call.consequential,
        )
        self._called[number] = entry
        return number

    def _entry_of(self, name: str) -> PluginEntry | None:
        return next((entry for entry in self.plugins() if entry.plugin.name == name), None)

    async def _confirm(self, call: CallStarted) -> bool:
        """Asks the user on the page, right after the call was recorded."""
        number, entry = next(reversed(self._called.items()))
        if entry and call.operation in entry.always:
            return True
        question: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._questions[number] = question
        self._record("question", n=number)
        answer = await question
        self._record("answer", n=number, answer=answer)
        if answer == "always" and entry:
            entry.always.add(call.operation)
        return answer != "deny"

    def _ended(self, number: int, result: CallResult) -> None:
        self.calls[number] = (self._called[number], result)
        self._record("result", n=number, **_outcome(result))

    def _finished(self, event: Finished, seconds: float) -> None:
        reply, sequence = event.reply, event.reply.sequence()
        for note in reply.notes:
            if not note.startswith(NO_KEY):  # the page always shows it
                self._record("note", text=note)
        if reply.error:
            self._record("error", text=reply.error, remedy="")
        self._record(
            "done",
            html=markdown(reply.text),
            model=reply.model,
            seconds=seconds,
            spent=reply.spent,
            sequence=base64.b64encode(sequence.svg.encode()).decode(),
            sequence_text=sequence.words,
        )

    def _record(self, kind: str, **facts: Any) -> None:
        self.events.append(encodable({"type": kind, **facts}))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _outcome(result: CallResult) -> Event:
    """A result for the page, its data as text so that nothing in it is interpreted."""
    data = "" if result.data is None else result.data
    text = data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False, default=str)
    return {
        "ok": result.ok,
        "outcome": result.outcome,
        "seconds": result.seconds,
        "method": result.method,
        "url": hide_given(result.url, result.arguments),
        "arguments": result.arguments,
        "data": text,
        "files": [{"url": file.data_url, "alt": file.alt} for file in result.files if file.data_url],
    }
