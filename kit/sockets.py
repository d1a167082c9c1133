"""Listening sockets: our own, and those that a process inherits."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from kit.errors import PortInUse, ServeError

Tunnel = Callable[[int], AbstractContextManager[str]]
# Asked in turn who in this process has a port; `kit.server.server` adds itself.
holders: list[Callable[[int], str | None]] = []
# By port, the plugin that this process no longer serves there: who still calls it is told so.
stopped: dict[int, str] = {}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 takes any free one. Raises `PortInUse` or `ServeError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named; without it answers wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere the option would let two servers share a port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno in (98, 48, 10048):  # EADDRINUSE of Linux, macOS, Windows
            raise _port_in_use(host, port) from None
        raise ServeError(
            f"Cannot serve at {host}:{port}: {error.strerror}.", "Choose another host or port."
        ) from None
    except OverflowError:
        sock.close()
        raise ServeError(f"There is no port {port}.", "A port is a number from 1 to 65535.") from None
    stopped.pop(sock.getsockname()[1], None)
    return sock


def url(sock: socket.socket) -> str:
    """Where programs on this machine reach a listening socket, without a trailing slash."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def send_at_once() -> None:
    """Sets TCP_NODELAY on what this process listens with, and so on each connection that it accepts.

    asyncio does it for a connection whose socket names TCP as its protocol. The one that uvicorn's supervisor
    hands to its workers does not: each answer would wait for the client's delayed ACK, 40 ms. The workers
    share the socket, so the first one does it for all. On Windows this does nothing.
    """
    for sock in _own():
        try:
            sock.getpeername()  # not SO_ACCEPTCONN: the first worker's is bound, and listens later
        except OSError:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def is_for_this_machine(address: tuple[str, int]) -> bool:
    """Whether only this machine reaches the server at `address`, the local end of a connection that came by loopback.

    That is so unless this process listens at the port for all addresses. Which server it is does not matter: `kit`,
    uvicorn or another.
    """
    port = address[1]
    for number in [_open_to_all[port]] if port in _open_to_all else _numbers():
        for sock in _own([number]):
            with contextlib.suppress(OSError):
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and sock.getsockname()[:2] in (("0.0.0.0", port), ("::", port)):  # noqa: S104 - reads what another socket has
                    _open_to_all[port] = number
                    return False
    return _open_to_all.pop(port, None) is None or is_for_this_machine(address)


_open_to_all: dict[int, int] = {}  # by port, the descriptor of a socket that listens for all addresses


def _numbers() -> list[int]:
    """This process's descriptors; none where the system does not list them."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # of Linux and macOS
    except OSError:
        return []


def _own(numbers: Iterable[int] | None = None) -> Iterator[socket.socket]:
    """Each TCP socket of this process, as a copy that is closed afterwards."""
    for number in _numbers() if numbers is None else numbers:
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed by now
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            is_blocking = os.get_blocking(number)
            with socket.socket(fileno=os.dup(number)) as sock:
                os.set_blocking(
                    number, is_blocking
                )  # `socket.setdefaulttimeout` would have changed it for both
                if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
                    yield sock


def _port_in_use(host: str, port: int) -> PortInUse:
    who = next(filter(None, (holder(port) for holder in holders)), None)
    remedy = "Call .stop() on its server, or leave out port= to get a free one."
    if who is None:
        process = _listener(port)
        who = process or "another process"
        end = f"Find it with `lsof -i :{port}`, end it with `kill PID`"
        if process:
            end = f"End it with `kill {process.split()[1]}`"
        remedy = f"{end}, or leave out port= to get a free one."
    return PortInUse(f"Port {port} of {host} is taken by {who}.", remedy, port=port)


def _listener(port: int) -> str:
    """The process that listens on a port, as `process PID (command)`, if psutil knows it."""
    try:
        import psutil  # comes with ipykernel
    except ImportError:
        return ""
    with contextlib.suppress(psutil.Error, PermissionError):
        for connection in psutil.net_connections("tcp"):
            address = tuple(connection.laddr)
            if connection.status == psutil.CONN_LISTEN and address[1:2] == (port,) and connection.pid:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"process {connection.pid} ({command[:80]})"
    return ""
