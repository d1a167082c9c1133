"""Rules for a plugin's documents themselves, whatever the host: checked as a host's rules are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from kit.hosts.findings import Finding
from kit.openapi.values import mapping
from kit.tools.selection import likeness

if TYPE_CHECKING:
    from kit.description import Description

HOST = "documents"
ALIKE = 0.8  # of the words of two descriptions, from which on a model confuses them
MANY = 200  # operations, beyond which they are not compared with each other

_OPENAPI = "https://spec.openapis.org/oas/latest.html"
_ADVICE = "no official text: a model is told nothing else of the operation"


def check(plugin: Description) -> Iterator[Finding]:
    """What had to be fixed, what was left out, and what a model cannot know."""
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
        yield Finding(HOST, severity, where, f"{message[:1].upper()}{message[1:]}.", "Fix it where it is written.", source, function)  # fmt: skip
    for name, tool in plugin.by_name.items():
        for argument in tool.arguments.values():
            word = argument.name.lower()
            given = argument.parameter.schema if argument.parameter else argument.schema
            if not mapping(given).keys() - {"description", "title", "default"}:
                yield Finding(HOST, "warning", tool.operation.pointer, f"The argument {argument.name!r} has no type: anything is allowed.", "Give it a type; in a function, an annotation.", _ADVICE, name)  # fmt: skip
            elif (
                ("date" in word.replace("update", "") or word.endswith("_at"))
                and argument.schema.get("type") == "string"
                and not argument.schema.keys() & {"format", "enum", "description"}
            ):
                yield Finding(HOST, "warning", tool.operation.pointer, f"The argument {argument.name!r} is a date by its name, and text by its type.", "Say its form: format: date (an annotation with datetime.date), or a description.", _ADVICE, name)  # fmt: skip
    tools = list(plugin.by_name.values())
    for number, tool in enumerate(tools if len(tools) <= MANY else ()):
        for other in tools[:number]:
            if likeness(tool, other) >= ALIKE:
                yield Finding(HOST, "warning", tool.operation.pointer, f"It is described almost as {other.name!r} is: a model confuses the two.", "Say in each what it does that the other does not.", _ADVICE, tool.name)  # fmt: skip
