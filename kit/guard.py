"""What keeps a served plugin well: hosts that it answers for, and limits on a request's size and time.

Plain ASGI around the plugin, so that `kit serve`, uvicorn alone and a function on Lambda have it alike.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.wellknown import base_url

HEALTH_PATH = "/health"


class TooLarge(HTTPException):
    """A body that goes on past the limit. FastAPI hands on this kind of error, and would hide others."""


async def answer(scope: Scope, send: Send, status: int, content: dict[str, str]) -> None:
    """A JSON object as the whole answer."""
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def limited(app: ASGIApp, max_body: int, seconds: float) -> ASGIApp:
    """`app`, whose requests have `max_body` bytes at most and whose answers begin within `seconds`.

    A body is counted as it comes in where its length is not said. An answer that has begun may go on:
    a stream has no end to wait for. A plain function runs in a thread, which cannot be ended: its
    client is told 504, it goes on, and what it returns is dropped. 0 is no limit.
    """
    if not max_body and not seconds:
        return app

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        started = late = False
        length: int | None = None
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                length = int(value)
        if max_body and length is not None and length > max_body:
            await _refuse_body(scope, send, max_body)
            return

        def expire() -> None:
            nonlocal late
            late = True
            task.cancel()

        def sending(message: Message) -> Awaitable[None]:
            nonlocal started
            if not started:
                started = True
                if timer is not None:
                    timer.cancel()
            return send(message)

        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_body:
                raise TooLarge(413, _too_large(max_body))
            return message

        timer = None
        if seconds:
            task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
            timer = task.get_loop().call_later(seconds, expire)
        counts = max_body and length is None and scope["method"] not in ("GET", "HEAD")
        try:
            await app(scope, counting if counts else receive, sending)
        except asyncio.CancelledError:
            if not late or started or task.cancelling() > 1:  # the server itself ends
                raise
        except TooLarge:
            if started:
                raise
            await _refuse_body(scope, send, max_body)
        finally:
            if timer is not None:
                timer.cancel()
            if late:
                task.uncancel()
        if late and not started:
            words = f"No answer within {seconds:g} s. (The server's REQUEST_TIMEOUT)"
            await answer(scope, send, 504, {"detail": words})

    def limiting(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (within if scope["type"] == "http" else app)(scope, receive, send)

    return limiting


async def _refuse_body(scope: Scope, send: Send, max_body: int) -> None:
    await answer(scope, send, 413, {"detail": _too_large(max_body)})


def _too_large(max_body: int) -> str:
    return f"The request has more than {max_body:,} bytes. (The server's MAX_BODY_BYTES)"


def for_hosts(app: ASGIApp, hosts: tuple[str, ...]) -> ASGIApp:
    """`app`, answering only requests for one of `hosts`; `*.example.com` is any subdomain.

    The host is the one under which the client sees the plugin, as `base_url` finds it: behind a proxy
    that the server trusts, what the proxy says of it.
    """
    names = frozenset(hosts)
    endings = tuple(host[1:] for host in hosts if host.startswith("*."))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        words = "This server does not answer for that host name. (The server's ALLOWED_HOSTS)"
        await answer(scope, send, 400, {"detail": words})

    def checking(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in ("http", "websocket"):
            host = urlsplit(base_url(scope)).hostname or ""
            if host not in names and not host.endswith(endings):
                return refuse(scope, receive, send)
        return app(scope, receive, send)

    return checking
