"""An OpenAPI document of anyone's: read from JSON or YAML, its references followed, its operations walked.

Nothing of a stranger's document is refused that can be used: what had to be mended or left out is
listed in `Spec.problems`, and one broken operation never takes the others with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from kit.errors import SpecError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOCATIONS = ("path", "query", "header", "cookie")
# OpenAPI 3.1, Parameter Object: definitions of these headers shall be ignored.
IGNORED_HEADERS = ("accept", "content-type", "authorization")
NO_SPEC = "An OpenAPI document is a JSON or YAML mapping with 'openapi' and 'paths'. Is the address right?"

Problem = tuple[str, str]  # (JSON pointer, what was wrong and what became of it)


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
    media_type: str = ""  # where the value is given as `content`, JSON in most cases


@dataclass
class Body:
    """The request body of an operation, in the media type that the kit would send."""

    media_type: str
    schema: Any = field(default_factory=dict)
    required: bool = False
    description: str = ""
    encoding: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Operation:
    """One operation, read from a document. `pointer` is its place there."""

    id: str
    method: str
    path: str
    summary: str = ""
    description: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    body: Body | None = None
    tags: list[str] = field(default_factory=list)
    deprecated: bool = False
    consequential: bool = True
    servers: list[Any] = field(default_factory=list)
    responses: Mapping[str, Any] = field(default_factory=dict)
    pointer: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    spec: Spec = field(kw_only=True, compare=False)

    def __repr__(self) -> str:
        from kit import display

        return display.operation_text(self)

    def _repr_html_(self) -> str:
        from kit import display

        return display.operation_card(self)


class Spec:
    """A read document. `document` is the parsed mapping, `source` says where it came from."""

    def __init__(self, document: Mapping[str, Any], source: str = "the document") -> None:
        self.document = document
        self.source = source
        self.problems: list[Problem] = []
        self._check()

    @classmethod
    def read(cls, text: str | bytes, source: str = "the document") -> Spec:
        """Reads JSON or YAML. Raises `SpecError` for what is no OpenAPI document at all."""
        return cls(parse(text, source), source)

    def _check(self) -> None:
        if "swagger" in self.document:
            raise SpecError(
                f"{self.source} is Swagger {self.document['swagger']}, not OpenAPI 3.",
                "Convert it first: https://converter.swagger.io does.",
                source=self.source,
            )
        paths = self.document.get("paths")
        if "openapi" not in self.document and not isinstance(paths, Mapping):
            raise SpecError(
                f"{self.source} has neither 'openapi' nor 'paths': its keys are "
                f"{', '.join(map(str, list(self.document)[:8])) or 'none'}.",
                NO_SPEC,
                source=self.source,
            )

    @property
    def title(self) -> str:
        return str(_mapping(self.document.get("info")).get("title", ""))

    @property
    def description(self) -> str:
        return str(_mapping(self.document.get("info")).get("description") or "")

    @property
    def servers(self) -> list[str]:
        """The URLs of `servers`, their variables filled with the defaults."""
        return server_urls(self.document.get("servers"))

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """The operations by id, in the order of the document."""
        found: dict[str, Operation] = {}
        for path, item in _mapping(self.document.get("paths")).items():
            where = f"/paths/{_escape(path)}"
            item = self.resolve(item, where)
            for method in item:
                if method not in METHODS or not isinstance(item[method], Mapping):
                    continue
                pointer = f"{where}/{method}"
                try:
                    operation = self._operation(str(path), method, item, pointer)
                except Exception as error:  # a stranger's document may hold anything anywhere
                    self.problems.append((pointer, f"cannot be read, left out: {error}"))
                    continue
                if operation.id in found:
                    unique = _unique(operation.id, found)
                    self.problems.append(
                        (
                            f"{pointer}/operationId",
                            f"{operation.id!r} occurs twice: named {unique!r}",
                        )
                    )
                    operation.id = unique
                found[operation.id] = operation
        return found

    def _operation(self, path: str, method: str, item: Mapping[str, Any], pointer: str) -> Operation:
        node = item[method]
        identifier = node.get("operationId")
        if not isinstance(identifier, str) or not identifier.strip():
            identifier = "_".join(re.findall(r"[A-Za-z0-9]+", f"{method} {path}"))
            self.problems.append((pointer, f"has no operationId: named {identifier!r}"))
        consequential = node.get("x-openai-isConsequential")
        return Operation(
            id=identifier.strip(),
            method=method.upper(),
            path=path,
            summary=_text(node.get("summary") or item.get("summary")),
            description=_text(node.get("description") or item.get("description")),
            parameters=self._parameters(path, item, node, pointer),
            body=self._body(node.get("requestBody"), f"{pointer}/requestBody"),
            tags=[str(tag) for tag in _list(node.get("tags"))],
            deprecated=node.get("deprecated") is True,
            # developers.openai.com/api/docs/actions/production: absent means GET false, all else true.
            consequential=consequential if isinstance(consequential, bool) else method != "get",
            servers=_list(node.get("servers")) or _list(item.get("servers")),
            responses=_mapping(node.get("responses")),
            pointer=pointer,
            raw=node,
            spec=self,
        )

    def _parameters(
        self, path: str, item: Mapping[str, Any], node: Mapping[str, Any], pointer: str
    ) -> list[Parameter]:
        merged: dict[tuple[str, str], Parameter] = {}
        for raw in [*_list(item.get("parameters")), *_list(node.get("parameters"))]:
            given = self.resolve(raw, pointer)
            location = given.get("in")
            if location not in LOCATIONS or "name" not in given:
                self.problems.append(
                    (pointer, f"a parameter without a name or place is left out: {given!r:.80}")
                )
                continue
            name = str(given["name"])
            if location == "header" and name.lower() in IGNORED_HEADERS:
                continue
            media_type, schema = "", given.get("schema", {})
            if isinstance(given.get("content"), Mapping) and given["content"]:
                media_type, content = next(iter(given["content"].items()))
                schema = _mapping(content).get("schema", {})
            style = given.get("style") or ("form" if location in ("query", "cookie") else "simple")
            explode = given.get("explode")
            merged[location, name] = Parameter(
                name=name,
                location=location,
                required=location == "path" or given.get("required") is True,
                schema=schema,
                description=_text(given.get("description")),
                style=style,
                explode=explode if isinstance(explode, bool) else style == "form",
                allow_reserved=given.get("allowReserved") is True,
                media_type=media_type,
            )
        for name in re.findall(r"{([^{}]+)}", path):
            if ("path", name) not in merged:
                self.problems.append((pointer, f"the path parameter {name!r} is not declared: read as text"))
                merged["path", name] = Parameter(
                    name, "path", required=True, schema={"type": "string"}, style="simple"
                )
        return [p for p in merged.values() if p.location != "path" or f"{{{p.name}}}" in path]

    def _body(self, raw: Any, pointer: str) -> Body | None:
        given = self.resolve(raw, pointer)
        content = _mapping(given.get("content"))
        if not content:
            return None
        media_type = min(content, key=_preference)
        chosen = _mapping(content[media_type])
        return Body(
            media_type=str(media_type),
            schema=chosen.get("schema", {}),
            required=given.get("required") is True,
            description=_text(given.get("description")),
            encoding=_mapping(chosen.get("encoding")),
        )

    def resolve(self, node: Any, pointer: str = "") -> Mapping[str, Any]:
        """`node`, or what its `$ref` leads to; an empty mapping, and a problem, where that is nothing."""
        seen: list[str] = []
        while isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
            ref = node["$ref"]
            target = self.lookup(ref) if ref not in seen else None
            if target is None:
                self.problem(pointer, f"$ref {ref!r} leads nowhere: anything is allowed there")
                return {}
            seen.append(ref)
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            node = {**target, **siblings} if siblings and isinstance(target, Mapping) else target
        return _mapping(node)

    def lookup(self, ref: str) -> Any:
        """What a reference inside the document points to; None if nothing. Others are not fetched."""
        if not ref.startswith("#"):
            return None
        node: Any = self.document
        for token in ref[1:].split("/")[1:]:
            token = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and token in node:
                node = node[token]
            elif isinstance(node, list) and token.isdigit() and int(token) < len(node):
                node = node[int(token)]
            else:
                return None
        return node

    def problem(self, pointer: str, message: str) -> None:
        """Notes what had to be mended or left out, once."""
        if (pointer, message) not in self.problems:
            self.problems.append((pointer, message))

    def __repr__(self) -> str:
        from kit import display

        return display.spec_text(self)

    def _repr_html_(self) -> str:
        from kit import display

        return display.spec_table(self)


def parse(text: str | bytes, source: str = "the document") -> dict[str, Any]:
    """The mapping that a JSON or YAML text holds. Raises `SpecError` with the reason if it holds none."""
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", errors="replace")
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise SpecError(f"{source} is empty.", NO_SPEC, source=source)
    if text[:1] == "<":
        raise SpecError(
            f"{source} is an HTML or XML page, not JSON or YAML: {text[:60]!r}.",
            NO_SPEC,
            source=source,
        )
    try:
        data = json.loads(text)
    except RecursionError:
        raise SpecError(f"{source} is nested too deeply to be read.", NO_SPEC, source=source) from None
    except ValueError:
        data = _parse_yaml(text, source)
    if not isinstance(data, dict):
        raise SpecError(f"{source} holds {type(data).__name__}, not a mapping.", NO_SPEC, source=source)
    return data


def _parse_yaml(text: str, source: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_yaml_loader())
    except yaml.YAMLError as error:
        raise SpecError(
            f"{source} is neither JSON nor YAML: {' '.join(str(error).split())}.",
            NO_SPEC,
            source=source,
        ) from None
    except RecursionError:
        raise SpecError(f"{source} is nested too deeply to be read.", NO_SPEC, source=source) from None


def _yaml_loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """YAML as JSON has it: dates stay text, and only true and false are booleans."""

    Loader.yaml_implicit_resolvers = {
        first: [
            (tag, regexp) for tag, regexp in resolvers if tag.rsplit(":", 1)[1] not in ("timestamp", "bool")
        ]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tfTF"
    )
    return Loader


def server_urls(servers: Any) -> list[str]:
    """The URLs of a `servers` list, their variables filled with the defaults."""
    urls = []
    for server in servers if isinstance(servers, list) else []:
        url = _mapping(server).get("url")
        if not isinstance(url, str):
            continue
        for name, variable in _mapping(_mapping(server).get("variables")).items():
            url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
        urls.append(url)
    return urls


def is_json(media_type: str) -> bool:
    """Whether a body of this media type is JSON; `*/*` counts, since JSON is what every API takes."""
    essence = media_type.split(";")[0].strip().lower()
    return essence in ("application/json", "*/*", "text/json") or essence.endswith("+json")


def _preference(media_type: str) -> int:
    if is_json(media_type):
        return 0
    order = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
    essence = media_type.split(";")[0].strip().lower()
    return order.index(essence) + 1 if essence in order else len(order) + 1


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _escape(token: Any) -> str:
    return str(token).replace("~", "~0").replace("/", "~1")


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
