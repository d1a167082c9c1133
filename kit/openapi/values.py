"""Reading documents in which anything may stand anywhere: a value if it has the expected type, else an empty one."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one."""
    # dict first: Mapping is an abstract class, and asking that takes ten times as long
    return value if isinstance(value, (dict, Mapping)) else {}


def as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """`value` without space around it if it is text, else nothing."""
    return value.strip() if isinstance(value, str) else ""


def excerpt(value: Any) -> str:
    """The `repr` of a value, in at most 80 characters."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"


def pointer_token(token: Any) -> str:
    """One step of a JSON pointer (RFC 6901), its `~` and `/` escaped."""
    return str(token).replace("~", "~0").replace("/", "~1")


def unique(name: str, taken: Container[str], most: int = 1_000_000) -> str:
    """`name`, or with the first free number behind it, in at most `most` characters."""

    def numbered(number: int) -> str:
        ending = f"_{number}" if number > 1 else ""
        return name[: most - len(ending)] + ending

    # Thousands of one name are somebody's joke, and must not take the square of that: the first free number
    # is looked for as in a sorted list.
    high = 1
    while numbered(high) in taken:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if numbered(middle) in taken else (low, middle)
    return numbered(high)
