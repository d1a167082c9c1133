"""Flowise: a plugin as its OpenAPI Toolkit. Read in and tried with the package flowise-components 3.1.4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.hosts.plain import MIXED, TEXTS
from kit.hosts.readers import JSON, Reader, Severity, read

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "Flowise"
FILE = "openapi.json"
_FOLDER = "https://github.com/FlowiseAI/Flowise/blob/main/packages/components/nodes/tools/OpenAPIToolkit"
_TOOLKIT, _CORE = f"{_FOLDER}/OpenAPIToolkit.ts", f"{_FOLDER}/core.ts"


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """An integer as the only alternative: of parameters it knows string, number, boolean and `anyOf`, 420-463."""
    if schema.get("type") != "integer":
        return schema
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [{key: value for key, value in schema.items() if key != "description"}], **about}


def _answers(responses: Mapping[str, Any]) -> tuple[Severity, str] | None:
    """Whether its code for a call, which reads JSON alone, shows what is answered."""
    kinds = {kind for response in responses.values() for kind in response.get("content", ())}
    if not kinds or any("json" in kind for kind in kinds):
        return None
    return "warning", f"It answers {', '.join(sorted(kinds))}, and the host shows nothing that is no JSON"


READER = Reader(
    host="flowise",
    source=f"{_TOOLKIT} (flowise-components 3.1.4)",
    sends=frozenset({"path", "query"}),
    bodies=(JSON,),
    follows=frozenset({TEXTS, MIXED}),
    follows_in_parameters=frozenset({TEXTS, MIXED}),
    lines={
        "header": f"{_TOOLKIT}#L493",
        "cookie": f"{_TOOLKIT}#L493",
        "lists": f"{_CORE}#L88",
        "bodies": f"{_CORE}#L243",
        "answers": f"{_CORE}#L35",
        "servers": f"{_TOOLKIT}#L156",
        "private": "https://github.com/FlowiseAI/Flowise/blob/main/packages/components/src/httpSecurity.ts",
    },
    whole=True,
    null=True,  # without it an optional list or object is asked for: 366, 388
    private="warning",  # HTTP_SECURITY_CHECK=false
    parameter=_parameter,
    answers=_answers,
)


def render(plugin: Description) -> dict[str, Any]:
    """The document for an OpenAPI Toolkit: integers in a form that it does not drop, nothing that leads back to itself."""
    return read(plugin, READER)[0]


def check(plugin: Description) -> Iterator[Finding]:
    """What it drops without a word, or does not send as the plugin reads it."""
    yield from read(plugin, READER)[1]
