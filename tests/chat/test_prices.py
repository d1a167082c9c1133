"""What a reply says of its model, its tokens and what they cost: in a cell, in a terminal and in the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from scripted import Scripted

import kit
from kit.chat.prices import cost, dollars
from kit.chat.reply import Usage

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
STREAMS = pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with Scripted() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        yield running


def ask(chat: kit.Chat, streams: bool) -> kit.Reply:
    return list(chat.stream("Hello"))[-1].reply if streams else chat("Hello")  # type: ignore[union-attr]


@APIS
@STREAMS
def test_under_a_reply_are_its_tokens_and_what_they_cost(scripted: Scripted, api: str, streams: bool) -> None:
    scripted.enqueue("Hello, you.")
    reply = ask(kit.Chat(model="m", api=api, show=False, prices={"m": (1000.0, 2000.0)}), streams)
    usage = reply.usage
    assert reply.cost
    assert reply.cost == pytest.approx((1000 * usage.input_tokens + 2000 * usage.output_tokens) / 1e6)
    said = f"{usage.input_tokens} tokens in and {usage.output_tokens} out, ${reply.cost:.4f}"
    assert repr(reply).endswith(f"\n  ({said})")
    assert said in reply._repr_html_()
    assert f"<b>{reply.model}</b>" in reply._repr_html_()


@APIS
@STREAMS
def test_a_server_that_counts_nothing(scripted: Scripted, api: str, streams: bool) -> None:
    scripted.enqueue("Hello, you.", usage=False)
    reply = ask(kit.Chat(model="m", api=api, show=False, prices={"m": (1.0, 2.0)}), streams)
    assert (reply.text, reply.usage, reply.cost, reply.spent) == ("Hello, you.", Usage(), None, "")
    assert "tokens" not in repr(reply) + reply._repr_html_()
    assert "$" not in repr(reply)


def test_the_page_says_it_too(scripted: Scripted) -> None:
    scripted.enqueue("Hello, you.")
    reply = kit.Chat(model="m", show=False, prices={"m": (1000.0, 0.0)})("Hello")
    assert "$" in reply.spent
    scripted.enqueue("Hello, you.")
    with kit.chatgpt(model="m", prices={"m": (1000.0, 0.0)}) as page:
        headers = {"Authorization": f"Bearer {page.url.partition('token=')[2]}"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{page.port}/api/", headers=headers) as http:
            path = f"conversations/{http.post('conversations', json={}).json()['id']}"
            http.post(f"{path}/say", json={"text": "Hello"})
            events = [json.loads(line) for line in http.get(f"{path}/events?start=0").text.splitlines()]
    assert (events[-1]["model"], events[-1]["spent"]) == (reply.model, reply.spent)


def test_a_model_that_the_server_does_not_name_is_the_one_that_was_asked(scripted: Scripted) -> None:
    scripted.enqueue("Hello.", model=None)
    assert kit.Chat(model="m", show=False)("Hello").model == "m"


def test_the_price_is_that_of_the_name_that_was_asked_or_reported() -> None:
    usage = Usage(1_000_000, 500_000)
    prices = {"gpt-5-mini": (0.25, 2.0), "gpt-5-mini-2025-08-07": (1.0, 1.0)}
    assert cost(usage, prices, "gpt-5-mini", "gpt-5-mini-2025-08-07") == 1.25
    assert cost(usage, prices, "", "gpt-5-mini-2025-08-07") == 1.5
    assert cost(usage, prices, "gpt-5") is None
    assert cost(Usage(), prices, "gpt-5-mini") is None
    assert [dollars(it) for it in (None, 0, 0.00001, 0.0123, 1234.5)] == [
        "", "$0.0000", "less than $0.0001", "$0.0123", "$1,234.5000"
    ]  # fmt: skip


@pytest.mark.parametrize("pair", [3, (1,), ("1", "2"), (-1, 2), None])
def test_prices_that_are_none(pair: Any) -> None:
    with pytest.raises(kit.ChatError, match=r"prices has .* for 'm'.\nGive dollars for a million tokens"):
        kit.Chat(show=False, prices={"m": pair})


def test_the_understudy_costs_nothing_whoever_was_asked(server: kit.Server) -> None:
    reply = kit.Chat(server, model="m", show=False, prices={"m": (1.0, 2.0)})("What is on sam's list?")
    assert reply.usage.total_tokens
    assert reply.cost is None
