"""GPT Actions: the OpenAPI document as the GPT builder requires it.

OpenAI calls Actions legacy, and retires custom GPTs in favour of plugins with an MCP server: for affected
Enterprise workspaces on 11 December 2026 (help.openai.com/en/articles/9442513).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from kit.addresses import NOWHERE, host_of, is_private
from kit.auth import NoAuth, OAuth
from kit.hosts.findings import Finding
from kit.hosts.texts import cut, texts_too_long
from kit.openapi import bodies
from kit.openapi.operation import Parameter
from kit.openapi.values import mapping, text
from kit.openapi.version30 import METHODS, lowered
from kit.tools.schemas import Converter

if TYPE_CHECKING:
    from kit.description import Description
    from kit.tools.tool import Tool

TITLE = "GPT Actions (being retired)"
FILE = "openapi.json"
HOST = "actions"
_finding = partial(Finding, HOST)
MAX_ABOUT = 300  # characters of an operation's summary or description
MAX_PARAMETER = 700  # of a parameter's description
MANY = 30  # operations

_PRODUCTION = "https://developers.openai.com/api/docs/actions/production"
_FILES = "https://developers.openai.com/api/docs/actions/sending-files"
_AUTH = "https://developers.openai.com/api/docs/actions/authentication"
_NO_TEXT = "no official text: users report that the builder takes 30"


def render(plugin: Description) -> dict[str, Any]:
    """An OpenAPI 3.0.3 document, valid for every plugin: fixed, its texts cut to the builder's limits.

    It is pasted into the builder, or imported by its URL: one file, which names no other. OpenAI's own examples are of
    3.0 and of 3.1, and who reads either reads 3.0. It has one server, legal operationIds, `x-openai-isConsequential` on every operation and the manifest's auth
    as its security scheme. Headers and cookies are left out: the builder sends none.
    """
    converter = Converter(plugin.spec, "#/components/schemas/", inline=0, hidden="")
    paths: dict[str, dict[str, Any]] = {}
    for tool in plugin.by_name.values():
        operation = tool.operation
        if operation.method in METHODS:
            # without the placeholders of a query, unless only they distinguish two operations
            free = operation.method.lower() not in paths.get(operation.address, {})
            path = operation.address if free else operation.path
            rendered = _operation(tool, converter)
            if (base := plugin.base_of(tool)) != plugin.base_url:
                rendered["servers"] = [{"url": base}]
            paths.setdefault(path, {})[operation.method.lower()] = rendered
    info = mapping(plugin.spec.document.get("info"))
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": plugin.spec.title or plugin.manifest.name_for_human or plugin.name,
            "description": plugin.manifest.description_for_model or plugin.spec.description,
            "version": text(info.get("version")) or "1.0.0",
        },
        "servers": [{"url": plugin.base_url}],
        "paths": paths,
    }
    components: dict[str, Any] = {}
    schemas = converter.definitions(list(converter.names))
    if schemas:
        components["schemas"] = schemas
    scheme = _security_scheme(plugin)
    if scheme:
        components["securitySchemes"] = {"auth": scheme}
        document["security"] = [{"auth": []}]
    if components:
        document["components"] = components
    return lowered(document)[0]


def _operation(tool: Tool, converter: Converter) -> dict[str, Any]:
    operation = tool.operation
    document: dict[str, Any] = {"operationId": tool.name}
    for key in ("summary", "description"):
        if getattr(operation, key):
            document[key] = cut(getattr(operation, key), MAX_ABOUT)
    if operation.tags:
        document["tags"] = operation.tags
    if operation.deprecated:
        document["deprecated"] = True
    document["x-openai-isConsequential"] = operation.consequential
    if operation.raw.get("security") == []:  # open, beside others that are not
        document["security"] = []
    parameters = [
        _parameter(parameter, converter, operation.pointer)
        for parameter in operation.parameters
        if parameter.location in ("path", "query")
    ]
    if parameters:
        document["parameters"] = parameters
    body = operation.body
    if body is not None:
        schema = converter.convert(body.schema, f"{operation.pointer}/requestBody").schema
        media = {"schema": schema, **({"encoding": body.encoding} if body.encoding else {})}
        document["requestBody"] = {"required": body.required, "content": {body.media_type: media}}
        document["requestBody"] |= {bodies.NAME: body.name} if body.name else {}
        if body.description:
            document["requestBody"]["description"] = body.description
    responses = {}
    for status, response in operation.responses.items():
        if status == "default" or (status[:1] in "12345" and len(status) == 3):
            responses[status if status == "default" else status.upper()] = _response(
                response, converter, operation.pointer
            )
    document["responses"] = responses or {"200": {"description": "Success."}}
    return document


def _parameter(parameter: Parameter, converter: Converter, pointer: str) -> dict[str, Any]:
    schema = converter.convert(parameter.schema, pointer).schema
    document: dict[str, Any] = {"name": parameter.name, "in": parameter.location}
    if parameter.description:
        document["description"] = cut(parameter.description, MAX_PARAMETER)
    if parameter.required:
        document["required"] = True
    if parameter.media_type:
        return {**document, "content": {parameter.media_type: {"schema": schema}}}
    usual = "simple" if parameter.location == "path" else "form"
    if parameter.style != usual:
        document["style"] = parameter.style
    if parameter.explode != (parameter.style == "form"):
        document["explode"] = parameter.explode
    if parameter.allow_reserved:
        document["allowReserved"] = True
    return {**document, "schema": schema}


def _response(response: Mapping[str, Any], converter: Converter, pointer: str) -> dict[str, Any]:
    document: dict[str, Any] = {"description": text(response.get("description"))}
    content = {
        str(media_type): {
            "schema": converter.convert(mapping(media)["schema"], f"{pointer}/responses").schema
        }
        for media_type, media in mapping(response.get("content")).items()
        if "schema" in mapping(media)
    }
    return {**document, "content": content} if content else document


def _security_scheme(plugin: Description) -> dict[str, Any]:
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth):
        return {}
    if isinstance(auth, OAuth):
        scopes = {scope: scope for scope in auth.scope.split()}
        flow = {"authorizationUrl": auth.client_url, "tokenUrl": auth.authorization_url, "scopes": scopes}
        return {"type": "oauth2", "flows": {"authorizationCode": flow}}
    return {"type": "http", "scheme": auth.authorization_type}


def check(plugin: Description) -> Iterator[Finding]:
    """A finding for every documented rule of the GPT builder that the spec breaks."""
    yield from _address(plugin)
    if len(plugin.by_name) > MANY:
        message = f"There are {len(plugin.by_name)} operations; more than {MANY} may be refused."
        yield _finding("warning", "/paths", message, "Leave out what a user would not ask for.", _NO_TEXT)
    yield from texts_too_long(plugin, HOST, MAX_ABOUT, MAX_PARAMETER, _PRODUCTION)
    for name, tool in plugin.by_name.items():
        operation = tool.operation
        for parameter in operation.parameters:
            if parameter.location in ("header", "cookie", "querystring"):
                severity: Literal["error", "warning"] = "error" if parameter.required else "warning"
                place = f"{operation.pointer}/parameters"
                message = f"{parameter.name!r} is a {parameter.location}: custom headers are not supported."
                remedy = "Move it to the query or the body, or make it the API key."
                yield _finding(severity, place, message, remedy, _PRODUCTION, name)
        if operation.method not in METHODS:
            message = f"OpenAPI 3.0 has no method {operation.method}: left out."
            yield _finding("error", operation.pointer, message, "Use POST.", _PRODUCTION, name)
        body = operation.body
        if body is not None and not body.media_type.startswith(("application/", "text/")):
            message = f"The body is {body.media_type}, and only text is sent."
            remedy = "Take a file by its URL: openaiFileIdRefs."
            yield _finding("warning", f"{operation.pointer}/requestBody", message, remedy, _FILES, name)
        if tool.name != operation.id:
            message = f"{operation.id!r} is not the name of a function: {tool.name!r} is."
            remedy = "Use letters, digits, _ and -, at most 64."
            yield _finding("warning", f"{operation.pointer}/operationId", message, remedy, _PRODUCTION, name)


def _address(plugin: Description) -> Iterator[Finding]:
    base, auth = plugin.base_url, plugin.manifest.auth
    host = host_of(base)
    if base == NOWHERE:
        message = "The spec names no server."
        yield _finding("error", "/servers", message, "Add 'servers' to it, or pass base_url=.", _PRODUCTION)
    elif is_private(host):
        message = f"{base} cannot be reached from outside."
        yield _finding("error", "/servers", message, "Serve it with a public_url.", _PRODUCTION)
    elif not base.startswith("https://") or urlsplit(base).port not in (None, 443):
        message = f"{base} is not https on port 443."
        yield _finding("error", "/servers", message, "Serve it there, with a valid certificate.", _PRODUCTION)
    if isinstance(auth, OAuth):
        for url in (auth.client_url, auth.authorization_url):
            own = host_of(url).split(".")[-2:]
            allowed = [host.split(".")[-2:], *(name.split(".") for name in ("google.com", "googleapis.com", "microsoft.com", "microsoftonline.com", "adobe.com", "adobelogin.com"))]  # fmt: skip
            if own not in allowed:
                message = f"{url!r} is on another domain than {base}."
                remedy = "Sign in on the domain of the API; Google, Microsoft and Adobe may differ."
                yield _finding("error", "manifest/auth", message, remedy, _AUTH)
