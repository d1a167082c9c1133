"""What OpenAI's API refuses of a tool's parameters, in its words.

The texts are those that its users report; the rules of strict schemas are those of
platform.openai.com/docs/guides/structured-outputs#supported-schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOST_TOOLS = 128  # in Chat Completions
_DEEPEST = 10  # levels of objects in a strict schema
_MOST_PROPERTIES = 5000  # of a strict schema, all together
_SUBSCHEMAS = ("items", "additionalProperties", "not")
_CHOICES = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "$defs", "definitions")
_NOT_STRICT = (
    "allOf",
    "oneOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
)


def too_many(count: int) -> str:
    """Why a list of tools is refused."""
    return (
        f"Invalid 'tools': array too long. Expected an array with maximum length {MOST_TOOLS}, "
        f"but got an array with length {count} instead."
    )


def problem(name: str, parameters: Any, *, strict: bool) -> str:
    """Why the parameters of a function are refused; empty if they are not."""
    if parameters is None:
        return ""
    kind = parameters.get("type")
    if kind != "object":
        found = "None" if kind is None else kind
        return f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
    if (
        "properties" not in parameters
        and "additionalProperties" not in parameters
        and not parameters.get("$ref")
    ):
        return f"Invalid schema for function '{name}': In context=(), object schema missing properties."
    for place, schema in _walk(parameters, ()):
        if found := _fault(schema, parameters) or (_loose(schema, place) if strict else ""):
            return f"Invalid schema for function '{name}': In context={place}, {found}"
    count = sum(
        len(schema["properties"]) for _, schema in _walk(parameters, ()) if _is_map(schema, "properties")
    )
    if strict and count > _MOST_PROPERTIES:
        return f"Invalid schema for function '{name}': {count} properties exceed the limit of {_MOST_PROPERTIES}."
    return ""


def _walk(schema: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Each schema in a schema, with its place."""
    if not isinstance(schema, Mapping):
        return
    yield place, schema
    for key in _SUBSCHEMAS:
        yield from _walk(schema.get(key), (*place, key))
    for key in _CHOICES:
        for n, option in enumerate(schema[key] if isinstance(schema.get(key), list) else ()):
            yield from _walk(option, (*place, key, str(n)))
    for key in _MAPS:
        for name, inner in schema[key].items() if _is_map(schema, key) else ():
            yield from _walk(inner, (*place, key, name))


def _is_map(schema: Mapping[str, Any], key: str) -> bool:
    return isinstance(schema.get(key), Mapping)


def _types(schema: Mapping[str, Any]) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind]


def _fault(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """What is refused of any schema."""
    if "array" in _types(schema) and "items" not in schema and "prefixItems" not in schema:
        return "array schema missing items."
    reference = schema.get("$ref")
    if isinstance(reference, str) and not _leads(reference, root):
        return f"reference to component '{reference}' which was not found in the schema."
    return ""


def _leads(reference: str, root: Any) -> bool:
    if not reference.startswith("#"):
        return False
    for step in reference.lstrip("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(root, list) and name.isdigit() and int(name) < len(root):
            root = root[int(name)]
        elif isinstance(root, Mapping) and name in root:
            root = root[name]
        else:
            return False
    return True


def _loose(schema: Mapping[str, Any], place: tuple[str, ...]) -> str:
    """What is refused of a strict schema."""
    if unsupported := next((key for key in _NOT_STRICT if key in schema), ""):
        return f"'{unsupported}' is not permitted."
    if "object" in _types(schema):
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        names = schema["properties"] if _is_map(schema, "properties") else {}
        required = schema.get("required")
        if not isinstance(required, list) or (missing := [name for name in names if name not in required]):
            lacking = f" Missing '{missing[0]}'." if isinstance(required, list) else ""
            return f"'required' is required to be supplied and to be an array including every key in properties.{lacking}"
        if place.count("properties") >= _DEEPEST:
            return f"nesting exceeds the limit of {_DEEPEST} levels."
    return ""
