"""The references within schemas, and the order in which to read what they lead to."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

_CONTAINERS = (dict, list)  # a tuple: `dict | list` would be created at each use
NAMED = (
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
)  # by names of the author's
VALUES = ("enum", "const", "example", "examples", "default")  # what looks like a reference there is data


def references(schema: Any) -> Iterator[str]:
    """Every reference within a schema, in the order of the text."""
    waiting = [(schema, False)]
    while waiting:
        node, is_named = waiting.pop()
        if isinstance(node, list):
            waiting += [(item, False) for item in reversed(node) if isinstance(item, _CONTAINERS)]
        elif isinstance(node, (dict, Mapping)):
            if not is_named and isinstance(node.get("$ref"), str):
                yield node["$ref"]
            waiting += [
                (item, not is_named and key in NAMED)
                for key, item in reversed(list(node.items()))
                if isinstance(item, _CONTAINERS) and (is_named or key not in VALUES)
            ]


def innermost_first(
    schema: Any, target: Callable[[str], Any], known: Container[str]
) -> Iterator[tuple[str, bool]]:
    """The references that `schema` leads to, those within what they refer to first, without recursion.

    Each is (reference, True) once all within its target was yielded, or (reference, False) where it leads back into
    itself. What the caller puts into `known` meanwhile is not entered again.
    """
    entered: dict[str, None] = {}
    iterators = [references(schema)]
    while iterators:
        ref = next(iterators[-1], None)
        if ref is None:
            iterators.pop()
            if entered:
                yield entered.popitem()[0], True
        elif ref in entered:
            yield ref, False
        elif ref not in known:
            entered[ref] = None
            iterators.append(references(target(ref)))
