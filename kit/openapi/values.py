"""Reading documents in which anything may be anywhere: a value if it has the expected type, else an empty one."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one."""
    # dict first: an instance check against Mapping, an abstract class, takes ten times as long
    return value if isinstance(value, (dict, Mapping)) else {}


def as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """`value` stripped if it is text, else an empty text."""
    return value.strip() if isinstance(value, str) else ""


def essence(media_type: Any) -> str:
    """A media type without its parameters, in lower case (the WHATWG's MIME Sniffing, 4.2): `text/csv`."""
    return str(media_type).partition(";")[0].strip().lower()


def pointer_token(token: Any) -> str:
    """One step of a JSON pointer (RFC 6901), its `~` and `/` escaped."""
    return str(token).replace("~", "~0").replace("/", "~1")


def unique(name: str, taken: Container[str], most: int = 1_000_000) -> str:
    """`name`, with the first free number appended if it is taken, in at most `most` characters."""

    def numbered(number: int) -> str:
        ending = f"_{number}" if number > 1 else ""
        return name[: most - len(ending)] + ending

    # A binary search: thousands of operations of one name must not take quadratic time.
    high = 1
    while numbered(high) in taken:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if numbered(middle) in taken else (low, middle)
    return numbered(high)
