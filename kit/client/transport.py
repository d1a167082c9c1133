"""The HTTP client behind install and call, with limits on size, time and reach.

`Transport` reaches one plugin, with a cookie jar of its own. Its connections are all on the kit's background loop: over
the network, bypassing any proxy (for this machine), or directly into an app of this process.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import finalize

from kit import sockets, traces
from kit.addresses import Root, host_of, is_private, joined, origin
from kit.client.answers import ENCODINGS, Answer, Undecodable, known_charset, read_body
from kit.errors import InstallError, KitError
from kit.plugin.lifespan import LifespanFailed, LifespanManager
from kit.redaction import hide
from kit.visible import encodable

if TYPE_CHECKING:
    import httpx2
    from starlette.types import ASGIApp

    from kit.client.proof import Proof

FETCH_TIMEOUT = 15.0  # seconds, manifest and spec: ChatGPT plugins
MAX_DOCUMENT = 32_000_000  # bytes; the largest known public spec has 7 million
MAX_REDIRECTS = 5
MAX_SHOWN = 200  # characters of an address in a message

_HARMLESS = ("accept", "content-type")  # headers that may go to another host: they carry no token
_AGENT = {"User-Agent": "notebook-plugin-kit", "Accept-Encoding": ", ".join(ENCODINGS)}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, 5.5: no value of a header has them

Headers = Sequence[tuple[str, str]]


@dataclass
class _Request:
    """A request under way. Its headers are bytes: httpx2 wants names as bytes where the values are."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    content: bytes | None
    files: list[Any] | None
    proof: Proof | None = None  # who calls: it goes only to where it belongs

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
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that of the client
        self._starting = asyncio.Lock()

    async def fetch(self, url: str) -> Answer:
        """A manifest or spec: only allowed redirects, 15 s in all, whole. Raises `InstallError`."""
        start = time.perf_counter()
        try:
            answer = await self.send("GET", url, limit=MAX_DOCUMENT, timeout=FETCH_TIMEOUT)
        except TimeoutError:
            raise InstallError(
                f"{_shown(url)} did not answer within {FETCH_TIMEOUT:.0f} s.",
                "Is the server busy or stuck?",
                source=url,
            ) from None
        if answer.refused:
            raise InstallError(
                answer.refused, "Install the plugin from that address, if you trust it.", source=url
            )
        if answer.broken and answer.status == 200:
            raise InstallError(
                f"{_shown(answer.url)} began to answer with {answer.status}, but failed after "
                f"{len(answer.content):,} bytes of the body: {answer.broken}.",
                "Did the server stop just then? Its own output will say more.",
                source=url,
            )
        if self._on_document:
            self._on_document(answer, time.perf_counter() - start)
        return answer

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = (),
        content: bytes | None = None,
        files: list[Any] | None = None,
        limit: int,
        timeout: float | None = None,
        proof: Proof | None = None,
        follow: bool = True,
    ) -> Answer:
        """One request; redirects are followed within the plugin's own domain, unless `follow` is false.

        `proof` is who calls: it goes to its own origin only, and is in no URL that is shown. `timeout` is in seconds, for all of
        it; an answer that had begun by then, or whose connection broke, is cut and says so. Raises `InstallError` and, if
        nothing came in time, `TimeoutError`.
        """
        request = _Request(method, url, list(headers), content, files, proof)
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        start = Root.of(url)
        for _ in range(MAX_REDIRECTS + 1):
            async with asyncio.timeout_at(deadline):
                response = await self._answer(request)
            try:
                target = self._target(response, request.url) if follow else None
                if target and _covers(start, target):
                    request.follow(response.status_code, target)
                    continue
                return await self._read(response, request.url, limit, target, deadline)
            finally:
                await response.aclose()
        raise InstallError(
            f"{_shown(request.url)} redirects more than {MAX_REDIRECTS} times.",
            "Fix the server.",
            source=request.url,
        )

    async def _read(
        self, response: httpx2.Response, url: str, limit: int, target: str | None, deadline: float | None
    ) -> Answer:
        answer = Answer(
            status=response.status_code,
            content=b"",
            media_type=encodable(response.headers.get("content-type", "")),
            url=url,
            charset=known_charset(response.charset_encoding),
            headers=encodable([list(it) for it in response.headers.multi_items()]),
        )
        if target:
            answer.refused = (
                f"{_shown(url)} redirects to {_shown(target)}, which is not below {Root.of(url).place}."
            )
        try:
            await read_body(answer, response, limit, deadline)
        except Undecodable as error:
            raise InstallError(
                f"{_shown(url)} began to answer with {response.status_code}, but failed after "
                f"{len(answer.content):,} bytes of the body: {error}.",
                "The server has to be mended: what it sends is not what its Content-Encoding says.",
                source=url,
            ) from None
        return answer

    async def _answer(self, request: _Request) -> httpx2.Response:
        """The answer, its body not yet read. Raises `InstallError`."""
        client = await self._client_here()
        from kit.client.network import FAILURES, GUARDED, MAX_HEAD, HeadTooLong, NotPublic

        url, address, headers = request.url, request.url, request.headers
        if request.proof and request.proof.belongs_to(url):
            address, headers = request.proof.added_to(url), request.proof.joined_with(headers)
        address = _rebased(address, self._public, self._local)
        own_trace = {name.lower() for name, _ in headers}
        headers = [*headers, *(it for it in traces.carried() if it[0] not in own_trace)]
        is_own = self.root.is_own or _rebased(url, self._public, self._local) != url
        encoded = [_encoded(*header) for header in headers]
        cookies = [value for name, value in encoded if name.lower() == b"cookie"]
        try:
            built = client.build_request(
                request.method,
                address,
                headers=[header for header in encoded if header[0].lower() != b"cookie"],
                content=request.content,
                files=request.files,
                extensions={GUARDED: not is_own},
            )
            if cookies:  # a jar adds nothing to a header that is there already
                kept = built.headers.get("cookie")
                built.headers["cookie"] = "; ".join(
                    [*(value.decode("latin-1") for value in cookies), *([kept] if kept else [])]
                )
            return await client.send(built, stream=True)
        except NotPublic as error:
            where = f"leads to {error.address}, which" if error.address != error.host else "has a host that"
            raise InstallError(
                f"{_shown(url)} {where} is in a private network or reserved.",
                "A public plugin may not reach it. If it is your own, install it by that address.",
                source=url,
            ) from None
        except HeadTooLong:
            raise InstallError(
                f"{_shown(url)} cannot be read: it sends more than {MAX_HEAD:,} bytes before the body of its answer.",
                "Fix the server: its headers, or its 1xx answers, have no end.",
                source=url,
            ) from None
        except (*FAILURES, ValueError, ImportError) as error:
            if served := is_own and sockets.stopped.get(urlsplit(address).port or 0):
                raise InstallError(
                    f"{_shown(url)} cannot be reached: the server of {served} was stopped.",
                    "Serve it again: server = kit.serve(plugin).",
                    source=url,
                ) from None
            raise InstallError(
                f"{_shown(url)} cannot be reached: {_reason(error)}.", _reach_remedy(url), source=url
            ) from error

    def _target(self, response: httpx2.Response, url: str) -> str | None:
        """Where a redirect leads; None for any other answer."""
        location = response.headers.get("location")
        if response.status_code not in (301, 302, 303, 307, 308) or not location:
            return None
        return _rebased(joined(url, location), self._local, self._public)

    async def _client_here(self) -> httpx2.AsyncClient:
        """This plugin's client on the running loop. Its cookies are no other plugin's."""
        import httpx2

        running = asyncio.get_running_loop()
        if self._app is not None:
            running = self._loop or running  # its lifespan runs once
        if self._client is not None and self._loop is running:
            return self._client
        from kit.client.cookies import Jar
        from kit.client.network import network

        async with self._starting:
            if self._client is None or self._loop is not running:
                transport = network() if self._app is None else await self._into(self._app)
                # Callers set the timeout: one for the whole exchange, not for each of its steps.
                jar = self._client.cookies.jar if self._client else Jar()
                self._client = httpx2.AsyncClient(
                    timeout=None, transport=transport, headers=_AGENT, cookies=jar
                )
                self._loop = running
            return self._client

    async def _into(self, app: ASGIApp) -> httpx2.ASGITransport:
        """The way into an app in this process, whose lifespan must run first, as a server would do it."""
        import httpx2

        if self._is_running:
            return httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        manager = LifespanManager(app)
        try:
            await manager.startup()
        except LifespanFailed as error:
            raise KitError(f"The plugin did not start: {error}", "Fix its lifespan.") from None
        finalize(self, _shut_down, asyncio.get_running_loop(), manager)
        return httpx2.ASGITransport(app=manager, raise_app_exceptions=False)


def _covers(origin: Root, target: str) -> bool:
    try:
        return origin.covers(target)
    except InstallError:
        return False


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


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """A header's bytes. Raises `InstallError` for one that HTTP cannot carry, without its value: it may be a secret."""
    name, value = encodable(name), encodable(value)
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError:
        data = value.encode()
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):  # RFC 9110, 5.6.2
        raise KitError(f"{name[:MAX_SHOWN]!r} is no name of a header.", "HTTP allows letters, digits and -.")
    if _CONTROL.search(data):
        raise KitError(
            f"The header {name} cannot be sent: its value has a line break or another control character in it.",
            "Give the value without it.",
        )
    return name.encode(), data.strip(b" \t")


def _shown(url: str) -> str:
    """An address in a message: without secrets, and not longer than can be read."""
    text = str(hide(encodable(url)))
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(url):,} characters)"


def _reason(error: Exception) -> str:
    return str(error).rstrip(".")[:MAX_SHOWN] or type(error).__name__


def _reach_remedy(url: str) -> str:
    if is_private(host_of(url)):
        return "Is the server running, and on that port? In a notebook: kit.serve(plugin)."
    return "Check the address and the connection."
