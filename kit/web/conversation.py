"""One conversation of the page: its turns run here, whether or not a tab is watching."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from kit.chat.client import NO_KEY
from kit.chat.conversation import Chat
from kit.chat.reply import CallEnded, CallStarted, Finished, TextDelta
from kit.client.installed import CallResult
from kit.errors import KitError
from kit.markup import short
from kit.redaction import hide, hide_given
from kit.web.consent import Consent, request_of
from kit.web.events import Event, EventLog
from kit.web.plugins import PluginEntry, PluginRegistry

ANSWERS = ("allow", "always", "deny")


class Conversation:
    """The events, the `Chat` behind them, and the ids of the plugins that it may use."""

    def __init__(self, registry: PluginRegistry, options: dict[str, Any]) -> None:
        self.id = secrets.token_urlsafe(6)
        self.title = ""
        self.log = EventLog()
        self.enabled = [entry.id for entry in registry.installed]
        self.used: dict[str, PluginEntry] = {}  # of all turns, by id: also those that were removed since
        self._registry = registry
        self._options = options
        self._chat: Chat | None = None
        self._entries: dict[
            int, PluginEntry
        ] = {}  # by the identity of what the chat has: a name may be another's, too
        self._turn: asyncio.Task[None] | None = None
        self._questions: dict[int, asyncio.Future[str]] = {}
        self._called: dict[int, tuple[CallStarted, PluginEntry | None]] = {}
        self._results: dict[int, CallResult] = {}

    @property
    def is_busy(self) -> bool:
        return self._turn is not None and not self._turn.done()

    def summary(self) -> dict[str, Any]:
        """What the page shows besides its events."""
        return {"id": self.id, "title": self.title, "enabled": self.enabled, "busy": self.is_busy}

    def plugins(self) -> list[PluginEntry]:
        """The plugins that it may use now."""
        return [entry for entry in self._registry.installed if entry.id in self.enabled]

    def watch(self, start: int) -> AsyncIterator[list[Event]]:
        """The events from number `start` on, all that there are at a time; ends when no turn is running."""
        return self.log.watch(start, lambda: self.is_busy)

    def say(self, text: str) -> None:
        """Starts a turn. Raises `KitError` while another is running."""
        self._require_idle()
        self.title = self.title or short(text, 60)
        entries = self.plugins()
        self.used |= {entry.id: entry for entry in entries}
        self.log.record("user", text=text, plugins=[entry.id for entry in entries])
        self._start(lambda: self._answer(text, entries), text)

    def stop(self) -> None:
        """Ends what is running."""
        if self._turn is not None:
            self._turn.cancel()

    def answer(self, number: int, answer: str) -> None:
        """The user's answer to the question about a call. Raises `KitError` if there is no such question."""
        if answer not in ANSWERS:
            raise KitError(f"{answer!r} is not an answer.", f"Use one of: {', '.join(ANSWERS)}.")
        question = self._questions.pop(number, None)
        if question is None or question.done():
            raise KitError("This question is answered already.", "There is nothing left to do.")
        question.set_result(answer)

    def again(self, number: int, arguments: dict[str, Any]) -> None:
        """Sends a call again, with other arguments, and asks as before it. The model is not informed."""
        self._require_idle()
        call, entry = self._called.get(number, (None, None))
        if call is None or entry is None or number not in self._results:
            raise KitError("This call does not exist.", "Reload the page.")
        plugin = entry.plugin
        tool = plugin.tool(call.operation)
        changes = tool.operation.consequential
        new = CallStarted(plugin.name, call.operation, arguments, changes, plugin, tool)

        async def send() -> None:
            if changes and not await self._is_allowed(number, new, entry, again=True):
                return
            result = await plugin.acall(call.operation, arguments)
            self.log.record("again", n=number, **_outcome(result))

        self._start(send)

    # -- one turn ---------------------------------------------------------------------

    def _require_idle(self) -> None:
        if self.is_busy:
            raise KitError("The last answer is still being written.", "Wait for it, or stop it.")

    def _start(self, work: Callable[[], Awaitable[None]], message: str = "") -> None:
        self._turn = asyncio.ensure_future(self._run(work, message))

    async def _run(self, work: Callable[[], Awaitable[None]], message: str) -> None:
        """Does the work, and records how it failed. `message` is what the user may send again then."""
        try:
            await work()
        except KitError as error:
            self.log.record("error", text=error.problem, remedy=error.remedy, retry=message)
        except asyncio.CancelledError:
            self.log.record("error", text="Stopped.", remedy="", retry=message)
            if self._chat is not None:
                await self._chat.settle()
        except Exception as error:  # a bug must not leave the page waiting
            text = f"{type(error).__name__}: {error}"
            self.log.record("error", text=text, remedy="This is a bug in the kit.", retry=message)
        finally:
            self._turn = None
            self._questions.clear()
            self.log.wake()

    async def _answer(self, text: str, entries: list[PluginEntry]) -> None:
        start = time.perf_counter()
        numbers: list[int] = []  # the calls that have no result yet, in order
        for change in await self._registry.refresh(entries):
            self.log.record("note", text=change)
        async for event in self._with(entries).astream(text):
            if isinstance(event, TextDelta):
                self.log.record("delta", text=event.text)
            elif isinstance(event, CallStarted):
                numbers.append(self._started(event))
            elif isinstance(event, CallEnded):
                number = numbers.pop(0)
                self._results[number] = event.result
                self.log.record("result", n=number, **_outcome(event.result))
            elif isinstance(event, Finished):
                self._finished(event, time.perf_counter() - start, text)

    def _with(self, entries: list[PluginEntry]) -> Chat:
        """The chat; a new one with the same history if the plugins have changed."""
        plugins = [entry.plugin for entry in entries]
        old = self._chat
        if old is None or [id(p) for p in old.plugins] != [id(p) for p in plugins]:
            self._chat = Chat(*plugins, confirm=self._confirm, show=False, **self._options)
            self._chat.history = old.history if old else []
            self._entries = {id(entry.plugin): entry for entry in entries}
        assert self._chat is not None  # noqa: S101 - for mypy: never false
        return self._chat

    def _started(self, call: CallStarted) -> int:
        number = len(self._called) + 1
        entry = self._entries.get(id(call.installed))
        self._called[number] = call, entry
        self.log.record(
            "call",
            n=number,
            plugin=entry.name if entry else call.plugin or "an unknown plugin",
            image=entry.image if entry else "",
            operation=call.operation,
            arguments=call.arguments,
            asks=call.consequential,
        )
        return number

    async def _confirm(self, call: CallStarted) -> bool:
        """Asks the user on the page, right after the call was recorded."""
        number, (_, entry) = next(reversed(self._called.items()))
        return await self._is_allowed(number, call, entry)

    async def _is_allowed(
        self, number: int, call: CallStarted, entry: PluginEntry | None, again: bool = False
    ) -> bool:
        plugin, tool = call.installed, call.tool
        if entry is None or plugin is None or tool is None:
            return False
        needed = Consent.to(plugin, tool)
        if needed in entry.allowed:
            return True
        question: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._questions[number] = question
        request = request_of(plugin, tool, call.arguments)
        self.log.record("question", n=number, again=again, arguments=call.arguments, **request)
        answer = await question
        self.log.record("answer", n=number, again=again, answer=answer)
        if answer == "always":
            entry.allowed.add(needed)
        return answer != "deny"

    def _finished(self, event: Finished, seconds: float, message: str) -> None:
        reply = event.reply
        for note in reply.notes:
            if not note.startswith(NO_KEY):  # the page always shows it
                self.log.record("note", text=note)
        if reply.error:
            self.log.record("error", text=reply.error, remedy="", retry=message)
        sequence = reply.sequence()
        self.log.record(
            "done",
            model=reply.model,
            seconds=seconds,
            spent=reply.spent,
            sequence=sequence.svg,
            sequence_text=sequence.words,
        )


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
        "headers": [item for name, value in result.headers for item in hide({name: value}).items()],
        "data": text,
        "files": [{"url": file.data_url, "alt": file.alt} for file in result.files if file.data_url],
    }
