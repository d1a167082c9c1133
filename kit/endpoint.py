"""The MCP endpoint: a plugin at `/mcp` over streamable HTTP, or on stdio, in both eras of the protocol.

One that is served in this process answers by its operations as they are now, in its server's own loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import LOCAL_NAMES, Root
from kit.client import Transport
from kit.errors import KitError
from kit.hosts.mcp import import_package, make_server
from kit.installed import CallResult, InstalledPlugin
from kit.targets import is_target

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from kit.plugin import Plugin

PATH = "/mcp"


def make_app(plugin: InstalledPlugin, origins: Collection[str] = ()) -> ASGIApp:
    """An ASGI app that serves the plugin at `/mcp` over streamable HTTP. It needs no lifespan.

    `origins` are the pages that may call it, beside those of this machine. Raises `KitError` where the
    `mcp` package is missing or too old.
    """
    server = make_server(plugin)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].rstrip("/") != PATH:
            await _refuse(send, 404, f"There is nothing at {scope['path']}: the MCP server is at {PATH}.")
        elif not await _is_refused(scope, send, origins):
            await _answer(server, scope, receive, send)

    return app


async def _answer(server: Server[Any], scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one POST, of either era. Nothing is kept: the task group of a request ends with it."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    async with manager.run():
        await manager.handle_request(scope, receive, send)


async def _is_refused(scope: Scope, send: Send, origins: Collection[str]) -> bool:
    """Refuses strangers' pages, which the protocol demands, and what is no POST.

    A GET would open a stream for what a server says of its own accord. A plugin says nothing.
    """
    origin = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"origin"), None)
    if origin is not None and not _is_allowed(origin, scope, origins):
        await _refuse(send, 403, f"Pages of {origin} may not call this MCP server.")
    elif scope["method"] != "POST":
        await _refuse(send, 405, "This is an MCP server. A client of the protocol calls it by POST.")
    else:
        return False
    return True


def _is_allowed(origin: str, scope: Scope, origins: Collection[str]) -> bool:
    """Whether a page may call. The Host header says nothing here: with DNS rebinding it is the page's own."""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    own = (scope.get("server") or ("",))[0]
    return origin in origins or (host is not None and host in (*LOCAL_NAMES, own))


async def _refuse(send: Send, status: int, message: str) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    body = json.dumps(error).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"allow", b"POST")] if status == 405 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Endpoint:
    """`/mcp` of a plugin that is being served: its operations as they are now, called in its own loop."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._state: tuple[Any, ...] = ()
        self._server: Server[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        public = urlsplit(self._plugin.public_url or "")
        origins = (*self._plugin._cors_origins, f"{public.scheme}://{public.netloc}")
        if await _is_refused(scope, send, origins):
            return
        if self._server is None:
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
        # Asking for the document is what notices a changed operation or a redefined model.
        plugin = self._plugin
        state = (plugin.openapi(), plugin.manifest, plugin.manifest.revision)
        if self._server is None or any(a is not b for a, b in zip(state, self._state, strict=True)):
            base = f"http://{plugin.manifest.name_for_model}.in-process".replace("_", "-")
            installed = InstalledPlugin(plugin.manifest, plugin.spec, base, Transport(Root.of(base)))

            async def call(name: str, arguments: dict[str, Any], request: Any) -> CallResult:
                inside = Transport(installed.transport.root, _inside(plugin, request.scope), is_running=True)
                return await installed.invoke(installed.tool(name), arguments, inside)

            self._state, self._server = state, make_server(installed, call)
        return self._server


def _inside(plugin: Plugin, outer: Scope) -> ASGIApp:
    """The plugin, called with what belongs to the MCP request: who asks where, and what the lifespan gave."""
    own = {key: outer[key] for key in ("client", "server", "scheme", "state", "root_path") if key in outer}
    handed_on = [item for item in outer["headers"] if item[0] in (b"host", b"authorization")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [item for item in scope["headers"] if item[0] != b"host"] + handed_on
        path = own.get("root_path", "") + scope["path"]
        try:
            await plugin({**scope, **own, "path": path, "headers": headers}, receive, send)
        except Exception:
            # The answer of status 500 has been sent. The traceback goes where uvicorn's go.
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
            raise

    return app


def serve_stdio(load: Callable[[], InstalledPlugin]) -> None:
    """Serves the plugin that `load` gives on stdin and stdout until stdin ends.

    From here on, nothing but the protocol reaches stdout: what the plugin prints, its children and the
    interpreter as it ends included, goes to stderr.
    """
    import anyio
    from mcp.server.stdio import stdio_server

    wire = TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    # Python's own Ctrl+C would wait for the thread that reads stdin, until there is one more line.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log is read while it grows
    server = make_server(load())

    async def run() -> None:
        async with stdio_server(stdout=anyio.wrap_file(wire)) as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    asyncio.run(run())


def entry(name: str, source: str, url: str | None = None, with_token: bool = False) -> dict[str, Any]:
    """What `mcp.json` of Claude, Cursor and VS Code says of the server (VS Code: `servers` as the key).

    With `url`, the address of the running server; else the command by which the host starts it, in
    which a file is named in full, since a host starts it anywhere. A token is not written down.
    """
    if url is not None:
        return {"mcpServers": {name: {"type": "http", "url": url}}}
    where, colon, rest = source.rpartition(":") if ":" in source[2:] else (source, "", "")
    if Path(where).is_file():
        source = f"{Path(where).resolve()}{colon}{rest}"
    started: dict[str, Any] = {"command": "kit", "args": ["mcp", source]}
    if with_token:
        started["env"] = {"KIT_TOKEN": "YOUR_TOKEN"}
    if not Path(where).is_file() and is_target(source):
        started["cwd"] = os.getcwd()  # where the module is found
    return {"mcpServers": {name: started}}
