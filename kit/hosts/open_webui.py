"""Open WebUI: a plugin as its tool server. It reads the document at `/openapi.json`, or at the `path` that it is given.

Read in and tried with the package open-webui 0.12.4. Give it the document of `render` as JSON (*OpenAPI Spec*: JSON), or
let it read the one at `/.well-known/openapi-3.0.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.hosts.plain import FORMATS, MIXED, OPEN, TEXTS, VALUES
from kit.hosts.readers import JSON, Reader, read

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "Open WebUI"
FILE = "openapi.json"
_TOOLS = "https://github.com/open-webui/open-webui/blob/v0.12.4/backend/open_webui/utils/tools.py"


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """With a type, which is the only thing besides description, enum and items that is read of a parameter: 1261."""
    return schema if "type" in schema else {**schema, "type": "string"}


READER = Reader(
    host="open_webui",
    source=_TOOLS,
    sends=frozenset({"path", "query"}),
    bodies=(JSON,),
    follows=frozenset({TEXTS, VALUES, FORMATS, MIXED, OPEN}),  # a field's schema is passed on as it is: 1284
    follows_in_parameters=frozenset({TEXTS, VALUES}),  # an enum as "Possible values": 1259
    lines={
        "header": f"{_TOOLS}#L1857",
        "cookie": f"{_TOOLS}#L1857",
        "bodies": f"{_TOOLS}#L1280",
        "whole": f"{_TOOLS}#L1291",
    },
    lists=True,  # urlencode(doseq=True): 1872
    null=True,
    parameter=_typed,
)


def render(plugin: Description) -> dict[str, Any]:
    """The document for a tool server: what it offers to a model, without what it would never send."""
    return read(plugin, READER)[0]


def check(plugin: Description) -> Iterator[Finding]:
    """What it does not offer, or does not send. It calls the address that it is given, whatever `servers` says."""
    yield from (it for it in read(plugin, READER)[1] if it.place != "/servers")
