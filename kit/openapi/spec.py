"""An OpenAPI document: OpenAPI 3.0, 3.1, 3.2 or Swagger 2.0, its references followed.

Nothing usable in a document is refused: what had to be fixed or left out is listed in
`Spec.problems`, and one broken operation never affects the others.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from kit.errors import SpecError
from kit.openapi import swagger
from kit.openapi import views as spec_views
from kit.openapi.documents import NO_SPEC, parse
from kit.openapi.operation import Operation
from kit.openapi.values import as_list, mapping, pointer_token, unique

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
VERSIONS = ("3.0", "3.1", "3.2")
MAX_REFS = 100  # references followed in a row, before they count as leading nowhere

_ROOT_KEYS = (
    "openapi", "$self", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security",
    "tags", "externalDocs",
)  # fmt: skip
_ROOT_KEYS_OF_SWAGGER = (
    "swagger", "info", "host", "basePath", "schemes", "consumes", "produces", "paths", "definitions",
    "parameters", "responses", "securityDefinitions", "security", "tags", "externalDocs",
)  # fmt: skip
_PATH_KEYS = ("$ref", "summary", "description", "servers", "parameters", "additionalOperations")

Problem = tuple[str, str]  # (JSON pointer, what was wrong and what became of it)


class Spec:
    """A document that was read. `document` is the parsed mapping, `source` says where it came from.

    `version` is "2.0" for Swagger, else "3.0", "3.1" or "3.2".
    """

    def __init__(self, document: Mapping[str, Any], source: str = "the document") -> None:
        self.document = document
        self.source = source
        self._problems: dict[Problem, None] = {}
        self._targets: dict[str, Any] = {}  # by reference
        self.version = self._read_version()
        self._note_slips()

    @classmethod
    def read(cls, text: str | bytes, source: str = "the document") -> Spec:
        """Reads JSON or YAML. Raises `SpecError` if it is not an OpenAPI document at all."""
        return cls(parse(text, source), source)

    @property
    def title(self) -> str:
        return str(mapping(self.document.get("info")).get("title", ""))

    @property
    def description(self) -> str:
        return str(mapping(self.document.get("info")).get("description") or "")

    @property
    def servers(self) -> list[str]:
        """The URLs of `servers`, their variables filled with the defaults."""
        own = swagger.servers(self.document) if self.version == "2.0" else self.document.get("servers")
        return server_urls(own)

    @property
    def security_schemes(self) -> dict[str, Mapping[str, Any]]:
        """The security schemes of the document, by name."""
        if self.version == "2.0":
            definitions = mapping(self.document.get("securityDefinitions"))
            return {str(name): swagger.security_scheme(mapping(item)) for name, item in definitions.items()}
        schemes = mapping(mapping(self.document.get("components")).get("securitySchemes"))
        return {str(name): self.resolve(scheme) for name, scheme in schemes.items()}

    @property
    def is_fastapi(self) -> bool:
        """Whether FastAPI wrote the document: its answer to wrong arguments is among the schemas."""
        return "HTTPValidationError" in mapping(mapping(self.document.get("components")).get("schemas"))

    @property
    def problems(self) -> list[Problem]:
        """What had to be fixed or left out. Problems inside schemas appear once tools are made of them."""
        for operation in self.operations.values():
            with contextlib.suppress(Exception):  # what cannot be read at all is reported when tools are made
                _ = operation.parameters, operation.body
        return list(self._problems)

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """The operations by id, in the order of the document."""
        by_id: dict[str, Operation] = {}
        for path, where, item, key, node in self._nodes():
            pointer = f"{where}/{pointer_token(key)}"
            identifier = node.get("operationId")
            if not isinstance(identifier, str | int) or not str(identifier).strip():
                identifier = "_".join(re.findall(r"[A-Za-z0-9]+", f"{key.lower()} {path}"))
                self.problem(pointer, f"has no operationId: named {identifier!r}")
            name = str(identifier).strip()
            if name in by_id:
                other = unique(name, by_id)
                self.problem(f"{pointer}/operationId", f"{name!r} occurs twice: named {other!r}")
                name = other
            method = key.rpartition("/")[2]
            by_id[name] = Operation(self, name, method, path, item, node, pointer)
        return by_id

    def _nodes(self) -> Iterator[tuple[str, str, Mapping[str, Any], str, Mapping[str, Any]]]:
        """(path, its pointer, path item, method, operation) for everything that is an operation."""
        paths = self.document.get("paths")
        for raw_path, declared in mapping(paths).items():
            path, where = str(raw_path), f"/paths/{pointer_token(raw_path)}"
            if path.startswith("x-"):
                continue
            if not path.startswith("/"):
                self.problem(where, "the path does not begin with '/': read as if it did")
                path = f"/{path}"
            item = self.resolve(declared, where)
            if not isinstance(declared, Mapping):
                self.problem(where, f"is {type(declared).__name__}, not a mapping: left out")
            for key, node in item.items():
                name = str(key).lower()
                if name not in METHODS:
                    if key not in _PATH_KEYS and not str(key).startswith("x-"):
                        self.problem(where, f"has the unknown key {str(key)!r}: ignored")
                elif not isinstance(node, Mapping):
                    self.problem(f"{where}/{key}", f"is {type(node).__name__}, not a mapping: left out")
                else:
                    if key != name:
                        self.problem(f"{where}/{key}", "the method is not in lower case: read anyway")
                    yield path, where, item, str(key), node
            for key, node in mapping(item.get("additionalOperations")).items():  # OpenAPI 3.2
                if isinstance(node, Mapping) and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", str(key)):
                    yield path, where, item, f"additionalOperations/{key}", node

    def _read_version(self) -> str:
        declared = self.document.get("openapi")
        if declared is None and "swagger" in self.document:
            version = str(self.document["swagger"]).strip()
            if not version.startswith("2"):
                raise SpecError(
                    f"{self.source} is Swagger {version}: the kit reads Swagger 2.0 and OpenAPI 3.",
                    "Convert it first, for example at https://converter.swagger.io.",
                    source=self.source,
                )
            return "2.0"
        if declared is None:
            if not isinstance(self.document.get("paths"), Mapping):
                raise SpecError(
                    f"{self.source} has neither 'openapi' nor 'paths': its keys are "
                    f"{', '.join(str(key)[:40] for key in list(self.document)[:8]) or 'none'}.",
                    NO_SPEC,
                    source=self.source,
                )
            self.problem("/openapi", "is missing: read as 3.1")
            return "3.1"
        match = re.search(r"\d+\.\d+", str(declared))
        version = match[0] if match and match[0] in VERSIONS else "3.1"
        if not isinstance(declared, str) or not re.fullmatch(r"3\.[012]\.\d+(-.+)?", declared):
            self.problem("/openapi", f"is {declared!r}, not a version of OpenAPI 3: read as {version}")
        return version

    def _note_slips(self) -> None:
        info = self.document.get("info")
        for key in ("title", "version"):
            value = mapping(info).get(key)
            if value is None:
                self.problem("/info", f"has no {key!r}: not needed here")
            elif not isinstance(value, str):
                self.problem(f"/info/{key}", f"is {value!r}, not text: read anyway")
        if not isinstance(self.document.get("paths"), Mapping):
            self.problem("/paths", "is missing: no operations")
        allowed = _ROOT_KEYS_OF_SWAGGER if self.version == "2.0" else _ROOT_KEYS
        self.note_servers("", self.document.get("servers"))
        for key in self.document:
            if key not in allowed and not str(key).startswith("x-"):
                self.problem("", f"has the unknown key {str(key)!r}: ignored")

    def note_servers(self, pointer: str, servers: Any) -> None:
        """Notes the servers of a place that cannot be called, since their variables have no value."""
        for number, url, missing in _filled(servers):
            if missing:
                names = ", ".join(map(repr, missing))
                message = (
                    f"{url!r} has no value for {names}: not called; pass base_url= with the whole address"
                )
                self.problem(f"{pointer}/servers/{number}", message)

    # -- references -----------------------------------------------------------

    def resolve(self, node: Any, pointer: str = "") -> Mapping[str, Any]:
        """`node`, or what its `$ref` leads to; if that is nothing, an empty mapping and a noted problem."""
        for _ in range(MAX_REFS):
            if not isinstance(node, Mapping) or not isinstance(node.get("$ref"), str):
                return mapping(node)
            target = self.lookup(node["$ref"])
            if target is None:
                break
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            node = {**target, **siblings} if siblings and isinstance(target, Mapping) else target
        self.dangling(pointer, node["$ref"])
        return {}

    def dangling(self, pointer: str, ref: str) -> None:
        """Notes a reference that cannot be followed."""
        if ref.startswith("#"):
            self.problem(pointer, f"$ref {ref!r} leads nowhere: anything is allowed there")
        else:
            self.problem(
                pointer,
                f"$ref {ref!r} leads to another document, which is not fetched unless you ask for it "
                "(follow_refs=True): anything is allowed there",
            )

    def lookup(self, ref: str) -> Any:
        """What a reference inside the document points to, else None. Others are not fetched."""
        if ref not in self._targets:
            self._targets[ref] = self._lookup(ref) if ref.startswith("#") else None
        return self._targets[ref]

    def _lookup(self, ref: str) -> Any:
        node: Any = self.document
        for token in ref[1:].split("/")[1:]:
            token = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and token in node:
                node = node[token]
            elif isinstance(node, list) and token.isdecimal() and int(token[:9]) < len(node):
                node = node[int(token[:9])]
            elif isinstance(node, Mapping) and token.isdecimal() and int(token[:9]) in node:
                node = node[int(token[:9])]  # a status code, which is a number in YAML
            else:
                return None
        return node

    def problem(self, pointer: str, message: str) -> None:
        """Notes what had to be fixed or left out, once."""
        self._problems[pointer, message] = None

    def __repr__(self) -> str:
        return spec_views.spec_text(self)

    def _repr_html_(self) -> str:
        return spec_views.spec_table(self)


def server_urls(servers: Any) -> list[str]:
    """The URLs of a `servers` list that can be called: their variables filled with the defaults, else the first value."""
    return [url for _, url, missing in _filled(servers) if not missing]


def _filled(servers: Any) -> Iterator[tuple[int, str, list[str]]]:
    """(number, URL, the variables without a value) of each server."""
    for number, server in enumerate(as_list(servers)):
        url = mapping(server).get("url")
        if not isinstance(url, str):
            continue
        for name, variable in mapping(mapping(server).get("variables")).items():
            value = mapping(variable).get("default", next(iter(as_list(mapping(variable).get("enum"))), None))
            if value is not None and not (value == "" and f"//{{{name}}}" in url):  # a host cannot be empty
                url = url.replace(f"{{{name}}}", str(value))
        yield number, url.strip(), re.findall(r"\{([^{}]*)\}", url)
