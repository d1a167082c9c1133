"""OpenAI's function calling: the tools for both APIs, and their limits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.hosts.findings import Finding
from kit.tools.search import CONTEXT, MANY_TOKENS

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "OpenAI function calling"
FILE = "tools.json"
HOST = "openai"
_finding = partial(Finding, HOST)
MAX_TOOLS = 128  # in one request: "array too long. Expected an array with maximum length 128"

_GUIDE = "https://developers.openai.com/api/docs/guides/function-calling"
_SEARCH = "https://developers.openai.com/api/docs/guides/tools-tool-search"
_SELECT = "Pass some of them with tools(select=...), or all with tools(search=True)."
_NO_TEXT = "no official text: the API refused more in reports of 2024 and 2025"


def render(plugin: Description, api: str = "responses") -> list[dict[str, Any]]:
    """The function tools, for the Responses API or, with `api="chat"`, for Chat Completions."""
    return plugin.tools(api)


def check(plugin: Description) -> Iterator[Finding]:
    """A finding for every documented limit of function calling that the tools break."""
    tools = plugin.by_name
    if len(tools) > MAX_TOOLS:
        message = f"There are {len(tools):,} tools; one request takes {MAX_TOOLS}."
        yield _finding("warning", "/paths", message, _SELECT, _NO_TEXT)
    elif len(tools) > 20:
        message = f"There are {len(tools)} tools; with fewer than 20 a model chooses better."
        yield _finding("warning", "/paths", message, _SELECT, _GUIDE)
    tokens = plugin.tokens
    if tokens > MANY_TOKENS:
        over = "more than" if tokens > CONTEXT else "a good part of"
        message = (
            f"The tools take about {tokens:,} tokens, {over} the {CONTEXT:,} that many models have in all."
        )
        yield _finding("error" if tokens > CONTEXT else "warning", "/paths", message, _SELECT, _SEARCH)
    for name, tool in tools.items():
        operation = tool.operation
        if not tool.description:
            message = "It has neither summary nor description: a model cannot tell what it does."
            remedy = "Write one sentence: what it does, and when to use it."
            yield _finding("warning", operation.pointer, message, remedy, _GUIDE, name)
        if len(tool.description) > 1024:
            message = (
                f"The description has {len(tool.description):,} characters; more than 1,024 have "
                "been refused."
            )
            remedy = "Put what matters in the first 1,024."
            yield _finding("warning", f"{operation.pointer}/description", message, remedy, _NO_TEXT, name)
    for operation_id, reason in plugin.skipped:
        message = f"{operation_id!r} cannot become a tool: {reason}."
        yield _finding("error", "/paths", message, "Fix its schema.", _GUIDE, operation_id)
