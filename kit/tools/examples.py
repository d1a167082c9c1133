"""A value for a JSON Schema: its own example where it has one, else one made up, the same each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi.values import mapping
from kit.tools.tool import Tool

MOST = 20_000  # characters of a schema of an answer that an example is made for
_STRINGS: Mapping[str, str] = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:34:56Z",
    "time": "12:34:56",
    "email": "sam@example.com",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "duration": "P1D",
}


def example_arguments(tool: Tool) -> dict[str, Any]:
    """Arguments by the tool's schema, only the required ones."""
    definitions = tool.parameters.get("$defs", {})
    return {name: example(it.schema, definitions) for name, it in tool.arguments.items() if it.required}


def example_answer(tool: Tool) -> Any:
    """What a successful call may answer: the example in the spec, else one made by its schema; None without either."""
    for status, response in sorted(tool.operation.responses.items()):
        if status[:1] != "2":
            continue
        for media in mapping(response.get("content")).values():
            if "example" in mapping(media):
                return media["example"]
            for named in mapping(mapping(media).get("examples")).values():
                if "value" in mapping(named):
                    return named["value"]
    schema = tool.answer(MOST)
    return None if schema is None else example(schema, schema.get("$defs", {}), whole=True)


def example(schema: Any, definitions: Mapping[str, Any], *, whole: bool = False, depth: int = 0) -> Any:
    """A value that fits `schema`, whose `$ref`s lead to `definitions`; with `whole`, optional members too."""
    if not isinstance(schema, Mapping) or depth > 8:
        return "a"

    def inner(part: Any) -> Any:
        return example(part, definitions, whole=whole, depth=depth + 1)

    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if "$ref" in schema:
        return inner(definitions.get(str(schema["$ref"]).rpartition("/")[2]))
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return inner(schema[key][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(low, schema.get("maximum", low))
    if kind == "array":
        return [inner(schema.get("items"))] * max(1, schema.get("minItems", 1))
    if kind == "object":
        properties = mapping(schema.get("properties"))
        named = properties if whole else schema.get("required", ())
        return {name: inner(properties.get(name)) for name in named}
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    text = _STRINGS.get(schema.get("format", ""), "a" * max(1, schema.get("minLength", 1)))
    return text[: schema.get("maxLength", len(text))]
