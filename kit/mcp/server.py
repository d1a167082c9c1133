"""Any plugin as a low-level server of the official `mcp` package, for each of its transports.

The package implements the protocol: both the handshake of 2025-11-25 and before and the stateless 2026-07-28.
It is imported only when a server is made, since that takes a second.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.client.installed import CallResult, InstalledPlugin
from kit.errors import KitError
from kit.hosts.mcp import declared_answer, listed_tool, prompts
from kit.mcp.callers import Caller, LocalCaller
from kit.mcp.confirmation import confirmation
from kit.mcp.content import tool_result
from kit.mcp.progress import progress
from kit.openapi.values import essence
from kit.tools.misfits import validator

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.types import (
        CallToolRequestParams,
        CallToolResult,
        GetPromptRequestParams,
        GetPromptResult,
        InputRequiredResult,
        ListPromptsResult,
        ListResourcesResult,
        ListToolsResult,
        PaginatedRequestParams,
        ReadResourceRequestParams,
        ReadResourceResult,
    )

    from kit.plugin.app import Plugin

    Context = ServerRequestContext[Any, Any]
    Page = PaginatedRequestParams | None


def import_package() -> None:
    """Raises `KitError` if the `mcp` package is missing or older than 2."""
    try:
        from mcp import MCPError  # noqa: F401
        from mcp.server.lowlevel import Server  # noqa: F401
    except ImportError as error:
        raise KitError(
            f"The mcp package, 2.3 or newer, is not installed: {error}.",
            "Install it, then try again: pip install 'mcp>=2.3,<3'",
        ) from None
    validator({})  # imports jsonschema, which takes a second too: not within a call, since others would wait


def make_server(plugin: InstalledPlugin) -> Server[Any]:
    """A plugin that runs elsewhere as a low-level server of the `mcp` package, for any of its transports.

    Raises as `import_package`.
    """
    return _make_server(Caller(plugin))


def make_local_server(plugin: Plugin) -> Server[Any]:
    """A plugin of this process as it is now; each call runs on the loop and in the scope of its MCP request."""
    return _make_server(LocalCaller(plugin))


def _make_server(caller: Caller) -> Server[Any]:
    import_package()
    from mcp.server.lowlevel import Server

    plugin, handlers = caller.plugin, Handlers(caller)
    manifest, info = plugin.manifest, plugin.spec.document.get("info")
    has_prompts = bool(manifest.conversation_starters)
    return Server(
        plugin.name,
        title=manifest.name_for_human or None,
        version=str(info.get("version", "")) if isinstance(info, Mapping) else "",
        instructions=manifest.description_for_model or None,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts if has_prompts else None,
        on_get_prompt=handlers.get_prompt if has_prompts else None,
    )


class Handlers:
    """What the server answers to each of the protocol's requests."""

    def __init__(self, caller: Caller) -> None:
        from mcp.types import ListPromptsResult, ListToolsResult

        plugin = caller.plugin
        self._caller = caller
        self._declared = {name: declared_answer(plugin.tool(name)) for name in plugin.tool_names}
        tools = [listed_tool(plugin.tool(name), schema) for name, schema in self._declared.items()]
        self._tools = ListToolsResult.model_validate({"tools": tools})
        self._starters = prompts(plugin.manifest)
        self._prompts = ListPromptsResult.model_validate({"prompts": list(self._starters.values())})

    async def list_tools(self, context: Context, params: Page) -> ListToolsResult:
        return self._tools

    async def call_tool(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        if params.name not in self._declared:
            known = ", ".join(self._declared) or "none"
            raise _wrong(f"Unknown tool: {params.name}. There are: {known}.")
        plugin = self._caller.plugin
        tool, human = plugin.tool(params.name), plugin.manifest.name_for_human or plugin.name
        result = await confirmation(context, params, tool, human)
        if result is None:
            async with progress(context, tool.operation.id) as note:
                result = await self._caller.call(tool, params.arguments or {}, context.request, note)
        if not isinstance(result, CallResult):
            return result
        return tool_result(result, self._declared[params.name], context.protocol_version)

    async def list_prompts(self, context: Context, params: Page) -> ListPromptsResult:
        return self._prompts

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        from mcp.types import GetPromptResult

        if params.name not in self._starters:
            raise _wrong(f"Unknown prompt: {params.name}. There are: {', '.join(self._starters)}.")
        text = {"type": "text", "text": self._starters[params.name]["description"]}
        return GetPromptResult.model_validate({"messages": [{"role": "user", "content": text}]})

    async def list_resources(self, context: Context, params: Page) -> ListResourcesResult:
        """None: the links in results are all that there are, since only a call says what is where."""
        from mcp.types import ListResourcesResult

        return ListResourcesResult(resources=[])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """What a link in a result leads to, fetched anew from the operation that answered it."""
        from mcp.types import BlobResourceContents, ReadResourceResult

        uri = str(params.uri)
        try:
            answer = await self._caller.read(uri, context.request)
        except (KitError, TimeoutError) as error:
            raise _wrong(
                f"{uri} was not read: {getattr(error, 'problem', 'no answer came in time')}"
            ) from None
        if answer is None:
            raise _wrong(f"{uri} is no resource of this server: use the links in the results of its tools.")
        if not 200 <= answer.status < 300 or answer.refused or answer.broken or answer.is_cut:
            why = answer.refused or answer.broken or ("it is too large" if answer.is_cut else answer.status)
            raise _wrong(f"{uri} was not read: {why}.")
        blob = base64.b64encode(answer.content).decode()
        kind = essence(answer.media_type) or None
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=kind, blob=blob)])


def _wrong(message: str) -> Exception:
    from mcp import MCPError
    from mcp.types import INVALID_PARAMS

    return MCPError(INVALID_PARAMS, message)
