"""OpenAPI 3.0.3 for its readers: what a schema becomes, what cannot be said, and that the whole corpus stays valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from collection import documents, each_run
from jsonschema import Draft4Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV30SpecValidator
from openapi_spec_validator.schemas import schema_v2, schema_v30, schema_v31

from kit.errors import SpecError
from kit.openapi.documents import parse
from kit.openapi.version30 import lowered

STRING: dict[str, Any] = {"type": "string"}


def made(schema: Any, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    operation = {"operationId": "x", "requestBody": {"required": True, "content": content}, "responses": {"200": {"description": "ok"}}}  # fmt: skip
    info = {"title": "T", "version": "1"}
    return {"openapi": version, "info": info, "paths": {"/x": {"post": {**operation, **more.pop("operation", {})}}}, **more}  # fmt: skip


def body_of(document: dict[str, Any]) -> tuple[Any, list[str]]:
    out, problems = lowered(document)
    assert list(OpenAPIV30SpecValidator(out).iter_errors()) == []
    content = out["paths"]["/x"]["post"]["requestBody"]["content"]
    return content["application/json"]["schema"], [message for _, message in problems]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "N"}, {"type": "integer", "nullable": True, "title": "N"}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"], "minLength": 1}, {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}),
        ({"anyOf": [STRING, {"type": "integer"}, {"type": "null"}]}, {"anyOf": [STRING, {"type": "integer"}], "nullable": True}),
        ({"type": "null"}, {"enum": [None], "nullable": True}),
        ({"const": "a"}, {"enum": ["a"], "type": "string"}),
        ({"enum": ["a", None]}, {"enum": ["a", None], "type": "string", "nullable": True}),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9.5}, {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9.5, "exclusiveMaximum": True}),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": 1}, {"type": "integer", "minimum": 5}),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"type": "string", "contentMediaType": "application/octet-stream"}, {"type": "string", "format": "binary"}),
        ({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}, {"type": "string", "format": "byte"}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "object", "properties": {"a": True, "b": False}}, {"type": "object", "properties": {"a": {}, "b": {"not": {}}}}),
        ({"type": "object", "additionalProperties": {"type": ["integer", "null"]}}, {"type": "object", "additionalProperties": {"type": "integer", "nullable": True}}),
    ],
)  # fmt: skip
def test_what_3_0_says_otherwise(schema: Any, expected: Any) -> None:
    assert body_of(made(schema)) == (expected, [])


@pytest.mark.parametrize(
    ("schema", "expected", "problem"),
    [
        ({"type": "array", "prefixItems": [STRING, {"type": "integer"}], "items": False}, {"type": "array", "items": {"anyOf": [STRING, {"type": "integer"}]}, "maxItems": 2}, "no tuples"),
        ({"type": "object", "patternProperties": {"^a": STRING}}, {"type": "object"}, "no patternProperties"),
        ({"if": STRING, "then": {"maxLength": 2}}, {}, "no if, then"),
        ({"type": "string", "contentMediaType": "application/json"}, STRING, "no contentMediaType"),
        ({"type": "integer | string"}, STRING, "'integer | string' is not one of JSON Schema: read as string"),
        ({"type": "int"}, {"type": "integer"}, "'int' is not one of JSON Schema: read as integer"),
        ({"type": "boolean", "default": "no"}, {"type": "boolean"}, "the default 'no' is not one of the allowed values"),
        ({"type": "string", "enum": ["a", "a"]}, {"type": "string", "enum": ["a"]}, "there twice"),
    ],
)  # fmt: skip
def test_what_3_0_cannot_say_is_told(schema: Any, expected: Any, problem: str) -> None:
    lower, problems = body_of(made(schema))
    assert lower == expected
    (only,) = problems
    assert problem in only


def test_references_are_written_out_but_for_those_that_lead_back_to_themselves() -> None:
    ref = "#/components/schemas/"
    schemas = {
        "Priority": {"type": "string", "enum": ["low", "high"]},
        "Task": {"type": "object", "properties": {"priority": {"$ref": f"{ref}Priority", "description": "how soon"}}},
        "Tree": {"type": "object", "properties": {"task": {"$ref": f"{ref}Task"}, "more": {"type": "array", "items": {"$ref": f"{ref}Tree"}}}},
    }  # fmt: skip
    task = {"type": "object", "properties": {"priority": {"type": "string", "enum": ["low", "high"], "description": "how soon"}}}  # fmt: skip
    assert body_of(made({"$ref": f"{ref}Task"}, components={"schemas": schemas})) == (task, [])
    out, _ = lowered(
        made({"anyOf": [{"$ref": f"{ref}Tree"}, {"type": "null"}]}, components={"schemas": schemas})
    )
    assert list(OpenAPIV30SpecValidator(out).iter_errors()) == []
    tree = {"type": "object", "properties": {"task": task, "more": {"type": "array", "items": {"$ref": f"{ref}Tree"}}}}  # fmt: skip
    assert out["components"] == {"schemas": {"Tree": tree}}
    schema = out["paths"]["/x"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"allOf": [{"$ref": f"{ref}Tree"}], "nullable": True}


def test_references_that_would_be_too_much_stay() -> None:
    fan = {f"S{n}": {"type": "object", "properties": {k: {"$ref": f"#/components/schemas/S{n + 1}"} for k in "abcdefgh"}} for n in range(40)}  # fmt: skip
    document = made({"$ref": "#/components/schemas/S0"}, components={"schemas": {**fan, "S40": STRING}})
    assert len(json.dumps(lowered(document)[0])) < 10 * len(json.dumps(document))


def test_a_discriminator_becomes_the_values_that_choose() -> None:
    ref = "#/components/schemas/"
    pets = {name: {"type": "object", "properties": {"kind": STRING, name: STRING}} for name in ("Cat", "Dog")}
    choice = {"oneOf": [{"$ref": f"{ref}Cat"}, {"$ref": f"{ref}Dog"}], "discriminator": {"propertyName": "kind", "mapping": {"cat": f"{ref}Cat"}}}  # fmt: skip
    schema, problems = body_of(made(choice, components={"schemas": pets}))
    assert problems == []
    chosen = [part["allOf"][1]["properties"]["kind"]["enum"] for part in schema["oneOf"]]
    assert chosen == [["cat"], ["Dog"]]


def test_what_3_0_has_no_word_for_is_left_out_and_told() -> None:
    parameters = [
        {"name": "limit", "in": "query", "schema": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        {"name": "all", "in": "querystring", "content": {"application/json": {"schema": {}}}},
    ]
    answers = {"200": {"description": ""}, "422": {"description": "wrong"}}
    schemes = {"tls": {"type": "mutualTLS"}, "key": {"type": "http", "scheme": "bearer"}}
    document = made(
        {"type": "object"},
        operation={"parameters": parameters, "responses": answers, "security": [{"tls": []}]},
        components={"securitySchemes": schemes},
        webhooks={"w": {}},
        jsonSchemaDialect="https://json-schema.org/draft/2020-12/schema",
    )
    document["info"] |= {"summary": "s", "license": {"name": "MIT", "identifier": "MIT"}}
    document["paths"]["/x"]["query"] = {"responses": {}}
    out, problems = lowered(document)
    assert list(OpenAPIV30SpecValidator(out).iter_errors()) == []
    operation = out["paths"]["/x"]["post"]
    assert operation["parameters"] == [{"name": "limit", "in": "query", "schema": {"type": "integer"}}]
    assert operation["responses"] == {"200": {"description": "Success."}}
    assert out["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert {place for place, _ in problems} == {
        "/webhooks",
        "/paths/~1x/query",
        "/paths/~1x/post",
        "/paths/~1x/post/security",
        "/components/securitySchemes/tls",
    }


def is_valid(document: dict[str, Any]) -> bool:
    version = str(document.get("openapi") or "2")
    if version.startswith("3.1"):
        return Draft202012Validator(schema_v31).is_valid(document)
    return Draft4Validator(schema_v30 if version.startswith("3.0") else schema_v2).is_valid(document)


@each_run
def test_what_was_valid_is_valid(run: str) -> None:
    valid = 0
    for file in documents(run):
        try:
            document = parse(file.read_bytes(), file.name)
            out, _ = lowered(document)
        except SpecError:
            continue  # no OpenAPI document
        out = json.loads(json.dumps(out))
        if is_valid(out):
            valid += 1
        else:
            assert not is_valid(json.loads(json.dumps(document, default=str))), file.name
    assert valid >= {"own": 5, "corpus": 790}[run]


def test_an_extension_stays_unless_it_refers_to_what_is_not_there() -> None:
    refers = {"x-more": {"$ref": "#/components/schemas/More"}}
    document = made({"type": "string", "x-unit": "m", **refers}, operation={"x-rank": 1, **refers})
    document["components"] = {"schemas": {"More": STRING}}
    assert body_of(document) == ({"type": "string", "x-unit": "m"}, [])
    assert "x-more" not in json.dumps(lowered(document))


@pytest.mark.parametrize("name", ["default", "example", "examples", "enum", "const", "$ref"])
def test_a_property_may_have_the_name_of_a_keyword(name: str) -> None:
    """What is below `properties` is a schema whatever its name; only the keyword itself holds data."""
    inner = {"type": "object", "properties": {"n": {"type": "integer"}}, "default": {"$ref": "#/nowhere"}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "paths": {
            "/a": {
                "post": {
                    "operationId": "a",
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {name: {"$ref": "#/components/schemas/X"}},
                                }
                            }
                        }
                    },
                    "responses": {"200": {"description": ""}},
                }
            }
        },
        "components": {"schemas": {"X": inner}},
    }
    made, problems = lowered(document)
    schema = made["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"][name]["properties"] == {"n": {"type": "integer"}}
    assert problems == []
