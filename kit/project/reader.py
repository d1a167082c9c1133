"""Reads what code would do with values that it says itself, without running it.

The values are constants, what is computed of them by a few functions that have no effect, files that are there, and
what the calls that a subclass makes are answered. All else is `UNKNOWN`.
"""

from __future__ import annotations

import ast
import base64
import datetime
import decimal
import json
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

MOST_TURNS = 20  # of one loop
_PLAIN = (str, bytes, int, float, list, tuple, dict, datetime.date, datetime.time, Path)
# Functions without an effect, by the last part of their name and by the module before it, if there is one.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{it.__name__: it for it in (str, int, float, bool, bytes, len, list, dict, tuple, sorted, range, round, sum)},
    **{it.__name__: it for it in (min, max, zip, enumerate, reversed, repr, abs)},
    **{it.__name__: it for it in (datetime.date, datetime.time, datetime.timedelta, uuid.UUID, decimal.Decimal)},
    "datetime": datetime.datetime, "json.dumps": json.dumps, "json.loads": json.loads,
    "base64.b64encode": base64.b64encode, "BytesIO": bytes, "StringIO": str,
    "date.fromisoformat": datetime.date.fromisoformat, "datetime.fromisoformat": datetime.datetime.fromisoformat,
}  # fmt: skip
_MODULES = ("", "datetime", "uuid", "decimal", "io", "dt")
_OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.truediv, ast.BitOr: operator.or_,
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.Gt: operator.gt,
}  # fmt: skip


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
HOLE = "\0"  # in a text, in the place of what is unknown


class File(bytes):
    """The content of a file that the code opens, with its name."""

    name = ""


def is_known(value: Any) -> bool:
    """Whether nothing in it is unknown."""
    if isinstance(value, Mapping):
        return all(is_known(it) for it in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(it) for it in value)
    return value is not UNKNOWN and not (isinstance(value, str) and HOLE in value)


class Reader:
    """Reads statements in their order. `folder` is where the code's files are; `names` are the values of its names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {}

    def call(self, node: ast.Call, arguments: list[Any], named: dict[str, Any]) -> Any:
        """The value of a call that is of interest; `...` for every other one."""
        return ...

    def member(self, value: Any, name: str) -> Any:
        """The value of an attribute."""
        return UNKNOWN

    def read(self, statements: Iterable[ast.stmt]) -> None:
        """Reads statements, what is in functions and branches once."""
        for node in statements:
            getattr(self, f"_{type(node).__name__}", self._other)(node)

    def value(self, node: ast.AST | None) -> Any:
        """The value of an expression."""
        if node is None:
            return UNKNOWN
        return getattr(self, f"_{type(node).__name__}", self._other)(node)

    # -- statements -----------------------------------------------------------------

    def _Assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _AnnAssign(self, node: ast.AnnAssign) -> None:
        self._bind(node.target, self.value(node.value))

    def _NamedExpr(self, node: ast.NamedExpr) -> Any:
        self._bind(node.target, value := self.value(node.value))
        return value

    def _For(self, node: ast.For | ast.AsyncFor) -> None:
        for item in self._items(node.iter):
            self._bind(node.target, item)
            self.read(node.body)

    _AsyncFor = _For

    def _With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value)
        self.read(node.body)

    _AsyncWith = _With

    def _If(self, node: ast.If) -> None:
        test = self.value(node.test)
        self.read(node.orelse if test is not UNKNOWN and not test else node.body)

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outside = dict(self.names)
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self.names.update({it.arg: UNKNOWN for it in parameters})
        self.read(node.body)
        self.names = outside

    _AsyncFunctionDef = _FunctionDef

    def _other(self, node: ast.AST) -> Any:
        """Whatever is within, for the calls in it."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.expr | ast.withitem | ast.ExceptHandler):
                self.value(child)
        return UNKNOWN

    def _ClassDef(self, node: ast.ClassDef) -> None:
        pass

    _Lambda = _ClassDef

    def _Try(self, node: ast.Try) -> None:
        self.read([*node.body, *node.orelse, *node.finalbody])

    def _bind(self, target: ast.AST, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            items = [*value] if isinstance(value, list | tuple) else []
            fits = len(items) == len(target.elts)
            for number, inner in enumerate(target.elts):
                self._bind(inner, items[number] if fits else UNKNOWN)
        elif isinstance(target, ast.Subscript) and isinstance(held := self.value(target.value), dict | list):
            _tried(operator.setitem, held, self.value(target.slice), value)

    # -- expressions ------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _Name(self, node: ast.Name) -> Any:
        return self.names.get(node.id, UNKNOWN)

    def _Await(self, node: ast.Await | ast.Starred) -> Any:
        return self.value(node.value)

    _Starred = _Await

    def _List(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        return [*self._each(node.elts)]

    _Set = _List

    def _Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._each(node.elts))

    def _Dict(self, node: ast.Dict) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item)
            if key is None:
                made.update(value if isinstance(value, dict) else {})
            elif isinstance(name := self.value(key), str | int | float | bool | None):
                made[name] = value
        return made

    def _JoinedStr(self, node: ast.JoinedStr) -> str:
        return "".join(str(self.value(part)) for part in node.values)

    def _FormattedValue(self, node: ast.FormattedValue) -> str:
        value = self.value(node.value)
        if not is_known(value) and not isinstance(value, str):
            return HOLE
        if node.format_spec is None:
            return repr(value) if node.conversion == ord("r") else str(value)
        return str(_tried(format, value, self.value(node.format_spec), otherwise=HOLE))

    def _BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Div) and isinstance(left, Path) and isinstance(right, str):
            return left / right
        if isinstance(node.op, ast.Add) and (isinstance(left, str) or isinstance(right, str)):
            left, right = (HOLE if it is UNKNOWN else it for it in (left, right))
        return self._applied(node.op, left, right)

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        return self._applied(node.op, self.value(node.operand))

    def _Compare(self, node: ast.Compare) -> Any:
        values = [self.value(it) for it in (node.left, *node.comparators)]
        return self._applied(node.ops[0], *values) if len(values) == 2 else UNKNOWN

    def _IfExp(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        return UNKNOWN if test is UNKNOWN else self.value(node.body if test else node.orelse)

    def _Subscript(self, node: ast.Subscript) -> Any:
        held, key = self.value(node.value), self.value(node.slice)
        return UNKNOWN if held is UNKNOWN or key is UNKNOWN else _tried(operator.getitem, held, key)

    def _Slice(self, node: ast.Slice) -> Any:
        return slice(*(None if it is None else self.value(it) for it in (node.lower, node.upper, node.step)))

    def _Attribute(self, node: ast.Attribute) -> Any:
        return self.member(self.value(node.value), node.attr)

    def _ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> list[Any]:
        return [self.value(node.elt) for _ in self._turns(node.generators)]

    _SetComp = _GeneratorExp = _ListComp

    def _DictComp(self, node: ast.DictComp) -> dict[Any, Any]:
        pairs = [(self.value(node.key), self.value(node.value)) for _ in self._turns(node.generators)]
        return {key: value for key, value in pairs if isinstance(key, str | int)}

    def _Call(self, node: ast.Call) -> Any:
        arguments = [*self._each(node.args)]
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif isinstance(value, dict):
                named.update(value)
        if (found := self.call(node, arguments, named)) is not ...:
            return found
        return self._pure(node.func, arguments, named)

    def _pure(self, function: ast.expr, arguments: list[Any], named: dict[str, Any]) -> Any:
        """The value of a call without an effect: of a method of a plain value, a function, a model, a file."""
        name = ast.unparse(function) if isinstance(function, ast.Name | ast.Attribute) else ""
        last = name.rpartition(".")[2]
        if isinstance(function, ast.Attribute):
            held = self.value(function.value)
            if isinstance(held, Path) and last in ("read_bytes", "open", "read_text"):
                return self._opened(
                    held, last == "read_text" or (last == "open" and "b" not in str(arguments))
                )
            if isinstance(held, dict) and last in ("model_dump", "dict"):
                return held  # of a model
            if isinstance(held, bytes | str) and last == "read":
                return held
            if isinstance(held, _PLAIN):
                return _tried(getattr(held, last, None), *arguments, **named)
        if not (is_known(arguments) and is_known(named)):
            return named if last[:1].isupper() and named and not arguments else UNKNOWN
        if last == "Path" and arguments:
            return Path(str(arguments[0]))
        if name == "open" and arguments:
            return self._opened(Path(str(arguments[0])), "b" not in str(arguments[1:]))
        module = name.rpartition(".")[0]
        known = _FUNCTIONS.get(name) or (_FUNCTIONS.get(last) if module in _MODULES else None)
        if known is not None:
            return _tried(known, *arguments, **named)
        # a model of Pydantic's, as which it is sent
        return named if last[:1].isupper() and named and not arguments else UNKNOWN

    # -- parts ------------------------------------------------------------------------

    def _opened(self, path: Path, is_text: bool) -> Any:
        try:
            content = (self.folder / path).read_bytes()
            if is_text:
                return content.decode()
        except (OSError, ValueError):
            return UNKNOWN
        file = File(content)
        file.name = path.name
        return file

    def _applied(self, kind: ast.AST, *values: Any) -> Any:
        function = _OPERATORS.get(type(kind))
        return (
            UNKNOWN if function is None or any(it is UNKNOWN for it in values) else _tried(function, *values)
        )

    def _each(self, nodes: Iterable[ast.expr]) -> Iterator[Any]:
        for node in nodes:
            value = self.value(node)
            if isinstance(node, ast.Starred) and isinstance(value, list | tuple):
                yield from value
            else:
                yield value

    def _items(self, node: ast.expr) -> list[Any]:
        """What a loop goes over, once over something unknown if it is."""
        value = self.value(node)
        is_some = isinstance(value, list | tuple | dict | str | range | zip | enumerate | reversed)
        return [*islice(value, MOST_TURNS)] if is_some else [UNKNOWN]

    def _turns(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *rest = generators
        for item in self._items(first.iter):
            self._bind(first.target, item)
            yield from self._turns(rest)


def _tried(function: Any, *arguments: Any, otherwise: Any = UNKNOWN, **named: Any) -> Any:
    try:
        value = function(*arguments, **named)
    except Exception:  # as the code itself would fail
        return otherwise
    return [*value] if isinstance(value, type({}.items()) | type({}.keys()) | type({}.values())) else value
