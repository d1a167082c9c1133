"""The understudy as an HTTP server that any OpenAI client can be pointed at."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import lru_cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kit.documents import read_json
from kit.understudy import answers
from kit.understudy.asked import Asked, Refused, read_chat, read_responses
from kit.understudy.dialogue import Answer, respond
from kit.understudy.slots import ToolReading, read_tools

MAX_STORED = 1000  # responses that previous_response_id can name; the oldest go first


def make_app() -> Starlette:
    """The ASGI app: `/v1/responses`, `/v1/chat/completions`, `/v1/models`."""
    stored: OrderedDict[str, tuple[dict[str, Any], list[Any]]] = OrderedDict()

    async def chat(request: Request) -> Response:
        asked = read_chat(await _body(request))
        answer = _answer(asked)
        if asked.stream:
            return _stream((_data(chunk) for chunk in answers.chat_chunks(asked, answer)), "data: [DONE]\n\n")
        return JSONResponse(answers.chat_completion(asked, answer))

    async def responses(request: Request) -> Response:
        body = await _body(request)
        previous = body.get("previous_response_id")
        if previous and previous not in stored:
            raise Refused(
                f"Previous response with id '{previous}' not found.",
                "previous_response_id",
                code="previous_response_not_found",
            )
        asked = read_responses(body, stored[previous][1] if previous else ())
        answer = _answer(asked)
        made = answers.response(asked, answer)
        if made["store"]:
            stored[made["id"]] = (made, [*asked.items, *made["output"]])
            while len(stored) > MAX_STORED:
                stored.popitem(last=False)
        if asked.stream:
            events = (
                f"event: {event['type']}\n{_data(event)}" for event in answers.response_events(asked, answer)
            )
            return _stream(events, "")
        return JSONResponse(made)

    async def one_response(request: Request) -> Response:
        identifier = request.path_params["identifier"]
        if identifier not in stored:
            raise Refused(f"Response with id '{identifier}' not found.", "response_id", status=404)
        if request.method == "DELETE":
            del stored[identifier]
            return JSONResponse({"id": identifier, "object": "response", "deleted": True})
        return JSONResponse(stored[identifier][0])

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [answers.model()]})

    async def one_model(request: Request) -> Response:
        identifier = request.path_params["identifier"]
        if identifier != answers.MODEL:
            raise Refused(f"The model '{identifier}' does not exist.", "model", 404, "model_not_found")
        return JSONResponse(answers.model())

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return JSONResponse(error.body(), error.status)

    async def not_found(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        words = f"Invalid URL ({request.method} {request.url.path})"
        return JSONResponse(Refused(words).body(), status)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1/responses/{identifier}", one_response, methods=["GET", "DELETE"]),
            Route("/v1/models", models),
            Route("/v1/models/{identifier:path}", one_model),
        ],
        exception_handlers={Refused: refused, 404: not_found, 405: not_found},
    )


def _answer(asked: Asked) -> Answer:
    return respond(
        asked.entries,
        _readings(json.dumps(asked.tools)),
        choice=asked.choice,
        parallel=asked.parallel,
    )


@lru_cache(maxsize=64)
def _readings(tools: str) -> tuple[ToolReading, ...]:
    """The same tools come with every request of a conversation: they are read once."""
    return tuple(read_tools(json.loads(tools)))


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = read_json(await request.body())
    except ValueError:
        raise Refused("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Refused("The body of your request must be a JSON object.")
    return body


def _data(event: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _stream(events: Iterable[str], end: str) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        for event in events:
            yield event
        yield end

    return StreamingResponse(body(), media_type="text/event-stream")


class Understudy:
    """A running understudy. `.base_url` is what an OpenAI client takes; `with` ends it by itself."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        from kit.server import ServerThread
        from kit.sockets import listen

        sock = listen(host, port)
        self.host, self.port = host, sock.getsockname()[1]
        self._thread = ServerThread(make_app(), sock)
        self._thread.start()

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://{host}:{self.port}/v1"

    def stop(self) -> None:
        """Ends the server. A second call does nothing."""
        self._thread.stop()

    def __enter__(self) -> Understudy:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"The understudy, no language model, answers at {self.base_url}"


_shared: Understudy | None = None
_lock = threading.Lock()


def serve(port: int = 0, host: str = "127.0.0.1") -> Understudy:
    """Starts an understudy and returns when it answers. Raises `PortInUse`."""
    return Understudy(port, host)


def shared() -> Understudy:
    """The one that chats without a key use, started when the first of them needs it."""
    global _shared
    with _lock:
        if _shared is None or not _shared._thread.thread.is_alive():
            _shared = Understudy()
        return _shared
