"""Selecting some of the tools, and tools that a model searches for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collection import RUNS, large
from openaischemas import OpenAISchemas
from paths import shared

import kit
from kit.tools.search import CONTEXT


def operation(name: str, tag: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "responses": {"200": {"description": "ok"}},
    }


@pytest.fixture
def plugin(tmp_path: Any) -> kit.InstalledPlugin:
    paths = {
        "/users": {
            "get": operation("list_users", "users", "All users, newest first"),
            "post": operation("create_user", "users", "Sign up a new user"),
        },
        "/users/{id}": {"delete": operation("delete_user", "users", "Remove a user for good")},
        "/invoices": {"get": operation("list_invoices", "billing", "Invoices that were sent to customers")},
        "/invoices/{id}/pay": {"post": operation("pay_invoice", "billing", "Pay an invoice by card")},
    }
    file = tmp_path / "spec.json"
    document = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths}
    file.write_text(__import__("json").dumps(document))
    return kit.install(file, base_url="https://shop.example.com")


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("pay_invoice", ["pay_invoice"]),
        ("billing", ["list_invoices", "pay_invoice"]),
        ("GET", ["list_users", "list_invoices"]),
        ("list_*", ["list_users", "list_invoices"]),
        ("/users*", ["list_users", "create_user", "delete_user"]),
        ("DELETE /users/*", ["delete_user"]),
        (["pay_invoice", "users"], ["pay_invoice", "list_users", "create_user", "delete_user"]),
        ("Billing", ["list_invoices", "pay_invoice"]),
    ],
)
def test_names_tags_methods_and_globs(plugin: kit.InstalledPlugin, selection: Any, names: list[str]) -> None:
    assert [tool["name"] for tool in plugin.tools(select=selection)] == names
    assert [tool["function"]["name"] for tool in plugin.tools("chat", selection)] == names


def test_a_sentence_gives_the_nearest_first(plugin: kit.InstalledPlugin) -> None:
    assert plugin.tools(select="settle what I owe: pay the invoice with my card")[0]["name"] == "pay_invoice"
    assert plugin.tools(select="please sign up somebody new")[0]["name"] == "create_user"


def test_what_fits_nothing_says_what_there_is(plugin: kit.InstalledPlugin) -> None:
    with pytest.raises(
        kit.KitError, match=r"Nothing in shop matches 'lst_users'.*\n.*Did you mean 'list_users'"
    ):
        plugin.tools(select="lst_users")
    with pytest.raises(kit.KitError, match="Chat Completions has no tool_search"):
        plugin.tools("chat", search=True)


def big(run: str, folder: Path, name: str) -> kit.InstalledPlugin:
    if run == "corpus":
        return kit.install(shared("corpus", "openapi", name))
    file = folder / "large.json"
    file.write_text(json.dumps(large()))
    return kit.install(file)


@pytest.mark.parametrize(
    ("run", "sentence", "name", "count"),
    [
        ("own", "create a new billing coupon with a discount", "PostBillingCoupons", 1200),
        ("corpus", "create a new coupon with a discount", "PostCoupons", 452),
    ][: len(RUNS)],
)
def test_a_sentence_finds_its_operation_among_hundreds(
    tmp_path: Path, run: str, sentence: str, name: str, count: int
) -> None:
    plugin = big(run, tmp_path, "apisguru__stripe.com.json")
    names = [tool["name"] for tool in plugin.tools(select=sentence)]
    assert name in names[:3]
    assert len(names) == 10
    assert plugin.tokens > CONTEXT
    assert "use some of them with select=" in repr(plugin)
    assert "use some of them with select=" in plugin._repr_html_()
    for tree in (repr(plugin.spec), plugin.spec._repr_html_()):
        assert f"{count} operations" in tree.replace(",", "")
    assert '<input type="search"' in plugin.spec._repr_html_()
    assert plugin.spec._repr_html_().count("<details") > 10


def test_tools_to_search_are_what_openai_describes(
    plugin: kit.InstalledPlugin, openai_schemas: OpenAISchemas
) -> None:
    tools = plugin.tools(search=True)
    assert tools[-1] == {"type": "tool_search"}
    assert [tool["name"] for tool in tools[:-1]] == ["users", "billing"]
    assert all(function["defer_loading"] for tool in tools[:-1] for function in tool["tools"])
    for tool in tools:
        assert openai_schemas.errors("Tool", tool) == []
    assert "lets the model search for the functions" in " ".join(repr_pretty(tools).split())
    assert "tool_search" in tools._repr_html_()  # type: ignore[attr-defined]


def repr_pretty(tools: Any) -> str:
    from IPython.lib.pretty import pretty

    return str(pretty(tools))


@pytest.mark.parametrize("run", RUNS)
def test_namespaces_hold_nine_at_most_and_lose_nothing(tmp_path: Path, run: str) -> None:
    plugin = big(run, tmp_path, "kubernetes__swagger2.json")
    tools = plugin.tools(search=True)
    names = [function["name"] for tool in tools[:-1] for function in tool["tools"]]
    assert sorted(names) == sorted(plugin.tool_names)
    assert max(len(tool["tools"]) for tool in tools[:-1]) <= 9
    assert len({tool["name"] for tool in tools[:-1]}) == len(tools) - 1


def test_a_chat_in_which_the_model_searches(server: kit.Server) -> None:
    chat = kit.Chat(server, search=True, show=False)
    reply = chat("Add 'buy milk' to sam's list")
    assert [(call.operation, call.status) for call in reply.calls] == [("add_todo", 200)]
    assert "list_todos" in str(chat._offered())
    only = kit.Chat(server, select="list_todos", show=False)
    assert [tool["name"] for tool in only._offered()] == ["list_todos"]
