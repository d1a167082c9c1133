"""What a schema says about a value, wherever it says it: through `$ref`, `allOf`, `anyOf` and `oneOf`.

`T | None` is an `anyOf`, a described reference in OpenAPI 3.0 an `allOf`: a keyword is rarely where one looks
first. Whoever looks for one asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kit.openapi.values import as_list, mapping

MAX_DEPTH = 50  # forms within forms; what is deeper says nothing
MOST = 1000  # forms of one value: a hostile document has billions

# What the `$ref` of a schema leads to; the schema itself without one. Each room has its own.
Follow = Callable[[Any], Any]

_PARTS = ("allOf", "anyOf", "oneOf")
_KINDS: dict[type, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object", type(None): "null",
}  # fmt: skip
KINDS = tuple(_KINDS.values())  # the types of JSON Schema
_ALL = frozenset(KINDS)


def forms(schema: Any, follow: Follow) -> Iterator[Mapping[str, Any]]:
    """The schema and each that speaks of the same value, the outermost first; each once, at most 1,000."""
    waiting: list[Any] = [schema]
    seen: set[int] = set()
    while waiting and len(seen) < MOST:
        node = waiting.pop()
        if not isinstance(node, Mapping) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        target = follow(node) if "$ref" in node else node
        if target is not node:
            waiting.append(target)
        waiting += [part for key in reversed(_PARTS) for part in reversed(as_list(node.get(key)))]


def kinds(schema: Any, follow: Follow) -> set[str]:
    """The types that a value may have; empty if the schema does not say."""
    found = _kinds(schema, follow, [MOST], 0)
    return set() if found == _ALL else set(found)


def _kinds(schema: Any, follow: Follow, left: list[int], depth: int) -> frozenset[str]:
    left[0] -= 1
    if not isinstance(schema, Mapping) or left[0] < 0 or depth > MAX_DEPTH:
        return _ALL
    kind = schema.get("type")
    known = _ALL
    if isinstance(kind, str | list):
        known &= set([kind] if isinstance(kind, str) else kind)
        known |= {"null"} if schema.get("nullable") is True else set()
    elif "const" in schema or as_list(schema.get("enum")):
        values = [schema["const"]] if "const" in schema else schema["enum"]
        known &= {_KINDS.get(type(value), "object") for value in values}
    if "$ref" in schema:
        target = follow(schema)
        known &= _kinds(target, follow, left, depth + 1) if target is not schema else _ALL
    for part in as_list(schema.get("allOf")):
        known &= _kinds(part, follow, left, depth + 1)
    for key in ("anyOf", "oneOf"):
        if as_list(schema.get(key)):
            known &= frozenset().union(*(_kinds(part, follow, left, depth + 1) for part in schema[key]))
    return known


def members(schema: Any, name: str, follow: Follow) -> dict[str, Any]:
    """The schema of one property of an object; `{}` if nothing speaks of it."""
    found = [
        own
        for form in forms(schema, follow)
        if isinstance(own := mapping(form.get("properties")).get(name), Mapping)
    ]
    return _all(found) or _all(
        [
            more
            for form in forms(schema, follow)
            if isinstance(more := form.get("additionalProperties"), Mapping)
        ]
    )


def items(schema: Any, number: int, follow: Follow) -> dict[str, Any]:
    """The schema of one item of a list; `{}` if nothing speaks of it."""
    found = []
    for form in forms(schema, follow):
        first = as_list(form.get("prefixItems"))
        item = first[number] if number < len(first) else form.get("items")
        found += [item] if isinstance(item, Mapping) else []
    return _all(found)


def _all(found: list[Any]) -> dict[str, Any]:
    return dict(found[0]) if len(found) == 1 else {"anyOf": found} if found else {}


def is_file(schema: Any, follow: Follow) -> bool:
    """Whether a form's field is a file: `format: binary` (3.0), `contentMediaType` (3.1)."""
    return any(form.get("format") == "binary" or "contentMediaType" in form for form in forms(schema, follow))


def media_type(schema: Any, follow: Follow) -> str:
    """The media type of a file, if the schema names one."""
    named = (form.get("contentMediaType") for form in forms(schema, follow))
    return next((kind for kind in named if isinstance(kind, str) and "*" not in kind), "")


def is_base64(schema: Any, follow: Follow) -> bool:
    """Whether a text is bytes in base64: `format: byte` (3.0), `contentEncoding` (3.1)."""
    return any(
        form.get("format") == "byte" or form.get("contentEncoding") == "base64"
        for form in forms(schema, follow)
    )
