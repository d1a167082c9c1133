"""Traces: a chat, its calls and the plugin's operations are one, where an SDK records them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from eras import calls, each_era, talk
from fastapi import FastAPI
from scripted import Scripted
from starlette.testclient import TestClient
from strangers import Stranger, openapi

import kit
from kit import loop, traces

pytest.importorskip("opentelemetry.sdk", reason="no SDK of OpenTelemetry is installed")

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ADD = ("add_todo", '{"username": "sam", "todo": "buy milk"}')


class Recorded:
    """The spans that have ended, by name."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def __getitem__(self, name: str) -> Any:
        (span,) = (span for span in self.spans if span.name == name)
        return span

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def line(self, span: Any) -> list[str]:
        """The names from a span up to the root of its trace."""
        by_id = {it.context.span_id: it for it in self.spans if it.context.trace_id == span.context.trace_id}
        names = []
        while span is not None:
            names.append(span.name)
            span = by_id[span.parent.span_id] if span.parent else None
        return names


# one for all, as in a program: what has taken a tracer keeps it
RECORDED = Recorded()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The SDK is set up as the program's own, until the test ends."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", RECORDED.provider)
    RECORDED.exporter.clear()
    return RECORDED


@pytest.fixture
def model() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


@pytest.fixture
def chat(model: Scripted, server: kit.Server) -> Iterator[kit.Chat]:
    client = openai.AsyncOpenAI(base_url=model.base_url, api_key="k", max_retries=0)
    yield kit.Chat(server, client=client, model="gpt-6", show=False)
    loop.run(client.close())


def test_chat_call_and_operation_are_one_trace(chat: kit.Chat, model: Scripted, recorded: Recorded) -> None:
    model.enqueue("", ADD)
    model.enqueue("Added.")
    assert chat("Add buy milk").calls[0].ok
    turn, call = recorded["invoke_agent todo"], recorded["execute_tool add_todo"]
    operation = recorded["POST /users/{username}/todos"]
    assert recorded.line(operation) == [operation.name, call.name, turn.name]
    rounds = [span for span in recorded.spans if span.name == "chat gpt-6"]
    assert [span.kind for span in rounds] == [trace.SpanKind.CLIENT] * 2
    assert [recorded.line(span) for span in rounds] == [["chat gpt-6", turn.name]] * 2
    assert dict(call.attributes) | {"gen_ai.tool.call.id": "id"} == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add_todo",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "id",
    }
    assert turn.attributes["gen_ai.provider.name"] == "openai"
    assert turn.attributes["gen_ai.agent.name"] == "todo"
    tokens = [span.attributes["gen_ai.usage.input_tokens"] for span in rounds]
    assert turn.attributes["gen_ai.usage.input_tokens"] == sum(tokens) > 0
    # what is said, and what with, is nobody's business
    own = [span for span in recorded.spans if span.instrumentation_scope.name == "kit"]
    assert len(own) == 4
    assert not any("milk" in span.to_json() or "sam" in span.to_json() for span in own)


def test_a_turn_that_ends_early_ends_its_spans(chat: kit.Chat, model: Scripted, recorded: Recorded) -> None:
    model.enqueue("One two three")
    events = chat.stream("Count")
    next(events)
    events.close()  # type: ignore[attr-defined]
    model.enqueue("busy", status=400)
    with pytest.raises(kit.ChatError):
        chat("Hello")
    model.enqueue("", ("delete_todo", '{"username": "sam", "number": 9}'))
    model.enqueue("There is none.")
    chat("Delete it")
    left, refused, answered = (span for span in recorded.spans if span.name == "invoke_agent todo")
    assert "error.type" not in left.attributes
    assert refused.attributes["error.type"] == "ChatError"
    assert not refused.status.is_ok
    assert answered.status.is_ok
    assert recorded["execute_tool delete_todo"].attributes["error.type"] == "404"
    assert not trace.get_current_span().get_span_context().is_valid


def test_turns_at_the_same_time_are_traces_of_their_own(server: kit.Server, recorded: Recorded) -> None:
    tracer = recorded.provider.get_tracer("test")

    async def turn(number: int) -> str:
        with tracer.start_as_current_span(f"user {number}") as span:
            await kit.Chat(server, show=False).asend("Add 'buy milk' to sam's list")
            assert trace.get_current_span() is span
        return span.name

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(turn, range(4)))

    users = asyncio.run(all_of_them())
    operations = [span for span in recorded.spans if span.name.startswith("POST")]
    chain = ["POST /users/{username}/todos", "execute_tool add_todo", "invoke_agent todo"]
    assert sorted(recorded.line(span) for span in operations) == [[*chain, user] for user in users]


def test_a_call_carries_the_trace_and_nothing_else(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stranger({"/things": (200, {}, {"things": []})}) as stranger:
        stranger.pages["/openapi.json"] = (200, {}, openapi())
        plugin = kit.install(f"{stranger.url}/openapi.json")
        token = context.attach(baggage.set_baggage("customer", "sam"))
        try:
            with recorded.provider.get_tracer("test").start_as_current_span("mine") as span:
                plugin.call("list_things")
        finally:
            context.detach(token)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)  # as without an SDK
        plugin.call("list_things")
        with_sdk, without = (headers for _, _, headers, *_ in stranger.requests[-2:])
    ids = span.get_span_context()
    assert with_sdk["traceparent"] == f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"
    assert {"baggage", "traceparent"} & {*without} == {"baggage"} & {*with_sdk} == set()


@each_era
def test_a_call_over_mcp_is_one_trace(server: kit.Server, recorded: Recorded, era: str) -> None:
    with recorded.provider.get_tracer("test").start_as_current_span("mine") as span:
        talk(f"{server.url}/mcp", era, calls(("list_todos", {"username": "sam"})))
    operation = recorded["GET /users/{username}/todos"]
    assert recorded.line(operation)[-1] == span.name
    assert "tools/call list_todos" in recorded.line(operation)


# -- OpenTelemetry's own instrumentation of FastAPI, for versions that have none themselves ---------


@pytest.fixture
def instrumentor(recorded: Recorded) -> Iterator[Any]:
    module = pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="it is not installed")
    found = module.FastAPIInstrumentor()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


def test_an_instrumented_plugin_has_one_span_for_each_request(
    todo: kit.Plugin, instrumentor: Any, recorded: Recorded
) -> None:
    instrumentor.instrument_app(todo, exclude_spans=["receive", "send"])
    with kit.serve(todo) as server:
        assert kit.install(server).call("list_todos", username="sam").ok

        @todo.get("/users/{username}/todos", summary="Shout")
        def list_todos(username: str) -> str:
            return username.upper()

        assert kit.install(server).call("list_todos", username="sam").data == "SAM"
    assert kit.install(todo).call("list_todos", username="sam").data == "SAM"  # without a server
    successor = kit.Plugin("todo", description_for_model="What the cell defines when it runs again.")
    traces.instrument(successor, like=todo)
    successor.include_router(todo.router)
    assert kit.install(successor).call("list_todos", username="sam").data == "SAM"
    spans = [span for span in recorded.spans if span.name == "GET /users/{username}/todos"]
    assert [span.instrumentation_scope.name for span in spans] == [
        "opentelemetry.instrumentation.fastapi"
    ] * 4
    instrumentor.uninstrument_app(todo)
    assert kit.install(todo).call("list_todos", username="sam").data == "SAM"


def test_a_plugin_is_among_all_that_are_instrumented(instrumentor: Any, recorded: Recorded) -> None:
    instrumentor.instrument(exclude_spans=["receive", "send"])
    plugin = kit.Plugin("tea", description_for_model="Tea.")

    @plugin.get("/tea")
    def tea() -> str:
        return "tea"

    assert kit.install(plugin).call("tea").data == "tea"
    assert recorded["GET /tea"].instrumentation_scope.name == "opentelemetry.instrumentation.fastapi"
    assert isinstance(plugin, FastAPI)


def test_a_span_of_fastapis_own_shows_no_secret() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin = kit.Plugin("notes", description_for_model="Notes.", telemetry={"tracer_provider": provider})

    @plugin.get("/notes")
    def notes(text: str) -> str:
        return text

    secret = "sk-proj-0123456789abcdef"
    answer = TestClient(plugin).get("/notes", params={"text": "milk", "api_key": secret})
    assert answer.json() == "milk"
    (span,) = (span for span in exporter.get_finished_spans() if span.name == "GET /notes")
    assert "text=milk" in span.attributes["url.query"]
    assert not any(secret in str(span.attributes) for span in exporter.get_finished_spans())
