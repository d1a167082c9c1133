"""What ChatGPT did with a plugin's URL: fetch the manifest, choose the spec, read it, choose the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from kit import loop
from kit.addresses import NOWHERE, Root, choose_server, complete, is_document, is_url, joined, origin
from kit.client import asking, vault
from kit.client.answers import Answer
from kit.client.credentials import Auth, Credentials, Named
from kit.client.installed import InstalledPlugin
from kit.client.places import is_manifest, look_for, parsed
from kit.client.proof import home
from kit.client.signin import Endpoints, Session
from kit.client.transport import Transport
from kit.errors import InstallError, KitError
from kit.manifest import Manifest, legal_name
from kit.openapi.documents import parse
from kit.openapi.references import Fetch, bundle
from kit.openapi.spec import Problem, Spec
from kit.words import with_article

if TYPE_CHECKING:
    from kit.plugin.app import Plugin, Served

OnDocument = Callable[[Answer, float], None]  # a document, and the seconds that it took


def install(
    source: str | Path | Plugin | Served,
    *,
    auth: Auth | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    base_url: str | None = None,
    follow_refs: bool = False,
    ask: bool = True,
    keep: bool = False,
) -> InstalledPlugin:
    """Installs a plugin from its address, as ChatGPT did, for its tools and calls.

    `source` is a base URL (`localhost:3333`), the URL of a manifest or of a spec, a file with
    either, a running `Server`, or a `Plugin` of this process (then no socket is used).

    `auth` is the user's or the service's token, `kit.SignIn(...)` for OAuth, or a mapping to those: of the spec's
    security schemes, or of the names and addresses of plugins. It is sent as each operation's `security` says, else as
    the manifest says; `token` is the same as a text. `headers` are for what no document says. All of that goes to the
    plugin's own origin and to no other. Without `auth` the user is asked for a token that the manifest requires, unless
    `ask` is false or there is nobody to ask. `keep` keeps it in the system's keyring, for the next time.

    `base_url` is where calls go if the spec names no server. `follow_refs` fetches the documents that the spec's
    `$ref`s point to, from the same domain or folder. Raises `InstallError`, `SignInError` or `SpecError`.
    """
    discovery = _Discovery(_only(auth, token), headers, base_url, follow_refs)
    plugin = loop.run(_discover(source, discovery))
    secret = _asked(plugin, ask, keep)
    loop.run(_admit(plugin, secret, keep))
    return plugin


async def ainstall(
    source: str | Path | Plugin | Served,
    *,
    auth: Auth | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    base_url: str | None = None,
    follow_refs: bool = False,
    ask: bool = True,
    keep: bool = False,
    on_document: OnDocument | None = None,
) -> InstalledPlugin:
    """`install`, to be awaited. `on_document` is called with each fetched document, on the kit's loop."""
    discovery = _Discovery(_only(auth, token), headers, base_url, follow_refs, on_document)
    plugin = await loop.arun(_discover(source, discovery))
    secret = _asked(plugin, ask, keep)
    await loop.arun(_admit(plugin, secret, keep))
    return plugin


class Followed:
    """A plugin of this process, as a chat goes on with it: it may change between two turns."""

    def __init__(self, source: Plugin | Served) -> None:
        self._source = source
        self._seen = self._plugin.revision

    @classmethod
    def of(cls, source: object) -> Followed | None:
        """None for what is not of this process."""
        return cls(source) if hasattr(getattr(source, "plugin", source), "revision") else None  # type: ignore[arg-type]

    @property
    def _plugin(self) -> Plugin:
        held: Any = self._source
        return cast("Plugin", getattr(held, "plugin", held))

    async def renewed(self, plugin: InstalledPlugin) -> InstalledPlugin:
        """What was installed, as it is now; the same object if nothing has changed. Credentials and cookies stay.

        A `Plugin` whose cell ran again is the one that took its place. Raises as `install`.
        """
        transport: Transport | None = plugin.transport
        while successor := getattr(self._source, "successor", None):
            self._source, transport = successor, None  # the way into the other app
        seen = self._plugin.revision
        if all(a is b for a, b in zip(seen, self._seen, strict=True)):
            return plugin
        new = await _discover(self._source, _Discovery(None, None, None, False), transport)
        new.credentials = plugin.credentials
        self._seen = seen
        return new


def _only(auth: Auth | None, token: str | None) -> Auth | None:
    if auth is not None and token is not None:
        raise InstallError("Both auth and token were given.", "token='...' is auth='...': give one.", source="auth")  # fmt: skip
    return token if auth is None else auth


def _asked(plugin: InstalledPlugin, ask: bool, keep: bool) -> str:
    """A token that the user typed, if one is needed and neither given nor kept; on the caller's own thread."""
    if not plugin.credentials.is_missing or (keep and vault.load(plugin.credentials.origin)):
        return ""
    kind = plugin.manifest.auth.type
    secret = asking.token(plugin.manifest) if ask else ""
    if ask and not secret:
        how = "auth=kit.SignIn(client_id=...)" if kind == "oauth" else "auth='...'"
        plugin.notes.append(("auth", f"is {kind}, and nothing was given: calls go without. Pass {how}"))
    return secret


async def _admit(plugin: InstalledPlugin, secret: str, keep: bool) -> None:
    """Gives a plugin what was typed or kept, and signs in where it has to be."""
    credentials = plugin.credentials
    kept = vault.load(credentials.origin) if keep and not secret else {}
    how = credentials.sign_in
    if secret:
        credentials.give(secret)
    elif how is not None and credentials.origin:
        from kit.client.loopback import sign_in  # late: it imports http.server and email

        endpoints = endpoints_of(plugin)
        session = Session(how, endpoints, kept) if kept.get("access_token") else await sign_in(how, endpoints)
        credentials.signed_in(session)
    elif not credentials and isinstance(kept.get("token"), str):
        credentials.give(kept["token"])
    if keep and credentials.origin:
        credentials.keep()


def endpoints_of(plugin: InstalledPlugin) -> Endpoints:
    """Where to sign in at a plugin. Raises `SignInError` if it does not say."""
    return Endpoints.of(plugin.manifest, plugin.spec, plugin.base_url, plugin.transport.root)


@dataclass
class _Discovery:
    """The options of `install`, and what is found out on the way."""

    auth: Auth | None
    headers: Mapping[str, str] | None
    base_url: str | None
    follow_refs: bool
    on_document: OnDocument | None = None
    serves_mcp: bool = False  # the source is a `Plugin`
    named: str = ""  # the URL that the user named
    problems: list[Problem] = field(default_factory=list)


async def _discover(
    source: Any, discovery: _Discovery, transport: Transport | None = None
) -> InstalledPlugin:
    app, local = None, ""
    plugin = getattr(source, "plugin", source)
    if not isinstance(source, str | Path) and not callable(getattr(plugin, "openapi", None)):
        raise _no_plugin(source)
    discovery.serves_mcp = hasattr(plugin, "manifest")
    discovery.problems += getattr(plugin, "notes", [])
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
        and (_is_file(file) or (is_document(url) and not url.startswith("localhost")))
    ):
        return await _install_file(file, discovery)
    url = discovery.named = complete(url)
    root = Root.of(url)
    transport = transport or Transport(
        root, app, public, local if public else "", on_document=discovery.on_document
    )
    found = await look_for(url, transport, discovery.problems)
    document, manifest_url = found.document, found.address
    if not is_manifest(document):
        return await _installed(None, document, found.address, transport, discovery)
    manifest = Manifest.read(document)
    discovery.problems += [(f"manifest {place}", message) for place, message in manifest.problems]
    if not manifest.api_url:
        raise InstallError(
            f"The manifest at {manifest_url} has no api.url, so there is no spec to read.",
            'Add "api": {"type": "openapi", "url": "..."}.',
            source=manifest_url,
        )
    spec_url = joined(manifest_url, manifest.api_url)
    if not Root.of(spec_url) or not root.covers(spec_url):
        raise InstallError(
            f"The manifest of {root.place} points to a spec on another domain: {spec_url}.",
            f"api.url must be on {root.place} or below it, and on https if the manifest is.",
            source=manifest_url,
        )
    spec_answer = await transport.fetch(spec_url)
    document = parsed(spec_answer, spec_url)
    return await _installed(manifest, document, spec_answer.url, transport, discovery)


def _no_plugin(value: object) -> InstallError:
    remedy = "Pass a URL, a file, a kit.Plugin or what kit.serve returned."
    if isinstance(value, list | tuple | set):
        remedy = "Pass its plugins one by one, each as an argument of its own."
    elif isinstance(value, InstalledPlugin):
        remedy = "It is installed already: use it as it is."
    return InstallError(
        f"{value!r:.80} is no plugin, but {with_article(type(value).__name__)}.", remedy, source=""
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


async def _install_file(file: Path, discovery: _Discovery) -> InstalledPlugin:
    try:
        document = parse(file.read_bytes(), str(file))
    except (OSError, ValueError) as error:
        raise InstallError(
            f"{file} cannot be read: {getattr(error, 'strerror', error)}.",
            "Check the path.",
            source=str(file),
        ) from None
    manifest = None
    if is_manifest(document):
        manifest = Manifest.read(document)
        discovery.problems += [(f"manifest {place}", message) for place, message in manifest.problems]
        api = manifest.api_url
        if "://" in api:
            transport = Transport(Root.of(api), on_document=discovery.on_document)
            answer = await transport.fetch(api)
            return await _installed(manifest, parsed(answer, api), api, transport, discovery)
        file = file.parent / api.lstrip("/")
        try:
            document = parse(file.read_bytes(), str(file))
        except (OSError, ValueError) as error:
            raise InstallError(
                f"The manifest names the spec {api!r}, and {file} cannot be read: "
                f"{getattr(error, 'strerror', error)}.",
                "Put the spec there, or make api.url a full URL.",
                source=str(file),
            ) from None
    if discovery.follow_refs:
        document, missing = await bundle(document, file.resolve().as_uri(), _reader(file.resolve().parent))
        discovery.problems += missing
    spec = Spec(document, str(file))
    base = discovery.base_url or next((server for server in spec.servers if is_url(server)), "")
    if not base:
        discovery.problems.append(("/servers", "none can be called: pass base_url= to call something"))
    transport = Transport(Root.of(base or NOWHERE))
    return _build(manifest, spec, base or NOWHERE, transport, discovery)


def _reader(folder: Path) -> Fetch:
    """Reads files of this folder and below; nothing else, since the references may be a stranger's."""

    from urllib.request import url2pathname  # late: it imports http.client and email

    async def fetch(address: str) -> bytes:
        path = Path(url2pathname(urlsplit(address).path)).resolve()
        if urlsplit(address).scheme != "file" or not path.is_relative_to(folder):
            raise KitError(f"it is not below {folder}")
        try:
            return path.read_bytes()
        except OSError as error:
            raise KitError(f"it cannot be read: {error.strerror}") from None

    return fetch


async def _installed(
    manifest: Manifest | None,
    document: dict[str, Any],
    spec_url: str,
    transport: Transport,
    discovery: _Discovery,
) -> InstalledPlugin:
    async def fetch(address: str) -> bytes:
        if not is_url(address) or not transport.root.covers(address):
            raise KitError(f"it is not on {transport.root.place}")
        answer = await transport.fetch(address)
        if answer.status != 200:
            raise KitError(f"it answers {answer.status}")
        return answer.content

    if discovery.follow_refs:
        document, missing = await bundle(document, spec_url, fetch)
        discovery.problems += missing
    spec = Spec(document, spec_url)
    base_url = discovery.base_url
    if base_url is None:
        base_url, skipped = choose_server(spec.servers, spec_url, transport.root, strict=manifest is not None)
        if not spec.servers:
            discovery.problems.append(("/servers", f"missing: calls go to {base_url}"))
        discovery.problems += [
            (
                "/servers",
                f"{server} is not on {transport.root.place}: calls go to {base_url}, or to base_url=",
            )
            for server in skipped
        ]
        if not transport.root.covers(base_url):
            transport = Transport(Root.of(base_url))
    elif not transport.root.covers(base_url):  # the user has named it
        transport = Transport(Root.of(base_url))
    return _build(manifest, spec, base_url, transport, discovery)


def _build(
    manifest: Manifest | None, spec: Spec, base_url: str, transport: Transport, discovery: _Discovery
) -> InstalledPlugin:
    credentials = _credentials(manifest, spec, base_url, discovery)
    manifest = manifest or _manifest_for(spec)
    return InstalledPlugin(
        manifest,
        spec,
        base_url.rstrip("/"),
        transport,
        notes=discovery.problems,
        credentials=credentials,
        serves_mcp=discovery.serves_mcp,
    )


def _credentials(manifest: Manifest | None, spec: Spec, base_url: str, discovery: _Discovery) -> Credentials:
    """What was given for this plugin, bound to the origin that the user has named."""
    auth = discovery.auth
    name = (manifest or _manifest_for(spec)).name_for_model
    if isinstance(auth, Mapping):
        own = auth if isinstance(auth, Named) else Named(auth)
        mine = own.of(name, discovery.named, base_url)
        auth = mine if mine is not None or isinstance(auth, Named) else auth
    named = discovery.named if discovery.base_url is None else ""  # base_url= is named by the user, too
    bound = home(named, base_url, manifest is not None) if named else origin(base_url)
    credentials = Credentials(spec, manifest, auth, discovery.headers, bound)
    if isinstance(discovery.auth, Named) and auth is None and credentials.is_missing:
        # without the name that was given: a text with = in it may be a token
        discovery.problems.append(
            ("auth", f"has nothing by the name {name!r} or its address: nothing is sent")
        )
    discovery.problems += credentials.notes(spec.operations.values(), base_url)
    return credentials


def _manifest_for(spec: Spec) -> Manifest:
    """A manifest made from the spec, for a plugin that has none."""
    title = spec.title or "API"
    return Manifest.read(
        {
            "schema_version": "v1",
            "name_for_model": legal_name(title).lower(),
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
