"""A uvicorn server that stops without losing a request.

uvicorn finishes the requests that it has begun, but drops those on their way: a connection that waits to be
accepted or that asyncio has just accepted, and a kept-alive one whose next request arrives at that moment.
32 clients sending without a pause lost 0 to 23 requests at each SIGTERM, with new connections 4 to 12. So
this server accepts connections itself, and knows what has arrived when it stops.
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

from kit import sockets
from kit.plugin.health import STOPPING
from kit.plugin.settings import Settings
from kit.runner.connections import limited, make_room, sweep

LINGER = 0.5  # seconds of silence after which a client counts as idle, once nothing new is accepted
RETRY = 1.0  # seconds until it accepts again when the process has run out of file descriptors

# accept's errors when the system is out of file descriptors or memory; waiting connections are served later.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ATTACH_FILTER, _BPF_RETURN = 26, 0x06  # asm/socket.h, linux/bpf_common.h
_log = logging.getLogger("uvicorn.error")


class GracefulServer(uvicorn.Server):
    """Serves on one listening socket, which it closes when it stops.

    To stop, by a signal or `end()`, is to accept what has arrived, answer it with `Connection: close`, and close
    each connection after `linger` seconds of silence. Requests under way get `timeout_graceful_shutdown`.
    `limits` are those of its connections (`kit.runner.connections`). `is_sole`: no other process accepts from the
    socket. `on_start` is called when the first request can be answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sock: socket.socket,
        limits: Settings,
        *,
        is_sole: bool = True,
        linger: float = LINGER,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        config.http = limited(limits)
        config.proxy_headers = (
            False  # `kit.plugin.outside` reads them, and needs the address of the proxy itself
        )
        super().__init__(config)
        self._socket = sock
        self._limits = limits
        self._is_sole = is_sole
        self._linger = linger
        self._on_start = on_start
        self._wake = asyncio.Event()
        self._arriving: set[asyncio.Task[None]] = set()  # accepted, and not yet among the connections
        self._open = self.server_state.connections = _Emptying()
        self._busy = self.server_state.tasks = _Emptying()

    def end(self) -> None:
        """Stops immediately; uvicorn polls every 0.1 s. Call it in the thread of the server's loop."""
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
            if tick % 10 == 0:
                sweep(self._open)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        # Responses under way add this very list to their headers.
        state.default_headers.append((b"connection", b"close"))
        self.lifespan.state[STOPPING] = True  # `/ready` says so
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._is_sole:
            turn_away(self._socket)
        self._accept(self.config.backlog)
        self._socket.close()
        if self._arriving:
            await asyncio.wait(self._arriving)
        count = -1
        while count != state.total_requests:
            count = state.total_requests
            await self._open.emptied(self._linger)
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._open.emptied()
                await self._busy.emptied()
        except TimeoutError:
            _log.error("%s requests did not finish in time and were cancelled.", len(state.tasks))
            for task in list(state.tasks):
                task.cancel()
        if not self.force_exit:
            await self.lifespan.shutdown()

    # -- accepting ------------------------------------------------------------

    def _resume(self) -> None:
        if self._socket.fileno() != -1:
            asyncio.get_running_loop().add_reader(self._socket, self._accept_some)

    def _accept_some(self) -> None:
        # As many at once as asyncio would. One of several processes leaves the next to the others.
        self._accept(self.config.backlog if self._is_sole else 1)

    def _accept(self, most: int) -> None:
        """Accepts the waiting connections."""
        loop = asyncio.get_running_loop()
        for _ in range(most):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                loop.remove_reader(self._socket)
                if make_room(self._open):
                    loop.call_soon(self._resume)  # by then that connection is closed
                    return
                _log.error("No more connections for %g s: %s.", RETRY, error.strerror)
                loop.call_later(RETRY, self._resume)
                return
            most_open, count = self._limits.max_connections, len(self._open) + len(self._arriving)
            is_full = 0 < most_open <= count and not make_room(self._open)
            task = loop.create_task(self._serve_connection(connection, is_full))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _serve_connection(self, connection: socket.socket, is_full: bool) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # the client is gone already
            loop = asyncio.get_running_loop()
            _, protocol = await loop.connect_accepted_socket(self._protocol, connection)
            if is_full:
                protocol.be_busy()
            return
        connection.close()

    def _protocol(self) -> Any:
        state = {"server_state": self.server_state, "app_state": self.lifespan.state}
        return self.config.http_protocol_class(config=self.config, **state)  # type: ignore[call-arg]


def turn_away(sock: socket.socket) -> None:
    """Lets no new connection reach a listening socket, so that all that wait on it can be accepted.

    Closing it resets connections that arrive between the last accept and the close: on Linux a filter that drops
    each packet (socket(7), SO_ATTACH_FILTER) makes their clients retry and find the port closed. Elsewhere a gap of
    microseconds remains. A Unix socket loses its file.
    """
    if not sockets.withdraw(sock) and sys.platform == "linux":
        drop = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop)))


class _Emptying(set[Any]):
    """A set that can be awaited until it is empty; uvicorn removes connections and tasks by `discard`."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def discard(self, item: Any) -> None:
        super().discard(item)
        self._changed.set()

    async def emptied(self, timeout: float | None = None) -> None:
        """Returns when it is empty, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self:
                    self._changed.clear()
                    await self._changed.wait()
