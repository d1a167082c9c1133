"""Schemas in words that every MCP client reads: they mean what they meant before."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kit.hosts.portable import portable

VALUES = [
    None,
    True,
    3,
    2.5,
    "a",
    "abc",
    [],
    [1, "x"],
    {},
    {"a": 1},
    {"a": "x", "b": None},
    {"a": {"a": None}},
]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        False,
        {"title": "Anything", "default": None, "x-own": 1},
        {"type": ["string", "null"], "maxLength": 2},
        {"type": ["object", "null"], "anyOf": [{"required": ["a"]}, {"type": ["null", "integer"]}]},
        {"type": ["object", "array"], "anyOf": [True], "allOf": [{"not": {}}]},
        {"type": "object", "properties": {"a": {}, "b": True}, "additionalProperties": False},
        {"type": "object", "properties": {"a": False}, "additionalProperties": True},
        {"type": "array", "prefixItems": [{}, {"type": ["string"]}], "items": False},
        {
            "type": "object",
            "properties": {"type": {"type": ["string", "integer"]}, "a": {"enum": [["a"], 1]}},
        },
        {"$defs": {"A": {}, "B": {"properties": {"a": {"$ref": "#/$defs/A"}}}}, "$ref": "#/$defs/B"},
        {"not": {"type": ["object", "null"]}},
        {"if": {"type": ["object"]}, "then": {"required": ["a"]}},
    ],
)
def test_it_means_the_same(schema: Any) -> None:
    made = portable(schema)
    Draft202012Validator.check_schema(made)
    before, after = Draft202012Validator(schema), Draft202012Validator(made)
    assert [before.is_valid(value) for value in VALUES] == [after.is_valid(value) for value in VALUES]
    assert "'type': [" not in str({**made, "properties": {}})
    assert made
    assert True not in made.get("properties", {}).values()
