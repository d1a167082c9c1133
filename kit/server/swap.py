"""`SwappableApp`: the app behind a server, which can be exchanged while it serves.

The listening socket and its connections stay: a request that comes is for the app of that moment, one that is
under way ends in the app that it began in. So an exchange costs no client anything.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from kit.plugin.lifespan import LifespanFailed, LifespanManager

CUT = 45.0  # seconds for what is under way in an app that was exchanged: ChatGPT's limit for a call


class SwappableApp:
    """An ASGI app that forwards to another one: the first is given, `swap` brings the next.

    Each app's lifespan begins before its first request and ends after its last.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._current = _Tenant(app)
        self._leaving: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._current(scope, receive, send)

    async def swap(self, app: ASGIApp, wait: float) -> None:
        """Lets `app` answer from now on. Raises `LifespanFailed`, and all is as it was.

        It returns when the app before has ended, or after `wait` seconds: that one goes on until what it has
        begun is answered, for 45 s at most.
        """
        tenant = _Tenant(app)
        await tenant.startup()
        before, self._current = self._current, tenant
        leaving = asyncio.create_task(before.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.wait({leaving}, timeout=wait)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._current.startup()
        except LifespanFailed as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # The server has ended, and has cut what did not: nobody is waited for any more.
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, self._current.shutdown(), return_exceptions=True)
        await send({"type": "lifespan.shutdown.complete"})


class _Tenant(LifespanManager):
    """An app that knows which requests it has begun."""

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

    async def leave(self) -> None:
        """Ends it once its requests are answered."""
        try:
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=CUT)
                for task in late:
                    task.cancel()
        finally:
            await self.shutdown()
