"""The pieces that everything shown is made of: tables, cards, folds, aligned text.

The HTML reads well with nothing but the browser's own styles, since GitHub and untrusted notebooks
strip the rest: tables, <details>, and neutral half-transparent lines for light and dark.
"""

from __future__ import annotations

import html
import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit.redaction import hide

_LINE = "1px solid rgba(127,127,127,.35)"
_BOX = f"border:{_LINE};border-radius:8px;padding:.6em .9em;margin:.4em 0;max-width:60em"
CELL = "text-align:left;vertical-align:top"
_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;background:rgba(127,127,127,.1);padding:.5em;margin:.3em 0"
)
SHOWN = 4000  # characters of one body that a card shows; the object itself has all


def escape(value: Any) -> str:
    """Text for HTML. Everything a plugin says is a stranger's text."""
    return html.escape(str(value))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table; cells are HTML already."""
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Rows of text, aligned, the last column wrapped to the width of the terminal."""
    rows = [[str(cell) for cell in row] for row in rows]
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = len(indent) + sum(width + 2 for width in widths)
    room = max(30, shutil.get_terminal_size((100, 24)).columns - left)
    lines = []
    for row in rows:
        start = indent + "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        wrapped = [part for line in row[-1].splitlines() for part in textwrap.wrap(line, room)] or [""]
        lines.append((start + wrapped[0]).rstrip())
        lines += [" " * left + more for more in wrapped[1:]]
    return "\n".join(lines)


def pretty(value: Any) -> str:
    """A value as JSON a person can read, text as it is, cut at 4,000 characters."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n[... {len(text) - SHOWN:,} more characters]"


def short(value: Any, limit: int = 80) -> str:
    """A value in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def arguments_line(arguments: Mapping[str, Any] | str) -> str:
    """Arguments as they would be written in a call: `username="sam", todo="buy milk"`. Secrets are hidden."""
    arguments = hide(arguments)
    if isinstance(arguments, str):
        return short(arguments)
    return ", ".join(
        f"{name}={short(value if not isinstance(value, str) else repr(value))}"
        for name, value in arguments.items()
    )


def markdown(text: str) -> str:
    """A model's Markdown as HTML. HTML in it stays text, no image is fetched, no link runs a script."""
    from markdown_it import MarkdownIt

    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text)
    return rendered


def pre(value: Any) -> str:
    """A value as a block of text, JSON made readable."""
    return f'<pre style="{_PRE}">{escape(pretty(value))}</pre>'


def code(value: Any) -> str:
    """A word as code."""
    return f"<code>{escape(value)}</code>"


def box(content: str) -> str:
    """HTML in a frame: a card."""
    return f'<div style="{_BOX}">{content}</div>'


def link(url: str, text: str | None = None) -> str:
    """A link that opens beside; text where the URL is none that a browser should follow."""
    if not url.startswith(("http://", "https://", "mailto:", "/")):
        return escape(text or url)  # a stranger's javascript: stays text
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text or url)}</a>'


def details(summary: str, content: str, is_open: bool = False) -> str:
    """HTML that unfolds."""
    opened = " open" if is_open else ""
    return f'<details{opened} style="margin:.3em 0"><summary>{summary}</summary>{content}</details>'
