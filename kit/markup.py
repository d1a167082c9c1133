"""The building blocks of every view: tables, cards, folds, aligned text.

The HTML reads well with nothing but the browser's own styles, since GitHub and untrusted notebooks
strip the rest: tables, <details>, and neutral half-transparent lines for light and dark.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit.redaction import hide
from kit.visible import encodable, visible, visible_line

_LINE = "1px solid rgba(127,127,127,.35)"
_BOX = f"border:{_LINE};border-radius:8px;padding:.6em .9em;margin:.4em 0;max-width:60em;overflow-wrap:break-word"
CELL = "text-align:left;vertical-align:top"
_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;background:rgba(127,127,127,.1);padding:.5em;margin:.3em 0"
)
LEAST = 30  # characters that the last column of a text has at least; with less, it stands below the others
SHOWN = 4000  # characters of one body that a card shows; the object itself has all


def escape(value: Any) -> str:
    """Text for HTML. All text of a plugin is untrusted."""
    return html.escape(visible(str(value)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table; cells are HTML already."""
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Rows of text, aligned, the last column wrapped to the width of the terminal."""
    rows = [[*(_cell(cell) for cell in row[:-1]), visible(str(row[-1]))] for row in rows]
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = len(indent) + sum(width + 2 for width in widths)
    whole = shutil.get_terminal_size((100, 24)).columns
    longest = max((len(line) for row in rows for line in row[-1].splitlines()), default=0)
    if whole - left < min(LEAST, longest):
        return "\n".join(line for row in rows for line in _stacked(row, indent, whole))
    lines = []
    for row in rows:
        start = indent + "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        wrapped = _wrapped(row[-1], whole - left) or [""]
        lines.append((start + wrapped[0]).rstrip())
        lines += [" " * left + more for more in wrapped[1:]]
    return "\n".join(lines)


def _stacked(row: Sequence[str], indent: str, whole: int) -> list[str]:
    """A row whose first cells leave no room for the last: what its line has no room for stands below."""
    below = f"{indent}    "
    lines = [row[0]]
    for cell in row[1:-1]:
        if len(indent) + len(lines[-1]) + 2 + len(cell) > whole:
            lines.append(cell)
        else:
            lines[-1] += f"  {cell}"
    parts = [part for line in [*lines, row[-1]] for part in _wrapped(line, max(LEAST, whole - len(below)))]
    return [indent + parts[0], *(below + part for part in parts[1:])] if parts else []


def _wrapped(text: str, room: int) -> list[str]:
    return [part for line in text.splitlines() for part in textwrap.wrap(line, room)]


def _cell(value: Any) -> str:
    return visible(str(value)).replace("\n", " ").replace("\t", " ")


def pretty(value: Any) -> str:
    """A value as readable JSON, text as it is, cut at 4,000 characters."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    text = visible(text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n[... {len(text) - SHOWN:,} more characters]"


def short(value: Any, limit: int = 80) -> str:
    """A value in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = visible_line(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def arguments_line(arguments: Mapping[str, Any] | str) -> str:
    """Arguments as in a call: `username="sam", todo="buy milk"`. Secrets are hidden."""
    arguments = hide(arguments)
    if isinstance(arguments, str):
        return short(arguments)
    return ", ".join(
        f"{short(name)}={short(value if not isinstance(value, str) else repr(value))}"
        for name, value in arguments.items()
    )


def markdown(text: str) -> str:
    """A model's Markdown as HTML. HTML in it stays text, no image is fetched, no link runs a script."""
    from markdown_it import MarkdownIt

    rendered: str = (
        MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(visible(text))
    )
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
    """A link that opens in a new tab; plain text where a browser should not follow the URL."""
    if not url.startswith(("http://", "https://", "mailto:", "/")):
        return escape(text or url)  # such as javascript:
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text or url)}</a>'


def details(summary: str, content: str, is_open: bool = False) -> str:
    """A collapsible section."""
    opened = " open" if is_open else ""
    return f'<details{opened} style="margin:.3em 0"><summary>{summary}</summary>{content}</details>'


def page(title: str, body: str) -> bytes:
    """A complete HTML page, readable in light and dark. `title` and `body` are HTML already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark}'
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        f"</style></head><body>{body}</body></html>"
    ).encode()


def logo(name: str) -> str:
    """A logo for a plugin that has none: its initials, on a colour derived from its name."""
    words = re.findall(r"[^\W_]+", name) or ["?"]
    initials = escape((words[0][0] + (words[1][0] if len(words) > 1 else "")).upper())
    hue = int(hashlib.sha256(encodable(name).encode()).hexdigest()[:4], 16) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img">'
        f"<title>{escape(name)}</title>"
        f'<rect width="64" height="64" rx="14" fill="hsl({hue} 55% 38%)"/>'
        '<text x="32" y="42" font-family="system-ui,sans-serif" font-size="28" font-weight="600" '
        f'text-anchor="middle" fill="#fff">{initials}</text></svg>'
    )


def logo_image(name: str) -> str:
    """That logo, to put at the top of a card."""
    data = base64.b64encode(logo(name).encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="" width="40" height="40" '
        'style="float:left;margin:.1em .8em .2em 0">'
    )


def problems(entries: Sequence[tuple[str, str]]) -> str:
    """The problems of documents, folded, as (where, what); nothing without any."""
    if not entries:
        return ""
    rows = [(code(place), escape(message)) for place, message in entries[:500]]
    return details(f"Notes on its documents ({len(entries)})", table(("where", "what"), rows))
