"""Swagger 2.0, OpenAPI 3.2 and the mix-ups between the versions."""

from __future__ import annotations

from typing import Any

from kit.openapi.spec import Spec
from kit.tools.tool import make_tools

SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Pets", "version": "1"},
    "host": "api.example.com",
    "basePath": "/v1",
    "schemes": ["http", "https"],
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "securityDefinitions": {
        "basic": {"type": "basic"},
        "oauth": {"type": "oauth2", "flow": "accessCode", "authorizationUrl": "https://a", "tokenUrl": "https://t"},
    },
    "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 9, "default": 5}},
    "definitions": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
    "paths": {
        "/pets/{id}": {
            "get": {
                "operationId": "get_pet",
                "parameters": [
                    {"name": "id", "in": "path", "type": "integer", "required": True},
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}},
                    {"name": "many", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                    {"name": "pipes", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "pipes"},
                    {"$ref": "#/parameters/limit"},
                ],
                "responses": {"200": {"description": "ok", "schema": {"$ref": "#/definitions/Pet"}}},
            }
        },
        "/pets": {
            "post": {
                "operationId": "add_pet",
                "parameters": [{"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}],
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/photo": {
            "post": {
                "operationId": "add_photo",
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "photo", "in": "formData", "type": "file", "required": True},
                    {"name": "note", "in": "formData", "type": "string", "description": "What it shows."},
                ],
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/form": {
            "post": {
                "operationId": "send_form",
                "parameters": [{"name": "a", "in": "formData", "type": "array", "items": {"type": "integer"}}],
                "responses": {"200": {"description": "ok"}},
            }
        },
    },
}  # fmt: skip


def test_swagger_is_read_as_openapi() -> None:
    spec = Spec(SWAGGER)
    assert spec.problems == []
    assert spec.version == "2.0"
    assert spec.servers == ["https://api.example.com/v1", "http://api.example.com/v1"]
    assert spec.security_schemes["basic"] == {"type": "http", "scheme": "basic", "description": ""}
    assert "authorizationCode" in spec.security_schemes["oauth"]["flows"]
    tools = make_tools(spec)
    properties = tools["get_pet"].parameters["properties"]
    assert properties["id"] == {"type": "integer"}
    assert properties["limit"] == {"type": "integer", "maximum": 9, "default": 5}
    request = tools["get_pet"].request({"id": 3, "tags": ["a", "b"], "many": ["c", "d"], "pipes": ["e", "f"]})
    assert request.url == "/pets/3?tags=a,b&many=c&many=d&pipes=e%7Cf"
    assert tools["get_pet"].answer(10_000) == SWAGGER["definitions"]["Pet"]
    assert tools["add_pet"].parameters["required"] == ["name"]
    assert tools["add_pet"].request({"name": "Rex"}).body == b'{"name": "Rex"}'
    assert tools["add_photo"].parameters["properties"]["photo"] == {"type": "string", "format": "binary"}
    assert tools["add_photo"].parameters["required"] == ["photo"]
    parts = tools["add_photo"].request({"photo": b"x", "note": "n"}).files
    assert parts == [("photo", ("photo", b"x", "application/octet-stream")), ("note", (None, b"n"))]
    assert tools["send_form"].request({"a": [1, 2]}).body == b"a=1,2"


def test_swagger_keywords_in_openapi_3_are_read_and_reported() -> None:
    paths = {
        "/a": {
            "post": {
                "operationId": "a",
                "parameters": [
                    {"name": "q", "in": "query", "type": "integer"},
                    {
                        "name": "b",
                        "in": "body",
                        "schema": {"type": "object", "properties": {"x": {"type": "string"}}},
                    },
                ],
                "responses": {"200": {"description": "ok"}},
            }
        }
    }
    spec = Spec({"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "paths": paths})
    assert make_tools(spec)["a"].parameters["properties"] == {
        "q": {"type": "integer"},
        "x": {"type": "string"},
    }
    messages = " ".join(message for _, message in spec.problems)
    assert "the type of 'q' is outside its schema" in messages
    assert "in: body is Swagger 2.0" in messages


def test_openapi_3_2() -> None:
    content = {
        "application/jsonl": {"itemSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    }
    whole = {
        "name": "all",
        "in": "querystring",
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
    }
    answers = {"responses": {"200": {"description": "ok"}}}
    paths = {
        "/log": {
            "query": {"operationId": "look", "parameters": [whole], **answers},
            "additionalOperations": {"COPY": {"operationId": "copy", **answers}},
            "post": {
                "operationId": "write",
                "requestBody": {"required": True, "content": content},
                **answers,
            },
        }
    }
    spec = Spec({"openapi": "3.2.0", "info": {"title": "T", "version": "1"}, "paths": paths})
    tools = make_tools(spec)
    assert spec.problems == []
    methods = {name: tool.operation.method for name, tool in tools.items()}
    assert methods == {"look": "QUERY", "write": "POST", "copy": "COPY"}
    assert tools["look"].request({"all": {"a": "b c"}}).url == "/log?a=b+c"
    assert tools["write"].request({"body": [{"n": 1}, {"n": 2}]}).body == b'{"n": 1}\n{"n": 2}\n'


def test_the_damage_of_real_documents_is_fixed_and_listed() -> None:
    document = {
        "openapi": '"3.1.0"',
        "info": {"title": "T"},
        "extra": 1,
        "paths": {
            "no-slash": {"GET": {"operationId": "a b", "summary": "x", "colour": "red"}},
            "/x/{id}": {"parameters": {"id": 1}, "get": {"operationId": "same", "responses": {}}},
            "/y": {
                "post": {
                    "operationId": "same",
                    "requestBody": {
                        "schema": {"type": "dict", "properties": {"when": {"type": "date", "required": True}}}
                    },
                },
                "put": {
                    "operationId": "bare",
                    "requestBody": {
                        "content": {
                            "application/json": {"type": "object", "properties": {"n": {"type": "int"}}}
                        }
                    },
                },
            },
        },
    }
    spec = Spec(document)
    tools = make_tools(spec)
    assert list(tools) == ["a_b", "same", "same_2", "bare"]
    assert tools["a_b"].request({}).url == "/no-slash"
    assert tools["same"].parameters["required"] == ["id"]
    assert tools["same_2"].parameters["required"] == ["when"]
    assert tools["same_2"].parameters["properties"]["when"] == {"type": "string", "format": "date"}
    assert tools["bare"].parameters["properties"] == {"n": {"type": "integer"}}
    messages = "\n".join(f"{place}: {message}" for place, message in spec.problems)
    for words in (
        """/openapi: is '"3.1.0"', not a version of OpenAPI 3: read as 3.1""",
        "/info: has no 'version'",
        ": has the unknown key 'extra'",
        "/paths/no-slash: the path does not begin with '/'",
        "/paths/no-slash/GET: the method is not in lower case",
        "/paths/no-slash/GET: has the unknown key 'colour'",
        "/paths/no-slash/GET/operationId: 'a b' is not a legal",
        "/paths/~1x~1{id}/parameters: is dict, not a list",
        "the path parameter 'id' is not declared",
        "/paths/~1y/post/operationId: 'same' occurs twice: named 'same_2'",
        "has a schema without a media type",
        "has its schema in place of the media type object",
        "required is set at the property 'when'",
        "type 'date' is not one of JSON Schema",
        "has no 'responses'",
    ):
        assert words in messages, words
