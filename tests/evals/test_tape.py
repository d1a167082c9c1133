"""`record`: a real client over a real socket the first time, no server and no key the second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from kernel import Kernel
from scripted import Scripted

import kit

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
    model.enqueue(f"Incorrect API key provided: {KEY}. Organization {ORG}.", status=401)
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
    assert 'input[0].content is "What is on ada\'s list?", expected "What is on sam\'s list?"' in str(
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


@pytest.mark.parametrize("text", ["", "interactions: 3", "[", "interactions: [{}]"])
def test_what_is_no_tape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(kit.TapeError, match="not a tape"):
        kit.record(tmp_path / "t.yaml")


def test_wrong_uses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(kit.TapeError, match="no mode"):
        kit.record(tmp_path / "t.yaml", mode="sometimes")
    with pytest.raises(kit.TapeError, match="cannot be read"):
        kit.record(tmp_path / "t.yaml", mode="none")
    with (
        kit.record(tmp_path / "a.yaml"),
        pytest.raises(kit.TapeError, match="used already"),
        kit.record(tmp_path / "b.yaml"),
    ):
        pass


def test_in_a_notebook(model: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`%%record`, cell after cell; and KIT_TAPES, by which no cell says so."""
    ask = f"import kit\nfrom kit.demo import make_plugin\nprint(kit.Chat(make_plugin(), show=False)({ASK!r}).text)"
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        model.enqueue("", LIST)
        model.enqueue("Nothing to do.")
    with Kernel() as kernel:
        kernel.run("import kit\n%load_ext kit")
        assert kernel.run(f"%%record t.yaml\n{ask}").text == "Nothing to do.\n"
    monkeypatch.setenv("KIT_TAPES", "all")
    with Kernel() as kernel:
        assert kernel.run(ask).text == "Nothing to do.\n"
    assert (tmp_path / "t.yaml").exists()
    assert [file.suffix for file in (tmp_path / "all").iterdir()] == [".yaml"]
    forget(monkeypatch)
    with Kernel() as kernel:
        assert kernel.run(ask).text == "Nothing to do.\n"
    monkeypatch.delenv("KIT_TAPES")
    with Kernel() as kernel:
        kernel.run("%load_ext kit")
        assert kernel.run(f"%%record t.yaml\n{ask}").text == "Nothing to do.\n"
        failed = kernel.run("%%record t.yaml\nimport kit\nkit.Chat(make_plugin())('Something else')")
        assert "has no answer to this request" in failed.error
