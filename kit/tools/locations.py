"""What a place in a request can carry: the schema of a parameter, narrowed to that.

A URL cannot hold null, an empty segment changes the path, and an empty list is the same as none. A
model that knows this makes no request that the plugin must refuse.
"""

from __future__ import annotations

from typing import Any

from kit.openapi import forms
from kit.openapi.operation import Parameter
from kit.openapi.values import essence
from kit.tools import strict
from kit.tools.schemas import HEAVY, MAX_DEPTH, Converter

# The keywords that determine the type of a value, directly or not.
_TYPED = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "not", "if"}
NOT_EMPTY = "."  # as a pattern: one character or more
_LINES = ("jsonl", "ndjson", "jsonlines", "json-lines", "json-seq", "stream+json")


def fit(schema: dict[str, Any], parameter: Parameter, converter: Converter) -> dict[str, Any]:
    """The schema of a parameter without the values that its place cannot carry."""
    if parameter.media_type:
        return schema
    if not schema.keys() & _TYPED:
        schema = {"type": "string", **schema}
    if converter.weight(schema) > HEAVY // 10:
        return schema
    return _narrowed(schema, parameter, converter)


def in_form(schema: dict[str, Any], required: bool, converter: Converter) -> dict[str, Any]:
    """The schema of a form's field: an empty list of them is no field at all, and a form has no null."""
    if "null" in forms.kinds(schema, converter.followed):
        schema = _without_null(converter.opened(schema))
    if not required:
        return schema
    if forms.kinds(schema, converter.followed) != {"array"}:
        return schema
    least = max((form.get("minItems", 0) for form in forms.forms(schema, converter.followed)), default=0)
    return schema if least else {**converter.opened(schema), "minItems": 1}


def _narrowed(
    schema: dict[str, Any], parameter: Parameter, converter: Converter, depth: int = 0
) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        return schema
    schema = _without_null(converter.opened(schema))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            schema = {
                **schema,
                key: [_narrowed(part, parameter, converter, depth + 1) for part in schema[key]],
            }
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    bounds = []
    if "string" in kinds and not parameter.may_be_empty and not schema.keys() & {"enum", "const"}:
        if "pattern" in schema:
            bounds.append("minLength")
        elif not schema.get("minLength") and schema.get("format") not in strict.FORMATS:
            # A pattern, since OpenAI's strict mode has no minLength.
            schema = {**schema, "pattern": NOT_EMPTY}
    if parameter.required:
        bounds += ["minItems"] if "array" in kinds else []
        bounds += ["minProperties"] if "object" in kinds else []
    return {**schema, **{bound: max(1, schema.get(bound, 1)) for bound in bounds}}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that does not allow null; one that allows nothing else is unchanged."""
    kind = schema.get("type")
    if isinstance(kind, list) and "null" in kind and len(kind) > 1:
        rest = [name for name in kind if name != "null"]
        schema = {**schema, "type": rest[0] if len(rest) == 1 else rest}
    if None in schema.get("enum", ()) and len(schema["enum"]) > 1:
        schema = {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    for key in ("anyOf", "oneOf"):
        schema = _without_null_in(key, schema)
    if schema.get("default", 0) is None:
        schema = {name: value for name, value in schema.items() if name != "default"}
    return schema


def _without_null_in(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The same for alternatives: if one is left, it is merged with the keywords beside them."""
    alternatives = schema.get(key, [])
    rest = [part for part in alternatives if part.get("type") != "null"]
    if not rest or len(rest) == len(alternatives):
        return schema
    others = {name: value for name, value in schema.items() if name != key}
    if len(rest) == 1 and not rest[0].keys() & others.keys() - {"description", "title", "default"}:
        return {**rest[0], **others}
    return {**others, key: rest}


def is_lines(media_type: str) -> bool:
    """Whether a body is JSON values one after another (OpenAPI 3.2, sequential media types)."""
    subtype = essence(media_type).rpartition("/")[2]
    return subtype.removeprefix("x-") in _LINES or subtype.endswith("+json-seq")  # RFC 8091
