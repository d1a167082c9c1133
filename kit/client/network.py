"""Connections to plugins: to the address that was checked, straight or through a proxy of the environment.

One `Network` for each event loop, shared by all plugins. A name is resolved once for each connection, and what is
connected to is the address that was found, so that no answer of a name server changes between check and use. The
name itself goes into `Host` and TLS as ever, and certificates are checked against it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from socket import SOCK_STREAM
from typing import Any
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import httpcore2
import httpx2

from kit.addresses import is_private, is_public

# Bytes before a body begins, all 1xx answers included: as many as the client takes for one head.
MAX_HEAD = httpcore2.AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE
MAX_CONNECTIONS, MAX_IDLE, IDLE = 100, 20, 5.0  # httpx2's defaults; seconds
NEXT_ADDRESS = 0.25  # seconds until another address of the same name is tried: RFC 8305, 5
GUARDED = "kit_guarded"  # the extension of a request: only public addresses, of whatever name


FAILURES = (  # what may come of a request, or of reading its answer
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
    OSError,
)


class NotPublic(Exception):
    """A name leads to an address that is not public, or has one that never is."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host, address)
        self.host, self.address = host, address


class HeadTooLong(Exception):
    """A server sends more before its answer's body than any answer needs."""


@dataclass
class _Exchange:
    """What has happened in one attempt to get an answer."""

    is_fresh: bool = False  # its connection was made for it
    received: int = 0  # bytes of the answer
    has_head: bool = False


_exchange: ContextVar[_Exchange] = ContextVar("exchange")


class Network(httpx2.AsyncBaseTransport):
    """The HTTP transport beneath every plugin's client; that of the kit's own loop lives as long as the process."""

    def __init__(self) -> None:
        self._pools: dict[tuple[bool, str, bool], httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, its body not yet read. Raises httpcore2's errors, `NotPublic` and `HeadTooLong`.

        A request that gets not one byte of an answer over a connection that was used before is made once more over a
        fresh one: the server had closed it, and could not say so.
        """
        guarded = bool(request.extensions.get(GUARDED))
        # A proxy from the environment must not see requests to this machine.
        proxy = _proxy_for(request.url) if guarded else ""
        if proxy:
            await _check_for_proxy(request.url.host, request.url.port or 443)
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        for is_last in (False, True):
            exchange = _Exchange()
            _exchange.set(exchange)
            try:
                answer = await self._pool(guarded, proxy, is_last).handle_async_request(sent)
            except (httpcore2.NetworkError, httpcore2.RemoteProtocolError):
                if exchange.received > MAX_HEAD:
                    raise HeadTooLong from None
                if is_last or exchange.is_fresh or exchange.received:
                    raise
                continue
            exchange.has_head = True
            return httpx2.Response(
                answer.status,
                headers=answer.headers,
                stream=_Body(answer.stream),
                extensions=answer.extensions,
            )
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        """Ends all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, guarded: bool, proxy: str, fresh: bool) -> httpcore2.AsyncConnectionPool:
        """`fresh`: a pool that keeps no connection for another request."""
        key = (guarded, proxy, fresh)
        if key not in self._pools:
            self._pools[key] = httpcore2.AsyncConnectionPool(
                ssl_context=self._ssl,
                proxy=_described(proxy) if proxy else None,
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=0 if fresh else MAX_IDLE,
                keepalive_expiry=IDLE,
                network_backend=_Backend(guarded and not proxy),
            )
        return self._pools[key]

    @cached_property
    def _ssl(self) -> Any:
        return httpx2.create_ssl_context()


_networks: WeakKeyDictionary[asyncio.AbstractEventLoop, Network] = WeakKeyDictionary()


def network() -> Network:
    """That of the running loop."""
    return _networks.setdefault(asyncio.get_running_loop(), Network())


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> Any:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Backend(httpcore2.AsyncNetworkBackend):
    """TCP, to addresses that were checked where `guarded`."""

    def __init__(self, guarded: bool) -> None:
        self._guarded = guarded
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address of `host` that takes it."""
        _exchange.get().is_fresh = True
        try:
            addresses = await _addresses(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(f"its name has no address ({error.strerror})") from error
        if self._guarded:
            _check(host, addresses)
        return _Stream(await self._first(addresses, port))

    async def _first(self, addresses: list[str], port: int) -> httpcore2.AsyncNetworkStream:
        tasks: list[asyncio.Task[httpcore2.AsyncNetworkStream]] = []
        first = None
        try:
            for number, address in enumerate(addresses, 1):
                tasks.append(asyncio.create_task(self._inner.connect_tcp(address, port)))
                pending = [task for task in tasks if not task.done()]
                while pending:
                    last = number == len(addresses)
                    await asyncio.wait(
                        pending, timeout=None if last else NEXT_ADDRESS, return_when="FIRST_COMPLETED"
                    )
                    first = next((task for task in tasks if task.done() and not task.exception()), None)
                    if first is not None:
                        return first.result()
                    pending = [task for task in pending if not task.done()] if last else []
            raise (
                tasks[-1].exception() or OSError()
                if tasks
                else httpcore2.ConnectError("its name has no address")
            )
        finally:
            for task in tasks:
                if task is not first:
                    task.cancel()
                    task.add_done_callback(_close)

    async def sleep(self, seconds: float) -> None:
        """What the pool waits by."""
        await asyncio.sleep(seconds)


def _close(task: asyncio.Task[httpcore2.AsyncNetworkStream]) -> None:
    """A connection that came too late, when another address had already answered."""
    if not task.cancelled() and task.exception() is None:
        asyncio.get_running_loop().create_task(task.result().aclose())


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that counts what an answer's head takes."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come; nothing at the end."""
        exchange = _exchange.get()
        if not exchange.has_head and exchange.received > MAX_HEAD:
            raise HeadTooLong
        data = await self._inner.read(max_bytes, timeout)
        exchange.received += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all of it."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Ends the connection."""
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        """The same connection, encrypted."""
        return _Stream(await self._inner.start_tls(*args, **more))

    def get_extra_info(self, info: str) -> Any:
        """What the pool asks about a connection."""
        return self._inner.get_extra_info(info)


async def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order, each once."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(0, str(error)) from error
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _check(host: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        if not is_public(address):
            raise NotPublic(host, address)


def _proxy_for(url: httpx2.URL) -> str:
    """The address of the proxy that the environment has for a URL, or an empty text."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(url.netloc.decode("ascii")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


async def _check_for_proxy(host: str, port: int) -> None:
    """A proxy resolves names itself: what is checked is what this machine knows of the name, if it knows any."""
    if is_private(host):
        raise NotPublic(host, host)
    with contextlib.suppress(OSError):
        _check(host, await _addresses(host, port))


def _described(proxy: str) -> httpcore2.Proxy:
    parsed = httpx2.Proxy(proxy)
    url = parsed.url
    return httpcore2.Proxy(
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        auth=parsed.raw_auth,
        headers=parsed.headers.raw,
        ssl_context=parsed.ssl_context,
    )
