"""LibreChat: a plugin as the actions of an agent.

Read in and tried with its own library, `librechat-data-provider` 0.8.524, of which an agent takes the Zod schemas
(api/server/services/ActionService.js) and its older assistants the JSON ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.hosts.plain import TEXTS
from kit.hosts.readers import FORM, JSON, MULTIPART, Reader, read

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "LibreChat"
FILE = "openapi.json"
_ACTIONS = "https://github.com/danny-avila/LibreChat/blob/main/packages/data-provider/src/actions.ts"

READER = Reader(
    host="librechat",
    source=f"{_ACTIONS} (librechat-data-provider 0.8.524)",
    sends=frozenset({"path", "query", "header"}),
    bodies=(JSON, FORM, MULTIPART),
    follows=frozenset({TEXTS}),  # string, number, integer, boolean, array, object; else z.unknown(): 60-121
    follows_in_parameters=frozenset({TEXTS}),
    lines={
        "cookie": f"{_ACTIONS}#L511",
        "lists": f"{_ACTIONS}#L339 (axios writes tag[]=a)",
        "whole": f"{_ACTIONS}#L534",
        "same_names": f"{_ACTIONS}#L542",
        "servers": f"{_ACTIONS}#L818",
        "private": "https://github.com/danny-avila/LibreChat/pull/11143",
    },
    said="summary",  # the description only without one: 481
    same_names=False,
    private="warning",
)


def render(plugin: Description) -> dict[str, Any]:
    """The document for an agent's *Actions*, in OpenAPI 3.0.3: references written out, all texts in the summary."""
    return read(plugin, READER)[0]


def check(plugin: Description) -> Iterator[Finding]:
    """What it does not offer, or does not send as the plugin reads it."""
    yield from read(plugin, READER)[1]
