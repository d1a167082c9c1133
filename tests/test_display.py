"""The view of every object: HTML in which untrusted text stays text, and plain text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

import kit
from kit.markup import columns

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> & \"quotes\" 'single' | pipe"
VOID = {"img", "br", "hr", "input"}
# What JupyterLab's sanitizer keeps of an untrusted notebook's output; GitHub is almost the same.
SANE = {"a", "b", "br", "code", "details", "div", "i", "img", "li", "ol", "p", "pre", "span", "strong", "em",
        "summary", "table", "tbody", "td", "th", "thead", "tr", "ul", "h1", "h2", "h3", "h4", "hr", "blockquote"}  # fmt: skip


class Reader(HTMLParser):
    """Reads HTML strictly: every tag known, closed in order, no event handlers, no scripts in links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SANE, tag
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "href":
                assert re.match(r"https?://|/|#", value or ""), value
            if name == "src":
                assert re.match(r"data:image/|https?://", value or ""), value
            if name == "style":
                assert "var(" not in (value or ""), "an untrusted notebook drops it"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def hostile() -> kit.Plugin:
    plugin = kit.Plugin(
        "hostile",
        name_for_human="<b>Bold</b>",
        description_for_model=HOSTILE,
        description_for_human=HOSTILE,
        legal_info_url="https://x.example/?a=1&b=<i>",
    )

    @plugin.post("/say", summary=HOSTILE, description=HOSTILE)
    def say(text: str) -> dict[str, str]:
        return {"<script>": text}

    return plugin


SHOWN: dict[str, Callable[[kit.Plugin, kit.Server], Any]] = {
    "manifest": lambda plugin, server: plugin.manifest,
    "spec": lambda plugin, server: plugin.spec,
    "server": lambda plugin, server: server,
    "installed": lambda plugin, server: kit.install(server),
    "tools": lambda plugin, server: kit.install(server).tools(),
    "call": lambda plugin, server: kit.install(server).call("say", text=HOSTILE),
    "wrong call": lambda plugin, server: kit.install(server).call("say", {"<script>": HOSTILE}),
    "reply": lambda plugin, server: kit.Chat(server, show=False)(f'say "{HOSTILE.replace(chr(34), "")}"'),
    "log": lambda plugin, server: (kit.install(server).call("say", text=HOSTILE), server.calls)[1],
}


@pytest.mark.parametrize("kind", SHOWN)
def test_hostile_text_is_only_text(hostile: kit.Plugin, kind: str) -> None:
    with kit.serve(hostile) as server:
        shown = SHOWN[kind](hostile, server)
        page = read(shown._repr_html_())
        assert "script" not in page.tags
        if kind != "server":
            assert "<script>" in page.text
        text = repr(shown)
        assert text
        assert "style=" not in text
        assert "\x1b" not in text


def test_a_model_cannot_write_html_into_the_notebook() -> None:
    from kit.markup import markdown

    page = read(
        markdown(f"**bold** {HOSTILE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x](javascript:alert(1))")
    )
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert {"strong", "table"} <= page.tags


def test_cards_tell_without_any_style(todo: kit.Plugin, server: kit.Server) -> None:
    """GitHub drops every style: the structure alone must carry the meaning."""
    assert "table" in read(todo.manifest._repr_html_()).tags
    spec = read(todo.spec._repr_html_())
    for word in ("add_todo", "POST", "/users/{username}/todos", "username", "The text of the todo"):
        assert word in spec.text
    reply = kit.Chat(server, show=False)("Add 'buy milk' to sam's list")
    transcript = read(reply._repr_html_())
    assert {"details", "summary", "pre"} <= transcript.tags
    for word in ("Add 'buy milk' to sam's list", "add_todo", "200", "understudy"):
        assert word in transcript.text


def test_plain_text(todo: kit.Plugin, server: kit.Server) -> None:
    plugin = kit.install(server)
    plugin.call("add_todo", username="sam", todo="buy milk")
    assert "TODO Plugin" in repr(todo.manifest)
    assert re.search(r"delete_todo +DELETE +/users/\{username\}/todos/\{number\}", repr(todo.spec))
    assert server.url in repr(server)
    assert "add_todo" in repr(plugin)
    assert re.search(r"POST +/users/sam/todos +200", repr(server.calls))
    assert all(len(line) < 300 for line in repr(server.calls).splitlines())


def test_an_empty_log_says_so(server: kit.Server) -> None:
    assert repr(server.calls) == "No requests yet."
    assert "No requests yet." in server.calls._repr_html_()


def test_an_error_shows_the_users_lines_only() -> None:
    try:
        kit.Plugin("two words", description_for_model="x")
    except kit.ManifestError as error:
        lines = error._render_traceback_()
    assert "test_display.py" in lines[0]
    assert 'kit.Plugin("two words"' in lines[0]
    assert len(lines) == 2
    assert "name_for_model" in lines[1]


def test_columns_fit_the_terminal_however_long_their_cells_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("get", "readCoreV1NamespacedServiceProxyWithPath" * 2)
    rows = [(name, f"GET /api/{'namespaces/' * n}", "reads a thing " * 9) for name in names for n in (1, 12)]
    for width in (80, 100, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        text = columns(rows, "  ")
        assert max(map(len, text.splitlines())) <= width
        for cell in (cell for row in rows for cell in row):
            assert "".join(cell.split()) in "".join(text.split())


def test_many_tools_are_a_page_and_the_rest_by_name() -> None:
    plugin = kit.Plugin("many", description_for_model="Many.")
    for number in range(300):
        plugin.get(f"/{number}", summary="x" * 200, name=f"n{number}")(lambda: "")
    tools = kit.install(plugin).tools()
    html = tools._repr_html_()
    assert html.count("<pre") == 50
    assert "250 more" in html
    assert all(tool["name"] in html for tool in tools)
