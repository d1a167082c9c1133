"""Any plugin as a low-level server of the official `mcp` package, for each of its transports.

The package implements the protocol: both the handshake of 2025-11-25 and before and the stateless 2026-07-28.
It is imported only when a server is made, since that takes a second.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from kit.addresses import Root
from kit.client.installed import CallResult, InstalledPlugin
from kit.client.transport import Transport
from kit.errors import KitError
from kit.hosts.mcp import RESULT, UNEXPECTED, Declared, declared_answer, listed_tool
from kit.plugin.guard import SIGNED_IN
from kit.tools.misfits import explain, validator

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.types import CallToolResult
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kit.plugin.app import Plugin


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


def make_server(
    plugin: InstalledPlugin, call: Callable[[str, dict[str, Any], Any], Awaitable[CallResult]] | None = None
) -> Server[Any]:
    """The plugin as a low-level server of the `mcp` package, for any of its transports.

    `call` takes the tool's name, the arguments and the HTTP request, which is None on stdio; the default
    is `plugin.acall`. Raises as `import_package`.
    """
    import_package()
    from mcp import MCPError
    from mcp.server import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.types import INVALID_PARAMS, CallToolRequestParams, ListToolsResult, PaginatedRequestParams

    declared = {name: declared_answer(plugin.tool(name)) for name in plugin.tool_names}
    tools = [listed_tool(plugin.tool(name), schema) for name, schema in declared.items()]
    listed = ListToolsResult.model_validate({"tools": tools})

    async def list_tools(
        context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return listed

    async def call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        if params.name not in declared:
            known = ", ".join(declared) or "none"
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}. There are: {known}.")
        arguments = params.arguments or {}
        if call is None:
            result = await plugin.acall(params.name, arguments)
        else:
            result = await call(params.name, arguments, context.request)
        return _result(result, declared[params.name])

    manifest, info = plugin.manifest, plugin.spec.document.get("info")
    return Server(
        plugin.name,
        title=manifest.name_for_human or None,
        version=str(info.get("version", "")) if isinstance(info, Mapping) else "",
        instructions=manifest.description_for_model or None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def make_local_server(plugin: Plugin) -> Server[Any]:
    """A plugin of this process as it is now; each call runs on the loop and in the scope of its MCP request."""
    base = f"http://{plugin.manifest.name_for_model}.in-process".replace("_", "-")
    installed = InstalledPlugin(plugin.manifest, plugin.spec, base, Transport(Root.of(base)))

    async def call(name: str, arguments: dict[str, Any], request: Any) -> CallResult:
        transport = Transport(installed.transport.root, _in_scope_of(plugin, request.scope), is_running=True)
        return await installed.invoke(installed.tool(name), arguments, transport)

    return make_server(installed, call)


def _in_scope_of(plugin: Plugin, outer: Scope) -> ASGIApp:
    """The plugin, called in the scope of the MCP request: its client, address, credentials and lifespan state."""
    inherited = {
        key: outer[key]
        for key in ("client", "server", "scheme", "state", "root_path", SIGNED_IN)
        if key in outer
    }
    forwarded = [item for item in outer["headers"] if item[0] in (b"host", b"authorization")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [item for item in scope["headers"] if item[0] != b"host"] + forwarded
        path = inherited.get("root_path", "") + scope["path"]
        try:
            await plugin({**scope, **inherited, "path": path, "headers": headers}, receive, send)
        except Exception:
            # A 500 has been sent. The traceback goes where uvicorn's go.
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
            raise

    return app


def _result(result: CallResult, declared: Declared | None) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    content: list[Any] = [TextContent(type="text", text=result.for_model())]
    if not result.ok:
        return CallToolResult(content=content, is_error=True)
    structured, misfit = _structured(declared, result.data)
    if misfit:
        note = (
            f"The call succeeded. Its answer, above, differs from what {result.operation} declares: {misfit}"
        )
        content.append(TextContent(type="text", text=note))
    if structured is None:
        return CallToolResult(content=content)
    return CallToolResult(content=content, structured_content=structured)


def _structured(declared: Declared | None, data: Any) -> tuple[Any, str]:
    """The structuredContent of an answer, or None, and how it differs from what is declared."""
    from jsonschema.exceptions import best_match

    if declared is None:
        return (data if isinstance(data, dict) else None), ""
    content = {RESULT: data} if declared.is_wrapped else data
    error = best_match(validator(declared.schema).iter_errors(content))
    if error is None:
        return content, ""
    return {UNEXPECTED: data}, f"{error.json_path}: {explain(error)}"
