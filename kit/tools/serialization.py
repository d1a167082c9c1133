"""One value, serialized the way its `style` and `explode` say (OpenAPI 3.1, "Style Values")."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from kit.openapi import forms
from kit.openapi.forms import Follow
from kit.openapi.operation import Parameter

# What `allowReserved` lets through: the reserved characters of RFC 3986 but those that end a query or a pair, mean
# a space, or may not be in a query at all (OpenAPI 3.1.1, Parameter Object: those remain the client's to encode).
_RESERVED = ":/?@!$'()*,;="
_IN_PATH = "/:@!$&'()*+,;=?"  # RFC 3986, pchar; and the query that some documents write into their paths
# RFC 6265, cookie-octet, without %: what a cookie can hold as it is.
_IN_COOKIE = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_IN_COOKIE_NAME = "!#$&'*+-.^_`|~"  # RFC 9110, token

# name, (file name, content, media type); a field without a type is text, and is what browsers send
Part = tuple[str, tuple[str | None, bytes, str] | tuple[None, bytes]]


def plain(value: Any, deep: bool = True) -> Any:
    """Pydantic models, dates and tuples as the JSON values that they stand for; not `deep`, the outermost alone."""
    if value is None or isinstance(value, str | int | float | bool | bytes):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) if deep else item for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value] if deep else list(value)
    if isinstance(value, Path):
        return str(value)
    from fastapi.encoders import jsonable_encoder

    return jsonable_encoder(value)


def as_declared(value: Any, schema: Any, follow: Follow) -> Any:
    """A value as JSON, written as its schema has it: `3` for 3.0 where it is an integer, bytes as base64.

    Where the schema says nothing, bytes are the text that they hold or, if they are none, base64.
    """
    value = value if isinstance(value, Path) else plain(value, deep=False)
    if isinstance(value, Mapping):
        return {
            key: as_declared(item, forms.members(schema, key, follow), follow) for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            as_declared(item, forms.items(schema, number, follow), follow)
            for number, item in enumerate(value)
        ]
    if isinstance(value, float) and value.is_integer():
        allowed = forms.kinds(schema, follow)
        return int(value) if "integer" in allowed and "number" not in allowed else value
    if isinstance(value, bytes | Path):
        if forms.is_base64(schema, follow):
            return base64.b64encode(content(value)).decode()
        try:
            return content(value).decode() if isinstance(value, bytes) else str(value)
        except UnicodeDecodeError:
            return base64.b64encode(content(value)).decode()
    return value


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


def literal(template: str) -> str:
    """A path as its author wrote it, escaped: all but its `{placeholders}` and what is escaped already."""
    words = re.split(r"({[^{}]+}|%[0-9A-Fa-f]{2})", template)
    return "".join(word if number % 2 else quote(word, safe=_IN_PATH) for number, word in enumerate(words))


def header(parameter: Parameter, value: Any, is_repeated: bool) -> list[str]:
    """The values of a header: one, in simple style, or one for each item of a list if `is_repeated`."""
    if parameter.media_type:
        return [json.dumps(plain(value))]
    members, value = _members(value), plain(value)
    if members is not None:
        return [",".join(f"{k}={v}" if parameter.explode else f"{k},{v}" for k, v in members)]
    if not isinstance(value, list):
        return [text(value)]
    words = [text(item) for item in value]
    return words if is_repeated else [",".join(words)]


def cookies(parameter: Parameter, value: Any) -> list[str]:
    """The `name=value` pairs of a cookie. Escaped is what a cookie cannot hold, and `%`, which escapes it.

    Style `cookie` (OpenAPI 3.2) means the value as it is: there `%` stays.
    """
    if parameter.media_type:
        value = json.dumps(plain(value))
    safe = _IN_COOKIE + ("%" if parameter.style == "cookie" else "")
    return [
        f"{quote(key, safe=_IN_COOKIE_NAME)}={quote(word, safe=safe)}"
        for key, word in form(parameter.name, value, parameter.explode)
    ]


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


def parts(
    key: str, value: Any, schema: Mapping[str, Any], encoding: Mapping[str, Any], follow: Follow
) -> list[Part]:
    """The parts of a multipart body for one property. A file comes as bytes, as a `Path`, or as its text."""
    if value is None:
        return []  # a form has no null
    if isinstance(value, list | tuple):
        return [
            part
            for number, item in enumerate(value)
            for part in parts(key, item, forms.items(schema, number, follow), encoding, follow)
        ]
    content_type = encoding.get(key, {}).get("contentType", "")
    if isinstance(value, bytes) or forms.is_file(schema, follow):
        name = value.name if isinstance(value, Path) else key
        kind = content_type or forms.media_type(schema, follow) or "application/octet-stream"
        return [(key, (name, content(value), kind))]
    if isinstance(plain(value), dict):
        return [(key, (None, json.dumps(plain(value)).encode(), content_type or "application/json"))]
    written = text(value).encode()
    return [(key, (None, written, content_type) if content_type else (None, written))]


def content(value: Any) -> bytes:
    """What a file holds that was given as bytes, as a `Path`, or as its text."""
    if isinstance(value, Path):
        return value.read_bytes()
    return value if isinstance(value, bytes) else text(value).encode()
