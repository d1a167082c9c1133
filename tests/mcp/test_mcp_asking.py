"""What a client is told and asked besides the answer: prompts, progress, and whether a call may be made."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from eras import each_era, talk
from fastapi.responses import StreamingResponse
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitResult

import kit
from kit.hosts import copilot, mcp
from kit.manifest import Manifest
from kit.mcp import progress

STARTERS = ["What is on my list?", "Add milk", "What is on my list?"]

SHOP = """
import kit

plugin = kit.Plugin("shop", description_for_model="A shop.", conversation_starters={starters!r})
bought: list[str] = []


@plugin.post("/buy", summary="Buy something", openapi_extra={{"x-openai-isConsequential": True}})
def buy(what: str) -> str:
    bought.append(what)
    return f"bought {{what}}"


@plugin.post("/look")
def look(what: str) -> list[str]:
    return bought
"""


@pytest.fixture
def shop() -> kit.Plugin:
    names: dict[str, Any] = {}
    exec(SHOP.format(starters=STARTERS), names)
    plugin: kit.Plugin = names["plugin"]
    return plugin


@pytest.fixture
def url(shop: kit.Plugin) -> Iterator[str]:
    with kit.serve(shop) as server:
        yield f"{server.url}/mcp"


# -- prompts ----------------------------------------------------------------------


@each_era
def test_conversation_starters_are_prompts(url: str, era: str) -> None:
    async def work(client: Client) -> Any:
        prompts = (await client.list_prompts()).prompts
        got = [(await client.get_prompt(prompt.name)).messages for prompt in prompts]
        with pytest.raises(
            MCPError, match=r"Unknown prompt: fly\. There are: what_is_on_my_list, add_milk, w"
        ):
            await client.get_prompt("fly")
        return prompts, got

    prompts, got = talk(url, era, work)
    assert [prompt.name for prompt in prompts] == ["what_is_on_my_list", "add_milk", "what_is_on_my_list_2"]
    assert [prompt.title for prompt in prompts] == STARTERS
    assert [[(it.role, it.content.text) for it in messages] for messages in got] == [
        [("user", text)] for text in STARTERS
    ]


def test_starters_have_one_home_and_travel_with_the_manifest(shop: kit.Plugin) -> None:
    with kit.serve(shop) as server:
        installed = kit.install(server.url)
    assert installed.manifest.problems == []
    assert list(installed.manifest.conversation_starters) == STARTERS
    assert list(mcp.prompts(installed.manifest)) == ["what_is_on_my_list", "add_milk", "what_is_on_my_list_2"]
    rendered = copilot.render(installed)["capabilities"]["conversation_starters"]
    assert rendered == [{"text": text} for text in STARTERS]
    assert "capabilities" not in kit.Plugin("bare", description_for_model="x").manifest.render("http://x")


@pytest.mark.parametrize("wrong", ["Hi", [""], [3], 5])
def test_starters_are_a_list_of_texts(wrong: Any) -> None:
    with pytest.raises(kit.ManifestError, match="conversation_starters must be a list of texts"):
        kit.Plugin("todo", description_for_model="x", conversation_starters=wrong)
    rendered = kit.Plugin("todo", description_for_model="x").manifest.render("http://x.example")
    read = Manifest.read({**rendered, "capabilities": {"conversation_starters": [wrong, {"text": "Hi"}]}})
    assert "Hi" in read.conversation_starters
    assert all(isinstance(text, str) and text for text in read.conversation_starters)


# -- progress ---------------------------------------------------------------------


@each_era
def test_a_long_call_reports_how_long_it_takes_and_what_it_says(
    era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.1)
    plugin = kit.Plugin("slow", description_for_model="Slow.")

    @plugin.get("/wait")
    async def wait() -> str:
        await asyncio.sleep(0.35)
        return "done"

    @plugin.get("/count")
    async def count() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for number in range(3):
                yield json.dumps({"done": number}) + "\n"
                await asyncio.sleep(0.15)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    told: list[tuple[float, float | None, str | None]] = []

    async def tell(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async def work(client: Client) -> Any:
        quiet = await client.call_tool("wait", {})
        waited = await client.call_tool("wait", {}, progress_callback=tell)
        said = [*told]
        told.clear()
        return quiet, waited, said, await client.call_tool("count", {}, progress_callback=tell)

    with kit.serve(plugin) as server:
        quiet, waited, said, counted = talk(f"{server.url}/mcp", era, work)
    assert [part.text for part in (*quiet.content, *waited.content)] == ["done", "done"]
    assert len(said) >= 2
    assert [seconds for seconds, *_ in said] == sorted({seconds for seconds, *_ in said})
    assert {it[1:] for it in said} == {(None, "wait has not answered yet")}
    assert json.loads(counted.content[0].text) == [{"done": number} for number in range(3)]
    assert '{"done": 1}' in [message for *_, message in told]


# -- confirmation -----------------------------------------------------------------


def buying(action: str | None) -> Any:
    """Work that buys tea with a user who answers so, and then looks; what was asked comes with it."""
    asked: list[Any] = []

    async def answer(context: Any, params: Any) -> ElicitResult:
        asked.append(params)
        return ElicitResult(action=action, content={} if action == "accept" else None)  # type: ignore[arg-type]

    async def work(client: Client) -> Any:
        bought = await client.call_tool("buy", {"what": "tea"})
        unfit = await client.call_tool("buy", {})
        looked = await client.call_tool("look", {"what": "tea"})
        return bought, unfit, json.loads(looked.content[0].text), asked

    return work, {} if action is None else {"elicitation_callback": answer}


WAYS = [
    *(("auto", "http", action) for action in ("accept", "decline", "cancel", None)),
    *(("legacy", "stdio", action) for action in ("accept", "decline")),
]


@pytest.mark.parametrize(("era", "over", "action"), WAYS)
def test_a_call_that_its_author_marked_is_confirmed(
    url: str, tmp_path: Path, era: str, over: str, action: str | None
) -> None:
    server: Any = url
    if over == "stdio":
        file = tmp_path / "shop.py"
        file.write_text(SHOP.format(starters=[]))
        command = ["-m", "kit", "mcp", str(file)]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    work, callbacks = buying(action)
    bought, unfit, kept, asked = talk(server, era, work, **callbacks)
    if action in ("accept", None):
        assert bought.content[0].text == "bought tea"
        assert kept == ["tea"]
    else:
        words = {"decline": "The user declined", "cancel": "The user did not answer"}[action]
        assert bought.is_error
        assert f"{words}: buy was not called" in bought.content[0].text
        assert kept == []
    assert unfit.is_error
    assert "what: is required and missing" in unfit.content[0].text
    # asked once: neither for what cannot be called nor for what is only not marked
    expected = [] if action is None else ["Shop: may buy(what='tea') be called? Buy something"]
    assert [it.message for it in asked] == expected


def test_an_older_client_over_http_is_not_asked(url: str) -> None:
    """No connection is kept on which it could answer; its host asks by the tool's destructiveHint."""
    work, callbacks = buying("decline")
    bought, _, kept, asked = talk(url, "legacy", work, **callbacks)
    assert (bought.content[0].text, kept, asked) == ("bought tea", ["tea"], [])
