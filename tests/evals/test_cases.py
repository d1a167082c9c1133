"""Cases from files, tables and Python; values and matchers; what is refused, and in which words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

import kit
from kit.evals.cases import Case, CaseList, Expected, Turn, read
from kit.matching import misfits

ONE = Case((Turn("Add milk", (Expected("add_todo", {"username": "sam"}),)),))


@pytest.mark.parametrize(
    "source",
    [
        [("Add milk", {"add_todo": {"username": "sam"}})],
        [{"say": "Add milk", "calls": [{"add_todo": {"username": "sam"}}]}],
        {"Add milk": {"add_todo": {"username": "sam"}}},
        {"cases": [{"turns": [{"say": "Add milk", "calls": {"add_todo": {"username": "sam"}}}]}]},
        [ONE],
    ],
)
def test_one_case_in_every_form(source: Any) -> None:
    assert read(source) == [ONE]


@pytest.mark.parametrize("name", ["cases.yaml", "cases.json", "cases.csv"])
def test_a_file_holds_what_was_saved(tmp_path: Path, name: str) -> None:
    listed = CaseList(
        [
            ONE,
            Case((Turn("Hello", ()),), name="greeting"),
            Case((Turn("What is on it?", (Expected("list_todos"),), ("milk", "7"), 404),), also=("find",)),
            Case((Turn("Grüße: {x}, =1", None, ("ok",)),)),
        ]
    )
    if name != "cases.csv":  # a row of a table is one turn
        listed.append(
            Case(
                (
                    Turn("What is there?", (Expected("list_todos"),)),
                    Turn("Delete it", (Expected("a"), Expected("b"))),
                )
            )
        )
    assert read(listed.save(tmp_path / name)) == listed


def test_yaml_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "- say: Clear christmas\n  calls: {clear: {day: 2026-12-24, text: {regex: milk}}}\n- say: [A, B]\n  calls: none\n"
    )
    first, second = read(tmp_path / "c.yaml")
    assert first.turns[0].calls == (Expected("clear", {"day": "2026-12-24", "text": {"regex": "milk"}}),)
    assert second.turns == (Turn("A"), Turn("B", ()))


def test_a_table_of_pandas_form() -> None:
    rows = [
        {"say": "Hi", "calls": "none", "mentions": float("nan")},
        {"say": "Add", "calls": '{"add": {"n": 1}}'},
    ]
    frame = SimpleNamespace(columns=["say"], to_dict=lambda orient: rows)
    assert read(frame) == [Case((Turn("Hi", ()),)), Case((Turn("Add", (Expected("add", {"n": 1}),)),))]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "holds no case"),
        ([{"say": "x", "call": "none"}], "Did you mean 'calls'?"),
        ([{"say": "", "calls": "none"}], "say is"),
        ([{"say": "x"}], "says nothing about what should happen"),
        ([{"say": "x", "calls": 3}], "case 1: calls is 3"),
        ([{"say": "x", "calls": {"add": 3}}], "The arguments of cases, case 1: calls, add are 3"),
        ([("x", "none"), 7], "case 2 is 7"),
        ([{"turns": []}], "turns is []"),
        ([{"turns": [{"say": "x"}], "say": "y"}], "beside them"),
        ([{"say": "x", "calls": "none", "status": "bad"}], "status is bad"),
        ("no.yaml", "cannot be read"),
        (7, "not a list of cases"),
    ],
)
def test_a_bad_case_is_named_with_its_place(source: Any, words: str) -> None:
    with pytest.raises(kit.CaseError) as refused:
        read(source)
    assert words in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["- [", "{", "\x00", "- &a [*a]"])
def test_a_file_that_holds_no_cases(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(kit.CaseError):
        read(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        ("a", "a", "b"),
        (3, 3, "3"),
        (3, 3.0, 4),
        (True, True, 1),
        (0, 0, False),
        (None, None, 0),
        ({"a": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ([1, {"a": 2}], [1, {"a": 2, "b": 3}], [1]),
        (..., object(), None),
        (re.compile("^mi"), "milk", "oat milk"),
        (lambda value: value > 3, 4, 2),
        (ANY, "x", None),
        (pytest.approx(1.0), 1.0 + 1e-9, 1.1),
        ({"any": True}, 7, None),
        ({"regex": "mi.k"}, "buy milk", "buy oats"),
        ({"one_of": ["a", {"regex": "^b"}]}, "bc", "c"),
        ({"set": ["a", "b"]}, ["b", "a"], ["a", "a"]),
        ({"approximately": 100}, 100.5, 102),
        ({"approximately": 100, "within": 5}, 104, 106),
        ({"regex": "a", "other": 1}, {"regex": "a", "other": 1}, "a"),
    ],
)
def test_values_and_matchers(expected: Any, right: Any, wrong: Any) -> None:
    assert misfits(expected, right) == []
    if expected is not ... and expected is not ANY and expected != {"any": True}:
        (why,) = misfits(expected, wrong, "it")
        assert "expected" in why


def test_every_difference_is_told_with_its_place() -> None:
    expected = {"a": {"b": [1, 2]}, "c": "x", "d": 1}
    assert misfits(expected, {"a": {"b": [1, 3]}, "c": "y"}) == [
        "a.b[1] is 3, expected 2",
        "c is 'y', expected 'x'",
        "d is missing, expected 1",
    ]
    assert json.dumps(misfits({"a": None}, {})) == "[]"  # what may be left out
