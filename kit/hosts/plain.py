"""Schemas in their plainest form, for readers that follow a few keywords and misread, or drop, the others.

Takes a schema of a document in OpenAPI 3.0 (`kit.openapi.version30`), gives one that is as valid in 3.1: one type each,
alternatives as `anyOf`, no reference. What a reader does not follow is said in words in the description.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from kit.hosts.texts import cut
from kit.openapi.schema30 import DEFS
from kit.openapi.values import as_list, mapping, text

MAX_DEPTH = 20  # schemas within schemas; of what is deeper only the type is kept
MAX_WORDS = 1000  # characters for what a schema says in words

# What a reader may follow of a schema; `worded` says the others.
TEXTS = "texts"  # an enum of texts
VALUES = "values"  # an enum of other values
FORMATS = "formats"  # `format`
MIXED = "mixed"  # alternatives of different types
OPEN = "open"  # an object whose fields have any name

_ONLY_30 = ("nullable", "exclusiveMinimum", "exclusiveMaximum", "discriminator", "example", "xml", "not")
_SCALARS = ("string", "integer", "number", "boolean")


def plain(
    schema: Any, kept: Mapping[str, Any], *, null: bool = False, depth: int = 0, cut_short: bool = False
) -> dict[str, Any]:
    """`schema` without references, `allOf`, `oneOf`, `nullable` and bounds that are exclusive.

    `kept` are the schemas that references lead to, one of which is written out once: what it refers to itself is only
    named, since it may lead back. With `null` what may be null has `{"type": "null"}` as an alternative.
    """
    schema = mapping(schema)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(DEFS)
        if cut_short or depth > MAX_DEPTH:
            return {"type": "object", "description": f"Another {name}."}
        return plain(kept.get(name), kept, null=null, depth=depth + 1, cut_short=True)

    def inner(part: Any) -> dict[str, Any]:
        return plain(part, kept, null=null, depth=depth + 1, cut_short=cut_short)

    out = {key: value for key, value in schema.items() if key not in _ONLY_30 and not key.startswith("x-")}
    if depth > MAX_DEPTH:
        return {key: out[key] for key in ("type", "description") if key in out}
    if isinstance(out.get("properties"), Mapping):
        out["properties"] = {name: inner(item) for name, item in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), Mapping):
            out[key] = inner(out[key])
    if isinstance(out.get("enum"), list):
        out["enum"] = [value for value in out["enum"] if value is not None] or out["enum"]
    _bounds(schema, out)
    for part in map(inner, as_list(out.pop("allOf", None))):
        out = _both(out, part)
    choices = [part for key in ("anyOf", "oneOf") for part in map(inner, as_list(out.pop(key, None)))]
    if choices:
        out = _both(out, _either(choices))
    return _or_null(out) if null and schema.get("nullable") is True else out


def worded(schema: dict[str, Any], follows: Container[str]) -> dict[str, Any]:
    """A plain schema whose description says what a reader that follows only `follows` would lose of it."""
    out = dict(schema)
    for key in ("properties", "items", "anyOf"):
        inner = out.get(key)
        if key == "properties" and isinstance(inner, Mapping):
            out[key] = {name: worded(item, follows) for name, item in inner.items()}
        elif isinstance(inner, list):
            out[key] = [worded(part, follows) for part in inner]
        elif isinstance(inner, Mapping):
            out[key] = worded(dict(inner), follows)
    lost = [feature for feature in _features(schema) if feature not in follows]
    if not lost:
        return out
    for feature, key in ((TEXTS, "enum"), (VALUES, "enum"), (MIXED, "anyOf")):
        if feature in lost:
            out.pop(key, None)
    return described(out, in_words(schema))


def described(schema: Mapping[str, Any], words: str) -> dict[str, Any]:
    """The schema with a sentence more in its description, unless it is there."""
    about = text(schema.get("description"))
    sentence = f"{words[:1].upper()}{words[1:]}."
    if sentence in about:
        return dict(schema)
    end = "" if not about or about.endswith((".", "!", "?", ":")) else "."
    return {**schema, "description": f"{about}{end} {sentence}".strip()}


def in_words(schema: Any) -> str:
    """What a plain schema allows, as briefly as a reader of code would say it: `list of {text: string, tag?: string}`."""
    return cut(_words(schema), MAX_WORDS)


def _words(schema: Any) -> str:
    schema = mapping(schema)
    kind = schema.get("type")
    if as_list(schema.get("enum")):
        return "one of: " + ", ".join(
            value if isinstance(value, str) else json.dumps(value, default=str) for value in schema["enum"]
        )
    if as_list(schema.get("anyOf")):
        return " or ".join(dict.fromkeys(map(_words, schema["anyOf"])))
    if kind == "array":
        return f"list of {_words(schema.get('items'))}"
    if kind == "object":
        if not schema.get("properties"):
            more = schema.get("additionalProperties")
            return f"object whose values are {_words(more)}" if mapping(more) else "object"
        needed = as_list(schema.get("required"))
        fields = (
            f"{name}{'' if name in needed else '?'}: {_words(item)}"
            for name, item in schema["properties"].items()
        )
        return "{" + ", ".join(fields) + "}"
    form = schema.get("format")
    return f"{kind}, {form}" if form and kind else str(kind or "anything")


def _features(schema: Mapping[str, Any]) -> Iterator[str]:
    """What this schema itself says, of which a reader may lose something."""
    values = as_list(schema.get("enum"))
    if values:
        yield TEXTS if all(isinstance(value, str) for value in values) else VALUES
    if schema.get("anyOf"):
        yield MIXED
    if schema.get("format") and schema.get("type") in _SCALARS and schema["format"] != "binary":
        yield FORMATS
    if schema.get("type") == "object" and not schema.get("properties"):
        yield OPEN


def _bounds(schema: Mapping[str, Any], out: dict[str, Any]) -> None:
    """An exclusive bound of integers as the next one; of other numbers it is left to the plugin to refuse."""
    for key, step in (("minimum", 1), ("maximum", -1)):
        bound = out.get(key)
        exclusive = schema.get(f"exclusive{key.title()}") is True and schema.get("type") == "integer"
        if exclusive and isinstance(bound, int | float) and float(bound).is_integer():
            out[key] = int(bound) + step


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that says what both say; the first has the last word on what cannot be added."""
    out = {**other, **one}
    if "properties" in one and "properties" in other:
        out["properties"] = {**other["properties"], **one["properties"]}
    if "required" in one and "required" in other:
        out["required"] = [*dict.fromkeys([*other["required"], *one["required"]])]
    if "properties" in out:
        out.setdefault("type", "object")
    return out


def _either(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Alternatives as one schema: of objects one with the fields of all, which the plugin tells apart."""
    choices = [part for number, part in enumerate(choices) if part not in choices[:number]]
    if len(choices) == 1:
        return choices[0]
    if not all(part.get("type") == "object" and part.get("properties") for part in choices):
        return {"anyOf": choices}
    fields: dict[str, list[dict[str, Any]]] = {}
    for part in choices:
        for name, item in part["properties"].items():
            fields.setdefault(name, []).append(item)
    needed = [name for name in fields if all(name in as_list(part.get("required")) for part in choices)]
    properties = {name: _one_of(items) for name, items in fields.items()}
    return {"type": "object", "properties": properties} | ({"required": needed} if needed else {})


def _one_of(items: list[dict[str, Any]]) -> dict[str, Any]:
    if len(items) > 1 and all(as_list(item.get("enum")) for item in items):  # what tells them apart
        values = [value for item in items for value in item["enum"]]
        return {
            **items[0],
            "enum": [value for number, value in enumerate(values) if value not in values[:number]],
        }
    return _either(items)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema.get("type") and not schema.get("anyOf"):
        return schema  # anything, null too
    beside: dict[str, Any] = {
        key: schema[key] for key in ("description", "title", "default") if key in schema
    }
    rest = {key: value for key, value in schema.items() if key not in beside}
    return {"anyOf": [*rest.get("anyOf", [rest]), {"type": "null"}], **beside}
