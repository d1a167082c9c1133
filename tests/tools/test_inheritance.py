"""Inheritance: a base with a discriminator is any of its subtypes, and an allOf of closed objects can be filled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kit.openapi.spec import Spec
from kit.tools.tool import Tool, make_tools

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
KIND = {"propertyName": "kind"}
PET = {"type": "object", "required": ["kind"], "properties": {"kind": TEXT, "name": TEXT}}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def child(parent: str = "Pet", **properties: Any) -> dict[str, Any]:
    return {"allOf": [ref(parent), {"type": "object", "properties": properties}]}


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False}


CAT, DOG = child(meows=INTEGER), child(barks=TEXT)
FAMILY = {"Pet": {**PET, "discriminator": KIND}, "Cat": CAT, "Dog": DOG, "Puppy": child("Dog", age=INTEGER)}


def tool(schema: Any, schemas: dict[str, Any], version: str = "3.0.3") -> Tool:
    content = {"application/json": {"schema": schema}}
    operation = {
        "operationId": "op",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "", "content": content}},
    }
    document: dict[str, Any] = {
        "openapi": version,
        "info": {"title": "T", "version": "1"},
        "paths": {"/p": {"post": operation}},
        "components": {"schemas": schemas},
    }
    if version == "2.0":
        operation["parameters"] = [{"in": "body", "name": "body", "required": True, "schema": schema}]
        del document["openapi"], document["components"], operation["requestBody"]
        document = json.loads(json.dumps(document).replace("components/schemas", "definitions"))
        document |= {
            "swagger": "2.0",
            "definitions": json.loads(json.dumps(schemas).replace("components/schemas", "definitions")),
        }
    made = make_tools(Spec(document))["op"]
    Draft202012Validator.check_schema(made.parameters)
    return made


def sent(made: Tool, value: Any) -> Any:
    """The JSON that a call with these arguments sends; its problems if it is not sent."""
    arguments = made.coerced(value)
    problems = made.problems(arguments)
    return problems or json.loads(made.request(arguments).body or b"null")


NESTED = {"type": "object", "properties": {"pet": ref("Pet"), "pets": {"type": "array", "items": ref("Pet")}}}
MAPPED = {**KIND, "mapping": {"cat": "#/components/schemas/Cat", "dog": "Dog", "puppy": "./Puppy.json"}}


@pytest.mark.parametrize("value", [{"kind": "Cat", "meows": 3}, {"kind": "Puppy", "barks": "w", "age": 1}])
def test_the_fields_of_a_subtype_can_be_given_wherever_its_base_is(value: dict[str, Any]) -> None:
    assert sent(tool(ref("Pet"), FAMILY), {"body": value}) == value
    assert sent(tool(ref("Pet"), FAMILY), value) == value
    assert sent(tool({"type": "array", "items": ref("Pet")}, FAMILY), {"body": [value]}) == [value]
    nested = tool(NESTED, FAMILY)
    assert sent(nested, {"pet": value, "pets": [value]}) == {"pet": value, "pets": [value]}
    assert "meows" in json.dumps(nested.parameters)


def test_a_wrong_field_of_a_subtype_is_refused_in_its_own_words() -> None:
    made = tool(NESTED, FAMILY)
    assert sent(made, {"pet": {"kind": "Cat", "meows": "x"}}) == ["pet: meows: must be an integer, not 'x'"]
    assert sent(made, {"pet": {"kind": "Bird"}}) != {"pet": {"kind": "Bird"}}
    assert sent(made, {"pet": {"kind": "Pet", "name": "x"}}) == {"pet": {"kind": "Pet", "name": "x"}}


def test_it_is_listed() -> None:
    made = tool(ref("Pet"), FAMILY)
    _ = made.parameters
    assert made.operation.spec.problems == [
        (
            "/components/schemas/Pet",
            "has subtypes by allOf: read as one of 'Cat', 'Dog', 'Puppy', 'Pet'",
        )
    ]


@pytest.mark.parametrize(
    ("base", "values"),
    [
        ({**PET, "discriminator": KIND}, ["Cat", "Dog", "Puppy", "Pet"]),
        ({**PET, "discriminator": MAPPED}, ["cat", "dog", "puppy"]),
        (
            {
                **PET,
                "discriminator": {**KIND, "mapping": {**MAPPED["mapping"], "pet": "#/components/schemas/Pet"}},  # type: ignore[dict-item]
            },
            ["cat", "dog", "puppy", "pet"],
        ),
        (
            {
                **PET,
                "discriminator": KIND,
                "properties": {"kind": {"type": "string", "enum": ["CAT", "DOG", "PUPPY", "BIRD"]}},
            },
            ["CAT", "DOG", "PUPPY", "BIRD"],
        ),
        ({**PET, "discriminator": "kind"}, ["Cat", "Dog", "Puppy", "Pet"]),
        # a circle: the base names its subtypes, which say allOf of the base
        ({**PET, "discriminator": MAPPED, "oneOf": [ref("Cat"), ref("Dog"), ref("Puppy")]}, ["cat", "dog", "puppy"]),
        (closed({**PET, "discriminator": KIND}), ["Cat", "Dog", "Puppy", "Pet"]),
    ],
)  # fmt: skip
def test_the_values_that_tell_the_subtypes_apart(base: dict[str, Any], values: list[str]) -> None:
    made = tool(ref("Pet"), {**FAMILY, "Pet": base})
    forms = made.parameters["properties"]["body"]["anyOf"]
    assert [value for form in forms for value in form["properties"]["kind"]["enum"]] == values
    assert all("kind" in form["required"] for form in forms)
    assert "meows" in forms[0]["properties"]


def test_swagger_and_azure_name_them_in_their_own_way() -> None:
    family = {
        **FAMILY,
        "Pet": {**PET, "discriminator": "kind"},
        "Cat": {**CAT, "x-ms-discriminator-value": "#Cat"},
    }
    made = tool(ref("Pet"), family, "2.0")
    assert sent(made, {"kind": "#Cat", "meows": 1}) == {"kind": "#Cat", "meows": 1}
    assert sent(made, {"kind": "Dog", "barks": "w"}) == {"kind": "Dog", "barks": "w"}


def test_a_subtype_that_may_be_null_and_one_that_refers_beside_its_properties() -> None:
    wrapped = {"type": "object", "properties": {"pet": {"nullable": True, "allOf": [ref("Pet")]}}}
    made = tool(wrapped, FAMILY)
    assert sent(made, {"pet": None}) == {"pet": None}
    assert sent(made, {"pet": {"kind": "Cat", "meows": "x"}}) == ["pet: meows: must be an integer, not 'x'"]
    beside = {"Pet": {**PET, "discriminator": KIND}, "Cat": {**ref("Pet"), "properties": {"meows": INTEGER}}}
    assert sent(tool(ref("Pet"), beside, "3.1.0"), {"kind": "Cat", "meows": 1}) == {"kind": "Cat", "meows": 1}


def test_pets_with_pets() -> None:
    base = {**PET, "properties": {**PET["properties"], "friends": {"type": "array", "items": ref("Pet")}}}  # type: ignore[dict-item]
    made = tool(ref("Pet"), {**FAMILY, "Pet": {**base, "discriminator": KIND}})
    value = {"kind": "Cat", "friends": [{"kind": "Puppy", "age": 1, "friends": []}]}
    assert sent(made, value) == value
    assert sent(made, {"kind": "Cat", "friends": [{"kind": "Puppy", "age": "x"}]}) == [
        "body: friends[0]: age: must be an integer, not 'x'"
    ]


def test_a_schema_that_others_inherit_from_without_a_discriminator_stays_itself() -> None:
    made = tool(ref("Pet"), {"Pet": PET, "Cat": CAT})
    assert list(made.arguments) == ["kind", "name"]
    assert made.operation.spec.problems == []


BASE = closed({"type": "object", "required": ["id"], "properties": {"id": INTEGER}})
CHILD = {"allOf": [ref("Base"), closed({"type": "object", "properties": {"name": TEXT}})]}
LEAF = {"allOf": [ref("Child"), closed({"properties": {"leaves": {"type": "array", "items": ref("Leaf")}}})]}
BESIDE = closed({"type": "object", "allOf": [ref("Base")], "properties": {"name": TEXT}})


@pytest.mark.parametrize("name", ["Child", "Leaf", "Beside"])
def test_an_all_of_of_closed_objects_is_one_closed_object(name: str) -> None:
    schemas = {"Base": BASE, "Child": CHILD, "Leaf": LEAF, "Beside": BESIDE}
    value = {"id": 1, "name": "rex"}
    assert sent(tool(ref(name), schemas), value) == value
    nested = tool({"type": "object", "properties": {"it": ref(name)}}, schemas)
    assert sent(nested, {"it": value}) == {"it": value}
    assert "must not have 'nmae'" in sent(nested, {"it": {"id": 1, "nmae": "rex"}})[0]
    assert "must have 'id'" in sent(nested, {"it": {"name": "rex"}})[0]
    assert any("closed parts" in message for _, message in nested.operation.spec.problems)


def test_closed_parts_that_agree_stay_as_they_are() -> None:
    schemas = {"Base": BASE, "Same": {"allOf": [ref("Base"), {"required": ["id"]}]}}
    made = tool({"type": "object", "properties": {"it": ref("Same")}}, schemas)
    assert "allOf" in json.dumps(made.parameters)
    assert made.operation.spec.problems == []


def test_a_closed_alternative_may_have_the_property_that_chooses_it() -> None:
    schemas = {"Cat": closed({"type": "object", "properties": {"meows": INTEGER}}), "Dog": BASE}
    made = tool({"oneOf": [ref("Cat"), ref("Dog")], "discriminator": KIND}, schemas)
    assert sent(made, {"body": {"kind": "Cat", "meows": 1}}) == {"kind": "Cat", "meows": 1}


def test_an_all_of_that_is_part_of_itself_loses_nothing() -> None:
    schemas = {
        "A": {"allOf": [ref("B"), {"type": "object", "properties": {"a": TEXT}}]},
        "B": {"allOf": [ref("A"), {"type": "object", "properties": {"b": TEXT, "next": ref("A")}}]},
    }
    made = tool(ref("A"), schemas)
    assert set(made.arguments) == {"a", "b", "next"}
    value = {"a": "x", "next": {"b": "y", "next": {"a": 5}}}
    assert sent(made, value) == ["next.next.a: must be a string, not 5"]
    answer = made.answer(10_000)
    assert answer is not None
    assert set(answer["properties"]) == {"a", "b", "next"}


def test_more_subtypes_than_a_model_can_be_told_are_not_told() -> None:
    many = {f"Cat{number}": CAT for number in range(101)}
    made = tool(ref("Pet"), {"Pet": closed({**PET, "discriminator": KIND}), **many})
    assert sent(made, {"kind": "Cat7", "name": "x"}) == {"kind": "Cat7", "name": "x"}
    assert any("more than 100 subtypes" in message for _, message in made.operation.spec.problems)
