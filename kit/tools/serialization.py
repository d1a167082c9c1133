"""One value, serialized the way its `style` and `explode` say (OpenAPI 3.1, "Style Values")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from kit.openapi.operation import Parameter

_RESERVED = ":/?#[]@!$&'()*+,;="

# name, (file name, content, media type); a field without a type is text, and is what browsers send
Part = tuple[str, tuple[str | None, bytes, str] | tuple[None, bytes]]


def plain(value: Any) -> Any:
    """Pydantic models, dates and tuples as the JSON values that they stand for."""
    if value is None or isinstance(value, str | int | float | bool | bytes):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    from fastapi.encoders import jsonable_encoder

    return jsonable_encoder(value)


def text(value: Any) -> str:
    """A value as the text that stands for it in a URL, a header or a form."""
    value = plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _members(value: Any) -> list[tuple[str, str]] | None:
    """The (key, text) members of an object, None for anything else."""
    value = plain(value)
    return [(key, text(item)) for key, item in value.items()] if isinstance(value, dict) else None


def path(parameter: Parameter, value: Any) -> str:
    """What takes the place of `{name}` in the path: simple, label or matrix style, escaped."""
    if parameter.media_type:
        return quote(json.dumps(plain(value)), safe="")
    members, value = _members(value), plain(value)
    name, explode = parameter.name, parameter.explode
    prefix, separator = {"label": (".", "."), "matrix": (";", ";")}.get(parameter.style, ("", ","))

    def escaped(text: str) -> str:
        # A segment of only dots would mean "this folder" or "the one above".
        return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")

    if members is not None:
        if explode:
            return prefix + separator.join(f"{escaped(k)}={escaped(v)}" for k, v in members)
        flat = ",".join(escaped(part) for member in members for part in member)
        return f";{name}={flat}" if parameter.style == "matrix" else prefix + flat
    if isinstance(value, list):
        items = [escaped(text(item)) for item in value]
        if parameter.style == "matrix":
            return "".join(f";{name}={item}" for item in items) if explode else f";{name}={','.join(items)}"
        return prefix + (separator if explode else ",").join(items)
    return f";{name}={escaped(text(value))}" if parameter.style == "matrix" else prefix + escaped(text(value))


def simple(parameter: Parameter, value: Any) -> str:
    """The value of a header."""
    if parameter.media_type:
        return json.dumps(plain(value))
    members, value = _members(value), plain(value)
    if members is not None:
        return ",".join(f"{k}={v}" if parameter.explode else f"{k},{v}" for k, v in members)
    return ",".join(text(item) for item in value) if isinstance(value, list) else text(value)


def form(name: str, value: Any, explode: bool) -> list[tuple[str, str]]:
    """The (name, text) pairs of a cookie or of a query, not escaped."""
    members, value = _members(value), plain(value)
    if members is not None:
        return members if explode else [(name, ",".join(part for member in members for part in member))]
    if isinstance(value, list):
        items = [text(item) for item in value]
        return [(name, item) for item in items] if explode else [(name, ",".join(items))] if items else []
    return [(name, text(value))]


def query(parameter: Parameter, value: Any, plus: bool = False) -> list[str]:
    """The `name=value` pairs of a query, escaped; `plus` writes a space as forms do."""
    name, style, explode = parameter.name, parameter.style, parameter.explode

    def escaped(word: str, safe: str = "") -> str:
        return (quote_plus if plus else quote)(word, safe=_RESERVED if parameter.allow_reserved else safe)

    if parameter.media_type:
        return [f"{escaped(name)}={escaped(json.dumps(plain(value)))}"]
    members, value = _members(value), plain(value)
    if style == "deepObject" and members is not None:
        return [f"{escaped(key)}={escaped(word)}" for key, word in _deep(name, value)]
    if explode or (members is None and not isinstance(value, list)):
        return [f"{escaped(key)}={escaped(word)}" for key, word in form(name, value, explode=True)]
    separator = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(style, ",")
    items = (
        [part for member in members for part in member] if members is not None else [text(v) for v in value]
    )
    return [f"{escaped(name)}={separator.join(escaped(item) for item in items)}"] if items else []


def querystring(parameter: Parameter, value: Any) -> str:
    """A whole query as one value (OpenAPI 3.2): as a form or, in any other media type, as JSON."""
    if parameter.media_type == "application/x-www-form-urlencoded":
        return "&".join(
            f"{quote_plus(key)}={quote_plus(word)}" for key, word in form("", value, explode=True)
        )
    return quote(json.dumps(plain(value)), safe="")


def _deep(name: str, value: Any) -> list[tuple[str, str]]:
    """`name[key]=value` pairs; deeper objects nest their brackets, lists repeat the key."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _deep(f"{name}[{key}]", item)]
    if isinstance(value, list):
        return [pair for item in value for pair in _deep(name, item)]
    return [(name, text(value))]


def parts(key: str, value: Any, schema: Mapping[str, Any], encoding: Mapping[str, Any]) -> list[Part]:
    """The parts of a multipart body for one property. A file comes as bytes, or as its text."""
    if isinstance(value, list | tuple):
        return [part for item in value for part in parts(key, item, schema.get("items", {}), encoding)]
    content_type = encoding.get(key, {}).get("contentType", "")
    is_file = schema.get("format") == "binary" or "contentMediaType" in schema
    if isinstance(value, bytes) or is_file:
        content = value if isinstance(value, bytes) else text(value).encode()
        return [(key, (key, content, content_type or "application/octet-stream"))]
    if isinstance(plain(value), dict):
        return [(key, (None, json.dumps(plain(value)).encode(), content_type or "application/json"))]
    content = text(value).encode()
    return [(key, (None, content, content_type) if content_type else (None, content))]
