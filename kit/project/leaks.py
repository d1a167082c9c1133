"""What an export must not contain: secrets written into code, and paths on this machine.

A secret is recognized by its form or its variable's name, both from `redaction`, or as a long random text. A line
that ends with the comment `# public` is let through.
"""

from __future__ import annotations

import ast
import io
import math
import os
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kit import redaction

_PUBLIC = re.compile(r"#.*\bpublic\b", re.IGNORECASE)
# What has the form of a secret and is not one: a URL whose password is filled in later, `Basic` in a sentence.
_FILLED_IN = re.compile(
    r"[^:]*[{}]|[^:]*:[^@]*[{}$<]|(?:Bearer|Basic)[\s+]+(?:[^\s=]{1,11}=*|[A-Za-z]?[a-z_]+\.?)$"
)
# The manifest publishes these: they prove to a host that it is yours.
_PUBLIC_NAMES = ("verification_tokens", "verification_token")
_RANDOM = re.compile(r"(?=(?:.*\d){4})(?=.*[A-Za-z])[A-Za-z0-9+/_=-]{32,}")
_JOINTS = re.compile(r"[-_/]")  # of words: gpt-4o-mini-2024-07-18
_COMMIT = re.compile(r"[0-9a-f]{40}")  # SHA-1, which names a commit, a file
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOMES = re.compile(r"(?<![\w.])(?:/(?:home|Users)/[\w.-]+/|[A-Za-z]:\\+Users\\+[\w.-]+)")
_READERS = ("get", "getenv", "setdefault", "pop")  # os.environ.get("TOKEN", "the token itself")
MIN_ENTROPY = 3.5  # bits per character: words and paths are below, random texts of 32 characters above
_FORM = "a text of a form that keys and passwords have"


def secret_in(source: str) -> tuple[int, str] | None:
    """The number of the first line of Python that holds what looks like a secret, and why; or None."""
    lines = source.splitlines()

    def is_public(number: int) -> bool:
        return 0 < number <= len(lines) and bool(_PUBLIC.search(lines[number - 1]))

    secrets = [(number, _FORM) for number, line in enumerate(lines, 1) if _has_form(line)]
    tree = ast.parse(source)
    secrets += [*_named(tree), *_written(tree), *_commented(source)]
    return min(((number, why) for number, why in secrets if not is_public(number)), default=None)


def form_in(text: str) -> tuple[int, str] | None:
    """The same for a text that is not Python: by the form alone."""
    for number, line in enumerate(text.splitlines(), 1):
        if _has_form(line) and not _PUBLIC.search(line):
            return number, _FORM
    return None


def _written(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a text of the code says: a connection string, a query, JSON."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(it.value) if isinstance(it, ast.Constant) else "{}" for it in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            text = node.value
        else:
            continue
        for before, line in zip(range(len(text)), text.splitlines(), strict=False):
            for name in _secrets_of(line, is_prose=id(node) in docs):
                yield node.lineno + (before if node.end_lineno != node.lineno else 0), f"the value of {name}"


def _commented(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from (
                (token.start[0], f"the value of {name}") for name in _secrets_of(token.string, is_prose=True)
            )


def _secrets_of(text: str, is_prose: bool) -> Iterator[str]:
    """The names of the secrets that a line says. In prose, `token: see below` is none."""
    for name, value in redaction.named(text):
        if (
            _is_secret_name(name)
            and _may_be_secret(name, value)
            and (not is_prose or re.search(r"\d", value))
        ):
            yield name


def path_in(text: str, *folders: Path) -> tuple[int, str] | None:
    """The first line that names a folder of this machine: a home, or one of `folders`. None if none does."""
    paths = {str(path) for folder in (Path.home(), *folders) for path in (folder, folder.resolve())}
    # `/app` alone may be an operation's path; a path below it is not.
    forms = [
        re.escape(path) + (r"[/\\]" if path.count(os.sep) < 2 else r"(?![\w.-])")
        for path in paths
        if len(path) > 3
    ]
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(sorted(forms))})" if forms else r"(?!)")
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.search(line) or _HOMES.search(line)
        if match and not _PUBLIC.search(line):
            return number, match[0]
    return None


def variable_in(text: str, names: Iterable[str]) -> str | None:
    """The first of these environment variables that has a secret's name and whose value is in `text`, or None."""
    for name in names:
        value = os.environ.get(name, "")
        if _is_secret_name(name) and len(value) >= 4 and value in text:
            return name
    return None


def _has_form(line: str) -> bool:
    return any(not _FILLED_IN.match(match[0]) for match in redaction.forms(line))


def _named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    public = {
        id(inner)
        for node in ast.walk(tree)
        for name, value in _named_values(node)
        if name in _PUBLIC_NAMES
        for inner in ast.walk(value)
    } | {id(key) for key in _owners(tree)}
    for node in ast.walk(tree):
        for name, value in _named_values(node):
            if _is_secret_name(name):
                for text in _texts(value):
                    if id(text) not in public and _may_be_secret(name, str(text.value)):
                        yield text.lineno, f"the value of {name}"
        match node:
            case ast.Constant(value=str(long)) if id(node) not in public and _is_random(long):
                yield node.lineno, "a long random text"


def _owners(tree: ast.AST) -> Iterator[ast.AST]:
    """The names in `ServiceHttp(tokens={name: token})`, which are no secrets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "ServiceHttp":
            given = [keyword.value for keyword in node.keywords if keyword.arg == "tokens"]
            yield from (key for value in given if isinstance(value, ast.Dict) for key in value.keys if key)


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names and what they are set or compared to: assignments, arguments, keys, defaults, tests."""
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
            positional = reversed([*node.posonlyargs, *node.args])
            pairs = [*zip(positional, reversed(node.defaults), strict=False)]  # the last ones have defaults
            keyword_only = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            yield from ((each.arg, value) for each, value in (*pairs, *keyword_only) if value)
        case ast.Compare(left=left, comparators=comparators):
            sides = [left, *comparators]
            yield from ((_name(one), other) for one in sides for other in sides if one is not other)
        case ast.Call(args=arguments) if _name(node.func) == "compare_digest":
            yield from (("secret", argument) for argument in arguments)
        case ast.Call(args=[ast.Constant(value=name), value]) if _name(node.func) in _READERS:
            yield str(name), value
        case ast.Call(args=[_, ast.Constant(value=name), value]) if _name(node.func) == "setattr":
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
    """The literal texts of a value, also in a list, a set or a dict, but not the arguments of a call."""
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
        case ast.Call(func=func) if _name(func) in (
            "SecretStr",
            "SecretBytes",
            "encode",
            "Field",
            "b64decode",
        ):
            parts = [it.value if isinstance(it, ast.Attribute) else it for it in (*value.args, func)]
    for part in filter(None, parts):
        yield from _texts(part)


def _is_secret_name(name: str) -> bool:
    return name.replace("-", "_").lower() not in _PUBLIC_NAMES and redaction.is_secret_name(name)


def _may_be_secret(name: str, text: str) -> bool:
    """Whether it is not empty, a sentence, a placeholder, an address, its own name, or that of a type or header."""
    if redaction.words(text).strip("_") in redaction.words(name):
        return False
    if len(text) < 4 or re.search(r"[\s<>{}$*]|\.\.\.|^https?://|^/|^your[_-]", text, re.IGNORECASE):
        return False
    return text.lower() not in ("none", "null", "true", "false", "string", "bearer", "basic", "authorization")


def _is_random(text: str) -> bool:
    """Whether it is long and random, and not the name of a commit or a model, a UUID, or an alphabet."""
    if all(len(part) < 5 or part.isalpha() or part.isdigit() for part in _JOINTS.split(text)):
        return False
    if not _RANDOM.fullmatch(text) or _UUID.fullmatch(text) or _COMMIT.fullmatch(text):
        return False
    return len(set(text)) < len(text) and _entropy(text) >= MIN_ENTROPY


def _entropy(text: str) -> float:
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
