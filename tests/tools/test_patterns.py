"""Patterns by anyone: what they mean, and that no text makes them slow."""

from __future__ import annotations

from typing import Any

import pytest

from kit.openapi.spec import Spec
from kit.tools.misfits import validator
from kit.tools.patterns import matches, read
from kit.tools.tool import make_tools


@pytest.mark.parametrize(
    ("pattern", "fits", "differs"),
    [
        (r"^[a-z0-9-_]+$", "a-_", "A"),
        ("^[a[b]+$", "a[", "a]"),  # a nested set in Rust
        ("^[a&&b]+$", "&", "c"),  # an intersection
        ("^[+--]$", ",", "a"),  # a difference
        ("^[]a]+$", "]a", "b"),
        ("^[^]]+$", "a", "]"),
        ("^[[:alpha:]]+$", "abc", "1"),
        ("^{x}$", "{x}", "x"),  # a brace that repeats nothing
        ("^a{,2}$", "aa", "aaa"),
        (r"^\<a\>$", "<a>", "a"),  # the edges of a word in Rust
        (r"^\d+\Z", "12", "12\n"),
        (r"^[\u0041-\u0043]$", "B", "D"),
        (r"^\/a\/$", "/a/", "a"),
        ("^a$", "a", "a\n"),
    ],
)
def test_it_means_what_it_means_in_javascript(pattern: str, fits: str, differs: str) -> None:
    assert read(pattern) == (pattern, "")
    assert matches(pattern, fits) is True
    assert matches(pattern, differs) is False


@pytest.mark.parametrize(
    ("literal", "meant"),
    [
        ("/^ab+$/", "^ab+$"),
        (r"/^\/v1[/]x$/u", r"^\/v1[/]x$"),
        ("/^a[b-d]-[^-x]$/i", "^[aA][B-Db-d]-[^X\\-x]$"),
        (r"/^\w.$/gs", r"^\w[\s\S]$"),
        ("/a/m", "a"),
    ],
)
def test_a_literal_of_javascript_is_what_is_between_its_slashes(literal: str, meant: str) -> None:
    assert read(literal) == (meant, "is written as JavaScript's code: read as what is between the slashes")


@pytest.mark.parametrize("pattern", ["/v1/users", "/v1/[a-z]+", "^/a/$", "/a/x/"])
def test_the_pattern_of_a_path_is_none(pattern: str) -> None:
    meant, _ = read(pattern)
    assert meant is not None
    assert matches(meant, pattern.strip("^$").replace("[a-z]+", "abc")) is True


@pytest.mark.parametrize("pattern", ["(", "[a", "[", r"\p{L}", 5, None, "/^a$/m"])
def test_what_is_none_is_not_told(pattern: Any) -> None:
    assert read(pattern)[0] is None
    assert "not used" in read(pattern)[1]


@pytest.mark.parametrize(
    "pattern", ["^(?=.*[a-z]).{8,}$", r"^(a)\1$", "(a{1000}){1000}", r"^[\s\S]{1,65536}$", "(?<!x)y"]
)
def test_what_is_not_linear_is_told_and_not_checked(pattern: str) -> None:
    assert read(pattern)[0] == pattern
    assert "not checked" in read(pattern)[1]
    assert matches(pattern, "anything") is None


def test_a_text_that_takes_too_many_steps_is_not_checked() -> None:
    assert matches("^[ab]*a[ab]{20000}c$", "ab" * 50_000) is None
    assert matches("^[ab]*a[ab]{20000}c$", "ab") is False


SLOW = "^(a+)+$"
TEXT = "a" * 60 + "!"  # a third of a second times 2 ** 40, by going back


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"pattern": SLOW}, TEXT, False),
        ({"pattern": SLOW}, 5, True),
        ({"patternProperties": {SLOW: False}}, {TEXT: 1}, True),
        ({"patternProperties": {SLOW: {"type": "string"}}}, {"a": 1}, False),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {TEXT: 1}, False),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": {"type": "string"}}, {TEXT: 1, "a": 1}, False),
        ({"patternProperties": {SLOW: {}}, "unevaluatedProperties": False}, {TEXT: 1}, True),  # left to the plugin
        ({"patternProperties": {r"^(a)\1$": False}, "additionalProperties": False}, {"aa": 1, "b": 1}, True),
        ({"properties": {"a": {}}, "unevaluatedProperties": False}, {"b": 1}, False),
    ],
)  # fmt: skip
def test_no_keyword_goes_back(schema: dict[str, Any], value: Any, fits: bool) -> None:
    assert validator(schema).is_valid(value) is fits


def test_the_notes_are_problems_of_the_document() -> None:
    patterns = ["/^a$/", "(?=b)b", "("]
    parameters = [
        {"name": f"q{number}", "in": "query", "schema": {"type": "string", "pattern": pattern}}
        for number, pattern in enumerate(patterns)
    ]
    operation = {"operationId": "op", "parameters": parameters, "responses": {"200": {"description": ""}}}
    spec = Spec(
        {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/x": {"get": operation}}}
    )
    tool = make_tools(spec)["op"]
    told = [argument.schema.get("pattern") for argument in tool.arguments.values()]
    assert told[:2] == ["^a$", "(?=b)b"]
    assert tool.problems({"q0": "/a/", "q1": "x", "q2": "y"}) == [
        "q0: must match the pattern ^a$, unlike '/a/'"
    ]
    notes = [message for _, message in spec.problems]
    assert [note.partition("' ")[2].partition(":")[0] for note in notes] == [
        "is written as JavaScript's code",
        "cannot be checked in linear time (look-around, a backreference, its size)",
        "is no regular expression that all clients can read",
    ]
