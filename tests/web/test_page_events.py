"""What the local ChatGPT sends to its tabs, how often and how much."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest
from scripted import Scripted
from strangers import Stranger, manifest, openapi
from tabs import Tab, kinds, said

import kit
from kit.web.page import LocalChatGPT


def test_an_answer_that_is_whole_is_one_event(server: kit.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted() as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
        with kit.chatgpt(server) as page:
            tab = Tab(page)
            scripted.enqueue("**many** words " * 500)
            live = tab.say("Go on")
            assert "delta" in [event["type"] for event in live]
            read = tab.events()
            assert [event["type"] for event in read] == ["user", "text", "done"]
            assert read[1]["text"] == "**many** words " * 500
            # a tab that has seen some of the pieces gets the whole
            later = tab.events(start=live[1]["at"] + 1)
            assert [event["type"] for event in later] == ["text", "done"]
            tab.http.close()


def test_what_is_said_before_a_call_is_rendered(server: kit.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted() as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
        with kit.chatgpt(server, api="chat") as page:
            tab = Tab(page)
            scripted.enqueue("I **look**.", ("list_todos", '{"username": "sam"}'))
            scripted.enqueue("It is `empty`.")
            tab.say("Show it")
            events = tab.events()
            assert [e["type"] for e in events] == ["user", "text", "call", "result", "text", "done"]
            assert events[1]["text"] == "I **look**."
            tab.http.close()


def test_a_logo_is_sent_once(tab: Tab, page: LocalChatGPT) -> None:
    picture = b"\x89PNG" + b"x" * 150_000
    about = manifest("/o.json", logo_url="/logo.png")
    pages: dict[str, Any] = {"/.well-known/ai-plugin.json": (200, {}, about), "/o.json": (200, {}, openapi())}
    pages["/logo.png"] = (200, {"content-type": "image/png"}, picture)
    with Stranger(pages) as stranger:
        address = tab.install(stranger.url)["image"]
    assert len(tab.http.get("/api/state").content) < 10_000
    answer = httpx2.get(f"http://127.0.0.1:{page.port}/{address}")  # an element sends no token
    assert answer.content == picture
    assert "immutable" in answer.headers["cache-control"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert httpx2.get(f"http://127.0.0.1:{page.port}/static/logos/{'0' * 32}").status_code == 404


def test_plugins_that_are_stuck_hold_up_one_turn_and_together(tab: Tab) -> None:
    def about(number: int) -> dict[str, Any]:
        return {
            "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", name_for_model=f"stuck{number}")),
            "/o.json": (200, {}, openapi()),
        }

    async def never(scope: Any, body: bytes) -> Any:
        import asyncio

        await asyncio.sleep(30)

    with Stranger(about(1)) as one, Stranger(about(2)) as two, Stranger(about(3)) as three:
        ids = [tab.install(it.url)["id"] for it in (one, two, three)]
        tab.post(f"conversations/{tab.id}/plugins", enabled=ids)
        tab.say("Hello")
        for it in (one, two, three):
            it.pages["/.well-known/ai-plugin.json"] = never
        began = time.monotonic()
        events = tab.say("Hello")
        first = time.monotonic() - began
        assert len([e for e in events if "did not answer" in e.get("text", "")]) == 3
        began = time.monotonic()
        assert "note" not in [event["type"] for event in tab.say("Hello")]
        later = time.monotonic() - began
        assert 2 <= first < 5.5, "together, and not one after the other"
        assert later < first - 1


def test_opening_the_page_deletes_no_chat(tab: Tab) -> None:
    tab.say("Hello")
    for _ in range(120):
        tab.post("conversations")
    assert [chat["title"] for chat in tab.get("state")["conversations"]] == ["Hello"]
    assert kinds(tab.say("Hello again"))[-1] == "done"
    assert said(tab.events())
