"""The HTTP client behind install and call: bounded in size, time and reach.

`Transport` is how one plugin is reached. Its connections are all on the kit's background loop: over the network,
past any proxy (for this machine), or straight into an app in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, finalize

from kit.addresses import Root, is_private, joined
from kit.errors import InstallError, KitError
from kit.plugin.lifespan import LifespanFailed, LifespanManager

if TYPE_CHECKING:
    import httpx2
    from starlette.types import ASGIApp

FETCH_TIMEOUT = 15.0  # seconds, manifest and spec: ChatGPT plugins
MAX_DOCUMENT = 32_000_000  # bytes; the largest public spec known has 7 million
MAX_REDIRECTS = 5

_HARMLESS = (b"accept", b"content-type")  # headers that may go on to another host: no token is in them
_AGENT = {"User-Agent": "notebook-plugin-kit"}
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, httpx2.AsyncClient]] = WeakKeyDictionary()


@dataclass
class Answer:
    """What a server sent: at most `limit` bytes of it, and whether that was all."""

    status: int
    content: bytes
    media_type: str
    url: str
    is_cut: bool = False
    length: int | None = None  # bytes in all, where the server said so


@dataclass
class _Request:
    """A request under way. Its headers are bytes: httpx2 wants names as bytes where the values are."""

    method: str
    url: str
    headers: list[tuple[bytes, bytes]]
    content: bytes | None
    files: list[Any] | None

    def follow(self, status: int, target: str) -> None:
        """Becomes what is sent to the target of a redirect."""
        if urlsplit(target).netloc != urlsplit(self.url).netloc:  # a token is for one host
            self.headers = [(name, value) for name, value in self.headers if name.lower() in _HARMLESS]
        self.url = target
        if status == 303 or (status < 303 and self.method == "POST"):
            self.method, self.content, self.files = "GET", None, None
            self.headers = [(name, value) for name, value in self.headers if name.lower() != b"content-type"]


class Transport:
    """How one plugin is reached: `root` is the place the user named, `app` an app in this process.

    `public` and `local` are two addresses of one plugin of ours: its documents name the first, and it is
    reached at the second, whether or not the first is there yet. `is_running`: a server runs the lifespan
    of `app` already. `on_document` is called with each document that was fetched, with the seconds it took.
    """

    def __init__(
        self,
        root: Root,
        app: ASGIApp | None = None,
        public: str = "",
        local: str = "",
        is_running: bool = False,
        on_document: Callable[[Answer, float], None] | None = None,
    ) -> None:
        self.root = root
        self._on_document = on_document
        self._is_running = is_running
        self._public, self._local = public.rstrip("/"), local.rstrip("/")
        self._app = app
        self._inside: httpx2.AsyncClient | None = None  # the client that goes straight into `app`
        self._checked: set[str] = set()

    async def fetch(self, url: str) -> Answer:
        """A manifest or spec: redirects only as the rules allow, 15 s in all.

        Raises `InstallError` with the reason if it cannot be had.
        """
        start = time.perf_counter()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                answer = await self.send("GET", url, limit=MAX_DOCUMENT)
        except TimeoutError:
            raise InstallError(
                f"{url} did not answer within {FETCH_TIMEOUT:.0f} s.",
                "Is the server busy or stuck?",
                source=url,
            ) from None
        if self._on_document:
            self._on_document(answer, time.perf_counter() - start)
        return answer

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: list[tuple[str, str]] | None = None,
        content: bytes | None = None,
        files: list[Any] | None = None,
        limit: int,
    ) -> Answer:
        """One request, redirects followed where they stay on the plugin's own ground."""
        client = self._client() if self._app is None else await self._client_into(self._app)
        encoded = [(name.encode(), _header_bytes(value)) for name, value in headers or []]
        request = _Request(method, url, encoded, content, files)
        at = Root.of(url)
        for _ in range(MAX_REDIRECTS + 1):
            await self._check_address(request.url)
            response = await self._answer(client, request)
            try:
                target = self._target(response, request.url)
                if target and at.may_redirect_to(target):
                    request.follow(response.status_code, target)
                    continue
                if target and request.method == "GET" and not headers:
                    raise InstallError(
                        f"{request.url} sends on to {target}, which is not below {at.host}.",
                        "Install the plugin from that address, if you trust it.",
                        source=request.url,
                    )
                return await _read(response, request.url, limit)
            finally:
                await response.aclose()
        raise InstallError(
            f"{request.url} redirects more than {MAX_REDIRECTS} times.", "Fix the server.", source=request.url
        )

    async def _answer(self, client: httpx2.AsyncClient, request: _Request) -> httpx2.Response:
        """The beginning of the answer; its body is still to come."""
        import httpx2

        try:
            built = client.build_request(
                request.method,
                _moved(request.url, self._public, self._local),
                headers=request.headers,
                content=request.content,
                files=request.files,
            )
            return await client.send(built, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            url = request.url
            raise InstallError(
                f"{url} cannot be reached: {_said(error)}.", _is_it_running(url), source=url
            ) from error

    def _target(self, response: httpx2.Response, url: str) -> str | None:
        """Where a redirect leads; None for any other answer."""
        location = response.headers.get("location")
        if response.status_code not in (301, 302, 303, 307, 308) or not location:
            return None
        return _moved(joined(url, location), self._local, self._public)

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        clients = _clients.setdefault(asyncio.get_running_loop(), {})
        own = self.root.is_own or bool(self._local)
        if own not in clients:
            # Timeouts are the callers': one bound for the whole exchange, not for each of its steps.
            # A proxy of the environment must not see what goes to this machine.
            clients[own] = httpx2.AsyncClient(timeout=None, trust_env=not own, headers=_AGENT)
        return clients[own]

    async def _client_into(self, app: ASGIApp) -> httpx2.AsyncClient:
        """An app in this process needs its lifespan run, once; a server would have done it."""
        import httpx2

        if self._inside is None:
            manager = LifespanManager(app)
            transport = httpx2.ASGITransport(
                app=app if self._is_running else manager, raise_app_exceptions=False
            )
            self._inside = httpx2.AsyncClient(timeout=None, transport=transport, headers=_AGENT)
            if self._is_running:
                return self._inside
            try:
                await manager.startup()
            except LifespanFailed as error:
                self._inside = None
                raise KitError(f"The plugin did not start: {error}", "Fix its lifespan.") from None
            finalize(self, _shut_down, asyncio.get_running_loop(), manager)
        return self._inside

    async def _check_address(self, url: str) -> None:
        """A public plugin must not lead into a private network, by name or by number."""
        if self.root.is_own or self._app or _moved(url, self._public, self._local) != url:
            return
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in self._checked:
            return
        addresses = {host}
        if not is_private(host):
            with contextlib.suppress(OSError):  # no such name: the request itself will say so
                found = await asyncio.get_running_loop().getaddrinfo(host, parts.port or 443)
                addresses = {str(entry[4][0]) for entry in found}
        for address in addresses:
            with contextlib.suppress(ValueError):
                if ip_address(address.split("%")[0]).is_global:
                    continue
                raise InstallError(
                    f"{url} leads to {address}, which is in a private network.",
                    "A plugin from outside is not let in there. If it is your own, install it by that address.",
                    source=url,
                )
        self._checked.add(host)


async def _read(response: httpx2.Response, url: str, limit: int) -> Answer:
    import httpx2

    content = bytearray()
    is_cut = False
    try:
        chunks: AsyncIterator[bytes] = response.aiter_bytes()
        async for chunk in chunks:
            content += chunk
            if len(content) > limit:
                is_cut = True
                break
    except (httpx2.HTTPError, OSError) as error:
        raise InstallError(
            f"{url} began to answer with {response.status_code}, but after {len(content):,} bytes of the "
            f"body: {_said(error)}.",
            "Did the server end just then? What it prints itself will say more.",
            source=url,
        ) from error
    length = response.headers.get("content-length", "")
    return Answer(
        status=response.status_code,
        content=bytes(content[:limit]),
        media_type=response.headers.get("content-type", ""),
        url=url,
        is_cut=is_cut,
        length=int(length) if length.isdigit() and "content-encoding" not in response.headers else None,
    )


def _shut_down(running: asyncio.AbstractEventLoop, manager: LifespanManager) -> None:
    ending = manager.shutdown()
    try:
        asyncio.run_coroutine_threadsafe(ending, running)
    except RuntimeError:  # the loop is gone with its process
        ending.close()


def _moved(url: str, base: str, other: str) -> str:
    """`url` with `other` in place of `base`, where it is at or below that."""
    inside = base and (url == base or url.startswith((base + "/", base + "?")))
    return other + url[len(base) :] if inside else url


def _header_bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _said(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _is_it_running(url: str) -> str:
    if is_private(urlsplit(url).hostname or ""):
        return "Is the server running, and on that port? In a notebook: kit.serve(plugin)."
    return "Check the address and the connection."
