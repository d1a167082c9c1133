"""Streams of Chat Completions, as servers other than OpenAI's send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit.chat.apis import ChatCompletionsAPI
from kit.chat.options import Options

ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


def part(index: Any, id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def read(*events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """The calls of a stream whose events have these pieces."""
    api = ChatCompletionsAPI("m", [], [], "", True, Options({}))
    for parts in events:
        api.read({"choices": [{"index": 0, "delta": {"tool_calls": parts}}]})
    api.read({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    round = api.round()
    assert len({call.id for call in round.calls}) == len(round.calls)
    return [(call.name, call.read()) for call in round.calls]


BOTH = [("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})]


@pytest.mark.parametrize(
    "events",
    [
        [[part(0, "a", "weather", ROME)], [part(1, "b", "weather", OSLO)]],  # as OpenAI
        [
            [part(0, "a", "weather", ""), part(1, "b", "weather", "")],
            [part(1, None, None, OSLO), part(0, None, None, ROME)],
        ],
        [[part(0, "a", "weather", ROME)], [part(0, "b", "weather", OSLO)]],  # all at index 0
        [[part(None, "a", "weather", ROME)], [part(None, "b", "weather", OSLO)]],  # no index
        [[part(None, "a", "weather", ROME), part(None, "b", "weather", OSLO)]],  # in one event
        [[part(0, "a", "weather", ROME), part(0, "b", "weather", OSLO)]],
        [[part(None, None, "weather", ROME)], [part(None, None, "weather", OSLO)]],  # no ids either
        [[part(None, "", "weather", ROME), part(None, "", "weather", OSLO)]],
        [[part(0, "a", "weather", ROME)], [part(0, "a", "weather", OSLO)]],  # the same id for both
        [[part(0, "a", "weather", ROME)], [part(1, "a", "weather", OSLO)]],
        [
            [part(0, "a", "weather", '{"city"')],
            [part(0, None, None, ': "Rome"}')],
            [part(0, "b", "weather", OSLO)],
        ],
        [[part("0", "a", "weather", ROME)], [part("1", "b", "weather", OSLO)]],
        [[part(0, "a", "weather", ROME)], [part(0, "a", "weather", ROME)], [part(0, "b", "weather", OSLO)]],
        [[part(0, "a", "weather", {"city": "Rome"})], [part(0, "b", "weather", json.dumps(OSLO))]],
    ],
)
def test_two_calls_are_two(events: list[list[dict[str, Any]]]) -> None:
    assert read(*events) == BOTH


@pytest.mark.parametrize(
    "events",
    [
        [[part(0, "a", "weather", '{"ci')], [part(0, "a", "weather", 'ty": "Rome"}')]],  # the name each time
        [[part(None, None, "weather", '{"ci')], [part(None, None, "weather", 'ty": "Rome"}')]],
        [[part(0, "a", "wea", "")], [part(0, None, "weather", ROME)]],  # the name grows
        [[part(0, "a", "weather", ROME)], [part(0, "a", "weather", ROME)]],  # all of it again at the end
        [[part(0, "a", "weather", ROME)], [part(0, "a", "weather", "")], [part(0, "", "", "")]],
        [[part(0, "a", "weather", json.dumps(ROME)[:9])], [part(0, None, None, json.dumps(ROME)[9:])]],
        [[part(0, None, "weather", "")], [part(0, "a", None, ROME)]],  # the id comes late
        [[{"index": 0}, {"index": 0, "function": None}], [part(0, "a", "weather", ROME)]],
    ],
)
def test_one_call_is_one(events: list[list[dict[str, Any]]]) -> None:
    assert read(*events) == BOTH[:1]


def test_calls_without_arguments() -> None:
    assert read([part(None, None, "now", "")], [part(None, None, "today", None)]) == [
        ("now", {}),
        ("today", {}),
    ]
    assert read([part(0, "a", "now", "null")]) == [("now", {})]


def test_ids_are_new_in_the_whole_conversation() -> None:
    history = [{"type": "function_call", "call_id": "call_0", "name": "now", "arguments": "{}"}]
    api = ChatCompletionsAPI("m", history, [], "", False, Options({}))
    api.read({"choices": [{"message": {"tool_calls": [part(0, "call_0", "now", "{}")]}}]})
    assert [call.id for call in api.round().calls] == ["call00002"]
    assert history[0]["call_id"] == "call_0"


def test_a_name_in_each_of_many_pieces_takes_no_longer() -> None:
    pieces = [[part(0, "a", "weather", '{"')] for _ in range(20_000)]
    assert len(read(*pieces)) == 1
