"""`LifespanManager`: runs the startup and shutdown of an app, as a server does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("uvicorn.error")


class LifespanFailed(Exception):
    """An app reported that it cannot start. The text is its traceback."""


class LifespanManager:
    """An ASGI app whose lifespan is run by `startup` and `shutdown`, and whose requests have its state.

    All in one task, as the task groups of a lifespan require. An app without lifespan support is
    served without (https://asgi.readthedocs.io/en/latest/specs/lifespan.html).
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
        """A failure is only logged: nothing is left to stop."""
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
        """The reply of the app to an event; success for an app without lifespan support."""
        assert self._task is not None  # noqa: S101 - for mypy: never false
        reply = self._reply = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": event})
        waiting: set[asyncio.Future[Any]] = {self._task, reply}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return reply.result() if reply.done() else {"type": f"{event}.complete"}
