"""Who may use a page of the notebook's process.

A page from another server must not control it: the address contains a token, as Jupyter's does, the host must be
this machine, and requests by scripts must come from the page itself.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import host_of, is_this_machine
from kit.markup import page

# Jupyter shows the page in a frame, from another port of this machine; VS Code from its own scheme.
_FRAMES = (
    "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:* vscode-webview:"
)
_COLAB = " https://*.google.com https://*.googleusercontent.com"


class Guard:
    """Admits those who know the page's address, and sets the security headers that a response does not set itself.

    `hosts` are further names, besides this machine's, by which a browser reaches it. `doors` are the pages that are opened
    with the token in their address, `open` the paths that need none.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        hosts: frozenset[str],
        doors: Collection[str] = ("/",),
        open: Collection[str] = (),
    ) -> None:
        self._app, self._token, self._hosts = app, token.encode(), hosts
        self._doors, self._open = doors, open
        frames = _FRAMES + (_COLAB if "google.colab" in sys.modules else "")
        # Only the page's own files: a script in a plugin's text would not run even if it got into the page.
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src data:; "
            f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
        )
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),  # the address contains the token
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", [])
                names = {name for name, _ in own}
                message["headers"] = [*own, *(it for it in self._headers if it[0] not in names)]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        headers, path = request.headers, request.url.path
        host = host_of(f"//{headers.get('host', '')}")
        if not is_this_machine(host) and host not in self._hosts and "*" not in self._hosts:
            return PlainTextResponse(f"This page is not served as {host!r}.", 403)
        if path.startswith("/static/") or path in self._open:
            return None
        if path in self._doors:
            if self._is_token(request.query_params.get("token", "")):
                return None
            text = (
                "Open the address that the notebook or <code>kit chatgpt</code> shows: it contains a token."
            )
            return HTMLResponse(page("Not this address", f"<h1>Not this address</h1><p>{text}</p>"), 403)
        if not self._is_from_page(headers):
            return JSONResponse({"error": "Only the page itself may use this.", "remedy": ""}, 403)
        if not self._is_token(headers.get("authorization", "").removeprefix("Bearer ")):
            remedy = "Open the address that the notebook shows now."
            return JSONResponse({"error": "This is not the token of this page.", "remedy": remedy}, 401)
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token)

    def _is_from_page(self, headers: Headers) -> bool:
        # Every current browser sends it; Origin is for older ones. A proxy may change Host, but not this.
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")
