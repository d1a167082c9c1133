"""A schema in words that every client reads: one type at a time, and something that is said of each value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi.walk import NAMED, VALUES

# All of them: a schema that says nothing is taken for a mistake, and a list of types is unknown to clients that map
# schemas to a dialect with one, such as Gemini's (MCP Inspector's --strict, core/json/schemaLint.ts).
ANYTHING = [{"type": kind} for kind in ("object", "array", "string", "number", "boolean", "null")]
_SUBSCHEMAS = frozenset(
    "items contains not propertyNames if then else additionalProperties unevaluatedProperties additionalItems "
    "unevaluatedItems contentSchema".split()
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
# what does not say which values are meant: the rest constrains them
_SILENT = frozenset(
    "title description default deprecated readOnly writeOnly examples example $defs definitions $schema $id $anchor "
    "$comment if then else nullable discriminator xml externalDocs".split()
)
_MAY_BE_FREE = frozenset(
    {"additionalProperties", "unevaluatedProperties", "additionalItems", "unevaluatedItems"}
)


def portable(schema: Any) -> Any:
    """The same schema without lists of types, without schemas that are `true` or say nothing. It means the same."""
    if isinstance(schema, bool):
        return {"anyOf": ANYTHING} if schema else {"not": {}}
    if not isinstance(schema, Mapping):
        return schema
    made = {key: _part(key, value) for key, value in schema.items()}
    kinds = made.get("type")
    if isinstance(kinds, list) and kinds:
        del made["type"]
        choice = [{"type": kind} for kind in kinds]
        if "anyOf" not in made:
            made["anyOf"] = choice
        else:
            made["allOf"] = [*made.get("allOf", ()), {"anyOf": choice}]
    if all(key in _SILENT or key.startswith("x-") for key in made):
        made["anyOf"] = ANYTHING
    return made


def _part(key: str, value: Any) -> Any:
    if key in VALUES:
        return value
    if key in NAMED and isinstance(value, Mapping):
        return {name: portable(node) for name, node in value.items()}
    if key in _LISTS and isinstance(value, list):
        return [portable(node) for node in value]
    if key in _SUBSCHEMAS and not (isinstance(value, bool) and key in _MAY_BE_FREE):
        return [portable(node) for node in value] if isinstance(value, list) else portable(value)
    return value
