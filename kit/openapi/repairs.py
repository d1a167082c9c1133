"""Fixes what a schema gets wrong but plainly means: types of other languages, values of other types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from kit.markup import short
from kit.openapi.documents import read_json

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_WORDS = {
    "int": "integer", "int32": "integer", "int64": "integer", "long": "integer", "float": "number",
    "double": "number", "decimal": "number", "bool": "boolean", "dict": "object", "map": "object",
    "list": "array", "str": "string", "text": "string",
}  # fmt: skip
_FORMATS = {"datetime": "date-time", "file": "binary"} | {
    it: it for it in ("date", "date-time", "uuid", "email", "uri")
}

Note = Callable[[str], None]  # called with what was wrong and how it was read


def fix_type(kind: Any, out: dict[str, Any], version: str, note: Note) -> None:
    """Puts a `type` of JSON Schema into `out` for one that may not be legal."""
    if kind is None:
        return
    kinds = kind if isinstance(kind, list) else [kind]
    known = []
    for word in kinds:
        if isinstance(word, str) and word in TYPES:
            known.append(word)
            continue
        if isinstance(word, str):
            if word in _FORMATS:
                out.setdefault("format", _FORMATS[word])
            meant = _WORDS.get(word.lower(), word.lower())
            known.append(meant if meant in TYPES else "string")
        if not (word == "file" and version == "2.0"):  # there it is legal
            read = known[-1] if known else "anything"
            note(f"type {short(repr(word))} is not one of JSON Schema: read as {read}")
    known = list(dict.fromkeys(known))
    if known:
        out["type"] = known[0] if len(known) == 1 else known


def fix_values(out: dict[str, Any], note: Note) -> None:
    """Makes the values of an enum those of its type, and leaves out a default that is not allowed.

    An enum whose values are all of another type allows nothing, and a wrong default misleads a model.
    """
    kind = out.get("type")
    if "enum" in out:
        written = {json.dumps(value, sort_keys=True): value for value in out["enum"]}
        if len(written) < len(out["enum"]):
            out["enum"] = list(written.values())
            note("the values of an enum are there twice: read as once")
    if isinstance(kind, str) and "enum" in out and not any(is_a(value, kind) for value in out["enum"]):
        meant = [value for value in (_as_a(value, kind) for value in out["enum"]) if value is not None]
        if meant:
            out["enum"] = meant
            note(f"the values of an enum are not of its type, {kind!r}: read as if they were")
    if "default" not in out:
        return
    default = out["default"]
    kinds = [kind] if isinstance(kind, str) else kind or list(TYPES)
    dated = not isinstance(default, str) or re.match(r"\d{4}-\d\d-\d\d", default)
    if (
        not any(is_a(default, it) for it in kinds)
        or ("enum" in out and default not in out["enum"])
        or (out.get("format") in ("date", "date-time") and not dated)
    ):
        del out["default"]
        note(f"the default {short(repr(default))} is not one of the allowed values: dropped")


def is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a type of JSON Schema."""
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return whole or isinstance(value, TYPES[kind])


def _as_a(value: Any, kind: str) -> Any:
    """A value converted to another type: 1 for "1" and the other way round; None if that is impossible."""
    if kind == "string":
        return json.dumps(value) if isinstance(value, bool | int | float) else None
    try:
        parsed = read_json(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed if is_a(parsed, kind) else None
