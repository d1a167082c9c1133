"""The plugins of the page: found at a URL step by step, installed, and refreshed while their author works on them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from kit import loop
from kit.addresses import LOCAL_NAMES, complete, joined
from kit.checking import check
from kit.client.answers import Answer
from kit.client.credentials import Auth
from kit.client.discovery import ainstall, endpoints_of
from kit.client.installed import InstalledPlugin
from kit.client.signin import Authorization, Session, SignIn
from kit.errors import KitError, SignInError
from kit.markup import logo
from kit.openapi.values import essence
from kit.redaction import hide
from kit.server.server import Server
from kit.web.consent import Consent
from kit.web.forms import wants
from kit.web.logos import Logos

MAX_LOGO = 200_000  # bytes; a larger one is replaced by the initials
LOGO_TIMEOUT = 3.0  # seconds
REFRESH_TIMEOUT = 2.0  # seconds that a conversation waits for its plugins, once for those that are stuck
MOST_SHOWN = 100  # problems, and functions, of one plugin
_IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp", "image/x-icon")


@dataclass
class PluginEntry:
    """A plugin of the page. `source` is the address typed in, `server` a `Server` of this process."""

    id: str
    plugin: InstalledPlugin
    source: str
    server: Server | None = None
    file: str = ""  # the notebook or the file that the server is made of, with its whole path
    image: str = ""  # where the page has its logo
    is_installed: bool = False
    allowed: set[Consent] = field(default_factory=set)  # what no longer needs a question
    problem: str = ""  # why the last refresh failed
    is_stuck: bool = False  # whether it did not answer a refresh in time, and has not since
    news: str = ""  # what the last refresh found, until a conversation has told it
    reading: asyncio.Task[None] | None = field(default=None, repr=False)  # the refresh that runs
    verification: str = ""  # what this host hands out and looks for in the manifest, as ChatGPT did

    @property
    def wants(self) -> str:
        """What the user must give before it can be called: "token", "sign_in" or nothing more."""
        return wants(self.plugin)

    @property
    def name(self) -> str:
        return self.plugin.manifest.name_for_human or self.plugin.name

    def summary(self) -> dict[str, Any]:
        """What the page shows. The texts are untrusted: the page inserts them as text only."""
        plugin, tools = self.plugin, self.plugin.by_name
        functions = [
            {
                "name": tool.operation.id,
                "method": tool.operation.method,
                "path": tool.operation.path,
                "text": tool.description,
                "asks": tool.operation.consequential,
            }
            for tool in list(tools.values())[:MOST_SHOWN]
        ]
        return {
            "id": self.id,
            "name": self.name,
            "source": self.source,
            "base": plugin.base_url,
            "text": plugin.manifest.description_for_human,
            "auth": plugin.manifest.auth.type,
            "wants": self.wants,
            "has_secret": bool(plugin.credentials),
            "verification": self._verification(),
            "image": self.image,
            "functions": functions,
            "allowed": [consent.summary() for consent in sorted(self.allowed)],
            "function_count": len(tools),
            "tokens": plugin.tokens,
            "problems": [{"place": p, "text": t} for p, t in plugin.problems[:MOST_SHOWN]],
            "problem_count": len(plugin.problems),
            "problem": self.problem,
        }

    def _verification(self) -> dict[str, Any] | None:
        auth: Any = self.plugin.manifest.auth
        if auth.type != "service_http":
            return None
        return {
            "token": self.verification,
            "is_found": self.verification in auth.verification_tokens.values(),
        }


class PluginRegistry:
    """All plugins of the page by id, including those found but not yet installed."""

    def __init__(self) -> None:
        self._all: dict[str, PluginEntry] = {}
        self.logos = Logos()
        self.callback = ""  # where authorization servers send the browser back to
        self._attempts: dict[str, tuple[Authorization, asyncio.Future[Session]]] = {}  # by their state

    @property
    def installed(self) -> list[PluginEntry]:
        return [entry for entry in self._all.values() if entry.is_installed]

    def get(self, id: str) -> PluginEntry:
        """Raises `KitError` for one that was removed."""
        if id not in self._all:
            raise KitError("This plugin is no longer installed.", "Install it again.")
        return self._all[id]

    async def find(self, source: Server | str, auth: Auth | None = None) -> AsyncIterator[dict[str, Any]]:
        """Looks up an address as ChatGPT did: a dict for each step, then {"found": ...} or {"error": ...}."""
        steps: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        own_loop = asyncio.get_running_loop()

        def on_document(answer: Answer, seconds: float) -> None:
            own_loop.call_soon_threadsafe(steps.put_nowait, _fetch_step(answer, seconds))

        lookup = asyncio.ensure_future(self.add(source, auth, on_document))
        try:
            while not lookup.done() or not steps.empty():
                next_step = asyncio.ensure_future(steps.get())
                await asyncio.wait({lookup, next_step}, return_when=asyncio.FIRST_COMPLETED)
                if next_step.done():
                    yield next_step.result()
                else:
                    next_step.cancel()
            entry = await lookup
        except KitError as error:
            yield {"error": error.problem, "remedy": error.remedy}
            return
        finally:
            lookup.cancel()
        for step in _check_steps(entry.plugin):
            yield step
        yield {"found": entry.summary()}

    async def add(
        self, source: Server | str, auth: Auth | None = None, on_document: Any = None
    ) -> PluginEntry:
        """Finds a plugin and keeps it, not yet installed. Raises `KitError`."""
        server = source if isinstance(source, Server) else None
        # Only an address: what is typed into a page must not name a file of this machine.
        address = server.url if server else complete(str(source).strip())
        plugin = await ainstall(server or address, auth=auth, ask=False, on_document=on_document)
        entry = next((e for e in self._all.values() if _identity(e.plugin) == _identity(plugin)), None)
        if entry is None:
            entry = PluginEntry(self._unique_id(plugin.name), plugin, address)
            entry.verification = secrets.token_hex(16)
            self._all[entry.id] = entry
            while len(self._all) - len(self.installed) > 20:  # looked up and never installed
                del self._all[next(key for key, e in self._all.items() if not e.is_installed)]
        elif not plugin.credentials and plugin.credentials.origin == entry.plugin.credentials.origin:
            plugin.credentials.take_over(entry.plugin.credentials)
        entry.plugin, entry.source, entry.server = plugin, address, server
        entry.problem, entry.is_stuck = "", False
        entry.image = await self._image(entry)
        return entry

    async def install(self, id: str, token: str | None = None) -> PluginEntry:
        """Installs a plugin that was found, with the user's token."""
        entry = self.get(id)
        if token:
            entry = await self.add(entry.server or entry.source, token)
        entry.is_installed = True
        return entry

    async def sign_in(self, id: str, client_id: str, client_secret: str) -> AsyncIterator[dict[str, Any]]:
        """Signs the user in at a plugin: {"url": ...} for the browser, then {"installed": ...} or {"error": ...}."""
        entry = self.get(id)
        came: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        state = ""
        try:
            how = SignIn(client_id, client_secret, redirect_uri=self.callback)
            attempt = Authorization(how, endpoints_of(entry.plugin), self.callback)
            state = attempt.state
            self._attempts[state] = attempt, came
            yield {"url": attempt.url}
            ends = time.monotonic() + how.timeout
            while not came.done() and time.monotonic() < ends:
                await asyncio.wait({came}, timeout=15)
                yield {"alive": True}  # detects a closed tab
            if not came.done():
                raise SignInError(
                    f"Nobody signed in at {entry.name} within {how.timeout:.0f} s.",
                    f"Its author must know the address {self.callback}. Try again.",
                    source=attempt.endpoints.authorization,
                )
            entry.plugin.credentials.give(await came)
        except KitError as error:
            yield {"error": error.problem, "remedy": error.remedy}
            return
        finally:
            self._attempts.pop(state, None)
            came.cancel()
        entry.is_installed = True
        yield {"installed": entry.summary()}

    async def signed_in(self, callback: str, state: str) -> None:
        """The browser has come back to `callback`. Raises `SignInError`, which `sign_in` reports as well."""
        mine = self._attempts.pop(state, None)
        # A state that nobody waits for ends every attempt: better than one that waits for nothing.
        attempts = [mine] if mine else [self._attempts.pop(key) for key in list(self._attempts)]
        if not attempts:
            raise SignInError("Nobody is signing in here.", "Begin in the page, and finish within five minutes.", source="state")  # fmt: skip
        failure = None
        for attempt, came in attempts:
            try:
                session = await loop.arun(attempt.finish(callback))
            except KitError as error:
                failure = error
            if came.done():
                continue
            if failure:
                came.set_exception(failure)
                came.exception()  # read, since the tab that began may be closed
            else:
                came.set_result(session)
        if failure:
            raise failure

    def forget(self, id: str) -> PluginEntry:
        """Forgets a plugin's token, or signs out."""
        entry = self.get(id)
        entry.plugin.forget()
        return entry

    def remove(self, id: str) -> None:
        """Removes a plugin, and forgets its token."""
        entry = self._all.pop(id, None)
        if entry:
            entry.allowed.clear()
            entry.plugin.forget()
            if entry.reading:
                entry.reading.cancel()

    def revoke(self, id: str, operation: str) -> PluginEntry:
        """Asks again before each call of an operation that was always allowed."""
        entry = self.get(id)
        entry.allowed = {consent for consent in entry.allowed if consent.operation != operation}
        return entry

    async def refresh(self, entries: list[PluginEntry]) -> list[str]:
        """Reads plugins of this machine again, since their authors may be changing them; returns what is new, as texts.

        Any other plugin stays as it was installed. All are asked at once. One that is stuck is waited for once: later it is
        asked while the conversation goes on without it, until it answers.
        """
        waited = []
        for entry in entries:
            if entry.plugin.transport.root.is_own and (entry.reading is None or entry.reading.done()):
                entry.reading = asyncio.ensure_future(self._read(entry))
                if not entry.is_stuck:
                    waited.append(entry)
        if waited:
            readings = [it.reading for it in waited if it.reading]
            ended, _ = await asyncio.wait(readings, timeout=REFRESH_TIMEOUT)
            for reading in ended:
                if not reading.cancelled():  # its plugin was removed
                    reading.result()
        for entry in waited:
            if entry.reading and not entry.reading.done():
                entry.is_stuck = True
                entry.problem = entry.news = (
                    f"{entry.name} did not answer within {REFRESH_TIMEOUT:.0f} s: it stays as it was."
                )
        news = [entry.news for entry in entries if entry.news]
        for entry in entries:
            entry.news = ""
        return news

    async def _read(self, entry: PluginEntry) -> None:
        previous, old = entry.problem, entry.plugin
        try:
            new = await ainstall(entry.server or entry.source, ask=False)
        except KitError as error:
            entry.problem = f"{entry.name} stays as it was installed: {error.problem}"
            if entry.problem != previous and not entry.is_stuck:  # of one that is stuck it was said
                entry.news = entry.problem
            return
        entry.is_stuck, entry.problem = False, ""
        if entry.plugin is old and _documents(new) != _documents(old):
            if new.credentials.origin == old.credentials.origin:  # a token is for one origin
                new.credentials.take_over(old.credentials)
            entry.plugin = new
            entry.image = await self._image(entry)
            entry.news = f"{entry.name} has changed and was read again: {len(new.by_name)} functions."

    async def _image(self, entry: PluginEntry) -> str:
        """The address of the logo, fetched by the kit: the page itself sends no request to other servers."""
        plugin = entry.plugin
        content, media_type = logo(entry.name).encode(), "image/svg+xml"
        url = plugin.manifest.logo_url
        with contextlib.suppress(KitError, TimeoutError):
            url = joined(plugin.base_url + "/", url) if url else ""
            if url and plugin.transport.root.covers(url):
                async with asyncio.timeout(LOGO_TIMEOUT):
                    answer = await loop.arun(plugin.transport.send("GET", url, limit=MAX_LOGO))
                kind = essence(answer.media_type)
                if answer.status == 200 and kind in _IMAGES and not answer.is_cut:
                    content, media_type = answer.content, kind
        return self.logos.keep(content, media_type)

    def _unique_id(self, name: str) -> str:
        number = 1
        while (id := name if number == 1 else f"{name}-{number}") in self._all:
            number += 1
        return id


def _identity(plugin: InstalledPlugin) -> tuple[str, str]:
    """What distinguishes two plugins; `localhost` and 127.0.0.1 are the same."""
    base = plugin.base_url
    for name in LOCAL_NAMES:
        base = base.replace(f"://{name}", "://localhost", 1)
    return base, plugin.name


def _documents(plugin: InstalledPlugin) -> str:
    return json.dumps([plugin.manifest.render(plugin.base_url), plugin.spec.document], default=str)


def _fetch_step(answer: Answer, seconds: float) -> dict[str, Any]:
    return {
        "step": "Fetched" if answer.status == 200 else "Looked for",
        "text": hide(answer.url),
        "detail": f"{answer.status}, {len(answer.content):,} bytes, {seconds * 1000:.0f} ms",
        "ok": answer.status == 200,
    }


def _check_steps(plugin: InstalledPlugin) -> list[dict[str, Any]]:
    """The results of reading and validating the documents, as steps."""
    problems, count = plugin.problems, len(plugin.by_name)
    findings = check(plugin, "chatgpt")
    errors = sum(finding.severity == "error" for finding in findings)
    return [
        {
            "step": "Read",
            "text": f"{len(problems)} problems, repaired or left out" if problems else "nothing to repair",
            "ok": True,
            "items": [{"place": place, "text": text} for place, text in problems[:MOST_SHOWN]],
        },
        {
            "step": "Validated",
            "text": f"{errors} of ChatGPT's rules are broken; the kit continues anyway"
            if errors
            else "against ChatGPT's rules",
            "ok": not errors,
            "items": [
                {
                    "place": f"{finding.severity}, {finding.place}",
                    "text": f"{finding.message} {finding.remedy}",
                }
                for finding in findings[:MOST_SHOWN]
            ],
        },
        {"step": "Found", "text": f"{count} functions" if count != 1 else "1 function", "ok": count > 0},
    ]
