"""`LifespanManager`: what a server does for an app before its first request and after its last."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("uvicorn.error")


class LifespanFailed(Exception):
    """An app said that it cannot start. The text is the traceback that it gave."""


class LifespanManager:
    """An ASGI app whose lifespan is run by `startup` and `shutdown`, and whose requests have its state.

    All in one task of its own, as the task groups of a lifespan demand. An app that knows no lifespan
    is served without (https://asgi.readthedocs.io/en/latest/specs/lifespan.html).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._reply: asyncio.Future[Message] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self._state.copy()
        await self._app(scope, receive, send)

    async def startup(self) -> None:
        """Raises `LifespanFailed`."""
        self._task = asyncio.create_task(self._run())
        try:
            message = await self._ask("lifespan.startup")
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if message["type"] == "lifespan.startup.failed":
            raise LifespanFailed(message.get("message", ""))

    async def shutdown(self) -> None:
        """A failure is logged: nobody is left who could do something about it."""
        message = await self._ask("lifespan.shutdown")
        if message["type"] == "lifespan.shutdown.failed":
            _log.error(message.get("message", ""))

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._events.get, self._hear)
        except Exception as error:
            _log.info("The app has no lifespan: %r", error)

    async def _hear(self, message: Message) -> None:
        if self._reply and not self._reply.done():
            self._reply.set_result(message)

    async def _ask(self, event: str) -> Message:
        """What the app replies to an event; for one that knows no lifespan, that all is well."""
        assert self._task is not None
        reply = self._reply = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": event})
        waiting: set[asyncio.Future[Any]] = {self._task, reply}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return reply.result() if reply.done() else {"type": f"{event}.complete"}
