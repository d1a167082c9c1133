"""Servers of other people: each path gives the answer that a test has prepared."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from kit.server.thread import ServerThread
from kit.sockets import listen


class Stranger:
    """Answers by path. `pages` maps a path to (status, headers, body) or to a function of the scope and body."""

    def __init__(self, pages: dict[str, Any], host: str = "127.0.0.1") -> None:
        self.pages = pages
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        sock = listen(host, 0)
        self.port = sock.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self._thread = ServerThread(self._app, sock)
        self._thread.start()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        path = scope["raw_path"].decode() + (
            f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        )
        self.requests.append((scope["method"], path, headers, body))
        page = self.pages.get(path.split("?")[0], (404, {}, b"not here"))
        if callable(page):
            page = await page(scope, body)
        status, more, content = page
        if not isinstance(content, bytes):
            content = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            more = {"content-type": "application/json", **more} if content[:1] in (b"{", b"[") else more
        out = [(k.encode(), v.encode()) for k, v in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": content})

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.stop()


def manifest(api_url: str, **more: Any) -> dict[str, Any]:
    return {
        "schema_version": "v1",
        "name_for_model": "strange",
        "name_for_human": "Strange",
        "description_for_model": "Plugin for strange things.",
        "description_for_human": "Strange things.",
        "auth": {"type": "none"},
        "api": {"type": "openapi", "url": api_url},
        "logo_url": "https://strange.example/logo.png",
        "contact_email": "a@strange.example",
        "legal_info_url": "https://strange.example/legal",
        **more,
    }


def openapi(paths: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    get: dict[str, Any] = {
        "/things": {"get": {"operationId": "list_things", "summary": "List the things", "responses": {}}}
    }
    return {
        "openapi": "3.0.1",
        "info": {"title": "Strange", "version": "1"},
        "paths": get if paths is None else paths,
        **more,
    }


Page = tuple[int, dict[str, str], Any] | Callable[..., Any]
