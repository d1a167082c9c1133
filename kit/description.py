"""`Description`: what a host knows about a plugin. Its manifest, spec, tools and address; no calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from kit.addresses import Root, choose_server, is_url
from kit.errors import KitError, OperationError
from kit.manifest import Manifest, manifest_card
from kit.markup import box, columns, escape
from kit.markup import problems as folded
from kit.openapi.spec import Problem, Spec, server_urls
from kit.openapi.views import MANY, groups, spec_table
from kit.tools.listing import Tools
from kit.tools.search import CONTEXT, MANY_TOKENS, searchable
from kit.tools.selection import select
from kit.tools.tool import Tool, make_tools
from kit.visible import visible_line
from kit.words import did_you_mean

MOST = 40  # rows of a list in a terminal


@dataclass(repr=False)
class Description:
    """A plugin as a host knows it: by its manifest, its spec, and its address.

    `base_url` is where calls go, `notes` what was wrong with the documents, as (place, message).
    `serves_mcp` means that it answers MCP at `<base_url>/mcp`, as every plugin served by the kit does.
    """

    manifest: Manifest
    spec: Spec
    base_url: str
    notes: list[Problem] = field(default_factory=list, kw_only=True)
    serves_mcp: bool = field(default=False, kw_only=True)
    _is_at: ClassVar[str] = "at"

    def __post_init__(self) -> None:
        self._tools = make_tools(self.spec)

    @property
    def name(self) -> str:
        return self.manifest.name_for_model

    @cached_property
    def _sound(self) -> tuple[dict[str, Tool], list[tuple[str, str]]]:
        sound, skipped = {}, []
        for name, tool in self._tools.items():
            try:
                _ = tool.tokens  # writes the tool as JSON, without which no model can take it
                sound[name] = tool
            except Exception as error:  # a schema may hold anything: the other tools are still usable
                skipped.append((tool.operation.id, f"{type(error).__name__}: {error}"))
        return sound, skipped

    @property
    def by_name(self) -> dict[str, Tool]:
        """The tools by name, in the order of the document."""
        return self._sound[0]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(operation, reason) for each operation that cannot become a tool."""
        return self._sound[1]

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the documents and what became of it, as (place, message)."""
        skipped = [(name, f"cannot become a tool, left out: {why}") for name, why in self.skipped]
        return [*self.notes, *self.spec.problems, *skipped]

    @property
    def tool_names(self) -> list[str]:
        return list(self.by_name)

    def tools(
        self, api: str = "responses", select: str | Iterable[str] | None = None, *, search: bool = False
    ) -> list[dict[str, Any]]:
        """The OpenAI function tools, for the Responses API or, with `api="chat"`, Chat Completions.

        `select` takes some of them: names, tags, methods (`GET`), globs (`list_*`, `/users/*`) or a sentence,
        which gives the ten nearest. With `search` all are included, but the model sees only those that it searches
        for: the Responses API's `tool_search`, over namespaces. Raises `KitError` for a selection without tools.
        """
        if api not in ("responses", "chat"):
            raise KitError(f"There is no api {api!r}.", "Use 'responses' or 'chat'.")
        if search and api == "chat":
            raise KitError("Chat Completions has no tool_search.", "Use the Responses API, or select=...")
        chosen = self.selected(select)
        if search:
            return Tools(searchable(chosen, self.manifest.name_for_human or self.name))
        return Tools(tool.render(api) for tool in chosen.values())

    def selected(self, selection: str | Iterable[str] | None) -> dict[str, Tool]:
        """The tools by name for a selection as in `tools(select=...)`; all of them for None."""
        return self.by_name if selection is None else select(self.by_name, selection, self.name)

    @property
    def tokens(self) -> int:
        """Roughly how many tokens of a model's context all the tools take."""
        return sum(tool.tokens for tool in self.by_name.values())

    def tool(self, name: str) -> Tool:
        """One tool, by its own name or the operation's. Raises `OperationError` with the names there are."""
        by_id = (tool for tool in self._tools.values() if tool.operation.id == name)
        tool = self._tools.get(name) or next(by_id, None)
        if tool is None:
            hint = did_you_mean(name, self._tools)
            some = list(self._tools)[:30]
            more = f" and {len(self._tools) - len(some)} more" if len(self._tools) > len(some) else ""
            raise OperationError(
                f"{self.name} has no operation {name!r}.",
                f"{hint}There are: {', '.join(some) or 'none'}{more}.",
                operation=name,
            )
        return tool

    def base_of(self, tool: Tool) -> str:
        """Where the calls of a tool go: the server of its operation or path, if it has one, else `base_url`."""
        servers = server_urls(tool.operation.servers)
        if not servers or not is_url(self.base_url):
            return self.base_url
        base, skipped = choose_server(servers, f"{self.base_url}/", Root.of(self.base_url), strict=True)
        return self.base_url if len(skipped) == len(servers) else base

    def __repr__(self) -> str:
        head = visible_line(f"{self.manifest.name_for_human} ({self.name}), {self._is_at} {self.base_url}")
        tools = self.by_name
        rows: list[tuple[str, ...]]
        if len(tools) > MANY:
            subjects = groups(tool.operation for tool in tools.values())
            rows = [(name, f"{len(members)} operations") for name, members in list(subjects.items())[:MOST]]
            rows += [("...", f"{len(subjects) - MOST} more subjects")] if len(subjects) > MOST else []
        else:
            rows = [(name, tool.operation.method, tool.description) for name, tool in tools.items()]
        text = f"{head}\n{columns(rows, '  ')}\n{self._size()}".rstrip()
        problems = self.problems
        shown = problems[:MOST] + ([("...", f"{len(problems) - MOST} more")] if len(problems) > MOST else [])
        if not problems:
            return text
        is_wide = any(len(place) > 50 for place, _ in shown)  # then columns leave no room for the message
        lines = (
            "\n".join(f"  {visible_line(place)}\n    {visible_line(why)}" for place, why in shown)
            if is_wide
            else columns(shown, "  ")
        )
        return f"{text}\n\nNotes on its documents:\n{lines}"

    def _repr_html_(self) -> str:
        size, own = self._size(), set(self.spec.problems)
        return (
            manifest_card(self.manifest, self.base_url)
            + (box(escape(size)) if size else "")
            + spec_table(self.spec)
            + folded([p for p in self.problems if p not in own])
        )

    def _size(self) -> str:
        """What to do if the tools are more than a model can take at once; else nothing."""
        tokens = self.tokens
        if tokens < MANY_TOKENS:
            return ""
        return (
            f"{len(self.by_name):,} tools take about {tokens:,} tokens, and many models have {CONTEXT:,} in all: "
            "use some of them with select=..., or all with search=True."
        )
