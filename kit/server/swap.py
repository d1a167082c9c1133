"""`SwappableApp`: the app behind a server, which can be swapped while it serves.

The listening socket and its connections stay: a new request goes to the current app, one under way finishes in the
app that it began in. So no client notices a swap.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from kit.plugin.lifespan import LifespanFailed, LifespanManager

DRAIN_TIMEOUT = 45.0  # seconds for requests under way in the old app: ChatGPT's limit for a call


class SwappableApp:
    """An ASGI app that forwards to another one, which `swap` replaces.

    Each app's lifespan starts before its first request and ends after its last.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._current = _TrackedApp(app)
        self._draining: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._current(scope, receive, send)

    async def swap(self, app: ASGIApp, wait: float) -> None:
        """Forwards to `app` from now on. Raises `LifespanFailed`; the old app then stays.

        Returns when the old app has ended, or after `wait` seconds: it goes on until its requests are answered,
        for 45 s at most.
        """
        new = _TrackedApp(app)
        await new.startup()
        old, self._current = self._current, new
        draining = asyncio.create_task(old.drain())
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)
        await asyncio.wait({draining}, timeout=wait)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._current.startup()
        except LifespanFailed as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # The server has stopped and cancelled what did not finish: no request is left to wait for.
        for draining in self._draining:
            draining.cancel()
        await asyncio.gather(*self._draining, self._current.shutdown(), return_exceptions=True)
        await send({"type": "lifespan.shutdown.complete"})


class _TrackedApp(LifespanManager):
    """An app that tracks its requests under way."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]
        self._under_way.add(task)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._under_way.discard(task)

    async def drain(self) -> None:
        """Ends the app's lifespan once its requests are answered."""
        try:
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=DRAIN_TIMEOUT)
                for task in late:
                    task.cancel()
        finally:
            await self.shutdown()
