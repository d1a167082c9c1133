"""Any document as OpenAPI 3.0.3, for readers that know no other: Microsoft's parser, most low-code hosts.

They read literally: `anyOf` with null becomes `nullable`, a reference is written out unless it leads back to itself or
would make the document too large, and of the answers those stay that a call hopes for. What 3.0 cannot say is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi import bodies
from kit.openapi.operation import Operation, Parameter
from kit.openapi.schema30 import Lowering, extensions
from kit.openapi.spec import Problem, Spec
from kit.openapi.values import as_list, mapping, text

VERSION = "3.0.3"
METHODS = (
    "GET",
    "PUT",
    "POST",
    "DELETE",
    "OPTIONS",
    "HEAD",
    "PATCH",
    "TRACE",
)  # OpenAPI 3.0, Path Item Object
WRITTEN_OUT = (100, 10, 0)  # schemas within one that is written out: as many as MAX_SCHEMAS allows
MAX_SCHEMAS = 50_000  # in the document. Stripe's comes to 30,000, Kubernetes' would come to 300,000

_SCHEMES = {  # OpenAPI 3.0, Security Scheme Object: what each kind has
    "apiKey": ("name", "in"),
    "http": ("scheme", "bearerFormat"),
    "oauth2": ("flows",),
    "openIdConnect": ("openIdConnectUrl",),
}
_FLOWS = {  # and each OAuth flow must have, beside its scopes
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
}


def lowered(
    document: Mapping[str, Any], servers: list[Any] | None = None, names: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """The document in OpenAPI 3.0.3, and what that cannot say. `servers` take the place of its own.

    `names` are operationIds by the operations' JSON pointers, where others are needed than the document's.

    It may be OpenAPI 3.0 to 3.2 or Swagger 2.0, and as broken as `Spec` takes it. Nothing of it is changed.
    """
    spec = Spec(document)
    for most in WRITTEN_OUT:
        writer = _Writer(spec, most, names or {})
        made = writer.document(servers)
        if writer.schemas.total <= MAX_SCHEMAS:
            break
    return made, list(writer.schemas.problems)


class _Writer:
    """Writes one document; `most` is how many schemas one has at most that is written out."""

    def __init__(self, spec: Spec, most: int, names: Mapping[str, str]) -> None:
        self.spec = spec
        self.names = names
        self.schemas = Lowering(spec, most)
        self.schemes: dict[str, dict[str, Any]] = {}

    def document(self, servers: list[Any] | None) -> dict[str, Any]:
        source = self.spec.document
        for name, scheme in self.spec.security_schemes.items():
            self._scheme(name, scheme)
        if source.get("webhooks"):
            self.schemas.problem("/webhooks", "OpenAPI 3.0 has no webhooks: left out")
        out: dict[str, Any] = {"openapi": VERSION, "info": self._info(mapping(source.get("info")))}
        own = _servers(
            [{"url": url} for url in self.spec.servers] if "swagger" in source else source.get("servers")
        )
        if servers or own:
            out["servers"] = _servers(servers) if servers else own
        out["paths"] = self._paths()
        components: dict[str, Any] = {}
        if self.schemas.kept:
            components["schemas"] = self.schemas.kept
        if self.schemes:
            components["securitySchemes"] = self.schemes
        if components:
            out["components"] = components
        security = self._security(source, "")
        if security is not None:
            out["security"] = security
        tags = {
            text(tag.get("name")): text(tag.get("description"))
            for tag in map(mapping, as_list(source.get("tags")))
        }
        if tags := {name: about for name, about in tags.items() if name}:
            out["tags"] = [
                {"name": name} | ({"description": about} if about else {}) for name, about in tags.items()
            ]
        return out

    def _info(self, info: Mapping[str, Any]) -> dict[str, Any]:
        about = text(info.get("description")) or text(info.get("summary"))
        out = {"title": str(info.get("title") or "API"), "version": str(info.get("version") or "1.0.0")}
        out |= {"description": about} if about else {}
        out |= {"termsOfService": info["termsOfService"]} if text(info.get("termsOfService")) else {}
        contact = {
            key: it for key in ("name", "url", "email") if (it := text(mapping(info.get("contact")).get(key)))
        }
        return out | ({"contact": contact} if contact else {})

    # -- operations -----------------------------------------------------------

    def _paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for operation in self.spec.operations.values():
            if operation.method not in METHODS:
                self.schemas.problem(
                    operation.pointer, f"OpenAPI 3.0 has no method {operation.method}: left out"
                )
                continue
            # without the placeholders of a query, unless only they distinguish two operations
            method = operation.method.lower()
            path = operation.address if method not in paths.get(operation.address, {}) else operation.path
            paths.setdefault(path, {})[method] = self._operation(operation)
        return paths

    def _operation(self, operation: Operation) -> dict[str, Any]:
        out: dict[str, Any] = {"operationId": self.names.get(operation.pointer, operation.id)}
        for key in ("summary", "description", "tags", "deprecated"):
            if getattr(operation, key):
                out[key] = getattr(operation, key)
        out |= extensions(operation.raw)
        parameters = [it for p in operation.parameters if (it := self._parameter(p, operation.pointer))]
        if parameters:
            out["parameters"] = parameters
        if operation.body is not None:
            out["requestBody"] = self._body(operation)
        out["responses"] = self._responses(operation)
        if servers := _servers(operation.servers):
            out["servers"] = servers
        if "security" in operation.raw:
            security = self._security(operation.raw, operation.pointer)
            out |= {"security": security} if security is not None else {}
        return out

    def _parameter(self, parameter: Parameter, pointer: str) -> dict[str, Any] | None:
        if parameter.location == "querystring":
            self.schemas.problem(
                pointer, f"OpenAPI 3.0 has no place for {parameter.name!r}, a whole query: left out"
            )
            return None
        out: dict[str, Any] = {"name": parameter.name, "in": parameter.location}
        out |= {"description": parameter.description} if parameter.description else {}
        out |= {"required": True} if parameter.required else {}
        out |= {"allowEmptyValue": True} if parameter.allow_empty and parameter.location == "query" else {}
        # without null, which no URL and no header can hold
        schema = {k: v for k, v in self.schemas.lower(parameter.schema, pointer).items() if k != "nullable"}
        if parameter.media_type:
            return {**out, "content": {parameter.media_type: {"schema": schema}}}
        style = "form" if parameter.style == "cookie" else parameter.style
        if style != ("simple" if parameter.location in ("path", "header") else "form"):
            out["style"] = style
        if parameter.explode != (style == "form"):
            out["explode"] = parameter.explode
        out |= {"allowReserved": True} if parameter.allow_reserved and parameter.location == "query" else {}
        return {**out, "schema": schema}

    def _body(self, operation: Operation) -> dict[str, Any]:
        body = operation.body
        assert body is not None  # noqa: S101 - for mypy: never false
        if operation.method in ("GET", "HEAD", "DELETE", "TRACE"):
            problem = (
                f"OpenAPI 3.0 gives the body of a {operation.method} no meaning: its readers may leave it out"
            )
            self.schemas.problem(f"{operation.pointer}/requestBody", problem)
        schema = self.schemas.lower(body.schema, f"{operation.pointer}/requestBody")
        if not body.required:
            schema = {key: value for key, value in schema.items() if key != "nullable"}
        media = {"schema": schema} | ({"encoding": dict(body.encoding)} if body.encoding else {})
        out: dict[str, Any] = {"content": {body.media_type: media}}
        out |= {"required": True} if body.required else {}
        out |= {bodies.NAME: body.name} if body.name else {}
        return out | ({"description": body.description} if body.description else {})

    def _responses(self, operation: Operation) -> dict[str, Any]:
        """Those of a call that succeeds: many readers refuse, or are confused by, errors beside them."""
        good = {
            status: it for status, it in operation.responses.items() if status[:1] == "2" and len(status) == 3
        }
        out = {}
        for status, response in (good or {"200": operation.responses.get("default", {})}).items():
            about = text(response.get("description")) or "Success."
            content = {
                str(kind): {
                    "schema": self.schemas.lower(mapping(media)["schema"], f"{operation.pointer}/responses")
                }
                for kind, media in mapping(response.get("content")).items()
                if "schema" in mapping(media)
            }
            out[status.upper()] = {"description": about} | ({"content": content} if content else {})
        return out

    # -- security -------------------------------------------------------------

    def _scheme(self, name: str, scheme: Mapping[str, Any]) -> None:
        kind = str(scheme.get("type"))
        known = {key: scheme[key] for key in _SCHEMES.get(kind, ()) if key in scheme}
        if kind == "http":
            known["scheme"] = str(
                known.get("scheme")
            ).lower()  # RFC 7235 ignores case, Microsoft's parser does not
        if kind == "oauth2":
            flows = {
                flow: {key: mine[key] for key in (*needed, "refreshUrl") if key in mine}
                | {"scopes": {str(k): str(v) for k, v in mapping(mine.get("scopes")).items()}}
                for flow, needed in _FLOWS.items()
                if (mine := mapping(mapping(scheme.get("flows")).get(flow)))
                and all(key in mine for key in needed)
            }
            known = {"flows": flows} if flows else {}
        if not known:
            problem = f"OpenAPI 3.0 has no security scheme like {name!r} ({kind}): left out"
            self.schemas.problem(f"/components/securitySchemes/{name}", problem)
            return
        about = text(scheme.get("description"))
        self.schemes[name] = {"type": kind, **known} | ({"description": about} if about else {})

    def _security(self, node: Mapping[str, Any], pointer: str) -> list[Any] | None:
        """The alternatives that 3.0 can name; None where nothing is said, or nothing of it can be."""
        if "security" not in node:
            return None
        wanted = [need for need in as_list(node["security"]) if isinstance(need, Mapping)]
        known = [
            {str(name): as_list(scopes) for name, scopes in need.items()}
            for need in wanted
            if all(name in self.schemes for name in need)
        ]
        if wanted and not known:
            self.schemas.problem(
                f"{pointer}/security", "asks for a scheme that OpenAPI 3.0 cannot name: left out"
            )
            return None
        return known


def _servers(servers: Any) -> list[dict[str, Any]]:
    """`servers` with what 3.0 knows of them."""
    out = []
    for server in map(mapping, as_list(servers)):
        if not isinstance(server.get("url"), str):
            continue
        made: dict[str, Any] = {"url": server["url"]}
        made |= {"description": server["description"]} if text(server.get("description")) else {}
        variables = {
            str(name): {"default": str(mapping(it).get("default", ""))}
            | ({"enum": [str(value) for value in it["enum"]]} if as_list(mapping(it).get("enum")) else {})
            for name, it in mapping(server.get("variables")).items()
        }
        out.append(made | ({"variables": variables} if variables else {}))
    return out
