"""`chatgpt`: the local ChatGPT, served from this process on this machine, with its address and an IFrame."""

from __future__ import annotations

import os
import secrets
import threading
from typing import Any
from urllib.parse import urlsplit

from kit import loop
from kit.chat.client import NO_KEY, ModelClient
from kit.chat.local import shown_name
from kit.chat.options import check as check_options
from kit.client.credentials import Auth, for_several
from kit.jupyter import Frame, browser_hosts, browser_url
from kit.notebook.target import Target, absolute, is_target
from kit.server.server import Server, serve
from kit.server.thread import ServerThread
from kit.sockets import listen
from kit.web.app import CALLBACK, State, make_app

HEIGHT = 720  # pixels of the frame in a cell

_pages: list[LocalChatGPT] = []
_lock = threading.Lock()


class LocalChatGPT:
    """A running page. `.url` is its address, with the token that admits its user; `.stop()` ends it.

    As a cell's value it shows itself in an IFrame, with its link above.
    """

    def __init__(self, port: int, options: dict[str, Any], key: Any) -> None:
        self._key = key  # the arguments: a call with the same ones reuses the page
        self._served: dict[str, Server] = {}  # by the file that each was made of
        self._token = secrets.token_urlsafe(16)
        self._state = State(options, _label(options))
        sock = listen("127.0.0.1", port)
        self.port: int = sock.getsockname()[1]
        self._state.plugins.callback = (
            f"{browser_url(self.port) or f'http://127.0.0.1:{self.port}'}{CALLBACK}"
        )
        self._thread = ServerThread(make_app(self._state, self._token, browser_hosts(self.port)), sock)
        self._thread.start()

    def install(self, source: Server | str, auth: Auth | None = None) -> None:
        """Installs one more plugin: a `Server`, an address, or a notebook or a file, which is served until the page stops.

        Raises `KitError` with the reason.
        """
        registry, file = self._state.plugins, ""
        if isinstance(source, str) and is_target(source):
            file = absolute(source)
            if file not in self._served:
                self._served[file] = serve(Target(source).plugin())
            source = self._served[file]

        async def add() -> None:
            entry = await registry.add(source, auth)
            entry.file, entry.is_installed = file, True

        loop.run(add())

    @property
    def url(self) -> str:
        """Where the user's browser reaches the page."""
        base = browser_url(self.port) or f"http://127.0.0.1:{self.port}"
        return f"{base}/?token={self._token}"

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def stop(self) -> None:
        """Ends the page and its conversations."""
        with _lock:
            if self in _pages:
                _pages.remove(self)
        self._thread.stop()
        for server in self._served.values():
            server.stop()

    def __enter__(self) -> LocalChatGPT:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Local ChatGPT at {self.url}" if self.is_running else "Local ChatGPT, stopped"

    def _ipython_display_(self) -> None:
        Frame(self.url, self.port, HEIGHT)._ipython_display_()


def chatgpt(
    *plugins: Server | str, port: int = 0, auth: Auth | None = None, token: str | None = None, **options: Any
) -> LocalChatGPT:
    """Opens the local ChatGPT with these plugins installed: servers of this process, addresses, notebooks or files.

    More can be installed in the page. `auth` is as for `Chat`, `token` the same as a text; `options` are those of `Chat`: `model`,
    `client`, `api`, `instructions`, `select`, `search`, `max_rounds`, `prices`, and those of a request. Run again, the same page goes on with
    its conversations. Raises `KitError` for a plugin that cannot be installed.
    """
    check_options(
        options, ("model", "client", "api", "instructions", "select", "search", "max_rounds", "prices")
    )
    given = for_several(token if auth is None else auth, len(plugins))
    key = _key(plugins, options)
    with _lock:
        earlier = next((p for p in _pages if p._key == key and p.is_running and port in (0, p.port)), None)
    if earlier is not None:
        for plugin in plugins if given is not None else ():
            earlier.install(plugin, given)
        return earlier
    page = LocalChatGPT(port, options, key)
    try:
        for plugin in plugins:
            page.install(plugin, given)
    except BaseException:
        page.stop()
        raise
    with _lock:
        _pages.append(page)
    return page


def _key(sources: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return [s if isinstance(s, Server) else str(s) for s in sources], sorted(options.items(), key=str)


def _label(options: dict[str, Any]) -> dict[str, Any]:
    """What answers: the model's name, or plainly the understudy."""
    model = ModelClient(options.get("client"), options.get("model"), options.get("api", "responses"))
    if model.is_understudy:
        note = model.notes[0]
        return {"name": "Understudy", "is_understudy": True, "note": note, "offer": note.removeprefix(NO_KEY)}
    name = shown_name(model.name or model.asked)
    if model.server is not None:
        return {"name": name, "is_understudy": False, "note": f"{model.server.title} on this machine"}
    server = urlsplit(os.environ.get("OPENAI_BASE_URL", "")).netloc.rpartition("@")[2]  # without a password
    return {"name": name or server or "OpenAI", "is_understudy": False, "note": server}
