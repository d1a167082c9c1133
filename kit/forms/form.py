"""What a form needs to know about an operation: its schema, where each argument goes, what is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi.operation import Body, Operation, is_json
from kit.openapi.values import mapping
from kit.redaction import is_hidden
from kit.tools.locations import is_lines
from kit.tools.tool import Tool

_TEXTS = ("application/x-www-form-urlencoded", "multipart/", "text/")  # bodies that are no file


def about(tool: Tool, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A tool for `static/form.js`, as JSON has it. `values` are filled in, over the example of the spec.

    `schema` is the JSON Schema (2020-12) of the arguments, `places` says where in the request each goes, as the operation
    names it (None: it is the whole body), `secret` are the names whose values are never written down.
    """
    operation = tool.operation
    body = operation.body
    schema = tool.parameters
    places = {}
    for name, argument in tool.arguments.items():
        place = argument.parameter
        places[name] = (
            {
                "in": place.location,
                "name": place.name,
                "style": place.style,
                "explode": place.explode,
                "json": bool(place.media_type),
            }
            if place
            else {"in": "body", "name": argument.key}
        )
        if body is not None and place is None and argument.key is None and not _is_text(body):
            own = {**argument.schema, "contentMediaType": body.media_type}
            schema = {**schema, "properties": {**schema["properties"], name: own}}
    return {
        "operation": operation.id,
        "method": operation.method,
        "path": operation.address,
        "summary": operation.summary,
        "text": tool.description,
        "deprecated": operation.deprecated,
        "schema": schema,
        "places": places,
        "media_type": body.media_type if body else "",
        "secret": sorted(_secret(schema)),
        "values": {**_example(tool), **(values or {})},
    }


def _is_text(body: Body) -> bool:
    kind = body.media_type
    return is_json(kind) or is_lines(kind) or kind.startswith(_TEXTS)


def authorization(operation: Operation) -> list[dict[str, str]]:
    """Where a browser puts the token of an operation, for `static/direct.js`; empty if anyone may call it.

    Of several alternatives the first; `scheme` is that of the header `Authorization`, if it is that.
    """
    first = next((mapping(one) for one in operation.security if one), {})
    found = []
    for name in first:
        scheme = mapping(operation.spec.security_schemes.get(str(name)))
        if scheme.get("type") == "apiKey":
            found.append({"in": str(scheme.get("in")), "name": str(scheme.get("name")), "scheme": ""})
        else:
            kind = "basic" if str(scheme.get("scheme")).lower() == "basic" else "bearer"
            found.append({"in": "header", "name": "Authorization", "scheme": kind})
    return found


def _secret(schema: Any) -> set[str]:
    """The names of secrets among all members that a schema speaks of."""
    found, waiting = set(), [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            found |= {str(name) for name in mapping(node.get("properties")) if is_hidden(str(name)[-128:])}
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found


def _example(tool: Tool) -> dict[str, Any]:
    """The example of the body that its author wrote, by argument."""
    operation = tool.operation
    body = operation.body
    if body is None:
        return {}
    declared = mapping(operation.spec.resolve(operation.raw.get("requestBody")))
    media = mapping(mapping(declared.get("content")).get(body.media_type))
    schema = mapping(operation.spec.resolve(body.schema))
    named = [mapping(it).get("value") for it in mapping(media.get("examples")).values()]
    listed = schema.get("examples")
    written = [media.get("example"), *named, *(listed if isinstance(listed, list) else [])]
    example = next((it for it in [*written, schema.get("example")] if isinstance(it, Mapping)), {})
    keys = {argument.key: name for name, argument in tool.arguments.items() if argument.key is not None}
    return {keys[key]: value for key, value in example.items() if key in keys}
