"""A chat goes on with a plugin of this process as it is now: what its author changed reaches the next sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import kit


def make(**options: Any) -> kit.Plugin:
    plugin = kit.Plugin("shop", description_for_model="A shop.", description_for_human="A shop.", **options)

    @plugin.get("/books", summary="List the books")
    def list_books() -> list[str]:
        return ["Dune"]

    return plugin


@pytest.mark.parametrize("is_served", [False, True])
def test_a_change_reaches_the_next_sentence(is_served: bool) -> None:
    plugin = make()
    with kit.serve(plugin) as server:
        chat = kit.Chat(server if is_served else plugin, show=False)
        chat("list the books").expect("list_books")
        plugin.get("/authors", summary="List the authors")(lambda: ["Herbert"])
        plugin.rename("list_books", "list_titles")

        @plugin.get("/publishers", summary="List the publishers")
        def list_publishers() -> list[str]:
            return ["Ace"]

        chat("list the publishers").expect("list_publishers")
        plugin.manifest.description_for_model = "It sells maps."
        assert "maps" not in chat._system()
        chat("list the publishers")
        assert "maps" in chat._system()


def test_nothing_changed_is_not_read_again_and_the_app_starts_once() -> None:
    started = []

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        started.append(1)
        yield

    plugin = make(lifespan=lifespan)
    chat = kit.Chat(plugin, show=False)
    chat("list the books")
    held = chat.plugins[0]
    chat("list the books")
    assert chat.plugins[0] is held
    plugin.get("/authors", summary="List the authors")(lambda: ["Herbert"])
    chat("list the books")
    assert chat.plugins[0] is not held
    assert started == [1]


def test_a_stopped_server_is_an_error_of_the_call_and_the_chat_goes_on() -> None:
    plugin = make()
    with kit.serve(plugin) as server:
        chat = kit.Chat(server, show=False)
        chat("list the books").expect("list_books")
    reply = chat("list the books")
    assert "was stopped" in str(reply.calls[0].data)
    with kit.serve(plugin, port=server.port):
        chat("list the books").expect("list_books")


async def _both(chat: kit.Chat) -> list[Any]:
    return await asyncio.gather(*(chat.asend("list the books") for _ in range(2)), return_exceptions=True)


def test_two_turns_at_once_are_refused_while_a_change_is_read() -> None:
    plugin = make()
    with kit.serve(plugin) as server:
        chat = kit.Chat(server, show=False)
        plugin.get("/authors", summary="List the authors")(lambda: ["Herbert"])
        outcomes = asyncio.run(_both(chat))
        assert sorted(type(it).__name__ for it in outcomes) == ["ChatError", "Reply"]
        assert chat("list the books").calls
