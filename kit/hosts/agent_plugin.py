"""Agent Plugins 1.0.0: a plugin as a package of a manifest, an MCP server and a skill, for ChatGPT and Codex.

The rules are those of agent-plugins.org and of agentskills.io; what OpenAI adds is in `extensions`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from kit.addresses import host_of, is_private
from kit.auth import NoAuth, OAuth
from kit.hosts.findings import Finding
from kit.hosts.texts import cut, followed, spec_url, summaries
from kit.openapi import forms

if TYPE_CHECKING:
    from kit.description import Description
    from kit.tools.tool import Tool

TITLE = "Agent Plugins (ChatGPT and Codex)"
FILE = "plugin.json"
HOST = "agent_plugin"
_finding = partial(Finding, HOST)
SCHEMAS = "https://agent-plugins.org/schemas/1.0.0"

_SPEC = "https://github.com/agentplugins/agent-plugins-spec/blob/main/spec/1.0.0.md"
_NAMES = f"{_SPEC}#55-plugin-name-constraints"
_SERVERS = f"{_SPEC}#721-discovery-and-configuration"
_VERSIONS = f"{_SPEC}#102-plugin-versions"
_SKILLS = "https://agentskills.io/specification"
_OPENAI = "https://developers.openai.com/plugins/build/mcp-server"

Severity = Literal["error", "warning"]

MAX_NAME = 64  # characters: _NAMES, and _SKILLS for the skill of the same name
MAX_DESCRIPTION = 1024  # characters: _SKILLS
MAX_PROMPTS, MAX_PROMPT = 3, 128  # openai/plugins, plugin-json-spec.md: defaultPrompt, its characters
MAX_OPERATIONS = 20  # described with their arguments: the skill stays below the 500 lines of _SKILLS
MAX_ARGUMENTS = 12
MAX_MENTIONS = 60  # names in one list


def render(plugin: Description, *, serves_mcp: bool | None = None) -> dict[str, Any]:
    """The files of the package by their paths: JSON documents as mappings, the skill as text.

    `serves_mcp` means that the plugin answers MCP at `<base_url>/mcp`, as plugins of the kit do; the package uses
    that if it is https or this machine. Otherwise it starts `kit mcp` with the URL of the spec, or with
    the file of the spec, which then must be added to the package.
    """
    name = legal_name(plugin.name)
    local, url = not _is_remote(plugin, serves_mcp), spec_url(plugin)
    server: dict[str, Any] = {"type": "streamable-http", "url": f"{plugin.base_url}/mcp"}
    if local:
        source = url if "://" in url else f"${{PLUGIN_ROOT}}/{url}"
        server = {"type": "stdio", "command": "kit", "args": ["mcp", source]}
    return {
        "plugin.json": _manifest(plugin, name),
        "mcp.json": {"$schema": f"{SCHEMAS}/mcp.schema.json", "mcpServers": {name: server}},
        f"skills/{name}/SKILL.md": skill(plugin, name, local),
    }


def check(plugin: Description, *, serves_mcp: bool | None = None) -> Iterator[Finding]:
    """A finding for every rule of the format that the plugin breaks, or that `render` had to work around."""
    name, manifest, base, url = legal_name(plugin.name), plugin.manifest, plugin.base_url, spec_url(plugin)
    host, remote, version = host_of(url), _is_remote(plugin, serves_mcp), _version(plugin)
    if name != plugin.name:
        message = f"{plugin.name[:80]!r} is not a legal package name: the package is named {name!r}."
        yield _finding(
            "warning", "manifest/name_for_model", message, f"Keep {name!r}, or rename the plugin.", _NAMES
        )
    if not manifest.description_for_model.strip():
        message, remedy = (
            "A model chooses a skill by its description, and there is none.",
            "Say when to use it.",
        )
        yield _finding("error", "manifest/description_for_model", message, remedy, _SKILLS)
    if version and not re.fullmatch(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", version):
        message = f"The version {version!r} is not of the form 1.2.3."
        yield _finding("warning", "/info/version", message, "Use that form: clients compare it.", _VERSIONS)
    if (plugin.serves_mcp if serves_mcp is None else serves_mcp) and not remote:
        message = f"{base}/mcp is neither https nor this machine: the package starts `kit mcp` instead."
        yield _finding("error", "/servers", message, "Serve the plugin over https.", _SERVERS)
    if remote and not base.startswith("https://"):
        message = f"{base}/mcp is on this machine: Codex here finds it, ChatGPT does not."
        yield _finding("warning", "/servers", message, "Serve it at a public https address.", _OPENAI)
    elif not remote and "://" not in url:
        message = f"The spec has no address: the package starts `kit mcp` with the file {url}."
        yield _finding(
            "warning", "manifest/api/url", message, "Add it to the package under that name.", _SERVERS
        )
    elif not remote and is_private(host):
        message, remedy = (
            f"{url} is private: the package works on this machine at best.",
            "Serve the plugin at a public address.",
        )
        inside: Severity = "error" if host.endswith(".in-process") else "warning"
        yield _finding(inside, "manifest/api/url", message, remedy, _SERVERS)
    if not isinstance(manifest.auth, NoAuth) and not (remote and isinstance(manifest.auth, OAuth)):
        message = f"The calls need auth ({manifest.auth.type}), and a package must not contain a token."
        remedy = "Let each user add the token at the client." if remote else "Let each user set KIT_TOKEN."
        yield _finding("warning", "manifest/auth", message, remedy, _SERVERS)


def legal_name(name: str) -> str:
    """A name that is legal for both a package and its skill: a-z, 0-9 and single hyphens, 64 at most."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(words)[:MAX_NAME].strip("-") or "plugin"


def _is_remote(plugin: Description, serves_mcp: bool | None) -> bool:
    """Whether the package may use the plugin's own MCP server: over https, or on this machine."""
    parts = urlsplit(plugin.base_url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    serves = plugin.serves_mcp if serves_mcp is None else serves_mcp
    return serves and parts.username is None and (parts.scheme == "https" or loopback)


def _version(plugin: Description) -> str:
    version = followed(plugin.spec, plugin.spec.document.get("info")).get("version")
    return cut(version, 64) if isinstance(version, str) else ""


def _manifest(plugin: Description, name: str) -> dict[str, Any]:
    manifest = plugin.manifest
    short = cut(manifest.description_for_human or manifest.description_for_model, MAX_DESCRIPTION)
    legal, email = manifest.legal_info_url, cut(manifest.contact_email, 320)
    changes = {tool.operation.consequential for tool in plugin.by_name.values()}
    interface = {
        "displayName": cut(manifest.name_for_human, 100) or name,
        "shortDescription": cut(short, 120),
        "longDescription": cut(manifest.description_for_model),
        "capabilities": ["Read"] * (False in changes) + ["Write"] * (True in changes),
        "termsOfServiceURL": legal if legal.startswith(("https://", "http://")) else "",
        "defaultPrompt": summaries(plugin, MAX_PROMPTS, MAX_PROMPT),
    }
    interface = {key: value for key, value in interface.items() if value}
    document = {
        "$schema": f"{SCHEMAS}/plugin.schema.json",
        "name": name,
        "version": _version(plugin),
        "description": short,
        "author": {"email": email} if email else {},
        "extensions": {"com.openai": {"interface": interface}},
    }
    return {key: value for key, value in document.items() if value}


_ERRORS = """\
- The arguments do not fit: the answer names each one and why. Fix them, and call again.
- Status 401 or 403: a token is missing or may not do this. Tell the user; do not try again.
- Status 404: what was asked for is not there. Look for it with another operation, or ask.
- Status 429 or 5xx, or no answer: try once more if the call only reads; else find out whether it went through.
- Any other status: tell the user what the answer says."""


# -- the skill ----------------------------------------------------------------


def skill(plugin: Description, name: str, local: bool) -> str:
    """The text of SKILL.md: YAML front matter, then Markdown. All text of the plugin is escaped."""
    import yaml

    tools = list(plugin.by_name.values())
    about = plugin.manifest.description_for_model or plugin.manifest.description_for_human or plugin.name
    uses = "; ".join(summaries(plugin, 5, 80))
    when = f". Use it when the user wants to: {uses.rstrip('.')}." if uses else ""
    # In a prompt, <> would be read as markup.
    description = re.sub(r"[<>]", "", _line(f"{cut(_line(about), 500).rstrip('.')}{when}"))
    head = {"name": name, "description": cut(description, MAX_DESCRIPTION) or name}
    if local:
        head["compatibility"] = "Needs the command kit of the Python package notebook-plugin-kit."
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10**9)
    changing = [tool.name for tool in tools if tool.operation.consequential]
    parts = [
        f"# {escape(plugin.manifest.name_for_human) or name}",
        escape(cut(about)),
        "## When to use it",
        "Use it when the user asks for what one of its operations does. Do not use it to try it out, for what "
        "you know already, or with values that the user has not given or agreed to: ask for what is missing.",
        "## Operations",
        *(_operation(tool) for tool in tools[:MAX_OPERATIONS]),
        *_rest(tools[MAX_OPERATIONS:]),
        "## What changes something",
        _consent(changing),
        "## When a call fails",
        _ERRORS,
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _operation(tool: Tool) -> str:
    lines = [f"### `{tool.name}`", "", escape(cut(tool.description, 600))]
    if tool.arguments:
        lines += ["", "| argument | type | required | what it is |", "|---|---|---|---|"]
    for argument in [*tool.arguments.values()][:MAX_ARGUMENTS]:
        about = str(argument.schema.get("description") or "")
        kind, required = escape(_kind(argument.schema, tool)), "yes" if argument.required else "no"
        lines.append(f"| `{argument.name}` | {kind} | {required} | {escape(cut(about, 200))} |")
    if len(tool.arguments) > MAX_ARGUMENTS:
        lines += ["", f"And {len(tool.arguments) - MAX_ARGUMENTS} more arguments, in the tool's own schema."]
    return "\n".join(lines)


def _kind(schema: dict[str, Any], tool: Tool) -> str:
    for form in forms.forms(schema, tool.follow):
        if form.get("enum"):
            return cut("one of " + ", ".join(map(str, form["enum"][:20])), 120)
    kinds = forms.kinds(schema, tool.follow)
    return " or ".join(kind for kind in forms.KINDS if kind in kinds and kind != "null") or "any"


def _rest(tools: list[Tool]) -> list[str]:
    """The operations beyond those described: how many, by tag or by the first word of the path."""
    if not tools:
        return []
    groups = Counter(cut(_line(tool.operation.subject), 40) or "others" for tool in tools)
    lines = [f"- {escape(group)}: {count}" for group, count in groups.most_common(MAX_MENTIONS)]
    if len(groups) > MAX_MENTIONS:
        lines.append(f"- and {len(groups) - MAX_MENTIONS} more groups")
    return [f"And {len(tools):,} more, by subject; the tools describe their arguments:", "\n".join(lines)]


def _consent(changing: list[str]) -> str:
    named = ", ".join(f"`{name}`" for name in changing[:MAX_MENTIONS])
    rule = "Before each, tell the user what you will do and with which values, and wait for a yes."
    rest = "The rest only reads."
    if len(changing) > MAX_MENTIONS:
        rest = f"So may {len(changing) - MAX_MENTIONS:,} more: ask before any call that does not plainly only read."
    return f"These may: {named}. {rule} {rest}" if changing else "Nothing: all only read."


def escape(text: str) -> str:
    """Untrusted text as one line of Markdown that shows exactly those characters."""
    line = re.sub(r"([\\`*\[\]<>|~&#!$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", _line(text))
    return re.sub(r"^(\d*)([-+=.):])", r"\1\\\2", line)  # no list, no rule, no heading by underlining


def _line(text: str) -> str:
    """The printable characters, in one line."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
