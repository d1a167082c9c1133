"""The HTTP client behind install and call, with limits on size, time and reach.

`Transport` reaches one plugin. Its connections are all on the kit's background loop: over the network, bypassing any
proxy (for this machine), or directly into an app of this process.
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

from kit.addresses import Root, host_of, is_private, joined, origin
from kit.errors import InstallError, KitError
from kit.plugin.lifespan import LifespanFailed, LifespanManager

if TYPE_CHECKING:
    import httpx2
    from starlette.types import ASGIApp

    from kit.client.proof import Proof

FETCH_TIMEOUT = 15.0  # seconds, manifest and spec: ChatGPT plugins
MAX_DOCUMENT = 32_000_000  # bytes; the largest known public spec has 7 million
MAX_REDIRECTS = 5

_HARMLESS = ("accept", "content-type")  # headers that may go to another host: they carry no token
_AGENT = {"User-Agent": "notebook-plugin-kit"}
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, httpx2.AsyncClient]] = WeakKeyDictionary()


@dataclass
class Answer:
    """What a server sent: at most `limit` bytes, and whether that was all."""

    status: int
    content: bytes
    media_type: str
    url: str
    is_cut: bool = False
    length: int | None = None  # total bytes, if the server reports it


@dataclass
class _Request:
    """A request under way."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    content: bytes | None
    files: list[Any] | None
    proof: Proof | None = None  # who calls: it goes only to where it belongs

    @property
    def is_proven(self) -> bool:
        return self.proof is not None and self.proof.belongs_to(self.url)

    def follow(self, status: int, target: str) -> None:
        """Becomes what is sent to the target of a redirect."""
        target = self.proof.removed_from(target) if self.proof else target
        if origin(target) != origin(self.url):  # what an argument holds may be a secret too
            self.headers = [(name, value) for name, value in self.headers if name.lower() in _HARMLESS]
        self.url = target
        if status == 303 or (status < 303 and self.method == "POST"):
            self.method, self.content, self.files = "GET", None, None
            self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-type"]


class Transport:
    """How one plugin is reached: `root` is the address that the user gave, `app` an app of this process.

    `public` and `local` are two addresses of one plugin of this process: its documents name the first, and requests
    go to the second, whether or not the first works yet. `is_running`: a server already runs the lifespan of `app`.
    `on_document` is called with each fetched document and the seconds that it took.
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
        """A manifest or spec: only allowed redirects, 15 s in all. Raises `InstallError`."""
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
        proof: Proof | None = None,
        follow: bool = True,
    ) -> Answer:
        """One request. Redirects are followed within the plugin's own domain, unless `follow` is false.

        `proof` is who calls: it goes to its own origin only, and is in no URL that is shown.
        """
        client = self._client() if self._app is None else await self._client_into(self._app)
        request = _Request(method, url, list(headers or []), content, files, proof)
        start = Root.of(url)
        for _ in range(MAX_REDIRECTS + 1):
            await self._check_address(request.url)
            response = await self._answer(client, request)
            try:
                target = self._target(response, request.url) if follow else None
                if target and start.may_redirect_to(target):
                    request.follow(response.status_code, target)
                    continue
                if target and request.method == "GET" and not headers:
                    raise InstallError(
                        f"{request.url} redirects to {target}, which is not below {start.host}.",
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
        """The answer, its body not yet read."""
        import httpx2

        url, headers = request.url, request.headers
        if request.proof and request.is_proven:
            url = request.proof.added_to(url)
            headers = request.proof.joined_with(headers)
        try:
            built = client.build_request(
                request.method,
                _rebased(url, self._public, self._local),
                # httpx2 wants names as bytes where the values are
                headers=[(name.encode(), _header_bytes(value)) for name, value in headers],
                content=request.content,
                files=request.files,
            )
            return await client.send(built, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            url = request.url
            raise InstallError(
                f"{url} cannot be reached: {_reason(error)}.", _reach_remedy(url), source=url
            ) from error

    def _target(self, response: httpx2.Response, url: str) -> str | None:
        """Where a redirect leads; None for any other answer."""
        location = response.headers.get("location")
        if response.status_code not in (301, 302, 303, 307, 308) or not location:
            return None
        return _rebased(joined(url, location), self._local, self._public)

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        clients = _clients.setdefault(asyncio.get_running_loop(), {})
        is_local = self.root.is_own or bool(self._local)
        if is_local not in clients:
            # Callers set the timeout: one for the whole exchange, not for each of its steps.
            # A proxy from the environment must not see requests to this machine.
            clients[is_local] = httpx2.AsyncClient(timeout=None, trust_env=not is_local, headers=_AGENT)
        return clients[is_local]

    async def _client_into(self, app: ASGIApp) -> httpx2.AsyncClient:
        """The client of an app in this process, whose lifespan must run first, as a server would do it."""
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
        """A public plugin must not lead into a private network, by name or by IP address."""
        if self.root.is_own or self._app or _rebased(url, self._public, self._local) != url:
            return
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in self._checked:
            return
        addresses = {host}
        if not is_private(host):
            with contextlib.suppress(OSError):  # an unknown name: the request itself will report it
                infos = await asyncio.get_running_loop().getaddrinfo(host, parts.port or 443)
                addresses = {str(info[4][0]) for info in infos}
        for address in addresses:
            with contextlib.suppress(ValueError):
                if ip_address(address.split("%")[0]).is_global:
                    continue
                raise InstallError(
                    f"{url} leads to {address}, which is in a private network.",
                    "A public plugin may not reach it. If it is your own, install it by that address.",
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
            f"{url} began to answer with {response.status_code}, but failed after {len(content):,} bytes of the "
            f"body: {_reason(error)}.",
            "Did the server stop just then? Its own output will say more.",
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
    except RuntimeError:  # the loop was closed at exit
        ending.close()


def _rebased(url: str, base: str, other: str) -> str:
    """`url` with `base` replaced by `other`, if it is at or below `base`."""
    inside = base and (url == base or url.startswith((base + "/", base + "?")))
    return other + url[len(base) :] if inside else url


def _header_bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _reach_remedy(url: str) -> str:
    if is_private(host_of(url)):
        return "Is the server running, and on that port? In a notebook: kit.serve(plugin)."
    return "Check the address and the connection."
