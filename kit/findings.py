"""`check`: what each host's documented rules say of a plugin, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI

from kit import hosts
from kit.discovery import install
from kit.installed import InstalledPlugin
from kit.operation import mapping
from kit.selection import likeness
from kit.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from kit.plugin import Plugin
    from kit.server import Server

DOCUMENTS = "documents"  # takes the place of a host for what every reader of the documents meets
_OPENAPI = "https://spec.openapis.org/oas/latest.html"
_ADVICE = "no official text: a model is told nothing else of the operation"
ALIKE = 0.8  # of the words of two descriptions, from which on a model confuses them
MANY = 200  # operations, beyond which they are not compared with each other


@dataclass(frozen=True)
class Finding:
    """One rule that one host has and the plugin breaks.

    `severity` is "error" where the host refuses or fails, "warning" where it degrades, cuts, or where
    no official text supports the limit (then `source` says so). `place` is a JSON pointer into the spec
    (`/paths/~1todos/post`), or into the manifest where it begins with `manifest`
    (`manifest/name_for_human`). `source` is the address of the text that has the rule. `function` is the
    name of the operation, where the finding is about one.
    """

    host: str
    severity: Literal["error", "warning"]
    place: str
    message: str
    remedy: str
    source: str
    function: str = ""


class Findings(list[Finding]):
    """What `check` found, as a list; it shows itself as a table with a column for each host.

    `hosts` are those that were asked. `ok` is whether none of them has an error.
    """

    def __init__(self, findings: Iterable[Finding], asked: Iterable[str], title: str) -> None:
        super().__init__(findings)
        self.hosts = list(asked)
        self.title = title

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self if finding.severity == "error"]

    def of(self, host: str) -> list[Finding]:
        """The findings of one host."""
        return [finding for finding in self if finding.host == host]

    @property
    def verdicts(self) -> dict[str, str]:
        """One line for each host: "ready", "ready; 2 warnings", "not ready: 1 error, 2 warnings"."""
        return {host: _verdict(self.of(host)) for host in self.hosts}

    def __repr__(self) -> str:
        from kit import report

        return report.text(self)

    def _repr_html_(self) -> str:
        from kit import report

        return report.table_of(self)


def check(
    source: str | Path | Plugin | Server | InstalledPlugin, *only: str, token: str | None = None
) -> Findings:
    """Holds a plugin against the rules of every host, or of those named in `only`.

    `source` is whatever `install` takes, or an installed plugin. Beside the hosts, "documents" stands for
    what was mended in the manifest and the spec. Raises `KitError` for a host that is none, and what `install`
    raises where there is nothing to check.
    """
    names = [name for name in only if name != DOCUMENTS]
    modules = {name: hosts.find(name) for name in (names if only else hosts.HOSTS)}
    if isinstance(source, FastAPI):  # its addresses are those of its server
        source = serving(source) or source
    plugin = source if isinstance(source, InstalledPlugin) else install(source, token=token)
    found: list[Finding] = []
    asked = list(modules)
    if not only or DOCUMENTS in only:
        asked.insert(0, DOCUMENTS)
        found += _documents(plugin)
    for module in modules.values():
        found += module.check(plugin)
    return Findings(found, asked, plugin.manifest.name_for_human or plugin.name)


def _documents(plugin: InstalledPlugin) -> Iterator[Finding]:
    """What had to be mended, what was left out, and what a model cannot know."""
    names = {tool.operation.pointer: name for name, tool in plugin.by_name.items()}
    for place, message in plugin.problems:
        where = (
            "manifest/" + place.removeprefix("manifest ").replace(".", "/")
            if place.startswith("manifest")
            else place
        )
        function = names.get("/".join(place.split("/")[:4]), "")
        severity: Literal["error", "warning"] = "error" if "left out" in message else "warning"
        source = (
            _OPENAPI
            if where.startswith("/") or not where
            else "https://platform.openai.com/docs/plugins/getting-started"
        )
        yield Finding(DOCUMENTS, severity, where, f"{message[:1].upper()}{message[1:]}.", "Mend it where it is written.", source, function)  # fmt: skip
    for name, tool in plugin.by_name.items():
        for argument in tool.arguments.values():
            word = argument.name.lower()
            given = argument.parameter.schema if argument.parameter else argument.schema
            if not mapping(given).keys() - {"description", "title", "default"}:
                yield Finding(DOCUMENTS, "warning", tool.operation.pointer, f"The argument {argument.name!r} has no type: anything is allowed.", "Give it a type; in a function, an annotation.", _ADVICE, name)  # fmt: skip
            elif (
                ("date" in word.replace("update", "") or word.endswith("_at"))
                and argument.schema.get("type") == "string"
                and not argument.schema.keys() & {"format", "enum", "description"}
            ):
                yield Finding(DOCUMENTS, "warning", tool.operation.pointer, f"The argument {argument.name!r} is a date by its name, and text by its type.", "Say its form: format: date (an annotation with datetime.date), or a description.", _ADVICE, name)  # fmt: skip
    tools = list(plugin.by_name.values())
    for number, tool in enumerate(tools if len(tools) <= MANY else ()):
        for other in tools[:number]:
            if likeness(tool, other) >= ALIKE:
                yield Finding(DOCUMENTS, "warning", tool.operation.pointer, f"It is described almost as {other.name!r} is: a model confuses the two.", "Say in each what it does that the other does not.", _ADVICE, tool.name)  # fmt: skip


def _verdict(findings: list[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    counts = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    return f"not ready: {', '.join(counts)}" if errors else "; ".join(["ready", *counts])
