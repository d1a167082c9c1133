"""`Plugin`: a FastAPI app that knows its manifest, and whose operations a cell can replace."""

from __future__ import annotations

import copy
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import jupyter, traces
from kit.auth import Auth, NoAuth
from kit.errors import ManifestError
from kit.manifest import LIMITS, Manifest, cut, legal_name, manifest_card
from kit.openapi.spec import Problem, Spec
from kit.openapi.values import pointer_token
from kit.openapi.views import spec_table
from kit.plugin import accesslog, guard, misfits, problems, refusals, settings, tryout
from kit.plugin.accesslog import AccessLog
from kit.plugin.admission import Admission
from kit.plugin.health import Health
from kit.plugin.limits import SizeLimits, Timeout
from kit.plugin.outside import Outside
from kit.plugin.refresh import Refresh
from kit.plugin.registry import Registry, name_operations, operation_name, operations
from kit.plugin.repeats import Repeats
from kit.plugin.startup import Startup
from kit.plugin.wellknown import CHATGPT_ORIGINS, INNER, Pages, WellKnown, is_read, route_path

if TYPE_CHECKING:
    from kit.web.forms import Form

MOUNTED = "an application is mounted there: its operations are not in the spec, and give no tools"
_live: WeakSet[Plugin] = WeakSet()


class Plugin(FastAPI):
    """A plugin: FastAPI, plus a manifest, the well-known routes, and cells that can run again.

    What FastAPI takes, `Plugin` takes; its operations are added with `.get`, `.post` and so on.
    The operationId is the function's name. By default, `name_for_human` is derived
    from `name_for_model`, and `description_for_human` is `description_for_model` if that is short
    enough. `conversation_starters` are what a user may say first: hosts show them, MCP clients as prompts.
    `public_url` is where the world reaches the plugin, if not at the address that a request
    names. `auth` is held in front of every operation: `kit.ServiceHttp(tokens=...)`, `UserHttp`, `OAuth`.
    `cors_origins` are the pages that may call it: ChatGPT's. The environment variables of
    `kit.plugin.settings`, such as PUBLIC_URL, take precedence.

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
        conversation_starters: Sequence[str] = (),
        public_url: str | None = None,
        cors_origins: tuple[str, ...] = CHATGPT_ORIGINS,
        **fastapi: Any,
    ) -> None:
        # what is no text, the manifest refuses with all else that is wrong
        if not description_for_human and len(str(description_for_model)) <= LIMITS["description_for_human"]:
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
            conversation_starters=conversation_starters,
            home=public_url or "",
        )
        self.public_url = public_url
        self._cors_origins = _origins(cors_origins)
        self._wrapped: FastAPI | None = None
        self._finished: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        # What else the plugin serves, by path: `/mcp`. Its own operations and a wrapped app come first.
        self.extensions: dict[str, ASGIApp] = {}
        # Called with the plugin that takes this one's place when its cell runs again.
        self.followers: set[Callable[[Plugin], None]] = set()
        self.successor: Plugin | None = None  # that plugin
        super().__init__(
            **{
                "title": self.manifest.name_for_human,
                "description": self.manifest.description_for_human,
                "generate_unique_id_function": lambda route: route.name,
                **tryout.fastapi_options(fastapi),
                # OTEL_EXPORTER_OTLP_ENDPOINT and the others are enough. Not what exceptions say: nothing hides secrets there
                "telemetry": {"auto_configure": True, "logs": False, **(fastapi.get("telemetry") or {})},
                # the author's own come last: of two for one error, they answer
                "exception_handlers": {**problems.HANDLERS, **(fastapi.get("exception_handlers") or {})},
            }
        )
        self._pages = Pages(self)
        if tryout.has_form(fastapi):
            self._pages.by_path[tryout.PATH] = ("text/html", tryout.FormPage(self))
        self._well_known = Middleware(WellKnown, self._pages)
        # innermost: the author's middleware sees the pages, and adds its headers to what the guard refuses
        self._innermost = [Middleware(guard.Guard, self), Middleware(Repeats)]
        self.user_middleware += [self._well_known, *self._innermost]
        self.router.default = self._nothing_matched
        self._builtin_routes: list[BaseRoute] = list(self.router.routes)
        self._own_middleware = list(self.user_middleware)
        self._registry = Registry(self, self._pages.by_path)
        traces.instrument(self)
        if self._settings.log_format:
            accesslog.write(self._settings.log_format)
        self._take_over()
        misfits.handle(self)  # last: a handler of the author's, taken over or not, comes first
        _live.add(self)

    # -- what the plugin is ---------------------------------------------------

    @property
    def spec(self) -> Spec:
        """The OpenAPI document as a `Spec`: `.operations` by name, shown as a table."""
        spec = Spec(self.openapi(), source=f"the plugin {self.manifest.name_for_model!r}")
        for place, message in self.notes:
            spec.problem(place, message)
        return spec

    @property
    def notes(self) -> list[Problem]:
        """What the document does not say: the applications that are mounted, but not folders of files."""
        routes = [*(self._wrapped.routes if self._wrapped else ()), *self.routes]
        mounts = [route for route in routes if isinstance(route, Mount) and route.routes]
        return [(f"/paths/{pointer_token(mount.path)}", MOUNTED) for mount in mounts]

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the function's name as operationId everywhere.

        A function that serves several paths or methods keeps its name for the first of them; the
        others get theirs from method and path.
        """
        self._registry.refresh()
        with warnings.catch_warnings():
            # One function for several methods: FastAPI warns about what is fixed below.
            warnings.filterwarnings("ignore", "Duplicate Operation ID")
            document = super().openapi()
        wrapped = self._wrapped.openapi() if self._wrapped else None
        state = (document, wrapped, self.manifest.auth)
        if self._finished is None or any(a is not b for a, b in zip(self._finished[0], state, strict=True)):
            finished = copy.deepcopy(document)
            if self.exception_handlers.get(RequestValidationError) is problems.misfit:
                problems.declare(finished)
            if wrapped is not None:
                own, finished = finished, copy.deepcopy(wrapped)
                _merge(finished, own)
            taken: set[str] = set()
            for app in filter(None, (self._wrapped, self)):
                name_operations(finished, app.routes, taken)
            if _has_sequences(finished) and str(finished.get("openapi")) < "3.2":
                finished["openapi"] = "3.2.0"  # FastAPI writes its itemSchema, and 3.1.0
            guard.secured(self, finished)
            self._finished = (state, finished)
        return self._finished[1]

    @property
    def revision(self) -> tuple[Any, ...]:
        """What its documents are made of: each an object that another takes the place of when it changes."""
        return self.openapi(), self.manifest, self.manifest.revision

    @property
    def auth(self) -> Auth:
        """The auth of the manifest. One that is set later counts from the next request on."""
        return self.manifest.auth

    @auth.setter
    def auth(self, auth: Auth) -> None:
        self.manifest.auth = auth

    def remove(self, operation: str) -> None:
        """Removes an operation, live. Raises `OperationError` if there is none of that name."""
        self._registry.remove(operation)

    def rename(self, operation: str, new_name: str) -> None:
        """Gives an operation another operationId, live. Raises `OperationClash` if it is taken."""
        self._registry.rename(operation, new_name)

    def form(self, operation: str, values: Mapping[str, Any] | None = None, /, **more: Any) -> Form:
        """A form to try an operation in a cell: `kit.form`."""
        import kit  # what calls a plugin stands above it: as a function of kit, it is asked for by name

        return kit.form(self, operation, values, **more)

    @classmethod
    def wrap(cls, app: FastAPI, name_for_model: str | None = None, **manifest: Any) -> Plugin:
        """A plugin whose operations are those of `app`, which is not touched.

        `app` keeps its own middleware, state and lifespan, and answers whatever the plugin
        itself does not. The manifest comes from the app's title and description unless given.
        """
        refusals.check_app(app)
        name = name_for_model or legal_name(app.title).lower()
        description = app.description or app.summary or f"Plugin for {app.title}."
        texts = {
            "name_for_human": cut(app.title, "name_for_human"),
            "description_for_model": cut(description, "description_for_model"),
            "description_for_human": cut(" ".join(description.split()), "description_for_human"),
        }
        if not name_for_model and name != "_".join(re.findall(r"[^\W_]+", app.title)).lower():
            # on stderr: what `kit mcp` writes to stdout is its protocol
            print(
                f"The title {app.title!r} is no name for a model: the plugin is named {name!r}. "
                "Choose another with name_for_model=.",
                file=sys.stderr,
            )
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
        plugin._pages.also_spec(app.openapi_url)
        if app.docs_url and tryout.has_form({**manifest, "openapi_url": app.openapi_url}):
            plugin._pages.by_path[app.docs_url] = ("text/html", tryout.FormPage(plugin, app.docs_url))
        return plugin

    # -- serving --------------------------------------------------------------

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's own stack, which OpenTelemetry's instrumentation takes the place of; `_layered` adds the kit's layers."""
        # no middleware needs to see the pages
        if self.user_middleware == [self._well_known, *self._innermost]:
            self.user_middleware = self._innermost
        return super().build_middleware_stack()

    @property
    def middleware_stack(self) -> ASGIApp | None:
        """The layers of a request from the outermost to the operation, once they are built."""
        return self._stack

    @middleware_stack.setter
    def middleware_stack(self, stack: ASGIApp | None) -> None:
        self._stack = None if stack is None else self._layered(stack)

    def _layered(self, stack: ASGIApp) -> ASGIApp:
        """FastAPI's own stack within the kit's layers.

        If the author has middleware, it sees the manifest and the other pages too, which are then inside it.
        """
        own, apps = self._settings, [app for app in (self, self._wrapped) if app is not None]
        layers = [
            # before all that reads or makes an address
            Middleware(Outside, plugin=self, proxies=own.proxies, root_path=own.root_path),
            Middleware(Startup, plugin=self),
            # a probe comes every second, without a host name or a token: no host is checked, no line written
            Middleware(Health, apps=apps),
            # outside everything that can refuse or fail: every answer gets a line and an id
            Middleware(AccessLog) if own.log_format else None,
            # before anything of the author's runs; CORS is in it, around limits and FastAPI's error handling: a page
            # can read 413, 504 and 500 too
            Middleware(Admission, plugin=self, hosts=own.allowed_hosts),
            # before a request is read with an outdated model
            Middleware(Refresh, registry=self._registry),
            self._well_known if self.user_middleware == self._innermost else None,
            # before the clock starts: a body that is too long by its header is refused immediately
            Middleware(SizeLimits, own.max_body, own.max_headers, own.max_header_bytes),
            # around the author's middleware, which may be slow itself
            Middleware(Timeout, seconds=own.request_timeout),
        ]
        for layer in filter(None, reversed(layers)):
            stack = layer.cls(stack, *layer.args, **layer.kwargs)
        return stack

    async def _nothing_matched(self, scope: Scope, receive: Receive, send: Send) -> None:
        extension = self._extension(scope)
        if extension is not None:
            await extension(scope, receive, send)
        elif self._wrapped is not None:
            clean = {key: value for key, value in scope.items() if key not in ("router", "app", "fastapi")}
            if self._wrapped.root_path:  # which FastAPI takes for the prefix, whatever the scope says
                clean["path"] = self._wrapped.root_path.rstrip("/") + route_path(scope)
            scope[INNER] = clean
            await self._wrapped(clean, receive, send)
        elif scope["type"] == "http" and route_path(scope) == "/" and is_read(scope):
            await self._pages(scope, receive, send)
        else:
            await self.router.not_found(scope, receive, send)

    def _extension(self, scope: Scope) -> ASGIApp | None:
        """The extension at the path of the request, unless a wrapped app has something there."""
        is_http = scope["type"] == "http"
        extension = self.extensions.get(route_path(scope).rstrip("/")) if is_http else None
        routes = self._wrapped.routes if extension and self._wrapped else ()
        return None if any(route.matches(scope)[0] is not Match.NONE for route in routes) else extension

    # -- when the cell of the plugin runs again -------------------------------

    def _take_over(self) -> None:
        """If this cell run replaces a plugin of the same name, takes over its operations.

        Otherwise, editing a description and running that one cell again would leave a plugin
        without operations, and a server that still shows the old one.
        """
        for earlier in self._earlier():
            self._registry.take_over(earlier._registry, earlier._builtin_routes)
            added = [layer for layer in earlier.user_middleware if layer not in earlier._own_middleware]
            self.user_middleware[:0] = added  # the latest is the outermost
            own = {
                kind: it
                for kind, it in self.exception_handlers.items()
                if it not in problems.HANDLERS.values()
            }
            self.exception_handlers = {**earlier.exception_handlers, **own}
            self.dependency_overrides.update(earlier.dependency_overrides)
            self.state = earlier.state
            traces.instrument(self, like=earlier)
        self.replace_earlier()

    def replace_earlier(self) -> None:
        """If this cell run replaces a plugin of the same name, the servers of that one serve this one."""
        for earlier in self._earlier():
            followed = []
            try:
                for follow in list(earlier.followers):
                    follow(self)
                    followed.append(follow)
            except Exception:  # this one does not start: the earlier one stays, with its operations
                for follow in followed:
                    follow(earlier)
                raise
            earlier.successor = self
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


class Served(Protocol):
    """A plugin that is being served: what `kit.serve` returns."""

    plugin: Plugin

    @property
    def url(self) -> str:
        """Where programs on this machine reach it."""

    def follow(self, plugin: Plugin) -> None:
        """Serves another plugin in its place."""


def _origins(value: Any) -> tuple[str, ...]:
    origins = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
    if isinstance(value, str) or not all(isinstance(origin, str) for origin in origins):
        message = f"must be a list of origins such as ['https://chatgpt.com'], not {value!r:.60}"
        raise ManifestError(
            f"cors_origins {message}.",
            "Fix it and run this cell again.",
            violations=[("cors_origins", message)],
        )
    return origins


def _titled(name: str) -> str:
    return name.replace("_", " ").strip().title() if isinstance(name, str) else ""


def _has_sequences(document: dict[str, Any]) -> bool:
    """Whether an operation yields its answer, item by item: `itemSchema`, which came with OpenAPI 3.2."""
    operations = (
        it for item in document.get("paths", {}).values() for it in item.values() if "responses" in it
    )
    return any(
        "itemSchema" in media
        for operation in operations
        for response in operation["responses"].values()
        for media in response.get("content", {}).values()
    )


def _merge(document: dict[str, Any], added: dict[str, Any]) -> None:
    document["info"] = added["info"]
    document.setdefault("paths", {}).update(added.get("paths", {}))
    for kind, components in added.get("components", {}).items():
        document.setdefault("components", {}).setdefault(kind, {}).update(components)
