"""What the browser asks of the local ChatGPT, and who may ask.

A page that another server sent must not drive it: the address has a token in it, as Jupyter's has, the host
must be this machine, and a request that a script makes must come from the page itself.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.addresses import LOCAL_NAMES
from kit.documents import read_json
from kit.errors import KitError
from kit.markup import page
from kit.web.conversation import Conversation
from kit.web.exports import export
from kit.web.shelf import Shelf

STATIC = Path(__file__).parent / "static"
MAX_BODY = 1_000_000  # bytes of one request to the page's own server
MAX_CONVERSATIONS = 100  # kept; the oldest go first

# Jupyter shows the page in a frame, from another port of this machine; VS Code from a scheme of its own.
_FRAMES = (
    "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:* vscode-webview:"
)
_COLAB = " https://*.google.com https://*.googleusercontent.com"


class State:
    """All that the page knows: plugins, conversations, and how `Chat` is made."""

    def __init__(self, options: dict[str, Any], label: dict[str, Any]) -> None:
        self.shelf = Shelf()
        self.conversations: dict[str, Conversation] = {}
        self.options = options
        self.label = label

    def conversation(self, id: str) -> Conversation:
        """Raises `KitError` for one that is gone."""
        if id not in self.conversations:
            raise KitError("This conversation is gone: the notebook was started anew.", "Begin a new chat.")
        return self.conversations[id]

    def begin(self) -> Conversation:
        """A new conversation, with every plugin that is installed."""
        made = Conversation(self.shelf, self.options)
        self.conversations[made.id] = made
        idle = [key for key, one in self.conversations.items() if not one.is_busy and one is not made]
        for key in idle[: max(0, len(self.conversations) - MAX_CONVERSATIONS)]:
            del self.conversations[key]
        return made

    def summary(self) -> dict[str, Any]:
        """What a tab needs when it opens or comes back."""
        said = [
            {"id": one.id, "title": one.title, "events": len(one.events)}
            for one in reversed(self.conversations.values())
            if one.title
        ]
        return {
            "model": self.label,
            "plugins": [entry.summary() for entry in self.shelf.installed],
            "conversations": said,
        }


def make_app(state: State, token: str, hosts: frozenset[str]) -> ASGIApp:
    """The page's server. `hosts` are names beside this machine's under which a browser reaches it."""
    routes = [
        Route("/", _index),
        Route("/api/state", _answer(lambda request, body: state.summary())),
        Route("/api/plugins", _streaming(_find(state)), methods=["POST"]),
        Route("/api/plugins/{id}", _answer(_install(state)), methods=["POST"]),
        Route("/api/plugins/{id}", _answer(_remove(state)), methods=["DELETE"]),
        Route("/api/plugins/{id}/refresh", _answer(_refresh(state)), methods=["POST"]),
        Route("/api/conversations", _answer(lambda request, body: _about(state.begin())), methods=["POST"]),
        Route("/api/conversations/{id}", _answer(_about_one(state))),
        Route("/api/conversations/{id}", _answer(_forget(state)), methods=["DELETE"]),
        Route("/api/conversations/{id}/plugins", _answer(_enable(state)), methods=["POST"]),
        Route("/api/conversations/{id}/events", _streaming(_events(state))),
        Route("/api/conversations/{id}/{verb:str}", _answer(_act(state)), methods=["POST"]),
        Route("/api/conversations/{id}/export/{form}", _answer(_export(state))),
        Route("/static/{name}", _static),
    ]
    return _Guard(Starlette(routes=routes), token, hosts)


class _Guard:
    """Lets in whom the page's address was given, and says on every answer what the page may do."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token.encode(), hosts
        frames = _FRAMES + (_COLAB if "google.colab" in sys.modules else "")
        # Nothing but the page's own files: a script in a plugin's text would not run even if it were one.
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
        )
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),  # the address has the token in it
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
        host = _name(headers.get("host", ""))
        if host not in LOCAL_NAMES and host not in self._hosts and "*" not in self._hosts:
            return PlainTextResponse(f"This page is not served as {host!r}.", 403)
        if path.startswith("/static/"):
            return None
        if path == "/":
            if self._is_token(request.query_params.get("token", "")):
                return None
            words = (
                "Open the address that the notebook or <code>kit chatgpt</code> shows: it has a token in it."
            )
            return HTMLResponse(page("Local ChatGPT", f"<h1>Not this address</h1><p>{words}</p>"), 403)
        if not self._is_from_page(headers):
            return JSONResponse({"error": "Only the page itself may ask.", "remedy": ""}, 403)
        if not self._is_token(headers.get("authorization", "").removeprefix("Bearer ")):
            words = "Open the address that the notebook shows now."
            return JSONResponse({"error": "The token is another one.", "remedy": words}, 401)
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def _is_from_page(self, headers: Headers) -> bool:
        # Every browser of today says it; Origin is for the others. A proxy may change Host, not this.
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


async def _index(request: Request) -> Response:
    return HTMLResponse((STATIC / "index.html").read_bytes())


async def _static(request: Request) -> Response:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    file = next((file for file in STATIC.iterdir() if file.name == request.path_params["name"]), None)
    if file is None or file.suffix not in kinds:
        return PlainTextResponse("not here", 404)
    return Response(file.read_bytes(), media_type=kinds[file.suffix])


# -- what is asked ------------------------------------------------------------------

Handler = Callable[[Request, dict[str, Any]], Any]


def _answer(handle: Handler) -> Callable[[Request], Any]:
    """An endpoint of a function that gives JSON, or a `KitError`, which the page shows."""

    async def endpoint(request: Request) -> Response:
        try:
            result = handle(request, await _body(request))
            return JSONResponse(await result if hasattr(result, "__await__") else result)
        except KitError as error:
            return JSONResponse({"error": error.problem, "remedy": error.remedy}, 409)

    return endpoint


def _streaming(handle: Handler) -> Callable[[Request], Any]:
    """The same for one that gives several, a line each, as they come."""

    async def endpoint(request: Request) -> Response:
        try:
            items: AsyncIterator[Any] = handle(request, await _body(request))
        except KitError as error:
            return JSONResponse({"error": error.problem, "remedy": error.remedy}, 409)

        async def lines() -> AsyncIterator[bytes]:
            async for item in items:
                yield json.dumps(item, default=str).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise KitError(f"That is longer than {MAX_BODY:,} bytes.", "Send less.")
    try:
        body = read_json(content) if content else {}
    except ValueError as error:
        raise KitError(f"What was sent {error}.") from None
    if not isinstance(body, dict):
        raise KitError("What was sent is not a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise KitError(f"{name} is missing.", "Type something.")
    return value.strip()


def _find(state: State) -> Handler:
    return lambda request, body: state.shelf.find(_text(body, "url"), body.get("token") or None)


def _install(state: State) -> Handler:
    async def handle(request: Request, body: dict[str, Any]) -> Any:
        entry = await state.shelf.install(request.path_params["id"], body.get("token") or None)
        return entry.summary()

    return handle


def _remove(state: State) -> Handler:
    def handle(request: Request, body: dict[str, Any]) -> Any:
        state.shelf.remove(request.path_params["id"])
        return {}

    return handle


def _refresh(state: State) -> Handler:
    async def handle(request: Request, body: dict[str, Any]) -> Any:
        entry = state.shelf.get(request.path_params["id"])
        await state.shelf.add(entry.server or entry.source, entry.token)
        return entry.summary()

    return handle


def _about(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "title": conversation.title,
        "enabled": conversation.enabled,
        "busy": conversation.is_busy,
    }


def _about_one(state: State) -> Handler:
    return lambda request, body: _about(state.conversation(request.path_params["id"]))


def _forget(state: State) -> Handler:
    def handle(request: Request, body: dict[str, Any]) -> Any:
        conversation = state.conversations.pop(request.path_params["id"], None)
        if conversation is not None:
            conversation.stop()
        return {}

    return handle


def _enable(state: State) -> Handler:
    def handle(request: Request, body: dict[str, Any]) -> Any:
        conversation = state.conversation(request.path_params["id"])
        conversation.enabled = [str(id) for id in body.get("enabled") or []]
        return _about(conversation)

    return handle


def _events(state: State) -> Handler:
    def handle(request: Request, body: dict[str, Any]) -> Any:
        start = request.query_params.get("start", "0")
        return state.conversation(request.path_params["id"]).watch(int(start) if start.isdigit() else 0)

    return handle


def _act(state: State) -> Handler:
    async def handle(request: Request, body: dict[str, Any]) -> Any:
        conversation = state.conversation(request.path_params["id"])
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
            raise KitError(f"{verb!r} cannot be done with that.", "Reload the page.")
        return _about(conversation)

    return handle


def _export(state: State) -> Handler:
    def handle(request: Request, body: dict[str, Any]) -> Any:
        conversation = state.conversation(request.path_params["id"])
        plugins = [entry for entry in state.shelf.installed if entry.id in conversation.enabled]
        return {"text": export(conversation, plugins, request.path_params["form"])}

    return handle
