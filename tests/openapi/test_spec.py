"""Documents by anyone: read, fixed if possible, else refused with a reason."""

from __future__ import annotations

import pytest
from collection import documents, each_run

import kit
from kit.openapi.documents import parse
from kit.openapi.spec import Spec

MINIMAL = """
openapi: 3.0.1
info: {title: T, version: 1.0.0}
paths:
  /a:
    get: {operationId: a, responses: {}}
"""


def spec(paths: object, **more: object) -> Spec:
    return Spec({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths, **more})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("<!doctype html><title>403</title>", "is an HTML or XML page"),
        ("[1, 2]", "holds a list, not a mapping"),
        ("just words", "holds plain text, not a mapping"),
        ("a: [1, 2", "neither JSON nor YAML"),
        ('{"message": "Forbidden"}', "has neither 'openapi' nor 'paths': its keys are message"),
        ('{"swagger": "1.2", "paths": {}}', "is Swagger 1.2"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_spec_is_an_error_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(kit.SpecError, match=reason) as caught:
        Spec.read(text, "https://x.example/openapi.json")
    assert "https://x.example/openapi.json" in str(caught.value)


def test_json_and_yaml_give_the_same() -> None:
    assert list(Spec.read(MINIMAL).operations) == ["a"]
    assert parse("\ufeff" + '{"a": 1}') == parse(b'\xef\xbb\xbf{"a": 1}') == parse("a: 1") == {"a": 1}


def test_yaml_is_read_as_json_means_it() -> None:
    text = "a: 2020-01-01\nb: on\nc: true\nd: 1.10\ne: no"
    assert parse(text) == {"a": "2020-01-01", "b": "on", "c": True, "d": 1.1, "e": "no"}


def test_an_operation_and_all_its_parts() -> None:
    document = spec(
        {
            "/users/{id}/items": {
                "summary": "Of the path",
                "parameters": [
                    {"$ref": "#/components/parameters/Id"},
                    {"name": "q", "in": "query", "description": "old"},
                ],
                "post": {
                    "operationId": "addItem",
                    "description": "Adds.",
                    "tags": ["items"],
                    "parameters": [
                        {
                            "name": "q",
                            "in": "query",
                            "description": "new",
                            "required": True,
                            "style": "pipeDelimited",
                        },
                        {"name": "Authorization", "in": "header"},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                        {
                            "name": "filter",
                            "in": "query",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        },
                    ],
                    "requestBody": {"$ref": "#/components/requestBodies/Item"},
                    "responses": {"200": {"description": "ok"}},
                    "x-openai-isConsequential": False,
                },
            }
        },
        components={
            "parameters": {
                "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
            },
            "requestBodies": {
                "Item": {
                    "required": True,
                    "content": {"text/plain": {}, "application/json": {"schema": {"type": "object"}}},
                }
            },
        },
    )
    operation = document.operations["addItem"]
    assert (operation.method, operation.summary, operation.description) == ("POST", "Of the path", "Adds.")
    assert [(p.name, p.location, p.required) for p in operation.parameters] == [
        ("id", "path", True),
        ("q", "query", True),
        ("X-Trace", "header", False),
        ("filter", "query", False),
    ]
    assert operation.parameters[1].description == "new"
    assert operation.parameters[1].explode is False
    assert operation.parameters[3].media_type == "application/json"
    assert operation.body is not None
    assert operation.body.media_type == "application/json"
    assert operation.consequential is False
    assert document.problems == []


@pytest.mark.parametrize(
    ("method", "consequential"), [("get", False), ("post", True), ("delete", True), ("put", True)]
)
def test_what_is_consequential_by_default(method: str, consequential: bool) -> None:
    operation = spec({"/a": {method: {"operationId": "a"}}}).operations["a"]
    assert operation.consequential is consequential


def test_real_world_damage_is_fixed_and_listed() -> None:
    document = spec(
        {
            "/a/{x}": {"get": {}, "post": {"operationId": "twice"}},
            "/b": {
                "get": {"operationId": "twice"},
                "put": {"operationId": "bad", "parameters": [{"in": "query"}, 7]},
            },
            "/c": {"get": {"operationId": "c", "parameters": "nonsense", "tags": 7}},
            "/d": {"$ref": "#/nowhere"},
            "/e": None,
            "/f": {"get": {"operationId": "f", "requestBody": {"$ref": "#/components/x"}}},
        }
    )
    assert list(document.operations) == ["get_a_x", "twice", "twice_2", "bad", "c", "f"]
    assert [p.name for p in document.operations["get_a_x"].parameters] == ["x"]
    text = "\n".join(f"{place} {message}" for place, message in document.problems)
    for message in (
        "/paths/~1a~1{x}/get has no operationId: named 'get_a_x'",
        "the path parameter 'x' is not declared",
        "'twice' occurs twice: named 'twice_2'",
        "a parameter without a name or a place is left out",
        "'#/nowhere' leads nowhere",
        "'#/components/x' leads nowhere",
    ):
        assert message in text


def test_references_in_a_circle_end() -> None:
    document = spec(
        {"/a": {"get": {"operationId": "a", "parameters": [{"$ref": "#/components/parameters/A"}]}}},
        components={
            "parameters": {
                "A": {"$ref": "#/components/parameters/B"},
                "B": {"$ref": "#/components/parameters/A"},
            }
        },
    )
    assert document.operations["a"].parameters == []
    assert any("leads nowhere" in message for _, message in document.problems)


def test_a_reference_to_elsewhere_is_not_fetched() -> None:
    document = spec({"/a": {"get": {"operationId": "a", "requestBody": {"$ref": "http://127.0.0.1:1/x"}}}})
    assert document.operations["a"].body is None
    assert "http://127.0.0.1:1/x" in document.problems[0][1]


def test_servers_and_their_variables() -> None:
    document = spec(
        {},
        servers=[
            {
                "url": "https://{region}.x.example/{v}",
                "variables": {"region": {"default": "eu"}, "v": {"default": "2"}},
            },
            {},
            3,
        ],
    )
    assert document.servers == ["https://eu.x.example/2"]


@each_run
def test_every_document_is_read_or_refused_with_a_reason(run: str) -> None:
    read = refused = operations = 0
    for file in documents(run):
        if file.stat().st_size > 300_000:
            continue  # the large ones have their benchmark
        try:
            document = Spec.read(file.read_bytes(), file.name)
        except kit.SpecError as error:
            assert file.name in str(error)
            refused += 1
            continue
        operations += len(document.operations)
        read += 1
        assert repr(document)
    least = {"own": (7, 5, 30), "corpus": (601, 1, 3001)}[run]
    assert all(count >= expected for count, expected in zip((read, refused, operations), least, strict=True))


def test_a_server_without_a_value_for_its_variable_is_not_called_and_said() -> None:
    named = {"url": "https://{tenant}.example/{version}", "variables": {"version": {"default": "v1"}}}
    listed = {"url": "https://{region}.example", "variables": {"region": {"enum": ["eu", "us"]}}}
    empty = {"url": "https://{host}/{base}", "variables": {"host": {"default": ""}, "base": {"default": ""}}}
    found = spec(
        {"/a": {"get": {"servers": [named], "responses": {"200": {}}}}}, servers=[named, listed, empty]
    )
    assert found.servers == ["https://eu.example"]
    places = [(place, message.partition(" has ")[2].partition(":")[0]) for place, message in found.problems]
    assert [it for it in places if "servers" in it[0]] == [
        ("/servers/0", "no value for 'tenant'"),
        ("/servers/2", "no value for 'host'"),
        ("/paths/~1a/get/servers/0", "no value for 'tenant'"),
    ]
