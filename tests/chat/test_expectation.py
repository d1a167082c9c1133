"""`reply.expect`, `result.expect`, and KIT_STRICT: what a cell shows, said by the cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kernel import Kernel

import kit
from kit.demo import make_plugin

ADD = "Add 'buy milk' to sam's list"


def test_what_happened_is_returned(todo: kit.Plugin) -> None:
    reply = kit.Chat(todo, show=False)(ADD)
    assert reply.expect("add_todo", username="sam") is reply
    assert reply.expect("add_todo", todo={"regex": "milk"}).expect() is reply
    result = kit.install(todo).call("list_todos", username="sam")
    assert result.expect(200, ["buy milk"]) is result.expect()


@pytest.mark.parametrize(
    ("said", "expected", "arguments", "words"),
    [
        (ADD, "add_todo", {"username": "ada"}, "username is 'sam', expected 'ada'"),
        (ADD, "list_todos", {}, "Expected list_todos(): add_todo("),
        (ADD, None, {}, "No call was expected, and add_todo("),
        ("Hello", "add_todo", {}, "nothing was called"),
    ],
)
def test_what_did_not_happen_is_said_with_the_transcript(
    todo: kit.Plugin, said: str, expected: str | None, arguments: dict[str, str], words: str
) -> None:
    reply = kit.Chat(todo, show=False)(said)
    with pytest.raises(kit.ExpectationFailed) as failed:
        reply.expect(expected, **arguments)
    assert words in failed.value.problem
    assert f"You: {said}" in str(failed.value)


def broken() -> kit.Plugin:
    plugin = kit.Plugin("broken", description_for_model="Weather.")

    @plugin.get("/weather", summary="Get the weather of a city")
    def get_weather(city: str) -> str:
        raise RuntimeError("no")

    return plugin


def test_a_call_that_failed_is_not_what_was_expected() -> None:
    reply = kit.Chat(broken(), show=False)("What is the weather in Paris?")
    for arguments in ([], ["get_weather"]):
        with pytest.raises(kit.ExpectationFailed, match="answered 500"):
            reply.expect(*arguments)
    with pytest.raises(kit.ExpectationFailed, match="answered 500, expected success"):
        reply.calls[0].expect()
    reply.calls[0].expect(500)


@pytest.mark.parametrize("said", ["What is the weather in Paris?", "Hello"])
def test_strictly_a_failed_call_and_no_call_are_red(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    kit.Chat(broken(), show=False)(said)
    monkeypatch.setenv("KIT_STRICT", "1")
    with pytest.raises(kit.ExpectationFailed):
        kit.Chat(broken(), show=False)(said)
    kit.evaluate(broken(), [(said, "none")])  # cases say themselves what is right


def test_a_strict_cell_may_say_that_nothing_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KIT_STRICT", "1")
    with Kernel() as kernel:
        kernel.run("import kit\nfrom kit.demo import make_plugin\nchat = kit.Chat(make_plugin(), show=False)")
        assert "Nothing was called" in kernel.run("chat('Hello')").error
        assert kernel.run("chat('Hello').expect(None)").error == ""
        assert "No call was expected" in kernel.run(f"chat({json.dumps(ADD)}).expect(None)").error


def test_the_operations_are_methods_with_signatures() -> None:
    plugin = kit.install(make_plugin())
    assert dir(plugin.operations) == ["add_todo", "delete_todo", "list_todos"]
    assert plugin.operations.add_todo(username="sam", todo="milk").data == ["milk"]
    assert "delete_todo(*, username: str, number: int) -> CallResult" in repr(plugin.operations)
    assert plugin.operations.add_todo.__doc__ == "Add a todo to the list of a user"
    with pytest.raises(kit.OperationError, match="Did you mean"):
        plugin.operations.add_tod(username="sam")
