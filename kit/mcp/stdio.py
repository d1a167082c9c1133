"""A plugin as an MCP server on stdin and stdout, and its entry in a client's `mcp.json`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from kit.auth import Auth, NoAuth, OAuth
from kit.notebook.target import Target, absolute, is_target

if TYPE_CHECKING:
    from kit.client.installed import InstalledPlugin


def serve_stdio(load: Callable[[], InstalledPlugin]) -> None:
    """Serves the plugin that `load` returns, on stdin and stdout, until stdin ends.

    Only the protocol reaches stdout from here on: the output of the plugin, its child processes and the interpreter's
    shutdown goes to stderr.
    """
    import anyio
    from mcp.server.stdio import stdio_server

    from kit.mcp.server import make_server

    wire = TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    # Python's own handler would wait for the thread that reads stdin, which waits for a line.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log is followed while it grows
    server = make_server(load())

    async def run() -> None:
        async with stdio_server(stdout=anyio.wrap_file(wire)) as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    asyncio.run(run())


def entry(
    name: str, source: str, url: str | None = None, with_token: bool = False, auth: Auth | None = None
) -> dict[str, Any]:
    """The server's entry in `mcp.json` of Claude, Cursor and VS Code (there the key is `servers`).

    With `url`, the address of the running server; else the command by which the host starts it, with the
    absolute path of a file, since a host starts it in any folder. It never contains the token. `auth` is that of
    the running server: for OAuth the client signs in by itself.
    """
    if url is not None:
        server: dict[str, Any] = {"type": "http", "url": url}
        if auth is not None and not isinstance(auth, NoAuth | OAuth):
            value = "Basic BASE64_OF_USER_AND_PASSWORD" if auth.is_basic else "Bearer YOUR_TOKEN"
            server["headers"] = {"Authorization": value}
        return {"mcpServers": {name: server}}
    command: dict[str, Any] = {"command": "kit", "args": ["mcp", absolute(source)]}
    if with_token:
        command["env"] = {"KIT_TOKEN": "YOUR_TOKEN"}
    if is_target(source) and Target(source).path is None:
        command["cwd"] = os.getcwd()  # where Python finds the module
    return {"mcpServers": {name: command}}
