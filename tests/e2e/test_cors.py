"""A plugin on this machine, called by ChatGPT's page in a real Chromium.

The page is https://chatgpt.com as the browser sees it: its content is made here, its origin is real, and it
counts as a public page, for which Local Network Access wants a permission. A page that is served from this
machine under that name would count as local, and everything would pass without being tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Header, HTTPException

import kit

pytest.importorskip("playwright")
from lab import browser_program, browsing
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(browser_program() is None, reason="no Chromium: apt-get install chromium")

CHATGPT = "https://chatgpt.com"
ASK = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return [answer.status, await answer.text()];
    } catch (error) {
        return [0, error.message];
    }
}"""
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@pytest.fixture
def plugin() -> kit.Plugin:
    plugin = kit.Plugin("asked", description_for_model="Is called by pages.")
    plugin.state.seen = []

    @plugin.post("/things")
    def add_thing(thing: dict[str, str], authorization: str = Header("")) -> dict[str, str]:
        plugin.state.seen.append(thing)
        return {**thing, "authorization": authorization}

    @plugin.get("/broken")
    def broken() -> str:
        raise RuntimeError("kaput")

    @plugin.get("/refused")
    def refused() -> str:
        raise HTTPException(403, "not you")

    return plugin


@pytest.fixture
def served(plugin: kit.Plugin) -> Iterator[kit.Server]:
    with kit.serve(plugin) as server:
        yield server


def page_of(browser: Browser, origin: str, permitted: bool = True) -> Page:
    """A page of this origin."""
    context = browser.new_context()
    if permitted:
        context.grant_permissions(["local-network-access"], origin=origin)
    page = context.new_page()
    page.route(f"{origin}/", lambda route: route.fulfill(body="<p>page</p>", content_type="text/html"))
    page.goto(f"{origin}/")
    # While it intercepts, Playwright answers every preflight itself and allows it: nothing would be tested.
    page.unroute_all()
    return page


def ask(page: Page, url: str, **options: Any) -> tuple[int, str]:
    status, text = page.evaluate(ASK, [url, options])
    return status, text


@pytest.fixture
def chatgpt(browser: Browser) -> Iterator[Page]:
    page = page_of(browser, CHATGPT)
    yield page
    page.context.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_documents_are_read(chatgpt: Page, served: kit.Server, host: str) -> None:
    for path, word in (
        ("/.well-known/ai-plugin.json", "name_for_model"),
        ("/.well-known/openapi.json", "paths"),
    ):
        status, text = ask(chatgpt, f"http://{host}:{served.port}{path}")
        assert status == 200
        assert word in text


def test_the_page_counts_as_public(browser: Browser, served: kit.Server) -> None:
    """Without the permission nothing is sent, so the other tests do test it."""
    page = page_of(browser, CHATGPT, permitted=False)
    assert ask(page, served.manifest_url) == (0, "Failed to fetch")
    assert len(served.calls) == 0
    page.context.close()


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        {**JSON, "authorization": "Bearer abc"},
        {
            **JSON,
            "openai-ephemeral-user-id": "1",
            "openai-conversation-id": "2",
            "openai-subdivision-1-iso-code": "US",
        },
        {**JSON, "x-of-the-plugin": "1"},
    ],
)
def test_an_operation_is_called(chatgpt: Page, served: kit.Server, headers: dict[str, str]) -> None:
    status, text = ask(
        chatgpt, f"{served.url}/things", method="POST", headers=headers, body='{"name": "nail"}'
    )
    assert status == 200
    assert headers.get("authorization", "") in text
    assert [call.method for call in served.calls] == ["OPTIONS", "POST"]


def test_an_error_can_be_read(chatgpt: Page, served: kit.Server) -> None:
    status, text = ask(chatgpt, f"{served.url}/refused")
    assert (status, json.loads(text)["detail"]) == (403, "not you")
    status, text = ask(chatgpt, f"{served.url}/broken")
    assert (status, json.loads(text)["detail"]) == (500, "Internal Server Error")
    status, text = ask(chatgpt, f"{served.url}/nowhere")
    assert status == 404


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://chatgpt.com.evil.example", "https://xchatgpt.com"]
)
def test_another_page_reads_nothing_and_changes_nothing(
    browser: Browser, served: kit.Server, plugin: kit.Plugin, origin: str
) -> None:
    page = page_of(browser, origin)
    assert ask(page, served.manifest_url)[0] == 0
    posted = ask(page, f"{served.url}/things", method="POST", headers=JSON, body='{"name": "nail"}')
    assert posted[0] == 0
    assert plugin.state.seen == []  # the browser's preflight was denied
    simple = ask(page, f"{served.url}/things", method="POST", mode="no-cors", body='{"name": "nail"}')
    assert simple[0] == 0
    assert plugin.state.seen == []  # text/plain needs no preflight, but is not JSON for the plugin
    page.context.close()


def test_a_plugin_may_allow_other_pages_or_none(browser: Browser) -> None:
    mine = kit.Plugin("mine", description_for_model="x", cors_origins=("https://mine.example",))
    with kit.serve(mine) as server:
        for origin, status in (("https://mine.example", 200), (CHATGPT, 0)):
            page = page_of(browser, origin)
            assert ask(page, server.manifest_url)[0] == status
            page.context.close()


def test_cookies_are_not_allowed(chatgpt: Page, served: kit.Server) -> None:
    """A page that sends the user's cookies needs a permission that a plugin does not give."""
    assert ask(chatgpt, served.manifest_url, credentials="include")[0] == 0


def test_mcp_is_for_pages_that_are_allowed(browser: Browser, chatgpt: Page, served: kit.Server) -> None:
    pytest.importorskip("mcp")
    listing = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    headers = {**JSON, "accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    status, text = ask(chatgpt, f"{served.url}/mcp", method="POST", headers=headers, body=listing)
    assert status == 200
    assert "add_thing" in text
    page = page_of(browser, "https://evil.example")
    assert ask(page, f"{served.url}/mcp", method="POST", mode="no-cors", body=listing)[0] == 0
    assert served.calls[-1].status == 403
    page.context.close()
