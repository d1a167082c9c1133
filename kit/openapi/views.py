"""How a spec and an operation show themselves: a table, or a tree by subject where the operations are many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kit.markup import box, code, columns, details, escape, pre, pretty, problems, short, table
from kit.openapi.values import as_list

if TYPE_CHECKING:
    from kit.openapi.operation import Operation
    from kit.openapi.spec import Spec

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


def operation_text(operation: Operation) -> str:
    """One operation for a terminal, as the document has it."""
    return f"{operation.id}  {operation.method} {operation.path}\n{pretty(operation.raw)}"


def operation_card(operation: Operation) -> str:
    """One operation: where each argument travels, and the document itself."""
    rows = [
        (code(name), place, escape(kind), "yes" if needed else "no")
        for name, place, kind, needed, _ in _parameter_rows(operation.spec, operation)
    ]
    parts = [f"{code(operation.method)} {code(operation.path)}"]
    parts += [table(("argument", "travels in the", "type", "required"), rows)] if rows else []
    parts += [details("as the document has it", pre(operation.raw), is_open=True)]
    return box("".join(parts))


def spec_text(spec: Spec, wanted: Mapping[str, Operation] | None = None) -> str:
    """The operations for a terminal: all of them, or those that are `wanted`."""
    operations = list((spec.operations if wanted is None else wanted).values())
    if len(operations) > MANY:
        return _tree_text(spec.title or spec.source, operations)
    blocks = []
    for operation in operations:
        block = f"{operation.id}  {operation.method} {operation.path}\n  {operation.summary or operation.description}"
        rows = [
            (name, place, f"{kind}{'' if needed else ', optional'}", text)
            for name, place, kind, needed, text in _parameter_rows(spec, operation)
        ]
        blocks.append(block + ("\n" + columns(rows, "    ") if rows else ""))
    count = len(operations)
    head = f"{spec.title or spec.source}: {count} operation{'' if count == 1 else 's'}"
    return "\n\n".join([head, *blocks])


def spec_table(spec: Spec) -> str:
    """The operations as a table, or as a tree where they are many."""
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
        asks = "" if not operation.consequential else "<br><i>changes something</i>"
        rows.append(
            (
                code(operation.id) + asks,
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


def groups(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations by subject."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        found.setdefault(operation.subject, []).append(operation)
    return found


def _tree_text(title: str, operations: list[Operation]) -> str:
    """The tree for a terminal."""
    blocks = [f"{title}: {len(operations):,} operations"]
    for name, members in groups(operations).items():
        rows = [(it.id, f"{it.method} {it.path}", it.summary or it.description) for it in members]
        blocks.append(f"{name} ({len(members)})\n{columns(rows, '  ')}")
    return "\n\n".join(blocks)


def _tree_card(title: str, operations: list[Operation]) -> str:
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
            rows.append(
                ("body", "body", _kind(schema, spec), operation.body.required, operation.body.description)
            )
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
