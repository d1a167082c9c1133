"""Sequence diagrams: who called whom, in which order, drawn from a turn and from a request log."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import httpx2

import kit
from kit.diagrams import MOST, Exchange, Sequence, duration


def words(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_turn_from_the_sentence_to_the_answer(server: kit.Server) -> None:
    reply = kit.Chat(server, show=False)("Add 'buy milk' to sam's list")
    drawn = reply.sequence()
    assert drawn.participants == ["You", "Chat", reply.model, "TODO Plugin"]
    ways = [(exchange.source, exchange.target) for exchange in drawn.exchanges]
    model = reply.model
    assert ways == [
        ("You", "Chat"),
        ("Chat", model),
        ("Chat", "TODO Plugin"),
        ("Chat", model),
        ("Chat", "You"),
    ]
    assert drawn.exchanges[2].text == "POST /users/sam/todos"
    assert drawn.exchanges[2].answer == "200"
    starts = [exchange.start for exchange in drawn.exchanges]
    assert starts == sorted(starts)
    assert drawn.exchanges[-1].start == reply.seconds
    assert sum(exchange.seconds for exchange in drawn.exchanges) <= reply.seconds
    assert "POST /users/sam/todos" in words(drawn.svg)
    assert "POST /users/sam/todos" in repr(drawn)
    assert "Sequence" in reply._repr_html_()


def test_a_call_that_was_not_sent_and_one_that_failed(server: kit.Server) -> None:
    denied = kit.Chat(server, show=False, confirm=lambda call: False)("Delete todo 1 of sam").sequence()
    assert any("not sent" in exchange.text and not exchange.ok for exchange in denied.exchanges)
    assert "#b3261e" in denied.svg
    failed = kit.Chat(server, show=False)("Delete todo 7 of sam").sequence()
    assert [exchange.answer for exchange in failed.exchanges if exchange.target == "TODO Plugin"] == ["404"]


def test_side_by_side_calls_are_drawn_in_the_order_of_time() -> None:
    drawn = Sequence([Exchange("a", "b", "one", 0, 2, "1"), Exchange("a", "c", "two", 1, 3, "2")])
    order = [word for word in words(drawn.svg) if not re.fullmatch(r"[\d.]+ m?s", word)]
    assert order == ["a", "b", "c", "one", "two", "1, 2.0 s", "2, 3.0 s"]


def test_the_log_of_a_server(server: kit.Server) -> None:
    assert repr(server.calls.sequence()) == "Nothing was sent yet."
    for path in ("/users/sam/todos", "/nowhere?token=abcdef"):
        httpx2.get(server.url + path)
    drawn = server.calls.sequence()
    assert [exchange.text for exchange in drawn.exchanges] == [
        "GET /users/sam/todos",
        "GET /nowhere?token=***",
    ]
    assert [exchange.ok for exchange in drawn.exchanges] == [True, False]
    assert drawn.participants == ["client", "TODO Plugin"]
    assert "Sequence" in server.calls._repr_html_()


def test_untrusted_text_stays_text() -> None:
    evil = "</text><script>alert(1)</script>\x00\x1b\"'&"
    drawn = Sequence([Exchange(evil, "b", evil, 0, 1, evil)])
    assert len(list(ElementTree.fromstring(drawn.svg).iter("{http://www.w3.org/2000/svg}script"))) == 0
    html = drawn._repr_html_()
    assert "<script" not in html
    source = re.search(r'src="data:image/svg\+xml,([^"]*)"', html)
    assert source
    ElementTree.fromstring(unquote(source[1].replace("&amp;", "&").replace("&#x27;", "'")))


def test_a_long_one_draws_the_last_and_says_so() -> None:
    drawn = Sequence(Exchange("a", "b", f"call {n}", n, 0.5, "200") for n in range(100))
    text = words(drawn.svg)
    assert "call 99" in text
    assert "call 1" not in text
    assert f"{100 - MOST} earlier ones are not drawn" in text
    assert len(drawn.exchanges) == 100


def test_seconds_in_words() -> None:
    assert [duration(value) for value in (0.0004, 0.012, 1.44)] == ["0 ms", "12 ms", "1.4 s"]


def test_a_reply_that_streams_is_not_drawn_yet() -> None:
    assert "Sequence" not in kit.Reply("Hello")._repr_html_()


def test_the_same_calls_are_equal_whenever_they_were_made(server: kit.Server) -> None:
    plugin = kit.install(server)
    one, two = (plugin.call("list_todos", username="sam") for _ in range(2))
    values: list[Any] = [(call.operation, call.data, call.plugin) for call in (one, two)]
    assert values[0] == values[1]
    assert 0 < one.started < two.started
