r"""Patterns of strangers: read as their authors mean them, and matched in linear time.

A document's patterns are JavaScript's (JSON Schema 2020-12, 6.4). Python's `re` goes back and tries again: `^(a+)+$`
doubles its time with each character. Here they are run by the engine that Pydantic uses, Rust's `regex`, which
never does. What it cannot do (look-around, backreferences, programs of more than 10 MB) is not checked at all.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Steps of one match, characters times atoms: half a second at most. Beyond that nothing is checked.
MAX_STEPS = 100_000_000

# A regular expression in JavaScript's code, and its flags; of these only i, m and s change what matches.
_LITERAL = re.compile(r"/((?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([dgimsuvy]*)", re.DOTALL)
_ESCAPE = r"\\(?:u\{[0-9A-Fa-f]+\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[pP](?:\{[^}]*\}|.)|c[A-Za-z]|.)"
_IN_CLASS = rf"{_ESCAPE}|\[:\^?[a-z]+:\]|[^\]\\]"  # `[:alpha:]` is meant as POSIX has it
_TOKEN = re.compile(
    rf"{_ESCAPE}|\[\^?\]?(?:{_IN_CLASS})*\]|\{{(?:\d+(?:,\d*)?|,\d+)\}}|\(\?(?:P?<[A-Za-z_]\w*>|:)|[^\[]",
    re.DOTALL,
)
_MEMBER = re.compile(_IN_CLASS, re.DOTALL)
_ESCAPES = {r"\Z": r"\z", r"\0": r"\x00", r"\<": "<", r"\>": ">"}
_SETS = ("\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\p", "\\P")


def read(pattern: Any) -> tuple[str | None, str]:
    """The pattern to give to a model, None if it is none at all, and what there is to note about it.

    `/.../flags`, as JavaScript writes a pattern in its code, means what is between.
    """
    if not isinstance(pattern, str):
        return None, "is not text: not used"
    note, flags, shown = "", "", pattern
    literal = _LITERAL.fullmatch(pattern)
    if literal:
        shown, flags = literal.groups()
        note = "is written as JavaScript's code: read as what is between the slashes"
        if "m" in flags and re.search(r"[\^$]", shown):
            return None, "has the flag m, which no pattern of JSON Schema can express: not used"
        with contextlib.suppress(ValueError):
            shown = _without_flags(shown, "i" in flags, "s" in flags)
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(
                shown
            )  # this only reads it; clients in Python fail on what it cannot read, such as `\\p{L}`
    except (re.error, OverflowError, RecursionError):
        return None, "is no regular expression that all clients can read: not used"
    if _compiled(shown) is None:
        note = "cannot be checked in linear time (look-around, a backreference, its size): not checked here"
    return shown, note


def matches(pattern: str, text: str) -> bool | None:
    """Whether a pattern is found in a text; None if that cannot be found out in linear time."""
    compiled = _compiled(pattern)
    if compiled is None or compiled[1] * len(text) > MAX_STEPS:
        return None
    # half a character (a lone surrogate) cannot be sent, and the engine takes none
    return bool(compiled[0].isinstance_python(text.encode("utf-8", "replace").decode()))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[Any, int] | None:
    """The engine's program and its size in atoms; None if it has none for this pattern."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        rust, size = _for_rust(pattern)
        return SchemaValidator(core_schema.str_schema(pattern=rust)), size
    except (SchemaError, ValueError):
        return None


def _for_rust(pattern: str) -> tuple[str, int]:
    """A pattern of JavaScript as one of Rust's `regex`, and how many atoms it has, repetitions written out."""
    out: list[str] = []
    sizes, last = [0], 0  # of the open groups; of what a quantifier repeats
    for part in _parts(pattern):
        repeats = part[0] == "{" and len(part) > 1
        if part[0] == "\\":
            out.append(_escape(part))
        elif part[0] == "[" and len(part) > 1:
            out.append(_class(part))
        elif repeats:
            out.append(part.replace("{,", "{0,"))
        else:
            out.append(f"\\{part}" if part in "{}]" else part)
        if repeats:
            most = max(1, *(int(number) for number in re.findall(r"\d+", part)))
            sizes[-1] = min(MAX_STEPS, sizes[-1] + last * (most - 1))
            last = min(MAX_STEPS, last * most)
        elif part[0] == "(":
            sizes.append(0)
        elif part == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif part not in "*+?|^$":
            last = 1
            sizes[-1] += 1
    return "".join(out), max(1, sum(sizes))


def _parts(pattern: str) -> Iterator[str]:
    """Raises `ValueError` for a class that does not end."""
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise ValueError(f"[ at {position} has no end")
        yield match[0]
        position = match.end()


def _escape(part: str, in_class: bool = False) -> str:
    if part[1:2] == "c" and len(part) == 3:
        return f"\\x{ord(part[2].upper()) - 64:02x}"
    if in_class and part == r"\b":
        return r"\x08"
    return part[1:] if part[1:2] > "\x7f" else _ESCAPES.get(part, part)


def _class(part: str) -> str:
    """A class in brackets. In Rust's, `[`, `&&`, `--` and `~~` are operators, and no range ends with a set."""
    start, body = _opened(part)
    out, previous = [start], ""
    members = _MEMBER.findall(body)
    for number, member in enumerate(members):
        following = "".join(members[number + 1 : number + 2])
        if member[0] == "\\":
            out.append(_escape(member, in_class=True))
        elif member in ("[", "]", "&", "~", "^"):
            out.append(f"\\{member}")
        elif member == "-" and (previous[:2] in (*_SETS, "-") or following[:2] in _SETS):
            out.append(r"\-")
        else:
            out.append(member)
        previous = member
    return f"{''.join(out)}]" if body else r"[\s\S]"  # `[^]` is any character; `[]` is no class here


def _opened(part: str) -> tuple[str, str]:
    """A class in brackets as its opening and its body, in which a leading `]` is escaped."""
    start = part[: 2 if part[1] == "^" else 1]
    body = part[len(start) : -1]
    return start, f"\\{body}" if body.startswith("]") else body


def _without_flags(pattern: str, ignores_case: bool, dot_is_all: bool) -> str:
    r"""A pattern that means without flags what it means with `i` and `s`: `a` is `[aA]`, `.` is `[\s\S]`."""
    out = []
    for part in _parts(pattern):
        if part == "." and dot_is_all:
            part = r"[\s\S]"
        elif ignores_case and part[0] == "[" and len(part) > 1:
            start, body = _opened(part)
            letters = re.sub(rf"{_ESCAPE}|\[:\^?[a-z]+:\]", " ", body, flags=re.DOTALL)
            others = re.findall(r"[a-z]-[a-z]|[A-Z]-[A-Z]|[A-Za-z]", letters)
            body = f"\\{body}" if body.startswith("-") else body
            part = f"{start}{''.join(others).swapcase()}{body}]"
        elif ignores_case and len(part) == 1 and part.isascii() and part.isalpha():
            part = f"[{part}{part.swapcase()}]"
        out.append(part)
    return "".join(out)
