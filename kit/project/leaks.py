"""What must not leave the machine with an export: secrets written into code, and paths of this machine.

A secret is known by its form or by the name it is given to, as `redaction` has them, or as a long random text. A line that ends with the comment `# public` is let through.
"""

from __future__ import annotations

import ast
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kit import redaction

_PUBLIC = re.compile(r"#.*\bpublic\b", re.IGNORECASE)
# What has a secret's form and is not one: a URL whose password is filled in later, the word Basic in a sentence.
_FILLED_IN = re.compile(r"[^:]*[{}]|[^:]*:[^@]*[{}$<]|(?:Bearer|Basic)[\s+]+[^\s=]{1,11}=*$")
# The host's proof that the manifest is yours: the manifest shows them to everybody.
_PUBLIC_NAMES = ("verification_tokens", "verification_token")
_RANDOM = re.compile(r"(?=(?:.*\d){4})(?=.*[A-Za-z])[A-Za-z0-9+/_=-]{32,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOMES = re.compile(r"(?<![\w.])(?:/(?:home|Users)/[\w.-]+/|[A-Za-z]:\\+Users\\+[\w.-]+)")
_READERS = ("get", "getenv", "setdefault", "pop")  # os.environ.get("TOKEN", "the token itself")
MIN_ENTROPY = 3.5  # bits for each character: words and paths stay below, random texts of 32 characters above


def secret_in(source: str) -> tuple[int, str] | None:
    """The first line of Python that holds what looks like a secret, and what gives it away, or None."""
    lines = source.splitlines()

    def is_public(number: int) -> bool:
        return 0 < number <= len(lines) and bool(_PUBLIC.search(lines[number - 1]))

    found = [
        (number, "a text of a form that keys and passwords have")
        for number, line in enumerate(lines, 1)
        if _has_form(line)
    ]
    found += _named(ast.parse(source))
    return min(((number, why) for number, why in found if not is_public(number)), default=None)


def form_in(text: str) -> tuple[int, str] | None:
    """The same for a text that is not Python: by the form alone."""
    for number, line in enumerate(text.splitlines(), 1):
        if _has_form(line) and not _PUBLIC.search(line):
            return number, "a text of a form that keys and passwords have"
    return None


def path_in(text: str, *places: Path) -> tuple[int, str] | None:
    """The first line that names a folder of this machine: a home, or one of `places`. None if none does."""
    folders = {str(it) for place in (Path.home(), *places) for it in (place, place.resolve())}
    # `/app` alone may be an operation's path; what lies in it is not.
    named = [
        re.escape(it) + (r"[/\\]" if it.count(os.sep) < 2 else r"(?![\w.-])") for it in folders if len(it) > 3
    ]
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(sorted(named))})" if named else r"(?!)")
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.search(line) or _HOMES.search(line)
        if match and not _PUBLIC.search(line):
            return number, match[0]
    return None


def variable_in(text: str, names: Iterable[str]) -> str | None:
    """Which of these environment variables is a secret, by its name, whose value `text` holds; or None."""
    for name in names:
        value = os.environ.get(name, "")
        if _is_secret_name(name) and len(value) >= 4 and value in text:
            return name
    return None


def _has_form(line: str) -> bool:
    return any(not _FILLED_IN.match(found[0]) for found in redaction.forms(line))


def _named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    public = {
        id(inner)
        for node in ast.walk(tree)
        for name, value in _named_values(node)
        if name in _PUBLIC_NAMES
        for inner in ast.walk(value)
    }
    for node in ast.walk(tree):
        for name, value in _named_values(node):
            if _is_secret_name(name):
                for text in _texts(value):
                    if id(text) not in public and _may_be_secret(str(text.value)):
                        yield text.lineno, f"the value of {name}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in public:
            text_value = node.value
            is_random = _RANDOM.fullmatch(text_value) and not _UUID.fullmatch(text_value)
            if is_random and _entropy(text_value) >= MIN_ENTROPY:
                yield node.lineno, "a long random text"


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names with what they are set or compared to: assignments, arguments, keys, defaults, tests."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((_name(target), value) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield _name(target), value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            both = zip(keys, values, strict=True)
            yield from ((str(key.value), value) for key, value in both if isinstance(key, ast.Constant))
        case ast.arguments():
            every = reversed([*node.posonlyargs, *node.args])
            pairs = [*zip(every, reversed(node.defaults), strict=False)]  # the last ones have a default
            more = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            yield from ((each.arg, value) for each, value in (*pairs, *more) if value)
        case ast.Compare(left=left, comparators=comparators):
            sides = [left, *comparators]
            yield from ((_name(one), other) for one in sides for other in sides if one is not other)
        case ast.Call(args=arguments) if _name(node.func) == "compare_digest":
            yield from (("secret", argument) for argument in arguments)
        case ast.Call(args=[ast.Constant(value=name), value]) if _name(node.func) in _READERS:
            yield str(name), value


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return ""


def _texts(value: ast.AST) -> Iterator[ast.Constant]:
    """The literal texts of a value, those in a list, a set or a dict among them; no argument of a call."""
    parts: Sequence[ast.AST | None] = ()
    match value:
        case ast.Constant(value=str() | bytes()):
            yield value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items) | ast.BoolOp(values=items):
            parts = items
        case ast.Dict(keys=keys, values=values):
            parts = [*keys, *values]
        case ast.IfExp(body=body, orelse=orelse):
            parts = [body, orelse]
        case ast.Call(func=func) if _name(func) in ("SecretStr", "SecretBytes", "encode", "Field"):
            parts = [it.value if isinstance(it, ast.Attribute) else it for it in (*value.args, func)]
    for part in filter(None, parts):
        yield from _texts(part)


def _is_secret_name(name: str) -> bool:
    return name.replace("-", "_").lower() not in _PUBLIC_NAMES and redaction.is_secret_name(name)


def _may_be_secret(text: str) -> bool:
    """Not so: nothing, a sentence, a placeholder, an address, a type's or a header's name."""
    if len(text) < 4 or re.search(r"[\s<>{}$*]|\.\.\.|^https?://|^/", text):
        return False
    return text.lower() not in ("none", "null", "true", "false", "string", "bearer", "basic", "authorization")


def _entropy(text: str) -> float:
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
