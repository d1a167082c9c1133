"""The local ChatGPT with the TODO plugin, and a tab of a browser in which it is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tabs import Tab

import kit
from kit.web.page import LocalChatGPT


@pytest.fixture
def page(server: kit.Server) -> Iterator[LocalChatGPT]:
    with kit.chatgpt(server) as running:
        yield running


@pytest.fixture
def tab(page: LocalChatGPT) -> Iterator[Tab]:
    tab = Tab(page)
    yield tab
    tab.http.close()
