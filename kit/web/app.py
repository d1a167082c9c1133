"""The HTTP API of the local ChatGPT."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from kit.client.installed import InstalledPlugin
from kit.errors import KitError
from kit.markup import escape, page
from kit.web.conversation import Conversation
from kit.web.forms import form_routes
from kit.web.guard import Guard
from kit.web.logos import LOGOS
from kit.web.plugins import PluginRegistry
from kit.web.requests import STATIC, read, refused, static
from kit.web.transcript import as_code

CALLBACK = "/oauth/callback"  # where an authorization server sends the browser back to
MAX_EMPTY = (
    20  # conversations in which nothing was said: each tab that opens begins one. The oldest are dropped
)


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
        empty = [key for key, one in self.conversations.items() if not one.title]
        for key in empty[:-MAX_EMPTY]:
            del self.conversations[key]
        return new

    def summary(self) -> dict[str, Any]:
        """What a tab needs when it opens or reconnects."""
        conversations = [
            {"id": one.id, "title": one.title, "events": one.log.next}
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
        Route("/api/plugins/{id}/revoke", _revoke, methods=["POST"]),
        Route("/api/conversations", _begin, methods=["POST"]),
        Route("/api/conversations/{id}", _describe),
        Route("/api/conversations/{id}", _delete, methods=["DELETE"]),
        Route("/api/conversations/{id}/plugins", _enable, methods=["POST"]),
        Route("/api/conversations/{id}/events", _events),
        Route("/api/conversations/{id}/{verb:str}", _act, methods=["POST"]),
        Route("/api/conversations/{id}/export/{form}", _transcript),
        *form_routes(_to_try),
        Route(f"/{LOGOS}/{{name}}", _logo),
        Route("/static/{name}", static),
    ]
    app = Starlette(routes=routes, exception_handlers={KitError: refused})
    app.state.page = state
    # Coming back from an authorization server the browser has no token, but a state that only the page knows.
    return Guard(app, token, hosts, open=(CALLBACK,))


async def _index(request: Request) -> Response:
    return HTMLResponse((STATIC / "index.html").read_bytes())


# -- the API ------------------------------------------------------------------------


async def _summary(request: Request) -> Response:
    return JSONResponse(_state(request).summary())


async def _find(request: Request) -> Response:
    body = await read(request)
    return _lines(_state(request).plugins.find(_text(body, "url")))


async def _install(request: Request) -> Response:
    body = await read(request)
    token = _text(body, "token") if body.get("token") else None
    entry = await _state(request).plugins.install(request.path_params["id"], token)
    return JSONResponse(entry.summary())


async def _sign_in(request: Request) -> Response:
    body = await read(request)
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


async def _revoke(request: Request) -> Response:
    operation = _text(await read(request), "operation")
    return JSONResponse(_state(request).plugins.revoke(request.path_params["id"], operation).summary())


async def _logo(request: Request) -> Response:
    return _state(request).plugins.logos.answer(request.path_params["name"])


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
    conversation, body = _conversation(request), await read(request)
    enabled = body.get("enabled")
    conversation.enabled = [str(id) for id in enabled] if isinstance(enabled, list) else []
    return JSONResponse(conversation.summary())


async def _events(request: Request) -> Response:
    start = request.query_params.get("start", "0")
    return _streamed(_conversation(request).watch(int(start) if start.isdecimal() and len(start) < 10 else 0))


async def _act(request: Request) -> Response:
    conversation, body = _conversation(request), await read(request)
    verb, number = request.path_params["verb"], body.get("n")
    if verb == "say":
        conversation.say(_text(body, "text"))
    elif verb == "stop":
        conversation.stop()
    elif verb == "answer" and isinstance(number, int):
        conversation.answer(number, str(body.get("answer")))
    elif verb == "again" and isinstance(number, int) and isinstance(body.get("arguments"), dict):
        conversation.again(number, body["arguments"])
    else:
        raise KitError(f"{verb!r} is not possible with this request.", "Reload the page.")
    return JSONResponse(conversation.summary())


async def _transcript(request: Request) -> Response:
    conversation = _conversation(request)
    return JSONResponse({"text": as_code(conversation, request.path_params["form"])})


async def _to_try(request: Request) -> InstalledPlugin:
    return _state(request).plugins.get(request.path_params["plugin"]).plugin


def _state(request: Request) -> State:
    state: State = request.app.state.page
    return state


def _conversation(request: Request) -> Conversation:
    return _state(request).conversation(request.path_params["id"])


def _lines(items: AsyncIterator[Any]) -> Response:
    """Streams one JSON value per line."""

    async def alone() -> AsyncIterator[list[Any]]:
        async for item in items:
            yield [item]

    return _streamed(alone())


def _streamed(batches: AsyncIterator[list[Any]]) -> Response:
    """The same of values that come several at a time: they are sent together, so that a browser draws them together."""

    async def lines() -> AsyncIterator[bytes]:
        async for batch in batches:
            yield b"".join(json.dumps(item, default=str).encode() + b"\n" for item in batch)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise KitError(f"{name} is missing.", "Type something.")
    return value.strip()
