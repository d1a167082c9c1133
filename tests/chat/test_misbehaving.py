"""Model servers that misbehave: an answer works, or it is a `ChatError`; the chat goes on, and its history is valid."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

import kit
from kit import loop
from kit.chat import answers, apis
from kit.chat.options import Options
from kit.server.thread import ServerThread
from kit.sockets import listen

KEY = "sk-planted-secret-of-the-user"
BOTH = pytest.mark.parametrize("api", ["responses", "chat"])
WAYS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
HALF = "\ud800"
DEEP = json.dumps({"deep": 0}).replace("0", "[" * 5000 + "]" * 5000)
WRONG: list[Any] = [
    None,
    5,
    -1.5,
    "",
    "x",
    HALF,
    True,
    [],
    [None],
    ["x"],
    {},
    {"type": 3},
    [[]],
    [{}],
    10**400,
]


def good(api: str, text: str = "Fine.", *calls: tuple[str, str, str]) -> dict[str, Any]:
    """A whole answer; `calls` are (id, name, arguments)."""
    if api == "chat":
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        made = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
        message |= {"tool_calls": made} if calls else {}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}  # fmt: skip
    part = {"type": "output_text", "text": text, "annotations": []}
    said = {"type": "message", "id": "m1", "status": "completed", "role": "assistant", "content": [part]}
    output = [said] if text else []
    output += [{"type": "function_call", "call_id": i, "name": n, "arguments": a} for i, n, a in calls]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "error": None, "output": output, "usage": usage}  # fmt: skip


def events(whole: dict[str, Any]) -> list[Any]:
    """A whole answer as the events of a stream."""
    if whole["object"] == "response":
        done = [{"type": "response.output_item.done", "item": item} for item in whole["output"]]
        return [*done, {"type": "response.completed", "response": whole}]
    choice = whole["choices"][0]
    parts = [{"index": n, **part} for n, part in enumerate(choice["message"].get("tool_calls", []))]
    delta = {**choice["message"], **({"tool_calls": parts} if parts else {})}
    chunk = {**whole, "object": "chat.completion.chunk"}
    ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**chunk, "choices": [ends]},
    ]


def sse(*items: Any) -> bytes:
    texts = (item if isinstance(item, str) else json.dumps(item) for item in items)
    return "".join(f"data: {text}\n\n" for text in texts).encode()


class Server:
    """Answers the first request with `first`, which is a response or makes one, and all others well."""

    def __init__(self) -> None:
        self.first: Any = None
        self.requests: list[Any] = []
        sock = listen("127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        routes = [Route("/v1/{path:path}", self._answer, methods=["GET", "POST"])]
        self.thread = ServerThread(Starlette(routes=routes), sock)
        self.thread.start()

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body() or b"{}")
        self.requests.append(body)
        first, self.first = self.first, None
        if first is not None:
            return first(bool(body.get("stream"))) if callable(first) and not isinstance(first, Response) else first  # type: ignore[no-any-return]  # fmt: skip
        api = "chat" if "messages" in body else "responses"
        return json_response(good(api), body.get("stream", False))


def json_response(whole: dict[str, Any], stream: bool) -> Response:
    if stream:
        return Response(sse(*events(whole), "[DONE]"), media_type="text/event-stream")
    return Response(json.dumps(whole), media_type="application/json")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.thread.stop()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.AsyncOpenAI]:
    made = openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=5)
    yield made
    loop.run(made.close())


@pytest.fixture(scope="module")
def plugin() -> kit.Plugin:
    plugin = kit.Plugin("weather", description_for_model="Weather.")

    @plugin.get("/weather/{city}", summary="The weather of a city")
    def weather(city: str) -> str:
        return city

    @plugin.get("/now", summary="The time")
    def now() -> str:
        return "noon"

    return plugin


def asked(chat: kit.Chat, text: str, stream: bool) -> kit.Reply | kit.ChatError:
    """The reply, or the error of the kit. Any other error is one of the test."""
    try:
        if not stream:
            return chat(text)
        *_, last = chat.stream(text)
        return last.reply
    except kit.ChatError as error:
        shown = f"{error} {error.__cause__} {error!r}"
        assert KEY not in shown
        assert "\x1b" not in str(error)
        assert len(str(error)) < 2000
        return error


def check_history(history: list[Any]) -> None:
    """What any server takes: encodable, each call with its own id, an object and one result, which follows it."""
    json.dumps(history, ensure_ascii=False).encode()
    open_calls: set[str] = set()
    seen: set[str] = set()
    for item in history:
        kind = item.get("type", "message")
        if kind == "function_call":
            assert item["call_id"]
            assert item["call_id"] not in seen
            seen.add(item["call_id"])
            open_calls.add(item["call_id"])
            assert item["name"]
            assert isinstance(json.loads(item["arguments"], parse_constant=pytest.fail), dict)
        elif kind == "function_call_output":
            open_calls.remove(item["call_id"])
            assert isinstance(item["output"], str)
        elif kind == "message":
            assert item["role"] in ("user", "assistant")
            assert item["content"]
            assert not open_calls
    assert not open_calls


def made(first: Any, server: Server, client: Any, plugin: kit.Plugin, api: str, stream: bool) -> Any:
    """What comes of one question; the next one is answered, whatever the first answer was."""
    chat = kit.Chat(plugin, client=client, model="m", api=api, show=False)
    server.first = first
    outcome = asked(chat, f"one {HALF}", stream)
    check_history(chat.history)
    server.first = None
    after = asked(chat, "and now?", stream)
    assert isinstance(after, kit.Reply), after
    assert after.text == "Fine."
    check_history(chat.history)
    return outcome


def raw(content: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Response:
    return Response(content, status, {name.replace("_", "-"): text for name, text in headers.items()}, kind)


ECHO = {"error": {"message": f"wrong key {KEY}\x1b[31m"}}
Answer = Callable[[str], Any]
# What a server answers, by API; `True` if the turn works all the same
WIRE: dict[str, tuple[Answer, bool]] = {
    "a web page": (lambda api: raw("<!doctype html><title>Welcome</title>", kind="text/html"), False),
    "a page called JSON": (lambda api: raw("<html>"), False),
    "nothing": (lambda api: raw(b""), False),
    "spaces": (lambda api: raw(b" \r\n " * 1000), False),
    "plain text": (lambda api: raw("It works!", kind="text/plain"), False),
    "half JSON": (lambda api: raw(json.dumps(good(api))[:50]), False),
    "half an event": (lambda api: raw(sse(*events(good(api)))[:60], kind="text/event-stream"), False),
    "a list": (lambda api: raw([json.dumps(good(api))][0].join("[]")), False),
    "null": (lambda api: raw("null"), False),
    "a number": (lambda api: raw("5"), False),
    "no fields": (lambda api: raw("{}"), False),
    "another thing": (lambda api: raw('{"detail": "Not Found"}'), False),
    "an error with 200": (lambda api: raw(json.dumps(ECHO)), False),
    "an error as text": (lambda api: raw(json.dumps({"error": f"no model for {KEY}"})), False),
    "an error event": (lambda api: raw(sse(ECHO), kind="text/event-stream"), False),
    "a named error event": (lambda api: raw(b"event: error\n" + sse(ECHO), kind="text/event-stream"), False),
    "an error of wrong type": (lambda api: raw('{"error": [1]}'), False),
    "a failed response": (lambda api: raw(json.dumps({"status": "failed", "output": [], **ECHO})), False),
    "a failed event": (
        lambda api: raw(sse({"type": "response.failed", "response": ECHO}), kind="text/event-stream"),
        False,
    ),
    "very deep": (lambda api: raw(DEEP), False),
    "a very deep event": (lambda api: raw(sse(DEEP), kind="text/event-stream"), False),
    "no UTF-8": (lambda api: raw(b'{"a": "\xff\xfe"}'), False),
    "a huge number": (lambda api: raw('{"created": ' + "9" * 5000 + "}"), False),
    "not a number": (lambda api: raw(json.dumps({**good(api), "created": float("nan")})), True),
    "no gzip": (lambda api: raw(json.dumps(good(api)), content_encoding="gzip"), False),
    "half a gzip": (lambda api: raw(gzip.compress(b"{" * 9999)[:40], content_encoding="gzip"), False),
    "gzip": (lambda api: raw(gzip.compress(json.dumps(good(api)).encode()), content_encoding="gzip"), True),
    "events without a type": (lambda api: raw(sse(*events(good(api)), "[DONE]"), kind="text/plain"), True),
    "JSON without a type": (lambda api: raw(json.dumps(good(api)), kind="x/y"), True),
    "CRLF and comments": (
        lambda api: raw(
            b": hi\r\n\r\nretry: 5\r\n" + sse(*events(good(api))).replace(b"\n", b"\r\n") + b": bye",
            kind="text/event-stream",
        ),
        True,
    ),
    "a BOM": (lambda api: raw(b"\xef\xbb\xbf" + json.dumps(good(api)).encode()), True),
    "no last line": (
        lambda api: raw(sse(*events(good(api))).rstrip(), kind="text/event-stream"),
        True,
    ),
    "only the end": (lambda api: raw(sse("[DONE]"), kind="text/event-stream"), False),
    "only comments": (lambda api: raw(b": ping\n\n" * 50, kind="text/event-stream"), False),
    "events of other kinds": (
        lambda api: raw(sse("5", "null", "[]", {"type": 7}, {"type": "new"}), kind="text/event-stream"),
        False,
    ),
    "other events between": (
        lambda api: raw(
            sse(5, None, {"type": "response.new", "x": {}}, *events(good(api))), kind="text/event-stream"
        ),
        True,
    ),
    "the end only of a stream": (
        lambda api: raw(sse(events(good(api))[0]), kind="text/event-stream"),
        False,
    ),
    "cut": (lambda api: cut(sse(*events(good(api)))[:80], "text/event-stream"), False),
    "cut JSON": (lambda api: cut(json.dumps(good(api))[:80].encode(), "application/json"), False),
    "cut before it began": (lambda api: cut(b"", "application/json"), False),
    "401": (lambda api: raw(json.dumps(ECHO), 401), False),
    "403 page": (lambda api: raw(f"<h1>{KEY}", 403, "text/html"), False),
    "400 deep": (lambda api: raw(DEEP, 400), False),
    "418 empty": (lambda api: raw("", 418), False),
    "500 list": (lambda api: raw("[]", 500), False),
    "503 with a long text": (lambda api: raw(KEY + "x" * 100_000, 503, "text/plain"), False),
    "302 nowhere": (lambda api: raw("", 302, location="http://127.0.0.1:9/\x1b"), False),
    "302 without": (lambda api: raw("", 302), False),
    "204": (lambda api: Response(status_code=204), False),
}


def cut(content: bytes, kind: str) -> Response:
    """Says more than it sends."""

    async def body() -> AsyncIterator[bytes]:
        yield content
        await asyncio.sleep(0)
        raise ConnectionResetError

    return StreamingResponse(body(), headers={"content-length": "100000"}, media_type=kind)


@BOTH
@WAYS
@pytest.mark.parametrize("kind", WIRE)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_comes_over_the_wire(
    server: Server, client: Any, plugin: kit.Plugin, kind: str, api: str, stream: bool
) -> None:
    answer, works = WIRE[kind]
    outcome = made(answer(api), server, client, plugin, api, stream)
    assert isinstance(outcome, kit.Reply if works else kit.ChatError), outcome


def test_what_is_wrong_is_said(server: Server, client: Any, plugin: kit.Plugin) -> None:
    said = {
        kind: str(made(WIRE[kind][0]("chat"), server, client, plugin, "chat", True))
        for kind in ("a web page", "nothing", "plain text", "very deep", "an error event", "half JSON")
    }
    assert "a web page, not as a model's API: '<!doctype html>" in said["a web page"]
    assert "base_url" in said["a web page"]
    assert "is empty" in said["nothing"]
    assert "neither JSON nor a stream of events: 'It works!'" in said["plain text"]
    assert "nested too deeply" in said["very deep"]
    assert r"wrong key ***\u001b[31m" in said["an error event"]
    assert "cut off" in said["half JSON"]


CALLS: dict[str, list[tuple[Any, Any, Any]]] = {
    "broken arguments": [("a", "weather", '{"city":')],
    "no arguments": [("a", "now", "")],
    "null": [("a", "now", "null")],
    "encoded twice": [("a", "weather", json.dumps('{"city": "Rome"}'))],
    "an object": [("a", "weather", {"city": "Rome"})],
    "a list": [("a", "weather", "[1]")],
    "deep": [("a", "weather", DEEP)],
    "half a character": [("a", "weather", '{"city": "\\ud800", "\\udfff": 1}'), ("b", f"x{HALF}", HALF)],
    "not a number": [("a", "weather", '{"city": NaN}')],
    "a huge number": [("a", "weather", '{"city": ' + "9" * 5000 + "}")],
    "no id": [(None, "now", "{}"), ("", "now", "{}")],
    "the same id": [("a", "now", "{}"), ("a", "weather", '{"city": "Rome"}')],
    "an odd id": [(5, "now", "{}"), ("a" * 1000, "now", "{}"), ("\x1b \n", "now", "{}")],
    "an odd name": [("a", "get weather!\n", "{}"), ("b", None, "{}"), ("c", "x" * 1000, "{}")],
}


@BOTH
@WAYS
@pytest.mark.parametrize("kind", CALLS)
def test_calls_that_a_history_cannot_hold(
    server: Server, client: Any, plugin: kit.Plugin, kind: str, api: str, stream: bool
) -> None:
    whole = good(api, "", *CALLS[kind])
    reply = made(json_response(whole, stream), server, client, plugin, api, stream)
    assert isinstance(reply, kit.Reply), reply
    assert len(reply.calls) == len(CALLS[kind])
    if kind in ("encoded twice", "an object"):
        assert reply.calls[0].data == "Rome"
    elif kind in ("no arguments", "null", "no id"):
        assert {call.data for call in reply.calls} == {"noon"}
    repr(reply)
    reply._repr_html_()


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON value."""
    yield ()
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from ((key, *rest) for rest in places(item))


def changed(value: Any, place: tuple[Any, ...], wrong: Any) -> Any:
    if not place:
        return wrong
    copy = value.copy()
    copy[place[0]] = changed(value[place[0]], place[1:], wrong)
    return copy


@BOTH
@WAYS
def test_any_type_at_any_place(api: str, stream: bool) -> None:
    """Without a server, since they are thousands: each is read, or refused, and gives a history that is valid."""
    whole = good(api, "Fine.", ("a", "now", "{}"), ("b", "weather", '{"city": "Rome"}'))
    answer = events(whole) if stream else [whole]
    cases = [changed(answer, place, wrong) for place in places(answer) if place for wrong in WRONG]
    assert len(cases) > 400
    read = 0
    for case in cases:
        reader = apis.APIS[api]("m", [{"role": "user", "content": "hi"}], [], "", stream, Options({}))
        try:
            for value in case:
                if isinstance(value, dict):  # the border lets nothing else through
                    assert isinstance(reader.read(value), str)
            round = reader.round()
        except kit.ChatError:
            continue
        read += 1
        results = [{"type": "function_call_output", "call_id": c.id, "output": ""} for c in round.calls]
        check_history([*round.items, *results])
        assert isinstance(round.usage.total_tokens, int)
        assert isinstance(round.model, str)
    assert read > len(cases) / 2


@BOTH
@pytest.mark.parametrize(
    "kind", ["text", "one line", "one JSON", "comments", "empty deltas", "arguments", "bomb"]
)
def test_what_does_not_end_is_ended(
    server: Server, client: Any, plugin: kit.Plugin, kind: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_VALUE", 200_000)
    monkeypatch.setattr(answers, "MAX_ANSWER", 400_000)
    monkeypatch.setattr(apis, "MAX_TEXT", 20_000)
    word = "x" * 1000

    def delta(**more: Any) -> bytes:
        if api == "chat":
            return sse({"choices": [{"index": 0, "delta": more}]})
        return sse({"type": "response.output_text.delta", "delta": more.get("content", "")})

    piece = {
        "text": delta(content=word),
        "one line": word.encode(),
        "one JSON": word.encode(),
        "comments": b": ping\n\n" * 500,
        "empty deltas": delta(content="") * 50,
        "arguments": delta(
            tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": word}}]
        ),
        "bomb": gzip.compress(b'{"a": "' + b"a" * 5_000_000),
    }[kind]
    start = {"one line": b"data: ", "one JSON": b'{"a": "'}.get(kind, b"")

    async def body() -> AsyncIterator[bytes]:
        yield start
        while True:
            yield piece
            await asyncio.sleep(0)

    headers = {"content-encoding": "gzip"} if kind == "bomb" else {}
    answer = StreamingResponse(body(), headers=headers, media_type="text/event-stream")
    outcome = made(answer, server, client, plugin, api, True)
    assert isinstance(outcome, kit.ChatError)
    assert "does not end" in str(outcome)


@BOTH
@WAYS
def test_a_question_without_an_answer_gets_one_in_the_history(
    server: Server, client: Any, plugin: kit.Plugin, api: str, stream: bool
) -> None:
    chat = kit.Chat(plugin, client=client, model="m", api=api, show=False)
    server.first = json_response(good(api, ""), stream)
    reply = asked(chat, "hi", stream)
    assert isinstance(reply, kit.Reply)
    assert (reply.text, reply.notes) == ("", ["The model's answer is empty."])
    assert [item["content"] for item in chat.history] == ["hi", "(no answer)"]


@BOTH
@WAYS
def test_thousands_of_calls_are_not_made(
    server: Server, client: Any, plugin: kit.Plugin, api: str, stream: bool
) -> None:
    whole = good(api, "", *[(f"c{n}", "now", "{}") for n in range(2000)])
    error = made(json_response(whole, stream), server, client, plugin, api, stream)
    assert "2,000 calls at once, and the limit is 128" in str(error)


def test_signs_of_life_are_no_answer(server: Server, plugin: kit.Plugin) -> None:
    """A server that keeps the connection open: what the client waits for a byte, an event may take."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b": ping\n\n"
            await asyncio.sleep(0.02)

    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=0.3) as client:
        answer = StreamingResponse(body(), media_type="text/event-stream")
        error = made(answer, server, client, plugin, "chat", True)
    assert "said nothing for" in str(error)


@pytest.mark.parametrize(
    "models",
    [{"data": []}, {"data": [{"id": 5}]}, {"data": 5}, {}, [], "<html>", {"error": {"message": KEY}}],
)
def test_a_list_of_models_that_is_none(server: Server, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat = kit.Chat(show=False)
    server.first = raw(models if isinstance(models, str) else json.dumps(models))
    assert isinstance(asked(chat, "hi", True), kit.ChatError)
    server.first = raw(json.dumps({"data": [{"id": "/models/small.gguf"}]}))
    assert isinstance(asked(chat, "hi", True), kit.Reply)
    assert "small.gguf" in repr(chat)
    assert "/models" not in repr(chat)
    assert server.requests[-1]["model"] == "/models/small.gguf"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://[half/v1", "k"),
        ("nowhere", "k"),
        ("http://127.0.0.1:99999", "k"),
        (None, f"{KEY}\nX: y"),
        (None, f"{KEY}é"),
    ],
)
def test_an_address_or_a_key_that_is_none(
    server: Server, url: str | None, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url or server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_MODEL", "m")
    assert isinstance(asked(kit.Chat(show=False), "hi", True), kit.ChatError)
