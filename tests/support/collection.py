"""Specs and manifests to test a rule on: a few small ones written here, and the corpus if it is available.

The small ones contain what real ones contain: references, circles, unions, every location and style of a
parameter, three kinds of body, missing and duplicate names, older versions, and files that are not specs at all.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from paths import shared

RUNS = ["own", "corpus"] if shared("corpus") else ["own"]
each_run = pytest.mark.parametrize("run", RUNS)

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
FOLDER = Path(tempfile.mkdtemp(prefix="collection-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def _ref(name: str, kind: str = "schemas") -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _body(schema: Any, media: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}, **more}


def _answer(schema: Any, status: str = "200") -> dict[str, Any]:
    return {status: {"description": "", **_body(schema)}}


def _query(name: str, schema: Any, place: str = "query", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "schema": schema,
        **({"required": True} if place == "path" else {}),
        **more,
    }


def _operation(name: str, *parameters: Any, **more: Any) -> dict[str, Any]:
    fields = {"parameters": [*parameters]} if parameters else {}
    return {"operationId": name, "summary": f"What {name} does", "responses": _answer(TEXT), **fields, **more}


def _spec(paths: Any, version: str = "3.1.0", schemas: Any = None, **more: Any) -> dict[str, Any]:
    components = {"components": {"schemas": schemas}} if schemas else {}
    info = {"title": "A service", "version": "1.0.0"}
    return {"openapi": version, "info": info, "paths": paths, **components, **more}


_PET = {
    "type": "object",
    "required": ["name", "kind"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20, "description": "What it is called"},
        "kind": {"type": "string", "enum": ["cat", "dog", "fish"]},
        "born": {"type": "string", "format": "date"},
        "weight": {"type": "number", "minimum": 0, "exclusiveMaximum": 100},
        "tags": {"type": "array", "items": TEXT, "maxItems": 3, "uniqueItems": True},
        "owner": _ref("Owner"),
        "url": {"type": "string", "format": "uri"},
    },
}
_OWNER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "email": {"type": "string", "format": "email"},
    },
    "additionalProperties": False,
}
_TREE = {
    "type": "object",
    "properties": {"label": TEXT, "children": {"type": "array", "items": _ref("Tree")}},
}
_PETS = {
    "/pets": {
        "get": _operation(
            "listPets",
            _query("kind", {"type": "array", "items": {"enum": ["cat", "dog"]}}),
            _query("ids", {"type": "array", "items": WHOLE}, explode=False, style="form"),
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 50}, description="How many"),
            _query("X-Trace", TEXT, "header"),
            _query("session", TEXT, "cookie"),
            responses=_answer({"type": "array", "items": _ref("Pet")}),
        ),
        "post": _operation("addPet", requestBody=_body(_ref("Pet"), required=True), responses=_answer(_ref("Pet"), "201")),
    },
    "/pets/{pet id}/of/{owner}": {
        "parameters": [_query("pet id", WHOLE, "path"), _query("owner", TEXT, "path")],
        "get": _operation("get pet"),
        "delete": _operation("get pet", responses={"204": {"description": ""}}),
        "patch": {"requestBody": _body({"type": "object", "additionalProperties": TEXT}), "responses": {}},
    },
    "/trees": {"put": _operation("putTree", requestBody=_body(_ref("Tree")), responses=_answer(_ref("Tree")))},
}  # fmt: skip
_UNIONS = {
    "Circle": {"type": "object", "required": ["shape", "radius"], "properties": {"shape": {"const": "circle"}, "radius": {"type": "number"}}},
    "Square": {"type": "object", "required": ["shape", "side"], "properties": {"shape": {"const": "square"}, "side": {"type": "number"}}},
    "Shape": {"oneOf": [_ref("Circle"), _ref("Square")], "discriminator": {"propertyName": "shape", "mapping": {"circle": "#/components/schemas/Circle", "square": "#/components/schemas/Square"}}},
    "Named": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
    "Both": {"allOf": [_ref("Named"), {"type": "object", "properties": {"size": {"type": ["integer", "null"]}}}]},
    "Either": {"anyOf": [TEXT, {"type": "integer", "multipleOf": 5}, {"type": "null"}]},
}  # fmt: skip
_UNION_PATHS = {
    f"/{name.lower()}": {"post": _operation(f"post_{name}", requestBody=_body(_ref(name)), responses=_answer(_ref(name)))}
    for name in _UNIONS
}  # fmt: skip
_MANY = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}, "note": TEXT},
}
_BODIES = {
    "/upload": {"post": _operation("upload", requestBody=_body(_MANY, "multipart/form-data"))},
    "/form": {"post": _operation("fill_in", requestBody=_body({"type": "object", "properties": {"a": TEXT, "b": WHOLE}}, "application/x-www-form-urlencoded"))},
    "/vendor": {"post": _operation("vendor", requestBody=_body(_ref("Nullable"), "application/vnd.x+json"))},
    "/text": {"post": _operation("say", requestBody=_body(TEXT, "text/plain"))},
    "/list": {"post": _operation("list", requestBody=_body({"type": "array", "items": WHOLE, "minItems": 1}))},
    "/deep": {"get": _operation("filter", _query("filter", {"type": "object", "properties": {"a": TEXT}}, style="deepObject"))},
    "/{matrix}/{label}": {"get": _operation("odd_styles", _query("matrix", TEXT, "path", style="matrix"), _query("label", TEXT, "path", style="label"))},
}  # fmt: skip
_FLAWED = {
    "/a": {"get": {"responses": {}}, "post": {"operationId": "x" * 80, "requestBody": _ref("Gone", "requestBodies")}},
    "/b": {"get": _operation("x" * 80, _ref("Gone", "parameters"), {"name": "n"}), "trace": _operation("")},
    "/c/{missing}": {"get": _operation("ümläut 1!"), "head": _operation("c", deprecated=True)},
    "/d": {"get": _operation("d", _query("d", {"type": "date", "default": 5}), responses=None)},
    "/e": {"post": _operation("e", requestBody=_body({"$ref": "other.yaml#/Thing"}), tags=["a | b", "<i>"])},
}  # fmt: skip
_SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "Old", "version": "2"},
    "host": "old.example.com",
    "basePath": "/v1",
    "schemes": ["https"],
    "consumes": ["application/json"],
    "paths": {
        "/notes": {
            "get": {"operationId": "notes", "parameters": [{"name": "q", "in": "query", "type": "array", "items": TEXT, "collectionFormat": "csv"}], "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/Note"}}}},
            "post": {"operationId": "note", "parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Note"}}], "responses": {}},
            "put": {"operationId": "file", "consumes": ["multipart/form-data"], "parameters": [{"name": "f", "in": "formData", "type": "file"}], "responses": {}},
        }
    },
    "definitions": {"Note": {"type": "object", "properties": {"text": TEXT, "reply": {"$ref": "#/definitions/Note"}}}},
}  # fmt: skip
_YAML = """
openapi: 3.0.3
info: {title: "Weather: today", version: 1.10}
servers: [{url: "https://{region}.example.com/v1", variables: {region: {default: eu}}}]
security: [{key: []}]
paths:
  /forecast/{city}:
    get:
      operationId: forecast
      description: |
        The forecast of a city.

        With a | in it, `code`, a [link](https://example.com) and <b>tags</b>.
      parameters:
        - {name: city, in: path, required: true, schema: {type: string, pattern: "^[a-z]{2,8}$"}}
        - {name: days, in: query, required: true, schema: {type: integer, minimum: 0, exclusiveMinimum: true, maximum: 9}}
        - {name: unit, in: query, schema: {type: string, nullable: true, enum: [c, f, null]}}
        - {name: on, in: query, content: {application/json: {schema: {type: object, properties: {no: {type: boolean}}}}}}
      responses:
        200: {description: ok, content: {application/json: {schema: {type: object, properties: {items: {type: array, items: {type: object, properties: {title: {type: string}, url: {type: string}}}}}}}}}
        default: {description: wrong}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
"""
_NULLABLE = {"Nullable": {"type": "object", "properties": {"n": {"type": "string", "nullable": True}}}}

SPECS: dict[str, Any] = {
    "pets.json": _spec(_PETS, schemas={"Pet": _PET, "Owner": _OWNER, "Tree": _TREE}),
    "unions.json": _spec(_UNION_PATHS, schemas=_UNIONS),
    "bodies.json": _spec(_BODIES, "3.0.1", _NULLABLE),
    "flawed.json": _spec(_FLAWED),
    "empty.json": _spec({}),
    "swagger.json": _SWAGGER,
    "weather.yaml": _YAML,
}
NO_SPECS = {
    "page.json": "<!doctype html><title>403</title>",
    "words.yaml": "not found",
    "list.json": "[1, 2]",
    "nothing.json": "",
    "error.json": '{"message": "Forbidden"}',
}
_MANIFEST = {
    "schema_version": "v1",
    "name_for_model": "pets",
    "name_for_human": "Pets",
    "description_for_model": "Plugin for pets.",
    "description_for_human": "Pets.",
    "auth": {"type": "none"},
    "api": {"type": "openapi", "url": "https://api.example.com/openapi.json"},
    "logo_url": "https://api.example.com/logo.png",
    "contact_email": "pets@example.com",
    "legal_info_url": "https://api.example.com/legal",
}
MANIFESTS: dict[str, dict[str, Any]] = {
    "pets": _MANIFEST,
    "weather": {**_MANIFEST, "name_for_model": "weather_1", "auth": {"type": "user_http", "authorization_type": "bearer"}},
    "unions": {**_MANIFEST, "auth": {"type": "oauth", "client_url": "https://a.example/c", "authorization_url": "https://a.example/t", "scope": "", "authorization_content_type": "application/json"}},
    "swagger": {**_MANIFEST, "auth": {"type": "service_http", "authorization_type": "bearer", "verification_tokens": {"openai": "x"}}},
    "flawed": {"name_for_model": "My <script>Plugin", "description_for_model": "d" * 9000, "auth": "none", "api": {"url": 5}},
    "older": {**_MANIFEST, "schema_version": "v0", "api": {"type": "openapi", "url": "/openapi.json", "is_user_authenticated": "no"}, "logo_url": None, "extra": [1]},
}  # fmt: skip


@cache
def documents(run: str) -> list[Path]:
    """The files of the specs, and some that are not specs."""
    if run == "corpus":
        return sorted((shared("corpus", "openapi") or FOLDER).iterdir())
    for name, document in {**SPECS, **NO_SPECS}.items():
        (FOLDER / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return [FOLDER / name for name in sorted({**SPECS, **NO_SPECS})]


@cache
def manifests(run: str) -> dict[str, str]:
    """The manifests as text, each by the name of its spec, if it has one."""
    if run == "corpus":
        files = sorted((shared("corpus", "manifests") or FOLDER).iterdir())
        return {file.stem: file.read_text() for file in files}
    return {name: json.dumps(manifest) for name, manifest in MANIFESTS.items()}


# -- large ones -----------------------------------------------------------------------

AREAS = "Billing Shop Travel Garden School Clinic Library Museum Harbour Airport Farm Theatre Sports Weather Energy Media Safety Market Office Kitchen".split()
THINGS = {
    "Coupon": "a discount", "Order": "goods and a price", "Event": "a date", "Report": "pages", "Worker": "a wage",
    "Room": "a number of seats", "Ticket": "a holder", "Sensor": "a reading", "Contract": "two parties", "Photo": "a caption",
}  # fmt: skip


def large() -> dict[str, Any]:
    """A Swagger 2.0 document of 1,200 operations, with nested objects, and some that contain themselves."""
    paths: dict[str, Any] = {}
    definitions: dict[str, Any] = {
        "Rule": {"type": "object", "properties": {"name": TEXT, "parts": {"type": "array", "items": {"$ref": "#/definitions/Rule"}}}},
        "Meta": {"type": "object", "properties": {"labels": {"type": "object", "additionalProperties": TEXT}, "name": TEXT, "version": TEXT}},
    }  # fmt: skip
    for area in AREAS:
        for thing, holds in THINGS.items():
            name, about = f"{area}{thing}", f"{area.lower()} {thing.lower()}"
            fields = {
                f"field{n}": {"type": "string", "description": f"Part {n} of a {about}"} for n in range(12)
            }
            nested = {"meta": {"$ref": "#/definitions/Meta"}, "rule": {"$ref": "#/definitions/Rule"}}
            ref = {"$ref": f"#/definitions/{name}"}
            definitions[name] = {"type": "object", "properties": {**fields, **nested}}
            body = {"name": "body", "in": "body", "required": True, "schema": ref}
            identifier = {"name": "id", "in": "path", "type": "string", "required": True}

            def operation(
                verb: str, text: str, *parameters: Any, name: str = name, area: str = area, ref: Any = ref
            ) -> dict[str, Any]:
                answer = {"200": {"description": "", "schema": ref}}
                return {"operationId": f"{verb}{name}s", "tags": [area], "summary": text, "parameters": [*parameters], "responses": answer}  # fmt: skip

            paths[f"/{area}/{thing}"] = {
                "get": operation("List", f"All {about}s"),
                "post": operation("Post", f"Create a {about} with {holds}", body),
            }
            paths[f"/{area}/{thing}/{{id}}"] = {
                "get": operation("Get", f"One {about}", identifier),
                "put": operation("Put", f"Replace a {about}", identifier, body),
                "patch": operation("Change", f"Change a part of a {about}", identifier, body),
                "delete": operation("Delete", f"Remove a {about}", identifier),
            }
    info = {"title": "Everything", "version": "1"}
    return {
        "swagger": "2.0",
        "info": info,
        "host": "api.example.com",
        "paths": paths,
        "definitions": definitions,
    }
