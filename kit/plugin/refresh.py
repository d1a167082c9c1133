"""Models that a cell has defined again: they replace the old ones in the routes that use them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.plugin.annotations import callables, models_of

if TYPE_CHECKING:
    from kit.plugin.registry import Registry

_ROUTE_OPTIONS = tuple(name for name in inspect.signature(APIRoute.__init__).parameters if name != "self")


class Refresh:
    """Middleware: rebuilds the operations whose models a cell has defined again, before a request reads them."""

    def __init__(self, app: ASGIApp, registry: Registry) -> None:
        self.app = app
        self.registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.registry.watched:
            self.registry.refresh()
        await self.app(scope, receive, send)


def remake(route: APIRoute, fresh: Mapping[type, type], **changes: Any) -> APIRoute:
    """A route like `route`, with the classes `fresh` maps from replaced by those it maps to."""
    for model in models_of(route):
        _refresh_fields(model, fresh)
    for call in callables(route.endpoint, route.dependencies):
        annotations = getattr(inspect.unwrap(call), "__annotations__", {})
        for name, annotation in annotations.items():
            annotations[name] = _swap(annotation, fresh)
    options = {name: getattr(route, name) for name in _ROUTE_OPTIONS if hasattr(route, name)}
    options["response_model"] = _swap(route.response_model, fresh)
    options["responses"] = {
        status: {**response, "model": _swap(response["model"], fresh)} if "model" in response else response
        for status, response in route.responses.items()
    }
    new = type(route)(**{**options, **changes})
    # What others set on it, such as rate limiters and instrumentation, stays; FastAPI's own is rebuilt.
    own = {name: value for name, value in vars(route).items() if not name.startswith("_")}
    vars(new).update({name: value for name, value in own.items() if name not in vars(new)})
    return new


def _refresh_fields(model: type, fresh: Mapping[type, type]) -> None:
    """Puts redefined classes into the fields of a model that was not redefined itself."""
    if not issubclass(model, BaseModel) or model in fresh:
        return
    changed = False
    for name, field in model.model_fields.items():
        annotation = _swap(field.annotation, fresh)
        if annotation is not field.annotation:
            field.annotation = model.__annotations__[name] = annotation
            changed = True
    if changed:
        model.model_rebuild(force=True)


def _swap(annotation: Any, fresh: Mapping[type, type]) -> Any:
    """`annotation` with classes replaced, inside generics, unions and Annotated too."""
    if isinstance(annotation, type) and annotation in fresh:
        return fresh[annotation]
    args = typing.get_args(annotation)
    if not args or typing.get_origin(annotation) is typing.Literal:
        return annotation
    swapped = tuple(_swap(arg, fresh) if not isinstance(arg, list) else arg for arg in args)
    if all(a is b for a, b in zip(args, swapped, strict=True)):
        return annotation
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return typing.Annotated[(swapped[0], *annotation.__metadata__)]
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(swapped)
    if isinstance(annotation, types.UnionType):
        return typing.Union[swapped]  # noqa: UP007 - built at run time
    return origin[swapped]
