"""Dify: a plugin as a custom tool, whose schema is the document.

Read in its source of early 2026, which is no package: api/core/tools/utils/parser.py and custom_tool/tool.py. It has a
parser for `ai-plugin.json` too, which it does not reach: the one for OpenAPI fails before, without `info`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.hosts.plain import MIXED, described, in_words
from kit.hosts.readers import FORM, JSON, MULTIPART, Reader, read
from kit.openapi.values import as_list, mapping

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "Dify"
FILE = "openapi.json"
_TOOLS = "https://github.com/langgenius/dify/blob/main/api/core/tools"
_PARSER, _TOOL = f"{_TOOLS}/utils/parser.py", f"{_TOOLS}/custom_tool/tool.py"
_SCALARS = ("string", "integer", "number", "boolean")


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    return schema if "type" in schema else {**schema, "type": "string"}


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    """A field that is a list, an object or anything as JSON text, which the tool reads for fields of type object.

    A list by its own type would reach a model's API without `items`, which OpenAI refuses, and with it every tool of
    the request: https://github.com/langgenius/dify/issues/32894.
    """
    parts = [mapping(part) for part in as_list(schema.get("anyOf"))]
    if schema.get("type") in _SCALARS or mapping(schema.get("items")).get("format") == "binary":
        return schema
    if parts and all(part.get("type") in _SCALARS for part in parts):
        return described(schema, in_words(schema))
    beside: dict[str, Any] = {key: schema[key] for key in ("description", "title") if key in schema}
    return described({"type": "object", **beside}, f"JSON text: {in_words(schema)}")


READER = Reader(
    host="dify",
    source=_PARSER,
    sends=frozenset({"path", "query", "header", "cookie"}),
    bodies=(JSON, FORM, MULTIPART),
    follows=frozenset({MIXED}),
    follows_in_parameters=frozenset(),
    lines={"forms": _TOOL, "empty": _TOOL, "objects": _TOOL},
    files="by hand",  # get_llm_parameters_json_schema, in api/core/tools/__base/tool.py, leaves them out
    empty=frozenset({"header", "cookie"}),
    parameter=_parameter,
    property=_field,
)


def render(plugin: Description) -> dict[str, Any]:
    """The schema for a custom tool, in OpenAPI 3.0.3: choices, formats and nested fields in words, as it knows none."""
    return read(plugin, READER)[0]


def check(plugin: Description) -> Iterator[Finding]:
    """What it does not offer, or does not send as the plugin reads it."""
    yield from read(plugin, READER)[1]
