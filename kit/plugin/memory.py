"""State that a plugin keeps in memory, of which several processes would each have their own copy.

A heuristic, not a proof: it looks at what the operations, their dependencies and the author's functions
that those call refer to, and whether they change it.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import logging
import multiprocessing
from collections import deque
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from kit.errors import is_users
from kit.plugin.registry import functions
from kit.words import with_article

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

_log = logging.getLogger("uvicorn.error")
_KINDS = (dict, list, set, deque, bytearray)
_CHANGES = frozenset(
    "add append appendleft clear difference_update discard extend extendleft insert intersection_update "
    "pop popitem popleft remove reverse setdefault sort symmetric_difference_update update subtract".split()
)


def warn(plugin: Plugin) -> None:
    """Warns in the log, once for all workers, about state of which each has its own copy."""
    for what in in_memory(plugin) if _is_first_worker() else ():
        _log.warning(
            "%s in memory: each worker has its own, which is lost when the worker ends. "
            "What all of them share belongs in a database outside: DATABASE_URL or a file.", what,
        )  # fmt: skip


def _is_first_worker() -> bool:
    """Whether this process is the first child of its supervisor, the kit's or uvicorn's: one warns for all."""
    return multiprocessing.current_process().name == "SpawnProcess-1"


def in_memory(plugin: Plugin) -> list[str]:
    """One phrase for each thing that operations change and that lives in memory: `todos, a dict`."""
    kinds: dict[str, str] = {}
    waiting: list[Any] = [each for app in (plugin, plugin._wrapped) if app for each in functions(app)]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        names, rebound, changes = _uses(function)
        for name, value in _values(function, names).items():
            if isinstance(value, FunctionType):
                if is_users(value.__code__.co_filename):
                    waiting.append(value)
            elif name in rebound or (kind := _state(name, value, changes)):
                kinds[name] = type(value).__name__ if name in rebound else kind
    return [f"{name}, {with_article(kind)}" for name, kind in sorted(kinds.items())]


def _uses(function: FunctionType) -> tuple[set[str], set[str], bool]:
    """The outer names that a function reads, those that it rebinds, and whether it changes anything in
    place; nested functions count. Nothing if its source is not available."""
    read, bound, outer, changes = set[str](), set[str](), set[str](), False
    text = "".join(linecache.getlines(function.__code__.co_filename))
    for node in _bodies(text).get(function.__code__.co_firstlineno, ()):
        if isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript):
            changes |= not isinstance(node.ctx, ast.Load) or getattr(node, "attr", "") in _CHANGES
    return read - bound | outer, bound & outer, changes


@lru_cache
def _bodies(source: str) -> dict[int, list[ast.AST]]:
    """The nodes of each function of a file, its decorators, defaults and annotations left out, by its first line."""
    bodies: dict[int, list[ast.AST]] = {}
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            first = min(node.lineno for node in (function, *getattr(function, "decorator_list", ())))
            arguments: list[ast.AST] = [node for node in ast.walk(function.args) if isinstance(node, ast.arg)]
            nodes = bodies.setdefault(first, arguments)
            body = [function.body] if isinstance(function, ast.Lambda) else function.body
            nodes += (node for statement in body for node in ast.walk(statement))
    return bodies


def _values(function: FunctionType, names: set[str]) -> dict[str, Any]:
    values = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not bound yet
            values[name] = cell.cell_contents
    return {name: values[name] for name in names if name in values}


def _state(name: str, value: Any, changes: bool) -> str:
    """The kind of a value that holds state, "" for one that does not."""
    if isinstance(value, _KINDS):
        # A filled one with the name of a constant is a lookup table.
        return type(value).__name__ if changes and not (value and name.isupper()) else ""
    if getattr(value, "_is_single", False):
        return "database"
    kind = value if isinstance(value, type) else type(value)
    held_by_class = [getattr(each, "__func__", each) for each in vars(kind).values()]
    methods = [each for each in held_by_class if isinstance(each, FunctionType)]
    if hasattr(kind, "model_fields") or not any(is_users(each.__code__.co_filename) for each in methods):
        return ""
    held = [item for key, item in getattr(value, "__dict__", {}).items() if not key.startswith("__")]
    changes = changes or any(_uses(method)[2] for method in methods if method.__name__ != "__init__")
    return kind.__name__ if changes and any(isinstance(item, _KINDS) for item in held) else ""
