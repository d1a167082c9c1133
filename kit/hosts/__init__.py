"""One module for each host: what it needs of a plugin, in the host's own form, and what it refuses.

Each has `TITLE`, the host's name for people, `render(plugin)`, and `check(plugin)`, which yields a
`Finding` for every documented rule of the host that the plugin breaks.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kit.errors import UnknownHost
from kit.findings import Finding, Findings

if TYPE_CHECKING:
    from kit.installed import InstalledPlugin


HOSTS = ("chatgpt", "actions", "copilot", "openai", "agent_plugin", "mcp", "langchain")
DOCUMENTS = "documents"  # takes the place of a host for what every reader of the documents meets


def find(host: str) -> Any:
    """The module of a host by its name. Raises `UnknownHost` with the names there are."""
    name = host.replace("-", "_").lower()
    if name not in HOSTS:
        near = get_close_matches(name, HOSTS, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise UnknownHost(f"There is no host {host!r}.", f"{hint}There are: {', '.join(HOSTS)}.", host=host)
    return importlib.import_module(f"kit.hosts.{name}")


def rules(name: str) -> Any:
    """The module that checks: a host's, or that of the documents themselves."""
    return importlib.import_module("kit.hosts.documents") if name == DOCUMENTS else find(name)


def check_description(plugin: InstalledPlugin, *only: str) -> Findings:
    """What the rules of every host say of a plugin, or of those named in `only`; the documents come first."""
    names = dict.fromkeys([DOCUMENTS] * (not only or DOCUMENTS in only) + [*(only or HOSTS)])
    found: list[Finding] = []
    for name in names:
        found += rules(name).check(plugin)
    return Findings(found, names, plugin.manifest.name_for_human or plugin.name)
