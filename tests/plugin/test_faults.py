"""A fault of an author's code is shown with the call to who calls from the same process, and to nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

import kit
from kit.plugin import faults

SECRET = "sk-proj-8fJ2mQ9xLr4TnB7vKc3ZpW6y"


class Table:
    """As a DataFrame has it."""

    __slots__ = ()

    def to_dict(self, orient: str) -> list[Any]:
        return []


class Number:
    """As a number of numpy's has it."""

    __slots__ = ()

    def tolist(self) -> int:
        return 1


def _raises() -> dict[str, str]:
    return {"title": {1: "Dune"}[7]}


def _holds_a_secret() -> None:
    raise ValueError(f"wrong key {SECRET}")


def _table():  # type: ignore[no-untyped-def]
    return Table()


def _number():  # type: ignore[no-untyped-def]
    return [{"count": Number()}]


def _nothing() -> int:
    return None  # type: ignore[return-value]


def _deep() -> dict[str, int]:
    def inner(n: int) -> int:
        return 1 // n if n == 0 else inner(n - 1)

    return {"n": inner(3)}


KINDS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "an exception": (_raises, "KeyError: 7", 'return {"title": {1: "Dune"}[7]}'),
    "an exception below": (_deep, "ZeroDivisionError", "return 1 // n"),
    "a table": (_table, "_table() returned a Table, which cannot be written as JSON", "to_dict('records')"),
    "a number inside": (_number, "_number() returned a list with a Number in it", "tolist()"),
    "not of its type": (_nothing, "_nothing() returned None, which is not of the type", "a valid integer"),
    "a secret": (_holds_a_secret, "ValueError: wrong key", "raise ValueError"),
}


def make() -> kit.Plugin:
    plugin = kit.Plugin("shop", description_for_model="A shop.", description_for_human="A shop.")
    for function, _, _ in KINDS.values():
        plugin.get(f"/{function.__name__}", summary=f"Use {function.__name__}")(function)
    return plugin


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_served", [False, True])
def test_the_author_sees_where_and_why(kind: str, is_served: bool) -> None:
    function, error, line = KINDS[kind]
    plugin = make()
    with kit.serve(plugin) as server:
        result = kit.install(server if is_served else plugin).call(function.__name__)
    assert result.status == 500
    for shown in (repr(result), str(result.fault)):
        assert error in shown
        assert line in shown
        assert "test_faults.py, line " in shown
        assert SECRET not in shown
    assert "test_faults.py" in result._repr_html_()
    assert SECRET not in result._repr_html_()
    assert error.split("(")[0] in result.for_model(with_fault=True)


def test_a_stranger_is_told_nothing() -> None:
    with kit.serve(make()) as server:
        answer = httpx2.get(f"{server.url}/_raises")
        assert answer.status_code == 500
        assert "KeyError" not in answer.text
        assert "test_faults" not in answer.text
        mcp = kit.install(server).call("_raises").for_model()  # what /mcp sends to whoever calls
        assert "KeyError" not in mcp


def test_the_models_answer_and_the_transcript_name_it() -> None:
    with kit.serve(make()) as server:
        chat = kit.Chat(server, show=False)
        reply = chat("use _raises")
    assert "KeyError: 7" in reply.text
    assert 'return {"title"' in repr(reply)


def test_the_log_begins_with_the_authors_line(caplog: pytest.LogCaptureFixture) -> None:
    with kit.serve(make()) as server, caplog.at_level(logging.ERROR):
        httpx2.get(f"{server.url}/_raises")
    text = "\n".join(record.exc_text or "" for record in caplog.records)
    assert "KeyError: 7" in text
    assert len(text.splitlines()) < 12
    assert "uvicorn" not in text


def test_only_the_latest_are_kept() -> None:
    error = ValueError("x")
    for number in range(faults.KEPT + 20):
        faults.keep(f"flood-{number}", error)
    assert len(faults._faults) == faults.KEPT
    assert faults.of(b'{"request_id": "flood-1"}') is None
    assert faults.of(b'{"request_id": ["flood-219"]}') is None
    assert faults.of(b"not json") is None
