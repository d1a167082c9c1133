"""Whether a value is the expected one, and, if not, why, as sentences: for `expect` and for the cases of `evals`.

An expected value is compared by `==`, so `pytest.approx`, `unittest.mock.ANY` and dirty-equals are matchers as
they are; so are a compiled pattern, a function of one argument and `...` (anything). In YAML and JSON, which have
none of these, a mapping with one of the keys of `MATCHERS` is one: `{regex: milk}`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from types import FunctionType
from typing import Any

from kit.markup import short

# What a matcher takes, and how its failure is said.
MATCHERS = {
    "any": "anything",
    "regex": "text in which the pattern is found",
    "one_of": "one of these",
    "set": "these items in any order",
    "approximately": "a number within 1 %, or within `within`",
}


def misfits(expected: Any, actual: Any, place: str = "") -> list[str]:
    """Why `actual` is not what is expected; empty if it is. Of a mapping only the named members are compared."""
    expected = plain(expected)
    if expected is ...:
        return []
    if isinstance(expected, re.Pattern):
        return _unless(
            isinstance(actual, str) and bool(expected.search(actual)),
            f"matching {expected.pattern!r}",
            actual,
            place,
        )
    if isinstance(expected, Mapping):
        return (
            _matched(expected, actual, place) if is_matcher(expected) else _members(expected, actual, place)
        )
    if (
        isinstance(expected, list | tuple)
        and isinstance(actual, list | tuple)
        and len(expected) == len(actual)
    ):
        return [
            why
            for number, pair in enumerate(zip(expected, actual, strict=True))
            for why in misfits(*pair, f"{place}[{number}]")
        ]
    if isinstance(expected, FunctionType):
        name = getattr(expected, "__name__", repr(expected))
        return _unless(bool(expected(actual)), f"a value for which {name} holds", actual, place)
    # True is 1 in Python, but not for a reader of JSON
    is_same = isinstance(expected, bool) == isinstance(actual, bool) or type(expected).__eq__ not in _PLAIN
    return _unless(is_same and bool(expected == actual), shown(expected), actual, place)


def is_matcher(value: Any) -> bool:
    """Whether a mapping is a matcher, rather than an object that is expected."""
    return (
        isinstance(value, Mapping)
        and len(value.keys() & MATCHERS.keys()) == 1
        and not value.keys() - {*MATCHERS, "within"}
    )


def shown(value: Any) -> str:
    """An expected or an actual value in one line."""
    if value is ...:
        return "anything"
    return repr(value) if isinstance(value, str) and len(value) < 80 else short(value)


_PLAIN = {kind.__eq__ for kind in (bool, int, float, str, type(None), list, tuple)}


def _matched(matcher: Mapping[str, Any], actual: Any, place: str) -> list[str]:
    (name,) = matcher.keys() & MATCHERS.keys()
    wanted = matcher[name]
    holds: Callable[[], bool] = {
        "any": lambda: True,
        "regex": lambda: isinstance(actual, str) and bool(re.search(str(wanted), actual)),
        "one_of": lambda: any(not misfits(item, actual) for item in wanted),
        "set": lambda: _same_items(wanted, actual),
        "approximately": lambda: _is_near(actual, wanted, matcher.get("within")),
    }[name]
    words = {
        "regex": f"text in which {wanted!r} is found",
        "one_of": f"one of {shown(wanted)}",
        "set": f"the items {shown(wanted)} in any order",
        "approximately": f"about {wanted!r}",
    }
    return _unless(holds(), words.get(name, "anything"), actual, place)


def _same_items(wanted: Any, actual: Any) -> bool:
    if not isinstance(actual, list | tuple) or len(actual) != len(wanted):
        return False
    left = list(actual)
    for item in wanted:
        found = next((number for number, other in enumerate(left) if not misfits(item, other)), None)
        if found is None:
            return False
        del left[found]
    return True


def _is_near(actual: Any, wanted: Any, within: Any) -> bool:
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        return False
    if within is None:
        return math.isclose(actual, wanted, rel_tol=0.01)
    return bool(abs(actual - wanted) <= within)


def _members(expected: Mapping[str, Any], actual: Any, place: str) -> list[str]:
    if not isinstance(actual, Mapping):
        return _unless(False, shown(expected), actual, place)
    found = []
    for name, value in expected.items():
        inner = f"{place}.{name}" if place else str(name)
        if name in actual:
            found += misfits(value, actual[name], inner)
        elif value is not None:  # what may be left out was left out
            found.append(f"{inner} is missing, expected {shown(value)}")
    return found


def plain(value: Any) -> Any:
    """An expected value as JSON has it: YAML reads 2026-12-24 as a date."""
    return value.isoformat() if isinstance(value, date | time) else value


def _unless(holds: bool, wanted: str, actual: Any, place: str) -> list[str]:
    return [] if holds else [f"{place or 'it'} is {shown(actual)}, expected {wanted}"]
