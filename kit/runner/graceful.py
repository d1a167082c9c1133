"""A uvicorn that ends without losing a request.

uvicorn finishes the requests that it has begun. Those that are on their way it drops: a connection that
waits to be accepted or that asyncio has just accepted, and one that is kept alive whose next request comes
in the same moment. 32 clients that ask without a pause lost 0 to 23 requests at each SIGTERM, with new
connections 4 to 12. So this one accepts by itself, and knows at its end what has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

LINGER = 0.5  # seconds without a request after which a client is taken for idle, once nothing new is accepted
RETRY = 1.0  # seconds until more is accepted when the process has no file left for another connection

# What accept says when the system has no file or memory left; those that wait are served later.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ATTACH_FILTER, _BPF_RETURN = 26, 0x06  # asm/socket.h, linux/bpf_common.h
_log = logging.getLogger("uvicorn.error")


class GracefulServer(uvicorn.Server):
    """Serves on one listening socket, which it closes at its end.

    Its end, by a signal or `end()`: accept what has come, answer it with `Connection: close`, and close a
    connection once it was silent for `linger` seconds. Requests under way get `timeout_graceful_shutdown`.
    `is_sole`: no other process accepts from the socket. `on_start` is called when the first request can be answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sock: socket.socket,
        *,
        is_sole: bool = True,
        linger: float = LINGER,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._socket = sock
        self._is_sole = is_sole
        self._linger = linger
        self._on_start = on_start
        self._wake = asyncio.Event()
        self._arriving: set[asyncio.Task[None]] = set()  # accepted, and not yet among the connections
        self._open = self.server_state.connections = _Emptying()
        self._busy = self.server_state.tasks = _Emptying()

    def end(self) -> None:
        """Ends it now, where uvicorn looks ten times a second. For the thread of its loop."""
        self.should_exit = True
        self._wake.set()

    # -- what uvicorn calls ---------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._socket.setblocking(False)
        self._resume()
        self._on_start()

    async def main_loop(self) -> None:
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        # This very list is what answers under way add to their headers.
        state.default_headers.append((b"connection", b"close"))
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._is_sole:
            turn_away(self._socket)
        self._accept()
        self._socket.close()
        if self._arriving:
            await asyncio.wait(self._arriving)
        seen = -1
        while seen != state.total_requests:
            seen = state.total_requests
            await self._open.emptied(self._linger)
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._open.emptied()
                await self._busy.emptied()
        except TimeoutError:
            _log.error("%s requests had not ended in time and are cut.", len(state.tasks))
            for task in list(state.tasks):
                task.cancel()
        if not self.force_exit:
            await self.lifespan.shutdown()

    # -- accepting ------------------------------------------------------------

    def _resume(self) -> None:
        if self._socket.fileno() != -1:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Takes the connections that wait, as many at once as asyncio would."""
        loop = asyncio.get_running_loop()
        for _ in range(self.config.backlog):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("No more connections for %g s: %s.", RETRY, error.strerror)
                loop.remove_reader(self._socket)
                loop.call_later(RETRY, self._resume)
                return
            task = loop.create_task(self._serve_connection(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _serve_connection(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # the client has gone already
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
            return
        connection.close()

    def _protocol(self) -> Any:
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        return self.config.http_protocol_class(config=self.config, **state)  # type: ignore[call-arg]


def turn_away(sock: socket.socket) -> None:
    """Lets no connection come to a listening socket any more, so that all that wait on it can be accepted.

    Closing it resets those that come between the last accept and the close: on Linux a filter that drops
    each packet (socket(7), SO_ATTACH_FILTER) lets them try again, and find the port closed. Elsewhere some
    microseconds remain.
    """
    if sys.platform == "linux":
        drop = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop)))


class _Emptying(set[Any]):
    """A set that can be waited for to be empty; uvicorn takes its connections and tasks out by `discard`."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def discard(self, item: Any) -> None:
        super().discard(item)
        self._changed.set()

    async def emptied(self, timeout: float | None = None) -> bool:
        """Whether it is empty, at once or within `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self:
                    self._changed.clear()
                    await self._changed.wait()
        return not self
