"""An ASGI app served by uvicorn in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from kit.errors import ServeError
from kit.plugin.settings import from_environment
from kit.runner.graceful import GracefulServer

START_TIMEOUT = 30.0  # seconds; a plugin's lifespan may open databases
STOP_TIMEOUT = 5.0  # seconds
GRACE = 1.0  # seconds for requests under way when a server stops
LINGER = 0.1  # seconds of silence after which a client of this machine counts as idle
T = TypeVar("T")


class ServerThread:
    """An ASGI app served by uvicorn on a listening socket, in a daemon thread with its own loop.

    Not on the kernel's loop: a cell that waits for an answer would wait for itself. A daemon: it dies with the
    kernel. The socket is opened by the caller: a busy port fails in the calling cell.
    """

    def __init__(self, app: ASGIApp, sock: socket.socket) -> None:
        self._socket = sock
        self._app = app
        self._limits = from_environment()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: GracefulServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # An empty context, since threads inherit the caller's from 3.14 on: what a handler prints belongs to the
        # cell that is running, not to the one that started the server.
        options: dict[str, Any] = {"context": contextvars.Context()} if sys.version_info >= (3, 14) else {}
        self.thread = threading.Thread(target=self._run, name="kit-server", daemon=True, **options)

    def start(self) -> None:
        """Returns when the first request can be answered. Raises `ServeError` if the app fails to start."""
        self.thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise did_not_start()
        if self._failure is not None:
            self.thread.join(STOP_TIMEOUT)
            raise lifespan_failed()

    @property
    def is_running(self) -> bool:
        return self.thread.is_alive()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float) -> T:
        """Runs a coroutine on the server's loop. Raises `TimeoutError` after `timeout` seconds."""
        assert self._loop is not None  # noqa: S101 - for mypy: never false
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        finally:
            future.cancel()

    def stop(self, grace: float = GRACE) -> None:
        """Stops the server; requests that have reached it get `grace` seconds (0: no limit)."""
        if self.thread.ident is None:
            self._socket.close()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end, grace)
        self.thread.join(grace + STOP_TIMEOUT if grace else None)
        if not self._ready.is_set():  # its startup hangs, and nothing reads the socket
            self._socket.close()

    def _end(self, grace: float) -> None:
        assert self._serving is not None  # noqa: S101 - for mypy: never false
        if self._server is None or not self._server.started:
            self._serving.cancel()
            return
        self._server.config.timeout_graceful_shutdown = grace or None  # type: ignore[assignment]
        self._server.end()

    def _run(self) -> None:
        try:
            # Not asyncio.run: nest_asyncio replaces it. Not uvloop: it cannot be nested.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._socket.close()
            self._ready.set()

    async def _main(self) -> None:
        self._serving = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        config = uvicorn.Config(
            self._app, loop="asyncio", log_config=None, access_log=False, interface="asgi3"
        )  # fmt: skip
        self._server = GracefulServer(
            config, self._socket, self._limits, linger=LINGER, on_start=self._ready.set
        )
        await self._server.serve()


def did_not_start(state: str = "") -> ServeError:
    problem = f"The plugin did not start within {START_TIMEOUT:.0f} s.{state}"
    return ServeError(problem, "Check what its lifespan waits for.")


def lifespan_failed(state: str = "") -> ServeError:
    problem = f"The plugin did not start: its lifespan failed (the traceback is above).{state}"
    return ServeError(problem, "Fix it and run this again.")
