"""Middleware: allowed hosts, body size, timeout.

Plain ASGI around the plugin, so it works the same in `kit serve`, in uvicorn alone and on Lambda.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.plugin.wellknown import base_url


class AllowedHosts:
    """Answers only requests for one of `hosts`; `*.example.com` is any subdomain.

    The host is the one under which the client sees the plugin, as in `base_url`: behind a trusted proxy,
    the one that the proxy names, which Starlette's TrustedHostMiddleware ignores.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.names = frozenset(hosts)
        self.endings = tuple(host[1:] for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] in ("http", "websocket"):
            host = urlsplit(base_url(scope)).hostname or ""
            if host not in self.names and not host.endswith(self.endings):
                app = _refusal(400, "This server does not answer for that host name.", "ALLOWED_HOSTS")
        await app(scope, receive, send)


class BodyLimit:
    """Refuses a body of more than `max_body` bytes, counted as it arrives if there is no Content-Length.

    Starlette's RequestBodyLimitMiddleware checks the length only when the operation reads the body, which may
    be after its work, and its text does not say what the limit is and where it is set.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body
        self.refusal = f"The request has more than {max_body:,} bytes.", "MAX_BODY_BYTES"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"content-length" and value.isdigit():
                    if int(value) > self.max_body:
                        app = _refusal(413, *self.refusal)
                    break
            else:
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
                raise HTTPException(413, _detail(*self.refusal))
            return message

        return counted


class Timeout:
    """Answers 504 and cancels the request if no answer begins within `seconds`.

    An answer that has begun may continue: a stream may have no end. A plain function runs in a thread,
    which cannot be cancelled: it continues, and what it returns is dropped.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Pending(send, self.seconds)
        try:
            await self.app(scope, receive, request.send)
        except asyncio.CancelledError:
            if not request.is_late or request.task.cancelling() > 1:  # the server itself is stopping
                raise
        finally:
            request.end()
        if request.is_late:
            words = f"No answer within {self.seconds:g} s."
            await _refusal(504, words, "REQUEST_TIMEOUT")(scope, receive, send)


class _Pending:
    """A request that waits for its answer. `asyncio.timeout` does the same, at 2 µs more for each request."""

    __slots__ = ("forward", "has_begun", "is_cancelled", "task", "timer")

    def __init__(self, send: Send, seconds: float) -> None:
        self.forward = send
        self.has_begun = self.is_cancelled = False
        self.task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self.timer = self.task.get_loop().call_later(seconds, self.cancel)

    @property
    def is_late(self) -> bool:
        return self.is_cancelled and not self.has_begun

    def cancel(self) -> None:
        self.is_cancelled = True
        self.task.cancel()

    def send(self, message: Message) -> Awaitable[None]:
        if not self.has_begun:
            self.has_begun = True
            self.timer.cancel()
        return self.forward(message)

    def end(self) -> None:
        if self.is_cancelled:
            self.task.uncancel()
        elif not self.has_begun:
            self.timer.cancel()


def _refusal(status: int, words: str, variable: str) -> JSONResponse:
    return JSONResponse({"detail": _detail(words, variable)}, status, {"cache-control": "no-store"})


def _detail(words: str, variable: str) -> str:
    return f"{words} (The server's {variable})"
