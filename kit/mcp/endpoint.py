"""The MCP endpoint: a plugin at `/mcp` over streamable HTTP, or on stdio, in both eras of the protocol.

One that is served in this process answers by its operations as they are now, in its server's own loop.
`kit.mcp.server` is imported with the first request: a plugin that nobody asks for MCP starts sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import LOCAL_NAMES
from kit.errors import KitError

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from kit.client.installed import InstalledPlugin
    from kit.plugin.app import Plugin

PATH = "/mcp"


def make_app(plugin: InstalledPlugin, origins: Collection[str] = ()) -> ASGIApp:
    """An ASGI app that serves the plugin at `/mcp` over streamable HTTP. It needs no lifespan.

    `origins` are the pages that may call it, beside those of this machine. Raises `KitError` where the
    `mcp` package is missing or too old.
    """
    from kit.mcp.server import make_server

    server = make_server(plugin)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = _refused(scope, origins)
        if scope["path"].rstrip("/") != PATH:
            refusal = _refusal(404, f"There is nothing at {scope['path']}: the MCP server is at {PATH}.")
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await _answer(server, scope, receive, send)

    return app


async def _answer(server: Server[Any], scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one POST, of either era. Nothing is kept: the task group of a request ends with it."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    async with manager.run():
        await manager.handle_request(scope, receive, send)


def _refused(scope: Scope, origins: Collection[str]) -> JSONResponse | None:
    """Refuses foreign origins, as the protocol requires, and methods other than POST.

    A GET would open a stream for what a server says of its own accord. A plugin says nothing.
    """
    origin = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"origin"), None)
    if origin is not None and not _is_allowed(origin, scope, origins):
        return _refusal(403, f"Pages of {origin} may not call this MCP server.")
    if scope["method"] != "POST":
        return _refusal(405, "This is an MCP server. A client of the protocol calls it by POST.")
    return None


def _is_allowed(origin: str, scope: Scope, origins: Collection[str]) -> bool:
    """Whether a page may call. The Host header says nothing here: with DNS rebinding it is the page's own."""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    own = (scope.get("server") or ("",))[0]
    return origin in origins or (host is not None and host in (*LOCAL_NAMES, own))


def _refusal(status: int, message: str) -> JSONResponse:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    return JSONResponse(error, status, {"Allow": "POST"} if status == 405 else None)


class Endpoint:
    """`/mcp` of a plugin that is being served: its operations as they are now, called in its own loop."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._state: tuple[Any, ...] = ()
        self._server: Server[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        public = urlsplit(self._plugin.public_url or "")
        origins = (*self._plugin._cors_origins, f"{public.scheme}://{public.netloc}")
        refusal = _refused(scope, origins)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if self._server is None:
            from kit.mcp.server import import_package

            try:
                # In a thread: it takes a second, in which the plugin's other requests go on.
                await asyncio.to_thread(import_package)
            except KitError as error:
                await JSONResponse({"error": error.problem, "remedy": error.remedy}, 501)(
                    scope, receive, send
                )
                return
        await _answer(self._current(), scope, receive, send)

    def _current(self) -> Server[Any]:
        from kit.mcp.server import make_inner_server

        # Asking for the document is what notices a changed operation or a redefined model.
        plugin = self._plugin
        state = (plugin.openapi(), plugin.manifest, plugin.manifest.revision)
        if self._server is None or any(a is not b for a, b in zip(state, self._state, strict=True)):
            self._state, self._server = state, make_inner_server(plugin)
        return self._server


def add_mcp(plugin: Plugin) -> None:
    """Gives the plugin its endpoint at `/mcp`; what the author has put there stays."""
    plugin.extensions.setdefault(PATH, Endpoint(plugin))
