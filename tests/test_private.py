"""What the kit uses of its dependencies that is not their public API: a new version may remove it.

`USES` lists it, and is the reason for the upper bounds in pyproject.toml. The test of an entry fails when the
attribute is gone or takes other arguments; the test that the entry names fails when it behaves differently.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import importlib
import inspect
import pkgutil
import socket
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import fastapi.routing
import pytest
import uvicorn
import uvicorn.config
import uvicorn.protocols.http.httptools_impl
from fastapi import APIRouter, FastAPI
from ipykernel.zmqshell import ZMQInteractiveShell
from langchain_core.tools import StructuredTool
from packaging.requirements import Requirement
from paths import TESTS
from pydantic import BaseModel
from starlette.routing import BaseRoute

import kit
import kit.plugin.refresh

PACKAGE = Path(kit.__file__).parent


class Use(NamedTuple):
    """`what` is a path from one of `ROOTS`, `takes` the arguments that it must accept."""

    of: str
    what: str
    where: str  # the kit's modules
    noticed_by: str
    takes: str | None = None


ROUTERS = "test_hotswap.py::test_operations_of_routers_are_replaced_too"
RERUN = "test_hotswap.py::test_a_cell_that_runs_again_replaces_its_operation"
MODELS = "test_hotswap.py::test_a_redefined_model_reaches_its_operations"
OTEL = "opentelemetry-instrumentation-fastapi"
TRACED = "test_traces.py::test_a_plugin_is_among_all_that_are_instrumented"
HEALTH = "test_limits.py::test_health_is_no_value_of_a_parameter_and_asks_no_middleware"
OPENED = "test_auth.py::test_what_is_open_and_what_is_not"
WRAPPED = "test_wrap.py::test_an_app_is_served_and_installed_as_it_is"
ENDS = "test_shutdown.py::test_no_request_that_was_accepted_is_lost"
SLOW = "test_connections.py::test_a_client_that_is_slow_with_its_headers_is_told_and_closed"
LONG = "test_connections.py::test_headers_without_an_end_are_refused_and_not_taken_in"
LATE = "test_connections.py::test_a_body_that_is_not_finished_after_the_answer_ends_the_connection"
FULL = "test_connections.py::test_the_longest_idle_connection_makes_room_for_a_new_one"
PIPED = "test_connections.py::test_what_is_no_request_gets_a_problem"
STARTS = "test_server.py::test_it_starts_and_stops_quickly"
KILLED = "test_workers.py::test_of_four_workers_one_is_killed_under_load"
BROKEN = "test_workers.py::test_a_plugin_that_does_not_load_ends_them_all_and_tells_once"
BARE = "test_refusals.py::test_a_decorator_without_its_parentheses"
STATE = "test_workers.py::test_state_is_found_in_a_closure_and_a_dependency"
RESERVED = "test_langchain.py::test_every_argument_arrives_whatever_its_name"
NAMED = "test_bodies.py::test_a_body_that_is_one_value_has_the_arguments_name"
CELLS = "test_kernel.py::test_cells_out_of_order_and_with_ids"

USES = [
    Use(
        "fastapi",
        "routing.iter_route_contexts",
        "plugin/registry plugin/guard project/child",
        ROUTERS,
        "routes",
    ),
    Use("fastapi", "routing.RouteContext", "plugin/registry", ROUTERS),
    Use("fastapi", "context.original_route", "plugin/registry project/child", ROUTERS),
    Use("fastapi", "context.matches", "plugin/guard", OPENED, "scope"),
    Use("fastapi", "context.openapi_extra", "plugin/guard", OPENED),
    Use("fastapi", "context.unique_id", "plugin/registry", RERUN),
    Use("fastapi", "context.operation_id", "plugin/registry", RERUN),
    Use("fastapi", "context.include_in_schema", "plugin/registry", ROUTERS),
    Use("fastapi", "context.endpoint", "plugin/registry", ROUTERS),
    Use("fastapi", "context.path_format", "plugin/registry", RERUN),
    Use("fastapi", "context.methods", "plugin/registry", RERUN),
    Use("fastapi", "context.body_field", "plugin/registry", NAMED),
    Use("fastapi", "included.original_router", "plugin/registry", ROUTERS),
    Use("fastapi", "router._mark_routes_changed", "plugin/registry", ROUTERS, ""),
    Use("fastapi", "router.add_api_route", "plugin/registry", RERUN, "path endpoint"),
    Use("fastapi", "router.api_route", "plugin/registry", BARE, "path"),
    Use("fastapi", "router.include_router", "plugin/registry", ROUTERS, "router"),
    Use("fastapi", "router.routes", "plugin/registry plugin/app", RERUN),
    Use("fastapi", "route.dependant.call", "plugin/registry", STATE),
    Use("fastapi", "route.dependant.dependencies", "plugin/registry", STATE),
    Use("fastapi", "app.build_middleware_stack", "plugin/app", HEALTH, ""),
    Use("fastapi", "app.middleware_stack", "plugin/app", HEALTH),
    Use("starlette", "app.user_middleware", "plugin/registry plugin/app plugin/guard", HEALTH),
    Use("starlette", "router.default", "plugin/app", WRAPPED),
    Use("starlette", "router.not_found", "plugin/app", WRAPPED, "scope receive send"),
    Use("starlette", "router.lifespan_context", "plugin/app", WRAPPED, "app"),
    Use("starlette", "BaseRoute.matches", "plugin/app plugin/outside", RERUN, "self scope"),
    Use("uvicorn", "server.startup", "runner/graceful", STARTS, "sockets="),
    Use("uvicorn", "server.main_loop", "runner/graceful", STARTS, ""),
    Use("uvicorn", "server.on_tick", "runner/graceful", STARTS, "counter"),
    Use("uvicorn", "server.should_exit", "runner/graceful", STARTS),
    Use("uvicorn", "server.force_exit", "runner/graceful", ENDS),
    Use("uvicorn", "server.started", "server/thread", STARTS),
    Use("uvicorn", "server.shutdown", "runner/graceful", ENDS, "sockets="),
    Use("uvicorn", "server.server_state.default_headers", "runner/graceful", ENDS),
    Use("uvicorn", "server.server_state.connections", "runner/graceful", ENDS),
    Use("uvicorn", "server.server_state.tasks", "runner/graceful", ENDS),
    Use("uvicorn", "server.server_state.total_requests", "runner/graceful", ENDS),
    Use("uvicorn", "server.lifespan.state", "runner/graceful", ENDS),
    Use("uvicorn", "server.lifespan.shutdown", "runner/graceful", ENDS, ""),
    Use("uvicorn", "config.http_protocol_class", "runner/graceful", ENDS, "config= server_state= app_state="),
    Use("uvicorn", "config.http_protocol_class.shutdown", "runner/graceful", ENDS, "self"),
    Use("uvicorn", "config.backlog", "runner/graceful", ENDS),
    Use("uvicorn", "config.http", "runner/graceful", LONG),
    Use(
        "uvicorn", "httptools.HttpToolsProtocol", "runner/connections", LONG, "config server_state app_state"
    ),
    Use("uvicorn", "httptools.HttpToolsProtocol.data_received", "runner/connections", LONG, "self data"),
    Use("uvicorn", "httptools.HttpToolsProtocol.on_headers_complete", "runner/connections", LONG, "self"),
    Use("uvicorn", "httptools.HttpToolsProtocol.on_body", "runner/connections", LATE, "self body"),
    Use("uvicorn", "httptools.HttpToolsProtocol.on_message_complete", "runner/connections", LATE, "self"),
    Use("uvicorn", "httptools.HttpToolsProtocol.send_400_response", "runner/connections", PIPED, "self msg"),
    Use(
        "uvicorn",
        "httptools.HttpToolsProtocol._unset_keepalive_if_required",
        "runner/connections",
        LONG,
        "self",
    ),
    Use("uvicorn", "protocol.app", "runner/connections", FULL),
    Use("uvicorn", "protocol.cycle", "runner/connections", SLOW),
    Use("uvicorn", "protocol.flow", "runner/connections", SLOW),
    Use("uvicorn", "protocol.loop", "runner/connections", LONG),
    Use("uvicorn", "protocol.transport", "runner/connections", SLOW),
    Use("uvicorn", "protocol.connections", "runner/connections", FULL),
    Use("uvicorn", "protocol.timeout_keep_alive", "runner/connections", LONG),
    Use("uvicorn", "protocol.timeout_keep_alive_task", "runner/connections", LONG),
    Use("uvicorn", "config.timeout_graceful_shutdown", "runner/graceful server/thread", ENDS),
    Use("uvicorn", "uvicorn.config.LOGGING_CONFIG", "runner/command", ENDS),
    Use("uvicorn", "uvicorn.config.STARTUP_FAILURE", "runner/supervisor runner/command", BROKEN),
    Use("pydantic", "BaseModel.__pydantic_complete__", "plugin/annotations", MODELS),
    Use(
        "pydantic",
        "BaseModel.model_rebuild",
        "plugin/annotations plugin/refresh",
        MODELS,
        "force= _types_namespace=",
    ),
    Use(OTEL, "instrumentation._InstrumentedFastAPI", "traces", TRACED),
    Use(OTEL, "instrumentation._InstrumentedFastAPI._instrument_kwargs", "traces", TRACED),
    Use(
        OTEL,
        "instrumented._is_instrumented_by_opentelemetry",
        "traces",
        "test_traces.py::test_an_instrumented_plugin_has_one_span_for_each_request",
    ),
    Use("langchain", "StructuredTool._run", "hosts/langchain", RESERVED),
    Use("langchain", "StructuredTool._arun", "hosts/langchain", RESERVED),
    Use("ipykernel", "ZMQInteractiveShell.get_parent", "jupyter notebook/loading", CELLS, "self"),
    Use("ipython", "ZMQInteractiveShell.transform_cell", "jupyter", CELLS, "self raw_cell"),
    Use("ipython", "ZMQInteractiveShell.user_ns", "jupyter notebook/loading", CELLS),
    Use("ipython", "ZMQInteractiveShell.execution_count", "jupyter", CELLS),
    Use(
        "Python",
        "sys._getframe",
        "plugin/annotations",
        "test_hotswap.py::test_text_annotations_are_resolved",
        "depth",
    ),
]
# Names that begin with an underscore but are in the documentation: SQLAlchemy's declarative mapping.
DOCUMENTED = {"__table__"}


def _operation() -> None: ...


@cache
def _app() -> FastAPI:
    app, inner = FastAPI(), APIRouter()
    inner.get("/x")(_operation)
    app.include_router(inner)
    return app


@cache
def _config() -> uvicorn.Config:
    return uvicorn.Config(_app(), loop="asyncio", log_config=None)


@cache
def _server() -> uvicorn.Server:
    """A server that has served: some attributes exist only after the start."""
    config, sock = _config(), _socket()

    async def started() -> uvicorn.Server:
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.lifespan.startup()
        await server.startup(sockets=[sock])
        await server.shutdown(sockets=[sock])
        return server

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(started())


def _protocol() -> Any:
    async def made() -> Any:
        server = _server()
        return uvicorn.protocols.http.httptools_impl.HttpToolsProtocol(_config(), server.server_state, {})

    with asyncio.Runner() as runner:
        return runner.run(made())


def _socket() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _context() -> Any:
    contexts = fastapi.routing.iter_route_contexts(list(_app().routes))
    return next(it for it in contexts if it.endpoint is _operation)


def _instrumentation() -> Any:
    return pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="it is not installed")


def _instrumented() -> FastAPI:
    app = FastAPI()
    _instrumentation().FastAPIInstrumentor.instrument_app(app)
    return app


# What the paths of `USES` start from. Functions, so that a missing one fails only its own entries.
ROOTS: dict[str, Callable[[], Any]] = {
    "routing": lambda: fastapi.routing,
    "context": _context,
    "included": lambda: _app().router.routes[-1],
    "router": lambda: _app().router,
    "route": lambda: _app().router.routes[-1].original_router.routes[0],
    "app": _app,
    "BaseRoute": lambda: BaseRoute,
    "uvicorn": lambda: uvicorn,
    "config": _config,
    "server": _server,
    "httptools": lambda: uvicorn.protocols.http.httptools_impl,
    "protocol": _protocol,
    "BaseModel": lambda: BaseModel,
    "StructuredTool": lambda: StructuredTool,
    "ZMQInteractiveShell": lambda: ZMQInteractiveShell,
    "instrumentation": _instrumentation,
    "instrumented": _instrumented,
    "sys": lambda: sys,
}


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.of}:{use.what}")
def test_it_exists_and_takes_its_arguments(use: Use) -> None:
    root, *path = use.what.split(".")
    value = ROOTS[root]()
    of = f"Python {sys.version}" if use.of == "Python" else f"{use.of} {version(use.of)}"
    users = f"used in kit/{use.where.replace(' ', '.py, kit/')}.py, tested by tests/{use.noticed_by}"
    for name in path:
        assert hasattr(value, name), f"{of} no longer has {use.what} ({name}): {users}"
        value = getattr(value, name)
    if use.takes is None:
        return
    arguments = use.takes.split()
    keywords = {name.rstrip("=") for name in arguments if name.endswith("=")}
    positional = [name for name in arguments if not name.endswith("=")]
    try:
        inspect.signature(value).bind(*positional, **dict.fromkeys(keywords))
    except TypeError as error:
        pytest.fail(f"{of}: {use.what}{inspect.signature(value)}, {error}: {users}")


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.of}:{use.what}")
def test_the_modules_and_the_test_of_an_entry_exist(use: Use) -> None:
    name = use.what.rpartition(".")[2]
    for file in (PACKAGE / f"{module}.py" for module in use.where.split()):
        used = file.is_file() and name in _names(file)
        assert used, (
            f"kit/{file.relative_to(PACKAGE)} no longer uses {use.what}: remove it from USES, or correct `where`"
        )
    place, _, test = use.noticed_by.partition("::")
    tree = ast.parse(next(TESTS.rglob(place)).read_bytes())
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert test in tests, f"There is no {use.noticed_by}: which test notices a change of {use.what}?"


def test_a_route_can_be_made_again_from_its_own_attributes() -> None:
    """`kit.plugin.refresh.remake`: FastAPI's route keeps its arguments under the same names. Noticed by
    test_hotswap.py::test_remove_and_rename."""
    route = ROOTS["route"]()
    missing = [name for name in kit.plugin.refresh._ROUTE_OPTIONS if not hasattr(route, name)]
    assert missing == [], f"fastapi {version('fastapi')}: a route that is made again loses {missing}"


def test_ipython_asks_an_error_for_its_traceback() -> None:
    """`kit.errors`: an error in a cell is shown without the kit's own frames. Noticed by test_kernel.py."""
    source = inspect.getsource(ZMQInteractiveShell.__mro__[1].showtraceback)
    assert "_render_traceback_" in source, f"ipython {version('ipython')} does not use _render_traceback_"


def test_nothing_else_that_is_private_is_used() -> None:
    """No other underscore name, no other module of uvicorn, nothing else from FastAPI's routing."""
    listed = {
        (module, name.rstrip("="))
        for use in USES
        for module in use.where.split()
        for name in (use.what.rpartition(".")[2], *(use.takes or "").split())
    }
    unlisted = [
        f"kit/{file.relative_to(PACKAGE)}:{line}: {name}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for name, line in _private(ast.parse(file.read_bytes()))
        if (file.relative_to(PACKAGE).with_suffix("").as_posix(), name) not in listed
    ]
    assert unlisted == [], "Do without it, or list it in USES."


def test_nothing_else_of_a_dependency_is_overridden() -> None:
    """If the kit overrides a method of a dependency's class, it relies on that method being called."""
    public = {"fastapi.applications.FastAPI.openapi"}  # as FastAPI's documentation does
    # what their documentation says to write: a transport, and the network beneath one
    interfaces = (
        *("httpx2.AsyncBaseTransport.", "httpx2.AsyncByteStream.", "httpx2.SyncByteStream."),
        *("httpcore2.AsyncNetworkBackend.", "httpcore2.AsyncNetworkStream."),
    )
    listed = {(use.of, use.what.rpartition(".")[2]) for use in USES}
    unlisted = []
    for kind in _classes():
        for name, method in vars(kind).items():
            if not isinstance(method, types.FunctionType) or (name.startswith("__") and name.endswith("__")):
                continue
            base = next((it for it in kind.__mro__[1:] if name in vars(it)), None)
            if base is None or base.__module__.startswith("kit"):
                continue
            overridden = f"{base.__module__}.{base.__qualname__}.{name}"
            top = base.__module__.partition(".")[0]
            owners = {owner.lower() for owner in packages_distributions().get(top, ())}
            known = any((of, name) in listed for of in (*owners, "starlette" if "fastapi" in owners else ""))
            known = known or overridden in public or overridden.startswith(interfaces)
            if owners and not known:
                unlisted.append(f"{kind.__module__}.{kind.__qualname__} overrides {overridden}")
    assert unlisted == []


def test_the_upper_bounds_exist() -> None:
    """A new version of a package whose private parts are used is tested before users get it."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    requirements = [
        Requirement(it) for it in [*project["dependencies"], *(it for extra in extras for it in extra)]
    ]
    bounds = {it.name.lower(): {part.operator for part in it.specifier} for it in requirements}
    for of in {use.of for use in USES} - {"Python", "ipython"}:  # IPython's come with ipykernel's bound
        assert bounds[of] & {"<", "<=", "==", "~="}, f"{of} has no upper bound"


def _names(file: Path) -> set[str]:
    """Every name in a module: variables, attributes, imports, functions, keywords, texts."""
    nodes = ast.walk(ast.parse(file.read_bytes()))
    values = (
        getattr(node, field, None) for node in nodes for field in ("id", "attr", "name", "arg", "value")
    )
    return {value for value in values if isinstance(value, str)}


@cache
def _own() -> tuple[set[str], set[str]]:
    """The names that the kit itself defines, and those of its functions' parameters."""
    names, parameters = set(DOCUMENTED), set()
    for file in PACKAGE.rglob("*.py"):
        names.add(file.stem)
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.arg):
                parameters.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names |= {node.attr} if ast.unparse(node.value) in ("self", "cls") else set()
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "object.__setattr__":
                # a frozen class
                names |= {it.value for it in node.args[1:2] if isinstance(it, ast.Constant)}
    return names, parameters


@cache
def _pythons() -> set[str]:
    """Python's own names with two underscores."""

    @dataclasses.dataclass
    class Data: ...

    kinds = [type, object, Data, types.ModuleType, types.FunctionType, types.MethodType, dict, list, int]
    kinds += [
        type(iter(())),
        BaseException,
        property,
        types.GenericAlias,
        types.CoroutineType,
        asyncio.Future,
    ]
    names = {name for kind in kinds for name in dir(kind)} | {"__signature__"}  # which inspect documents
    names |= set(vars(sys.modules[__name__])) | set(vars(Data))
    return names | {"__metadata__", "__wrapped__", "__future__", "__version__", "__mro__"}


def _private(tree: ast.AST) -> Iterator[tuple[str, int]]:
    names, parameters = _own()
    for node in ast.walk(tree):
        used: list[str] = []
        if isinstance(node, ast.Attribute):
            used = [node.attr]
        elif isinstance(node, ast.keyword) and node.arg and node.arg not in parameters:
            used = [node.arg]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
            used = [it.value for it in node.args[1:2] if isinstance(it, ast.Constant)]
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith("kit"):
            module = str(node.module)
            inner = module.startswith("uvicorn.") or module == "fastapi.routing"
            used = [*module.split("."), *(alias.name for alias in node.names)]
            yield from (
                (alias.name, node.lineno) for alias in node.names if inner and alias.name != "APIRoute"
            )
        elif isinstance(node, ast.Import):
            used = [part for alias in node.names for part in alias.name.split(".")]
        for name in used:
            # the kit's own attributes on others' objects begin with _kit_
            own = (name in names and not isinstance(node, ast.keyword)) or name.startswith("_kit_")
            if name.startswith("_") and name.strip("_") and not own and name not in _pythons():
                yield name, node.lineno


def _classes() -> Iterator[type]:
    for info in pkgutil.walk_packages(kit.__path__, "kit."):
        if "templates" in info.name or info.name.endswith("__main__"):
            continue
        kinds = (it for it in vars(importlib.import_module(info.name)).values() if isinstance(it, type))
        yield from (kind for kind in kinds if kind.__module__ == info.name)
