"""How everything shows itself: HTML for notebooks, plain text for terminals."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kit import tree
from kit.markup import (
    CELL,
    arguments_line,
    box,
    code,
    columns,
    details,
    escape,
    link,
    markdown,
    pre,
    pretty,
    short,
    table,
)
from kit.operation import as_list
from kit.redaction import hide

if TYPE_CHECKING:
    from kit.installed import CallResult, InstalledPlugin
    from kit.manifest import Manifest
    from kit.operation import Operation
    from kit.reply import Reply
    from kit.requestlog import RequestLog
    from kit.server import Server
    from kit.spec import Spec


MOST = 40  # rows of a list in a terminal


def _logo(name: str) -> str:
    from kit.wellknown import logo

    data = base64.b64encode(logo(name).encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="" width="40" height="40" '
        'style="float:left;margin:.1em .8em .2em 0">'
    )


def _problems(problems: Sequence[tuple[str, str]]) -> str:
    if not problems:
        return ""
    rows = [(code(place), escape(message)) for place, message in problems[:500]]
    return details(f"{len(problems)} to know about its documents", table(("where", "what"), rows))


# -- manifest ---------------------------------------------------------------------

_AUTH_WORDS = {
    "none": "none: anyone may call",
    "user_http": "each user's own token",
    "service_http": "one token for the service",
    "oauth": "the user signs in (OAuth)",
}


def _manifest_rows(manifest: Manifest) -> list[tuple[str, str]]:
    return [
        ("for the model", f"{manifest.name_for_model}: {manifest.description_for_model}"),
        ("auth", _AUTH_WORDS[manifest.auth.type]),
        ("spec", manifest.api_url),
        ("logo", manifest.logo_url),
        ("contact", manifest.contact_email),
        ("legal", manifest.legal_info_url),
    ]


def manifest_text(manifest: Manifest) -> str:
    """The manifest for a terminal."""
    rows = [("", manifest.description_for_human), *_manifest_rows(manifest)]
    return f"{manifest.name_for_human}\n{columns(rows, '  ')}"


def manifest_card(manifest: Manifest, base: str = "") -> str:
    """The manifest as a card. With `base`, its links work."""
    rows = []
    for name, value in _manifest_rows(manifest):
        if name in ("spec", "logo", "legal") and value:
            url = base + value if value.startswith("/") else value
            cell = link(url, value) if base or "://" in value else code(value)
        else:
            cell = escape(value)
        rows.append((f"<b>{name}</b>", cell))
    head = f"<b>{escape(manifest.name_for_human)}</b><br>{escape(manifest.description_for_human)}"
    body = "".join(f'<tr><td style="{CELL}">{a}</td><td style="{CELL}">{b}</td></tr>' for a, b in rows)
    return box(f"{_logo(manifest.name_for_human)}{head}<table><tbody>{body}</tbody></table>")


# -- spec and tools ---------------------------------------------------------------


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


def _parameter_rows(spec: Spec, operation: Any) -> list[tuple[str, str, str, bool, str]]:
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
                (
                    "body",
                    "body",
                    _kind(schema, spec),
                    operation.body.required,
                    operation.body.description,
                )
            )
    return rows


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
    if len(operations) > tree.MANY:
        return tree.text(spec.title or spec.source, operations)
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
    if len(spec.operations) > tree.MANY:
        return tree.card(spec.title or spec.source, list(spec.operations.values())) + _problems(spec.problems)
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
    return table(("operation", "request", "what it does", "parameters"), rows) + _problems(spec.problems)


class Tools(list[dict[str, Any]]):
    """A list of tools that shows itself well; everything else about it is a list."""

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for tool in self:
            if "tools" in tool:
                names = [function["name"] for function in tool["tools"]]
                rows.append((tool["name"], ", ".join(names), f"{tool['type']}: {tool['description']}"))
                continue
            function = tool.get("function", tool)
            if "name" not in function:
                rows.append((tool["type"], "", "lets the model look for the functions that it needs"))
                continue
            parameters = function.get("parameters") or {}
            required = parameters.get("required", [])
            names = [name if name in required else f"{name}?" for name in parameters.get("properties", {})]
            rows.append((function["name"], ", ".join(names), function.get("description", "")))
        return rows

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"{len(self)} tools\n{columns(self._rows(), '  ')}")

    def _repr_html_(self) -> str:
        rows = [
            (
                code(name),
                escape(arguments),
                escape(short(description, 200)),
                details("JSON", pre(tool)),
            )
            for (name, arguments, description), tool in zip(self._rows(), self, strict=True)
        ]
        return table(("tool", "arguments", "description", ""), rows)


# -- installed plugins and calls ----------------------------------------------------


def _size(plugin: InstalledPlugin) -> str:
    """What to do where the tools are more than a model can take at once; else nothing."""
    from kit.hosts.openai import CONTEXT, MANY_TOKENS

    tokens = plugin.tokens
    if tokens < MANY_TOKENS:
        return ""
    return (
        f"{len(plugin.by_name):,} tools take about {tokens:,} tokens, and many models have {CONTEXT:,} in all: "
        "give a part of them with select=..., or all with search=True."
    )


def installed_text(plugin: InstalledPlugin) -> str:
    """An installed plugin for a terminal."""
    head = f"{plugin.manifest.name_for_human} ({plugin.name}), installed from {plugin.base_url}"
    tools = plugin.by_name
    rows: list[tuple[str, ...]]
    if len(tools) > tree.MANY:
        subjects = tree.groups(tool.operation for tool in tools.values())
        rows = [(name, f"{len(members)} operations") for name, members in list(subjects.items())[:MOST]]
        rows += [("...", f"{len(subjects) - MOST} more subjects")] if len(subjects) > MOST else []
    else:
        rows = [(name, tool.operation.method, tool.description) for name, tool in tools.items()]
    text = f"{head}\n{columns(rows, '  ')}\n{_size(plugin)}".rstrip()
    problems = plugin.problems
    shown = problems[:MOST] + ([("...", f"{len(problems) - MOST} more")] if len(problems) > MOST else [])
    if not problems:
        return text
    is_wide = any(len(place) > 50 for place, _ in shown)  # then columns leave no room for the message
    lines = "\n".join(f"  {place}\n    {said}" for place, said in shown) if is_wide else columns(shown, "  ")
    return f"{text}\n\nTo know about its documents:\n{lines}"


def installed_card(plugin: InstalledPlugin) -> str:
    """An installed plugin as a card."""
    size, own = _size(plugin), set(plugin.spec.problems)
    return (
        manifest_card(plugin.manifest, plugin.base_url)
        + (box(escape(size)) if size else "")
        + spec_table(plugin.spec)
        + _problems([p for p in plugin.problems if p not in own])
    )


def call_text(call: CallResult) -> str:
    """One call for a terminal."""
    return f"{call.operation}({arguments_line(call.arguments)}) -> {call.outcome}\n{pretty(hide(call.data))}"


def call_card(call: CallResult, is_open: bool = True) -> str:
    """One call, to be unfolded: request and response."""
    mark = "✓" if call.ok else "✗"
    words = f"{escape(call.operation)}({escape(arguments_line(call.arguments))})"
    slow = f", {call.seconds:.1f} s" if call.seconds >= 1 else ""
    request = f"<div>{code(hide(f'{call.method} {call.url}'))}</div>" if call.url else ""
    answer = "answer" if call.url else "why"
    return details(
        f"{mark} <code>{words}</code> → {call.outcome}{slow}",
        f"{request}{pre(hide(call.arguments))}<div>{answer}</div>{pre(hide(call.data))}",
        is_open,
    )


# -- the server ---------------------------------------------------------------------


def server_card(server: Server) -> str:
    """A running server: its links, as the reader's browser reaches them."""
    base = server.browser_url
    state = "serves" if server.is_running else "has stopped"
    links = " · ".join(
        f"{name}: {link(base + path, path)}"
        for name, path in (
            ("manifest", "/.well-known/ai-plugin.json"),
            ("spec", "/.well-known/openapi.json"),
            ("try it", "/docs"),
        )
    )
    name = escape(server.plugin.manifest.name_for_human)
    return box(
        f"{_logo(server.plugin.manifest.name_for_human)}<b>{name}</b> {state} at {link(base)}<br>{links}"
        + "".join(f"<br>{escape(note)}" for note in server.notes)
    )


def log_text(log: RequestLog) -> str:
    """The request log for a terminal."""
    rows = [
        (e.method, e.path, str(e.status), f"{e.ms:5.0f} ms", short(e.request), short(e.response)) for e in log
    ]
    return columns(rows) if rows else "No requests yet."


def log_table(log: RequestLog) -> str:
    """The request log as a table."""
    if not len(log):
        return box("No requests yet.")
    rows = [
        (
            code(entry.method),
            code(entry.path),
            str(entry.status),
            f"{entry.ms:.0f} ms",
            code(short(entry.request)) if entry.request else "",
            code(short(entry.response)) if entry.response else "",
        )
        for entry in log
    ]
    heads = ("method", "path", "status", "time", "request", "response")
    return table(heads, rows) + details("Sequence", log.sequence().picture())


# -- a conversation -----------------------------------------------------------------


def reply_text(reply: Reply) -> str:
    """One turn for a terminal: what was asked, the calls, the answer."""
    lines = [f"You: {hide(reply.question)}"]
    lines += [f"  ({note})" for note in reply.notes]
    for call in reply.calls:
        words = f"{call.operation}({arguments_line(call.arguments)})"
        lines.append(f"  {words} -> {call.outcome} {short(hide(call.data))}")
    lines.append(f"{reply.model or 'model'}: {hide(reply.text)}")
    if reply.error:
        lines.append(f"  stopped: {reply.error}")
    return "\n".join(lines)


def reply_card(reply: Reply) -> str:
    """One turn as a transcript in which each call unfolds."""
    parts = [f'<div style="margin:.3em 0"><b>You</b>: {escape(hide(reply.question))}</div>']
    parts += [f"<div><i>{escape(note)}</i></div>" for note in reply.notes]
    parts += [call_card(call, is_open=False) for call in reply.calls]
    parts.append(
        f'<div style="margin:.3em 0"><b>{escape(reply.model or "…")}</b>{markdown(hide(reply.text))}</div>'
    )
    if reply.error:
        parts.append(f"<div><b>Stopped</b>: {escape(reply.error)}</div>")
    if reply.seconds:  # it has ended
        parts.append(details("Sequence", reply.sequence()._repr_html_()))
    return box("".join(parts))
