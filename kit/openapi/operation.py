"""One operation of an OpenAPI document, read on demand: its parameters, its body, its responses.

What is broken is fixed where its meaning is plain, and every repair is noted in `Spec.problems`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kit.markup import short
from kit.openapi import bodies, swagger
from kit.openapi import views as spec_views
from kit.openapi.values import as_list, essence, mapping, text

if TYPE_CHECKING:
    from kit.openapi.spec import Spec

LOCATIONS = ("path", "query", "querystring", "header", "cookie")
# OpenAPI 3.1, Parameter Object: definitions of these headers are ignored.
IGNORED_HEADERS = ("accept", "content-type", "authorization")
# Those by which HTTP frames a request or keeps a connection, which are its client's alone: RFC 9110, 7.2, 8.6, 10.1.1
# and 7.6.1. One of the caller's would cut the request short, or send it to another host.
FRAMING_HEADERS = (
    "host", "content-length", "transfer-encoding", "expect", "connection", "keep-alive", "proxy-connection", "te",
    "trailer", "upgrade",
)  # fmt: skip

_STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
    "querystring": ("",),
}
_KEYS = (
    "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody",
    "responses", "callbacks", "deprecated", "security", "servers",
)  # fmt: skip
_KEYS_OF_SWAGGER = ("consumes", "produces", "schemes")


@dataclass
class Parameter:
    """One parameter of an operation, its references followed. `location` is OpenAPI's `in`."""

    name: str
    location: str
    required: bool = False
    schema: Any = field(default_factory=dict)
    description: str = ""
    style: str = ""
    explode: bool = False
    allow_reserved: bool = False
    media_type: str = ""  # if the value is declared as `content`, JSON in most cases
    allow_empty: bool = False  # OpenAPI: an empty value in a query must be allowed explicitly

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty text differs from no value in this place."""
        return self.location in ("header", "cookie") or (self.location == "query" and self.allow_empty)


@dataclass
class Body:
    """The request body of an operation, in the media type that the kit would send."""

    media_type: str
    schema: Any = field(default_factory=dict)
    required: bool = False
    description: str = ""
    encoding: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""  # of the one argument that it is, if the document has it


class Operation:
    """One operation of a document. `pointer` is its place there, `raw` what is written there.

    `method` is in capitals, `path` begins with `/` and has its `{placeholders}`.
    """

    def __init__(
        self, spec: Spec, name: str, method: str, path: str, item: Mapping[str, Any], raw: Mapping[str, Any],
        pointer: str,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.id = name
        self.method = method.upper()
        self.path = path
        self.item = item
        self.raw = raw
        self.pointer = pointer

    @property
    def summary(self) -> str:
        return text(self.raw.get("summary")) or text(self.item.get("summary"))

    @property
    def description(self) -> str:
        return text(self.raw.get("description")) or text(self.item.get("description"))

    @property
    def tags(self) -> list[str]:
        return [str(tag) for tag in as_list(self.raw.get("tags"))]

    @property
    def subject(self) -> str:
        """What it is about: its first tag, else the first meaningful word of the path."""
        if self.tags:
            return self.tags[0]
        words = re.findall(r"[^/?&{}]+", re.sub(r"{[^{}]*}", "", self.path))
        telling = [word for word in words if not re.fullmatch(r"api|rest|v?\d+(\.\d+)*", word.lower())]
        return str((telling or words or ["operations"])[0])

    @property
    def deprecated(self) -> bool:
        return self.raw.get("deprecated") is True

    @property
    def consequential(self) -> bool:
        """Whether a host asks before the call: `x-openai-isConsequential`, else all but GET.

        developers.openai.com/api/docs/actions/production has the rule.
        """
        extension = self.raw.get("x-openai-isConsequential")
        return extension if isinstance(extension, bool) else self.method != "GET"

    @property
    def servers(self) -> list[Any]:
        """The `servers` of the operation or its path, if they have their own."""
        return as_list(self.raw.get("servers")) or as_list(self.item.get("servers"))

    @property
    def security(self) -> list[Any]:
        """The alternatives of `security`; if there are none, anyone may call."""
        own = self.raw.get("security")
        return as_list(own if "security" in self.raw else self.spec.document.get("security"))

    @cached_property
    def parameters(self) -> list[Parameter]:
        """Path, query, header and cookie parameters; those of the path item come first."""
        self._note_slips()
        merged: dict[tuple[str, str], Parameter] = {}
        for raw, pointer in self._raw_parameters:
            parameter = self._parameter(raw, pointer)
            if parameter is not None:
                merged[parameter.location, parameter.name] = parameter
        in_query = {name for location, name in merged if location == "query"}
        for name in dict.fromkeys(re.findall(r"{([^{}]+)}", self.path)):
            if name in in_query and name not in re.findall(r"{([^{}]+)}", self.path.partition("?")[0]):
                self._problem(self.pointer, f"the path includes its query: {name!r} is sent once")
            elif ("path", name) not in merged:
                self._problem(self.pointer, f"the path parameter {name!r} is not declared: read as text")
                schema = {"type": "string"}
                merged["path", name] = Parameter(name, "path", True, schema, style="simple")
        for location, name in list(merged):
            if location == "path" and f"{{{name}}}" not in self.path:
                self._problem(
                    self.pointer, f"the path has no place for the path parameter {name!r}: left out"
                )
                del merged[location, name]
        return list(merged.values())

    @cached_property
    def address(self) -> str:
        """The path as it is requested: without a fragment, by which some documents distinguish operations,
        and without the placeholders in a query that query parameters fill.
        """
        path, mark, query = self.path.partition("#")[0].partition("?")
        named = {p.name for p in self.parameters if p.location == "query"}
        kept = [pair for pair in query.split("&") if not ("{" in pair and pair.partition("=")[0] in named)]
        return f"{path}?{'&'.join(kept)}" if mark and kept != [""] and kept else path

    @cached_property
    def body(self) -> Body | None:
        """The request body, JSON where there is a choice; None if there is none."""
        pointer = f"{self.pointer}/requestBody"
        declared = self.spec.resolve(self.raw.get("requestBody"), pointer)
        if not declared:
            parameters = [raw for raw, _ in self._raw_parameters]
            declared = mapping(swagger.body(parameters, self._media_types("consumes")))
        content = mapping(declared.get("content"))
        if not content and "schema" in declared:
            self._problem(pointer, "has a schema without a media type: read as application/json")
            content = {"application/json": {"schema": declared["schema"]}}
        if not content:
            return None
        media_type = min(content, key=_preference)
        chosen = self.spec.resolve(content[media_type], pointer)
        schema = chosen.get("schema", {})
        if "schema" not in chosen and chosen.keys() & {"type", "properties"}:
            self._problem(pointer, "has its schema in place of the media type object: read anyway")
            schema = chosen
        if "itemSchema" in chosen and "schema" not in chosen:  # OpenAPI 3.2: a sequence of items
            schema = {"type": "array", "items": chosen["itemSchema"]}
        return Body(
            media_type=str(media_type),
            schema=schema,
            required=_is_true(declared.get("required")),
            description=text(declared.get("description")),
            encoding=_encoding(chosen.get("encoding")),
            name=self._body_name(declared, schema),
        )

    def _body_name(self, declared: Mapping[str, Any], schema: Any) -> str:
        if bodies.is_object(self.spec.resolve(schema)):
            return ""
        return bodies.name(self.raw, declared, schema, is_fastapi=self.spec.is_fastapi)

    @cached_property
    def responses(self) -> dict[str, Mapping[str, Any]]:
        """The responses by status ("200", "4XX", "default"), their references followed."""
        produces = self._media_types("produces")
        return {
            str(status): swagger.response(
                self.spec.resolve(response, f"{self.pointer}/responses/{status}"), produces
            )
            for status, response in mapping(self.raw.get("responses")).items()
        }

    @property
    def answer_schema(self) -> Any:
        """The schema of the JSON that a successful call returns; None if it is not declared."""
        for status, response in sorted(self.responses.items()):
            if status[:1] != "2":
                continue
            for media_type, media in mapping(response.get("content")).items():
                if is_json(str(media_type)) and "schema" in mapping(media):
                    return media["schema"]
        return None

    # -- reading --------------------------------------------------------------

    @cached_property
    def _raw_parameters(self) -> list[tuple[Mapping[str, Any], str]]:
        """Every parameter as it is written, with its place; those of the path item first."""
        resolved = []
        for node, pointer in ((self.item, self.pointer.rpartition("/")[0]), (self.raw, self.pointer)):
            parameters = node.get("parameters")
            if parameters is not None and not isinstance(parameters, list):
                problem = f"is {type(parameters).__name__}, not a list: left out"
                self._problem(f"{pointer}/parameters", problem)
            for number, raw in enumerate(as_list(parameters)):
                where = f"{pointer}/parameters/{number}"
                resolved.append((self.spec.resolve(raw, where), where))
        return resolved

    def _parameter(self, raw: Mapping[str, Any], pointer: str) -> Parameter | None:
        location, name = self._location(raw, pointer), str(raw.get("name"))
        if location is None or (location == "header" and name.lower() in IGNORED_HEADERS):
            return None
        if location == "header" and name.strip().lower() in FRAMING_HEADERS:
            self._problem(
                pointer, f"the header {name!r} belongs to the HTTP client: left out, never sent as given"
            )
            return None
        if swagger.is_schemaless(raw):
            if self.spec.version != "2.0":
                self._problem(pointer, f"the type of {name!r} is outside its schema: read anyway")
            raw = swagger.parameter(raw)
        media_type, schema = "", raw.get("schema", {})
        if isinstance(raw.get("content"), Mapping) and raw["content"]:
            media_type, content = next(iter(raw["content"].items()))
            schema = self.spec.resolve(content, pointer).get("schema", {})
        style, explode = self._style(raw, location, pointer), raw.get("explode")
        if location == "path" and not _is_true(raw.get("required")) and self.spec.version != "2.0":
            self._problem(pointer, f"the path parameter {name!r} is not 'required: true': read as if it were")
        return Parameter(
            name=name,
            location=location,
            required=location == "path" or _is_true(raw.get("required")),
            schema=schema,
            description=text(raw.get("description")),
            style=style,
            explode=explode if isinstance(explode, bool) else style in ("form", "cookie", "deepObject"),
            allow_reserved=raw.get("allowReserved") is True,
            media_type=str(media_type),
            allow_empty=raw.get("allowEmptyValue") is True,
        )

    def _location(self, raw: Mapping[str, Any], pointer: str) -> str | None:
        """Where a parameter goes; None for one that is part of the body, or cannot be used."""
        location, name = str(raw.get("in")).lower(), raw.get("name")
        if location in ("body", "formdata"):
            if self.spec.version != "2.0" and not self.raw.get("requestBody"):
                self._problem(pointer, f"in: {raw['in']} is Swagger 2.0: read as the request body")
            return None
        if raw and location not in LOCATIONS and f"{{{name}}}" in self.path:
            self._problem(pointer, f"the place of {name!r} is {raw.get('in')!r}: read as path")
            location = "path"
        if location not in LOCATIONS or not isinstance(name, str | int | float) or name == "":
            self._problem(pointer, f"a parameter without a name or a place is left out: {short(repr(raw))}")
            return None
        return location

    def _style(self, raw: Mapping[str, Any], location: str, pointer: str) -> str:
        usual = _STYLES[location][0]
        style = raw.get("style", usual)
        if style not in _STYLES[location]:
            self._problem(pointer, f"style {style!r} is not for parameters in {location}: read as {usual!r}")
            return usual
        return str(style)

    def _note_slips(self) -> None:
        allowed = _KEYS + _KEYS_OF_SWAGGER if self.spec.version == "2.0" else _KEYS
        for key in self.raw:
            if key not in allowed and not str(key).startswith("x-"):
                self._problem(self.pointer, f"has the unknown key {str(key)!r}: ignored")
        self.spec.note_servers(self.pointer.rpartition("/")[0], self.item.get("servers"))
        self.spec.note_servers(self.pointer, self.raw.get("servers"))
        if not mapping(self.raw.get("responses")):
            self._problem(self.pointer, "has no 'responses': any response is accepted")

    def _media_types(self, key: str) -> list[str]:
        media_types = self.raw.get(key, self.spec.document.get(key)) if self.spec.version == "2.0" else None
        return [str(media_type) for media_type in as_list(media_types)]

    def _problem(self, pointer: str, message: str) -> None:
        self.spec.problem(pointer, message)

    def __repr__(self) -> str:
        return spec_views.operation_text(self)

    def _repr_html_(self) -> str:
        return spec_views.operation_card(self)


def is_json(media_type: str) -> bool:
    """Whether a body of this media type is JSON; `*/*` counts, since JSON is what every API takes."""
    kind = essence(media_type)
    return kind in ("application/json", "*/*", "text/json") or kind.endswith("+json")


def _preference(media_type: Any) -> int:
    kind = essence(media_type)
    if is_json(kind):
        return 0 if kind == "application/json" else 1
    order = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
    return order.index(kind) + 2 if kind in order else len(order) + 2


def _encoding(value: Any) -> dict[str, dict[str, Any]]:
    """How each field of a form is written (OpenAPI, Encoding Object)."""
    kinds = {"contentType": str, "style": str, "explode": bool, "allowReserved": bool}
    return {
        str(name): {key: declared[key] for key, kind in kinds.items() if isinstance(declared.get(key), kind)}
        for name, declared in mapping(value).items()
        if isinstance(declared, Mapping)
    }


def _is_true(value: Any) -> bool:
    return value is True or value == "true"
