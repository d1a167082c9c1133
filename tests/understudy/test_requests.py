"""The understudy's border: whatever a client sends, it answers as OpenAI would, and in bounded time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import oracles
import pytest
from anything import shaped
from hypothesis import given
from starlette.testclient import TestClient

from kit import understudy
from kit.understudy import app, make_app
from kit.understudy.dialogue import MAX_LENGTH
from kit.understudy.slots import ToolReading, read_tools

PARAMETERS = {
    "type": "object",
    "required": ["username"],
    "$defs": {"Node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Node"}, "text": {"type": "string"}}}},
    "properties": {
        "username": {"type": "string", "description": "whose list, such as sam", "examples": ["sam"]},
        "number": {"type": ["integer", "null"], "minimum": 1, "maximum": 5},
        "kind": {"anyOf": [{"enum": ["red", None, 3]}, {"type": "null"}], "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "node": {"$ref": "#/$defs/Node"},
    },
}  # fmt: skip
FUNCTION = {
    "name": "add_todo",
    "description": "Add a todo to a list",
    "parameters": PARAMETERS,
    "strict": False,
}
TEXT = "Add 'buy milk' to sam's list, number 3 and 4, red, tags: a, b and 99999999999999999999.5"
ANY_API = {"model": "x", "tool_choice": "auto", "stream": False, "temperature": 0.5, "metadata": {"a": "b"}}
ARGUMENTS = {"id": "c", "function": {"name": "add_todo", "arguments": '{"username": "sam"}'}}
CHAT = {
    **ANY_API,
    "messages": [
        {"role": "user", "content": TEXT},
        {"role": "assistant", "content": "Hello?", "tool_calls": [ARGUMENTS]},
        {"role": "tool", "tool_call_id": "c", "content": '[{"a": 1}, {"b": [1e400]}]'},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "n": 1,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "text"},
}
RESPONSES = {
    **ANY_API,
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": TEXT}]},
        {"type": "function_call", "call_id": "c", "name": "add_todo", "arguments": '{"username": NaN}'},
        {"type": "function_call_output", "call_id": "c", "output": '{"error": {"message": "no"}}'},
    ],
    "tools": [{"type": "function", **FUNCTION}, {"type": "namespace", "name": "n", "tools": []}],
    "instructions": "My name is Sam.",
    "previous_response_id": None,
    "text": {"format": {"type": "text"}},
    "store": False,
}
ERROR = oracles.strict(oracles.OPENAI["ErrorResponse"])
CHAT_ANSWER = oracles.strict(oracles.OPENAI["CreateChatCompletionResponse"])


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app()) as running:
        yield running


def answer(client: TestClient, path: str, body: Any) -> Any:
    """The answer, after a look at its status and shape."""
    content = body if isinstance(body, bytes) else json.dumps(body)
    got = client.post(f"/v1{path}", content=content)
    assert got.status_code in (200, 400, 413), got.text
    if got.status_code != 200:
        assert oracles.errors(ERROR, got.json()) == []
    got.content.decode()
    return got


@given(body=shaped(CHAT))
def test_any_chat_request_is_answered_or_refused(client: TestClient, body: Any) -> None:
    answer(client, "/chat/completions", body)


@given(body=shaped(RESPONSES))
def test_any_request_to_responses_is_answered_or_refused(client: TestClient, body: Any) -> None:
    answer(client, "/responses", body)


@given(parameters=shaped(PARAMETERS))
def test_any_parameters_of_a_tool_are_read(client: TestClient, parameters: Any) -> None:
    tool = {**FUNCTION, "parameters": parameters}
    body = {**CHAT, "messages": CHAT["messages"][:1], "tools": [{"type": "function", "function": tool}]}  # type: ignore[index]
    answer(client, "/chat/completions", body)


def test_the_requests_that_the_others_vary_are_right(client: TestClient) -> None:
    assert answer(client, "/chat/completions", CHAT).status_code == 200
    assert answer(client, "/responses", RESPONSES).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"model": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400),
        (b'{"model": "x", "messages": [{"role": "user", "content": "\\ud800 hi"}]}', 200),
        (b'{"model": "x", "messages": [{"role": "user", "content": "Delete todo %s"}]}' % (b"9" * 310), 200),
        (b'{"model": "x", "n": %s, "messages": [{"role": "user", "content": "hi"}]}' % (b"9" * 5000), 400),
        (b'{"model": "x", "temperature": 1e400, "messages": [{"role": "user", "content": "hi"}]}', 400),
        (b'{"model": "x", "temperature": NaN, "messages": [{"role": "user", "content": "hi"}]}', 400),
        (b"\xff\xfe", 400),
        (b'"' + b"a" * (app.MAX_BODY + 1) + b'"', 413),
    ],
    ids=["brackets", "objects", "surrogate", "digits", "number", "infinite", "NaN", "bytes", "large"],
)
def test_bodies_that_break_readers(client: TestClient, content: bytes, status: int) -> None:
    assert answer(client, "/chat/completions", content).status_code == status


@pytest.mark.parametrize(
    "piece", ['"a" ', "'a' ", "12 ", " ", "a-", "a@b.", "A ", "a, ", "keep in mind ", '[{"a":1}]']
)
def test_a_text_that_is_too_long_is_not_read_and_that_is_said(client: TestClient, piece: str) -> None:
    tools = CHAT["tools"]
    long = piece * (100_000 // len(piece))
    for text, is_read in ((long[:MAX_LENGTH], True), (long, False)):
        body = {"model": "x", "tools": tools, "messages": [{"role": "user", "content": text}]}
        message = answer(client, "/chat/completions", body).json()["choices"][0]["message"]
        said = message["content"] or ""
        assert (
            f"has {len(text):,} characters, and the understudy reads {MAX_LENGTH:,}" in said
        ) is not is_read
        assert is_read or not message.get("tool_calls")


def test_references_that_go_in_circles_end() -> None:
    loop = {"$ref": "#/$defs/A"}
    schema = {
        "type": "object",
        "properties": {"a": loop},
        "$defs": {"A": {"anyOf": [loop], "items": loop, **loop}},
    }
    (slot,) = read_tools([{"name": "x", "parameters": schema}])[0].slots
    assert slot.item.item.type == slot.type


def test_a_request_that_is_read_for_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(tools: list[Any]) -> list[ToolReading]:
        reading.set()
        assert go_on.wait(10)
        return read_tools(tools)

    new = {"type": "function", "function": {**FUNCTION, "name": "never_read_before"}}
    body = {"model": "x", "messages": [{"role": "user", "content": "hello"}]}
    with understudy.serve() as running, ThreadPoolExecutor() as pool:
        url = f"{running.base_url}/chat/completions"
        assert httpx2.post(url, json=body).status_code == 200  # the reading of no tools is kept
        monkeypatch.setattr(app, "read_tools", slow)
        first = pool.submit(httpx2.post, url, json={**body, "tools": [new]})
        try:
            assert reading.wait(10)
            assert httpx2.post(url, json=body).status_code == 200
            assert not first.done()
        finally:
            go_on.set()
        assert first.result().status_code == 200


OBJECT = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
A = {"type": "string"}


@pytest.mark.parametrize(
    ("parameters", "strict", "said"),
    [
        ({"type": "array", "items": A}, False, """schema must be a JSON Schema of 'type: "object"', got 'type: "array"'."""),
        ({"properties": {}}, False, """schema must be a JSON Schema of 'type: "object"', got 'type: "None"'."""),
        ({"type": "object"}, False, "In context=(), object schema missing properties."),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, False, "In context=('properties', 'a'), array schema missing items."),
        (
            {"type": "object", "properties": {"a": {"anyOf": [A, {"$ref": "#/$defs/B"}]}}}, False,
            "In context=('properties', 'a', 'anyOf', '1'), reference to component '#/$defs/B' which was not found in the schema.",
        ),
        ({"type": "object", "properties": {}}, True, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
        ({**OBJECT, "properties": {"a": A, "b": A}, "required": ["a"]}, True, "including every key in properties. Missing 'b'."),
        (
            {**OBJECT, "properties": {"a": {"type": "object", "properties": {}}}, "required": ["a"]}, True,
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        ({**OBJECT, "properties": {"a": {"allOf": [A]}}, "required": ["a"]}, True, "In context=('properties', 'a'), 'allOf' is not permitted."),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": A}}, False, ""),
        ({"type": "object", "properties": {"a": {"type": ["array", "null"], "items": A}, "b": {"oneOf": [A]}}}, False, ""),
        ({**OBJECT, "properties": {"a": A}, "required": ["a"]}, True, ""),
        (None, False, ""),
    ],
)  # fmt: skip
def test_parameters_that_openai_refuses_are_refused(
    client: TestClient, parameters: Any, strict: bool, said: str
) -> None:
    function = {"name": "f", "parameters": parameters, "strict": strict}
    chat = {
        "model": "x",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": function}],
    }
    responses = {"model": "x", "input": "hi", "tools": [{"type": "function", **function}]}
    for path, body, param in (
        ("/chat/completions", chat, "tools[0].function.parameters"),
        ("/responses", responses, "tools[0].parameters"),
    ):
        given = client.post(f"/v1{path}", json=body)
        assert given.status_code == (400 if said else 200), given.text
        if said:
            error = given.json()["error"]
            assert error["message"].startswith("Invalid schema for function 'f': ")
            assert said in error["message"]
            assert (error["param"], error["code"]) == (param, "invalid_function_parameters")


def test_more_tools_than_chat_completions_takes_are_refused(client: TestClient) -> None:
    tools = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    error = client.post("/v1/chat/completions", json=body).json()["error"]
    assert error["code"] == "array_above_max_length"
    assert error["message"].endswith("maximum length 128, but got an array with length 129 instead.")
    assert client.post("/v1/chat/completions", json={**body, "tools": tools[:128]}).status_code == 200
