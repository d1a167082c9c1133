"""Which names a server answers to, and which pages of a browser may call it: one layer, which reads the headers once.

A server that only this machine reaches protects itself from the pages that its user visits. Such a page can give its
own name the address 127.0.0.1 (DNS rebinding), and send what a form sends. So only names of this machine are answered,
as by Jupyter and Vite (a number, or a name without a dot, is no name of a page in the internet), and no page of another
site changes anything unless CORS admits it. Programs send neither `Origin` nor `Sec-Fetch-Site`, and are not concerned.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import sockets
from kit.addresses import host_of, is_public_name, is_this_machine
from kit.jupyter import browser_hosts
from kit.plugin.outside import ASKED, Asked
from kit.plugin.problems import Problem
from kit.plugin.wellknown import base_url

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

_READ = frozenset((b"origin", b"sec-fetch-site", b"content-type"))
# What a page can send to another site without the browser asking first (fetch.spec.whatwg.org, CORS-safelisted)
_UNASKED = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
_SAFE = ("GET", "HEAD", "OPTIONS")
EXPOSED = ("Mcp-Session-Id", "WWW-Authenticate", "X-Request-ID")  # headers that an admitted page may read


class Admission:
    """Middleware: hosts, CORS, and writes of other sites. `hosts` are those of ALLOWED_HOSTS; empty if it is not set.

    The name is the one that the client asked for: behind a trusted proxy, the one that the proxy names, which Starlette's
    TrustedHostMiddleware ignores. What the author's own CORS admits is admitted.
    """

    def __init__(self, app: ASGIApp, plugin: Plugin, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.plugin = plugin
        self.names = frozenset(hosts)
        self.endings = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._local: set[bytes] = set()  # the Host headers of this machine that were seen
        self._cors = CORSMiddleware(
            app,
            allow_origins=plugin._cors_origins,
            allow_methods=["*"],
            # "*" makes Starlette answer with the requested names, which browsers require for
            # Authorization and which covers ChatGPT's own openai-* headers.
            allow_headers=["*"],
            expose_headers=EXPOSED,
            # Chromium before 2025 requires this in the preflight of a page that calls localhost.
            allow_private_network=True,
        )
        apps = [it for it in (plugin, plugin._wrapped) if it is not None]
        layers: list[Any] = [layer for it in apps for layer in it.user_middleware]
        self._authors: list[CORSMiddleware] = [
            layer.cls(app, *layer.args, **layer.kwargs)
            for layer in layers
            if isinstance(layer.cls, type) and issubclass(layer.cls, CORSMiddleware)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] in ("http", "websocket"):
            found = {name: value for name, value in scope["headers"] if name in _READ}
            if b"origin" in found and self.plugin._extension(scope):
                app = self._in_cors(found, scope)  # `/mcp` itself refuses pages, in the form of its protocol
            elif not self._answers_to(scope[ASKED], scope):
                words = "This server does not answer for that host name. (The server's ALLOWED_HOSTS)"
                app = Problem(400, words)
            elif b"origin" in found or found.get(b"sec-fetch-site") == b"cross-site":
                app = self._refusal(found, scope) or self._in_cors(found, scope)
        await app(scope, receive, send)

    # -- names ----------------------------------------------------------------

    def _answers_to(self, asked: Asked, scope: Scope) -> bool:
        sent = asked.sent
        if self.names:
            host = host_of(f"//{asked.host}")
            if "*" in self.names or host in self.names or host.endswith(self.endings):
                return True
        elif sent is None or sent in self._local or not _came_from_here(scope):
            return True  # a browser always sends Host
        if not is_local_server(self.plugin, scope):
            return not self.names
        # the header itself: what a proxy would name (X-Forwarded-Host), a page may send too
        host = host_of(f"//{(sent or b'').decode('latin-1')}")
        if is_this_machine(host) or not is_public_name(host):
            if len(self._local) < 64:
                self._local.add(sent or b"")
            return True
        proxies = browser_hosts((scope["server"] or ("", 0))[1] or 0)
        return "*" in proxies or host in proxies

    # -- pages ----------------------------------------------------------------

    def _in_cors(self, found: dict[bytes, bytes], scope: Scope) -> ASGIApp:
        """The app, inside CORS if that admits the page. Every other origin is left to the author."""
        origin = found.get(b"origin", b"").decode("latin-1")
        if scope["type"] != "http" or not admits(self.plugin, origin, scope):
            return self.app
        cors = copy.copy(self._cors)
        cors.allow_origins = [origin]
        return cors

    def _refusal(self, found: dict[bytes, bytes], scope: Scope) -> Problem | None:
        """What a page of another site gets that would change something, or open a WebSocket here."""
        origin, site = found.get(b"origin", b"").decode("latin-1"), found.get(b"sec-fetch-site")
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        own = host_of(base_url(scope))
        is_foreign = site == b"cross-site" if site else host_of(origin) != own
        kind = found.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        is_unasked = scope["type"] == "http" and scope["method"] == "POST" and kind in _UNASKED
        # Elsewhere the browser has asked first, and whoever answered it has decided.
        if not is_foreign or not (is_unasked or is_local_server(self.plugin, scope)):
            return None
        if admits(self.plugin, origin, scope) or any(it.is_allowed_origin(origin) for it in self._authors):
            return None
        page = f"A page of {origin}" if origin else "A page of another site"
        return Problem(403, f"{page} may not call this server. (The plugin's cors_origins)")


def is_local_server(plugin: Plugin, scope: Scope) -> bool:
    """Whether only this machine reaches the server of this request, and the plugin has no public address."""
    public = plugin.public_url
    if public and not is_this_machine(host_of(public)):
        return False
    return _came_from_here(scope) and sockets.is_for_this_machine(scope["server"])


def admits(plugin: Plugin, origin: str, scope: Scope) -> bool:
    """Whether pages of `origin` may call: those of `cors_origins`, and at a local server those of this machine."""
    if origin in plugin._cors_origins or "*" in plugin._cors_origins:
        return True
    return is_this_machine(host_of(origin)) and is_local_server(plugin, scope)


def _came_from_here(scope: Scope) -> bool:
    """Whether the connection arrived at an address that only this machine has."""
    server = scope.get("server")
    return bool(server and server[1] and server[0].startswith(("127.", "::1", "::ffff:127.")))
