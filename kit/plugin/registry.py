"""How a function becomes an operation, and how running its cell again replaces it in place.

FastAPI appends every route, and of two for one path the first answers. Here a route that is registered
again replaces the earlier one. Each change stores a new list of routes: a request under way continues
with the old list, and the next one sees the new.
"""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic.errors import PydanticUserError
from starlette.routing import BaseRoute

from kit import jupyter
from kit.errors import OperationClash, OperationError
from kit.openapi import bodies
from kit.plugin import refusals
from kit.plugin.annotations import callables, complete, models_of, resolve_all
from kit.plugin.refresh import remake


def operations(routes: Iterable[BaseRoute]) -> Iterator[RouteContext]:
    """Every operation among `routes`, those of included routers too, that belongs in the spec."""
    for context in iter_route_contexts(list(routes)):
        if isinstance(context.original_route, APIRoute) and context.include_in_schema:
            yield context


def has_path(routes: Iterable[BaseRoute], path: str) -> bool:
    """Whether one of `routes`, or of the routers among them, has exactly this path."""
    return any(context.path == path for context in iter_route_contexts(list(routes)))


def operation_name(context: RouteContext) -> str:
    """The operationId: the author's own, else the name of the function."""
    return str(context.operation_id or context.unique_id)


def name_operations(document: dict[str, Any], routes: Iterable[BaseRoute], taken: set[str]) -> None:
    """Writes the names of operations and bodies into a document.

    An operationId is the function's name, with method and path where it is `taken`. Of one function's
    operations the first GET has the plain name, whatever the order of its decorators.
    """
    served = [(context, method) for context in operations(routes) for method in sorted(context.methods or ())]
    named: dict[tuple[Any, str], list[tuple[RouteContext, str]]] = {}
    for context, method in served:
        name = context.operation_id or context.name or operation_name(context)
        if method.lower() in document["paths"].get(context.path_format, {}):
            named.setdefault((context.endpoint, name), []).append((context, method))
    for (_, name), each in named.items():
        for context, method in sorted(each, key=lambda it: it[1] != "GET"):
            path_words = "_".join(re.findall(r"[^\W_]+", context.path_format or ""))
            unique = name if name not in taken else f"{name}_{method.lower()}_{path_words}"
            taken.add(unique)
            operation = document["paths"][context.path_format][method.lower()]
            operation["operationId"] = unique
            if field := getattr(context, "body_field", None) or context.original_route.body_field:  # type: ignore[attr-defined]
                _name_body(operation.get("requestBody", {}), field.alias, document)


def _name_body(body: dict[str, Any], name: str, document: dict[str, Any]) -> None:
    """Says which argument a body is that is one, such as a list, where its title does not."""
    for media in body.get("content", {}).values():
        schema = media.get("schema", {})
        schemas = document.get("components", {}).get("schemas", {})
        target = schemas.get(str(schema.get("$ref")).rpartition("/")[2], schema)
        if not bodies.is_object(target) and bodies.by_title(schema) != name:
            body.setdefault(bodies.NAME, name)


def functions(app: FastAPI) -> Iterator[Callable[..., Any]]:
    """What answers an app's requests: its operations, what they depend on, and the functions of its middleware."""
    for middleware in app.user_middleware:
        yield from (each for each in middleware.kwargs.values() if callable(each))
    for context in operations(app.routes):
        waiting = [getattr(context, "dependant", None) or context.original_route.dependant]  # type: ignore[attr-defined]
        while waiting:
            dependant = waiting.pop()
            waiting += dependant.dependencies
            if dependant.call:
                yield dependant.call


class _WatchedRouter(APIRouter):
    """A router that passes routes and routers through registries before it adds them.

    The routers of the app and of the author already exist: `of` puts this class above their own.
    """

    registries: list[Registry]

    @classmethod
    def of(cls, router: APIRouter) -> _WatchedRouter:
        if not isinstance(router, cls):
            kind = type(router)
            router.__class__ = cls if kind is APIRouter else type(kind.__name__, (cls, kind), {})
            assert isinstance(router, cls)  # noqa: S101 - for mypy: never false
            router.registries = []
        return router

    def api_route(self, path: Any, **options: Any) -> Any:
        if not isinstance(path, str):  # the function itself: a decorator without its parentheses
            refusals.check_path(path)
        return super().api_route(path, **options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        add: Callable[..., None] = super().add_api_route
        for registry in self.registries:
            add = partial(registry.add, self, add)
        add(path, endpoint, **options)

    def include_router(self, router: APIRouter, **options: Any) -> None:
        include: Callable[..., None] = super().include_router
        for registry in self.registries:
            include = partial(registry.include, self, include)
        include(router, **options)


class Registry:
    """Watches the routers of one app: replaces what is registered again, refuses what clashes."""

    def __init__(self, app: FastAPI, pages: dict[str, Any]) -> None:
        self.app = app
        self._pages = pages  # the kit's own, by path; the author's replace them
        self._lock = threading.RLock()
        self._cells: dict[int, tuple[APIRoute, jupyter.Cell | None]] = {}
        self.watched: list[tuple[dict[str, Any], type]] = []
        self.hook(app.router)

    def hook(self, router: APIRouter) -> None:
        """From now on, what is added to `router` passes through this registry first."""
        watched = _WatchedRouter.of(router)
        if self not in watched.registries:
            watched.registries.append(self)

    # -- adding ---------------------------------------------------------------

    def add(
        self,
        router: APIRouter,
        add: Callable[..., None],
        path: str,
        endpoint: Callable[..., Any],
        **options: Any,
    ) -> None:
        name = getattr(endpoint, "__name__", type(endpoint).__name__)
        refusals.check_path(router.prefix + path)
        refusals.check_function(endpoint, name)
        resolve_all(endpoint, options.get("dependencies") or (), name)
        with self._lock:
            before = router.routes
            try:
                add(path, endpoint, **options)
            except (FastAPIError, PydanticUserError, AssertionError, TypeError) as error:
                raise OperationError(
                    f"{name} cannot become an operation: {error}",
                    "Fix the function and run its cell again; what was served before still is.",
                    operation=name,
                ) from error
            new = router.routes[-1]
            assert isinstance(new, APIRoute)  # noqa: S101 - for mypy: never false
            try:
                refusals.check_arguments(new)
                complete(new, name)
                kept = self._settle(router, new)
            except OperationError:
                _store(router, [route for route in before if route is not new])
                raise
            _store(router, kept)
            if "GET" in (new.methods or ()):
                self._pages.pop(new.path, None)
            self._cells[id(new)] = (new, jupyter.running_cell())
            self._watch(new)

    def _settle(self, router: APIRouter, new: APIRoute) -> list[BaseRoute]:
        """The routes of `router` with `new` in the place of what it replaces."""
        cell = jupyter.running_cell()
        replaced = [
            route
            for route in router.routes
            if isinstance(route, APIRoute)
            and route is not new
            and route.path == new.path
            and (route.methods or set()) & (new.methods or set())
        ]
        for route in replaced:
            if route.name != new.name and self._cell(route) == cell:
                raise self._clash(
                    f"{_method_and_path(new)} is the route of two functions, {route.name} and {new.name}.",
                    f"Give {new.name} another path or method.",
                    new,
                    route,
                )
        functions = {route.endpoint for route in [*replaced, new]}
        if new.include_in_schema:
            for context in list(operations(self.app.routes)):
                other = context.original_route
                if _is_in(other, (new, *replaced)) or operation_name(context) != _name(new):
                    continue
                assert isinstance(other, APIRoute)  # noqa: S101 - for mypy: never false
                if other.endpoint in functions:
                    continue  # one function under two paths: FastAPI allows it, and the spec renames it
                earlier = self._cell(other)
                if cell and earlier and cell.id and cell.id == earlier.id and cell != earlier:
                    replaced.append(other)  # the same cell, run again with another path
                    continue
                raise self._clash(
                    f"Two operations are named {_name(new)}: {self._describe(other)} "
                    f"and {self._describe(new, cell)}.",
                    "Rename one of the functions, or pass operation_id=. If you moved it, first "
                    f"call .remove({_name(new)!r}) on the plugin.",
                    new,
                    other,
                )
        kept: list[BaseRoute] = []
        for candidate in router.routes:
            if candidate is not new and not _is_in(candidate, replaced):
                kept.append(candidate)
            elif not _is_in(new, kept):
                kept.append(new)
        for route in replaced:
            if not _is_in(route, router.routes):
                self._replace(route, None)
            if route.name != new.name:
                print(f"{_method_and_path(new)} was {route.name} and is now {new.name}.")
        return kept

    def include(
        self, router: APIRouter, include: Callable[..., None], included: APIRouter, **options: Any
    ) -> None:
        with self._lock:
            before = list(router.routes)
            for route in list(included.routes):
                if isinstance(route, APIRoute):
                    resolve_all(route.endpoint, route.dependencies, route.name)
                    complete(route, route.name)
            include(included, **options)
            entry = router.routes[-1]
            own = {(_method_and_path(c), c.name) for c in operations([entry])}
            # A router that is included again, or created again by its cell, keeps its place.
            old = [
                route
                for route in before
                if not isinstance(route, APIRoute)
                and own & {(_method_and_path(c), c.name) for c in operations([route])}
            ]
            others = [route for route in before if not _is_in(route, old)]
            taken = {operation_name(c): c for c in operations(others)}
            for context in operations([entry]):
                other = taken.get(operation_name(context))
                if other is not None and other.endpoint is not context.endpoint:
                    _store(router, before)
                    raise self._clash(
                        f"Two operations are named {operation_name(context)}: "
                        f"{_method_and_path(other)} and {_method_and_path(context)}.",
                        "Rename one of the functions, or pass operation_id= to one of the routes.",
                        context.original_route,
                        other.original_route,
                    )
            if old:
                at = before.index(old[0])
                others.insert(min(at, len(others)), entry)
                _store(router, others)
            self.hook(included)
            for context in operations([entry]):
                self._watch(context.original_route)

    def _clash(self, problem: str, remedy: str, new: Any, other: Any) -> OperationClash:
        return OperationClash(problem, remedy, operation=_name(new), taken_by=self._describe(other))

    def _cell(self, route: APIRoute) -> jupyter.Cell | None:
        return self._cells.get(id(route), (route, None))[1]

    def _describe(self, route: Any, cell: jupyter.Cell | None = None) -> str:
        cell = cell or self._cell(route)
        code = getattr(inspect.unwrap(route.endpoint), "__code__", None)
        where = str(cell) if cell else f"line {code.co_firstlineno} of {code.co_filename}" if code else ""
        return f"{route.name} ({_method_and_path(route)}{', ' if where else ''}{where})"

    # -- removing and renaming ------------------------------------------------

    def find(self, name: str) -> APIRoute:
        """The route of the operation `name`. Raises `OperationError` with the names there are."""
        named = {operation_name(c): c.original_route for c in operations(self.app.routes)}
        route = named.get(name)
        if not isinstance(route, APIRoute):
            raise OperationError(
                f"There is no operation {name!r}.",
                f"There are: {', '.join(named) or 'none yet'}.",
                operation=name,
            )
        return route

    def remove(self, name: str) -> None:
        """Removes the operation `name` from the plugin."""
        with self._lock:
            self._replace(self.find(name), None)

    def rename(self, name: str, new_name: str) -> None:
        """Gives the operation `name` another operationId."""
        with self._lock:
            route = self.find(name)
            for context in operations(self.app.routes):
                if operation_name(context) == new_name:
                    raise self._clash(
                        f"{name} cannot be renamed: {self._describe(context.original_route)} "
                        f"is already named {new_name}.",
                        "Choose another name.",
                        route,
                        context.original_route,
                    )
            self._replace(route, remake(route, {}, operation_id=new_name))

    def _replace(self, route: APIRoute, new: APIRoute | None) -> None:
        for router in _routers(self.app.router):
            if _is_in(route, router.routes):
                swap = [new] if new else []
                _store(router, [r for old in router.routes for r in (swap if old is route else [old])])
        _, cell = self._cells.pop(id(route), (None, None))
        if new is not None:
            self._cells[id(new)] = (new, cell)

    def take_over(self, earlier: Registry, builtin: list[BaseRoute]) -> None:
        """Takes over the routes of another app's registry, except those that every plugin has."""
        own = len(earlier.app.router.dependencies)
        for route in earlier.app.router.routes:
            if _is_in(route, builtin):
                continue
            taken = route
            if isinstance(route, APIRoute):
                dependencies = [*self.app.router.dependencies, *route.dependencies[own:]]
                taken = remake(route, {}, dependencies=dependencies, dependency_overrides_provider=self.app)
                self._cells[id(taken)] = (taken, earlier._cell(route))
            elif hasattr(route, "original_router"):
                self.hook(route.original_router)
            self.app.router.routes.append(taken)
        self.watched = list(earlier.watched)

    # -- models that a cell redefines -----------------------------------------

    def _watch(self, route: Any) -> None:
        for call in callables(route.endpoint, route.dependencies):
            scope = getattr(inspect.unwrap(call), "__globals__", None)
            if scope is None or _is_imported(scope):
                continue
            for model in models_of(route):
                if scope.get(model.__name__) is model and (scope, model) not in self.watched:
                    self.watched.append((scope, model))

    def refresh(self) -> None:
        """Rebuilds the operations whose models a later cell has defined again."""
        fresh: dict[type, type] = {}
        for scope, model in self.watched:
            current = scope.get(model.__name__)
            if current is not model and isinstance(current, type) and current.__module__ == model.__module__:
                fresh[model] = current
        if not fresh:
            return
        with self._lock:
            self.watched = [(s, m) for s, m in self.watched if m not in fresh]
            for router in _routers(self.app.router):
                for route in list(router.routes):
                    if isinstance(route, APIRoute) and not fresh.keys().isdisjoint(models_of(route)):
                        self._renew(route, fresh)

    def _renew(self, route: APIRoute, fresh: Mapping[type, type]) -> None:
        try:
            new = remake(route, fresh)
            complete(new, route.name)
        except Exception as error:  # Pydantic may raise anything for the new class: the old one stays in use
            names = ", ".join(model.__name__ for model in fresh)
            print(f"{route.name} keeps the earlier {names}: {error}", file=sys.stderr)
            return
        self._replace(route, new)
        self._watch(new)


def _is_in(route: BaseRoute, routes: Iterable[BaseRoute]) -> bool:
    """Whether this very route is among them: Starlette's == compares path and function."""
    return any(other is route for other in routes)


def _name(route: Any) -> str:
    return str(route.operation_id or route.unique_id)


def _method_and_path(route: Any) -> str:
    return f"{'/'.join(sorted(route.methods or ()))} {route.path}"


def _store(router: APIRouter, routes: list[BaseRoute]) -> None:
    router.routes = routes  # a new list: a loop over the old one is not disturbed
    changed = getattr(router, "_mark_routes_changed", None)
    if changed:
        changed()


def _routers(router: APIRouter) -> Iterator[APIRouter]:
    """`router` and all that it includes, each once."""
    seen: list[APIRouter] = []
    waiting = [router]
    while waiting:
        router = waiting.pop()
        if router not in seen:
            seen.append(router)
            yield router
            waiting += [r.original_router for r in router.routes if hasattr(r, "original_router")]


def _is_imported(scope: dict[str, Any]) -> bool:
    """Whether a function with these globals is in a file: no cell will define it again."""
    return "__file__" in scope and scope.get("__name__") != "__main__"
