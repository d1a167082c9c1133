"""JSON with comments and trailing commas, as VS Code and Cursor have it: read, and changed in one place only.

What is not the change stays as it is, byte by byte: comments, order, indentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NOTE = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/)")  # on the line of what stands before it
_SCALAR = re.compile(r'"(?:[^"\\\n]|\\.)*"|[^\s,:{}\[\]"/]+')
_INDENT = re.compile(r"\n([ \t]+)[\"{\[]")
DEEPEST = 100  # levels: a host's file has five; more would exhaust Python's stack


@dataclass
class Node:
    """A value of the text: from `start` to `end`, with its members if it is an object or an array."""

    start: int
    end: int
    kind: str = "scalar"
    value: Any = None
    members: list[Member] = field(default_factory=list)

    def data(self) -> Any:
        """The value itself. Of a name that is there twice, the last counts."""
        if self.kind == "object":
            return {member.key: member.node.data() for member in self.members}
        if self.kind == "array":
            return [member.node.data() for member in self.members]
        return self.value

    def member(self, key: str) -> Member | None:
        return next((member for member in reversed(self.members) if member.key == key), None)


@dataclass
class Member:
    """`"key": value` of an object, or an item of an array, from `start`. `comma` is the place of its comma, or -1."""

    key: str | None
    start: int
    node: Node
    comma: int = -1


def read(text: str) -> Any:
    """The value of a text; None for one without any. Raises `ValueError` with the line, if it is no JSON with comments."""
    node = _parsed(text)
    return None if node is None else node.data()


def added(text: str, path: Sequence[str], key: str | None, value: Any) -> str:
    """`text` with `value` at the end of the object at `path` under `key`, or of the array there if `key` is None.

    Containers of the path that are missing are made. Raises `ValueError` if one is something else, or has the key.
    """
    found = _INDENT.search(text)
    unit = found[1] if found else "  "
    root = _parsed(text)
    if root is None:
        nested = {key: value} if key is not None else [value]
        for name in reversed(path):
            nested = {name: nested}
        return f"{text}{_written(nested, unit, '')}\n"
    node, depth = root, 0
    for depth, name in enumerate(path):
        if node.kind != "object":
            raise ValueError(f"{'.'.join(path[:depth]) or 'the document'} is no object")
        member = node.member(name)
        if member is None:
            for inner in reversed(path[depth + 1 :]):
                value, key = ({key: value} if key is not None else [value]), inner
            return _inserted(text, node, name, {key: value} if key is not None else [value], unit, depth)
        node = member.node
    if node.kind != ("array" if key is None else "object"):
        raise ValueError(f"{'.'.join(path)} is no {'array' if key is None else 'object'}")
    if key is not None and node.member(key):
        raise ValueError(f"{'.'.join([*path, key])} is there already")
    return _inserted(text, node, key, value, unit, len(path))


def removed(text: str, path: Sequence[str], key: str | None, value: Any = None) -> str:
    """`text` without the member `key` at `path`, or without the item `value` of the array there; as it is if there is none."""
    node: Node | None = _parsed(text)
    for name in path:
        member = node.member(name) if node else None
        node = member.node if member else None
    if node is None:
        return text
    for place, member in enumerate(node.members):
        if (member.key == key) if key is not None else (member.node.data() == value):
            return _without(text, node, place)
    return text


def is_empty(text: str, path: Sequence[str]) -> bool:
    """Whether the object or array at `path` is there and has no member."""
    value = read(text)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value in ({}, [])


def _parsed(text: str) -> Node | None:
    at = _skipped(text, 1 if text.startswith("\ufeff") else 0)
    if at == len(text):
        return None
    node = _value(text, at, 0)
    if (rest := _skipped(text, node.end)) != len(text):
        raise _error(text, rest, "there is something after the end")
    return node


def _value(text: str, at: int, depth: int) -> Node:
    if depth > DEEPEST:
        raise _error(text, at, f"it is nested more than {DEEPEST} levels deep")
    if text[at : at + 1] in ("{", "["):
        return _container(text, at, depth)
    found = _SCALAR.match(text, at)
    if found is None:
        raise _error(text, at, "a value is missing")
    try:
        return Node(at, found.end(), value=json.loads(found[0]))
    except ValueError:
        raise _error(text, at, f"{found[0][:40]!r} is no value") from None


def _container(text: str, start: int, depth: int) -> Node:
    is_object = text[start] == "{"
    node = Node(start, start, "object" if is_object else "array")
    at = _skipped(text, start + 1)
    while text[at : at + 1] != ("}" if is_object else "]"):
        if node.members and node.members[-1].comma < 0:
            raise _error(text, at, "a comma is missing, or the end")
        key, begin = None, at
        if is_object:
            name = _value(text, at, depth)
            if not isinstance(name.value, str):
                raise _error(text, at, "a name is missing")
            key, at = name.value, _skipped(text, name.end)
            if text[at : at + 1] != ":":
                raise _error(text, at, f"a colon is missing after {key[:40]!r}")
            at = _skipped(text, at + 1)
        child = _value(text, at, depth + 1)
        at = _skipped(text, child.end)
        comma = at if text[at : at + 1] == "," else -1
        node.members.append(Member(key, begin, child, comma))
        at = _skipped(text, at + 1) if comma >= 0 else at
    node.end = at + 1
    return node


def _skipped(text: str, at: int) -> int:
    """The place of the next that is neither space nor comment."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _error(text: str, at: int, problem: str) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, at) + 1}: {problem}")


def _inserted(text: str, node: Node, key: str | None, value: Any, unit: str, depth: int) -> str:
    """The new member at the end of `node`, in the indentation of its last."""
    outer = unit * depth
    if not node.members:
        inner = text[node.start + 1 : node.end - 1].rstrip()  # comments
        entry = _entry(key, value, unit, outer + unit)
        return f"{text[: node.start + 1]}{inner}\n{outer}{unit}{entry}\n{outer}{text[node.end - 1 :]}"
    last = node.members[-1]
    line = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    indent = line if not line.strip() else outer + unit
    entry = _entry(key, value, unit, indent)
    if last.comma >= 0:  # a trailing comma: the new one has it too
        at = _after_note(text, last.comma + 1)
        return f"{text[:at]}\n{indent}{entry},{text[at:]}"
    end = last.node.end
    at = _after_note(text, end)
    return f"{text[:end]},{text[end:at]}\n{indent}{entry}{text[at:]}"


def _after_note(text: str, at: int) -> int:
    found = _NOTE.match(text, at)
    return found.end() if found else at


def _without(text: str, node: Node, place: int) -> str:
    """`node` without one member: the exact inverse of `_inserted` for the last one."""
    member = node.members[place]
    end = member.comma + 1 if member.comma >= 0 else member.node.end
    before = text[: member.start].rstrip()
    if len(node.members) == 1:
        after = (
            text[end:].lstrip()
            if not before.endswith("*/") and "//" not in before.rpartition("\n")[2]
            else text[end:]
        )
        return before + after
    if place == len(node.members) - 1 and member.comma < 0:
        comma = node.members[place - 1].comma
        before = before[:comma] + before[comma + 1 :]
    return before + text[end:]


def _entry(key: str | None, value: Any, unit: str, indent: str) -> str:
    written = _written(value, unit, indent)
    return written if key is None else f"{json.dumps(key, ensure_ascii=False)}: {written}"


def _written(value: Any, unit: str, indent: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", f"\n{indent}")
