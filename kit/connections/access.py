"""`Access`: how a host reaches a plugin. Its MCP endpoint if it has one, else a command that makes one of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kit import loop
from kit.addresses import complete, is_this_machine, origin
from kit.auth import NoAuth, OAuth
from kit.client.discovery import install
from kit.errors import ConnectError, InstallError
from kit.notebook.target import Target, absolute, is_target
from kit.plugin.wellknown import MCP_PATH, RESOURCE_PATH
from kit.server.server import serving

if TYPE_CHECKING:
    from kit.client.credentials import Auth
    from kit.client.installed import InstalledPlugin
    from kit.plugin.app import Plugin, Served

TIMEOUT = (
    10.0  # seconds for the endpoint to say what it is: Codex starts a server within 10 s, Home Assistant too
)
LARGEST = 1_000_000  # bytes of that answer
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "kit", "version": "0.1.0"},
    },
}


@dataclass(frozen=True)
class Access:
    """A plugin as an entry of a host: `url` of its MCP endpoint, or the `command` that speaks MCP on stdin and stdout.

    `base_url` is where the plugin itself is; "" for a file that nobody serves. `variable` is the environment variable that
    holds its token, "" if it needs none. The token itself is not here.
    """

    name: str
    title: str
    description: str
    url: str = ""
    command: tuple[str, ...] = ()
    base_url: str = ""
    variable: str = ""
    is_basic: bool = False
    is_oauth: bool = False

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return self.url or self.base_url or self.command[-1]

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, which a host in a container is not."""
        return is_this_machine(urlsplit(self.base_url).hostname or "")

    def entry(self, reference: str, type_: str | None = "http") -> dict[str, Any]:
        """What most hosts take: the address, or command and arguments. `reference` is how the host writes a variable."""
        if self.url:
            entry: dict[str, Any] = {"url": self.url} if type_ is None else {"type": type_, "url": self.url}
            return {**entry, "headers": self.headers(reference)} if self.variable else entry
        entry = {} if type_ is None else {"type": "stdio"}
        entry |= {"command": self.command[0], "args": list(self.command[1:])}
        return {**entry, "env": {"KIT_TOKEN": reference}} if self.variable else entry

    def headers(self, reference: str) -> dict[str, str]:
        return {"Authorization": f"{'Basic' if self.is_basic else 'Bearer'} {reference}"}


def access(source: str | Path | Plugin | Served, name: str | None = None, auth: Auth | None = None) -> Access:
    """How a host on this machine reaches `source`: whatever `install` takes, a notebook or a file with a plugin.

    Raises `ConnectError` for a plugin that nobody serves, and as `install`.
    """
    if isinstance(source, str | Path) and is_target(str(source)):
        manifest = Target(str(source)).plugin().manifest
        is_open, base_url, url, is_basic = True, "", "", False  # `kit mcp` starts it without its door
        command = _command(absolute(str(source)))
    else:
        plugin = install(_served(source), auth=auth, ask=False)
        manifest, base_url = plugin.manifest, plugin.base_url
        url = base_url.rstrip("/") + MCP_PATH
        is_ours = hasattr(source, "manifest") or hasattr(
            source, "plugin"
        )  # served from here: there is /mcp, with its package
        if not (find_spec("mcp") if is_ours else loop.run(_speaks_mcp(plugin, url))):
            url = ""
        is_open = isinstance(manifest.auth, NoAuth) and auth is None
        is_basic = bool(getattr(manifest.auth, "is_basic", False))
        command = () if url else _command(base_url if is_ours else absolute(str(source)))
    is_oauth = isinstance(manifest.auth, OAuth)
    name = _checked_name(name or manifest.name_for_model)
    return Access(
        name,
        manifest.name_for_human or name,
        manifest.description_for_human,
        _checked_url(url),
        command,
        _checked_url(base_url),
        "" if is_open or is_oauth else f"{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_TOKEN",
        is_basic,
        is_oauth,
    )


def recognise(source: str | Path | Plugin | Served) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an entry of a host is the one of `source`, by its address or its command. Nothing is asked for that."""
    if isinstance(source, str | Path):
        text, known = str(source), None
    else:
        known = getattr(_served(source), "public_url", None) or getattr(_served(source), "url", None)
        text = str(known or source)
    given = {text, absolute(text)}
    url = _endpoint(known or ("" if is_target(text) else complete(text)))

    def is_it(entry: Mapping[str, Any]) -> bool:
        address = next((entry[key] for key in ("url", "uri", "httpUrl", "serverUrl") if entry.get(key)), "")
        if isinstance(address, str) and address:
            return bool(url) and _endpoint(address) == url
        arguments = [*_texts(entry.get("command")), *_texts(entry.get("cmd")), *_texts(entry.get("args"))]
        return len(arguments) > 1 and arguments[-2] == "mcp" and arguments[-1] in given

    return is_it


def _texts(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value]) if item is not None]


def _endpoint(url: str) -> tuple[str, str] | None:
    """An address without what differs from host to host: by which name of this machine, with `/mcp` or not."""
    if not url or not origin(url):
        return None
    path = re.sub(r"/(\.well-known/.*|openapi\.json|mcp/?)$|/$", "", urlsplit(url).path)
    return origin(url), path


def _served(source: Any) -> Any:
    if hasattr(source, "manifest") and not hasattr(source, "plugin"):
        running = serving(source)
        if running is None:
            raise ConnectError(
                f"{source.manifest.name_for_human} is not served, so no host can reach it.",
                "Serve it first: server = kit.serve(plugin), then kit.connect(server, ...).",
                host="",
            )
        return running
    return source


def _command(source: str) -> tuple[str, ...]:
    # This Python: a host's PATH is seldom that of the environment in which the kit is installed.
    return (sys.executable, "-m", "kit", "mcp", source)


def _checked_name(name: str) -> str:
    # The narrowest of the hosts: Claude Code takes letters, digits, _ and -, as OpenAI does for the tools' prefix.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):  # with - first it would be an option
        raise ConnectError(
            f"{name!r} can be no name in a host.", "Use letters, digits, _ and -, at most 64.", host=""
        )
    return name


def _checked_url(url: str) -> str:
    # Hosts put their user's variables into addresses: a stranger's spec could have them sent to itself.
    if re.search(r"[${}\s\x00-\x1f]", url):
        raise ConnectError(
            f"{url!r} may not be the address of an entry: a host would put variables of yours into it.",
            "A real address has no $ and no braces. Whose plugin is it?",
            host="",
        )
    return url


async def _speaks_mcp(plugin: InstalledPlugin, url: str) -> bool:
    """Whether there is an MCP server at `url`. Raises `ConnectError` if it does not say without a token."""
    tool = next(iter(plugin.by_name.values()), None)
    try:
        proof = await plugin.credentials.proof(tool.operation, url) if tool else None
        answer = await plugin.transport.send(
            "POST",
            url,
            headers=[("Accept", "application/json, text/event-stream"), ("Content-Type", "application/json")],
            content=json.dumps(_HELLO).encode(),
            limit=LARGEST,
            timeout=TIMEOUT,
            proof=proof,
        )
        if answer.status not in (401, 403):
            return answer.status == 200 and b'"jsonrpc"' in answer.content
        metadata = await plugin.transport.send(
            "GET", origin(url) + RESOURCE_PATH + MCP_PATH, limit=LARGEST, timeout=TIMEOUT
        )
    except InstallError:
        return False
    except TimeoutError:
        raise ConnectError(
            f"{url} does not answer within {TIMEOUT:.0f} seconds.",
            "Try again, or look at its server's log.",
            host="",
        ) from None
    if metadata.status == 200:
        return True
    raise ConnectError(
        f"{url} does not say without a token whether it speaks MCP: it answers {answer.status}.",
        "Give the token, which is sent there only and written nowhere: KIT_TOKEN=... or --token; in Python auth='...'.",
        host="",
    )
