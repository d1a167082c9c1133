"""Middleware: the size of headers and body, and the time until an answer.

Plain ASGI around the plugin, so it works the same in `kit serve`, in uvicorn alone and on Lambda.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.plugin.problems import Problem


class SizeLimits:
    """Refuses too many headers or too long ones (431), and a body of more than `max_body` bytes (413); 0 is no limit.

    A body without a Content-Length is counted as it arrives. The kit's own servers refuse headers before they have
    taken them in (`kit.runner.connections`); any other server has them in memory by now.
    Starlette's RequestBodyLimitMiddleware checks the length only when the operation reads the body, which may
    be after its work, and its text does not say what the limit is and where it is set.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_headers: int, max_header_bytes: int) -> None:
        self.app = app
        self.max_body, self.max_headers, self.max_header_bytes = max_body, max_headers, max_header_bytes
        self.refusal = f"The request has more than {max_body:,} bytes.", "MAX_BODY_BYTES"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            headers, size, length = scope["headers"], 0, None
            for name, value in headers:
                size += len(name) + len(value)
                if name == b"content-length":
                    length = value
            if words := too_much(len(headers), size, self.max_headers, self.max_header_bytes):
                app = _refusal(431, *words)
            elif length is not None and length.isdigit():
                if self.max_body and int(length) > self.max_body:
                    app = _refusal(413, *self.refusal)
            elif self.max_body:
                receive = self._counted(receive)
        await app(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                # FastAPI answers 400 to any other exception. This one is handled where it is raised: by the
                # exception handlers of the plugin, or of an app that it wraps.
                raise HTTPException(413, detail(*self.refusal))
            return message

        return counted


class Timeout:
    """Answers 504 and cancels the request if no answer begins within `seconds`; 408 if its body is not there by then.

    An answer that has begun may continue: a stream may have no end. A plain function runs in a thread,
    which cannot be cancelled: it continues, and what it returns is dropped. 0 is no limit.

    An exception ends the connection after its answer: uvicorn closes it. So a 500 says `Connection: close`, or the
    client's next request would be lost.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Pending(scope, receive, send, self.seconds)
        receive = receive if scope["method"] == "GET" else request.receive
        try:
            await self.app(scope, receive, request.send)
        except asyncio.CancelledError:
            if not request.is_late or request.task.cancelling() > 1:  # the server itself is stopping
                raise
        finally:
            request.end()
        if request.is_late:
            status, what = (
                (408, "The request has not arrived") if request.is_receiving else (504, "No answer")
            )
            words = f"{what} within {self.seconds:g} s."
            await _refusal(status, words, "REQUEST_TIMEOUT")(scope, receive, send)


class _Pending:
    """A request that waits for its answer. `asyncio.timeout` does the same, at 2 µs more for each request."""

    __slots__ = (
        "forward",
        "has_begun",
        "is_cancelled",
        "is_received",
        "is_receiving",
        "scope",
        "source",
        "task",
        "timer",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self.scope, self.source, self.forward = scope, receive, send
        self.has_begun = self.is_cancelled = self.is_received = self.is_receiving = False
        self.task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self.timer = self.task.get_loop().call_later(seconds, self.cancel) if seconds else None

    @property
    def is_late(self) -> bool:
        return self.is_cancelled and not self.has_begun

    def cancel(self) -> None:
        self.is_cancelled = True
        self.task.cancel()

    async def receive(self) -> Message:
        self.is_receiving = not self.is_received  # and still is, if it is cancelled here
        message = await self.source()
        self.is_receiving = False
        self.is_received = not message.get("more_body")
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if not self.has_begun:
            self.has_begun = True
            if self.timer:
                self.timer.cancel()
            if message.get("status") == 500 and self.scope["http_version"] < "2":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
        return self.forward(message)

    def end(self) -> None:
        if self.is_cancelled:
            self.task.uncancel()
        elif self.timer and not self.has_begun:
            self.timer.cancel()


def too_much(count: int, size: int, most: int, longest: int) -> tuple[str, str] | None:
    """What is wrong with that many headers of so many bytes, and the variable that says so."""
    if most and count > most:
        return f"The request has more than {most:,} headers.", "MAX_HEADERS"
    if longest and size > longest:
        return f"The headers of the request have more than {longest:,} bytes.", "MAX_HEADER_BYTES"
    return None


def _refusal(status: int, words: str, variable: str) -> Problem:
    return Problem(status, detail(words, variable))


def detail(words: str, variable: str) -> str:
    """What a limit says: what was too much, and where that is set."""
    return f"{words} (The server's {variable})"
