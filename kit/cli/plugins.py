"""The commands about one plugin: `kit install`, `manifest`, `spec`, `check`, `render`, `call`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from kit.cli.options import AsJson, ClientId, FollowRefs, Token, Url, installed, say
from kit.errors import KitError
from kit.openapi import forms
from kit.openapi.documents import read_json


def install(
    url: Url, token: Token = None, client_id: ClientId = None, follow_refs: FollowRefs = False
) -> None:
    """Install a plugin as ChatGPT did, and show what was found."""
    say(installed(url, token, follow_refs, client_ids=client_id))


def manifest(url: Url, as_json: AsJson = False) -> None:
    """Show the manifest of a plugin."""
    plugin = installed(url, None, ask=False)
    say(json.dumps(plugin.manifest.render(plugin.base_url), indent=2) if as_json else plugin.manifest)


def spec(
    url: Url,
    search: Annotated[
        str | None, typer.Argument(help="Only these: a name, tag, method, glob (/users/*) or sentence.")
    ] = None,
    as_json: AsJson = False,
    follow_refs: FollowRefs = False,
) -> None:
    """Show the operations of a plugin: as a list, or grouped if there are many."""
    from kit.openapi.views import spec_text

    plugin = installed(url, None, follow_refs, ask=False)
    if as_json:
        say(json.dumps(plugin.spec.document, indent=2, default=str))
    elif search is None:
        say(plugin.spec)
    else:
        tools = plugin.selected(search)
        say(spec_text(plugin.spec, {name: tool.operation for name, tool in tools.items()}))


def check(
    url: Url,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Only this host (chatgpt, actions, copilot, ...); may be repeated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 for a warning too.")] = False,
    as_json: AsJson = False,
    token: Token = None,
) -> None:
    """Check a plugin against the documented rules of every host. Status 1 if one has an error."""
    from dataclasses import asdict

    from kit.checking import check as run

    findings = run(installed(url, token, ask=False), *(host or []))
    say(_json([asdict(finding) for finding in findings]) if as_json else findings)
    if not findings.ok or (strict and findings):
        raise typer.Exit(1)


def render(
    host: Annotated[
        str,
        typer.Argument(
            help="chatgpt, actions, copilot, openapi30, open_webui, librechat, dify, flowise, coze, openai, agent_plugin or mcp."
        ),
    ],
    url: Url,
    out: Annotated[str | None, typer.Option(help="The folder to write to, instead of printing.")] = None,
) -> None:
    """Write a plugin in the form of a host: its manifest, its OpenAPI document, its tools."""
    from pathlib import Path

    from kit import hosts

    module = hosts.find(host)
    if not module.FILE:
        raise KitError(f"{module.TITLE} takes Python objects, not files.", f"Use kit.render(url, {host!r}).")  # fmt: skip
    plugin = installed(url, None, ask=False)
    rendered = module.render(plugin)
    files = rendered if isinstance(rendered, dict) and "plugin.json" in rendered else {module.FILE: rendered}
    for other in map(hosts.find, getattr(module, "BESIDE", ())):  # what its file names
        files[other.FILE] = other.render(plugin)
    if out is None:
        say(_json(rendered))
        return
    for name in files:
        file = Path(out, name)
        if file.exists():
            raise KitError(f"{file} exists already.", "Choose another folder with --out, or remove it first.")
    for name, content in files.items():
        file = Path(out, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else _json(content) + "\n"
        file.write_text(text, encoding="utf-8")
        say(f"Wrote {file}")


def call(
    url: Url,
    operation: Annotated[str, typer.Argument(help="The operation's name.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE pairs; a value may be JSON.", metavar="[NAME=VALUE]..."),
    ] = None,
    token: Token = None,
    client_id: ClientId = None,
) -> None:
    """Call one operation and print its answer."""
    plugin = installed(url, token, client_ids=client_id)
    tool = plugin.tool(operation)
    values: dict[str, Any] = {}
    for pair in arguments or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        schema = tool.arguments[name].schema if name in tool.arguments else {}
        values[name] = _value(forms.kinds(schema, tool.follow), value)
    result = plugin.call(operation, values)
    say(result.data if isinstance(result.data, str) else _json(result.data))
    if not result.ok:
        status = f"status {result.status}" if result.status is not None else "no answer"
        say(f"kit: {operation} failed: {status}", file=sys.stderr)
        raise typer.Exit(1)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _value(kinds: set[str], text: str) -> Any:
    """A value from the command line: text if the operation takes text, else JSON."""
    if "string" in kinds:
        return text
    try:
        return read_json(text)
    except ValueError:
        return text
