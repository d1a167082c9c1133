"""The log of the requests that a server answered: what came in, what went out, secrets hidden."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, overload
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_ENTRIES = 1000  # requests kept; the oldest go first
MAX_BODY = 20_000  # bytes kept of each body

HIDDEN = "***"
_SECRET = r"pass(?:word|wd|phrase)?|secret|token|api[-_]?key|authorization|credential|client[-_]?secret|access[-_]?key"
_SECRET_NAME = re.compile(f"(?:^|[-_.])(?:{_SECRET})s?$|^(?:{_SECRET})", re.IGNORECASE)
_SECRET_PAIR = re.compile(rf"((?:^|[?&\s\"'])[\w.-]*(?:{_SECRET})[\w.-]*=)([^&\s\"']+)", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}|\bsk-[A-Za-z0-9_-]{8,}")


def hide(value: Any) -> Any:
    """`value` with everything replaced that looks like a secret: by its name, or by its form."""
    if isinstance(value, dict):
        return {key: HIDDEN if _is_secret(str(key)) and item else hide(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hide(item) for item in value]
    if isinstance(value, str):
        return _SECRET_TEXT.sub(HIDDEN, _SECRET_PAIR.sub(rf"\1{HIDDEN}", value))
    return value


def _is_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return bool(_SECRET_NAME.search(words))


class LoggedRequest:
    """One request. `ms` is the time to the end of the answer, in milliseconds."""

    __slots__ = ("_query", "_received", "_sent", "method", "ms", "status", "time", "url_path")

    def __init__(self, scope: Scope) -> None:
        self.time = time.time()
        self.method: str = scope["method"]
        self.url_path: str = scope["path"]
        self._query: bytes = scope["query_string"]
        self._received = b""
        self._sent = b""
        self.status = 0
        self.ms = 0.0

    @property
    def path(self) -> str:
        """The path with its query, secrets hidden."""
        query = self._query.decode("latin-1")
        return str(hide(f"{self.url_path}?{unquote(query)}")) if query else self.url_path

    @property
    def request(self) -> Any:
        """The body that came in: parsed JSON, else text; at most 20,000 bytes; secrets hidden."""
        return _readable(self._received)

    @property
    def response(self) -> Any:
        """The body that went out, the same way."""
        return _readable(self._sent)

    def __repr__(self) -> str:
        return f"{self.method} {self.path} -> {self.status} in {self.ms:.0f} ms"


def _readable(body: bytes) -> Any:
    text = body.decode("utf-8", errors="replace")
    if not text.isprintable() and "\ufffd" in text:
        return f"[{len(body):,} bytes]"
    try:
        return hide(json.loads(text)) if text else ""
    except ValueError:
        return hide(text)


class RequestLog:
    """The latest 1,000 requests, oldest first. Shows as a table; `clear()` empties it."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=MAX_ENTRIES)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._entries))

    @overload
    def __getitem__(self, index: int) -> LoggedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedRequest]: ...
    def __getitem__(self, index: int | slice) -> LoggedRequest | list[LoggedRequest]:
        return list(self._entries)[index]

    def clear(self) -> None:
        """Forgets all requests."""
        self._entries.clear()

    def watch(self, app: ASGIApp) -> ASGIApp:
        """`app`, with every request that it answers written down."""
        entries = self._entries

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            entry = LoggedRequest(scope)
            start = time.perf_counter()

            async def receiving() -> Message:
                message = await receive()
                if message["type"] == "http.request" and len(entry._received) < MAX_BODY:
                    entry._received += message.get("body", b"")[:MAX_BODY]
                return message

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    entry.status = message["status"]
                elif len(entry._sent) < MAX_BODY:
                    entry._sent += message.get("body", b"")[:MAX_BODY]
                await send(message)

            try:
                await app(scope, receiving, sending)
            except BaseException:
                entry.status = entry.status or 500
                raise
            finally:
                entry.ms = (time.perf_counter() - start) * 1000
                entries.append(entry)

        return logged

    def __repr__(self) -> str:
        from kit import display

        return display.log_text(self)

    def _repr_html_(self) -> str:
        from kit import display

        return display.log_table(self)
