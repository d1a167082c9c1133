"""One module for each host: what it needs of a plugin, in the host's own form, and what it refuses.

Each has `TITLE`, the host's name for people, `render(plugin)`, and `check(plugin)`, which yields a
`Finding` for every documented rule of the host that the plugin breaks.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any

from kit.errors import UnknownHost

HOSTS = ("chatgpt", "actions", "copilot", "openai", "agent_plugin", "mcp", "langchain")


def find(host: str) -> Any:
    """The module of a host by its name. Raises `UnknownHost` with the names there are."""
    name = host.replace("-", "_").lower()
    if name not in HOSTS:
        near = get_close_matches(name, HOSTS, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise UnknownHost(f"There is no host {host!r}.", f"{hint}There are: {', '.join(HOSTS)}.", host=host)
    return importlib.import_module(f"kit.hosts.{name}")
