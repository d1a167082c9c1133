"""Swagger 2.0's parameters, bodies, answers and servers in the words of OpenAPI 3.

Operations are converted when they are read, one by one. References stay as they are written: what they
lead to is where it was. The same words in an OpenAPI 3 document (`in: body`, `type` beside `in`) are a
common slip, and read in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What Swagger 2.0 writes beside `in`, and OpenAPI 3 inside `schema`.
_OF_SCHEMA = (
    "type", "format", "items", "default", "enum", "maximum", "exclusiveMaximum", "minimum",
    "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems",
    "multipleOf", "x-nullable",
)  # fmt: skip
# collectionFormat -> style, explode. Tabs have no style of their own.
_STYLES = {
    "csv": ("", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
_FLOWS = {
    "implicit": "implicit",
    "password": "password",
    "application": "clientCredentials",
    "accessCode": "authorizationCode",
}


def is_schemaless(parameter: Mapping[str, Any]) -> bool:
    """Whether the type stands beside `in`, as Swagger 2.0 has it."""
    return (
        "schema" not in parameter and "content" not in parameter and bool({"type", "enum"} & parameter.keys())
    )


def parameter(given: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of Swagger 2.0 as one of OpenAPI 3."""
    out = {key: value for key, value in given.items() if key not in _OF_SCHEMA and key != "collectionFormat"}
    out["schema"] = {key: given[key] for key in _OF_SCHEMA if key in given}
    if given.get("type") == "array":
        style, explode = _STYLES.get(str(given.get("collectionFormat")), ("", False))
        out["explode"] = explode
        if style and given.get("in") == "query":
            out["style"] = style
    return out


def body(given: list[Mapping[str, Any]], consumes: list[str]) -> dict[str, Any] | None:
    """The `requestBody` that parameters in `body` or `formData` stand for; None without any."""
    for it in given:
        if it.get("in") == "body":
            media = {"schema": it.get("schema", {})}
            return {
                "description": it.get("description"),
                "required": it.get("required") is True,
                "content": dict.fromkeys(consumes or ["application/json"], media),
            }
    form = [it for it in given if it.get("in") == "formData" and "name" in it]
    if not form:
        return None
    properties: dict[str, Any] = {}
    for it in form:
        lifted = parameter(it)["schema"]
        if isinstance(it.get("description"), str):
            lifted["description"] = it["description"]
        properties[str(it["name"])] = lifted
    multipart = any(it.get("type") == "file" for it in form) or consumes == ["multipart/form-data"]
    required = [str(it["name"]) for it in form if it.get("required") is True]
    schema = {"type": "object", "properties": properties, "required": required}
    encoding = {
        str(it["name"]): {"style": "form", "explode": it.get("collectionFormat") == "multi"}
        for it in form
        if it.get("type") == "array" and not multipart
    }
    media_type = "multipart/form-data" if multipart else "application/x-www-form-urlencoded"
    return {"required": bool(required), "content": {media_type: {"schema": schema, "encoding": encoding}}}


def response(given: Mapping[str, Any], produces: list[str]) -> Mapping[str, Any]:
    """A response of Swagger 2.0 as one of OpenAPI 3."""
    if "schema" not in given:
        return given
    media = {"schema": given["schema"]}
    out = {key: value for key, value in given.items() if key not in ("schema", "examples")}
    return {**out, "content": dict.fromkeys(produces or ["application/json"], media)}


def servers(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """The `servers` that `schemes`, `host` and `basePath` stand for, https first."""
    host, base = document.get("host"), document.get("basePath")
    base = base if isinstance(base, str) else ""
    if not isinstance(host, str) or not host:
        return [{"url": base}] if base.strip("/") else []
    schemes = document.get("schemes")
    known = [it for it in schemes if it in ("https", "http")] if isinstance(schemes, list) else []
    return [{"url": f"{scheme}://{host}{base}"} for scheme in sorted(known, reverse=True) or ["https"]]


def security_scheme(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `securityDefinitions` entry as one of `securitySchemes`."""
    if given.get("type") == "basic":
        return {"type": "http", "scheme": "basic", "description": given.get("description", "")}
    if given.get("type") != "oauth2":
        return given
    urls = {key: given[key] for key in ("authorizationUrl", "tokenUrl") if key in given}
    flow = _FLOWS.get(str(given.get("flow")), "authorizationCode")
    return {"type": "oauth2", "flows": {flow: {**urls, "scopes": given.get("scopes", {})}}}
