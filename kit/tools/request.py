"""The HTTP request that a call becomes: each argument where it belongs, serialized as its place requires."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.openapi import forms
from kit.openapi.forms import Follow
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

    @property
    def is_body(self) -> bool:
        """Whether it is the whole body, such as a list."""
        return self.parameter is None and self.key is None


def make_request(
    operation: Operation,
    arguments: Mapping[str, Argument],
    values: Mapping[str, Any],
    body_schema: Mapping[str, Any],
    follow: Follow,
) -> Request:
    """The request for the values of some of an operation's arguments, which are known to fit.

    The URL begins with the path. `body_schema` tells how each part of the body is written, `follow` what its
    references lead to.
    """
    path = serialization.literal(operation.address)
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    cookies: list[str] = []
    body: dict[str, Any] = {}
    whole: Any = None
    has_body = False
    for name, value in values.items():
        argument = arguments[name]
        parameter = argument.parameter
        if parameter is not None:
            value = serialization.as_declared(value, argument.schema, follow)
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
            words = serialization.header(parameter, value, is_repeated=operation.spec.is_fastapi)
            headers += [(parameter.name, word) for word in words]
        else:
            cookies += serialization.cookies(parameter, value)
    if cookies:
        headers.append(("Cookie", "; ".join(cookies)))
    if query:
        path += ("&" if "?" in path else "?") + "&".join(query)
    request = Request(operation.method, path, headers)
    declared = operation.body
    if declared is not None and (has_body or declared.required):
        flat = any(a.key is not None for a in arguments.values())
        _fill_body(request, declared, body if flat else whole, body_schema, follow)
    return request


def _fill_body(
    request: Request, declared: Body, value: Any, schema: Mapping[str, Any], follow: Follow
) -> None:
    media_type = declared.media_type
    if media_type.startswith("multipart/"):
        request.files = [
            part
            for key, item in (value or {}).items()
            for part in serialization.parts(
                key, item, forms.members(schema, key, follow), declared.encoding, follow
            )
        ]
        if not request.files:  # without parts the HTTP client would send no body
            request.body = b"--none--\r\n"
            request.headers.append(("Content-Type", "multipart/form-data; boundary=none"))
        return
    if not isinstance(value, bytes | Path) or is_json(media_type):
        value = serialization.as_declared(value, schema, follow)
    if locations.is_lines(media_type):
        lines = [json.dumps(item, ensure_ascii=False) for item in value or []]
        start = "\x1e" if "seq" in media_type else ""
        content = "".join(f"{start}{line}\n" for line in lines).encode()
    elif is_json(media_type):
        content = json.dumps(value, ensure_ascii=False).encode()
        media_type = "application/json" if "*" in media_type else media_type
    elif media_type.startswith("application/x-www-form-urlencoded"):
        pairs = []
        for key, item in (value or {}).items():
            if item is None:
                continue  # a form has no null
            encoding = declared.encoding.get(key, {})
            style = Parameter(
                key, "query", style=encoding.get("style", "form"), explode=encoding.get("explode", True)
            )
            is_nested = isinstance(item, dict) and style.style == "form"
            pairs += serialization.query(style, json.dumps(item) if is_nested else item, plus=True)
        content = "&".join(pairs).encode()
    else:
        content = serialization.content(value)
        media_type = "application/octet-stream" if "*" in media_type else media_type
    request.body = content
    request.headers.append(("Content-Type", media_type))
