"""`cases`: drafts of cases from a plugin's spec, to be corrected by a person; and what no case touches yet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from kit import loop
from kit.chat.client import ModelClient
from kit.chat.conversation import Chat
from kit.client.discovery import install
from kit.client.installed import InstalledPlugin
from kit.errors import CaseError, KitError
from kit.evals.cases import Case, CaseList, Expected, Turn, read
from kit.markup import code, columns, table
from kit.tools.examples import example
from kit.tools.tool import Tool

_PROMPT = """Write {n} sentences that a user could say to an assistant which can call the functions below, and what should \
be called for each. Vary the wording, do not repeat the names of the functions, and let two sentences want no call. \
Answer with nothing but JSON: a list of {{"say": text, "calls": {{function: {{argument: value}}}} or "none"}}.

{tools}"""
_NO_CALL = ("Hello, how are you?", "Thank you, that is all")


def cases(plugin: Any, n: int = 10, *, model: str | None = None, client: Any = None) -> CaseList:
    """Drafts of `n` cases for a plugin (whatever `install` takes): read them, and correct them.

    A language model writes them, if there is one (`model`, `client` or the environment, as for `Chat`). Otherwise they
    are made by a template from the summaries and examples of the spec, in stiff words, and none is a surprise.
    Raises `CaseError` if the model writes no cases.
    """
    installed = plugin if isinstance(plugin, InstalledPlugin) else install(plugin)
    if ModelClient(client, model).is_understudy:
        return CaseList(islice(_templates(installed), n))
    chat = Chat(model=model, client=client, show=False)
    tools = json.dumps([tool.render() for tool in installed.by_name.values()], ensure_ascii=False)
    text = loop.run(chat.asend(_PROMPT.format(n=n, tools=tools))).text
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        return CaseList(read(json.loads(found[0] if found else text))[:n])
    except (ValueError, KitError) as error:
        why = error.problem if isinstance(error, KitError) else str(error)
        raise CaseError(
            f"The model wrote no cases that can be read: {why}", "Ask again, or use a larger model."
        ) from None


class Coverage:
    """How many cases touch each operation and each of its parameters. `untouched` lists those that none does."""

    def __init__(self, plugin: InstalledPlugin, listed: CaseList) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        for tool in plugin.by_name.values():
            self.counts |= {(tool.operation.id, name): 0 for name in ("", *tool.arguments)}
        for call in (call for case in listed for turn in case.turns for call in turn.calls or ()):
            for name in ("", *call.arguments):
                if (call.operation, name) in self.counts:
                    self.counts[call.operation, name] += 1

    @property
    def untouched(self) -> list[str]:
        """The operations, and `operation.parameter`, that no case touches."""
        bare = {operation for (operation, name), count in self.counts.items() if not name and not count}
        return [
            f"{operation}.{name}" if name else operation
            for (operation, name), count in self.counts.items()
            if not count and not (name and operation in bare)
        ]

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for (operation, name), count in self.counts.items():
            rows.append(("" if name else operation, name, str(count) if count else "none"))
        return rows

    def __repr__(self) -> str:
        return columns([("operation", "parameter", "cases"), *self._rows()])

    def _repr_html_(self) -> str:
        rows = [(code(a) if a else "", code(b) if b else "", c) for a, b, c in self._rows()]
        return table(("operation", "parameter", "cases"), rows)


def coverage(plugin: Any, listed: Any) -> Coverage:
    """Which operations and parameters of a plugin the cases touch."""
    installed = plugin if isinstance(plugin, InstalledPlugin) else install(plugin)
    return Coverage(installed, read(listed))


def _templates(plugin: InstalledPlugin) -> Iterable[Case]:
    """Cases from the summaries: first each operation with its required arguments, then with one more, then no call."""
    tools = list(plugin.by_name.values())
    for more in range(3):
        for tool in tools:
            optional = [name for name, it in tool.arguments.items() if not it.required]
            if more <= len(optional):
                yield _case(tool, optional[:more])
        if more < len(_NO_CALL):
            yield Case((Turn(_NO_CALL[more], ()),))


def _case(tool: Tool, optional: list[str]) -> Case:
    definitions: Mapping[str, Any] = tool.parameters.get("$defs", {})
    given = {
        name: _example(name, it.schema, definitions)
        for name, it in tool.arguments.items()
        if it.required or name in optional
    }
    about = tool.operation.summary or tool.operation.id.replace("_", " ")
    said = about.strip().rstrip(".")
    if given:
        said += ": " + ", ".join(
            f"{name.replace('_', ' ')} {_spoken(value)}" for name, value in given.items()
        )
    return Case((Turn(said, (Expected(tool.operation.id, given),)),))


def _example(name: str, schema: Any, definitions: Mapping[str, Any]) -> Any:
    value = example(schema, definitions)
    return (
        name if isinstance(value, str) and value and not value.strip("a") else value
    )  # a made-up text says nothing


def _spoken(value: Any) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
