"""`form`: a form to try one operation, served from this process on this machine; and the calls of such forms.

Whoever opens it has the page's token, and pressed Send: no further question is asked.
"""

from __future__ import annotations

import base64
import json
import secrets
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from kit import jupyter, loop
from kit.client.answers import Answer
from kit.client.discovery import ainstall
from kit.client.installed import CallResult, InstalledPlugin
from kit.client.transport import Transport
from kit.errors import KitError
from kit.forms.form import about
from kit.forms.page import one
from kit.jupyter import Frame, browser_hosts, browser_url
from kit.manifest import SPEC_PATH
from kit.openapi.values import essence
from kit.plugin.app import Plugin
from kit.redaction import hide, hide_given
from kit.server.server import Server, serving
from kit.server.thread import ServerThread
from kit.sockets import listen
from kit.tools.tool import Tool
from kit.visible import encodable
from kit.web.guard import Guard
from kit.web.requests import read, refused, static

HEIGHT = 720  # pixels of the frame in a cell
MAX_SENT = 30_000_000  # bytes of one call: 20 million of files, in base64
DOOR = "/form"
_FILE = "kit.file"  # the member by which static/tryout.js says that an object is a file

Source = Plugin | Server | InstalledPlugin | str

_page: _Page | None = None
_lock = threading.Lock()


class Form:
    """A form to try one operation. `.url` is its address, with the token that admits its user.

    As a cell's value it shows itself in a frame, with its link above.
    """

    def __init__(self, page: _Page, id: str, operation: str, name: str) -> None:
        self._page, self._id, self.operation, self._name = page, id, operation, name

    @property
    def url(self) -> str:
        """Where the user's browser reaches the form."""
        base = browser_url(self._page.port) or f"http://127.0.0.1:{self._page.port}"
        query = (
            f"token={self._page.token}&plugin={quote(self._id)}&operation={quote(self.operation, safe='')}"
        )
        return f"{base}{DOOR}?{query}"

    def __repr__(self) -> str:
        return f"A form to try {self.operation} of {self._name}, at {self.url}"

    def _ipython_display_(self) -> None:
        about = f"The form of {self.operation} is served while its notebook runs: run this cell to try it."
        Frame(self.url, self._page.port, HEIGHT, about)._ipython_display_()


def form(plugin: Source, operation: str, values: Mapping[str, Any] | None = None, /, **more: Any) -> Form:
    """A form to try an operation of a plugin: a `Plugin`, a `Server`, an installed plugin, or whatever `install` takes.

    It is made of the tool's schema, with `values` filled in; it sends the call, shows the answer, and gives the call as code,
    as a test and as a case. Run again, the same page shows it. Raises `OperationError` for an operation that the plugin does
    not have.
    """
    subject = _Subject(plugin)
    loop.run(subject.renew())
    tool = subject.plugin.tool(operation)
    page = _running_page()
    id = page.add(subject)
    page.values[id, tool.operation.id] = {**(values or {}), **more}
    return Form(page, id, tool.operation.id, subject.name)


class _Subject:
    """What is tried: a plugin that may be changed while its form is open."""

    plugin: InstalledPlugin

    def __init__(self, source: Source) -> None:
        self.source = source
        if isinstance(source, Plugin):
            source.followers.add(self.follow)

    def follow(self, plugin: Plugin) -> None:
        """The cell of the plugin was run again."""
        self.source = plugin
        plugin.followers.add(self.follow)

    @property
    def name(self) -> str:
        return self.plugin.manifest.name_for_human or self.plugin.name

    async def renew(self) -> None:
        """Reads the plugin again, if it is one of this process. A token that was typed in stays."""
        source, known = self.source, getattr(self, "plugin", None)
        if isinstance(source, InstalledPlugin):
            self.plugin = source
            return
        if isinstance(source, str) and known:
            return
        served = serving(source) if isinstance(source, Plugin) else None
        self.plugin = await ainstall(served or source, ask=False)
        if known and known.credentials.origin == self.plugin.credentials.origin:
            self.plugin.credentials.take_over(known.credentials)

    @property
    def code(self) -> str:
        """The expression that installs it, for who copies the call."""
        own = self.source.plugin if isinstance(self.source, Server) else self.source
        name = jupyter.name_of(self.source) or (jupyter.name_of(own) if isinstance(own, Plugin) else "")
        address = self.plugin.spec.source.removesuffix(SPEC_PATH)
        if isinstance(self.source, str) or not name:
            name = repr(hide(address)) if "://" in address else self.plugin.name
        auth = ', auth=os.environ["KIT_TOKEN"]' if self.plugin.credentials or wants(self.plugin) else ""
        is_installed = isinstance(self.source, InstalledPlugin) and not name.startswith("'")
        return name if is_installed else f"kit.install({name}{auth})"


class _Page:
    """The server of all forms of this process."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(16)
        self.subjects: dict[str, _Subject] = {}
        self.values: dict[tuple[str, str], dict[str, Any]] = {}  # what to fill in, by plugin and operation
        sock = listen("127.0.0.1", 0)
        self.port: int = sock.getsockname()[1]
        routes = [Route(DOOR, self._form), *form_routes(self._plugin), Route("/static/{name}", static)]
        app = Starlette(routes=routes, exception_handlers={KitError: refused})
        hosts = browser_hosts(self.port)
        self._thread = ServerThread(Guard(app, self.token, hosts, doors=(DOOR,)), sock)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def add(self, subject: _Subject) -> str:
        """The id of a plugin: its name, and a number if another has that."""
        id, number = subject.plugin.name, 1
        while id in self.subjects and not _is_same(self.subjects[id], subject):
            number += 1
            id = f"{subject.plugin.name}-{number}"
        self.subjects[id] = subject
        return id

    def _subject(self, id: str) -> _Subject:
        if id not in self.subjects:
            raise KitError("This form is from an earlier run of the notebook.", "Run its cell again.")
        return self.subjects[id]

    async def _plugin(self, request: Request) -> InstalledPlugin:
        return self._subject(request.path_params["plugin"]).plugin

    async def _form(self, request: Request) -> Response:
        id, operation = (request.query_params.get(name, "") for name in ("plugin", "operation"))
        subject = self._subject(id)
        await subject.renew()
        data = described(subject.plugin, operation, subject.code, self.values.get((id, operation)))
        data["send"] = f"api/forms/{quote(id)}/{quote(operation, safe='')}"
        styles = ("static/base.css", "static/form.css")
        page = one(data, f"{operation} of {subject.name}", "static/tryout.js", styles)
        return HTMLResponse(page, background=_readied(subject.plugin, operation))


def _is_same(known: _Subject, new: _Subject) -> bool:
    """Whether a form is made again: of the same plugin, or of what its cell has made in its place."""
    if isinstance(known.source, Plugin) and isinstance(new.source, Plugin):
        return known.source is new.source or jupyter.shell() is not None
    return type(known.source) is type(new.source) and known.plugin.base_url == new.plugin.base_url


def _running_page() -> _Page:
    global _page
    with _lock:
        if _page is None or not _page.is_running:
            _page = _Page()
        return _page


# -- a form in a page -----------------------------------------------------------------


def form_routes(find: Callable[[Request], Awaitable[InstalledPlugin]]) -> list[Route]:
    """The routes of the forms of plugins that `find` gives: what a form shows, and its calls."""
    path = "/api/forms/{plugin}/{operation:path}"

    async def describe(request: Request) -> Response:
        plugin = await find(request)
        address = f"kit.install({hide(plugin.spec.source.removesuffix(SPEC_PATH))!r})"
        auth = ', auth=os.environ["KIT_TOKEN"])' if plugin.credentials or wants(plugin) else ")"
        operation = request.path_params["operation"]
        data = described(plugin, operation, address[:-1] + auth)
        return JSONResponse(encodable(data), background=_readied(plugin, operation))

    async def call(request: Request) -> Response:
        plugin, body = await find(request), await read(request, MAX_SENT)
        return JSONResponse(encodable(await called(plugin, request.path_params["operation"], body)))

    return [Route(path, describe), Route(path, call, methods=["POST"])]


def _readied(plugin: InstalledPlugin, operation: str) -> BackgroundTask:
    """Checks something, while the form is filled in: the first time a validator is imported, which takes a second."""
    tool = plugin.tool(operation)
    return BackgroundTask(tool.problems, dict.fromkeys(tool.arguments))


def described(
    plugin: InstalledPlugin, operation: str, code: str, values: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `static/form.js` shows of an operation; `code` is the expression that installs its plugin."""
    names = {"token": "Token (kept in the notebook's process only)", "sign_in": "Access token (kept in the notebook's process only)"}  # fmt: skip
    data = about(plugin.tool(operation), values)
    return {**data, "source": code, "wants": names.get(wants(plugin), "")}


def wants(plugin: InstalledPlugin) -> str:
    """What the user must give before a plugin can be called: "token", "sign_in" or nothing more."""
    credentials, kind = plugin.credentials, plugin.manifest.auth.type
    if kind == "none":
        operations = plugin.spec.operations.values()
        asks = any(credentials.alternatives(operation) for operation in operations)
        return "token" if asks and not credentials else ""
    if credentials and not credentials.has_ended:
        return ""
    return "sign_in" if kind == "oauth" else "token"


async def called(plugin: InstalledPlugin, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the call of a form: its answer, or the `problems` of arguments that do not fit and are not sent `anyway`."""
    tool, given = plugin.tool(operation), body.get("arguments")
    if not isinstance(given, dict):
        raise KitError("The arguments are not an object.", "Reload the page.")
    if isinstance(token := body.get("token"), str) and token:
        plugin.credentials.give(token)
    with tempfile.TemporaryDirectory() as folder:
        arguments = {
            name: _unpacked(it, Path(folder)) for name, it in given.items() if name in tool.arguments
        }
        if not body.get("anyway") and (problems := tool.problems(tool.coerced(arguments))):
            return {"problems": problems}
        return await loop.arun(_sent(plugin, tool, arguments))


async def _sent(plugin: InstalledPlugin, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    seen = _Seen(plugin.transport)
    try:
        result = await plugin.invoke(_Any(tool), arguments, seen)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise KitError(f"This cannot be written as a request: {error}.", "Only what fits can be.") from None
    return outcome(result, seen.answer)


def outcome(result: CallResult, answer: Answer | None) -> dict[str, Any]:
    """A result for `static/form.js`, its data as JSON text, so that no digit of a number is lost."""
    kind = essence(answer.media_type) if answer else ""
    picture = ""
    if answer and kind.startswith("image/") and not answer.is_cut and not answer.broken:
        picture = f"data:{kind};base64,{base64.b64encode(answer.content).decode()}"
    return {
        "ok": result.ok,
        "status": result.status,
        "outcome": result.outcome,
        "seconds": result.seconds,
        "method": result.method,
        "url": hide_given(result.url, result.arguments),
        "json": json.dumps(result.data, ensure_ascii=False, default=str),
        "picture": picture,
    }


class _Any(Tool):
    """A tool whose arguments need not fit: to try what the plugin itself says to them."""

    def __init__(self, tool: Tool) -> None:
        self.__dict__ |= tool.__dict__

    def problems(self, arguments: Any) -> list[str]:
        """None: they have been checked, or are not to be."""
        return []


class _Seen(Transport):
    """A plugin's transport, which keeps the last answer as it came: a picture is no data."""

    def __init__(self, inner: Transport) -> None:
        self._inner, self.root = inner, inner.root
        self.answer: Answer | None = None

    async def send(self, *arguments: Any, **options: Any) -> Answer:
        self.answer = await self._inner.send(*arguments, **options)
        return self.answer


def _unpacked(value: Any, folder: Path) -> Any:
    """A value with its files in `folder`, each in one of its own, by its name."""
    if isinstance(value, list):
        return [_unpacked(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {_FILE, "base64"}:
        return {name: _unpacked(item, folder) for name, item in value.items()}
    file = Path(tempfile.mkdtemp(dir=folder)) / (Path(str(value[_FILE])).name or "file")
    file.write_bytes(base64.b64decode(str(value["base64"])))
    return file
