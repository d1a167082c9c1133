"""`Plugin`: a FastAPI app that knows its manifest, and whose operations a cell can replace."""

from __future__ import annotations

import copy
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import jupyter, settings
from kit.guard import HEALTH_PATH, answer, for_hosts, limited
from kit.manifest import LIMITS, Auth, Manifest, NoAuth, manifest_card
from kit.routes import Registry, operation_name, operations
from kit.spec import Spec
from kit.spec_views import spec_table
from kit.wellknown import CHATGPT_ORIGINS, WellKnown, route_path, with_cors

_live: WeakSet[Plugin] = WeakSet()


class Plugin(FastAPI):
    """A plugin: FastAPI, plus a manifest, the well-known routes, and cells that can run again.

    What FastAPI takes, `Plugin` takes; its operations are added with `.get`, `.post` and so on.
    The operationId is the function's name. Left out, `name_for_human` is made from
    `name_for_model`, and `description_for_human` is `description_for_model` where it is short
    enough. `public_url` is where the world reaches the plugin, if not by the address a request
    names. `cors_origins` are the pages that may call it: ChatGPT's. What a server says wins over both:
    the environment variables of `kit.settings`, among them PUBLIC_URL.

    Raises `ManifestError` with every broken rule of the manifest at once, `OperationError` for a
    function that cannot become an operation, `OperationClash` for two of one name.
    """

    manifest: Manifest

    def __init__(
        self,
        name_for_model: str,
        *,
        name_for_human: str = "",
        description_for_model: str = "",
        description_for_human: str = "",
        auth: Auth | None = None,
        logo_url: str = "/logo.svg",
        contact_email: str = "support@example.com",
        legal_info_url: str = "/legal",
        public_url: str | None = None,
        cors_origins: tuple[str, ...] = CHATGPT_ORIGINS,
        **fastapi: Any,
    ) -> None:
        if not description_for_human and len(description_for_model) <= LIMITS["description_for_human"]:
            description_for_human = description_for_model
        self._settings = settings.from_environment()
        public_url = self._settings.public_url or public_url
        self.manifest = Manifest(
            name_for_model=name_for_model,
            name_for_human=name_for_human or _titled(name_for_model),
            description_for_model=description_for_model,
            description_for_human=description_for_human,
            auth=auth or NoAuth(),
            logo_url=logo_url,
            contact_email=contact_email,
            legal_info_url=legal_info_url,
            home=public_url or "",
        )
        self.public_url = public_url
        self._cors_origins = tuple(cors_origins)
        self._wrapped: FastAPI | None = None
        self._finished: tuple[Any, Any, dict[str, Any]] | None = None
        self._endpoint: ASGIApp | None = None
        # Called with the plugin that takes this one's place when its cell runs again.
        self.followers: set[Callable[[Plugin], None]] = set()
        super().__init__(
            **{
                "title": self.manifest.name_for_human,
                "description": self.manifest.description_for_human,
                "generate_unique_id_function": lambda route: route.name,
                **fastapi,
            }
        )
        self._well_known = WellKnown(self)
        self.router.routes.append(self._well_known)
        self.router.default = self._nothing_matched
        self._builtin_routes: list[BaseRoute] = list(self.router.routes)
        self._own_middleware = len(self.user_middleware)
        self._registry = Registry(self, self._well_known.pages)
        if self._settings.log_format:
            from kit import jsonlog

            jsonlog.write(self._settings.log_format)
        self._take_over()
        _live.add(self)

    # -- what the plugin is ---------------------------------------------------

    @property
    def spec(self) -> Spec:
        """The OpenAPI document, read: `.operations` by name, and a table of them to look at."""
        return Spec(self.openapi(), source=f"the plugin {self.manifest.name_for_model!r}")

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the function's name as operationId everywhere.

        A function that serves several paths or methods keeps its name for the first of them; the
        others get theirs from method and path.
        """
        self._registry.refresh()
        with warnings.catch_warnings():
            # One function for several methods: FastAPI warns of what is mended below.
            warnings.filterwarnings("ignore", "Duplicate Operation ID")
            document = super().openapi()
        wrapped = self._wrapped.openapi() if self._wrapped else None
        if self._finished is None or self._finished[0] is not document or self._finished[1] is not wrapped:
            finished = document
            if wrapped is not None:
                finished = copy.deepcopy(wrapped)
                _merge(finished, document)
            taken: set[str] = set()
            for app in filter(None, (self._wrapped, self)):
                for context in operations(app.routes):
                    name = context.operation_id or context.name or operation_name(context)
                    _name_operations(finished, context, name, taken)
            self._finished = (document, wrapped, finished)
        return self._finished[2]

    def remove(self, operation: str) -> None:
        """Takes an operation out, live. Raises `OperationError` if there is none of that name."""
        self._registry.remove(operation)

    def rename(self, operation: str, new_name: str) -> None:
        """Gives an operation another operationId, live. Raises `OperationClash` if it is taken."""
        self._registry.rename(operation, new_name)

    @classmethod
    def wrap(cls, app: FastAPI, name_for_model: str | None = None, **manifest: Any) -> Plugin:
        """A plugin whose operations are those of `app`, which is not touched.

        `app` keeps its own middleware, state and lifespan, and answers whatever the plugin
        itself does not. The manifest is made from the app's title and description unless given.
        """
        name = name_for_model or "_".join("".join(c if c.isalnum() else " " for c in app.title).split())
        texts = {
            "name_for_human": app.title,
            "description_for_model": app.description or app.summary or f"Plugin for {app.title}.",
        }
        plugin = cls(
            name.lower(),
            **{
                "version": app.version,
                "servers": app.servers,
                "openapi_url": None,
                "lifespan": lambda _: app.router.lifespan_context(app),
                **texts,
                **manifest,
            },
        )
        plugin._wrapped = app
        return plugin

    def render(self, host: str, **options: Any) -> Any:
        """What a host needs of the plugin: "chatgpt", "actions", "copilot", "openai", "agent_plugin", ...

        Its addresses are those of `public_url`, else of the server that serves the plugin.
        """
        from kit.discovery import install
        from kit.server import serving

        return install(serving(self) or self).render(host, **options)

    # -- serving --------------------------------------------------------------

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's stack, with CORS around it and, before it, what the kit does for each request.

        That is one plain function, since it is in the way of every operation: it takes up models
        that a cell has defined again, and answers for the manifest and its like itself, where no
        middleware of the author's wants to see them.
        """
        said = self._settings
        stack = limited(super().build_middleware_stack(), said.max_body, said.request_timeout)
        registry, well_known = self._registry, self._well_known
        pages = {} if self.user_middleware else well_known.pages
        if pages:
            self.router.routes = [route for route in self.router.routes if route is not well_known]

        def answering(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            path = route_path(scope) if scope.get("root_path") else scope["path"]
            if path in pages and scope["method"] in ("GET", "HEAD"):
                return well_known.respond(scope, receive, send)
            return stack(scope, receive, send)

        cors, asking = with_cors(answering, self._cors_origins)

        def refreshing(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if registry.watched:
                registry.refresh()
            if scope["type"] == "http":
                try:
                    is_plain = asking.isdisjoint(scope["headers"])
                except TypeError:  # ASGI allows lists for pairs: Mangum's, on Lambda
                    is_plain = asking.isdisjoint(map(tuple, scope["headers"]))
                return (answering if is_plain else cors)(scope, receive, send)
            return stack(scope, receive, send)

        watched: ASGIApp = for_hosts(refreshing, said.allowed_hosts) if said.allowed_hosts else refreshing
        if said.log_format:
            from kit.jsonlog import logged

            watched = logged(watched)

        def outermost(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "http" and scope["path"].endswith(HEALTH_PATH) and self._is_for_health(scope):
                return answer(scope, send, 200, {"status": "ok"})
            if scope["type"] == "lifespan" and "uvicorn" in sys.modules:
                self._begin()
            return watched(scope, receive, send)

        return outermost

    def _begin(self) -> None:
        """What a server's start is used for, before the author's own lifespan."""
        if threading.current_thread() is threading.main_thread():  # the process is the server's
            from kit import sockets

            sockets.send_at_once()
        if multiprocessing.parent_process() is not None:
            from kit import memory

            memory.warn(self)

    def _is_for_health(self, scope: Scope) -> bool:
        """Whether a load balancer asks if the plugin serves, and nobody has a page of their own there.

        Answered before hosts, logs and middleware: a probe has no name, no token, and comes every second.
        The database is not asked: a replica that cannot reach it is no better after a restart.
        """
        if scope["method"] not in ("GET", "HEAD") or route_path(scope) != HEALTH_PATH:
            return False
        apps = filter(None, (self, self._wrapped))
        return not any(
            context.path == HEALTH_PATH for app in apps for context in iter_route_contexts(list(app.routes))
        )

    async def _nothing_matched(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith(("/mcp", "/mcp/")) and self._is_for_mcp(scope):
            await self._mcp(scope, receive, send)
        elif self._wrapped is not None:
            clean = {key: value for key, value in scope.items() if key not in ("router", "app", "fastapi")}
            await self._wrapped(clean, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            await self._well_known.respond(scope, receive, send)
        else:
            await self.router.not_found(scope, receive, send)

    def _is_for_mcp(self, scope: Scope) -> bool:
        """Whether the request is for the MCP endpoint, and not for something that a wrapped app has there."""
        if scope["type"] != "http" or route_path(scope).rstrip("/") != "/mcp":
            return False
        routes = self._wrapped.routes if self._wrapped else ()
        return not any(route.matches(scope)[0] is not Match.NONE for route in routes)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The plugin as an MCP server, made by the first request."""
        if self._endpoint is None:
            try:
                from kit.endpoint import Endpoint
            except ModuleNotFoundError as error:
                if error.name != "kit.endpoint":
                    raise
                await self.router.not_found(scope, receive, send)  # the part of the kit that an export has
                return
            self._endpoint = Endpoint(self)
        await self._endpoint(scope, receive, send)

    # -- the cell that makes the plugin, run again ----------------------------

    def _take_over(self) -> None:
        """If this cell run replaces a plugin of the same name, its operations come along.

        Otherwise whoever edits a description and runs that one cell again would be left with a
        plugin without operations, and a server that still shows the old one.
        """
        for earlier in self._earlier():
            self._registry.take_over(earlier._registry, earlier._builtin_routes)
            self.user_middleware += earlier.user_middleware[earlier._own_middleware :]
            self.exception_handlers = {**earlier.exception_handlers, **self.exception_handlers}
            self.dependency_overrides.update(earlier.dependency_overrides)
            self.state = earlier.state
        self.replace_earlier()

    def replace_earlier(self) -> None:
        """If this cell run replaces a plugin of the same name, the servers of that one serve this one."""
        for earlier in self._earlier():
            followed = []
            try:
                for follow in list(earlier.followers):
                    follow(self)
                    followed.append(follow)
            except Exception:  # this one does not start: what is there stays, with its operations
                for follow in followed:
                    follow(earlier)
                raise
            _live.discard(earlier)

    def _earlier(self) -> list[Plugin]:
        cell, name = jupyter.running_cell(), self.manifest.name_for_model
        if cell is None:
            return []
        live = [plugin for plugin in _live if plugin is not self and plugin.manifest.name_for_model == name]
        return [plugin for plugin in live if cell.rebinds(plugin)]

    def __repr__(self) -> str:
        names = [operation_name(context) for context in operations(self.routes)]
        return f"<Plugin {self.manifest.name_for_model!r}: {', '.join(names) or 'no operations yet'}>"

    def _repr_html_(self) -> str:
        return manifest_card(self.manifest) + spec_table(self.spec)


def _titled(name: str) -> str:
    return name.replace("_", " ").strip().title() if isinstance(name, str) else ""


def _name_operations(document: dict[str, Any], context: Any, name: str, taken: set[str]) -> None:
    for method in sorted(context.methods or ()):
        operation = document["paths"].get(context.path_format, {}).get(method.lower())
        if operation is None:
            continue
        path_words = "_".join("".join(c if c.isalnum() else " " for c in context.path_format).split())
        unique = name if name not in taken else f"{name}_{method.lower()}_{path_words}"
        taken.add(unique)
        operation["operationId"] = unique


def _merge(document: dict[str, Any], added: dict[str, Any]) -> None:
    document["info"] = added["info"]
    document.setdefault("paths", {}).update(added.get("paths", {}))
    for kind, components in added.get("components", {}).items():
        document.setdefault("components", {}).setdefault(kind, {}).update(components)
