"""`Reader`: a host that makes tools of an OpenAPI document, as data; the document that it reads whole, and what it loses.

Such hosts read literally, each in its own way, and say nothing of what they drop. `read` writes what they follow where
the document can say it otherwise, leaves out what they could only call in vain, and has a finding for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from kit.addresses import NOWHERE, host_of, is_private
from kit.hosts.findings import Finding
from kit.hosts.plain import described, in_words, plain, worded
from kit.openapi.values import as_list, essence, mapping
from kit.openapi.version30 import lowered

if TYPE_CHECKING:
    from kit.description import Description
    from kit.openapi.spec import Spec
    from kit.tools.tool import Tool

METHODS = ("get", "post", "put", "delete", "patch")  # those that every one of these hosts sends
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

Severity = Literal["error", "warning"]
_Plain = dict[tuple[int, bool], dict[str, Any]]
# In 3.0, with the plain forms of its schemas by identity and whether null is a type: several hosts read the same.
_DOCUMENTS: WeakKeyDictionary[Spec, tuple[dict[str, Any], _Plain]] = WeakKeyDictionary()


def _any(responses: dict[str, Any]) -> None:
    """No answer is refused."""


@dataclass(frozen=True)
class Reader:
    """What a host follows of an OpenAPI document. `source` is its code; `lines` that of single rules, by name."""

    host: str
    source: str
    sends: frozenset[str]  # the places of parameters that reach the plugin
    bodies: tuple[str, ...]  # the media types that it sends as they are declared
    follows: frozenset[str]  # what it keeps of a field's schema, in `kit.hosts.plain`'s names
    follows_in_parameters: frozenset[str]
    lines: Mapping[str, str] = field(default_factory=dict)
    said: Literal["summary", "description"] = "description"  # what a model is told about an operation
    lists: bool = False  # a list in the query is sent as the plugin reads it, a value at a time
    whole: bool = False  # a body need not be an object
    files: Literal["", "by hand"] = (
        ""  # a field of the body may be a file, which a person gives, never a model
    )
    open: bool = True  # an object in the body may have fields of any name
    same_names: bool = True  # a parameter and a field of the body may have the same name
    null: bool = False  # it knows the type null, as OpenAPI 3.1 has it
    empty: frozenset[str] = frozenset()  # the places in which a value that a model leaves out is sent empty
    private: Severity | None = None  # how bad an address of a private network is
    parameter: Callable[[dict[str, Any]], dict[str, Any]] = dict  # the last change to a parameter's schema
    property: Callable[[dict[str, Any]], dict[str, Any]] = dict  # and to a field's of the body
    answers: Callable[[dict[str, Any]], tuple[Severity, str] | None] = (
        _any  # what it does not take, and how bad
    )


@dataclass
class Loss:
    """What a host loses of an operation. An error means that it could not call it at all."""

    severity: Severity
    rule: str
    place: str
    message: str
    remedy: str


def read(plugin: Description, reader: Reader) -> tuple[dict[str, Any], list[Finding]]:
    """The document to give to that host, and a finding for each thing that the host loses all the same.

    The schemas of the document are shared with those of other hosts: whoever changes one changes a copy.
    """
    source, forms = _lowered(plugin.spec)
    document = {key: value for key, value in source.items() if key not in ("paths", "components", "servers")}
    document["openapi"] = "3.1.0" if reader.null else source["openapi"]
    if plugin.base_url != NOWHERE:
        document["servers"] = [{"url": plugin.base_url}]
    findings = list(_address(plugin, reader))
    components = mapping(source.get("components"))
    by_id = {
        operation["operationId"]: (path, method, operation)
        for path, item in source["paths"].items()
        for method, operation in item.items()
    }
    paths: dict[str, dict[str, Any]] = {}
    for name, tool in plugin.by_name.items():
        place = tool.operation.pointer
        path, method, operation = by_id.get(tool.operation.id, ("", tool.operation.method, {}))
        reading = _Reading(plugin, reader, mapping(components.get("schemas")), forms)
        made = reading.operation(tool, method, operation)
        failed = [loss for loss in reading.losses if loss.severity == "error"]
        for loss in failed or reading.losses:
            end = ": the operation is left out." if loss.severity == "error" else "."
            finding = Finding(reader.host, loss.severity, place + loss.place, loss.message + end, loss.remedy, _line(reader, loss.rule), name)  # fmt: skip
            findings.append(finding)
        if not failed:
            paths.setdefault(path, {})[method] = made
    document["paths"] = paths
    if components.get("securitySchemes"):
        document["components"] = {"securitySchemes": components["securitySchemes"]}
    return document, findings


def _lowered(spec: Spec) -> tuple[dict[str, Any], _Plain]:
    if spec not in _DOCUMENTS:
        _DOCUMENTS[spec] = lowered(spec.document)[0], {}
    return _DOCUMENTS[spec]


def _line(reader: Reader, rule: str) -> str:
    return reader.lines.get(rule, reader.source)


def _address(plugin: Description, reader: Reader) -> Iterator[Finding]:
    base = plugin.base_url
    if base == NOWHERE:
        message, remedy = "The spec names no server.", "Add 'servers' to it, or pass base_url=."
        yield Finding(reader.host, "error", "/servers", message, remedy, _line(reader, "servers"))
    elif reader.private and is_private(host_of(base)):
        message = f"{base} is in a private network, which the host calls only where its operator allows it."
        remedy = "Serve it with a public_url, or allow the address there."
        if reader.private == "error":
            message = f"{base} is in a private network, which the host never calls."
            remedy = "Serve it with a public_url."
        yield Finding(reader.host, reader.private, "/servers", message, remedy, _line(reader, "private"))


class _Reading:
    """One operation, as one host reads it. `losses` are what is lost."""

    def __init__(self, plugin: Description, reader: Reader, kept: Mapping[str, Any], forms: _Plain) -> None:
        self.plugin = plugin
        self.reader = reader
        self.kept = kept
        self.forms = forms
        self.losses: list[Loss] = []

    def lose(self, required: bool, rule: str, place: str, message: str, remedy: str) -> None:
        """What cannot be sent at all: without it the call fails if it is required, else only it is left out."""
        message += "" if required else ": left out"
        self.losses.append(Loss("error" if required else "warning", rule, place, message, remedy))

    def warn(self, rule: str, place: str, message: str, remedy: str) -> None:
        self.losses.append(Loss("warning", rule, place, message, remedy))

    def operation(self, tool: Tool, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
        if method not in METHODS:
            self.lose(True, "methods", "", f"Its method is {method.upper()}", "Use GET, POST, PUT, PATCH or DELETE.")  # fmt: skip
            return {}
        for server in as_list(operation.get("servers"))[:1]:
            if urljoin(f"{self.plugin.base_url}/", server["url"]).rstrip("/") != self.plugin.base_url:
                remedy = "Give the host a document of its own for that server."
                message = f"It has a server of its own, {server['url']}, and only one is read"
                self.lose(True, "servers", "", message, remedy)
        out = {
            key: value
            for key, value in operation.items()
            if key not in ("parameters", "requestBody", "servers")
        }
        out |= {"operationId": tool.name, self.reader.said: tool.description or tool.name}
        parameters = [it for p in as_list(operation.get("parameters")) if (it := self._parameter(p))]
        if parameters:
            out["parameters"] = parameters
        names = {parameter["name"] for parameter in parameters}
        if body := mapping(operation.get("requestBody")):
            out |= {"requestBody": made} if (made := self._body(body, method, names)) else {}
        out["responses"] = self._responses(mapping(operation.get("responses")))
        if refused := self.reader.answers(out["responses"]):
            remedy = "Answer a JSON object with declared fields and status 200: a model as return type."
            self.losses.append(Loss(refused[0], "answers", "/responses", refused[1], remedy))
        return out

    def _plain(self, schema: Any, *, null: bool) -> dict[str, Any]:
        key = id(schema), null
        if key not in self.forms:
            self.forms[key] = plain(schema, self.kept, null=null)
        return {**self.forms[key]}

    # -- parameters -----------------------------------------------------------

    def _parameter(self, parameter: Mapping[str, Any]) -> dict[str, Any] | None:
        name, place = parameter["name"], parameter["in"]
        required = parameter.get("required") is True
        if place not in self.reader.sends:
            remedy = "Take it in the query or the body, or give it a default."
            self.lose(required, place, "/parameters", f"{name!r} is a {place}, which the host does not send", remedy)  # fmt: skip
            return None
        schema = self._plain(parameter.get("schema"), null=False)  # no place but a body has null
        for content in mapping(parameter.get("content")).values():
            inner = self._plain(mapping(content).get("schema"), null=False)
            schema = described({"type": "string"}, f"JSON text of {in_words(inner)}")
        if schema.get("type") == "object":
            remedy = "Take its fields as parameters of their own, or in the body."
            self.lose(required, "objects", "/parameters", f"{name!r} is an object in the {place}", remedy)
            return None
        if schema.get("type") == "array":
            schema = self._list(name, parameter, schema)
        if parameter.get("description"):
            schema["description"] = parameter["description"]
        if place in self.reader.empty and not required and "default" not in schema:
            remedy = "Give it a default in the code: an empty text where nothing was said, a number."
            message = f"{name!r} is sent empty where a model leaves it out"
            if schema.get("type") != "string" or schema.keys() & {"enum", "format", "pattern", "minLength"}:
                self.lose(False, "empty", "/parameters", f"{message}, which it does not take", remedy)
                return None
            self.warn("empty", "/parameters", message, remedy)
        schema = self.reader.parameter(worded(schema, self.reader.follows_in_parameters))
        out = {key: parameter[key] for key in ("name", "in", "required") if key in parameter}
        if schema.get("description"):  # some hosts read it here, others in the schema
            out["description"] = schema["description"]
        return {**out, "schema": schema}

    def _list(self, name: str, parameter: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        """A list as the host sends it: as it is, as one text with commas, or one value of it."""
        items = mapping(schema.get("items"))
        place, style = parameter["in"], parameter.get("style", "form")
        apart = place == "query" and style == "form" and parameter.get("explode", True)
        if apart and self.reader.lists:
            return schema
        if not apart and style in ("form", "simple"):
            return described({"type": "string"}, f"Separated by commas: {in_words(schema)}")
        self.warn(
            "lists",
            "/parameters",
            f"Of the list {name!r} in the {place} the host sends one value",
            "Take the list in the body of a POST, or as one text with commas.",
        )
        return {
            key: value for key, value in {**schema, **items}.items() if key in items or key == "description"
        }

    # -- bodies ---------------------------------------------------------------

    def _body(self, body: Mapping[str, Any], method: str, names: set[str]) -> dict[str, Any] | None:
        place, required = "/requestBody", body.get("required") is True
        media_type, media = next(iter(mapping(body.get("content")).items()), ("", {}))
        if method == "get":
            self.lose(required, "get", place, "It is a GET with a body", "Use POST, or take it in the query.")
            return None
        kind = essence(media_type)
        kind = JSON if kind.endswith("+json") or kind in ("*/*", "application/*") else kind
        if kind not in self.reader.bodies:
            remedy = "Take JSON: a model, or Annotated[T, Body()]; of a file its text, or its address."
            self.lose(required, "bodies", place, f"Its body is {media_type}, which the host does not send", remedy)  # fmt: skip
            return None
        schema = self._plain(mapping(media).get("schema"), null=self.reader.null)
        if schema.get("type") == "object" and schema.get("properties"):
            schema["properties"] = self._fields(schema, names, kind != JSON)
        elif not self.reader.whole:
            is_list = schema.get("type") == "array"
            message = f"Its body is {'a list' if is_list else in_words(schema)}, and a model is offered only the fields of an object"
            remedy = "Take it as a field: Annotated[..., Body(embed=True)], or in a model."
            self.lose(required, "whole", place, message, remedy)
            return None
        else:
            schema = self.reader.property(worded(schema, self.reader.follows))
        out: dict[str, Any] = {"content": {kind: {**mapping(media), "schema": schema}}}
        return out | {key: body[key] for key in ("required", "description") if key in body}

    def _fields(self, schema: dict[str, Any], names: set[str], in_form: bool) -> dict[str, Any]:
        place, needed = "/requestBody", as_list(schema.get("required"))
        fields = {}
        for name, item in schema["properties"].items():
            required = name in needed
            if _is_file(item):
                message = f"{name!r} is a file"
                remedy = "Take its text, or the address from which the plugin can fetch it."
                if not self.reader.files:
                    self.lose(required, "files", place, f"{message}, which the host cannot send", remedy)
                    continue
                self.warn(
                    "files",
                    place,
                    f"{message}, which a workflow of the host can send and a model cannot",
                    remedy,
                )
            elif in_form and item.get("type") in ("array", "object"):
                message = f"{name!r} is {'a list' if item['type'] == 'array' else 'an object'} in a form, which the host does not send as one"
                self.lose(required, "forms", place, message, "Take JSON.")
                continue
            elif item.get("type") == "object" and not item.get("properties") and not self.reader.open:
                message = f"{name!r} is an object whose fields are not declared, and the host sends only declared ones"
                self.lose(
                    required,
                    "open",
                    place,
                    message,
                    "Declare its fields in a model, or take a list of pairs.",
                )
                continue
            if name in names and not self.reader.same_names:
                message = f"A parameter and a field of its body are both called {name!r}, of which the host sends one"
                self.lose(True, "same_names", place, message, "Rename one of them.")
            fields[name] = self.reader.property(worded(item, self.reader.follows))
        return fields

    # -- answers --------------------------------------------------------------

    def _responses(self, responses: Mapping[str, Any]) -> dict[str, Any]:
        out = {}
        for status, response in responses.items():
            content = {
                kind: {**media, "schema": self._plain(media["schema"], null=self.reader.null)}
                if "schema" in media
                else dict(media)
                for kind, media in mapping(response.get("content")).items()
            }
            out[status] = {**response, **({"content": content} if content else {})}
        return out


def _is_file(schema: Mapping[str, Any]) -> bool:
    forms = [schema, mapping(schema.get("items")), *as_list(schema.get("anyOf"))]
    return any(form.get("format") == "binary" for form in forms)
