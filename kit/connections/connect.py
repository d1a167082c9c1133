"""`connect`: a plugin put into a host and taken out again, and what the host says of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kit.client.discovery import install
from kit.connections import commands, files
from kit.connections.access import Access, access, recognise
from kit.connections.connection import Change, Connection, Said
from kit.connections.open_webui import OpenWebUI
from kit.errors import ConnectError, KitError, UnknownHost
from kit.mcp.server import import_package
from kit.redaction import hide
from kit.words import did_you_mean

if TYPE_CHECKING:
    from kit.client.credentials import Auth
    from kit.plugin.app import Plugin, Served


class Store(Protocol):
    """Where a host keeps its servers: its own command, a file, or its API."""

    @property
    def title(self) -> str: ...

    def entries(self) -> dict[str, Any]:
        """What is there, by name."""

    def entry(self, access: Access) -> Any:
        """What is written for a plugin."""

    def change(self, access: Access) -> Change:
        """The same, to be shown."""

    def link(self, access: Access) -> str:
        """An address of the host's own scheme that adds it; "" for none."""

    def notes(self, access: Access) -> list[str]:
        """What else the person has to do."""

    def add(self, access: Access) -> None: ...

    def remove(self, name: str) -> None: ...

    def ask(self, access: Access) -> Said:
        """What the host says of it, now."""


class Host(Protocol):
    """A host that a plugin can be connected to."""

    def at(self, project: bool, at: str | None) -> Store:
        """Its store: the user's, that of the project in the current folder, or the one at an address or in a file."""


HOSTS: Mapping[str, Host] = {
    **{name: commands.HOSTS[name] for name in ("codex", "claude", "gemini")},
    "open-webui": OpenWebUI(),
    **{name: files.HOSTS[name] for name in ("librechat", "vscode", "cursor", "goose", "lmstudio")},
}


def connect(
    source: str | Path | Plugin | Served,
    host: str,
    *,
    write: bool = False,
    undo: bool = False,
    replace: bool = False,
    project: bool = False,
    name: str | None = None,
    at: str | None = None,
    auth: Auth | None = None,
) -> Connection:
    """Connects a plugin to a host on this machine: "codex", "claude", "gemini", "open-webui", "vscode", "cursor", ...

    Without `write` nothing is written, and the result shows what would be. With it the plugin is added by the host's own
    command or API, or to its file, in which all else stays as it is; then the host is asked whether it is connected.
    `undo` takes the entry out that leads to `source`, and no other. An entry of the same name that leads elsewhere
    is kept, unless `replace` is true.

    `source` is whatever `install` takes, or a notebook or file with a plugin, which the host then starts by itself. `project`
    writes for the current folder only. `name` is the plugin's own by default. `at` is where the host is, if it is not at its
    usual place: Open WebUI's address, a file. `auth` is as in `install`; it is written nowhere: an entry names the environment
    variable that holds the token (Open WebUI keeps the one in KIT_TOKEN itself). Raises `ConnectError`, and as `install`.
    """
    store = find(host).at(project, at)
    if undo:
        return _undone(store, source, name)
    reached = access(source, name, auth)
    change = store.change(reached)
    held = store.entries().get(reached.name) if write or not change.remedy else None
    is_ours = held is not None and recognise(reached.url or source)(held)
    connection = Connection(
        store.title,
        reached.name,
        reached.place,
        "shown",
        change,
        link=store.link(reached),
        notes=store.notes(reached),
    )
    is_same = is_ours and _covers(held, store.entry(reached))
    if is_same:
        connection.state, connection.said = "there", store.ask(reached)
        return connection
    if held is not None:
        problem = f"{store.title} has an entry {reached.name!r} already: {hide(held)}"
        if write and not replace:
            raise ConnectError(
                f"{problem}. It is kept.",
                "Add --name OTHER, in Python name='other'; or --replace, replace=True, to write over it.",
                host=store.title,
            )
        if not write:
            connection.notes.insert(0, f"{problem}. --replace, in Python replace=True, writes over it.")
    if write:
        if change.remedy:
            raise ConnectError(
                f"Nothing was written for {store.title}. {change.remedy}",
                f"Or put this {change.where}:\n{change.text}",
                host=store.title,
            )
        if held is not None:
            store.remove(reached.name)
        if not isinstance(source, str | Path) and reached.url:
            import_package()  # here and now: a host waits 5 s for the first answer
        store.add(reached)
        connection.state, connection.said = "added", store.ask(reached)
    return connection


def find(host: str) -> Host:
    """The host of that name. Raises `UnknownHost` with the names there are."""
    name = host.lower().replace("_", "-")
    if name not in HOSTS:
        hint = did_you_mean(name, HOSTS)
        raise UnknownHost(
            f"No plugin can be connected to {host!r} from here.",
            f"{hint}There are: {', '.join(HOSTS)}.",
            host=host,
        )
    return HOSTS[name]


def _undone(store: Store, source: Any, name: str | None) -> Connection:
    entries = store.entries()
    found = _leading_to(source, entries, name)
    if not found:  # its spec may name another address than the one it is at
        with contextlib.suppress(KitError):
            found = _leading_to(install(source, ask=False).base_url, entries, name)
    place = str(getattr(source, "url", source))
    for key in found:
        store.remove(key)
    left = [key for key in found if key in store.entries()]
    if left:
        raise ConnectError(
            f"{store.title} still has {', '.join(left)}.", "Take it out in the host itself.", host=store.title
        )
    others = f"; it has {', '.join(entries)}" if entries and not found else ""
    text = (
        f"{', '.join(found)}, of {store.title}"
        if found
        else f"{store.title} has no entry that leads there{others}"
    )
    return Connection(
        store.title, ", ".join(found) or name or "", place, "removed" if found else "absent", Change(text, "")
    )


def _leading_to(source: Any, entries: Mapping[str, Any], name: str | None) -> list[str]:
    """The names of the entries that lead to `source`."""
    is_it = recognise(source)
    return [
        key
        for key, entry in entries.items()
        if isinstance(entry, Mapping) and is_it(entry) and name in (None, key)
    ]


def _covers(held: Any, entry: Any) -> bool:
    """Whether what a host holds says all that would be written; hosts add fields of their own."""
    if isinstance(entry, Mapping):
        return isinstance(held, Mapping) and all(
            _covers(held.get(key), value)
            for key, value in entry.items()
            if key not in ("info", "description")
        )
    return bool(held == entry)
