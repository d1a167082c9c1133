"""A spec of many operations as a tree by subject: folded, and to be searched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kit.markup import box, code, columns, details, escape, short

if TYPE_CHECKING:
    from kit.operation import Operation

MANY = 30  # operations, from which on a table is no help

# Works where a notebook is trusted; elsewhere the input is taken out, and the browser's own search opens
# what is folded.
_SEARCH = """const words = this.value.toLowerCase().split(/\\s+/);
for (const group of this.parentNode.querySelectorAll('details')) {
  let shown = 0;
  for (const row of group.querySelectorAll('[data-words]')) {
    row.hidden = !words.every(word => row.dataset.words.includes(word));
    shown += !row.hidden;
  }
  group.hidden = !shown;
  group.open = this.value !== '';
}"""


def groups(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations by subject."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        found.setdefault(operation.subject, []).append(operation)
    return found


def text(title: str, operations: list[Operation]) -> str:
    """The tree for a terminal."""
    blocks = [f"{title}: {len(operations):,} operations"]
    for name, members in groups(operations).items():
        rows = [(it.id, f"{it.method} {it.path}", it.summary or it.description) for it in members]
        blocks.append(f"{name} ({len(members)})\n{columns(rows, '  ')}")
    return "\n\n".join(blocks)


def card(title: str, operations: list[Operation]) -> str:
    """The tree for a notebook, with a field to search in it."""
    parts = []
    for name, members in groups(operations).items():
        rows = []
        for it in members:
            about = it.summary or short(it.description, 200)
            words = f"{it.id} {it.method} {it.path} {' '.join(it.tags)} {about}".lower()
            rows.append(
                f'<div data-words="{escape(words)}" style="margin:.15em 0 .15em 1.2em">{code(it.id)} '
                f"{code(f'{it.method} {it.path}')} {escape(short(about, 120))}</div>"
            )
        parts.append(details(f"<b>{escape(name)}</b> ({len(members)})", "".join(rows)))
    search = (
        '<input type="search" placeholder="search: a word of the name, the path or the summary" '
        f'aria-label="search the operations" size="50" oninput="{escape(_SEARCH)}">'
    )
    return box(f"<b>{escape(title)}</b>: {len(operations):,} operations<br>{search}{''.join(parts)}")
