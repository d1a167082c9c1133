"""Swagger 2.0's parameters, bodies, responses and servers, converted to OpenAPI 3.

Operations are converted when they are read, one by one. References stay as written: their targets stay in
place. The same keywords in an OpenAPI 3 document (`in: body`, `type` beside `in`) are a common mistake, and
read in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi import bodies

# What Swagger 2.0 has beside `in`, and OpenAPI 3 inside `schema`.
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
    """Whether the type is beside `in`, as in Swagger 2.0."""
    return (
        "schema" not in parameter and "content" not in parameter and bool({"type", "enum"} & parameter.keys())
    )


def parameter(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of Swagger 2.0 as one of OpenAPI 3."""
    out = {key: value for key, value in raw.items() if key not in _OF_SCHEMA and key != "collectionFormat"}
    out["schema"] = {key: raw[key] for key in _OF_SCHEMA if key in raw}
    if raw.get("type") == "array":
        style, explode = _STYLES.get(str(raw.get("collectionFormat")), ("", False))
        out["explode"] = explode
        if style and raw.get("in") == "query":
            out["style"] = style
    return out


def body(parameters: list[Mapping[str, Any]], consumes: list[str]) -> dict[str, Any] | None:
    """The `requestBody` that parameters in `body` or `formData` stand for; None without any."""
    for raw in parameters:
        if raw.get("in") == "body":
            media = {"schema": raw.get("schema", {})}
            return {
                "description": raw.get("description"),
                "required": raw.get("required") is True,
                bodies.NAME: raw.get("name"),
                "content": dict.fromkeys(consumes or ["application/json"], media),
            }
    form = [raw for raw in parameters if raw.get("in") == "formData" and "name" in raw]
    if not form:
        return None
    properties: dict[str, Any] = {}
    for field in form:
        schema = parameter(field)["schema"]
        if isinstance(field.get("description"), str):
            schema["description"] = field["description"]
        properties[str(field["name"])] = schema
    multipart = any(field.get("type") == "file" for field in form) or consumes == ["multipart/form-data"]
    required = [str(field["name"]) for field in form if field.get("required") is True]
    schema = {"type": "object", "properties": properties, "required": required}
    encoding = {
        str(field["name"]): {"style": "form", "explode": field.get("collectionFormat") == "multi"}
        for field in form
        if field.get("type") == "array" and not multipart
    }
    media_type = "multipart/form-data" if multipart else "application/x-www-form-urlencoded"
    return {"required": bool(required), "content": {media_type: {"schema": schema, "encoding": encoding}}}


def response(raw: Mapping[str, Any], produces: list[str]) -> Mapping[str, Any]:
    """A response of Swagger 2.0 as one of OpenAPI 3."""
    if "schema" not in raw:
        return raw
    media = {"schema": raw["schema"]}
    out = {key: value for key, value in raw.items() if key not in ("schema", "examples")}
    return {**out, "content": dict.fromkeys(produces or ["application/json"], media)}


def servers(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """The `servers` that `schemes`, `host` and `basePath` stand for, https first."""
    host, base = document.get("host"), document.get("basePath")
    base = base if isinstance(base, str) else ""
    if not isinstance(host, str) or not host:
        return [{"url": base}] if base.strip("/") else []
    schemes = document.get("schemes")
    schemes = schemes if isinstance(schemes, list) else []
    known = [scheme for scheme in schemes if scheme in ("https", "http")]
    return [{"url": f"{scheme}://{host}{base}"} for scheme in sorted(known, reverse=True) or ["https"]]


def security_scheme(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `securityDefinitions` entry as one of `securitySchemes`."""
    if raw.get("type") == "basic":
        return {"type": "http", "scheme": "basic", "description": raw.get("description", "")}
    if raw.get("type") != "oauth2":
        return raw
    urls = {key: raw[key] for key in ("authorizationUrl", "tokenUrl") if key in raw}
    flow = _FLOWS.get(str(raw.get("flow")), "authorizationCode")
    return {"type": "oauth2", "flows": {flow: {**urls, "scopes": raw.get("scopes", {})}}}
