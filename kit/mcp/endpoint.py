"""The MCP endpoint: a plugin at `/mcp` over streamable HTTP, in both eras of the protocol.

A plugin served in this process answers with its current operations, on its server's own loop.
`kit.mcp.server` is imported at the first request, so that a plugin nobody uses over MCP starts sooner.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.addresses import host_of, is_this_machine
from kit.errors import KitError
from kit.plugin.admission import admits
from kit.plugin.wellknown import MCP_PATH

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from kit.client.installed import InstalledPlugin
    from kit.plugin.app import Plugin

PATH = MCP_PATH
ALLOW = "POST"


def make_app(plugin: InstalledPlugin, origins: Collection[str] = ()) -> ASGIApp:
    """An ASGI app that serves the plugin at `/mcp` over streamable HTTP. It needs no lifespan.

    `origins` are the origins of pages that may call it, besides this machine's. Raises `KitError` if the `mcp`
    package is missing or too old.
    """
    from kit.mcp.server import make_server

    server = make_server(plugin)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        rejection = _rejection(scope, lambda origin: origin in origins or _is_own(origin, scope))
        if scope["path"].rstrip("/") != PATH:
            rejection = _error_response(404, f"{scope['path']} does not exist: the MCP server is at {PATH}.")
        if rejection is not None:
            await rejection(scope, receive, send)
        else:
            await _answer(server, scope, receive, send)

    return app


async def _answer(server: Server[Any], scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one POST of either era. No state is kept: the task group of a request ends with it.

    The answer is JSON, or a stream of events if the client wants to be told about progress, which comes before it.
    """
    from mcp.server.streamable_http_manager import DEFAULT_MAX_REQUEST_BODY_SIZE, StreamableHTTPSessionManager

    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    streams = False
    if b"text/event-stream" in accepted:
        read, receive = await _read_ahead(receive, DEFAULT_MAX_REQUEST_BODY_SIZE)
        streams = b'"progressToken"' in read
    manager = StreamableHTTPSessionManager(server, json_response=not streams, stateless=True)
    async with manager.run():
        await manager.handle_request(scope, receive, send)


async def _read_ahead(receive: Receive, limit: int) -> tuple[bytes, Receive]:
    """The body, or as much of a longer one as shows that it is longer, and a `receive` that gives it once more."""
    messages: deque[Message] = deque()
    body = b""
    while len(body) <= limit:
        messages.append(message := await receive())
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return body, again


def _rejection(scope: Scope, admits: Callable[[str], bool]) -> Response | None:
    """Rejects foreign origins, as the protocol requires, and methods other than POST.

    A GET would open a stream for messages that the server initiates. A plugin sends none.
    """
    origin = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"origin"), None)
    if origin is not None and not admits(origin):
        return _error_response(403, f"Pages of {origin} may not call this MCP server.")
    if scope["method"] == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ALLOW})
    if scope["method"] != "POST":
        return _error_response(405, "This is an MCP server: MCP clients call it by POST.")
    return None


def _is_own(origin: str, scope: Scope) -> bool:
    """Whether a page is of this machine. The Host header proves nothing: with DNS rebinding it is the page's own."""
    host = host_of(origin)
    return host != "" and (is_this_machine(host) or host == (scope.get("server") or ("",))[0])


def _error_response(status: int, message: str) -> JSONResponse:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    return JSONResponse(error, status, {"Allow": ALLOW} if status == 405 else None)


class Endpoint:
    """`/mcp` of a served plugin: its current operations, called on its own loop."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._state: tuple[Any, ...] = ()
        self._server: Server[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plugin, public = self._plugin, urlsplit(self._plugin.public_url or "")
        own = f"{public.scheme}://{public.netloc}"
        rejection = _rejection(scope, lambda origin: origin == own or admits(plugin, origin, scope))
        if rejection is not None:
            await rejection(scope, receive, send)
            return
        if self._server is None:
            from kit.mcp.server import import_package

            try:
                # In a thread: it takes a second, during which the plugin's other requests go on.
                await asyncio.to_thread(import_package)
            except KitError as error:
                await JSONResponse({"error": error.problem, "remedy": error.remedy}, 501)(
                    scope, receive, send
                )
                return
        await _answer(self._current(), scope, receive, send)

    def _current(self) -> Server[Any]:
        from kit.mcp.server import make_local_server

        # Building the document detects a changed operation or a redefined model.
        plugin = self._plugin
        state = (plugin.openapi(), plugin.manifest, plugin.manifest.revision)
        if self._server is None or any(a is not b for a, b in zip(state, self._state, strict=True)):
            self._state, self._server = state, make_local_server(plugin)
        return self._server


def add_mcp(plugin: Plugin) -> None:
    """Adds the endpoint at `/mcp`, unless the author has put something there."""
    plugin.extensions.setdefault(PATH, Endpoint(plugin))
