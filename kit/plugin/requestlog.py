"""The log of the requests that a server answered: bodies in and out, with secrets hidden."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any, overload
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.diagrams import Exchange, Sequence
from kit.markup import box, code, columns, details, short, table
from kit.openapi.documents import read_json
from kit.plugin.wellknown import parameters
from kit.redaction import hide, hide_given
from kit.visible import visible_line

MAX_ENTRIES = 200  # requests kept, the latest. More would not fit the processor's cache
MAX_BODY = 20_000  # bytes kept of each body


@dataclass(frozen=True)
class LoggedRequest:
    """One request that was answered. `number` counts all requests, from 1."""

    number: int
    _start: float
    _end: float
    method: str
    url_path: str
    _query: bytes
    status: int
    _received: bytes
    _sent: bytes

    @property
    def ms(self) -> float:
        """Milliseconds from the request to the end of the answer."""
        return (self._end - self._start) * 1000

    @property
    def path(self) -> str:
        """The path with its query, secrets hidden."""
        query = self._query.decode("latin-1")
        return str(hide(f"{self.url_path}?{unquote(query)}" if query else self.url_path))

    @property
    def request(self) -> Any:
        """The body that came in: parsed JSON, else text; at most 20,000 bytes; secrets hidden."""
        return _readable(self._received)

    @property
    def response(self) -> Any:
        """The body that went out, the same way."""
        return _readable(self._sent)

    def __repr__(self) -> str:
        return visible_line(f"{self.method} {self.path} -> {self.status} in {self.ms:.0f} ms")


def _readable(body: bytes) -> Any:
    text = body.decode("utf-8", errors="replace")
    if not text.isprintable() and "\ufffd" in text:
        return f"[{len(body):,} bytes]"
    try:
        return hide(read_json(text)) if text else ""
    except ValueError:
        return hide(text)


class RequestLog:
    """The latest 200 requests that were answered, oldest first. Shown as a table. `name` is the server's."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        # Plain tuples: the garbage collector skips them, and views are rare.
        self._entries: deque[tuple[Any, ...]] = deque(maxlen=MAX_ENTRIES)
        self._next = count(1).__next__

    def add(self, *entry: Any) -> None:
        """Adds a request that was answered: the fields of `LoggedRequest` after its number."""
        self._entries.append((self._next(), *entry))

    @property
    def count(self) -> int:
        """How many requests were answered in all, including those no longer kept."""
        entries = list(self._entries)
        return entries[-1][0] if entries else 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return (LoggedRequest(*entry) for entry in list(self._entries))

    @overload
    def __getitem__(self, index: int) -> LoggedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedRequest]: ...
    def __getitem__(self, index: int | slice) -> LoggedRequest | list[LoggedRequest]:
        return list(self)[index]

    def sequence(self) -> Sequence:
        """Who called whom and how long it took, as a diagram."""
        entries = list(self)
        first = entries[0]._start if entries else 0.0
        return Sequence(
            Exchange(
                "client",
                self.name or "plugin",
                f"{entry.method} {entry.path}",
                entry._start - first,
                entry.ms / 1000,
                str(entry.status),
                entry.status < 400,
            )
            for entry in entries
        )

    def clear(self) -> None:
        """Forgets all requests."""
        self._entries.clear()

    def __repr__(self) -> str:
        rows = [
            (e.method, e.path, str(e.status), f"{e.ms:5.0f} ms", short(e.request), short(e.response))
            for e in self
        ]
        return columns(rows) if rows else "No requests yet."

    def _repr_html_(self) -> str:
        if not len(self):
            return box("No requests yet.")
        rows = [
            (
                code(entry.method),
                code(entry.path),
                str(entry.status),
                f"{entry.ms:.0f} ms",
                code(short(entry.request)) if entry.request else "",
                code(short(entry.response)) if entry.response else "",
            )
            for entry in self
        ]
        heads = ("method", "path", "status", "time", "request", "response")
        return table(heads, rows) + details("Sequence", self.sequence().picture())


class RequestRecorder:
    """Middleware: records every request that the app answers in `log`."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            recording = _Recording(scope, receive, send, self.log)
            send = recording.send
            receive = receive if scope["method"] == "GET" else recording.receive
        await self.app(scope, receive, send)


class _Recording:
    """One request while it is answered: the first 20,000 bytes of each body."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, log: RequestLog) -> None:
        self.start = perf_counter()
        self.scope, self.log, self.path = scope, log, scope["path"]  # before a prefix of the outside is added
        self.forward_receive, self.forward_send = receive, send
        self.status = 0
        self.received = self.sent = b""

    async def receive(self) -> Message:
        message = await self.forward_receive()
        if len(self.received) < MAX_BODY:
            self.received += message.get("body", b"")[:MAX_BODY]
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if "status" in message:
            self.status = message["status"]
        else:
            if len(self.sent) < MAX_BODY:
                self.sent += message.get("body", b"")[:MAX_BODY]
            if not message.get("more_body"):
                self.log.add(
                    self.start,
                    perf_counter(),
                    self.scope["method"],
                    hide_given(self.path, given) if (given := parameters(self.scope)) else self.path,
                    self.scope["query_string"],
                    self.status,
                    self.received,
                    self.sent,
                )
        return self.forward_send(message)
