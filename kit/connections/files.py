"""Hosts that read a file: VS Code, Cursor, LM Studio, Goose, LibreChat. Where it is, what is added, and how it is undone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from kit.connections import blocks, jsonc
from kit.connections.access import Access
from kit.connections.connection import Change, Said, shown
from kit.errors import ConnectError


class Addition(NamedTuple):
    """A `value` at the end of the object `key` of a document under `name`, or of the array `key` if `name` is None."""

    key: str
    name: str | None
    value: Any


@dataclass(frozen=True)
class FileHost:
    """A host that reads `file`, in which `key` maps names to entries.

    `places` are its files by `sys.platform`, `project` that of a folder. `look` is where the host shows what it has read: none
    of these has a command that says it.
    """

    title: str
    key: str
    places: Mapping[str, str]
    project: str
    source: str  # of the places and the form of an entry
    entry: Callable[[Access], Any]
    look: str
    link: Callable[[Access, Any], str] = lambda access, entry: ""
    notes: Callable[[Access], list[str]] = lambda access: []
    reference: str = ""  # how it writes the variable that holds a token; "" if it cannot
    asks: bool = False  # it asks the person for the token, by an entry in `inputs`

    def at(self, project: bool, at: str | None) -> FileStore:
        """Its file: the user's, a project's in the current folder, or the one named."""
        if at:
            path = Path(at, self.project) if Path(at).is_dir() else Path(at)
        elif project or not self.places:
            if not self.project:
                raise ConnectError(
                    f"{self.title} has no file for a project.", "Leave out --project.", host=self.title
                )
            path = Path(self.project)
        else:
            path = _expanded(self.places.get(sys.platform, self.places["linux"]))
        return FileStore(self, path)


@dataclass(frozen=True)
class FileStore:
    """One file of a host."""

    host: FileHost
    path: Path

    @property
    def title(self) -> str:
        return self.host.title

    def entries(self) -> dict[str, Any]:
        """What it holds, by name. Raises `ConnectError` for a file that cannot be read."""
        found = self._read(self._text()) or {}
        entries = found.get(self.host.key) if isinstance(found, dict) else None
        return dict(entries) if isinstance(entries, Mapping) else {}

    def entry(self, access: Access) -> Any:
        return self.host.entry(access)

    def change(self, access: Access) -> Change:
        text = _snippet(self._additions(access), self._is_yaml)
        if access.variable and not self.host.reference:
            remedy = (
                f"{self.title} reads a token only from its file, in which others may read it: put yours in place of "
                f"{access.variable}, if you want that."
            )
            return Change(f"to {shown(self.path)}", text, remedy)
        return Change(f"to {shown(self.path)}", text)

    def link(self, access: Access) -> str:
        return "" if access.variable else self.host.link(access, self.entry(access))

    def notes(self, access: Access) -> list[str]:
        asked = [f"{self.title} asks for the token when it starts the server, and keeps it itself."]
        return [*(asked if access.variable and self.host.asks else []), *self.host.notes(access)]

    def add(self, access: Access) -> None:
        """Adds the entry, and nothing else. Raises `ConnectError` for a file in which that cannot be done."""
        before = after = self._text()
        for addition in self._additions(access):
            held = self._read(after)
            try:
                after = self._added(after, addition)
                is_right = self._read(after) == _with(held, addition)
            except ValueError as error:
                raise self._refused(f"nothing can be added to it: {error}") from None
            if not is_right:
                raise self._refused("the addition would change something else in it")
        self._write(before, after)

    def remove(self, name: str) -> None:
        """Takes the entry out, and a file that holds nothing else. Raises `ConnectError` if that cannot be done."""
        before = after = self._text()
        for addition in reversed(self._found(name)):
            after = self._undone(after, addition)
        self._write(before, after)

    def ask(self, access: Access) -> Said:
        return Said(None, f"{self.host.look}. It has no command that says so")

    # -- the text ------------------------------------------------------------------

    @property
    def _is_yaml(self) -> bool:
        return self.path.suffix in (".yaml", ".yml")

    def _additions(self, access: Access) -> list[Addition]:
        additions = [Addition(self.host.key, access.name, self.entry(access))]
        if access.variable and self.host.asks:
            additions.append(Addition("inputs", None, _input(access.name)))
        return additions

    def _found(self, name: str) -> list[Addition]:
        """The entry of that name as it is, and the question that belongs to it."""
        found = [Addition(self.host.key, name, self.entries()[name])]
        inputs = (self._read(self._text()) or {}).get("inputs")
        return found + [Addition("inputs", None, item) for item in inputs or () if item == _input(name)]

    def _read(self, text: str) -> Any:
        try:
            return blocks.read(text) if self._is_yaml else jsonc.read(text)
        except ValueError as error:
            raise self._refused(str(error)) from None

    def _added(self, text: str, addition: Addition) -> str:
        key, name, value = addition
        if self._is_yaml:
            return blocks.added(text, key, str(name), value)
        return jsonc.added(text, [key], name, value)

    def _undone(self, text: str, addition: Addition) -> str:
        """The text to which adding gives this one; without it if no such text is found."""
        key, name, value = addition
        try:
            if self._is_yaml:
                kept = blocks.removed(text, key, str(name))
                smaller = blocks.without_empty(kept, key)
            else:
                kept = jsonc.removed(text, [key], name, value)
                smaller = jsonc.removed(kept, [], key) if jsonc.is_empty(kept, [key]) else kept
            if not self._read(smaller) and self._added("", addition) == text:
                return ""
            return smaller if self._added(smaller, addition) == text else kept
        except ValueError as error:
            raise self._refused(f"the entry cannot be taken out: {error}") from None

    def _refused(self, problem: str) -> ConnectError:
        return ConnectError(
            f"{self.path} stays as it is: {problem}.",
            "Mend the file, or put the entry into it yourself: kit connect shows it.",
            host=self.title,
        )

    # -- the file ------------------------------------------------------------------

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise self._refused(str(getattr(error, "strerror", None) or error)) from None

    def _write(self, before: str, after: str) -> None:
        """At once or not at all, with the rights that the file has; a new one is for its owner only."""
        if self._text() != before:
            raise self._refused("it has just been changed by another program; try again")
        path = self.path.resolve()  # of a link, what it leads to
        if not after:
            path.unlink(missing_ok=True)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = path.stat().st_mode & 0o7777 if path.exists() else 0o600
            handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(after.encode())
                os.chmod(scratch, mode)
                os.replace(scratch, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(scratch)
                raise
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from None


def _with(data: Any, addition: Addition) -> Any:
    data = dict(data or {})
    held = data.get(addition.key)
    if addition.name is None:
        data[addition.key] = [*(held or []), addition.value]
    else:
        data[addition.key] = {**(held or {}), addition.name: addition.value}
    return data


def _snippet(additions: list[Addition], is_yaml: bool) -> str:
    document = {key: [value] if name is None else {name: value} for key, name, value in additions}
    if is_yaml:
        import yaml

        return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)).rstrip()
    return json.dumps(document, indent=2, ensure_ascii=False)


def _expanded(place: str) -> Path:
    home = str(Path.home())
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    roaming = os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    return Path(place.replace("{config}", config).replace("{roaming}", roaming).replace("~", home, 1))


def _input(name: str) -> dict[str, Any]:
    """The question by which VS Code asks for a token, which it keeps in the system's store of secrets."""
    return {
        "type": "promptString",
        "id": f"{name}-token",
        "description": f"Token of {name}",
        "password": True,
    }


def _base64(entry: Any) -> str:
    return base64.b64encode(json.dumps(entry).encode()).decode()


def _goose(access: Access) -> dict[str, Any]:
    entry: dict[str, Any] = {"enabled": True, "name": access.name, "description": access.description}
    if access.url:
        entry |= {"type": "streamable_http", "uri": access.url, "timeout": 300}
        if access.variable:
            entry |= {"headers": access.headers(f"${{{access.variable}}}"), "env_keys": [access.variable]}
        return entry
    entry |= {"type": "stdio", "cmd": access.command[0], "args": list(access.command[1:]), "timeout": 300}
    return {**entry, "env_keys": ["KIT_TOKEN"]} if access.variable else entry


def _goose_link(access: Access, entry: Any) -> str:
    if not access.url:  # of commands it starts npx, uvx, docker and jbang only
        return ""
    fields = {"url": access.url, "type": "streamable_http", "id": access.name, "name": access.title}
    return f"goose://extension?{urlencode({**fields, 'description': access.description}, quote_via=quote)}"


def _goose_notes(access: Access) -> list[str]:
    variable = access.variable if access.url else "KIT_TOKEN"
    return [f"Set {variable} where Goose starts: export {variable}=..."] if access.variable else []


def _librechat_notes(access: Access) -> list[str]:
    notes = [f"Set {access.variable} where LibreChat starts, such as in its .env."] if access.variable else []
    if access.url and access.is_here:
        place = access.url.split("/")[2]
        notes.append(
            f"LibreChat reaches no address of its own machine unless librechat.yaml allows it: "
            f'mcpSettings: {{allowedAddresses: ["{place}"]}}; in Docker, this machine is host.docker.internal.'
        )
    return notes


_VSCODE = "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration"
_CURSOR = "https://cursor.com/docs/mcp"
_GOOSE = "https://github.com/block/goose/blob/main/documentation/docs/guides/config-files.md"
_LIBRECHAT = "https://www.librechat.ai/docs/configuration/librechat_yaml/object_structure/mcp_servers"

HOSTS = {
    "vscode": FileHost(
        "VS Code",
        "servers",
        {
            "linux": "{config}/Code/User/mcp.json",
            "darwin": "~/Library/Application Support/Code/User/mcp.json",
            "win32": "{roaming}/Code/User/mcp.json",
        },
        ".vscode/mcp.json",
        _VSCODE,
        lambda access: access.entry(f"${{input:{access.name}-token}}"),
        "see MCP: List Servers in its command palette",
        lambda access, entry: f"vscode:mcp/install?{quote(json.dumps({'name': access.name, **entry}))}",
        reference="${input:}",
        asks=True,
    ),
    "cursor": FileHost(
        "Cursor",
        "mcpServers",
        dict.fromkeys(("linux", "darwin", "win32"), "~/.cursor/mcp.json"),
        ".cursor/mcp.json",
        _CURSOR,
        lambda access: access.entry(f"${{env:{access.variable}}}", None),
        "see MCP in its settings",
        lambda access, entry: (
            "cursor://anysphere.cursor-deeplink/mcp/install?"
            + urlencode({"name": access.name, "config": _base64(entry)})
        ),
        lambda access: (
            [f"Set {access.variable} where Cursor starts: export {access.variable}=..."]
            if access.variable
            else []
        ),
        reference="${env:}",
    ),
    "lmstudio": FileHost(
        "LM Studio",
        "mcpServers",
        dict.fromkeys(("linux", "darwin", "win32"), "~/.lmstudio/mcp.json"),
        "",
        "https://lmstudio.ai/docs/app/mcp",
        lambda access: access.entry(access.variable, None),
        "see Program in its right-hand sidebar",
        lambda access, entry: (
            f"lmstudio://add_mcp?{urlencode({'name': access.name, 'config': _base64(entry)})}"
        ),
    ),
    "goose": FileHost(
        "Goose",
        "extensions",
        {
            "linux": "{config}/goose/config.yaml",
            "darwin": "{config}/goose/config.yaml",
            "win32": "{roaming}/Block/goose/config/config.yaml",
        },
        "",
        _GOOSE,
        _goose,
        "see Extensions in its sidebar, or `goose configure`",
        _goose_link,
        _goose_notes,
        reference="${}",
    ),
    "librechat": FileHost(
        "LibreChat",
        "mcpServers",
        {},
        "librechat.yaml",
        _LIBRECHAT,
        lambda access: access.entry(f"${{{access.variable}}}", "streamable-http"),
        "it reads the file when it starts; then see the MCP servers beneath its text field",
        notes=_librechat_notes,
        reference="${}",
    ),
}
