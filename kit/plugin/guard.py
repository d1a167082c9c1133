"""The guard: what a plugin's auth declares, held in front of its operations, a wrapped app, websockets and `/mcp`.

Everything asks for a credential, except what a host reads before it has one (`OPEN`) and the operations that the
author opened with `openapi_extra={"security": []}`. It stands inside all other middleware, so that pages can read
its answers.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from kit.auth import Auth, NoAuth, OAuth
from kit.errors import AuthError, Forbidden
from kit.plugin.health import HEALTH_PATH
from kit.plugin.problems import Problem
from kit.plugin.registry import has_path, operations
from kit.plugin.wellknown import MCP_PATH, OPEN, RESOURCE_PATH, base_url, is_read, route_path
from kit.redaction import hide

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

_log = logging.getLogger("uvicorn.error")
SIGNED_IN = "kit.signed_in"  # in the scope: the plugin that let the request in, and who sent it


def current_user(connection: HTTPConnection) -> Any:
    """Who sent the request: the name of the token, or what `verify` returned. Raises 401 where nobody signed in.

    In tests `plugin.dependency_overrides[kit.current_user] = lambda: "sam"` signs everyone in, without a token.
    """
    _, user = connection.scope.get(SIGNED_IN, (None, None))
    if user is None:
        raise HTTPException(401, "Nobody is signed in: this operation needs a user.")
    return user


User = Annotated[str, Depends(current_user)]


class Guard:
    """Middleware: lets in who has the credential that the plugin's auth asks for. It reads the auth at each request."""

    def __init__(self, app: ASGIApp, plugin: Plugin) -> None:
        self.app = app
        self.plugin = plugin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        auth = self.plugin.manifest.auth
        if scope["type"] not in ("http", "websocket") or isinstance(auth, NoAuth):
            await self.app(scope, receive, send)
            return
        if override := _override(self.plugin):
            if self.plugin._wrapped is not None and not inspect.signature(override).parameters:
                user = override()  # the app knows no override of the plugin's
                user = await user if inspect.isawaitable(user) else user
                scope[SIGNED_IN] = self.plugin, user  # in place: outer layers read what routing adds
            await self.app(scope, receive, send)
            return
        if scope.get(SIGNED_IN, (None,))[0] is self.plugin:  # the MCP request of this call was let in
            await self.app(scope, receive, send)
            return
        user = refusal = None
        try:
            user = await self._user(auth, scope)
        except HTTPException as error:
            refusal = error
        if user is not None:
            scope[SIGNED_IN] = self.plugin, user  # in place: outer layers read what routing adds
        elif not is_open(self.plugin, scope):
            await self._refuse(auth, refusal, scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _user(self, auth: Auth, scope: Scope) -> Any:
        """Who sent the request. Raises `HTTPException` for everyone whom the plugin does not let in."""
        assert not isinstance(auth, NoAuth)  # noqa: S101 - for mypy: never false
        if not auth.is_checked:
            raise HTTPException(
                401, "This plugin lets nobody in: its auth is declared, and nothing checks it."
            )
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        kind = "Basic" if auth.is_basic else "Bearer"
        if not sent:
            raise HTTPException(401, f"This needs `Authorization: {kind} ...`.")
        if len(sent) > 1:
            raise HTTPException(401, "There are several Authorization headers: send one.")
        scheme, _, credential = sent[0].strip().partition(b" ")
        credential = credential.strip()
        if scheme.lower() != kind.lower().encode() or not credential:
            raise HTTPException(401, f"This needs `Authorization: {kind} ...`, and another form was sent.")
        try:
            user = await auth.identify(credential)
        except HTTPException:
            raise
        except Forbidden as error:
            raise HTTPException(403, error.problem) from None
        except Exception:  # of the author's `verify`
            shown = hide(auth.redacted(traceback.format_exc(), credential))
            _log.error("verify of the plugin %s failed:\n%s", self.plugin.manifest.name_for_model, shown)
            raise HTTPException(500, "The credential could not be checked.") from None
        if user is None:
            raise HTTPException(401, "Nobody is known by this credential.", {"error": "invalid_token"})
        return user

    async def _refuse(
        self, auth: Auth, error: HTTPException | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        assert error is not None  # noqa: S101 - for mypy: never false
        headers = {"cache-control": "no-store"}
        if error.status_code in (401, 403):
            headers["www-authenticate"] = self._challenge(auth, error, scope)
        else:
            headers |= dict(error.headers or {})
        app: ASGIApp = Problem(error.status_code, error.detail, headers)
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            app = WebSocketClose(1008, "Unauthorized")  # before it is accepted: the server answers 403
        for layer in _cors_of(self.plugin._wrapped):  # pages that its author admits read the refusal too
            app = layer.cls(app, *layer.args, **layer.kwargs)
        await app(scope, receive, send)

    def _challenge(self, auth: Auth, error: HTTPException, scope: Scope) -> str:
        """`WWW-Authenticate` by RFC 6750 and 7617; for OAuth with the metadata of RFC 9728, as MCP requires."""
        realm = self.plugin.manifest.name_for_model
        if not isinstance(auth, NoAuth) and auth.is_basic:
            return f'Basic realm="{realm}", charset="UTF-8"'
        parts = {"realm": realm}
        if error.status_code == 403:
            parts["error"] = "insufficient_scope"
        elif (error.headers or {}).get("error"):
            parts["error"] = "invalid_token"
        if isinstance(auth, OAuth):
            if auth.scope:
                parts["scope"] = " ".join(auth.scope.split())
            suffix = MCP_PATH if route_path(scope).rstrip("/") == MCP_PATH else ""
            parts["resource_metadata"] = base_url(scope) + RESOURCE_PATH + suffix
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items())


# -- what is open ---------------------------------------------------------------


def is_open(plugin: Plugin, scope: Scope) -> bool:
    """Whether a request needs no credential: it reads what everyone may, or the author opened its operation."""
    if scope["type"] != "http":
        return False
    route = next((it for it in _route_contexts(plugin) if it.matches(scope)[0] is Match.FULL), None)
    if is_read(scope):
        path, manifest = route_path(scope), plugin.manifest
        own = {*OPEN, HEALTH_PATH, manifest.logo_url, manifest.legal_info_url, *_documents(plugin)}
        # exactly this path: of `/{user}/todos` none is open
        if path in own and any(has_path(app.routes, path) for app in _apps(plugin)):
            return True
        if path == "/" and route is None and plugin._wrapped is None:
            return True  # the front page
    security = getattr(route, "openapi_extra", None) or {}
    if "security" in security:
        return _admits_all(security["security"])
    # an auth that is checked by the operations themselves, each by FastAPI's own dependencies
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth) or auth.is_checked or unprotected(plugin):
        return False
    operation = plugin.openapi().get("paths", {}).get(getattr(route, "path_format", ""), {})
    return route is None or bool(operation.get(scope["method"].lower(), {}).get("security"))


def _route_contexts(plugin: Plugin) -> Iterator[Any]:
    """All routes in the order in which a request is matched against them."""
    for app in _apps(plugin):
        yield from iter_route_contexts(list(app.routes))


def _override(plugin: Plugin) -> Callable[..., Any] | None:
    """What a test puts in the place of `current_user`."""
    overrides = (app.dependency_overrides.get(current_user) for app in _apps(plugin))
    return next(filter(None, overrides), None)


def _apps(plugin: Plugin) -> list[FastAPI]:
    return [app for app in (plugin, plugin._wrapped) if app is not None]


def _documents(plugin: Plugin) -> set[str]:
    """Where FastAPI serves the spec and the pages that show it."""
    names = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
    return {path for app in _apps(plugin) for name in names if (path := getattr(app, name))}


def _cors_of(app: FastAPI | None) -> list[Any]:
    layers = app.user_middleware if app is not None else []
    return [
        layer for layer in layers if isinstance(layer.cls, type) and issubclass(layer.cls, CORSMiddleware)
    ]


def _admits_all(security: Any) -> bool:
    return security == [] or (isinstance(security, list) and {} in security)


# -- what the spec says ---------------------------------------------------------


def secured(plugin: Plugin, document: dict[str, Any]) -> None:
    """Writes the auth into a document, if the guard checks it: its scheme, and `security` for all that is not open.

    An operation with a security dependency of FastAPI's own needs both credentials.
    """
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth) or not auth.is_checked:
        return
    components = document.setdefault("components", {})
    components["securitySchemes"] = {**components.get("securitySchemes", {}), auth.name: auth.scheme()}
    need = {auth.name: auth.scope.split() if isinstance(auth, OAuth) else []}
    document["security"] = [need]
    extras = {
        (context.path_format, method): context.openapi_extra or {}
        for app in _apps(plugin)
        for context in operations(app.routes)
        for method in context.methods or ()
    }
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            own = operation.get("security") if isinstance(operation, Mapping) else None
            is_opened = _admits_all(extras.get((path, method.upper()), {}).get("security", [need]))
            if own and not is_opened:
                operation["security"] = [{**each, **need} for each in own]


def unprotected(plugin: Plugin) -> str:
    """Why the auth that a plugin declares does not protect it, as a sentence; empty if it does.

    It is checked by the guard, with `tokens` or `verify`, or else by every operation, with a security dependency of
    FastAPI's own in its spec.
    """
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth) or auth.is_checked:
        return ""
    kind = type(auth).__name__
    document = plugin.openapi()
    bare, count = [], 0
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if isinstance(operation, Mapping) and "responses" in operation:
                security = operation.get("security", document.get("security"))
                count += bool(security)
                if not security and "security" not in operation:
                    bare.append(str(operation.get("operationId") or f"{method.upper()} {path}"))
    if count and not bare:
        return ""
    of = f" of {', '.join(bare[:5])}{' and more' if len(bare) > 5 else ''}" if count else ""
    return f"The plugin declares auth=kit.{kind}, and nothing checks the calls{of}."


REMEDY = (
    "Pass kit.{kind}({options}): every operation is then protected. If operations check it themselves, give each of "
    "them a security dependency of FastAPI's, such as Security(HTTPBearer())."
)


def require_protection(plugin: Plugin, in_test: bool = False) -> None:
    """Raises `AuthError` if the auth that the plugin declares is checked by nothing.

    Where it may be a test that serves it, an override of `current_user` is let through.
    """
    if not in_test and not isinstance(plugin.manifest.auth, NoAuth) and _override(plugin):
        problem = "dependency_overrides has kit.current_user: everyone is signed in, without a token."
        raise AuthError(problem, "Set it in tests only.")
    if problem := unprotected(plugin):
        raise AuthError(problem, remedy(plugin.manifest.auth))


def remedy(auth: Auth) -> str:
    """What to do about an auth that is checked by nothing."""
    options = {"service_http": "tokens=os.environ[...]", "oauth": "..., verify=..."}.get(
        auth.type, "verify=..."
    )
    return REMEDY.format(kind=type(auth).__name__, options=options)


def protection(plugin: Plugin) -> str:
    """How a plugin with auth is protected, as a sentence."""
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth):
        return ""
    if _override(plugin):
        return "Its auth is off: dependency_overrides has kit.current_user."
    if not auth.is_checked:
        return "Its operations check the auth themselves; the tools that /mcp lists are public."
    kind = "user and password" if auth.is_basic else "bearer token"
    who = {"service_http": f"a {kind} of the service", "user_http": f"each user's own {kind}"}.get(auth.type)
    return f"Every operation and /mcp need {who or 'a token of a user who signed in'}, except those that its spec opens."
