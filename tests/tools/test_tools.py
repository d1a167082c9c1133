"""Tools: the schemas for a model, and the requests that its arguments become."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kit.addresses import Root
from kit.client.installed import InstalledPlugin
from kit.client.transport import Transport
from kit.manifest import Manifest
from kit.openapi.spec import Spec
from kit.tools.tool import Tool, legal_name, make_tools


def tool(operation: dict[str, Any], path: str = "/x", version: str = "3.1.0", **components: Any) -> Tool:
    document = {
        "openapi": version,
        "info": {"title": "T", "version": "1"},
        "paths": {path: {"post": {"operationId": "op", **operation}}},
        "components": components,
    }
    tools = make_tools(Spec(document))
    Draft202012Validator.check_schema(tools["op"].parameters)
    return tools["op"]


def query(schema: Any, **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "q", "in": "query", "schema": schema, **more}]}


def body(schema: Any, media_type: str = "application/json", required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {media_type: {"schema": schema}}}}


OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
    "required": ["a"],
}


# -- schemas ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "schema", "expected"),
    [
        ("3.0.3", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            "3.0.3",
            {"type": "string", "nullable": True, "enum": ["a"]},
            # 3.0.4: null must be among the values to be allowed
            {"type": ["string", "null"], "enum": ["a"]},
        ),
        (
            "3.0.3",
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 1},
        ),
        (
            "3.0.3",
            {"type": "integer", "maximum": 9, "exclusiveMaximum": False},
            {"type": "integer", "maximum": 9},
        ),
        (
            "3.0.3",
            {"nullable": True, "allOf": [{"type": "string"}]},
            {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ("3.1.0", {"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            "3.1.0",
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (
            "3.1.0",
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        ("3.1.0", {"const": 3}, {"const": 3}),
        ("3.0.3", {"type": "int", "x-note": 1, "example": 2, "xml": {}}, {"type": "integer"}),
        ("3.0.3", {"type": "date"}, {"type": "string", "format": "date"}),
        ("3.0.3", {"type": "float", "required": True}, {"type": "number"}),
        ("3.1.0", True, {}),
        ("3.1.0", False, {"not": {}}),
        ("3.1.0", {"type": "array"}, {"type": "array", "items": {}}),
        ("3.1.0", {"type": "array", "items": []}, {"type": "array", "items": {}}),
        (
            "3.1.0",
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
        ),
        ("3.0.3", {"type": "string", "pattern": r"^\p{L}+$", "minLength": "2"}, {"type": "string"}),
        ("3.0.3", {"type": "number", "maximum": float("inf"), "multipleOf": 0}, {"type": "number"}),
        (
            "3.0.3",
            {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ),
        ("3.1.0", {"enum": []}, {}),
        ("3.1.0", {"$ref": "#/nowhere"}, {}),
        ("3.1.0", {"type": "string", "title": "Q"}, {"type": "string"}),
    ],
)
def test_schemas_of_both_versions_become_json_schema(version: str, schema: Any, expected: Any) -> None:
    converted = tool(body({"type": "object", "properties": {"q": schema}}), version=version)
    assert converted.parameters["properties"]["q"] == expected


def test_references_are_written_out() -> None:
    converted = tool(
        query({"$ref": "#/components/schemas/A", "description": "beside"}),
        schemas={
            "A": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
            "B": {"type": "integer"},
        },
    )
    assert converted.parameters["properties"]["q"] == {
        "type": "array",
        "items": {"type": "integer"},
        "description": "beside",
    }
    assert "$ref" not in json.dumps(converted.parameters)


def test_recursion_is_kept_as_defs() -> None:
    node = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        },
    }
    converted = tool(body({"$ref": "#/components/schemas/Node"}), schemas={"Node": node})
    validator = Draft202012Validator(converted.parameters)
    assert validator.is_valid({"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]})
    assert not validator.is_valid({"name": "a", "children": [{"name": "b", "children": [{"name": 3}]}]})
    assert converted.problems({"children": [{"children": [{"name": 3}]}]}) == [
        "children[0].children[0].name: must be a string, not 3"
    ]


def test_growth_without_end_goes_to_defs() -> None:
    schemas: dict[str, Any] = {
        f"L{n}": {
            "type": "object",
            "properties": {k: {"$ref": f"#/components/schemas/L{n + 1}"} for k in "abcdef"},
        }
        for n in range(30)
    }
    schemas["L30"] = {"type": "string"}
    converted = tool(body({"$ref": "#/components/schemas/L0"}), schemas=schemas)
    assert len(json.dumps(converted.parameters)) < 500_000
    assert converted.problems({"a": {"b": {"c": 3}}}) == ["a.b.c: must be an object, not 3"]


def test_what_is_read_only_is_not_asked_for() -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer", "readOnly": True}, "a": {"type": "string"}},
        "required": ["id", "a"],
    }
    converted = tool(body(schema))
    assert list(converted.parameters["properties"]) == ["a"]
    assert converted.parameters["required"] == ["a"]


def test_all_of_plain_objects_is_one_object() -> None:
    converted = tool(
        body(
            {
                "allOf": [
                    OBJECT,
                    {"type": "object", "properties": {"c": {"type": "boolean"}}, "required": ["c"]},
                ]
            }
        )
    )
    assert list(converted.parameters["properties"]) == ["a", "b", "c"]
    assert converted.parameters["required"] == ["a", "c"]


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [OBJECT, {"type": "string"}]},
        {"type": "array", "items": OBJECT},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object"},
    ],
)
def test_a_body_that_is_not_a_plain_object_is_one_argument(schema: Any) -> None:
    converted = tool(body(schema))
    assert list(converted.parameters["properties"]) == ["body"]
    assert converted.parameters["required"] == ["body"]


@pytest.mark.parametrize(
    ("operation", "strict"),
    [
        (
            {"parameters": [{"name": "a", "in": "query", "required": True, "schema": {"type": "string"}}]},
            True,
        ),
        ({"parameters": [{"name": "a", "in": "query", "schema": {"type": "string"}}]}, False),
        ({}, True),
        (body({"type": "object", "properties": {"o": OBJECT}, "required": ["o"]}), False),
        (body({"type": "object", "properties": {"a": {}}, "required": ["a"]}), False),
        (
            {
                "parameters": [
                    {
                        "name": "a",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "string", "format": "binary"},
                    }
                ]
            },
            False,
        ),
        (
            {
                "parameters": [
                    {
                        "name": "a",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "array", "items": {"type": "string"}},
                    }
                ]
            },
            True,
        ),
    ],
)
def test_strict_where_the_schema_allows_it(operation: dict[str, Any], strict: bool) -> None:
    assert tool(operation).strict is strict


def test_both_shapes() -> None:
    converted = tool({"summary": "Add.", "description": "Adds an item.", **query({"type": "string"})})
    flat = converted.render()
    assert flat["type"] == "function"
    assert set(flat) == {"type", "name", "description", "parameters", "strict"}
    assert flat["description"] == "Add.\n\nAdds an item."
    assert converted.render("chat") == {
        "type": "function",
        "function": {k: v for k, v in flat.items() if k != "type"},
    }


@pytest.mark.parametrize(
    ("summary", "description", "expected"),
    [
        ("Add", "", "Add"),
        ("", "Adds.", "Adds."),
        ("Add it", "Add it. Then more.", "Add it. Then more."),
        ("", "", ""),
    ],
)
def test_summary_and_description_are_not_repeated(summary: str, description: str, expected: str) -> None:
    assert tool({"summary": summary, "description": description}).description == expected


def test_names_are_legal_and_unique() -> None:
    taken: dict[str, None] = {}
    for name in ("get/users{id}", "get users id", "été", "x" * 100, "x" * 100, "???", ""):
        legal = legal_name(name, taken)
        assert legal not in taken
        assert 0 < len(legal) <= 64
        assert legal.replace("_", "").replace("-", "").isascii()
        taken[legal] = None
    assert list(taken)[:2] == ["get_users_id", "get_users_id_2"]


def test_one_bad_operation_does_not_take_the_others_with_it() -> None:
    class Hostile(dict):  # type: ignore[type-arg]
        def items(self):  # type: ignore[no-untyped-def]
            raise ValueError("hostile")

    paths = {f"/{n}": {"get": {"operationId": n}} for n in ("one", "two", "three")}
    paths["/two"]["get"]["parameters"] = [{"name": "q", "in": "query", "schema": Hostile(type="string")}]  # type: ignore[assignment]
    spec = Spec({"openapi": "3.1.0", "paths": paths})
    plugin = InstalledPlugin(
        Manifest.read({}), spec, "http://x.example", Transport(Root.of("http://x.example"))
    )
    assert plugin.tool_names == ["one", "three"]
    assert plugin.skipped == [("two", "ValueError: hostile")]
    assert ("two", "cannot become a tool, left out: ValueError: hostile") in plugin.problems


# -- arguments ----------------------------------------------------------------------


def test_arguments_that_do_not_fit_are_reported_so_that_a_model_can_fix_them() -> None:
    checked = tool(
        {**body(OBJECT), "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}}]},
        "/x/{id}",
    )
    assert checked.problems({"id": "", "b": "three", "c": 1}) == [
        "c: there is no such argument; there are: id, a, b",
        "id: must not be empty",
        "a: is required and missing",
        "b: must be an integer, not 'three'",
    ]
    assert checked.problems([1]) == ["the arguments must be a JSON object, not [1]"]
    assert checked.problems({"id": "1", "a": "x"}) == []


def test_a_line_break_cannot_get_into_a_header() -> None:
    checked = tool({"parameters": [{"name": "X-A", "in": "header", "schema": {"type": "string"}}]})
    assert checked.problems({"X-A": "a\r\nX-Evil: 1"}) == ["X-A: a header cannot hold a line break"]


def test_numbers_that_come_as_text_are_numbers() -> None:
    converted = tool(
        body(
            {
                "type": "object",
                "properties": {
                    "i": {"type": "integer"},
                    "f": {"type": "boolean"},
                    "s": {"type": "string"},
                    "n": {"type": "number"},
                    "l": {"type": "array", "items": {}},
                },
            }
        )
    )
    values = {"i": "3", "f": "true", "s": "5", "n": "x", "l": None}
    assert converted.coerced(values) == {"i": 3, "f": True, "s": "5", "n": "x"}


def test_arguments_of_one_name_carry_their_place() -> None:
    operation = {
        **body({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}),
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "id", "in": "query", "schema": {"type": "string"}},
            {"name": "id", "in": "header", "schema": {"type": "string"}},
            {"name": "filter[a]", "in": "query", "schema": {"type": "string"}},
        ],
    }
    converted = tool(operation, "/x/{id}")
    assert list(converted.arguments) == ["id", "id_query", "id_header", "filter_a", "id_body"]
    request = converted.request({"id": "p", "id_query": "q", "id_header": "h", "filter_a": "f", "id_body": 5})
    assert request.url == "/x/p?id=q&filter%5Ba%5D=f"
    assert ("id", "h") in request.headers
    assert request.body == b'{"id": 5}'


def test_a_body_that_may_be_left_out() -> None:
    optional = tool(body({**OBJECT, "required": []}, required=False))
    assert optional.parameters["required"] == []
    assert optional.request({}).body is None
    assert optional.request({"b": 1}).body == b'{"b": 1}'
    # half a body would be refused: its required parts are required, though the whole is optional
    assert tool(body(OBJECT, required=False)).parameters["required"] == ["a"]
    assert tool(body({"type": "object", "properties": {"a": {"type": "string"}}})).request({}).body == b"{}"


# -- the styles of OpenAPI 3.1, "Style Values": the table of the standard, its own values ------------

COLOURS = ["blue", "black", "brown"]
RGB = {"R": 100, "G": 200, "B": 150}


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, "blue", "blue"),
        ("simple", False, COLOURS, "blue,black,brown"),
        ("simple", False, RGB, "R,100,G,200,B,150"),
        ("simple", True, COLOURS, "blue,black,brown"),
        ("simple", True, RGB, "R=100,G=200,B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, COLOURS, ".blue,black,brown"),
        ("label", False, RGB, ".R,100,G,200,B,150"),
        ("label", True, COLOURS, ".blue.black.brown"),
        ("label", True, RGB, ".R=100.G=200.B=150"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, COLOURS, ";color=blue,black,brown"),
        ("matrix", False, RGB, ";color=R,100,G,200,B,150"),
        ("matrix", True, COLOURS, ";color=blue;color=black;color=brown"),
        ("matrix", True, RGB, ";R=100;G=200;B=150"),
        ("simple", False, "a/b c?d", "a%2Fb%20c%3Fd"),
        ("simple", False, "..", "%2E%2E"),
        ("simple", False, 3.5, "3.5"),
        ("simple", False, True, "true"),
        ("simple", False, "été", "%C3%A9t%C3%A9"),
    ],
)
def test_styles_of_the_path(style: str, explode: bool, value: Any, expected: str) -> None:
    parameter = {
        "name": "color",
        "in": "path",
        "required": True,
        "style": style,
        "explode": explode,
        "schema": {},
    }
    assert tool({"parameters": [parameter]}, "/x/{color}").request({"color": value}).url == f"/x/{expected}"


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("form", True, "blue", "color=blue"),
        ("form", True, COLOURS, "color=blue&color=black&color=brown"),
        ("form", True, RGB, "R=100&G=200&B=150"),
        ("form", False, COLOURS, "color=blue,black,brown"),
        ("form", False, RGB, "color=R,100,G,200,B,150"),
        ("spaceDelimited", False, COLOURS, "color=blue%20black%20brown"),
        ("pipeDelimited", False, COLOURS, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, RGB, "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("deepObject", True, RGB, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("deepObject", True, {"a": {"b": [1, 2]}}, "color%5Ba%5D%5Bb%5D=1&color%5Ba%5D%5Bb%5D=2"),
        ("form", True, [], ""),
        ("form", True, "a&b=c d+e", "color=a%26b%3Dc%20d%2Be"),
    ],
)
def test_styles_of_the_query(style: str, explode: bool, value: Any, expected: str) -> None:
    parameter = {"name": "color", "in": "query", "style": style, "explode": explode, "schema": {}}
    url = tool({"parameters": [parameter]}).request({"color": value}).url
    assert url == (f"/x?{expected}" if expected else "/x")


def test_reserved_characters_and_json_in_the_query() -> None:
    reserved = {"name": "q", "in": "query", "allowReserved": True, "schema": {}}
    assert tool({"parameters": [reserved]}).request({"q": "a/b:c d"}).url == "/x?q=a/b:c%20d"
    content = {"name": "q", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}}
    assert tool({"parameters": [content]}).request({"q": {"a": 1}}).url == "/x?q=%7B%22a%22%3A%201%7D"


def test_headers_and_cookies() -> None:
    converted = tool(
        {
            "parameters": [
                {"name": "X-List", "in": "header", "schema": {}},
                {"name": "X-Map", "in": "header", "explode": True, "schema": {}},
                {"name": "plain", "in": "cookie", "schema": {}},
                {"name": "awkward", "in": "cookie", "schema": {}},
            ]
        }
    )
    request = converted.request({"X-List": COLOURS, "X-Map": RGB, "plain": "a", "awkward": "a;b c"})
    assert request.headers == [
        ("X-List", "blue,black,brown"),
        ("X-Map", "R=100,G=200,B=150"),
        ("Cookie", "plain=a; awkward=a%3Bb%20c"),
    ]


@pytest.mark.parametrize(
    ("media_type", "schema", "arguments", "content"),
    [
        ("application/json", OBJECT, {"a": "é", "b": 1}, '{"a": "é", "b": 1}'.encode()),
        ("application/vnd.api+json", OBJECT, {"a": "x"}, b'{"a": "x"}'),
        ("*/*", OBJECT, {"a": "x"}, b'{"a": "x"}'),
        ("application/json", {"type": "array", "items": {}}, {"body": [1, None]}, b"[1, null]"),
        ("application/x-www-form-urlencoded", OBJECT, {"a": "b c&d", "b": 1}, b"a=b+c%26d&b=1"),
        (
            "application/x-www-form-urlencoded",
            {"type": "object", "properties": {"l": {"type": "array"}}},
            {"l": [1, 2]},
            b"l=1&l=2",
        ),
        ("text/plain", {"type": "string"}, {"body": "hello"}, b"hello"),
        ("application/octet-stream", {"type": "string"}, {"body": b"\x00\xff"}, b"\x00\xff"),
    ],
)
def test_bodies(media_type: str, schema: Any, arguments: dict[str, Any], content: bytes) -> None:
    request = tool(body(schema, media_type)).request(arguments)
    assert request.body == content
    expected = "application/json" if media_type == "*/*" else media_type
    assert ("Content-Type", expected) in request.headers


def test_multipart_parts() -> None:
    schema = {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "files": {"type": "array", "items": {"type": "string", "contentMediaType": "image/png"}},
            "note": {"type": "string"},
            "meta": {"type": "object"},
        },
    }
    converted = tool(body(schema, "multipart/form-data"))
    request = converted.request({"file": b"\x00", "files": ["a", "b"], "note": "n", "meta": {"k": 1}})
    assert request.files == [
        ("file", ("file", b"\x00", "application/octet-stream")),
        ("files", ("files", b"a", "image/png")),
        ("files", ("files", b"b", "image/png")),
        ("note", (None, b"n")),
        ("meta", (None, b'{"k": 1}', "application/json")),
    ]


def test_values_of_an_enum_that_are_there_twice_are_there_once() -> None:
    made = tool(query({"enum": ["a", "b", "a", 1, True, 1.5, 1, None, None]}))
    assert made.parameters["properties"]["q"]["enum"] == ["a", "b", 1, True, 1.5]
    assert "the values of an enum are there twice: read as once" in [
        message for _, message in made.operation.spec.problems
    ]
