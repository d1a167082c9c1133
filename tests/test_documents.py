"""Texts of strangers: bounded in depth and growth, read as JSON means it."""

from __future__ import annotations

import json
import time

import pytest

import kit
from kit.documents import MAX_DEPTH, parse


def bomb(levels: int) -> str:
    """The billion laughs: each line has the one before ten times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(9), "grows out of hand"),
        (bomb(9) + "\nx: {a: 1, a: 2}", "grows out of hand"),  # what ryaml refuses, PyYAML reads
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("- " * 5_000 + "x", "nested too deeply"),
        ("x: {a: 1, a: 2}\ny: " + "[" * 50_000, "nested too deeply"),
        ('{"a": ' + "[" * 150 + "]" * 150 + "}", "nested too deeply"),
        ("a: &a\n  b: *a", "nested too deeply"),
        ("<<: {a: 1}\nb: &x [*x]", "nested too deeply"),
        ("? [a, b]\n: c", "cannot be read as YAML|neither JSON nor YAML"),
        ("a: 1\n---\nb: 2", "neither JSON nor YAML"),
        ("null", "holds"),
        ("5", "holds"),
        ('"text"', "holds plain text"),
        ("%PDF-1.4", "holds plain text|neither"),
        ("\x00\x01\x02", "holds|neither|is empty"),
    ],
)
def test_hostile_and_other_texts_are_refused_quickly_with_the_reason(text: str, reason: str) -> None:
    start = time.perf_counter()
    with pytest.raises(kit.SpecError, match=reason) as caught:
        parse(text, "the file")
    assert time.perf_counter() - start < 5
    assert "the file" in str(caught.value)


def test_as_deep_as_allowed() -> None:
    text = '{"a":' * (MAX_DEPTH - 1) + "{}" + "}" * (MAX_DEPTH - 1)
    assert parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [yes, on, 2020-01-01, 012, 1_000]", {"a": 1, "b": ["yes", "on", "2020-01-01", "012", "1_000"]}),
        ("a: {b: 1, b: 2}", {"a": {"b": 2}}),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2", {"x": {"a": 1}, "y": {"a": 1, "b": 2}}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ('{"a": NaN, "b": Infinity, "c": "\\ud83d"}', {"a": None, "b": None, "c": "?"}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("a: caf\u0081e", {"a": "caf e"}),
        ("# only a comment\na: 1", {"a": 1}),
    ],
)  # fmt: skip
def test_what_is_read(text: str, expected: object) -> None:
    assert parse(text) == expected


def test_encodings() -> None:
    document = {"a": "é"}
    text = json.dumps(document, ensure_ascii=False)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert parse(text.encode(encoding)) == document
