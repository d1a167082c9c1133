"""What a model reads when a value does not fit: the kit's own words, for every keyword that specs use."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from kit.tools.misfits import explain, place

PET = {"type": "object", "properties": {"kind": {"const": "pet"}, "age": {"type": "integer"}}}
CAR = {"type": "object", "properties": {"kind": {"const": "car"}, "age": {"type": "string"}}}
LEFT = {"type": "object", "properties": {"a": {"minimum": 3}}, "required": ["a"]}
RIGHT = {"type": "object", "required": ["b"]}
SENTENCES: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "integer"}, "nine", "must be an integer, not 'nine'"),
    ({"type": "string"}, None, "must be a string, not null"),
    ({"type": ["number", "boolean", "null"]}, [1], "must be a number, true or false or null, not an array"),
    ({"type": "array"}, {"a": 1}, "must be an array, not an object"),
    ({"required": ["a", "b", "c"]}, {"b": 1}, "must have 'a', 'c'"),
    ({"enum": ["a", 2, None]}, "A", "must be one of 'a', 2, null, not 'A'"),
    ({"const": True}, "x", "must be true, not 'x'"),
    ({"minimum": 3}, 2, "must be at least 3, not 2"),
    ({"exclusiveMinimum": 3}, 3, "must be more than 3, not 3"),
    ({"maximum": 3}, 4.5, "must be at most 3, not 4.5"),
    ({"exclusiveMaximum": 3}, 3, "must be less than 3, not 3"),
    ({"multipleOf": 5}, 7, "must be a multiple of 5, not 7"),
    ({"minLength": 1}, "", "must not be empty"),
    ({"minLength": 3}, "ab", "must have at least 3 characters, not 2"),
    ({"maxLength": 3}, "abcd", "must have at most 3 characters, not 4"),
    ({"minItems": 1}, [], "must not be empty"),
    ({"minItems": 2}, [1], "must have at least 2 items, not 1"),
    ({"maxItems": 1}, [1, 2], "must have at most 1 item, not 2"),
    ({"prefixItems": [{}], "items": False}, [1, 2], "must have at most 1 item, not 2"),
    ({"uniqueItems": True}, [1, 1], "must not have the same item twice"),
    ({"minProperties": 1}, {}, "must have at least 1 property, not 0"),
    ({"maxProperties": 1}, {"a": 1, "b": 2}, "must have at most 1 property, not 2"),
    ({"pattern": "^[A-Z]{2}$"}, "{x}", "must match the pattern ^[A-Z]{2}$, unlike '{x}'"),
    (
        {"properties": {"a": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False},
        {"a": 1, "x-b": 2, "c": 3, "d": 4},
        "must not have 'c', 'd'; there are: 'a'",
    ),
    ({"additionalProperties": False}, {"c": 3}, "must not have 'c'"),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", "must be an integer or null, not 'x'"),
    ({"anyOf": [{"minimum": 5}, {"type": "string"}]}, 3, "must be at least 5, not 3"),
    ({"oneOf": [PET, CAR]}, {"kind": "pet", "age": "old"}, "age: must be an integer, not 'old'"),
    ({"oneOf": [LEFT, RIGHT]}, {"a": 1}, "a: must be at least 3, not 1; or must have 'b'"),
    ({"oneOf": [{}, {}]}, 1, "fits more than one alternative of its schema, and must fit only one"),
]  # fmt: skip


def misfit(schema: dict[str, Any], value: Any) -> ValidationError:
    errors = list(Draft202012Validator(schema).iter_errors(value))
    assert errors
    return errors[0]


@pytest.mark.parametrize(("schema", "value", "sentence"), SENTENCES)
def test_each_rule_has_a_sentence(schema: dict[str, Any], value: Any, sentence: str) -> None:
    assert explain(misfit(schema, value)) == sentence


@pytest.mark.parametrize("schema", [{"not": {}}, {"contains": {"type": "integer"}}, {"allOf": [False]}])
def test_what_has_no_sentence_begins_with_ours(schema: dict[str, Any]) -> None:
    assert explain(misfit(schema, ["x" * 5_000])).startswith("does not fit its schema: ")


def test_it_is_short_whatever_came() -> None:
    many = [{"const": f"{n}" * 200} for n in range(100)]
    for schema in ({"anyOf": many}, {"enum": [each["const"] for each in many]}, {"not": {}}):
        assert len(explain(misfit(schema, "x" * 100_000))) < 700
    assert len(explain(misfit({"additionalProperties": False}, {f"key{n}": n for n in range(10_000)}))) < 700


def test_a_place_follows_the_name() -> None:
    schema = {"items": {"properties": {"name": {"type": "string"}}}}
    assert f"pets{place(misfit(schema, [{'name': 3}]).absolute_path)}" == "pets[0].name"
