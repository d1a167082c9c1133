"""`record`: a real client over a real socket the first time, no server and no key the second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import yaml
from fastapi import Request
from scripted import Scripted

import kit
from kit.evals.interaction import Asked, differences, fits
from kit.evals.notebook import notebook_name

KEY = "sk-planted-0123456789abcdef"
ORG = "org-Planted0123456789abc"
ASK = "What is on sam's list?"
LIST = ("list_todos", '{"username": "sam"}')


@pytest.fixture(scope="module")
def shared() -> Iterator[Scripted]:
    with Scripted() as scripted:
        yield scripted


@pytest.fixture
def model(shared: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    shared.steps.clear()
    monkeypatch.setenv("OPENAI_BASE_URL", shared.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", ORG)
    monkeypatch.setenv("OPENAI_MODEL", "gpt-test")
    return shared


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of a CI: no key, no server, no model."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_MODEL"):
        monkeypatch.delenv(name)


def recorded(model: Scripted, todo: kit.Plugin, file: Path, **options: Any) -> kit.Reply:
    model.enqueue(f"I think: {KEY} of {ORG}", LIST)
    model.enqueue("Sam has nothing to do. Ünïcode, \u2028 too.")
    with kit.record(file):
        return kit.Chat(todo, show=False, **options)(ASK)


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("is_streamed", [True, False])
def test_recorded_once_it_plays_without_a_server_and_a_key(
    model: Scripted,
    todo: kit.Plugin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
    is_streamed: bool,
) -> None:
    file = tmp_path / "tapes" / "todo.yaml"

    def ask() -> str:
        chat = kit.Chat(todo, api=api, show=False)
        if not is_streamed:
            return chat(ASK).text
        return "".join(event.text for event in chat.stream(ASK) if hasattr(event, "text"))

    model.enqueue("", LIST)
    model.enqueue("Sam has nothing to do. Ünïcode, \u2028 too.")
    with kit.record(file):
        first = ask()
    forget(monkeypatch)
    asked = len(model.requests)
    with kit.record(file) as tape:
        assert ask() == first == "Sam has nothing to do. Ünïcode, \u2028 too."
        assert ask() == first  # a cell that runs again
    assert len(model.requests) == asked
    assert (tape.played, tape.recorded) == (4, 0)
    events = [it["response"]["body"] for it in yaml.safe_load(file.read_text())["interactions"]]
    assert all(isinstance(body, list) and len(body) > 2 for body in events) == is_streamed


def test_no_secret_is_on_a_tape(model: Scripted, todo: kit.Plugin, tmp_path: Path) -> None:
    recorded(model, todo, tmp_path / "t.yaml")
    model.enqueue(f"Your key {KEY} of {ORG} may not use this list of tools.", status=400)
    with kit.record(tmp_path / "u.yaml"), pytest.raises(kit.ChatError):
        kit.Chat(todo, show=False)(f"My key is {KEY}, password=hunter22")
    for file in ("t.yaml", "u.yaml"):
        text = (tmp_path / file).read_text()
        assert "ist" in text
        for secret in (KEY, KEY[3:], ORG, "hunter22", "authorization", "Bearer"):
            assert secret.lower() not in text.lower()


def test_the_plugin_is_always_called_for_real(
    model: Scripted, todo: kit.Plugin, server: kit.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.enqueue("", LIST)
    model.enqueue("Nothing.")
    with kit.record(tmp_path / "t.yaml"):
        kit.Chat(server, show=False)(ASK)
    forget(monkeypatch)
    server.calls.clear()
    with kit.record(tmp_path / "t.yaml"):
        kit.Chat(server, show=False)(ASK)
        assert any("todos" in call.path for call in server.calls)
        kit.install(server).call("add_todo", username="sam", todo="milk")
        with pytest.raises(kit.ChatError, match="milk") as missed:  # the plugin answers otherwise: red
            kit.Chat(server, show=False)(ASK)
    assert "KIT_RECORD=all" in str(missed.value)


def test_a_miss_says_what_differs(
    model: Scripted, todo: kit.Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(model, todo, tmp_path / "t.yaml")
    forget(monkeypatch)
    with kit.record(tmp_path / "t.yaml"), pytest.raises(kit.ChatError) as missed:
        kit.Chat(todo, show=False)("What is on ada's list?")
    assert 'input[0].content is "What is on ada\'s list?", and was "What is on sam\'s list?"' in str(
        missed.value
    )


def test_other_clients_of_openai_use_it_too(
    model: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.enqueue("Hello.")
    messages: Any = [{"role": "user", "content": "Hi"}]

    def ask(base_url: str) -> str | None:
        with openai.OpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
            return client.chat.completions.create(model="m", messages=messages).choices[0].message.content

    with kit.record(tmp_path / "t.yaml"):
        assert ask(model.base_url) == "Hello."
    with kit.record(tmp_path / "t.yaml", mode="none"):
        assert ask("http://127.0.0.1:9/v1") == "Hello."


def test_the_understudy_is_not_recorded(todo: kit.Plugin, tmp_path: Path) -> None:
    with kit.record(tmp_path / "t.yaml") as tape:
        kit.Chat(todo, show=False)(ASK)
        with openai.OpenAI(base_url=kit.understudy.shared().base_url, api_key="none") as other:
            other.responses.create(model="m", input="Hello")
    assert (tape.recorded, (tmp_path / "t.yaml").exists()) == (0, False)


def test_a_key_is_not_used_when_the_understudy_is_wanted(
    model: Scripted, todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_MODEL", "understudy")
    asked = len(model.requests)
    assert kit.Chat(todo, show=False)(ASK).calls
    assert len(model.requests) == asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cut off"), ("interactions: 3\n...", "no interactions"), ("a: 1\n- [\n...", "line 2"), ("3\n...", "no inter"),
        ("interactions:\n- {request: {}, response: {status: 200, type: a/b}}\n- {}\n...", "interaction 1"),
    ],
)  # fmt: skip
def test_what_is_no_tape_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(kit.TapeError, match=f"not a tape.*{words}"):
        kit.record(tmp_path / "t.yaml")


def test_a_tape_that_is_cut_anywhere_is_refused(model: Scripted, todo: kit.Plugin, tmp_path: Path) -> None:
    recorded(model, todo, tmp_path / "t.yaml")
    text = (tmp_path / "t.yaml").read_text()
    assert text.endswith("\n...\n")
    for end in range(0, len(text) - 4, 97):
        (tmp_path / "t.yaml").write_text(text[:end])
        with pytest.raises(kit.TapeError, match="cut off"):
            kit.record(tmp_path / "t.yaml")


def test_a_tape_can_be_edited_by_hand(
    model: Scripted, todo: kit.Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(model, todo, tmp_path / "t.yaml")
    forget(monkeypatch)
    text = (tmp_path / "t.yaml").read_text()
    assert "Sam has nothing to do." in text
    (tmp_path / "t.yaml").write_text(text.replace("Sam has nothing to do.", "Sam is free."))
    with kit.record(tmp_path / "t.yaml"):
        assert kit.Chat(todo, show=False)(ASK).text.startswith("Sam is free.")


def test_an_error_of_the_key_or_the_moment_is_not_recorded(
    model: Scripted, todo: kit.Plugin, tmp_path: Path
) -> None:
    model.enqueue("Incorrect key", status=401)
    with kit.record(tmp_path / "t.yaml") as tape:
        with pytest.raises(kit.ChatError, match="rejected the key"):
            kit.Chat(todo, show=False)(ASK)
        assert tape.recorded == 0
        model.enqueue("Slow down", status=429)
        model.enqueue("Overloaded", status=503)
        model.enqueue("Hello.")
        assert kit.Chat(todo, show=False)(ASK).text == "Hello."
    assert [
        it["response"]["status"] for it in yaml.safe_load((tmp_path / "t.yaml").read_text())["interactions"]
    ] == [200]


def test_it_plays_with_the_settings_of_the_recording(
    model: Scripted, todo: kit.Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other clients read them too, and want a key before they ask anything."""
    model.enqueue("First.")
    model.enqueue("Second.")
    with kit.record(tmp_path / "t.yaml"):
        kit.Chat(todo, model="another", show=False)("Hello")
        kit.Chat(todo, show=False)("Hello")
    forget(monkeypatch)
    monkeypatch.setenv("OPENAI_MODEL", "of-this-machine")
    with kit.record(tmp_path / "t.yaml"):
        assert os.environ["OPENAI_MODEL"] == "gpt-test"
        assert openai.OpenAI().api_key == "none"
        assert kit.Chat(todo, model="another", show=False)("Hello").text == "First."
        assert kit.Chat(todo, show=False)("Hello").text == "Second."
    assert os.environ["OPENAI_MODEL"] == "of-this-machine"
    assert not {"OPENAI_BASE_URL", "OPENAI_API_KEY"} & os.environ.keys()


def test_a_plugin_may_have_another_port_each_time(
    model: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = kit.Plugin("pages", description_for_model="Pages.")

    @plugin.get("/page")
    def find_page(request: Request) -> str:
        return f"{request.base_url}page"

    def ask() -> tuple[str, str]:
        with kit.serve(plugin) as server:
            return server.url, kit.Chat(server, show=False)("Where is it?").text

    with kit.record(tmp_path / "t.yaml"), kit.serve(plugin) as server:
        model.enqueue("", ("find_page", "{}"))
        model.enqueue(f"At {server.url}/page, not at localhost:8000.")
        kit.Chat(server, show=False)("Where is it?")
    forget(monkeypatch)
    with socket.socket() as taken, kit.record(tmp_path / "t.yaml"):
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", server.port))
        url, text = ask()
    assert url != server.url
    assert text == f"At {url}/page, not at localhost:8000."


def test_a_secret_that_comes_in_pieces_is_on_no_tape() -> None:
    request = httpx2.Request(
        "POST", "http://x/v1/chat/completions", headers={"Authorization": "Bearer 0123456789"}
    )
    chat = [
        {"choices": [{"index": 0, "delta": {"content": it}}]}
        for it in ("It is 0123", "456", "789!", " Or auth=(")
    ]
    done = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": it}
        for it in ("sk-abc", "def0123", "456")
    ]
    came = "".join(f"data: {json.dumps(event)}\n\n" for event in (*chat, *done))
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    events = Asked(request, b"{}").said(response, came.encode())["body"]
    datas = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [it["choices"][0]["delta"]["content"] for it in datas[:4]] == ["It is ***! Or auth=(", "", "", ""]
    assert [it["delta"] for it in datas[4:]] == ["***", "", ""]


@pytest.mark.parametrize(
    ("recorded", "asked", "same"),
    [
        ("a", "a", True), ("a", "b", False), ("a *** c", "a b c", True), ("a *** c", "a c", False), ("***", "x", True),
        ("a***b***c", "a1b2c", True), ("a***b***c", "a1c", False), ("a***a", "a", False), ("a***", "a***", True),
    ],
)  # fmt: skip
def test_what_is_hidden_on_a_tape_may_be_anything(recorded: str, asked: str, same: bool) -> None:
    """A key of no known form is hidden where it is sent; who plays the tape has none, and says the same sentence."""
    assert fits(recorded, asked) is same


def test_differences_are_said_where_they_are() -> None:
    long = "x" * 500
    was = {"body": {"tools": [{"description": long + "Add a todo" + long}], "set": {"a": 1}, "old": 1}}
    now = {
        "body": {"tools": [{"description": long + "Get a todo" + long}, "more"], "set": {"a": True}, "new": 2}
    }
    said = [*differences(was, now)]
    assert said[0].startswith("body.tools[0].description is …'xxx")
    assert "Get a todo" in said[0]
    assert "Add a todo" in said[0]
    assert len(said[0]) < 200
    assert said[1:] == [
        "body.tools[1] is new: more",
        "body.set.a is true, and was 1",
        "body.old is missing",
        "body.new is new",
    ]
    assert [*differences(was, was)] == []


def test_questions_at_once_play_as_they_were_recorded(
    todo: kit.Plugin, understudy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And through LangChain and OpenAI's Agents SDK, whose clients are openai's."""
    from agents import Agent, OpenAIProvider, RunConfig, Runner, set_tracing_disabled
    from langchain_openai import ChatOpenAI

    set_tracing_disabled(True)
    plugin = kit.install(todo)
    cases = [(f"Add 'milk {n}' to sam's list", {"add_todo": {"todo": f"milk {n}"}}) for n in range(6)]

    async def agent() -> str:
        config = RunConfig(model_provider=OpenAIProvider(use_responses=False))
        run = Runner.run_streamed(Agent(name="a", model="m"), "Who are you?", run_config=config)
        async for _ in run.stream_events():
            pass
        return str(run.final_output)

    def ask() -> list[Any]:
        result = kit.evaluate(plugin, cases, n=2, dry=True, blank=False)
        model = ChatOpenAI(model="m", use_responses_api=True, cache=False)
        bound = model.bind_tools(plugin.langchain()).invoke("What is on ada's list?")
        several = [answer.text for answer in model.batch(["Hello", "Who are you?", "Hello"])]
        streamed = [piece.text for piece in ChatOpenAI(model="m", cache=False).stream("Good morning")]
        return [repr(result.score), bound.tool_calls, several, streamed, asyncio.run(agent())]

    monkeypatch.setenv("OPENAI_BASE_URL", understudy.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with kit.record(tmp_path / "t.yaml") as tape:
        first = ask()
    assert first[0].startswith("12 of 12")
    assert first[1][0]["args"] == {"username": "ada"}
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name)
    with kit.record(tmp_path / "t.yaml", mode="none") as again:
        assert ask() == first
    assert (again.played, again.recorded) == (tape.recorded, 0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PYTEST_CURRENT_TEST", "notebooks/my.ipynb:: (call)"), ("JPY_SESSION_NAME", "/home/me/my.ipynb")],
)
def test_a_tape_has_its_notebooks_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Though another notebook begins with the same cell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{"source": "import kit"}]}))
    monkeypatch.setenv(variable, value)
    assert notebook_name("import kit") == "my"
    monkeypatch.delenv(variable)
    assert notebook_name("import kit") == "a"


def test_wrong_uses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(kit.TapeError, match="no mode"):
        kit.record(tmp_path / "t.yaml", mode="sometimes")
    with pytest.raises(kit.TapeError, match="cannot be read"):
        kit.record(tmp_path, mode="none")
    with kit.record(tmp_path / "t.yaml", mode="none"), pytest.raises(kit.ChatError, match="There is no tape"):
        kit.Chat(show=False)("Hello")
    with (
        kit.record(tmp_path / "a.yaml"),
        pytest.raises(kit.TapeError, match="used already"),
        kit.record(tmp_path / "b.yaml"),
    ):
        pass
