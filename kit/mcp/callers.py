"""How the calls of an MCP server are made: over the network, or within the process that serves the plugin."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from kit import loop
from kit.addresses import Root
from kit.client.answers import Answer
from kit.client.files import MAX_FILE
from kit.client.installed import CallResult, InstalledPlugin
from kit.client.transport import Transport
from kit.plugin.guard import SIGNED_IN
from kit.plugin.outside import ASKED
from kit.plugin.wellknown import base_url
from kit.tools.locations import is_lines
from kit.tools.request import Request
from kit.tools.tool import Tool

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kit.plugin.app import Plugin

Note = Callable[[str], None]  # takes each line of an answer that comes in lines


class Caller:
    """Calls over the network, each on the kit's own loop. `request` is the HTTP request, None on stdio."""

    def __init__(self, plugin: InstalledPlugin) -> None:
        self.plugin = plugin

    async def call(self, tool: Tool, arguments: dict[str, Any], request: Any, note: Note) -> CallResult:
        """Makes a call; of an answer within this process `note` gets each line as it comes."""
        return await loop.arun(self.plugin.invoke(tool, arguments))

    async def read(self, url: str, request: Any) -> Answer | None:
        """What an operation that reads answers at that URL, up to 10 MB; None if none of them is there.

        Raises `KitError` or `TimeoutError` if there is no answer.
        """
        tool = self._reader(url)
        return None if tool is None else await loop.arun(self._read(tool, url, self.plugin.transport))

    async def _read(self, tool: Tool, url: str, transport: Transport) -> Answer:
        return await self.plugin.answer(transport, tool, Request("GET", ""), url, MAX_FILE)

    def _reader(self, url: str) -> Tool | None:
        """The GET operation at a URL, whose path no segment leads out of."""
        if any(unquote(segment) in (".", "..") for segment in urlsplit(url).path.split("/")):
            return None
        for tool in self.plugin.by_name.values():
            if tool.operation.method == "GET":
                fixed = re.split(r"\{[^{}]*\}", self.plugin.base_of(tool) + tool.operation.path)
                if re.fullmatch("[^/?#]+".join(map(re.escape, fixed)) + r"(\?[^#]*)?", url):
                    return tool
        return None


class LocalCaller(Caller):
    """Calls to a plugin of this process: each on the loop and in the scope of its MCP request."""

    def __init__(self, app: Plugin) -> None:
        base = f"http://{app.manifest.name_for_model}.in-process".replace("_", "-")
        super().__init__(InstalledPlugin(app.manifest, app.spec, base, Transport(Root.of(base))))
        self._app = app

    async def call(self, tool: Tool, arguments: dict[str, Any], request: Any, note: Note) -> CallResult:
        result = await self.plugin.invoke(tool, arguments, self._transport(request, note))
        inner, outer = self.plugin.base_url, base_url(request.scope)
        result.url = _moved(result.url, inner, outer)
        result.files = [replace(file, url=_moved(file.url, inner, outer)) for file in result.files]
        return result

    async def read(self, url: str, request: Any) -> Answer | None:
        url = _moved(url, base_url(request.scope), self.plugin.base_url)
        tool = self._reader(url)
        return None if tool is None else await self._read(tool, url, self._transport(request))

    def _transport(self, request: Any, note: Note | None = None) -> Transport:
        app = _in_scope_of(self._app, request.scope, note)
        return Transport(self.plugin.transport.root, app, is_running=True)


def _moved(url: str, base: str, other: str) -> str:
    return other + url.removeprefix(base) if url.startswith(base) else url


def _in_scope_of(plugin: Plugin, outer: Scope, note: Note | None) -> ASGIApp:
    """The plugin, called in the scope of the MCP request: its client, address, credentials and lifespan state."""
    inherited = {
        key: outer[key]
        for key in ("client", "server", "scheme", "state", "root_path", ASKED, SIGNED_IN)
        if key in outer
    }
    forwarded = [item for item in outer["headers"] if item[0] in (b"host", b"authorization")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [item for item in scope["headers"] if item[0] != b"host"] + forwarded
        path = inherited.get("root_path", "") + scope["path"]
        send = send if note is None else _noting(send, note)
        try:
            await plugin({**scope, **inherited, "path": path, "headers": headers}, receive, send)
        except Exception:
            # A 500 has been sent. The traceback goes where uvicorn's go.
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
            raise

    return app


def _noting(send: Send, note: Note) -> Send:
    """`send`, and each line of an answer in JSON lines to `note`."""
    has_lines, last = False, b""

    async def noting(message: Message) -> None:
        nonlocal has_lines, last
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
            has_lines = any(is_lines(kind.decode("latin-1")) for kind in kinds)
        elif has_lines:
            *lines, last = (last + message.get("body", b"")).split(b"\n")
            for line in filter(None, lines):
                note(line.decode(errors="replace"))
        await send(message)

    return noting
