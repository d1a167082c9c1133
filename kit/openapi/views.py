"""The views of a spec and an operation: a table, or a tree by subject if there are many operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kit.markup import box, code, columns, details, escape, pre, pretty, problems, short, table
from kit.openapi.values import as_list
from kit.visible import visible, visible_line

if TYPE_CHECKING:
    from kit.openapi.operation import Operation
    from kit.openapi.spec import Spec

MANY = 30  # operations, beyond which a table no longer helps

# Works in a trusted notebook; elsewhere the input is stripped, and the browser's own search opens the folds.
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


def operation_text(operation: Operation) -> str:
    """One operation for a terminal, as written in the document."""
    return f"{_line(operation)}\n{pretty(operation.raw)}"


def operation_card(operation: Operation) -> str:
    """One operation: where each argument goes, and the document itself."""
    rows = [
        (code(name), place, escape(kind), "yes" if needed else "no")
        for name, place, kind, needed, _ in _parameter_rows(operation.spec, operation)
    ]
    parts = [f"{code(operation.method)} {code(operation.path)}"]
    parts += [table(("argument", "sent in", "type", "required"), rows)] if rows else []
    parts += [details("as written in the document", pre(operation.raw), is_open=True)]
    return box("".join(parts))


def spec_text(spec: Spec, selection: Mapping[str, Operation] | None = None) -> str:
    """The operations for a terminal: all of them, or a selection."""
    operations = list((spec.operations if selection is None else selection).values())
    if len(operations) > MANY:
        return _tree_text(spec.title or spec.source, operations)
    blocks = []
    for operation in operations:
        block = f"{_line(operation)}\n  {visible(operation.summary or operation.description)}"
        rows = [
            (name, place, f"{kind}{'' if needed else ', optional'}", text)
            for name, place, kind, needed, text in _parameter_rows(spec, operation)
        ]
        blocks.append(block + ("\n" + columns(rows, "    ") if rows else ""))
    count = len(operations)
    head = f"{visible_line(spec.title or spec.source)}: {count} operation{'' if count == 1 else 's'}"
    return "\n\n".join([head, *blocks])


def spec_table(spec: Spec) -> str:
    """The operations as a table, or as a tree if there are many."""
    if len(spec.operations) > MANY:
        return _tree_card(spec.title or spec.source, list(spec.operations.values())) + problems(spec.problems)
    rows = []
    for operation in spec.operations.values():
        parameters = "<br>".join(
            f"<b>{escape(name)}</b> {escape(kind)}, {place}{'' if needed else ', optional'}"
            + (f": {escape(short(text, 200))}" if text else "")
            for name, place, kind, needed, text in _parameter_rows(spec, operation)
        )
        about = escape(operation.summary)
        if operation.description and operation.description != operation.summary:
            about += ("<br>" if about else "") + escape(short(operation.description, 300))
        mark = "<br><i>changes something</i>" if operation.consequential else ""
        rows.append(
            (
                code(operation.id) + mark,
                f"{code(operation.method)} {code(operation.path)}",
                about,
                parameters or "none",
            )
        )
    if not rows:
        return box(
            "No operations yet: add one with <code>@plugin.get(...)</code> or <code>@plugin.post(...)</code>."
        )
    return table(("operation", "request", "what it does", "parameters"), rows) + problems(spec.problems)


def _line(operation: Operation) -> str:
    return f"{visible_line(operation.id)}  {operation.method} {visible_line(operation.path)}"


def groups(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations by subject."""
    by_subject: dict[str, list[Operation]] = {}
    for operation in operations:
        by_subject.setdefault(operation.subject, []).append(operation)
    return by_subject


def _tree_text(title: str, operations: list[Operation]) -> str:
    """The tree for a terminal."""
    blocks = [f"{visible_line(title)}: {len(operations):,} operations"]
    for name, members in groups(operations).items():
        rows = [
            (operation.id, f"{operation.method} {operation.path}", operation.summary or operation.description)
            for operation in members
        ]
        blocks.append(f"{visible_line(name)} ({len(members)})\n{columns(rows, '  ')}")
    return "\n\n".join(blocks)


def _tree_card(title: str, operations: list[Operation]) -> str:
    """The tree for a notebook, with a search field."""
    parts = []
    for name, members in groups(operations).items():
        rows = []
        for operation in members:
            about = operation.summary or short(operation.description, 200)
            words = f"{operation.id} {operation.method} {operation.path} {' '.join(operation.tags)} {about}".lower()
            rows.append(
                f'<div data-words="{escape(words)}" style="margin:.15em 0 .15em 1.2em">{code(operation.id)} '
                f"{code(f'{operation.method} {operation.path}')} {escape(short(about, 120))}</div>"
            )
        parts.append(details(f"<b>{escape(name)}</b> ({len(members)})", "".join(rows)))
    search = (
        '<input type="search" placeholder="search: a word in the name, the path or the summary" '
        f'aria-label="search the operations" size="50" oninput="{escape(_SEARCH)}">'
    )
    return box(f"<b>{escape(title)}</b>: {len(operations):,} operations<br>{search}{''.join(parts)}")


def _parameter_rows(spec: Spec, operation: Operation) -> list[tuple[str, str, str, bool, str]]:
    """(name, place, type, required, description) of every parameter, those of the body too."""
    rows = [
        (p.name, p.location, _kind(p.schema, spec), p.required, p.description) for p in operation.parameters
    ]
    if operation.body is not None:
        schema = spec.resolve(operation.body.schema)
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and properties:
            required = as_list(schema.get("required"))
            for name, item in properties.items():
                description = spec.resolve(item).get("description", "")
                rows.append((str(name), "body", _kind(item, spec), name in required, str(description)))
        else:
            body = operation.body
            rows.append((body.name or "body", "body", _kind(schema, spec), body.required, body.description))
    return rows


def _kind(schema: Any, spec: Spec, depth: int = 0) -> str:
    schema = spec.resolve(schema)
    if depth > 3:  # a schema may lead back to itself
        return str(schema.get("type") or "anything")
    if as_list(schema.get("enum")):
        return " | ".join(json.dumps(item, ensure_ascii=False) for item in schema["enum"][:6])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), spec, depth + 1)}"
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(_kind(option, spec, depth + 1) for option in as_list(options)[:4])
    name = str(kind or "anything")
    return f"{name} ({schema['format']})" if isinstance(schema.get("format"), str) else name
