"""Coze Studio: a plugin imported by its document; of its `info` Coze makes an `ai-plugin.json` of version 1.

Read in its source of 2025-2026, which is no package: backend/crossdomain/plugin/model/openapi.go and
backend/domain/plugin. One operation that breaks a rule makes it refuse the whole document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.hosts.plain import in_words
from kit.hosts.readers import FORM, JSON, Reader, Severity, read
from kit.openapi.values import mapping

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "Coze Studio"
FILE = "openapi.json"
_BACKEND = "https://github.com/coze-dev/coze-studio/blob/main/backend"
_MODEL = f"{_BACKEND}/crossdomain/plugin/model/openapi.go"
_CALL = f"{_BACKEND}/domain/plugin/service"


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """With one type everywhere, which it insists on, and without patterns, of which Go reads only some."""
    out = {key: value for key, value in schema.items() if key != "pattern"}
    if "properties" in out:
        out["properties"] = {name: _typed(item) for name, item in out["properties"].items()}
    if "items" in out:
        out["items"] = _typed(dict(mapping(out["items"])))
    return out if "type" in out else {**out, "type": "string"}


def _answers(responses: Mapping[str, Any]) -> tuple[Severity, str] | None:
    """Why it fails a call whose answer it does not take, after the call: of an object it shows the declared fields."""
    if "200" not in responses:
        return "error", f"It answers with status {', '.join(responses)}, and the host takes 200 alone"
    content = responses["200"].get("content", {})
    schema = mapping(mapping(content.get(JSON)).get("schema"))
    if schema.get("type") == "object" and schema.get("properties"):
        return None
    kinds = {"array": "a list", "object": "an object whose fields are not declared"}
    what = (
        kinds.get(str(schema.get("type")), in_words(schema))
        if JSON in content
        else ", ".join(content) or "nothing"
    )
    return "error", f"It answers {what}, and the host takes only JSON objects whose fields are declared"


READER = Reader(
    host="coze",
    source=_MODEL,
    sends=frozenset({"path", "query", "header"}),
    bodies=(JSON, FORM),
    follows=frozenset(),  # of a schema it takes type, description, properties and items
    follows_in_parameters=frozenset(),
    lines={
        "cookie": f"{_CALL}/tool/invocation_http.go (buildHTTPRequestHeader)",
        "private": f"{_CALL}/tool/invocation_http.go (isForbiddenToolRequestIP)",
        "empty": f"{_CALL}/tool/invocation_args.go (setParameterDefaultValues)",
        "open": f"{_CALL}/tool/invocation_args.go (setBodyDefaultValues)",
        "lists": f"{_MODEL} (ToEinoSchemaParameterInfo)",
        "whole": f"{_MODEL} (validateOpenapi3RequestBody)",
        "bodies": f"{_MODEL} (validateOpenapi3RequestBody)",
        "answers": f"{_CALL}/exec_tool.go (processResponse)",
        "servers": f"{_MODEL} (Validate)",
    },
    said="summary",
    open=False,
    same_names=False,
    empty=frozenset({"query", "header"}),
    private="error",
    parameter=_typed,
    property=_typed,
    answers=_answers,
)


def render(plugin: Description) -> dict[str, Any]:
    """The document to import, in OpenAPI 3.0.3: one server, one answer, one type for each value, choices in words."""
    document = read(plugin, READER)[0]
    manifest, info = plugin.manifest, document["info"]
    document["info"] = {
        **info,
        "title": manifest.name_for_human or info["title"],
        "description": manifest.description_for_model or info.get("description") or info["title"],
    }
    for item in document["paths"].values():
        for operation in item.values():
            answer = operation["responses"]["200"]
            schema = _typed(answer["content"][JSON]["schema"])
            operation["responses"] = {"200": {**answer, "content": {JSON: {"schema": schema}}}}
    return document


def check(plugin: Description) -> Iterator[Finding]:
    """What it refuses, does not offer, or does not send as the plugin reads it."""
    yield from read(plugin, READER)[1]
