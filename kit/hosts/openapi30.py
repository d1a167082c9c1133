"""Readers of OpenAPI 3.0: the document for hosts that know no later version, or read it literally.

Microsoft's parser, LibreChat, Flowise, Coze and others. `kit.openapi.version30` has what is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.addresses import NOWHERE
from kit.hosts.findings import Finding
from kit.openapi.spec import Problem
from kit.openapi.version30 import lowered

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "Readers of OpenAPI 3.0"
FILE = "openapi-3.0.json"
HOST = "openapi30"
_finding = partial(Finding, HOST)
_SPEC = "https://spec.openapis.org/oas/v3.0.3.html"


def render(plugin: Description) -> dict[str, Any]:
    """The plugin's document in OpenAPI 3.0.3, with the address of the plugin as its server.

    An operationId is the name of the function, legal and unique: that is what its readers make of it.
    """
    return _lowered(plugin)[0]


def check(plugin: Description) -> Iterator[Finding]:
    """What the document says and OpenAPI 3.0 cannot, and that it names no server."""
    _, problems = _lowered(plugin)
    if plugin.base_url == NOWHERE:
        message = "The spec names no server, or one without a host: most readers of OpenAPI refuse it."
        yield _finding("error", "/servers", message, "Add 'servers' to it, or pass base_url=.", _SPEC)
    names = {tool.operation.pointer: name for name, tool in plugin.by_name.items()}
    for place, problem in problems:
        message = f"{problem[:1].upper()}{problem[1:]}."
        remedy = "Say it in the description too, or in words that 3.0 has."
        function = names.get("/".join(place.split("/")[:4]), "")
        yield _finding("warning", place, message, remedy, _SPEC, function)


def _lowered(plugin: Description) -> tuple[dict[str, Any], list[Problem]]:
    own = None if plugin.base_url == NOWHERE else [{"url": plugin.base_url}]
    names = {tool.operation.pointer: name for name, tool in plugin.by_name.items()}
    return lowered(plugin.spec.document, own, names)
