"""OpenAI's function calling: the tools for both APIs, and their limits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from kit.auth import NoAuth
from kit.errors import KitError
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


def render(plugin: Description, api: str = "responses", *, serves_mcp: bool = False) -> list[dict[str, Any]]:
    """The function tools, for the Responses API or, with `api="chat"`, for Chat Completions.

    With `serves_mcp` the one MCP tool of the Responses API, by which OpenAI's servers call `<base_url>/mcp` themselves;
    put the token of a plugin with auth into its `authorization`.
    """
    if not serves_mcp:
        return plugin.tools(api)
    if api != "responses":
        raise KitError("Chat Completions has no MCP tool.", "Use the Responses API, or leave out serves_mcp.")
    auth = plugin.manifest.auth
    if not isinstance(auth, NoAuth) and auth.is_basic:
        raise KitError(
            f"{TITLE} sends `authorization` as a bearer token.", "Use authorization_type='bearer'."
        )
    tool = {"type": "mcp", "server_label": plugin.name, "server_url": f"{plugin.base_url}/mcp"}
    return [tool if isinstance(auth, NoAuth) else {**tool, "authorization": "YOUR_TOKEN"}]


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
