"""The HTTP request that a call becomes: each argument where it belongs, serialized as its place requires."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from kit.openapi.operation import Body, Operation, Parameter, is_json
from kit.tools import locations, serialization


@dataclass
class Request:
    """The HTTP request that a call becomes. `url` has no host; `body` is None or bytes."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    files: list[serialization.Part] = field(default_factory=list)


@dataclass
class Argument:
    """One argument of a tool: its schema, and where in the request it belongs."""

    name: str
    schema: dict[str, Any]
    required: bool
    parameter: Parameter | None = None  # None: it belongs to the body
    key: str | None = None  # the property of the body; None: the argument is the whole body


def make_request(
    operation: Operation,
    arguments: Mapping[str, Argument],
    values: Mapping[str, Any],
    body_schema: Mapping[str, Any],
) -> Request:
    """The request for the values of some of an operation's arguments, which are known to fit.

    The URL begins with the path. `body_schema` tells the kind of each part of a multipart body.
    """
    path = operation.address
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    cookies: list[str] = []
    body: dict[str, Any] = {}
    whole: Any = None
    has_body = False
    for name, value in values.items():
        argument = arguments[name]
        parameter = argument.parameter
        if parameter is None:
            has_body = True
            if argument.key is None:
                whole = value
            else:
                body[argument.key] = value
        elif parameter.location == "path":
            path = path.replace(f"{{{parameter.name}}}", serialization.path(parameter, value))
        elif parameter.location == "query":
            query += serialization.query(parameter, value)
        elif parameter.location == "querystring":
            query.append(serialization.querystring(parameter, value))
        elif parameter.location == "header" and value in ([], {}):
            continue  # an empty value: the header is left out
        elif parameter.location == "header":
            headers.append((parameter.name, serialization.simple(parameter, value)))
        else:
            cookies += [
                f"{key}={SimpleCookie().value_encode(text)[1]}"
                for key, text in serialization.form(parameter.name, value, parameter.explode)
            ]
    if cookies:
        headers.append(("Cookie", "; ".join(cookies)))
    if query:
        path += ("&" if "?" in path else "?") + "&".join(query)
    request = Request(operation.method, path, headers)
    declared = operation.body
    if declared is not None and (has_body or declared.required):
        flat = any(a.key is not None for a in arguments.values())
        _fill_body(request, declared, body if flat else whole, body_schema)
    return request


def _fill_body(request: Request, declared: Body, value: Any, schema: Mapping[str, Any]) -> None:
    media_type = declared.media_type
    if media_type.startswith("multipart/"):
        if not value:  # without parts the HTTP client would send no body
            request.body = b"--none--\r\n"
            request.headers.append(("Content-Type", "multipart/form-data; boundary=none"))
            return
        request.files = [
            part
            for key, item in value.items()
            for part in serialization.parts(
                key, item, schema.get("properties", {}).get(key, {}), declared.encoding
            )
        ]
        return
    if locations.is_lines(media_type):
        lines = [json.dumps(serialization.plain(item), ensure_ascii=False) for item in value or []]
        start = "\x1e" if "seq" in media_type else ""
        content = "".join(f"{start}{line}\n" for line in lines).encode()
    elif is_json(media_type):
        content = json.dumps(serialization.plain(value), ensure_ascii=False).encode()
        media_type = "application/json" if "*" in media_type else media_type
    elif media_type.startswith("application/x-www-form-urlencoded"):
        pairs = []
        for key, item in (value or {}).items():
            encoding = declared.encoding.get(key, {})
            style = Parameter(
                key, "query", style=encoding.get("style", "form"), explode=encoding.get("explode", True)
            )
            nested = isinstance(item, dict) and style.style == "form"
            pairs += serialization.query(style, json.dumps(item) if nested else item, plus=True)
        content = "&".join(pairs).encode()
    else:
        content = value if isinstance(value, bytes) else serialization.text(value).encode()
        media_type = "application/octet-stream" if "*" in media_type else media_type
    request.body = content
    request.headers.append(("Content-Type", media_type))
