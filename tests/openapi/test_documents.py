"""Untrusted texts: bounded in depth and growth, read with the meaning of JSON."""

from __future__ import annotations

import json
import time

import pytest
import yaml

import kit
from kit.openapi.documents import MAX_DEPTH, MAX_VALUES, NO_SPEC, Unreadable, parse, read_json


def bomb(levels: int) -> str:
    """The billion laughs: each line contains the one before ten times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(9), "grows too large"),
        (bomb(9) + "\nx: {a: 1, a: 2}", "grows too large"),  # what ryaml refuses, PyYAML reads
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("- " * 5_000 + "x", "nested too deeply"),
        ("x: {a: 1, a: 2}\ny: " + "[" * 50_000, "nested too deeply"),
        ('{"a": ' + "[" * 150 + "]" * 150 + "}", "nested too deeply"),
        ("a: &a\n  b: *a", "nested too deeply"),
        ("<<: {a: 1}\nb: &x [*x]", "nested too deeply"),
        ("? [a, b]\n: c", "neither JSON nor YAML"),
        ("a: 1\n---\nb: 2", "holds more than one document"),
        ("{a: " * 200_000, "nested too deeply"),
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


DEEP = f"the file is nested too deeply to be read: more than {MAX_DEPTH} levels.\n{NO_SPEC}"
GROWN = f"the file grows too large when its aliases are expanded: more than {MAX_VALUES:,} values."


def refused(text: str) -> str:
    with pytest.raises(kit.SpecError) as caught:
        parse(text, "the file")
    return str(caught.value)


@pytest.mark.parametrize("levels", [101, 130, 500, 1_010, 50_000])
@pytest.mark.parametrize("opened", ['{"a": ', "{a: ", "[", "- ", "x: {a: 1, a: 2}\ny: ", "<<: {a: 1}\ny: "])
def test_what_is_too_deep_is_refused_in_the_same_words_by_every_reader(opened: str, levels: int) -> None:
    """JSON, ryaml, and PyYAML, whose newest version has a limit of its own below that of its look-ahead."""
    if opened.endswith("y: "):
        assert refused(opened + "[" * levels) == DEEP
        assert refused(opened + "{a: " * levels) == DEEP
        assert refused(opened + "[" * levels + "]" * levels) == DEEP
    else:
        assert refused(opened * levels + "1") == DEEP
    if opened == '{"a": ':
        assert refused(opened * levels + "1" + "}" * levels) == DEEP


def test_brackets_in_quotes_are_no_depth() -> None:
    assert "cut off" in refused('a: "' + "[" * 5_000)
    assert "cut off" in refused("a: '" + "[" * 5_000)
    assert "cut off" in refused('{"a": "' + "[" * 5_000)
    assert "goes wrong" in refused('a: {b: "' + "[" * 500 + '" c: 1 }: }')


def test_what_grows_is_refused_in_the_same_words_by_every_reader() -> None:
    assert refused(bomb(9)).startswith(GROWN)
    assert refused(bomb(9) + "\nx: {a: 1, a: 2}").startswith(GROWN)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": [1, 2', "it is cut off at line 1, column 12"),
        ('{"a": [1, 2,\n', "it is cut off at line 1, column 13"),
        ('{"a": "half a te', "it is cut off at line 1, column 17"),
        ('{\n\t"a": [1, 2', "it is cut off at line 2, column 12"),  # YAML does not allow tabs
        ('{\n\t"a": "half', "it is cut off at line 2, column 12"),
        ("a: [1, 2", "it is cut off at line 1, column 9"),
        ('b: {c: 1, c: 2}\na: "half', "it is cut off at line 2, column 9"),
        ('{"a": 1 "b": 2}', "it goes wrong at line 1, column 12, ': 2}'"),
        ("a: b: c", "it goes wrong at line 1, column 5, ': c'"),
        ("a: *x", "it goes wrong at line 1, column 4, '*x'"),
    ],
)
def test_an_error_is_reported_with_its_place_in_the_same_words(text: str, where: str) -> None:
    assert refused(text) == f"the file is neither JSON nor YAML: {where}.\n{NO_SPEC}"


@pytest.mark.parametrize("loader", ["libyaml", "python"])
def test_both_loaders_of_pyyaml_give_the_same_words(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if loader == "python":
        monkeypatch.delattr(yaml, "CLoader")
        monkeypatch.delattr(yaml, "CSafeLoader")
    assert refused("x: {a: 1, a: 2}\ny: " + "[" * 2_000) == DEEP
    assert "it is cut off at line 2, column 6" in refused("x: {a: 1, a: 2}\ny: [1")
    assert "it goes wrong at line 2, column 5, ': c'" in refused("x: {a: 1, a: 2}\na: b: c")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 200_000, f"is nested too deeply to be read: more than {MAX_DEPTH} levels"),
        ("[" * 150 + "]" * 150, f"is nested too deeply to be read: more than {MAX_DEPTH} levels"),
        ("", "is not valid JSON: it is cut off at line 1, column 1"),
        ('{"a": ', "is not valid JSON: it is cut off at line 1, column 6"),
        ('{"a": "b', "is not valid JSON: it is cut off at line 1, column 9"),
        ('{"a": oops}', "is not valid JSON: it goes wrong at line 1, column 7, 'oops}'"),
        (b'{"a": "\xff"}', "is not text in UTF-8, from byte 7 on"),
        ("1" * 5_000, "has a number with too many digits to be read"),
    ],
)
def test_json_is_refused_in_one_way(text: str | bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    assert str(caught.value) == reason


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
        ('{"a": NaN, "b": Infinity, "c": "\\ud83d"}', {"a": None, "b": None, "c": "\ufffd"}),
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
