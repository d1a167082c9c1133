"""What the proof of an export asks: one request each, made of an operation's arguments, its examples or its schema."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2

from kit.openapi import forms
from kit.openapi.values import as_list, mapping
from kit.project.samples import samples
from kit.tools.examples import example_arguments
from kit.tools.request import Argument
from kit.tools.tool import Tool

CONSEQUENTIAL = "x-openai-isConsequential"
WEBSOCKET = "WEBSOCKET"  # in the place of a method
MOST_EXAMPLES = 5  # of one operation
_RESERVED = "/?#[]@!$&'()*+,;=:%~"  # what a URL may hold as it is
_BOUNDARY = "multipart/form-data; boundary=kit"  # always the same, so that two exports write the same tests
_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110, 9.2.1


@dataclass(frozen=True)
class Question:
    """One request. `operation` is "" for one that no operation of the spec answers; `source` says where it comes from.

    `url` begins with the path. `messages` are what is sent to a WebSocket.
    """

    operation: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    changes: bool = False
    source: str = field(default="", compare=False)
    messages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Questions:
    """Makes questions for the operations of a spec."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self.tools = tools

    def of_arguments(
        self, name: str, arguments: Mapping[str, Any], source: str, file: str = ""
    ) -> Question | None:
        """The request of a call; None for one that cannot be sent with these arguments.

        Whether their values fit is left to the plugin to say. `file` is the name of the files in it.
        """
        tool = self.tools[name]
        arguments = tool.coerced(arguments)
        required = {key for key, it in tool.arguments.items() if it.required}
        if not required <= arguments.keys() <= tool.arguments.keys():
            return None
        try:
            request = tool.request(arguments)
        except (TypeError, ValueError, AttributeError, OSError):
            return None
        files = [(key, _named(part, file)) for key, part in request.files]
        return self.of_request(
            request.method, request.url, source, headers=request.headers, content=request.body, files=files
        )

    def of_request(self, method: str, url: str, source: str, **parts: Any) -> Question:
        """The request that a client such as httpx would send: `params`, `json`, `data`, `files`, `content`, `headers`."""
        headers = parts.pop("headers", None) or []
        headers = [*(headers.items() if isinstance(headers, Mapping) else headers)]
        headers += [("Content-Type", _BOUNDARY)] if parts.get("files") else []
        parts = {key: value for key, value in parts.items() if value or (key == "json" and value is not None)}
        sent = httpx2.Request(method, f"http://kit{quote(url, safe=_RESERVED)}", headers=headers, **parts)
        kept = [it for it in sent.headers.multi_items() if it[0] not in ("host", "content-length")]
        address = sent.url.raw_path.decode("ascii")
        operation = self.answering(method, address)
        return Question(
            operation, method, address, tuple(kept), sent.read(), self.is_changing(operation, method), source
        )

    def answering(self, method: str, url: str) -> str:
        """The operation that answers a request, "" if the spec has none."""
        path, found = url.partition("?")[0], []
        for name, tool in self.tools.items():
            template = tool.operation.address
            pattern = re.sub(r"\\\{[^{}]*\\\}", "[^/]+", re.escape(template))
            if tool.operation.method == method and re.fullmatch(pattern, path):
                found.append((template.count("{"), name))
        return min(found, default=(0, ""))[1]

    def is_changing(self, operation: str, method: str) -> bool:
        """Whether a call may change something: not a GET, or declared as consequential."""
        declared = self.tools[operation].operation.raw.get(CONSEQUENTIAL) if operation else None
        return method not in _SAFE or declared is True

    def examples(self, name: str) -> Iterator[Question]:
        """Calls with the examples that the spec has of an operation's arguments and body."""
        tool = self.tools[name]
        places = {key: found for key, it in tool.arguments.items() if (found := _examples_of(it, tool))}
        if bodies := _bodies(tool):
            places["body"] = bodies
        for number in range(min(MOST_EXAMPLES, max(map(len, places.values()), default=0))):
            given = {key: values[min(number, len(values) - 1)] for key, values in places.items()}
            if question := self.filled(name, given, "an example of the spec"):
                yield question

    def made(self, name: str, known: Mapping[str, Any], source: str = "its schema") -> Iterator[Question]:
        """Calls with values that fit the schema, files of several kinds, and what `known` has, such as an id."""
        tool = self.tools[name]
        files = {
            key: forms.items(it.schema, 0, tool.follow)
            for key, it in tool.arguments.items()
            if forms.is_file(it.schema, tool.follow)
            or forms.is_file(forms.items(it.schema, 0, tool.follow), tool.follow)
        }
        for file, content in samples().items() if files else [("", b"")]:
            given = {key: [content] if item else content for key, item in files.items()}
            if question := self.filled(name, {**given, **known}, source, file):
                yield question

    def filled(self, name: str, given: Mapping[str, Any], source: str, file: str = "") -> Question | None:
        """A call with these arguments, the other required ones made by the schema."""
        tool = self.tools[name]
        made = example_arguments(tool)
        if "body" in given:  # the whole of it, which is spread over the arguments that it has
            made = {key: value for key, value in made.items() if tool.arguments[key].parameter}
        return self.of_arguments(name, {**made, **given}, source, file)


def _named(part: Sequence[Any], file: str) -> Sequence[Any]:
    """A part of a form, a file with this name and the media type that its ending says."""
    if not file or part[0] is None:
        return part
    return (file, part[1], mimetypes.guess_type(file)[0] or part[2])


def _examples_of(argument: Argument, tool: Tool) -> list[Any]:
    """The examples of one argument, in its schema or, for a parameter, beside it."""
    if argument.parameter is not None:
        raw = [tool.operation.spec.resolve(it) for it in as_list(tool.operation.raw.get("parameters"))]
        here = (it for it in raw if it.get("name") == argument.parameter.name)
        if found := _beside(next(here, {})):
            return found
    elif argument.is_body:
        return []  # among `_bodies`
    return as_list(mapping(argument.schema).get("examples"))


def _bodies(tool: Tool) -> list[Any]:
    """The examples of the whole body: beside its schema, or those of the model."""
    spec, body = tool.operation.spec, tool.operation.body
    declared = mapping(spec.resolve(tool.operation.raw.get("requestBody")).get("content"))
    if body is None:
        return []
    schema = spec.resolve(body.schema)
    own = as_list(schema.get("examples")) or ([schema["example"]] if "example" in schema else [])
    return _beside(mapping(declared.get(body.media_type))) or own


def _beside(raw: Mapping[str, Any]) -> list[Any]:
    """`example`, or the values of `examples`, of a parameter or media type (OpenAPI 3.1, "Example Object")."""
    named = [it["value"] for it in mapping(raw.get("examples")).values() if "value" in mapping(it)]
    return named or ([raw["example"]] if "example" in raw else [])
