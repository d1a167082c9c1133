"""The understudy as an HTTP server that any OpenAI client can be pointed at."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kit.server.thread import ServerThread
from kit.sockets import listen
from kit.understudy import responses
from kit.understudy.dialogue import Answer, respond
from kit.understudy.requests import (
    CHAT,
    RESPONSES,
    BadRequest,
    ModelRequest,
    check,
    read_body,
    read_chat,
    read_responses,
)
from kit.understudy.slots import ToolReading, read_tools

MAX_BODY = 10_000_000  # bytes, as much as a served plugin takes
MAX_STORED = 1000  # responses that previous_response_id can name; the oldest go first


def make_app(clock: Callable[[], datetime] = datetime.now) -> Starlette:
    """The ASGI app: `/v1/responses`, `/v1/chat/completions`, `/v1/models`. `tomorrow` is counted from the clock."""
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", _create_chat_completion, methods=["POST"]),
            Route("/v1/responses", _create_response, methods=["POST"]),
            Route("/v1/responses/{identifier}", _stored_response, methods=["GET", "DELETE"]),
            Route("/v1/models", _list_models),
            Route("/v1/models/{identifier:path}", _retrieve_model),
        ],
        exception_handlers={BadRequest: _bad_request, 404: _not_found, 405: _not_found},
    )
    app.state.clock = clock
    app.state.stored = OrderedDict()  # id -> the response, and the items of the conversation so far
    return app


async def _create_chat_completion(request: Request) -> Response:
    chat = read_chat(await _body(request, CHAT))
    answer = await run_in_threadpool(_answer, chat, request.app.state.clock())
    if chat.stream:
        return _stream((_data(chunk) for chunk in responses.chat_chunks(chat, answer)), "data: [DONE]\n\n")
    return JSONResponse(responses.chat_completion(chat, answer))


async def _create_response(request: Request) -> Response:
    stored, body = request.app.state.stored, await _body(request, RESPONSES)
    previous = body.get("previous_response_id")
    if previous and previous not in stored:
        raise BadRequest(
            f"Previous response with id '{previous}' not found.",
            "previous_response_id",
            code="previous_response_not_found",
        )
    model_request = read_responses(body, stored[previous][1] if previous else ())
    answer = await run_in_threadpool(_answer, model_request, request.app.state.clock())
    response = responses.response(model_request, answer)
    if response["store"]:
        stored[response["id"]] = (response, [*model_request.items, *response["output"]])
        while len(stored) > MAX_STORED:
            stored.popitem(last=False)
    if model_request.stream:
        events = responses.response_events(model_request, answer)
        return _stream((f"event: {event['type']}\n{_data(event)}" for event in events), "")
    return JSONResponse(response)


async def _stored_response(request: Request) -> Response:
    stored, identifier = request.app.state.stored, request.path_params["identifier"]
    if identifier not in stored:
        raise BadRequest(f"Response with id '{identifier}' not found.", "response_id", status=404)
    if request.method == "DELETE":
        del stored[identifier]
        return JSONResponse({"id": identifier, "object": "response", "deleted": True})
    return JSONResponse(stored[identifier][0])


async def _list_models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [responses.model()]})


async def _retrieve_model(request: Request) -> Response:
    identifier = request.path_params["identifier"]
    if identifier != responses.MODEL:
        raise BadRequest(f"The model '{identifier}' does not exist.", "model", 404, "model_not_found")
    return JSONResponse(responses.model())


async def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)  # noqa: S101 - for mypy: never false
    return JSONResponse(error.body(), error.status)


async def _not_found(request: Request, error: Exception) -> Response:
    message = f"Invalid URL ({request.method} {request.url.path})"
    return JSONResponse(BadRequest(message).body(), getattr(error, "status_code", 404))


def _answer(request: ModelRequest, now: datetime) -> Answer:
    readings = _readings(json.dumps(request.tools))
    return respond(request.entries, readings, choice=request.choice, parallel=request.parallel, now=now)


@lru_cache(maxsize=64)
def _readings(tools: str) -> tuple[ToolReading, ...]:
    # Every request of a conversation has the same tools: they are read once.
    return tuple(read_tools(json.loads(tools)))


async def _body(request: Request, schema: Mapping[str, Any]) -> dict[str, Any]:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise BadRequest(f"The body of your request has more than {MAX_BODY:,} bytes.", status=413)
    try:
        body = read_body(bytes(content))
    except ValueError:
        raise BadRequest("We could not parse the JSON body of your request.") from None
    return check(body, schema)


def _data(event: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _stream(events: Iterable[str], end: str) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        for event in events:
            yield event
        yield end

    return StreamingResponse(body(), media_type="text/event-stream")


class Understudy:
    """A running understudy. `.base_url` is what an OpenAI client takes; `with` stops it at the end."""

    def __init__(
        self, port: int = 0, host: str = "127.0.0.1", clock: Callable[[], datetime] = datetime.now
    ) -> None:
        sock = listen(host, port)
        self.host, self.port = host, sock.getsockname()[1]
        self._thread = ServerThread(make_app(clock), sock)
        self._thread.start()

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared with, not listened on
        return f"http://{host}:{self.port}/v1"

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def stop(self) -> None:
        """Stops the server. A second call does nothing."""
        self._thread.stop()

    def __enter__(self) -> Understudy:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"The understudy, which is not a language model, answers at {self.base_url}"


_shared: Understudy | None = None
_lock = threading.Lock()


def serve(port: int = 0, host: str = "127.0.0.1", clock: Callable[[], datetime] = datetime.now) -> Understudy:
    """Starts an understudy and returns when it answers. `clock` says what `tomorrow` is counted from. Raises `PortInUse`."""
    return Understudy(port, host, clock)


def shared() -> Understudy:
    """The understudy of all chats without a key, started for the first one."""
    global _shared
    with _lock:
        if _shared is None or not _shared.is_running:
            _shared = Understudy()
        return _shared


def shared_url() -> str:
    """The `base_url` of the shared understudy; empty if it was never started."""
    return _shared.base_url if _shared else ""
