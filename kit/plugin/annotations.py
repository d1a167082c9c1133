"""The annotations of an operation: resolved to types, and searched for models."""

from __future__ import annotations

import contextlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import CodeType, FrameType
from typing import Any

from fastapi import params
from pydantic import BaseModel
from pydantic.errors import PydanticUndefinedAnnotation

from kit.errors import OperationError


def callables(
    endpoint: Callable[..., Any],
    dependencies: Iterable[Any] = (),
    visit: Callable[[Callable[..., Any]], None] = lambda call: None,
) -> list[Callable[..., Any]]:
    """`endpoint` and every function that it depends on, each once.

    `visit` is called with each of them before its annotations are read.
    """
    calls: list[Callable[..., Any]] = []
    waiting = [endpoint, *(d.dependency for d in dependencies if d.dependency)]
    while waiting:
        call = waiting.pop(0)
        if call in calls or not callable(call):
            continue
        calls.append(call)
        visit(call)
        try:
            parameters = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):
            continue
        for parameter in parameters:
            markers = (parameter.default, *getattr(parameter.annotation, "__metadata__", ()))
            waiting += [d.dependency for d in markers if isinstance(d, params.Depends) and d.dependency]
    return calls


def resolve_all(endpoint: Callable[..., Any], dependencies: Iterable[Any], operation: str) -> None:
    """Resolves the annotations of `endpoint` and of every function that it depends on."""
    callables(endpoint, dependencies, lambda call: _resolve(call, operation, _names_around(call)))


def _names_around(call: Callable[..., Any]) -> dict[str, Any]:
    """The local names where `call` was written: a plugin may be created inside a function.

    Those that the function itself uses are its closure; those in its annotations alone are in the frames of
    the functions that enclose it, however far up the one that registers it is.
    """
    function = inspect.unwrap(call)
    code = getattr(function, "__code__", None)
    if code is None:
        return {}
    names: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # it gets its value after the operation is registered
            names[name] = cell.cell_contents
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_written_in(code, frame.f_code):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def _is_written_in(code: CodeType, outer: CodeType) -> bool:
    inside = [each for each in outer.co_consts if isinstance(each, CodeType)]
    return code in inside or any(_is_written_in(code, each) for each in inside)


def _resolve(call: Callable[..., Any], operation: str, names: Mapping[str, Any]) -> None:
    """Turns the annotations that are text into types. Raises `OperationError` for an unknown name.

    `names` are the local ones where the operation is written. For a name that a later cell defines,
    FastAPI would silently assume a query parameter.
    """
    function = inspect.unwrap(call)
    if not inspect.isfunction(function):
        return
    try:
        hints = typing.get_type_hints(function, localns=dict(names), include_extras=True)
    except NameError as error:
        places = [
            "what it returns" if name == "return" else f"the parameter {name!r}"
            for name, annotation in function.__annotations__.items()
            if str(error.name) in str(annotation)
        ]
        of = "" if function.__name__ == operation else f" (through {function.__name__})"
        raise OperationError(
            f"{operation}{of}: {' and '.join(places) or 'an annotation'} names {error.name!r}, "
            "which is not defined.",
            f"Run the cell that defines or imports {error.name} first, then this one again.",
            operation=operation,
        ) from None
    for name, hint in hints.items():
        annotation = function.__annotations__.get(name)
        if isinstance(annotation, str) or "ForwardRef" in str(annotation):
            # typing makes a type of None, and to FastAPI only None itself is an answer without a body
            function.__annotations__[name] = None if hint is type(None) else hint


def complete(route: Any, operation: str) -> None:
    """Completes every model of `route`; one with a field of a class that is still missing would answer 500."""
    scope = getattr(inspect.unwrap(route.endpoint), "__globals__", {})
    for model in models_of(route):
        if not issubclass(model, BaseModel) or model.__pydantic_complete__:
            continue
        try:
            model.model_rebuild(_types_namespace=scope)
        except (PydanticUndefinedAnnotation, NameError) as error:
            raise OperationError(
                f"{operation}: the model {model.__name__} names {error.name!r}, which is not defined.",
                f"Run the cell that defines {error.name} first, then this one again.",
                operation=operation,
            ) from None


def models_of(route: Any) -> set[type]:
    """The classes with fields or members (models, data classes, enums) that a route is built from."""
    annotations = [route.response_model, *(r.get("model") for r in route.responses.values())]
    for call in callables(route.endpoint, route.dependencies):
        annotations += getattr(inspect.unwrap(call), "__annotations__", {}).values()
    models: set[type] = set()
    waiting = annotations
    while waiting:
        annotation = waiting.pop()
        waiting += typing.get_args(annotation)
        if not isinstance(annotation, type) or annotation in models:
            continue
        if issubclass(annotation, BaseModel):
            models.add(annotation)
            waiting += [field.annotation for field in annotation.model_fields.values()]
        elif hasattr(annotation, "__dataclass_fields__") or typing.is_typeddict(annotation):
            models.add(annotation)
            waiting += annotation.__annotations__.values()
        elif issubclass(annotation, Enum):
            models.add(annotation)
    return models
