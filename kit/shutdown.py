"""How a server ends without losing a request: what uvicorn leaves out when it is told to stop.

uvicorn finishes the requests that it has begun. Those that are on their way it drops: a connection that
waits to be accepted, and one that is kept alive whose next request comes in the same moment. 32 clients
that ask without a pause lost 0 to 23 requests at each SIGTERM, with new connections 4 to 12 each time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

LINGER = 0.5  # seconds for what is on its way, once nothing new is accepted


def lose_nothing(server: uvicorn.Server, timeout: float) -> None:
    """Lets `server` end in this order: accept what has come, answer it, close; `timeout` seconds at most.

    Every answer says `Connection: close` from then on, so that clients turn to another server. 0 waits
    for ever. On Windows it goes on to end as uvicorn does: a waiting connection cannot be taken over there.
    """
    server.config.timeout_graceful_shutdown = timeout or None  # type: ignore[assignment]
    if sys.platform == "win32":
        return
    ending = server.shutdown

    async def shutdown(sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        # This very list is what answers under way add to their headers.
        server.server_state.default_headers.append((b"connection", b"close"))
        listening = []
        for sock in [sock for each in server.servers for sock in each.sockets]:
            listening.append(os.dup(sock.fileno()))
            loop.remove_reader(sock.fileno())
        # asyncio has a task for each connection that it accepts, which fails once its server is closed.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for each in server.servers:
            each.close()
        for each_socket in sockets or []:
            each_socket.close()
        accepted = [connection for number in listening for connection in _accept(number)]

        def protocol() -> Any:
            state = {"server_state": server.server_state, "app_state": server.lifespan.state}
            return server.config.http_protocol_class(config=server.config, _loop=loop, **state)  # type: ignore[call-arg]

        for connection in accepted:
            await loop.connect_accepted_socket(protocol, connection, ssl=server.config.ssl)
        end = loop.time() + LINGER
        while server.server_state.connections and loop.time() < end:
            await asyncio.sleep(0.02)
        await ending(sockets)

    server.shutdown = shutdown  # type: ignore[method-assign]


def of_this_process(timeout: float) -> None:
    """The same for the uvicorn that was started as a command, which catches the signals of this process."""
    uvicorn = sys.modules.get("uvicorn")
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if uvicorn is not None and isinstance(server, uvicorn.Server) and "shutdown" not in vars(server):
        lose_nothing(server, timeout)


def _accept(listening: int) -> list[socket.socket]:
    """The connections that wait, after which the socket is closed: that alone would reset them."""
    accepted = []
    with socket.socket(fileno=listening) as sock:
        sock.setblocking(False)
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:  # there is none
                sock.close()  # at once: one that comes in between is lost
                break
            accepted.append(connection)
    for connection in accepted:
        connection.setblocking(False)
        if connection.family != getattr(socket, "AF_UNIX", None):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return accepted
