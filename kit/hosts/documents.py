"""Rules for a plugin's documents themselves, whatever the host; checked like those of a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from kit.auth import NoAuth
from kit.hosts.findings import Finding
from kit.openapi import forms
from kit.openapi.values import mapping
from kit.tools.selection import likeness, says_nothing

if TYPE_CHECKING:
    from kit.description import Description
    from kit.tools.request import Argument

HOST = "documents"
ALIKE = 0.8  # share of the words of two descriptions above which a model confuses them
MANY = 200  # operations, beyond which they are not compared with each other

_OPENAPI = "https://spec.openapis.org/oas/latest.html"
_AUTH = "https://spec.openapis.org/oas/latest.html#security-requirement-object"
_ADVICE = "no official text: a model knows nothing else about the operation"


def check(plugin: Description) -> Iterator[Finding]:
    """What had to be fixed, what was left out, and what a model cannot know."""
    names = {tool.operation.pointer: name for name, tool in plugin.by_name.items()}
    for place, message in plugin.problems:
        source, where = _OPENAPI, place
        if place.startswith("manifest"):
            where = "manifest/" + place.removeprefix("manifest ").replace(".", "/")
        if where and not where.startswith("/"):
            source = "https://platform.openai.com/docs/plugins/getting-started"
        function = names.get("/".join(place.split("/")[:4]), "")
        severity: Literal["error", "warning"] = "error" if "left out" in message else "warning"
        yield Finding(HOST, severity, where, f"{message[:1].upper()}{message[1:]}.", "Fix it where it is written.", source, function)  # fmt: skip
    yield from _auth(plugin)
    for name, tool in plugin.by_name.items():
        bare = [argument.name for argument in tool.arguments.values() if _is_bare(argument)]
        if bare:
            message = f"Only its name says what the argument {', '.join(map(repr, bare))} is."
            remedy = "Describe what it means and its form: Field(description='The city, as in Paris')."
            yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, name)
        if says_nothing(tool):
            message = "Its name and description are a verb at most: no sentence of a user would lead to it."
            remedy = "Say in the summary what is done to what, in a user's words."
            yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, name)
        for argument in tool.arguments.values():
            word = argument.name.lower()
            schema = argument.parameter.schema if argument.parameter else argument.schema
            if not mapping(schema).keys() - {"description", "title", "default"}:
                message = f"The argument {argument.name!r} has no type: anything is allowed."
                remedy = "Give it a type; in a function, an annotation."
                yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, name)
            elif (
                ("date" in word.replace("update", "") or word.endswith("_at"))
                and forms.kinds(argument.schema, tool.follow) - {"null"} == {"string"}
                and not any(
                    form.keys() & {"format", "enum", "const", "description"}
                    for form in forms.forms(argument.schema, tool.follow)
                )
            ):
                message = f"The argument {argument.name!r} is a date by its name, but text by its type."
                remedy = (
                    "Declare its form: format: date (in a function, the annotation datetime.date), "
                    "or a description."
                )
                yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, name)
        if _words(tool.description) == _words(tool.operation.id):
            message = "Its description only repeats its name."
            remedy = "Say in the summary what is done to what, in a user's words."
            yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, name)
    if len(_words(plugin.manifest.description_for_model)) < 2:
        message = "A model is told nothing about what the plugin is for."
        remedy = "Say in description_for_model what it does, in a sentence."
        yield Finding(HOST, "warning", "manifest/description_for_model", message, remedy, _ADVICE)
    tools = list(plugin.by_name.values())
    for number, tool in enumerate(tools if len(tools) <= MANY else ()):
        for other in tools[:number]:
            if likeness(tool, other) >= ALIKE:
                message = f"Its description is almost that of {other.name!r}: a model confuses the two."
                remedy = "Say in each how it differs from the other."
                yield Finding(HOST, "warning", tool.operation.pointer, message, remedy, _ADVICE, tool.name)


def _auth(plugin: Description) -> Iterator[Finding]:
    """Of a plugin that the kit serves, whose spec says of each operation what is asked for: an auth that nothing checks."""
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth) or not plugin.serves_mcp or plugin.spec.document.get("security"):
        return
    operations = [tool.operation for tool in plugin.by_name.values()]
    bare = [operation for operation in operations if "security" not in operation.raw]
    if bare or not any(operation.security for operation in operations):
        of = f" of {', '.join(operation.id for operation in bare[:5])}{' and more' if len(bare) > 5 else ''}"
        message = (
            f"The manifest declares the auth {auth.type!r}, and nothing checks the calls{of if bare else ''}."
        )
        remedy = "Pass tokens= or verify= to it, or give each operation a security dependency of FastAPI's."
        yield Finding(HOST, "error", "manifest/auth", message, remedy, _AUTH)


def _is_bare(argument: Argument) -> bool:
    """Whether an argument is any text or number, without a word about it."""
    # the tool's schema of a path parameter has a pattern that the author did not write
    schema = mapping(argument.parameter.schema) if argument.parameter else argument.schema
    return (
        not (argument.parameter and argument.parameter.description)
        and not schema.get("description")
        and not schema.keys()
        & {
            "enum",
            "const",
            "format",
            "pattern",
            "examples",
            "$ref",
            "anyOf",
        }
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())
