"""Servers of other people: each path gives the answer that a test has prepared."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
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


class RawStranger:
    """A server that writes bytes as they are: `speak` is given each connection, once a request's head was read.

    A spec is at /openapi.json; what follows on the same connection is `speak`'s own. `heads` are those of the others.
    """

    def __init__(
        self, speak: Callable[[socket.socket], None], host: str = "127.0.0.1", tls: Any = None
    ) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self._speak, self._tls = speak, tls
        self._listening = socket.create_server((host, 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while head := head_of(connection):
                if head.startswith(b"GET /openapi.json"):
                    body = json.dumps(openapi()).encode()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                    continue
                self.heads.append(head)
                self._speak(connection)
            connection.close()

    def __enter__(self) -> RawStranger:
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def head_of(connection: socket.socket) -> bytes:
    """A request's head; nothing once the other side is gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head
