"""What a served plugin answers to one request, and where two answers differ, as JSON pointers (RFC 6901)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kit.openapi.values import pointer_token


@dataclass(frozen=True)
class Answer:
    """What one process answered. `status` 0: no answer within 30 s, or the connection broke.

    `is_whole` is False for a stream that had not ended. A WebSocket's status is 101 if it was accepted; its messages
    are the lines of `body`.
    """

    status: int
    media_type: str
    body: bytes
    is_whole: bool = True
    location: str = ""

    @property
    def is_success(self) -> bool:
        """Whether it is an answer that is no error; a redirect is one."""
        return 0 < self.status < 400

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON: one value, not a line for each."""
        return self.media_type.partition(";")[0].endswith(("/json", "+json"))

    @cached_property
    def data(self) -> Any:
        """The value that it holds: of JSON, the lines of a text, else the text itself of what is no text."""
        kind = self.media_type.partition(";")[0]
        if self.is_whole and self.is_json:
            try:
                return json.loads(self.body)
            except ValueError:
                return self.body.decode("latin-1")
        if kind.startswith("text/") or kind == "application/x-ndjson":
            lines = self.body.decode("utf-8", errors="replace").splitlines()
            # where a stream broke off its last line is half of one
            return lines if self.is_whole else lines[:-1]
        return self.body.decode("latin-1")

    def __str__(self) -> str:
        size = f"{len(self.body):,} bytes{'' if self.is_whole else ' so far'}" if self.body else "empty"
        return f"{self.status}, {size}" if self.status else self.body.decode()


def differences(expected: Answer, actual: Answer) -> list[str]:
    """Where two answers differ: "status", "Content-Type", "Location", or pointers into the body; "" is the whole of it."""
    named = {"status": "status", "media_type": "Content-Type", "location": "Location"}
    for attribute, name in named.items():
        if getattr(expected, attribute) != getattr(actual, attribute):
            return [name]
    if expected.body == actual.body:
        return []
    left, right = expected.data, actual.data
    if not (expected.is_whole and actual.is_whole):
        common = min(len(left), len(right))
        left, right = left[:common], right[:common]
    return [*_pointers(left, right)]


def within(pointer: str, varying: Iterable[str]) -> bool:
    """Whether what differs at this place is among what always does."""
    return any(pointer == each or pointer.startswith(f"{each}/") for each in varying)


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each text, number, truth value and null in a JSON value, with its pointer."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{pointer}/{pointer_token(key)}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, f"{pointer}/{number}")
    else:
        yield pointer, value


def first_difference(expected: Any, actual: Any, path: str = "") -> str:
    """Where two documents first differ, in words; empty if they are equal."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in {**expected, **actual}:
            if key not in actual or key not in expected:
                return f"{path}/{pointer_token(key)} is {'missing' if key in expected else 'new'}"
            inner = first_difference(expected[key], actual[key], f"{path}/{pointer_token(key)}")
            if inner:
                return inner
        return ""
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return next(filter(None, (first_difference(a, b, f"{path}/{n}") for n, (a, b) in pairs)), "")
    return "" if expected == actual else f"{path or 'the whole'} differs"


def _pointers(expected: Any, actual: Any, pointer: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        for key, item in expected.items():
            yield from _pointers(item, actual[key], f"{pointer}/{pointer_token(key)}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        if expected != actual and sorted(map(repr, expected)) == sorted(map(repr, actual)):
            yield pointer  # another order: where it differs is chance
            return
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            yield from _pointers(*pair, f"{pointer}/{number}")
    elif type(expected) is not type(actual) or expected != actual:
        yield pointer
