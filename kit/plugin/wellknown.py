"""What a plugin serves besides its operations: manifest, spec, logo, legal page, front page, health.

Manifest and spec are kept as bytes, one pair for each base URL that asked, and rendered again only
when an operation or a field of the manifest has changed.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Collection, MutableMapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.auth import OAuth
from kit.manifest import MANIFEST_PATH, SPEC_PATH, manifest_card
from kit.markup import logo, page
from kit.openapi.version30 import lowered
from kit.openapi.views import spec_table
from kit.plugin.registry import has_path

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kit.plugin.app import Plugin

# The pages from which ChatGPT's developer mode calls a plugin on localhost
# (openai/plugins-quickstart; chat.openai.com became chatgpt.com in 2024).
CHATGPT_ORIGINS = ("https://chatgpt.com", "https://chat.openai.com")

HEALTH_PATH = "/health"
INNER = "kit.inner"  # in a scope: the one that a wrapped app got
SPEC_YAML_PATH = "/.well-known/openapi.yaml"
SPEC30_PATH = "/.well-known/openapi-3.0.json"  # for readers that know no later version
MCP_PATH = "/mcp"
# RFC 9728, section 3.1: the metadata of the whole plugin, and of its MCP server by the path of that
RESOURCE_PATH = "/.well-known/oauth-protected-resource"
RESOURCE_PATHS = (RESOURCE_PATH, RESOURCE_PATH + MCP_PATH)
# The pages of the plugin. They need no credential, also where the author serves one instead.
OPEN = (MANIFEST_PATH, SPEC_PATH, SPEC_YAML_PATH, SPEC30_PATH, *RESOURCE_PATHS, "/logo.svg", "/legal")

MAX_BASE_URLS = 16  # rendered copies kept: the Host header is the client's choice, memory is ours

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~@%+-]+)*")


def base_url(scope: Scope, public_url: str | None = None) -> str:
    """The URL under which the client of this request sees the plugin, without a trailing slash.

    `public_url` wins; else what a proxy puts in `X-Forwarded-Proto`, `-Host` and `-Prefix`, if the
    request came from this machine or a proxy that the server trusts (`FORWARDED_ALLOW_IPS`, as
    uvicorn reads it); else the `Host` header.
    """
    if public_url:
        return public_url.rstrip("/")
    scheme = scope.get("scheme", "http")
    prefix = scope.get("root_path", "").rstrip("/")
    host = ""
    forwarded: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name == b"host":
            host = value.decode("latin-1")
        elif name.startswith(b"x-forwarded-"):
            # A chain of proxies appends: the first entry is the one nearest to the client.
            forwarded[name[12:]] = value.decode("latin-1").split(",")[0].strip()
    if forwarded and _trusted(scope.get("client")):
        if forwarded.get(b"proto") in ("http", "https"):
            scheme = forwarded[b"proto"]
        if _HOST.fullmatch(forwarded_host := forwarded.get(b"host", "")):
            host = forwarded_host
        path = (forwarded.get(b"prefix") or forwarded.get(b"context") or "").rstrip("/")
        if path and _PREFIX.fullmatch(path):
            prefix = path
    if not _HOST.fullmatch(host):
        server = scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    return f"{scheme}://{host}{prefix}"


def route_path(scope: Scope) -> str:
    """The path of a request within this app: without `root_path`, the prefix of a proxy or a mount."""
    path: str = scope["path"]
    root = scope.get("root_path")
    return path[len(root) :] if root and f"{path}/".startswith(f"{root}/") else path


def parameters(scope: Scope) -> dict[str, Any]:
    """The parameters in the path of a request, once it has been routed; those of a wrapped app too."""
    return scope.get(INNER, scope).get("path_params") or {}


def is_read(scope: Scope) -> bool:
    """Whether the request is a GET or a HEAD."""
    return scope["method"] in ("GET", "HEAD")


def _trusted(client: Any) -> bool:
    if client is None or client[1] == 0:
        return True  # a Unix socket, or an address that uvicorn has already taken from a trusted proxy
    allowed = os.environ.get("FORWARDED_ALLOW_IPS", "")
    if allowed == "*" or client[0] in [item.strip() for item in allowed.split(",")]:
        return True
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return bool(client[0] == "testclient")


class Pages:
    """The pages of one plugin by path; all that is parsed of a request is the base URL."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._rendered: MutableMapping[tuple[str, str], bytes] = {}
        self._state: Any = None
        self.by_path: dict[str, tuple[str, Callable[[str], bytes]]] = {
            MANIFEST_PATH: ("application/json", self._manifest),
            SPEC_PATH: ("application/json", self._spec),
            SPEC_YAML_PATH: ("application/yaml", self._spec_yaml),
            SPEC30_PATH: ("application/json", self._spec30),
            "/logo.svg": ("image/svg+xml", self._logo),
            "/legal": ("text/html", self._legal),
            **dict.fromkeys(RESOURCE_PATHS, ("application/json", self._resource)),
        }
        self.front_page = ("text/html", self._front)
        self.also_spec(plugin.openapi_url)

    def also_spec(self, path: str | None) -> None:
        """Serves the spec at FastAPI's own address too, with the server that it has at the usual one."""
        if path:
            self.by_path[path] = self.by_path[SPEC_PATH]

    def __contains__(self, path: object) -> bool:
        needs_oauth = path in RESOURCE_PATHS and not isinstance(self.plugin.manifest.auth, OAuth)
        return path in self.by_path and not needs_oauth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET and HEAD with the page at the requested path, else with the front page."""
        path = route_path(scope)
        body = self.body(path, base_url(scope, self.plugin.public_url))
        media_type, _ = self.by_path.get(path, self.front_page)
        # Hosts fetch the spec before every request; a stale one would hide an edit.
        headers = {"content-length": str(len(body)), "cache-control": "no-cache"}
        response = Response(
            b"" if scope["method"] == "HEAD" else body, headers=headers, media_type=media_type
        )
        await response(scope, receive, send)

    def body(self, path: str, base: str) -> bytes:
        """The bytes served at `path` to a client that sees the plugin at `base`."""
        # Building the document also detects changed operations and redefined models.
        state = self.plugin.revision
        if self._state is None or any(a is not b for a, b in zip(state, self._state, strict=True)):
            self._state = state
            self._rendered = {}
        body = self._rendered.get((path, base))
        if body is None:
            _, render = self.by_path.get(path, self.front_page)
            body = render(base + path.removeprefix(RESOURCE_PATH)) if path in RESOURCE_PATHS else render(base)
            if len(self._rendered) >= MAX_BASE_URLS * len(self.by_path):
                self._rendered = {}
            self._rendered[path, base] = body
        return body

    def _manifest(self, base: str) -> bytes:
        return json.dumps(self.plugin.manifest.render(base), ensure_ascii=False, indent=2).encode()

    def _document(self, base: str) -> dict[str, Any]:
        document = self.plugin.openapi()
        # The author's own servers stay; otherwise the server is the address of the request.
        return document if document.get("servers") else {**document, "servers": [{"url": base}]}

    def _spec(self, base: str) -> bytes:
        document = self._document(base)
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def _spec30(self, base: str) -> bytes:
        document, _ = lowered(self._document(base))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def _spec_yaml(self, base: str) -> bytes:
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(self._document(base), Dumper=dumper, sort_keys=False, allow_unicode=True)
        return text.encode()

    def _logo(self, base: str) -> bytes:
        return logo(self.plugin.manifest.name_for_human).encode()

    def _resource(self, resource: str) -> bytes:
        """The metadata of RFC 9728, by which an MCP client finds the authorization server."""
        auth = self.plugin.manifest.auth
        assert isinstance(auth, OAuth)  # noqa: S101 - for mypy: never false
        token = urlsplit(auth.authorization_url)
        metadata = {
            "resource": resource,
            "authorization_servers": [auth.issuer or f"{token.scheme}://{token.netloc}"],
            "bearer_methods_supported": ["header"],
            "resource_name": self.plugin.manifest.name_for_human,
        }
        if auth.scope:
            metadata["scopes_supported"] = auth.scope.split()
        return json.dumps(metadata, ensure_ascii=False, indent=2).encode()

    def _legal(self, base: str) -> bytes:
        manifest = self.plugin.manifest
        name, email = html.escape(manifest.name_for_human), html.escape(manifest.contact_email)
        return page(
            f"{name}: legal information",
            f"<h1>{name}</h1><p>Legal information about this plugin. Questions: "
            f'<a href="mailto:{email}">{email}</a>.</p>',
        )

    def _front(self, base: str) -> bytes:
        manifest, spec = self.plugin.manifest, self.plugin.spec
        return page(html.escape(manifest.name_for_human), manifest_card(manifest, base) + spec_table(spec))


class WellKnown:
    """Middleware: serves the pages, before the path parameter of an operation can match them."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self.app = app
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        path = route_path(scope) if scope.get("root_path") else scope.get("path")
        if path in self.pages and scope["type"] == "http" and is_read(scope):
            app = self.pages
        await app(scope, receive, send)


class Health:
    """Middleware: `/health` reports that the plugin is serving, unless one of `apps` has that path.

    It does not check the database: restarting a replica that cannot reach it would not help.
    """

    def __init__(self, app: ASGIApp, apps: Collection[FastAPI]) -> None:
        self.app = app
        self.apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and scope["path"].endswith(HEALTH_PATH) and self._is_asked(scope):
            app = JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})
        await app(scope, receive, send)

    def _is_asked(self, scope: Scope) -> bool:
        own = any(has_path(app.routes, HEALTH_PATH) for app in self.apps)
        return route_path(scope) == HEALTH_PATH and is_read(scope) and not own
