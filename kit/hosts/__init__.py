"""What each host requires, one module for each.

Takes a `Description`. Returns what the host needs (`render`) and where it breaks the documented rules (`check`).
A new host is a module here with the names of the `Host` protocol, and its name in `HOSTS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, cast

from kit.errors import UnknownHost
from kit.hosts.findings import Finding, Findings
from kit.words import did_you_mean

if TYPE_CHECKING:
    from kit.description import Description

# Programs that read a document where they are installed, most of them on a machine of one's own
SELF_HOSTED = ("open_webui", "librechat", "dify", "flowise", "coze")
HOSTS = (
    "chatgpt",
    "actions",
    "copilot",
    "openapi30",
    *SELF_HOSTED,
    "openai",
    "agent_plugin",
    "mcp",
    "langchain",
)
DOCUMENTS = "documents"  # stands for a host in findings about the documents themselves


class Rules(Protocol):
    """Rules that a plugin can be checked against."""

    def check(self, plugin: Description) -> Iterator[Finding]:
        """A finding for every documented rule that the plugin breaks."""


class Host(Rules, Protocol):
    """A host, or a module of this package that stands for it."""

    TITLE: str  # its name for people
    FILE: str  # the file that the result of `render` is written to; "" for Python objects
    # A host whose file names another's has `BESIDE`, the hosts whose files are written beside its own; one that takes
    # nothing any more says so in `RETIRED`.

    def render(self, plugin: Description, **options: Any) -> Any:
        """What the host needs of the plugin, in its own form."""


def find(host: str) -> Host:
    """The host of that name. Raises `UnknownHost` with the names there are."""
    name = host.replace("-", "_").lower()
    if name not in HOSTS:
        hint = did_you_mean(name, HOSTS)
        raise UnknownHost(f"There is no host {host!r}.", f"{hint}There are: {', '.join(HOSTS)}.", host=host)
    return cast("Host", importlib.import_module(f"kit.hosts.{name}"))


def rules(name: str) -> Rules:
    """The rules of a host, or of the documents themselves."""
    return cast("Rules", importlib.import_module("kit.hosts.documents")) if name == DOCUMENTS else find(name)


def check_description(description: Description, *only: str) -> Findings:
    """Checks a plugin against the rules of every host, or of those named in `only`; the documents come first."""
    names = dict.fromkeys([DOCUMENTS] * (not only or DOCUMENTS in only) + [*(only or HOSTS)])
    findings = [finding for name in names for finding in rules(name).check(description)]
    retired = {name: note for name in names if (note := getattr(rules(name), "RETIRED", ""))}
    return Findings(findings, names, description.manifest.name_for_human or description.name, retired)
