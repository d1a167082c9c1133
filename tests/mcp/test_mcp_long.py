"""The README's recipe for work that takes longer than a host waits: every word of it runs."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2
import pytest
from eras import talk
from mcp import Client
from paths import ROOT

import kit


@pytest.fixture
def recipe() -> dict[str, Any]:
    """The names that the code of the section defines."""
    section = (ROOT / "README.md").read_text().partition("## Work that takes longer than 45 seconds")[2]
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(re.search(r"```python\n(.+?)```", section, re.DOTALL)[1], names)  # type: ignore[index]
    return names


def test_it_begins_waits_and_ends(recipe: dict[str, Any]) -> None:
    finish: dict[str, asyncio.Event] = {}

    async def write(topic: str) -> str:
        finish[topic] = asyncio.Event()
        await finish[topic].wait()
        if topic == "nothing":
            raise ValueError("by design")
        return f"All about {topic}."

    recipe["write"] = write
    plugin: kit.Plugin = recipe["press"]

    @plugin.post("/finish", include_in_schema=False)
    async def end(topic: str) -> None:
        finish[topic].set()

    async def work(client: Client) -> list[Any]:
        states = []
        for topic in ("tea", "nothing"):
            begun = (await client.call_tool("begin_report", {"topic": topic})).structured_content
            async with asyncio.TaskGroup() as both:
                asked = both.create_task(client.call_tool("report_status", {"id": begun["id"]}))
                await asyncio.sleep(0.2)
                assert not asked.done()  # it waits, and answers as soon as there is something
                both.create_task(asyncio.to_thread(post, topic))
            states.append((begun["state"], asked.result().structured_content))
        return states

    def post(topic: str) -> None:
        httpx2.post(f"{server.url}/finish", params={"topic": topic}, trust_env=False).raise_for_status()

    with kit.serve(plugin) as server:
        (began, done), (_, failed) = talk(f"{server.url}/mcp", "auto", work)
        gone = kit.install(server).call("report_status", id="x")
    assert (began, done["state"], done["report"]) == ("running", "done", "All about tea.")
    assert (failed["state"], failed["report"]) == ("failed", None)
    gone.expect(404)
    assert "begin_report" in str(gone.data)
