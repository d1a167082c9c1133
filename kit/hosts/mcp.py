"""MCP: a plugin as a server of the Model Context Protocol, for Claude, Cursor, VS Code and ChatGPT.

The official `mcp` package speaks the protocol, both the handshake of 2025-11-25 and before and the
stateless 2026-07-28. It is imported when a server is made, and not before: that takes a second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kit.errors import KitError
from kit.findings import Finding
from kit.installed import CallResult, InstalledPlugin
from kit.manifest import NoAuth
from kit.misfits import explain
from kit.tools import Tool

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.types import CallToolResult

TITLE = "MCP"
HOST = "mcp"
_warning = partial(Finding, HOST, "warning")
FILE = "tools.json"  # what it is called where it is written down

# The property by which an answer that is not what its operation declares is handed on all the same.
UNEXPECTED = "unexpected"
# The keywords of an outputSchema. Clients refuse the whole result over any other, and some the whole
# list: a pattern that JavaScript cannot compile, a date-time without a zone, a text that is one too long.
_SAID = frozenset({
    "type", "properties", "required", "items", "prefixItems", "additionalProperties", "anyOf", "oneOf",
    "allOf", "enum", "const", "title", "description", "default", "$ref", "$defs",
})  # fmt: skip
# characters; a host reads them all before the first word, and checking 200,000 of them takes a second
MAX_OUTPUT_SCHEMA = 20_000
_DATA = frozenset({"enum", "const", "default", "required"})  # keywords that hold no schema
_NAMED = frozenset({"properties", "$defs"})
_PLAIN = frozenset(
    {"type", "properties", "required", "additionalProperties", "title", "description", "$defs"}
)
RESULT = "result"

# modelcontextprotocol/modelcontextprotocol, docs/specification/2026-07-28 (standards.md, E1)
_TOOLS = "https://modelcontextprotocol.io/specification/2026-07-28/server/tools"
_CHATGPT = "https://developers.openai.com/plugins/build/mcp-server"
_AUTH = "https://developers.openai.com/plugins/build/auth"
MAX_INSTRUCTIONS = 512  # characters that ChatGPT is sure to read
MAX_QUALIFIED_NAME = 60  # characters of "server: tool" in Cursor
MAX_TOOLS = 40  # in Cursor


# -- the tools ------------------------------------------------------------------


def render(plugin: InstalledPlugin) -> dict[str, Any]:
    """The plugin's tools as `tools/list` lists them, in the order of the spec: `{"tools": [...]}`."""
    tools = [plugin.tool(name) for name in plugin.tool_names]
    return {"tools": [_tool(tool, declared_answer(tool)) for tool in tools]}


def _tool(tool: Tool, declared: Declared | None) -> dict[str, Any]:
    operation = tool.operation
    rendered: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or f"{operation.method} {operation.path}",
        "inputSchema": tool.parameters,
        "annotations": hints(tool),
    }
    if operation.summary:
        rendered["title"] = operation.summary
    if declared is not None:
        rendered["outputSchema"] = _with_unexpected(declared.schema)
    return rendered


def hints(tool: Tool) -> dict[str, bool]:
    """The hints of a tool, from its HTTP method and `x-openai-isConsequential`.

    The world is open unless one knows better, which is the protocol's own default. ChatGPT wants
    all three of read-only, destructive and open world on every tool.
    """
    method, consequential = tool.operation.method, tool.operation.consequential
    reads = method in ("GET", "HEAD") and tool.operation.raw.get("x-openai-isConsequential") is not True
    given = {
        "readOnlyHint": reads,
        "destructiveHint": method == "DELETE" or (not reads and consequential),
        "openWorldHint": True,
    }
    return {**given, "idempotentHint": True} if method in ("PUT", "DELETE") else given


class Declared(NamedTuple):
    """What an operation says that it answers. MCP knows objects alone: anything else is `result` in one."""

    schema: dict[str, Any]
    is_wrapped: bool


def declared_answer(tool: Tool) -> Declared | None:
    """What the operation says that it answers, as JSON Schema; None if it says nothing that can be listed.

    Only the form of it, without patterns, formats and bounds (see `_SAID`), and none of more than
    20,000 characters. What is no object is wrapped, as the official servers do it.
    """
    given = tool.answer(MAX_OUTPUT_SCHEMA)
    if not given:
        return None
    schema = _form(given)
    if schema.get("type") == "object" and schema.keys() <= _PLAIN:
        return None if UNEXPECTED in schema.get("properties", {}) else Declared(schema, False)
    definitions = schema.pop("$defs", None)
    wrapped = {"type": "object", "properties": {RESULT: schema}, "required": [RESULT]}
    return Declared({**wrapped, "$defs": definitions} if definitions else wrapped, True)


def _form(node: Any, named: bool = False) -> Any:
    """A schema without the keywords that are not in `_SAID`. `named`: `node` maps names to schemas."""
    if isinstance(node, list):
        return [_form(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value if key in _DATA and not named else _form(value, not named and key in _NAMED)
        for key, value in node.items()
        if named or (key in _SAID and not (key == "additionalProperties" and value is False))
    }


def _with_unexpected(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that is listed: what is declared, or anything else as `unexpected`.

    Clients raise for a result that does not fit its outputSchema, and live APIs often send a null or
    leave out a field where their spec says otherwise. Such a call has worked all the same.
    """
    schema = dict(declared)
    schema["properties"] = {
        **declared.get("properties", {}),
        UNEXPECTED: {"description": "Alone, where the answer is not as described here: what came."},
    }
    required = schema.pop("required", None)
    if required:
        schema["anyOf"] = [{"required": required}, {"required": [UNEXPECTED]}]
    return schema


def _structured(declared: Declared | None, data: Any) -> tuple[Any, str]:
    """The structuredContent of an answer, None for none, and in what it is not as declared."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    if declared is None:
        return (data if isinstance(data, dict) else None), ""
    given = {RESULT: data} if declared.is_wrapped else data
    error = best_match(Draft202012Validator(declared.schema).iter_errors(given))
    if error is None:
        return given, ""
    return {UNEXPECTED: data}, f"{error.json_path}: {explain(error)}"


# -- the server -----------------------------------------------------------------

Calls = Callable[[str, dict[str, Any], Any], Awaitable[CallResult]]


def import_package() -> None:
    """Raises `KitError` where the `mcp` package is missing or older than 2."""
    try:
        from mcp import MCPError  # noqa: F401
        from mcp.server.lowlevel import Server  # noqa: F401
    except ImportError as error:
        raise KitError(
            f"The mcp package, 2.3 or newer, is not installed: {error}.",
            "Install it, then try again: pip install 'mcp>=2.3,<3'",
        ) from None


def make_server(plugin: InstalledPlugin, call: Calls | None = None) -> Server[Any]:
    """The plugin as a low-level server of the `mcp` package, for any of its transports.

    `call` is given the tool's name, the arguments and the HTTP request, which is None on stdio; left
    out, it is `plugin.acall`. Raises as `import_package`.
    """
    import_package()
    from mcp import MCPError
    from mcp.server import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.types import (
        INVALID_PARAMS,
        CallToolRequestParams,
        ListToolsResult,
        PaginatedRequestParams,
    )

    declared = {name: declared_answer(plugin.tool(name)) for name in plugin.tool_names}
    tools = [_tool(plugin.tool(name), schema) for name, schema in declared.items()]
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


def _result(result: CallResult, declared: Declared | None) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    content: list[Any] = [TextContent(type="text", text=result.for_model())]
    if not result.ok:
        return CallToolResult(content=content, is_error=True)
    structured, misfit = _structured(declared, result.data)
    if misfit:
        words = f"The call worked. Its answer, above, is not as {result.operation} declares it: {misfit}"
        content.append(TextContent(type="text", text=words))
    if structured is None:
        return CallToolResult(content=content)
    return CallToolResult(content=content, structured_content=structured)


# -- the rules ------------------------------------------------------------------


def check(plugin: InstalledPlugin) -> Iterator[Finding]:
    """The rules of MCP, and of ChatGPT as its host, that the plugin breaks. None of them keeps it from working.

    The names of tools need no look: letters, digits, _ and -, 64 at most, keep the protocol's rule (128).
    """

    manifest = plugin.manifest
    if len(manifest.description_for_model) > MAX_INSTRUCTIONS:
        yield _warning(
            "manifest/description_for_model",
            f"It becomes the server's instructions and has {len(manifest.description_for_model)} characters; "
            f"a host may read the first {MAX_INSTRUCTIONS} only.",
            f"Say what matters most within the first {MAX_INSTRUCTIONS} characters.",
            _CHATGPT,
        )
    if not manifest.legal_info_url:
        yield _warning(
            "manifest/legal_info_url",
            "There is no legal page; ChatGPT asks for a privacy policy when a plugin is submitted.",
            "Give legal_info_url= the address of a page with it.",
            _CHATGPT,
        )
    if not isinstance(manifest.auth, NoAuth):
        yield _warning(
            "manifest/auth",
            f"The plugin wants auth {manifest.auth.type!r}; ChatGPT signs in to an MCP server by OAuth 2.1 alone.",
            "On your own machine `kit mcp URL --token` does. For ChatGPT, serve "
            "/.well-known/oauth-protected-resource and check the tokens in your operations.",
            _AUTH,
        )
    if len(plugin.tool_names) > MAX_TOOLS:
        yield _warning(
            "/paths",
            f"There are {len(plugin.tool_names)} tools; clients have been seen to offer a model some {MAX_TOOLS}.",
            "Split the plugin, or take out operations that a model does not need.",
            "no official text: reported for Cursor",
        )
    for name in plugin.tool_names:
        tool = plugin.tool(name)
        place, function = tool.operation.pointer, tool.operation.id
        if len(plugin.name) + len(name) + 2 > MAX_QUALIFIED_NAME:
            yield _warning(
                f"{place}/operationId",
                f"{plugin.name!r} and {name!r} have more than {MAX_QUALIFIED_NAME} characters together; "
                "clients join the two, and some leave such a tool out.",
                "Shorten the function's name.",
                "no official text: reported for Cursor and Copilot (github/copilot-cli#1879)",
                function,
            )
        if not tool.description:
            yield _warning(
                place,
                f"{function} has no summary and no description: a model cannot know when to call it.",
                "Give it a docstring that says what it does and when to use it.",
                _TOOLS,
                function,
            )
        if declared_answer(tool) is None:
            yield _warning(
                f"{place}/responses",
                f"{function} does not say what JSON it answers, or says too much of it, so the tool has no outputSchema; "
                "ChatGPT warns of that when a plugin is submitted.",
                "Say it: in a function, by the annotation of what it returns.",
                _CHATGPT,
                function,
            )
