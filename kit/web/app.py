"""The HTTP API of the local ChatGPT, and who may use it.

A page from another server must not control it: the address contains a token, as Jupyter's does, the host must be
this machine, and requests by scripts must come from the page itself.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import host_of, is_this_machine
from kit.errors import KitError
from kit.markup import escape, page
from kit.openapi.documents import read_json
from kit.visible import encodable
from kit.web.conversation import Conversation
from kit.web.plugins import PluginRegistry
from kit.web.transcript import as_code

STATIC = Path(__file__).parent / "static"
CALLBACK = "/oauth/callback"  # where an authorization server sends the browser back to
MAX_BODY = 1_000_000  # bytes of one request to the page's own server
MAX_CONVERSATIONS = 100  # the oldest are dropped first

# Jupyter shows the page in a frame, from another port of this machine; VS Code from its own scheme.
_FRAMES = (
    "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:* vscode-webview:"
)
_COLAB = " https://*.google.com https://*.googleusercontent.com"


class State:
    """The state of the page: plugins, conversations, and the options of `Chat`."""

    def __init__(self, options: dict[str, Any], label: dict[str, Any]) -> None:
        self.plugins = PluginRegistry()
        self.conversations: dict[str, Conversation] = {}
        self.options = options
        self.label = label

    def conversation(self, id: str) -> Conversation:
        """Raises `KitError` for one that no longer exists."""
        if id not in self.conversations:
            raise KitError(
                "This conversation no longer exists: the notebook was restarted.", "Start a new chat."
            )
        return self.conversations[id]

    def begin(self) -> Conversation:
        """A new conversation, with every plugin that is installed."""
        new = Conversation(self.plugins, self.options)
        self.conversations[new.id] = new
        idle = [key for key, one in self.conversations.items() if not one.is_busy and one is not new]
        for key in idle[: max(0, len(self.conversations) - MAX_CONVERSATIONS)]:
            del self.conversations[key]
        return new

    def summary(self) -> dict[str, Any]:
        """What a tab needs when it opens or reconnects."""
        conversations = [
            {"id": one.id, "title": one.title, "events": len(one.events)}
            for one in reversed(self.conversations.values())
            if one.title
        ]
        return {
            "model": self.label,
            "callback": self.plugins.callback,
            "plugins": [entry.summary() for entry in self.plugins.installed],
            "conversations": conversations,
        }


def make_app(state: State, token: str, hosts: frozenset[str]) -> ASGIApp:
    """The page's server. `hosts` are further names, besides this machine's, by which a browser reaches it."""
    routes = [
        Route("/", _index),
        Route(CALLBACK, _signed_in),
        Route("/api/state", _summary),
        Route("/api/plugins", _find, methods=["POST"]),
        Route("/api/plugins/{id}", _install, methods=["POST"]),
        Route("/api/plugins/{id}", _remove, methods=["DELETE"]),
        Route("/api/plugins/{id}/refresh", _refresh, methods=["POST"]),
        Route("/api/plugins/{id}/sign_in", _sign_in, methods=["POST"]),
        Route("/api/plugins/{id}/forget", _forget, methods=["POST"]),
        Route("/api/conversations", _begin, methods=["POST"]),
        Route("/api/conversations/{id}", _describe),
        Route("/api/conversations/{id}", _delete, methods=["DELETE"]),
        Route("/api/conversations/{id}/plugins", _enable, methods=["POST"]),
        Route("/api/conversations/{id}/events", _events),
        Route("/api/conversations/{id}/{verb:str}", _act, methods=["POST"]),
        Route("/api/conversations/{id}/export/{form}", _transcript),
        Route("/static/{name}", _static),
    ]
    app = Starlette(routes=routes, exception_handlers={KitError: _refused})
    app.state.page = state
    return _Guard(app, token, hosts)


class _Guard:
    """Admits those who know the page's address, and sets the security headers of every response."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token.encode(), hosts
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
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        headers, path = request.headers, request.url.path
        host = host_of(f"//{headers.get('host', '')}")
        if not is_this_machine(host) and host not in self._hosts and "*" not in self._hosts:
            return PlainTextResponse(f"This page is not served as {host!r}.", 403)
        # Coming back from an authorization server the browser has no token, but a state that only the page knows.
        if path.startswith("/static/") or path == CALLBACK:
            return None
        if path == "/":
            if self._is_token(request.query_params.get("token", "")):
                return None
            text = (
                "Open the address that the notebook or <code>kit chatgpt</code> shows: it contains a token."
            )
            return HTMLResponse(page("Local ChatGPT", f"<h1>Not this address</h1><p>{text}</p>"), 403)
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


async def _index(request: Request) -> Response:
    return HTMLResponse((STATIC / "index.html").read_bytes())


async def _static(request: Request) -> Response:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    file = next((file for file in STATIC.iterdir() if file.name == request.path_params["name"]), None)
    if file is None or file.suffix not in kinds:
        return PlainTextResponse("Not found", 404)
    return Response(file.read_bytes(), media_type=kinds[file.suffix])


# -- the API ------------------------------------------------------------------------


async def _summary(request: Request) -> Response:
    return JSONResponse(_state(request).summary())


async def _find(request: Request) -> Response:
    body = await _body(request)
    return _lines(_state(request).plugins.find(_text(body, "url")))


async def _install(request: Request) -> Response:
    body = await _body(request)
    token = _text(body, "token") if body.get("token") else None
    entry = await _state(request).plugins.install(request.path_params["id"], token)
    return JSONResponse(entry.summary())


async def _sign_in(request: Request) -> Response:
    body = await _body(request)
    secret = _text(body, "client_secret") if body.get("client_secret") else ""
    id = request.path_params["id"]
    return _lines(_state(request).plugins.sign_in(id, _text(body, "client_id"), secret))


async def _signed_in(request: Request) -> Response:
    """The browser is back from an authorization server, in a tab of its own."""
    try:
        await _state(request).plugins.signed_in(str(request.url), request.query_params.get("state", ""))
    except KitError as error:
        text = f"<h1>Not signed in</h1><p>{escape(error.problem)}</p><p>{escape(error.remedy)}</p>"
        return HTMLResponse(page("Local ChatGPT", text), 400)
    text = "<h1>Signed in</h1><p>The plugin is installed. You can close this tab.</p>"
    return HTMLResponse(page("Local ChatGPT", text))


async def _forget(request: Request) -> Response:
    return JSONResponse(_state(request).plugins.forget(request.path_params["id"]).summary())


async def _remove(request: Request) -> Response:
    _state(request).plugins.remove(request.path_params["id"])
    return JSONResponse({})


async def _refresh(request: Request) -> Response:
    plugins = _state(request).plugins
    entry = plugins.get(request.path_params["id"])
    await plugins.add(entry.server or entry.source)
    return JSONResponse(entry.summary())


async def _begin(request: Request) -> Response:
    return JSONResponse(_state(request).begin().summary())


async def _describe(request: Request) -> Response:
    return JSONResponse(_conversation(request).summary())


async def _delete(request: Request) -> Response:
    conversation = _state(request).conversations.pop(request.path_params["id"], None)
    if conversation is not None:
        conversation.stop()
    return JSONResponse({})


async def _enable(request: Request) -> Response:
    conversation, body = _conversation(request), await _body(request)
    enabled = body.get("enabled")
    conversation.enabled = [str(id) for id in enabled] if isinstance(enabled, list) else []
    return JSONResponse(conversation.summary())


async def _events(request: Request) -> Response:
    start = request.query_params.get("start", "0")
    return _lines(_conversation(request).watch(int(start) if start.isdecimal() and len(start) < 10 else 0))


async def _act(request: Request) -> Response:
    conversation, body = _conversation(request), await _body(request)
    verb, number = request.path_params["verb"], body.get("n")
    if verb == "say":
        conversation.say(_text(body, "text"))
    elif verb == "stop":
        conversation.stop()
    elif verb == "answer" and isinstance(number, int):
        conversation.answer(number, str(body.get("answer")))
    elif verb == "again" and isinstance(number, int) and isinstance(body.get("arguments"), dict):
        await conversation.again(number, body["arguments"])
    else:
        raise KitError(f"{verb!r} is not possible with this request.", "Reload the page.")
    return JSONResponse(conversation.summary())


async def _transcript(request: Request) -> Response:
    conversation = _conversation(request)
    text = as_code(conversation, conversation.plugins(), request.path_params["form"])
    return JSONResponse({"text": text})


async def _refused(request: Request, error: Exception) -> Response:
    """A `KitError`, which the page shows."""
    assert isinstance(error, KitError)  # noqa: S101 - for mypy: never false
    return JSONResponse(encodable({"error": error.problem, "remedy": error.remedy}), 409)


def _state(request: Request) -> State:
    state: State = request.app.state.page
    return state


def _conversation(request: Request) -> Conversation:
    return _state(request).conversation(request.path_params["id"])


def _lines(items: AsyncIterator[Any]) -> Response:
    """Streams one JSON value per line."""

    async def lines() -> AsyncIterator[bytes]:
        async for item in items:
            yield json.dumps(item, default=str).encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _body(request: Request) -> dict[str, Any]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise KitError(f"The request is longer than {MAX_BODY:,} bytes.", "Send less.")
    try:
        body = read_json(content) if content else {}
    except ValueError as error:
        raise KitError(f"The request {error}.") from None
    if not isinstance(body, dict):
        raise KitError("The request is not a JSON object.")
    return dict(encodable(body))


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise KitError(f"{name} is missing.", "Type something.")
    return value.strip()
