"""`Startup`: what the kit does when a server starts, before the author's own lifespan."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from kit import traces
from kit.plugin import accesslog

if TYPE_CHECKING:
    from kit.plugin.app import Plugin


class Startup:
    """Middleware: sets up the log, the sockets and the traces of a server process, and warns about state in a worker's memory."""

    def __init__(self, app: ASGIApp, plugin: Plugin) -> None:
        self.app = app
        self.plugin = plugin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and "uvicorn" in sys.modules:
            self._begin()
        elif "fastapi.telemetry" in scope:  # a span of FastAPI's own is recorded
            traces.hide_query(scope["query_string"])
        await self.app(scope, receive, send)

    def _begin(self) -> None:
        accesslog.protect()
        if threading.current_thread() is threading.main_thread():  # the process is the server's
            from kit import sockets

            sockets.send_at_once()
        if multiprocessing.parent_process() is not None:
            from kit.plugin import memory

            memory.warn(self.plugin)
