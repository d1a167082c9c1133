"""`serve`: a real uvicorn server in its own thread, so that cells can call it and go on."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI

from kit import jupyter, sockets
from kit.addresses import LOCAL_NAMES, Root, checked, choose_server, host_of
from kit.jupyter import Frame, browser_url
from kit.manifest import MANIFEST_PATH, SPEC_PATH, Manifest
from kit.markup import box, escape, link, logo_image
from kit.mcp.endpoint import add_mcp
from kit.openapi.spec import Spec
from kit.plugin.app import Plugin
from kit.plugin.guard import protection, require_protection
from kit.plugin.lifespan import LifespanFailed
from kit.plugin.requestlog import RequestLog, RequestRecorder
from kit.server.swap import SwappableApp
from kit.server.thread import GRACE, START_TIMEOUT, ServerThread, did_not_start, lifespan_failed
from kit.visible import visible, visible_line

if TYPE_CHECKING:
    from kit.sockets import Tunnel


_log = logging.getLogger("uvicorn.error")
_servers: list[Server] = []
_lock = threading.RLock()


class Server:
    """A plugin that is being served: `.url` is its address on this machine, `.calls` the log of its requests.

    `.stop()` or the end of a `with` block stops it.
    """

    def __init__(self, plugin: Plugin, host: str, sock: socket.socket) -> None:
        self.plugin = plugin
        self.public_url: str | None = None
        self.notes: list[str] = []  # what one should know about a plugin that the internet can reach
        self._published: str | Tunnel | None = None
        self._unpublished: str | None = (
            None  # the plugin's own public_url, for when it is published no longer
        )
        self._tunnel = contextlib.ExitStack()
        self.host = host
        self.port: int = sock.getsockname()[1]
        self.calls = RequestLog(plugin.manifest.name_for_human)
        add_mcp(plugin)
        self._app = SwappableApp(plugin)
        self._thread = ServerThread(RequestRecorder(self._app, self.calls), sock)
        self._cell = jupyter.running_cell()  # the cell execution that started it

    @property
    def url(self) -> str:
        """Where programs on this machine reach the plugin, without a trailing slash."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared with, not listened on
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def manifest_url(self) -> str:
        return self.url + MANIFEST_PATH

    @property
    def spec_url(self) -> str:
        return self.url + SPEC_PATH

    @property
    def browser_url(self) -> str:
        """Where the user's browser, perhaps on another machine, reaches the plugin."""
        return self.plugin.public_url or browser_url(self.port) or self.url

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def stop(self, grace: float = GRACE) -> None:
        """Stops the server; requests that have reached it get `grace` seconds (0: no limit). A second call does nothing."""
        with _lock:
            if self in _servers:
                _servers.remove(self)
                sockets.stopped[self.port] = self.plugin.manifest.name_for_human
            self.plugin.followers.discard(self.follow)
            self._tunnel.close()
            self._thread.stop(grace)

    def frame(self, path: str = "/", height: int = 400) -> Any:
        """A page of the plugin as a cell's output: an IFrame with a link above."""
        return Frame(self.browser_url + quote(path, safe="/?&=#%"), self.port, height)

    def _start(self) -> None:
        self._thread.start()
        self.plugin.followers.add(self.follow)
        _servers.append(self)

    def _publish(self, public: str | Tunnel | None) -> None:
        """Publishes the plugin at a public address, or through a tunnel that makes one; None withdraws it."""
        if public == self._published:  # reopening a free tunnel would change its address
            return
        self._tunnel.close()
        if self.public_url and self.plugin.public_url == self.public_url:
            self.plugin.public_url = self._unpublished
        self._published = self.public_url = None
        self.notes = []
        if not public:
            return
        url = checked(public if isinstance(public, str) else self._tunnel.enter_context(public(self.port)))
        self._unpublished = self.plugin.public_url
        self._published = public
        self.public_url = self.plugin.public_url = url
        self.notes = notes(self.plugin, url)

    def follow(self, plugin: Plugin) -> None:
        """Serves another plugin instead, at the same address, without refusing a request.

        Requests under way finish in the old plugin. Raises `ServeError` if the new one does not start; the old
        one then goes on serving.
        """
        with _lock:
            require_protection(plugin, in_test=True)
            old, own_url = self.plugin, plugin.public_url
            if self.public_url:
                plugin.public_url = self.public_url
            add_mcp(plugin)
            try:
                self._thread.run(self._app.swap(plugin, GRACE), START_TIMEOUT)
            except (TimeoutError, LifespanFailed) as error:
                plugin.public_url = own_url
                still_serving = " The previous version is still served."
                if isinstance(error, TimeoutError):
                    raise did_not_start(still_serving) from None
                _log.error(error)  # as uvicorn logs it at a server's first start
                raise lifespan_failed(still_serving) from None
            self.plugin = plugin
            if self.public_url:
                self._unpublished = own_url
            old.followers.discard(self.follow)
            plugin.followers.add(self.follow)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        name = self.plugin.manifest.name_for_human
        public = f", and publicly at {self.public_url}" if self.public_url else ""
        state = f"{name} {'serves' if self.is_running else 'has stopped'} at {self.url}{public}"
        return visible("\n  ".join([visible_line(state), *self.notes]))

    def _repr_html_(self) -> str:
        name, base = self.plugin.manifest.name_for_human, self.browser_url
        state = "serves" if self.is_running else "has stopped"
        pages = {"manifest": MANIFEST_PATH, "spec": SPEC_PATH, "try it": "/docs"}
        links = " · ".join(f"{word}: {link(base + path, path)}" for word, path in pages.items())
        notes = "".join(f"<br>{escape(note)}" for note in self.notes)
        return box(f"{logo_image(name)}<b>{escape(name)}</b> {state} at {link(base)}<br>{links}{notes}")


def serve(
    plugin: Plugin | FastAPI,
    port: int | None = None,
    *,
    host: str = "127.0.0.1",
    public_url: str | Tunnel | None = None,
) -> Server:
    """Serves a plugin from this process and returns when it answers.

    Without `port` it takes any free one or, run again, the same one. `host` other than this machine is for
    containers: everyone who reaches it can call the plugin. `public_url` is the https address at which the
    internet reaches it and which the manifest names, or a tunnel that makes one, such as
    `kit.tunnels.cloudflared`; the plugin is then checked against the rules of the hosts at once, with the outcome
    in `.notes`. Run again without it, the plugin is no longer public. A FastAPI app that is not a plugin is
    wrapped. Raises `PortInUse`, `ServeError`, and `AuthError` for an auth
    that is declared and checked by nothing.
    """
    if not isinstance(plugin, Plugin):
        plugin = Plugin.wrap(plugin)
    require_protection(plugin, in_test=True)
    if isinstance(public_url, str) and public_url:
        checked(public_url)  # before anything starts
    with _lock:
        earlier = _earlier(plugin)
        if earlier and (port in (None, 0, earlier.port)) and earlier.host == host:
            if earlier.plugin is not plugin:
                earlier.follow(plugin)
            earlier._publish(public_url or None)
            return earlier
        server = Server(plugin, host, sockets.listen(host, port or 0))
        try:
            server._start()
            server._publish(public_url or None)
        except BaseException:
            server.stop()
            raise
        if earlier:
            earlier.stop()
        return server


def serving(plugin: Plugin) -> Server | None:
    """The running server of a plugin; None if it is not served from this process."""
    return next((server for server in reversed(_servers) if server.plugin is plugin), None)


def notes(plugin: Plugin, url: str) -> list[str]:
    """What one should know about a plugin before the internet reaches it at `url`, in sentences."""
    # Late, since they are slow to import and most servers are never public.
    from kit.description import Description
    from kit.hosts import DOCUMENTS, HOSTS, SELF_HOSTED, check_description

    if host_of(url) in LOCAL_NAMES:
        return []
    document = plugin.openapi()
    spec = Spec({**document, "servers": document.get("servers") or [{"url": url}]}, url + SPEC_PATH)
    base_url, _ = choose_server(spec.servers, spec.source, Root.of(url), strict=True)
    manifest = Manifest.read(plugin.manifest.render(url))
    description = Description(manifest, spec, base_url.rstrip("/"), serves_mcp=True)
    sentences = [
        protection(plugin)
        or "It has no auth: anyone who knows the address can call it. Plugin(auth=...) changes that."
    ]
    hosts = [DOCUMENTS, *(host for host in HOSTS if host not in SELF_HOSTED)]
    errors = Counter(finding.host for finding in check_description(description, *hosts).errors)
    if errors:
        counts = ", ".join(f"{host} {count}" for host, count in errors.items())
        sentences.append(f"It breaks rules of hosts: {counts}. kit.check(server) lists them.")
    return sentences


def _earlier(plugin: Plugin) -> Server | None:
    """The running server to reuse: that of the same plugin or, in a notebook, of one of the same name that another
    cell execution started."""
    cell = jupyter.running_cell()
    for server in reversed(_servers):
        if server.plugin is plugin:
            return server
        started_in = server._cell
        same_name = server.plugin.manifest.name_for_model == plugin.manifest.name_for_model
        if same_name and cell and started_in and started_in.execution != cell.execution:
            return server
    return None


def _holder(port: int) -> str | None:
    """Names the plugin that this process serves on a port."""
    names = [server.plugin.manifest.name_for_model for server in _servers if server.port == port]
    return f"the plugin {names[0]!r}, which this process serves" if names else None


sockets.holders.append(_holder)
