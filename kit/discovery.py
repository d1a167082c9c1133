"""What ChatGPT did with a plugin's URL: fetch the manifest, choose the spec, read it, choose the server."""

from __future__ import annotations

import base64
import importlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from kit import loop
from kit.addresses import Root, choose_server, complete, is_document
from kit.client import Answer, Road
from kit.documents import parse
from kit.errors import InstallError, SpecError
from kit.installed import InstalledPlugin
from kit.manifest import Manifest
from kit.spec import Problem, Spec
from kit.wellknown import MANIFEST_PATH, SPEC_PATH

if TYPE_CHECKING:
    from kit.plugin import Plugin
    from kit.server import Server


def install(
    source: str | Path | Plugin | Server, *, token: str | None = None, base_url: str | None = None
) -> InstalledPlugin:
    """Installs a plugin from its address, as ChatGPT did, and gives its tools and calls.

    `source` is a base URL (`localhost:3333`), the URL of a manifest or of a spec, a file with
    either, a running `Server`, or a `Plugin` of this process (then no socket is used). `token` goes
    into `Authorization` the way the manifest says. `base_url` is where calls go, for a spec that
    names no server. Raises `InstallError` or `SpecError` with the reason and the remedy.
    """
    return loop.run(_discover(source, token, base_url))


async def ainstall(
    source: str | Path | Plugin | Server, *, token: str | None = None, base_url: str | None = None
) -> InstalledPlugin:
    """The same, to be awaited."""
    return await loop.arun(_discover(source, token, base_url))


async def _discover(source: Any, token: str | None, base_url: str | None) -> InstalledPlugin:
    problems: list[Problem] = []
    app, local = None, ""
    if callable(getattr(source, "openapi", None)):  # a Plugin, or any FastAPI app: no need to import it
        name = getattr(getattr(source, "manifest", None), "name_for_model", "app")
        app, local = source, f"http://{name}.in-process".replace("_", "-")
    elif hasattr(source, "plugin"):  # a Server
        local = source.url
    public = getattr(getattr(source, "plugin", source), "public_url", None) or "" if local else ""
    url = public or local or str(source)
    file = Path(url)
    if (
        not local
        and "://" not in url
        and (file.is_file() or (is_document(url) and not url.startswith("localhost")))
    ):
        return await _install_file(file, token, base_url)
    url = complete(url)
    root = Root.of(url)
    road = Road(root, app, public, local if public else "")
    if is_document(url):
        answer = await road.fetch(url)
        document = _parsed(answer, url)
        if not _is_manifest(document):
            spec = Spec(document, url)
            return _without_manifest(spec, url, road, token, base_url, problems)
        manifest_url = answer.url
    else:
        manifest_url = url.rstrip("/") + MANIFEST_PATH
        answer = await road.fetch(manifest_url)
        if answer.status != 200:
            return await _without_answer(url, answer, road, token, base_url, problems)
        document = _parsed(answer, manifest_url)
    manifest = Manifest.read(document)
    problems += [(f"manifest {place}", message) for place, message in manifest.problems]
    if not manifest.api_url:
        raise InstallError(
            f"The manifest at {manifest_url} has no api.url: there is no spec to read.",
            'Give it "api": {"type": "openapi", "url": "..."}.',
            source=manifest_url,
        )
    spec_url = urljoin(answer.url, manifest.api_url)
    if not Root.of(spec_url) or not root.covers(spec_url):
        raise InstallError(
            f"The manifest of {root.host} points to a spec on another domain: {spec_url}.",
            f"api.url must be on {root.host} or below it, and on https if the manifest is.",
            source=manifest_url,
        )
    spec_answer = await road.fetch(spec_url)
    spec = Spec(_parsed(spec_answer, spec_url), spec_url)
    return _installed(manifest, spec, spec_answer.url, road, token, base_url, problems, strict=True)


async def _without_answer(
    url: str,
    answer: Answer,
    road: Road,
    token: str | None,
    base_url: str | None,
    problems: list[Problem],
) -> InstalledPlugin:
    """No manifest at a base URL: the spec may be where plugins and FastAPI put it."""
    for path in (SPEC_PATH, "/.well-known/openapi.yaml", "/openapi.json", "/openapi.yaml"):
        found = await road.fetch(url.rstrip("/") + path)
        if found.status == 200:
            problems.append(
                ("manifest", f"there is none ({answer.status} at {answer.url}): made from the spec")
            )
            spec = Spec(_parsed(found, found.url), found.url)
            return _without_manifest(spec, found.url, road, token, base_url, problems)
    raise InstallError(
        f"{answer.url} answers {answer.status}: there is no plugin at {url}.",
        "A plugin serves its manifest at /.well-known/ai-plugin.json. Is the address right?",
        source=url,
    )


def _without_manifest(
    spec: Spec,
    url: str,
    road: Road,
    token: str | None,
    base_url: str | None,
    problems: list[Problem],
) -> InstalledPlugin:
    return _installed(_manifest_for(spec), spec, url, road, token, base_url, problems, strict=False)


async def _install_file(file: Path, token: str | None, base_url: str | None) -> InstalledPlugin:
    try:
        document = parse(file.read_bytes(), str(file))
    except OSError as error:
        raise InstallError(
            f"{file} cannot be read: {error.strerror}.", "Check the path.", source=str(file)
        ) from None
    problems: list[Problem] = []
    if _is_manifest(document):
        manifest = Manifest.read(document)
        problems += [(f"manifest {place}", message) for place, message in manifest.problems]
        api = manifest.api_url
        if "://" in api:
            root = Root.of(api)
            road = Road(root)
            answer = await road.fetch(api)
            spec = Spec(_parsed(answer, api), api)
            return _installed(manifest, spec, api, road, token, base_url, problems, strict=True)
        file = file.parent / api.lstrip("/")
        try:
            document = parse(file.read_bytes(), str(file))
        except OSError as error:
            raise InstallError(
                f"The manifest names the spec {api!r}, and {file} cannot be read: {error.strerror}.",
                "Put the spec there, or give api.url in full.",
                source=str(file),
            ) from None
    else:
        manifest = None
    spec = Spec(document, str(file))
    base = base_url or next((server for server in spec.servers if "://" in server), None)
    if base is None:
        raise InstallError(
            f"{file} names no server, so there is nowhere to send a call.",
            "Give base_url=, or add 'servers' to the spec.",
            source=str(file),
        )
    road = Road(Root.of(base))
    return _installed(manifest or _manifest_for(spec), spec, base, road, token, base, problems, strict=False)


def _installed(
    manifest: Manifest,
    spec: Spec,
    spec_url: str,
    road: Road,
    token: str | None,
    base_url: str | None,
    problems: list[Problem],
    *,
    strict: bool,
) -> InstalledPlugin:
    if base_url is None:
        base_url, passed = choose_server(spec.servers, spec_url, road.root, strict)
        if not spec.servers:
            problems.append(("/servers", f"there are none: calls go to {base_url}"))
        problems += [
            ("/servers", f"{server} is not on {road.root.host}: calls go to {base_url}") for server in passed
        ]
        if not road.root.covers(base_url):
            road = Road(Root.of(base_url))
    headers = [("Authorization", _authorization(manifest, token))] if token else []
    # Beside JupyterLab this import takes a second (it builds a grammar for IRIs). The first call needs it:
    # it is made while the user reads what was installed.
    threading.Thread(target=importlib.import_module, args=["jsonschema"], daemon=True).start()
    return InstalledPlugin(manifest, spec, base_url.rstrip("/"), road, problems, headers)


def _authorization(manifest: Manifest, token: str) -> str:
    if getattr(manifest.auth, "authorization_type", "bearer") == "basic":
        return "Basic " + (base64.b64encode(token.encode()).decode() if ":" in token else token)
    return f"Bearer {token}"


def _manifest_for(spec: Spec) -> Manifest:
    """A manifest made from what a spec says of itself, for a plugin that has none."""
    title = spec.title or "API"
    name = "_".join("".join(c if c.isascii() and c.isalnum() else " " for c in title).split()).lower()
    return Manifest.read(
        {
            "schema_version": "v1",
            "name_for_model": name[:50] or "api",
            "name_for_human": title,
            "description_for_model": spec.description or f"Plugin for {title}.",
            "description_for_human": spec.description or f"Plugin for {title}.",
            "auth": {"type": "none"},
            "api": {"type": "openapi", "url": spec.source},
            "logo_url": "",
            "contact_email": "",
            "legal_info_url": "",
        }
    )


def _is_manifest(document: Mapping[str, Any]) -> bool:
    return (
        "openapi" not in document
        and "paths" not in document
        and bool(document.keys() & {"schema_version", "name_for_model", "api", "name_for_human"})
    )


def _parsed(answer: Answer, url: str) -> dict[str, Any]:
    if answer.status != 200:
        raise InstallError(
            f"{url} answers {answer.status}, not a document.", "Is the address right?", source=url
        )
    if answer.is_cut:
        raise InstallError(
            f"{url} is longer than {len(answer.content):,} bytes.",
            "Install a smaller part of it.",
            source=url,
        )
    try:
        return parse(answer.content, url)
    except SpecError as error:
        raise InstallError(
            error.problem, "It should be a manifest or a spec, in JSON or YAML.", source=url
        ) from None
