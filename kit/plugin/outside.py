"""The address at which a client sees the plugin, written into the scope of its request: scheme, host, prefix and client.

So whatever makes an address has the right one: manifest and spec, redirects, `request.url_for`, `/docs`, the metadata of
OAuth. It is that of PUBLIC_URL, else what trusted proxies say (`kit.plugin.proxies`), else what was asked for.
"""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import Root
from kit.plugin.health import HEALTH_PATH, READY_PATH
from kit.plugin.proxies import HEADERS, Forwarded, Proxies, read
from kit.plugin.wellknown import route_path

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

ASKED = "kit.asked"  # in a scope: `Asked`, of a request whose address is written
_log = logging.getLogger("uvicorn.error")
_SAFE = "/:@!$&'()*+,;=~"  # what a path may hold as it is: RFC 3986, 3.3
_warned: set[str] = set()  # once in a process


class Asked(NamedTuple):
    """What is known of a request whose address is written: the hosts that it names, before PUBLIC_URL is written over
    them, and its prefix.
    """

    sent: bytes | None  # in its Host header
    host: str  # the same, or what a trusted proxy says that its client has sent
    prefix: str


class Outside:
    """Middleware: the outermost of a plugin. `proxies` are those of FORWARDED_ALLOW_IPS, `root_path` is ROOT_PATH.

    The path in the scope then has the prefix, whether the proxy took it away or not, as ASGI wants it. The prefix is as
    in a URL, with its %20, as uvicorn's own is: Starlette makes addresses of it as it is.
    """

    def __init__(self, app: ASGIApp, plugin: Plugin, proxies: Proxies, root_path: str) -> None:
        self.app = app
        self.plugin = plugin
        self.proxies = proxies
        inner = plugin._wrapped.root_path if plugin._wrapped is not None else ""
        self.root_path = root_path or plugin.root_path.rstrip("/") or inner.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            self._write(scope)
        await self.app(scope, receive, send)

    def _write(self, scope: Scope) -> None:
        if (asked := scope.get(ASKED)) is None:
            said = self._said(scope)
        else:  # within another plugin, or a call of an MCP client's request: the proxies' part is done
            said = Forwarded()
            if self.plugin.root_path:  # which FastAPI has written over the prefix
                scope["root_path"] = asked.prefix
        public = _parts(self.plugin.public_url) if self.plugin.public_url else None
        scheme, host = (public.scheme, public.host) if public else (said.scheme, said.host)
        if scheme:
            scope["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")
        if host:
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", host.encode("latin-1")), *others]
        if said.client:
            scope["client"] = said.client
        if public or (asked is None and (said.prefix or self.root_path)):
            self._place(scope, public, said.prefix, asked is None)
        if asked is None:
            scope[ASKED] = scope[ASKED]._replace(prefix=scope.get("root_path", ""))

    # -- what proxies say -----------------------------------------------------

    def _said(self, scope: Scope) -> Forwarded:
        """What is known from trusted proxies. The scope gets `ASKED`."""
        sent, found = None, dict[bytes, list[str]]()
        for name, value in scope["headers"]:
            if name == b"host":
                sent = value
            elif name in HEADERS:
                found.setdefault(name, []).append(value.decode("latin-1"))
        said, host = Forwarded(), (sent or b"").decode("latin-1")
        if found and self._trusts(scope.get("client")):
            said = read(found, self.proxies)
        elif found:
            self._warn(scope["client"], found, host, scope)
        scope[ASKED] = Asked(sent, said.host or host, "")
        return said

    def _trusts(self, client: tuple[str, int] | None) -> bool:
        if client is None or client[0] in self.proxies:
            return True  # None: a Unix socket, whose permissions say who may connect
        # Port 0 is no connection's: uvicorn alone has put a client there that a proxy names which it trusts
        return client[0] == "testclient" or (client[1] == 0 and "uvicorn" in sys.modules)

    def _warn(self, client: tuple[str, int], found: dict[bytes, list[str]], host: str, scope: Scope) -> None:
        """Tells once of headers that are not believed, if they would change anything."""
        if _warned or client[1] == 0:  # nor what mangum makes of an event: that has the client of the gateway
            return
        said = read(found, self.proxies)
        own = scope["scheme"].replace("ws", "http")
        if said.scheme in ("", own) and said.host in ("", host) and not said.client and not said.prefix:
            return
        _warned.add(client[0])
        names = ", ".join(sorted(name.decode().title() for name in found))
        _log.warning(
            "%s sends %s, and is no trusted proxy: this is not believed, and addresses begin with %s://%s. "
            "If it is your proxy, set FORWARDED_ALLOW_IPS=%s, or to its network; PUBLIC_URL sets the address itself.",
            client[0], names, own, host if len(host) < 100 else "...", client[0],
        )  # fmt: skip

    # -- the path -------------------------------------------------------------

    def _place(self, scope: Scope, public: _Public | None, said: str, is_outermost: bool) -> None:
        """Writes `root_path` and `path`. `said` is what a proxy says that it took from the path."""
        rest, root = route_path(scope), scope.get("root_path", "")
        if is_outermost and self.plugin.root_path:  # nobody has looked yet whether the path has it
            rest = scope["path"]
        server = scope.get("app_root_path", root)  # the rest of `root` is where the plugin is mounted
        mount = root.removeprefix(server)
        if public is None:
            outer = self.root_path or said
        else:
            outer, mount = public.path.removesuffix(mount), mount if public.path.endswith(mount) else ""
        prefix = outer + mount
        shown = unquote(prefix)
        if is_outermost and _is_below(rest, shown) and self._is_kept(scope, rest, rest[len(shown) :]):
            rest = rest[len(shown) :]
        rest = rest or "/"
        if "raw_path" in scope:
            scope["raw_path"] = f"{prefix}{quote(rest, safe=_SAFE)}".encode()
        scope["path"], scope["root_path"] = prefix + rest, prefix
        if "app_root_path" in scope:
            scope["app_root_path"] = outer

    def _is_kept(self, scope: Scope, whole: str, rest: str) -> bool:
        """Whether a path that begins with the prefix has it from a proxy that keeps it.

        If not, it is the plugin's own path that begins so: `/todos` of a plugin at https://example.com/todos. That is the
        case if only the whole of it leads somewhere.
        """
        return self._leads(scope, rest) or not self._leads(scope, whole)

    def _leads(self, scope: Scope, path: str) -> bool:
        """Whether the plugin serves the path, or the same with or without a slash at its end, to which Starlette leads."""
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        return path != "" and (self._serves(scope, path) or self._serves(scope, other))

    def _serves(self, scope: Scope, path: str) -> bool:
        plugin, probe = self.plugin, {**scope, "path": path, "root_path": ""}
        if path in plugin._pages or path in plugin.extensions or path in (HEALTH_PATH, READY_PATH):
            return True
        if path == "/" and plugin._wrapped is None:
            return True  # the front page
        apps = [app for app in (plugin, plugin._wrapped) if app is not None]
        return any(route.matches(probe)[0] is not Match.NONE for app in apps for route in app.routes)


class _Public(NamedTuple):
    scheme: str
    host: str  # as in a Host header
    path: str


@lru_cache(16)
def _parts(public_url: str) -> _Public:
    parts, root = urlsplit(public_url), Root.of(public_url)
    host = f"[{root.host}]" if ":" in root.host else root.host
    host = f"{host}:{root.port}" if root.port else host
    return _Public(root.scheme, host, parts.path.rstrip("/"))


def _is_below(path: str, prefix: str) -> bool:
    return bool(prefix) and f"{path}/".startswith(f"{prefix}/")
