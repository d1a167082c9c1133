"""What of a request a user may set: as it is sent in each of the APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from scripted import Scripted

import kit
from kit import loop
from kit.chat.client import is_openai
from kit.chat.local import shown_name
from kit.chat.options import MAX_TOKENS, Options


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


@pytest.fixture
def client(scripted: Scripted) -> Iterator[openai.AsyncOpenAI]:
    made = openai.AsyncOpenAI(base_url=scripted.base_url, api_key="none")
    yield made
    loop.run(made.close())


def sent(api: str, is_openai: bool = False, has_tools: bool = True, **given: Any) -> dict[str, Any]:
    options = Options(given)
    options.is_openai = is_openai
    return options.of_chat(has_tools) if api == "chat" else options.of_responses(has_tools)


def test_the_limit_of_an_answer() -> None:
    for name in ("max_tokens", "max_output_tokens", "max_completion_tokens"):
        assert sent("responses", **{name: 7}) == {"max_output_tokens": 7}
        assert sent("responses", is_openai=True, **{name: 7}) == {"max_output_tokens": 7}
        assert sent("chat", is_openai=True, **{name: 7}) == {"max_completion_tokens": 7}
    assert sent("chat", max_tokens=7) == sent("chat", max_output_tokens=7) == {"max_tokens": 7}
    assert sent("chat", max_completion_tokens=7) == {"max_completion_tokens": 7}
    # where nothing is set, OpenAI's models have their own
    assert sent("responses") == {"max_output_tokens": MAX_TOKENS}
    assert sent("chat") == {"max_tokens": MAX_TOKENS}
    assert sent("responses", is_openai=True) == sent("chat", is_openai=True) == {}


def test_what_both_apis_have_in_their_own_words() -> None:
    effort = {"effort": "low"}
    assert sent("responses", True, reasoning=effort) == {"reasoning": effort}
    assert sent("responses", True, reasoning_effort="low") == {"reasoning": effort}
    assert sent("chat", True, reasoning=effort) == sent("chat", True, reasoning_effort="low") == {"reasoning_effort": "low"}  # fmt: skip
    one = {"type": "function", "name": "add_todo"}
    assert sent("responses", True, tool_choice=one) == {"tool_choice": one}
    assert sent("chat", True, tool_choice=one) == {"tool_choice": {"type": "function", "function": {"name": "add_todo"}}}  # fmt: skip
    assert sent("chat", True, tool_choice="none") == {"tool_choice": "none"}


def test_what_one_api_has_no_parameter_for_is_in_the_body() -> None:
    assert sent("chat", True, seed=1, temperature=0) == {"seed": 1, "temperature": 0}
    assert sent("responses", True, seed=1, temperature=0) == {"extra_body": {"seed": 1}, "temperature": 0}
    both = sent("responses", True, seed=1, extra_body={"top_k": 4})
    assert both == {"extra_body": {"seed": 1, "top_k": 4}}


def test_without_tools_nothing_is_said_of_them() -> None:
    assert sent("chat", True, has_tools=False, tool_choice="required", parallel_tool_calls=False) == {}


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_forced_call_is_forced_once(
    scripted: Scripted, client: openai.AsyncOpenAI, server: kit.Server, api: str
) -> None:
    chat = kit.Chat(
        server, client=client, model="m", api=api, show=False, tool_choice="required", temperature=0.5, seed=3
    )
    for _ in range(2):
        scripted.enqueue("", ("list_todos", '{"username": "sam"}'))
        scripted.enqueue("Nothing.")
        assert chat("What is there?").text == "Nothing."
    bodies = [body for _, body in scripted.requests]
    assert [body.get("tool_choice") for body in bodies] == ["required", None, "required", None]
    assert {(body["temperature"], body["seed"]) for body in bodies} == {(0.5, 3)}
    assert {body.get("max_output_tokens", body.get("max_tokens")) for body in bodies} == {MAX_TOKENS}


SETTINGS: dict[str, Any] = {
    "temperature": 0.5,
    "max_output_tokens": 77,
    "tool_choice": {"type": "function", "name": "list_todos"},
    "reasoning": {"effort": "low"},
}
AS_SENT = {
    "responses": SETTINGS,
    "chat": {
        "temperature": 0.5,
        "max_tokens": 77,
        "tool_choice": {"type": "function", "function": {"name": "list_todos"}},
        "reasoning_effort": "low",
    },
}


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_the_settings_of_a_model_as_they_are_sent(
    scripted: Scripted, client: openai.AsyncOpenAI, server: kit.Server, api: str, openai_schemas: Any
) -> None:
    chat = kit.Chat(server, client=client, model="m", api=api, show=False, **SETTINGS)
    scripted.enqueue("Hello.")
    chat("Hello")
    body = scripted.requests[0][1]
    assert {name: value for name, value in body.items() if name in AS_SENT[api]} == AS_SENT[api]
    component = "CreateResponse" if api == "responses" else "CreateChatCompletionRequest"
    assert openai_schemas.errors(component, body) == []
    scripted.enqueue("Hello.")
    kit.Chat(client=client, model="m", api=api, show=False, seed=3)("Hello")
    assert scripted.requests[1][1]["seed"] == 3


def test_a_setting_of_the_other_api_that_a_server_refuses(
    scripted: Scripted, client: openai.AsyncOpenAI
) -> None:
    scripted.enqueue("Unknown parameter: 'seed'.", status=400)
    with pytest.raises(
        kit.ChatError, match=r"Unknown parameter: 'seed'.*\nOnly the other API has seed: api='chat'"
    ):
        kit.Chat(client=client, model="m", show=False, seed=3, temperature=0)("Hello")
    scripted.enqueue("Something else.", status=400)
    with pytest.raises(kit.ChatError, match="See its message"):
        kit.Chat(client=client, model="m", show=False, temperature=0)("Hello")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temprature": 1}, "no option 'temprature'.\nDid you mean 'temperature'"),
        ({"stream": True}, "no option 'stream'"),
        ({"messages": []}, "no option 'messages'"),
        ({"max_tokens": 5, "max_output_tokens": 5}, "max_tokens and max_output_tokens mean the same"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": "many"}, "max_tokens is 'many'"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(kit.ChatError, match=said):
        kit.Chat(show=False, **options)


def test_the_page_takes_them_too() -> None:
    with kit.chatgpt(temperature=0, max_tokens=100) as page:
        assert page.is_running
    with pytest.raises(kit.ChatError, match="no option 'show'"):
        kit.chatgpt(show=False)


def test_which_servers_are_openais() -> None:
    for url in (
        "https://api.openai.com/v1/",
        "https://eu.api.openai.com/v1",
        "https://me.openai.azure.com/x",
    ):
        assert is_openai(url)
    for url in (
        "http://localhost:11434/v1",
        "https://api.openai.com.evil.example/v1",
        "http://x/api.openai.com",
    ):
        assert not is_openai(url)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/srv/models/small.gguf", "small.gguf"),
        ("models/small.gguf", "small.gguf"),
        ("C:\\models\\small.gguf", "small.gguf"),
        ("./small", "small"),
        ("/models/small/", "small"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("gpt-5-mini", "gpt-5-mini"),
        ("", ""),
    ],
)
def test_a_models_name_is_shown_without_its_folder(name: str, shown: str) -> None:
    assert shown_name(name) == shown
