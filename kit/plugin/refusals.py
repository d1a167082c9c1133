"""What cannot become an operation, or could never be called, refused where it is written."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from kit.errors import KitError, OperationError
from kit.words import with_article

_BRACES = re.compile(r"\{[^{}]*\}")


def check_path(path: object) -> None:
    """Refuses what is no path. Raises `OperationError`."""
    if not isinstance(path, str):
        name = getattr(path, "__name__", "")
        raise _error(
            f"The decorator of {name or path!r} has no path: it is written without its parentheses."
            if callable(path)
            else f"{path!r} is no path.",
            'Write the path in parentheses: @plugin.get("/books").',
            name,
        )
    if "://" in path:
        problem, remedy = "is an address", "Write what follows the host: /books."
    elif not path.startswith("/"):
        problem, remedy = "does not begin with a slash", f"Write {'/' + path!r}."
    elif "?" in path or "#" in path:
        problem, remedy = (
            "has more than a path in it",
            "Arguments of the query are arguments of the function.",
        )
    elif re.search(r"\s", path):
        problem, remedy = "has a space in it", "Write - or _ instead."
    elif re.search(r"[{}]", _BRACES.sub("", path)):
        problem, remedy = "has a brace without its other half", "Write {name} for each argument in the path."
    elif twice := next((it for it in _names(path) if _names(path).count(it) > 1), ""):
        problem, remedy = f"has {{{twice}}} twice", "Give each argument a name of its own."
    else:
        return
    raise _error(f"The path {path!r} {problem}.", remedy)


def check_function(function: Callable[..., Any], name: str) -> None:
    """Refuses a function whose arguments nobody can send, and one that asks the keyboard. Raises `OperationError`."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _error(
                f"{name} takes {parameter}, and a caller can only send arguments that have names.",
                "Write each argument. If a decorator of yours made this of the function: functools.wraps keeps its own.",
                name,
            )
    if (
        parameters
        and parameters[0].name in ("self", "cls")
        and parameters[0].annotation is inspect.Parameter.empty
    ):
        raise _error(
            f"{name} takes {parameters[0].name}: it is a method, and nobody has its object.",
            f"Write it as a function, or register the method of an object: plugin.get(path)(thing.{name}).",
            name,
        )
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or not {"input", "print"} & {*code.co_names}:  # the source is read for these only
        return
    tree = _tree(function)
    if tree is None:
        return
    called = {it.func.id for it in _own(tree) if isinstance(it, ast.Call) and isinstance(it.func, ast.Name)}
    called -= getattr(
        inspect.unwrap(function), "__globals__", {}
    ).keys()  # the author's own, of the same name
    if "input" in called:
        raise _error(
            f"{name} asks with input(), and a server has nobody at its keyboard.",
            f"Make what it asks for an argument: def {name}(answer: str).",
            name,
        )
    gives = any(
        isinstance(it, ast.Yield | ast.YieldFrom) or (isinstance(it, ast.Return) and it.value)
        for it in _own(tree)
    )
    if "print" in called and not gives and tree.returns is None:
        print(
            f"{name} prints and returns nothing: who calls it gets null. Write return instead of print.",
            file=sys.stderr,
        )


def check_arguments(route: APIRoute) -> None:
    """Refuses a path with an argument that the function does not take. Raises `OperationError`."""
    known, reads_request = set(), False
    for dependant in _dependants(route.dependant):
        known |= {field.alias for field in dependant.path_params}
        reads_request |= bool(dependant.request_param_name or dependant.http_connection_param_name)
    missing = [name for name in route.param_convertors if name not in known]
    if not missing or reads_request:
        return
    arguments = [*inspect.signature(route.endpoint).parameters]
    taken = f"its arguments are {', '.join(arguments)}" if arguments else "it takes no argument"
    raise _error(
        f"The path {route.path!r} has {{{missing[0]}}}, which {route.name} does not take: {taken}.",
        f"Use one name for both: def {route.name}({missing[0]}: ...), or another name in the path.",
        route.name,
    )


def check_app(value: object) -> None:
    """Refuses what is no app that can be served. Raises `KitError`."""
    if isinstance(value, FastAPI):
        return
    remedy = "Pass a kit.Plugin, or a FastAPI app."
    if callable(getattr(value, "follow", None)):
        remedy = "It serves already, and needs no second server."
    elif isinstance(value, str | os.PathLike):
        remedy = f"If a plugin is written there, load it first: kit.load({str(value)!r})."
    elif inspect.isroutine(value):
        remedy = f"Pass the plugin that {getattr(value, '__name__', 'it')} is an operation of."
    raise KitError(f"{value!r:.80} is {with_article(type(value).__name__)}, and no app.", remedy)


def _error(problem: str, remedy: str, name: str = "") -> OperationError:
    return OperationError(problem, remedy, operation=name)


def _names(path: str) -> list[str]:
    return [it[1:-1].partition(":")[0] for it in _BRACES.findall(path)]


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _dependants(inner)


def _tree(function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    except (
        OSError,
        TypeError,
        SyntaxError,
        ValueError,
        IndexError,
    ):  # there is no source, or a part of a line
        return None
    return node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What is in the body of a function, without the functions in it."""
    waiting = list(getattr(function, "body", []))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
