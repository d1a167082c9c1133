"""Hosts with a command of their own, which writes their configuration: Codex, Claude Code, Gemini CLI."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.connections import jsonc
from kit.connections.access import Access
from kit.connections.connection import Change, Said, shown
from kit.errors import ConnectError

TIMEOUT = 60.0  # seconds: Gemini CLI takes up to 10 to start, and as many to ask a server


@dataclass(frozen=True)
class CommandHost:
    """A host whose `program` adds, removes and lists servers.

    `add` and `remove` are the arguments for that, without the program; `add` gives "" and why, if the command cannot say it.
    `config` is the file that it writes, from which its entries are read; `ask` asks it for the state of one.
    """

    title: str
    program: str
    package: str  # of npm
    config: Callable[[bool], Path]
    add: Callable[[Access, bool], list[str] | str]
    remove: Callable[[str, bool], list[str]]
    ask: Callable[[CommandStore, Access], Said]
    reference: str
    key: str = "mcpServers"
    has_projects: bool = True
    environ: Mapping[str, str] = field(default_factory=dict)  # with which its command adds and removes

    def at(self, project: bool, at: str | None) -> CommandStore:
        if at:
            raise ConnectError(
                f"{self.title} has one place only, which its own command knows.",
                "Leave out --at.",
                host=self.title,
            )
        if project and not self.has_projects:
            raise ConnectError(
                f"The command of {self.title} adds servers for its user, not for a project.",
                "Leave out --project.",
                host=self.title,
            )
        return CommandStore(self, project)


@dataclass(frozen=True)
class CommandStore:
    """A host's own configuration, of its user or of the project in the current folder."""

    host: CommandHost
    project: bool

    @property
    def title(self) -> str:
        return self.host.title

    @property
    def config(self) -> Path:
        """The file that the host's command writes."""
        return self.host.config(self.project)

    def entries(self) -> dict[str, Any]:
        """What the host has, by name. Raises `ConnectError` for a file that cannot be read."""
        try:
            text = self.config.read_bytes().decode()
            found = tomllib.loads(text) if self.config.suffix == ".toml" else jsonc.read(text)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConnectError(
                f"{self.config}, which {self.title} reads, cannot be read: {error}.",
                "Mend it first.",
                host=self.title,
            ) from None
        entries = found.get(self.host.key) if isinstance(found, dict) else None
        return dict(entries) if isinstance(entries, Mapping) else {}

    def entry(self, access: Access) -> Any:
        """The entry as the host's command writes it."""
        reference = self.host.reference.replace("VARIABLE", access.variable)
        if self.config.suffix != ".toml":
            return access.entry(reference)
        if access.url:
            named: dict[str, Any] = {"bearer_token_env_var": access.variable}
            if access.is_basic:
                named = {"env_http_headers": {"Authorization": access.variable}}
            return {"url": access.url, **(named if access.variable else {})}
        entry = {key: value for key, value in access.entry("", None).items() if key != "env"}
        return {**entry, "env_vars": ["KIT_TOKEN"]} if access.variable else entry

    def change(self, access: Access) -> Change:
        arguments = self.host.add(access, self.project)
        snippet = _toml(access.name, self.entry(access))
        if self.config.suffix != ".toml":
            snippet = json.dumps({self.host.key: {access.name: self.entry(access)}}, indent=2)
        if isinstance(arguments, str):
            return Change(f"to {shown(self.config)}", snippet, arguments)
        if shutil.which(self.host.program) is None:
            remedy = f"`{self.host.program}` is not on the PATH; it is installed by npm install -g {self.host.package}."
            return Change(f"to {shown(self.config)}", snippet, remedy)
        return Change(f"by the command of {self.title}", shlex.join([self.host.program, *arguments]))

    def link(self, access: Access) -> str:
        return ""

    def notes(self, access: Access) -> list[str]:
        notes = []
        if access.variable:
            variable = "KIT_TOKEN" if access.command and self.config.suffix == ".toml" else access.variable
            what = (
                "Basic and user:password in Base64"
                if access.is_basic and self.config.suffix == ".toml"
                else "the token"
            )
            notes.append(f"Set {variable} to {what} where {self.title} starts; only its name is written.")
        if access.is_oauth:
            notes.append(f"Then sign in: {self.host.program} mcp login {access.name}")
        return notes

    def add(self, access: Access) -> None:
        if not isinstance(
            arguments := self.host.add(access, self.project), str
        ):  # else `change` has said why
            self.run(*arguments, **self.host.environ)

    def remove(self, name: str) -> None:
        self.run(*self.host.remove(name, self.project), **self.host.environ)

    def ask(self, access: Access) -> Said:
        try:
            return self.host.ask(self, access)
        except ConnectError as error:
            return Said(None, error.problem)

    def run(self, *arguments: str, cwd: str | None = None, **environ: str) -> str:
        """What the host's command prints. Raises `ConnectError` if it is missing or fails, with what it says."""
        program = self.program()
        try:
            done = subprocess.run(  # noqa: S603 - the host's own command, its arguments made here
                [program, *arguments],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                cwd=cwd,
                env={**os.environ, "NO_COLOR": "1", **environ},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConnectError(
                f"`{shlex.join([self.host.program, *arguments])}` did not end: {error}.",
                "Run it yourself.",
                host=self.title,
            ) from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).partition("\n\n")[0]
            raise ConnectError(
                f"`{shlex.join([self.host.program, *arguments])}` ended with {done.returncode}: {said[:500]}",
                f"Nothing else was changed. Is {self.title} set up?",
                host=self.title,
            )
        return re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}\n{done.stderr}")  # Gemini CLI says all on stderr

    def program(self) -> str:
        found = shutil.which(self.host.program)
        if found is None:
            raise ConnectError(
                f"`{self.host.program}` is not on the PATH.",
                f"Install it: npm install -g {self.host.package}",
                host=self.title,
            )
        return found


def _toml(name: str, entry: Mapping[str, Any]) -> str:
    """An entry of Codex' config.toml. Texts, lists of texts and tables of texts are written in TOML as in JSON."""
    lines = [f"[mcp_servers.{name}]"]
    for key, value in entry.items():
        if isinstance(value, Mapping):
            written = ", ".join(f"{inner} = {json.dumps(text)}" for inner, text in value.items())
            lines.append(f"{key} = {{ {written} }}")
        else:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines)


# -- Codex ------------------------------------------------------------------


def _codex_config(project: bool) -> Path:
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex", "config.toml")


def _codex_add(access: Access, project: bool) -> list[str] | str:
    if access.command and access.variable:
        return "`codex mcp add` would write the token itself, and cannot name a variable to pass on."
    if access.is_basic and access.variable:
        return "`codex mcp add` knows bearer tokens only."
    if access.command:
        return ["mcp", "add", access.name, "--", *access.command]
    token = ["--bearer-token-env-var", access.variable] if access.variable else []
    return ["mcp", "add", access.name, "--url", access.url, *token]


def _codex_ask(store: CommandStore, access: Access) -> Said:
    """By Codex' app server, which connects and lists the tools: `codex mcp list` connects to nothing."""
    requests = (
        {"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "kit", "version": "0.1.0"}}},
        {"method": "initialized"},
        {"id": 1, "method": "mcpServerStatus/list", "params": {}},
    )
    answer: dict[str, Any] = {}
    with subprocess.Popen(  # noqa: S603 - as above
        [store.program(), "app-server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    ) as process:
        end = threading.Timer(TIMEOUT, process.kill)
        end.start()
        try:
            if process.stdin and process.stdout:
                process.stdin.write("".join(f"{json.dumps(request)}\n" for request in requests))
                process.stdin.flush()  # and left open: at its end the app server ends
                for line in process.stdout:
                    answer = json.loads(line) if line.startswith("{") else {}
                    if answer.get("id") == 1:
                        break
        except (OSError, ValueError):
            answer = {}
        finally:
            end.cancel()
            process.kill()
    servers = answer.get("result", {}).get("data", [])
    server = next((server for server in servers if server.get("name") == access.name), None)
    if server is None:
        return Said(None, "it did not answer; `codex mcp list` shows what it has")
    tools = list(server.get("tools") or {})
    if server.get("serverInfo") or tools:
        return Said(True, "connected", tools)
    return Said(False, f"not connected, {server.get('toolsError') or 'the server does not answer'}")


# -- Claude Code ------------------------------------------------------------------


def _claude_config(project: bool) -> Path:
    return (
        Path(".mcp.json")
        if project
        else Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home(), ".claude.json")
    )


def _claude_add(access: Access, project: bool) -> list[str] | str:
    scope = ["--scope", _scope(project)]
    if access.url:
        headers = _header(access, f"${{{access.variable}}}")
        return ["mcp", "add", "--transport", "http", *scope, access.name, access.url, *headers]
    env = ["--env", f"KIT_TOKEN=${{{access.variable}}}"] if access.variable else []
    return ["mcp", "add", *scope, access.name, *env, "--", *access.command]


def _claude_ask(store: CommandStore, access: Access) -> Said:
    text = store.run("mcp", "get", access.name)
    found = re.search(r"^\s*Status:\s*(.+)$", text, re.MULTILINE)
    status = found[1].strip() if found else ""
    if "Pending approval" in status:
        return Said(None, f"{status}: start claude in this folder and approve it")
    return Said("✔" in status if status else None, status or "nothing of its state")


# -- Gemini CLI ------------------------------------------------------------------


def _gemini_config(project: bool) -> Path:
    folder = Path.cwd() if project else Path(os.environ.get("GEMINI_CLI_HOME") or Path.home())
    return folder / ".gemini" / "settings.json"


def _gemini_add(access: Access, project: bool) -> list[str] | str:
    scope = ["--scope", _scope(project)]
    if access.url:
        headers = _header(access, f"${access.variable}")
        return ["mcp", "add", "--transport", "http", *scope, *headers, access.name, access.url]
    env = ["--env", f"KIT_TOKEN=${access.variable}"] if access.variable else []
    command, *arguments = access.command
    # milliseconds: `gemini mcp list` waits 5 s, and `kit mcp` may take longer to start; a call has 45 s
    env += ["--timeout", "60000"]
    return ["mcp", "add", *scope, *env, access.name, command, "--", *arguments]


def _gemini_ask(store: CommandStore, access: Access) -> Said:
    """In an empty folder that is trusted for this question: in any other, Gemini CLI connects to no server."""
    with tempfile.TemporaryDirectory() as empty:
        if store.project:
            text = store.run("mcp", "list")
        else:
            text = store.run("mcp", "list", cwd=empty, GEMINI_CLI_TRUST_WORKSPACE="true")
    found = re.search(rf"^\W*{re.escape(access.name)}\b.*? - (\w[^\n]*)$", text, re.MULTILINE)
    status = found[1].strip() if found else ""
    if status == "Disabled":
        return Said(
            None, "Disabled: it connects only in a folder that it trusts, so start gemini here and trust it"
        )
    return Said(status == "Connected" if status else None, status or "nothing of its state")


def _scope(project: bool) -> str:
    return "project" if project else "user"


def _header(access: Access, reference: str) -> list[str]:
    headers = access.headers(reference) if access.variable else {}
    return [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]


HOSTS = {
    "codex": CommandHost(
        "Codex",
        "codex",
        "@openai/codex",
        _codex_config,
        _codex_add,
        lambda name, project: ["mcp", "remove", name],
        _codex_ask,
        "",
        "mcp_servers",
        has_projects=False,
    ),
    "claude": CommandHost(
        "Claude Code",
        "claude",
        "@anthropic-ai/claude-code",
        _claude_config,
        _claude_add,
        lambda name, project: ["mcp", "remove", name, "--scope", _scope(project)],
        _claude_ask,
        "${VARIABLE}",
    ),
    "gemini": CommandHost(
        "Gemini CLI",
        "gemini",
        "@google/gemini-cli",
        _gemini_config,
        _gemini_add,
        lambda name, project: ["mcp", "remove", "--scope", _scope(project), name],
        _gemini_ask,
        "$VARIABLE",
        # In a folder that it does not trust it takes the project's file for empty.
        environ={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
    ),
}
