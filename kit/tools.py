"""An operation as a function tool for a model, and the model's arguments as an HTTP request.

Path, query, header, cookie and body become one flat list of arguments; where two of them share a
name, the later ones carry their place in the name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any

from kit import styles
from kit.schemas import Converter, is_strict, merged
from kit.spec import Body, Operation, Parameter, Spec, is_json

MAX_NAME = 64  # characters, of [a-zA-Z0-9_-]: FunctionObject in OpenAI's API description


@dataclass
class Request:
    """The HTTP request that a call becomes. `url` has no host; `body` is None or bytes."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    files: list[tuple[str, tuple[str | None, bytes, str]]] = field(default_factory=list)


@dataclass
class Argument:
    """One argument of a tool: its schema, and where in the request it belongs."""

    name: str
    schema: dict[str, Any]
    required: bool
    parameter: Parameter | None = None  # None: it belongs to the body
    key: str | None = None  # the property of the body; None: the argument is the whole body


class Tool:
    """The function tool for one operation. `name` is legal and unique among the plugin's tools."""

    def __init__(self, spec: Spec, operation: Operation, name: str) -> None:
        self.operation = operation
        self.name = name
        self._converter = Converter(spec, operation.pointer)
        self._body_schema: dict[str, Any] = {}
        self.arguments: dict[str, Argument] = {}
        for parameter in operation.parameters:
            schema = self._converter.convert(parameter.schema)
            if parameter.description:
                schema["description"] = parameter.description
            self._add(Argument(parameter.name, schema, parameter.required, parameter))
        if operation.body is not None:
            self._add_body(operation.body)

    def _add_body(self, body: Body) -> None:
        schema = merged(self._converter.convert(body.schema))
        self._body_schema = schema
        form = body.media_type.startswith(("application/x-www-form-urlencoded", "multipart/"))
        flat = (
            schema.get("type", "object") == "object"
            and schema.get("properties")
            and not schema.keys() & {"anyOf", "oneOf", "allOf", "$ref", "patternProperties"}
            and schema.get("additionalProperties") in (None, False)
            and (is_json(body.media_type) or form)
        )
        if not flat:
            if body.description:
                schema = {**schema, "description": schema.get("description") or body.description}
            self._add(Argument("body", schema, body.required))
            return
        required = schema.get("required", []) if body.required else []
        for name, item in schema["properties"].items():
            self._add(Argument(name, item, name in required, key=name))

    def _add(self, argument: Argument) -> None:
        place = argument.parameter.location if argument.parameter else "body"
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", argument.name).strip("_")[:MAX_NAME] or place
        name = base
        if name in self.arguments:
            name = f"{base[: MAX_NAME - len(place) - 1]}_{place}"
        number = 2
        while name in self.arguments:
            name, number = f"{base}_{place}_{number}", number + 1
        argument.name = name
        self.arguments[name] = argument

    @cached_property
    def description(self) -> str:
        """Summary and description, each said once."""
        summary, description = self.operation.summary, self.operation.description
        if re.match(rf"{re.escape(summary.rstrip('.'))}\b", description):
            return description
        return f"{summary}\n\n{description}" if description else summary

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the arguments."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: argument.schema for name, argument in self.arguments.items()},
            "required": [name for name, argument in self.arguments.items() if argument.required],
            "additionalProperties": False,
        }
        if self._converter.defs:
            schema["$defs"] = self._converter.defs
        return schema

    @cached_property
    def strict(self) -> bool:
        """Whether the schema fits OpenAI's strict mode as it is."""
        return is_strict(self.parameters)

    def render(self, api: str = "responses") -> dict[str, Any]:
        """The tool as the Responses API takes it, or, for `api="chat"`, Chat Completions."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "strict": self.strict,
        }
        if api == "chat":
            return {"type": "function", "function": function}
        return {"type": "function", **function}

    @cached_property
    def _validators(self) -> dict[str, Any]:
        from jsonschema import Draft202012Validator

        return {
            name: Draft202012Validator({**argument.schema, "$defs": self._converter.defs})
            for name, argument in self.arguments.items()
        }

    # -- arguments ------------------------------------------------------------

    def problems(self, arguments: Any) -> list[str]:
        """What is wrong with the arguments, said so that a model can mend it; empty if nothing is."""
        if not isinstance(arguments, Mapping):
            return [f"the arguments must be a JSON object, not {arguments!r:.80}"]
        found = []
        for name in arguments:
            if name not in self.arguments:
                known = ", ".join(self.arguments) or "none"
                found.append(f"{name}: there is no such argument; there are: {known}")
        for name, argument in self.arguments.items():
            if name not in arguments:
                if argument.required:
                    found.append(f"{name}: is required and missing")
                continue
            for error in self._validators[name].iter_errors(_as_json(arguments[name])):
                path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
                found.append(f"{name}{path}: {error.message}")
            if argument.parameter and argument.parameter.location == "path" and arguments[name] == "":
                found.append(f"{name}: must not be empty, it is part of the address")
            is_header = argument.parameter and argument.parameter.location == "header"
            if is_header and re.search(r"[\r\n\0]", str(arguments[name])):
                found.append(f"{name}: a header cannot hold a line break")
        return found

    def coerced(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, with numbers and booleans that came as text made what the schema wants.

        A null for an optional argument that has no null means that it was not given.
        """
        out = {}
        for name, value in arguments.items():
            argument = self.arguments.get(name)
            if argument is not None:
                kinds = _kinds(argument.schema)
                if value is None and not argument.required and kinds and "null" not in kinds:
                    continue
                if isinstance(value, str) and kinds and "string" not in kinds:
                    value = _from_text(value, kinds)
            out[name] = value
        return out

    # -- the request ----------------------------------------------------------

    def request(self, arguments: Mapping[str, Any]) -> Request:
        """The HTTP request for arguments without problems. The URL begins with the path."""
        path = self.operation.path
        query: list[str] = []
        headers: list[tuple[str, str]] = []
        cookies: list[str] = []
        body: dict[str, Any] = {}
        whole: Any = None
        has_body = False
        for name, value in arguments.items():
            argument = self.arguments[name]
            parameter = argument.parameter
            if parameter is None:
                has_body = True
                if argument.key is None:
                    whole = value
                else:
                    body[argument.key] = value
            elif parameter.location == "path":
                path = path.replace(f"{{{parameter.name}}}", styles.path(parameter, value))
            elif parameter.location == "query":
                query += styles.query(parameter, value)
            elif parameter.location == "header":
                headers.append((parameter.name, styles.simple(parameter, value)))
            else:
                cookies += [
                    f"{key}={SimpleCookie().value_encode(text)[1]}"
                    for key, text in styles.form(parameter.name, value, parameter.explode)
                ]
        if cookies:
            headers.append(("Cookie", "; ".join(cookies)))
        request = Request(self.operation.method, path + ("?" + "&".join(query) if query else ""), headers)
        declared = self.operation.body
        if declared is not None and (has_body or declared.required):
            flat = any(a.key is not None for a in self.arguments.values())
            self._fill_body(request, declared, body if flat else whole)
        return request

    def _fill_body(self, request: Request, declared: Body, value: Any) -> None:
        media_type = declared.media_type
        if media_type.startswith("multipart/"):
            request.files = [
                part
                for key, item in (value or {}).items()
                for part in styles.parts(
                    key,
                    item,
                    self._body_schema.get("properties", {}).get(key, {}),
                    declared.encoding,
                )
            ]
            return
        if is_json(media_type):
            content = json.dumps(styles.plain(value), ensure_ascii=False).encode()
            media_type = "application/json" if "*" in media_type else media_type
        elif media_type.startswith("application/x-www-form-urlencoded"):
            pairs = []
            for key, item in (value or {}).items():
                encoding = declared.encoding.get(key, {})
                style = Parameter(
                    key,
                    "query",
                    style=encoding.get("style", "form"),
                    explode=encoding.get("explode", True),
                )
                nested = isinstance(item, dict) and style.style == "form"
                pairs += styles.query(style, json.dumps(item) if nested else item, plus=True)
            content = "&".join(pairs).encode()
        else:
            content = value if isinstance(value, bytes) else styles.text(value).encode()
            media_type = "application/octet-stream" if "*" in media_type else media_type
        request.body = content
        request.headers.append(("Content-Type", media_type))


def make_tools(spec: Spec) -> tuple[dict[str, Tool], list[tuple[str, str]]]:
    """The tools of a document by name, and (operation, reason) for each that could not be made."""
    tools: dict[str, Tool] = {}
    skipped: list[tuple[str, str]] = []
    for operation in spec.operations.values():
        try:
            name = legal_name(operation.id, tools)
            tool = Tool(spec, operation, name)
            json.dumps(tool.render())  # what cannot be written as JSON cannot be given to a model
        except Exception as error:  # a stranger's schema may hold anything: the others go on
            skipped.append((operation.id, f"{type(error).__name__}: {error}"))
            continue
        tools[name] = tool
    return tools, skipped


def legal_name(name: str, taken: Iterable[str]) -> str:
    """`name` with other characters than letters, digits, _ and - replaced, 64 at most, unique."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:MAX_NAME] or "operation"
    legal, number = base, 2
    while legal in taken:
        legal = f"{base[: MAX_NAME - len(str(number)) - 1]}_{number}"
        number += 1
    return legal


def _as_json(value: Any) -> Any:
    """A value for a JSON Schema validator, to which the bytes of a file are a text like another."""
    value = styles.plain(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return {key: _as_json(item) for key, item in value.items()} if isinstance(value, dict) else value


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type")
    found = set(kind) if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()
    for part in schema.get("anyOf", []) + schema.get("oneOf", []):
        found |= _kinds(part)
    return found


def _from_text(text: str, kinds: set[str]) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    return value if any(fits.get(kind) for kind in kinds) else text
