"""`install`: what ChatGPT did with a plugin's URL. `InstalledPlugin`: its tools, and calls to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kit import loop
from kit.addresses import NOWHERE, Root, choose_server
from kit.client import Answer, Transport
from kit.documents import read_json
from kit.errors import KitError, OperationError
from kit.manifest import Manifest, manifest_card
from kit.markup import arguments_line, box, code, columns, details, escape, pre, pretty
from kit.markup import problems as folded
from kit.redaction import hide
from kit.search import CONTEXT, MANY_TOKENS, searchable
from kit.selection import select
from kit.spec import Problem, Spec, server_urls
from kit.spec_views import MANY, groups, spec_table
from kit.tools import Tool, Tools, make_tools

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

CALL_TIMEOUT = 45.0  # seconds, one call: ChatGPT plugins and GPT Actions
MAX_RESPONSE = 100_000  # characters, the same
MOST = 40  # rows of a list in a terminal


@dataclass
class CallResult:
    """What one call gave. `status` is None when no HTTP answer came: then `data` says why.

    `data` is the parsed JSON, else the text. Over 100,000 characters it is text, cut visibly.
    """

    operation: str
    arguments: dict[str, Any]
    status: int | None
    data: Any
    seconds: float
    method: str = ""
    url: str = ""
    plugin: str = ""  # its name for people
    started: float = field(default=0.0, repr=False, compare=False)  # by time.perf_counter

    @property
    def ok(self) -> bool:
        """Whether the call did what it should: any status of 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> str:
        """The status in words: "200", or what became of a call that got none."""
        if self.status is not None:
            return str(self.status)
        return "no answer" if self.url else "not sent"

    def for_model(self) -> str:
        """What a model is given: the data as it came, or with its status where that was an error."""
        data: Any = self.data
        if not self.ok and self.status is not None:
            data = {"status": self.status, "error": data}
        return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)

    def __repr__(self) -> str:
        return call_text(self)

    def _repr_html_(self) -> str:
        return call_card(self)


@dataclass
class InstalledPlugin:
    """A plugin as a host knows it: by its manifest, its spec, and the address it was found at.

    `base_url` is where calls go. `notes` are what was found wrong while installing, as (place, message).
    """

    manifest: Manifest
    spec: Spec
    base_url: str
    transport: Transport
    notes: list[Problem] = field(default_factory=list, repr=False)
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    serves_mcp: bool = False  # at <base_url>/mcp, as every plugin of the kit does

    def __post_init__(self) -> None:
        self._made = make_tools(self.spec)

    @property
    def name(self) -> str:
        return self.manifest.name_for_model

    @cached_property
    def _sound(self) -> tuple[dict[str, Tool], list[tuple[str, str]]]:
        sound, skipped = {}, []
        for name, tool in self._made.items():
            try:
                _ = tool.tokens  # writes it as JSON: what cannot be written cannot be given to a model
                sound[name] = tool
            except Exception as error:  # a stranger's schema may hold anything: the others go on
                skipped.append((tool.operation.id, f"{type(error).__name__}: {error}"))
        return sound, skipped

    @property
    def by_name(self) -> dict[str, Tool]:
        """The tools by name, in the order of the document."""
        return self._sound[0]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(operation, reason) for each that no tool could be made of."""
        return self._sound[1]

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the documents and what became of it, as (place, message)."""
        skipped = [(name, f"no tool could be made of it, left out: {why}") for name, why in self.skipped]
        return [*self.notes, *self.spec.problems, *skipped]

    @property
    def tool_names(self) -> list[str]:
        return list(self.by_name)

    def tools(
        self, api: str = "responses", select: str | Iterable[str] | None = None, *, search: bool = False
    ) -> list[dict[str, Any]]:
        """The OpenAI function tools, for the Responses API or, with `api="chat"`, Chat Completions.

        `select` takes a part of them: names, tags, methods (`GET`), globs (`list_*`, `/users/*`) or a sentence,
        which gives the ten nearest. With `search` all are given, but the model sees only those that it looks
        for: the Responses API's `tool_search`, over namespaces. Raises `KitError` for what fits nothing.
        """
        if api not in ("responses", "chat"):
            raise KitError(f"There is no api {api!r}.", "Use 'responses' or 'chat'.")
        if search and api == "chat":
            raise KitError("Chat Completions has no tool_search.", "Use the Responses API, or select=...")
        chosen = self.selected(select)
        if search:
            return Tools(searchable(chosen, self.manifest.name_for_human or self.name))
        return Tools(tool.render(api) for tool in chosen.values())

    def selected(self, wanted: str | Iterable[str] | None) -> dict[str, Tool]:
        """The tools by name that `wanted` means, as in `tools(select=...)`; all of them for None."""
        return self.by_name if wanted is None else select(self.by_name, wanted, self.name)

    @property
    def tokens(self) -> int:
        """About how much of a model's context all the tools take."""
        return sum(tool.tokens for tool in self.by_name.values())

    def render(self, host: str, **options: Any) -> Any:
        """What a host needs of the plugin, in its own form. Raises `KitError` with the hosts there are."""
        from kit import hosts

        return hosts.find(host).render(self, **options)

    def langchain(self) -> list[StructuredTool]:
        """LangChain's tools, one for each operation, for `create_agent(model, plugin.langchain())`."""
        from kit.hosts.langchain import make_tools as langchain_tools

        return langchain_tools(self)

    def tool(self, name: str) -> Tool:
        """One tool, by its own name or the operation's. Raises `OperationError` with what there is."""
        found = self._made.get(name) or next(
            (tool for tool in self._made.values() if tool.operation.id == name), None
        )
        if found is None:
            near = get_close_matches(name, self._made, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            some = list(self._made)[:30]
            more = f" and {len(self._made) - len(some)} more" if len(self._made) > len(some) else ""
            raise OperationError(
                f"{self.name} has no operation {name!r}.",
                f"{hint}There are: {', '.join(some) or 'none'}{more}.",
                operation=name,
            )
        return found

    def call(self, operation: str, arguments: Mapping[str, Any] | None = None, /, **more: Any) -> CallResult:
        """Calls one operation. Wrong arguments, errors and timeouts come back as data, not raised.

        Raises `OperationError` for an operation that the plugin does not have.
        """
        return loop.run(self.invoke(self.tool(operation), {**(arguments or {}), **more}))

    async def acall(
        self, operation: str, arguments: Mapping[str, Any] | None = None, /, **more: Any
    ) -> CallResult:
        """The same, to be awaited."""
        return await loop.arun(self.invoke(self.tool(operation), {**(arguments or {}), **more}))

    async def invoke(
        self, tool: Tool, arguments: Mapping[str, Any], transport: Transport | None = None
    ) -> CallResult:
        """Calls one of its tools on the running loop, by way of another `transport` where one is given."""
        transport = transport or self.transport
        arguments = tool.coerced(arguments)
        result = CallResult(tool.operation.id, arguments, None, None, 0.0, tool.operation.method)
        result.plugin = self.manifest.name_for_human or self.name
        result.started = time.perf_counter()
        problems = tool.problems(arguments)
        if problems:
            result.data = {"error": f"The arguments do not fit {tool.name}.", "problems": problems}
            return result
        if transport.root.host == Root.of(NOWHERE).host:
            result.data = {"error": "The spec names no server: install it with base_url= to call something."}
            return result
        request = tool.request(arguments)
        result.url = self._base_of(tool) + request.url
        start = time.perf_counter()
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                answer = await transport.send(
                    request.method,
                    result.url,
                    headers=[
                        ("Accept", "application/json, */*;q=0.5"),
                        *self.headers,
                        *request.headers,
                    ],
                    content=request.body,
                    files=request.files or None,
                    limit=4 * MAX_RESPONSE,  # bytes: a character of UTF-8 has four at most
                )
            result.status = answer.status
            result.data = _data(answer)
        except TimeoutError:
            result.data = {"error": f"No answer within {CALL_TIMEOUT:.0f} seconds."}
        except KitError as error:
            result.data = {"error": error.problem}
        result.seconds = time.perf_counter() - start
        return result

    def _base_of(self, tool: Tool) -> str:
        servers = server_urls(tool.operation.servers)
        if not servers:
            return self.base_url
        base, passed = choose_server(servers, self.base_url + "/", self.transport.root, strict=True)
        return self.base_url if len(passed) == len(servers) else base

    def __repr__(self) -> str:
        return installed_text(self)

    def _repr_html_(self) -> str:
        return installed_card(self)


def _data(answer: Answer) -> Any:
    """The answer's body: JSON parsed, text as it is, anything else described; cut where too long."""
    essence = answer.media_type.split(";")[0].strip().lower()
    textual = (
        not essence
        or essence.startswith("text/")
        or any(w in essence for w in ("json", "xml", "yaml", "form"))
    )
    if not answer.content:
        return None
    if not textual:
        size = answer.length or len(answer.content)
        return f"[{essence}, {size:,} bytes: no text]"
    text = answer.content.decode("utf-8", errors="replace")
    if answer.is_cut or len(text) > MAX_RESPONSE:
        total = f"{answer.length:,} bytes" if answer.is_cut and answer.length else f"{len(text):,} characters"
        more = "more than " if answer.is_cut and not answer.length else ""
        return f"{text[:MAX_RESPONSE]}\n[cut: the first {MAX_RESPONSE:,} characters of {more}{total}]"
    if "json" in essence or not essence or text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            return read_json(text)
    return text


# -- how they show themselves -------------------------------------------------


def installed_text(plugin: InstalledPlugin) -> str:
    """An installed plugin for a terminal."""
    head = f"{plugin.manifest.name_for_human} ({plugin.name}), installed from {plugin.base_url}"
    tools = plugin.by_name
    rows: list[tuple[str, ...]]
    if len(tools) > MANY:
        subjects = groups(tool.operation for tool in tools.values())
        rows = [(name, f"{len(members)} operations") for name, members in list(subjects.items())[:MOST]]
        rows += [("...", f"{len(subjects) - MOST} more subjects")] if len(subjects) > MOST else []
    else:
        rows = [(name, tool.operation.method, tool.description) for name, tool in tools.items()]
    text = f"{head}\n{columns(rows, '  ')}\n{_size(plugin)}".rstrip()
    problems = plugin.problems
    shown = problems[:MOST] + ([("...", f"{len(problems) - MOST} more")] if len(problems) > MOST else [])
    if not problems:
        return text
    is_wide = any(len(place) > 50 for place, _ in shown)  # then columns leave no room for the message
    lines = "\n".join(f"  {place}\n    {said}" for place, said in shown) if is_wide else columns(shown, "  ")
    return f"{text}\n\nTo know about its documents:\n{lines}"


def installed_card(plugin: InstalledPlugin) -> str:
    """An installed plugin as a card."""
    size, own = _size(plugin), set(plugin.spec.problems)
    return (
        manifest_card(plugin.manifest, plugin.base_url)
        + (box(escape(size)) if size else "")
        + spec_table(plugin.spec)
        + folded([p for p in plugin.problems if p not in own])
    )


def _size(plugin: InstalledPlugin) -> str:
    """What to do where the tools are more than a model can take at once; else nothing."""
    tokens = plugin.tokens
    if tokens < MANY_TOKENS:
        return ""
    return (
        f"{len(plugin.by_name):,} tools take about {tokens:,} tokens, and many models have {CONTEXT:,} in all: "
        "give a part of them with select=..., or all with search=True."
    )


def call_text(call: CallResult) -> str:
    """One call for a terminal."""
    return f"{call.operation}({arguments_line(call.arguments)}) -> {call.outcome}\n{pretty(hide(call.data))}"


def call_card(call: CallResult, is_open: bool = True) -> str:
    """One call, to be unfolded: request and response."""
    mark = "✓" if call.ok else "✗"
    words = f"{escape(call.operation)}({escape(arguments_line(call.arguments))})"
    slow = f", {call.seconds:.1f} s" if call.seconds >= 1 else ""
    request = f"<div>{code(hide(f'{call.method} {call.url}'))}</div>" if call.url else ""
    answer = "answer" if call.url else "why"
    return details(
        f"{mark} <code>{words}</code> → {call.outcome}{slow}",
        f"{request}{pre(hide(call.arguments))}<div>{answer}</div>{pre(hide(call.data))}",
        is_open,
    )
