"""MCP: a plugin's tools as the Model Context Protocol lists them, for Claude, Cursor, VS Code and ChatGPT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kit.auth import NoAuth, OAuth
from kit.hosts.findings import Finding
from kit.hosts.portable import portable
from kit.manifest import Manifest, legal_name
from kit.openapi.values import unique

if TYPE_CHECKING:
    from kit.description import Description
    from kit.tools.tool import Tool

TITLE = "MCP"
HOST = "mcp"
_warning = partial(Finding, HOST, "warning")
FILE = "tools.json"

# The property that passes on an answer that differs from what its operation declares.
UNEXPECTED = "unexpected"
# The keywords of an outputSchema. Over others, clients refuse the whole result, and some the whole list:
# a pattern that JavaScript cannot compile, a date-time without a zone, a text that is one too long.
_STRUCTURE = frozenset({
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


def render(plugin: Description) -> dict[str, Any]:
    """The plugin's tools as `tools/list` lists them, in the order of the spec: `{"tools": [...]}`."""
    return {"tools": [listed_tool(tool, declared_answer(tool)) for tool in plugin.by_name.values()]}


def listed_tool(tool: Tool, declared: Declared | None) -> dict[str, Any]:
    """One tool of `tools/list`, with the answer that its operation declares."""
    operation = tool.operation
    rendered: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or f"{operation.method} {operation.path}",
        "inputSchema": portable(tool.parameters),
        "annotations": hints(tool),
    }
    if operation.summary:
        rendered["title"] = operation.summary
    if declared is not None:
        rendered["outputSchema"] = portable(_with_unexpected(declared.schema))
    return rendered


def prompts(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The conversation starters as `prompts/list` lists them, by their names."""
    listed: dict[str, dict[str, Any]] = {}
    for text in manifest.conversation_starters:
        name = unique(legal_name(text).lower(), listed)
        listed[name] = {"name": name, "title": text, "description": text}
    return listed


def hints(tool: Tool) -> dict[str, bool]:
    """The hints of a tool, from its HTTP method and `x-openai-isConsequential`.

    The world counts as open, which is the protocol's own default. ChatGPT requires all three of
    read-only, destructive and open world on every tool.
    """
    method, consequential = tool.operation.method, tool.operation.consequential
    reads = method in ("GET", "HEAD") and tool.operation.raw.get("x-openai-isConsequential") is not True
    values = {
        "readOnlyHint": reads,
        "destructiveHint": method == "DELETE" or (not reads and consequential),
        "openWorldHint": True,
    }
    return {**values, "idempotentHint": True} if method in ("PUT", "DELETE") else values


class Declared(NamedTuple):
    """The declared answer of an operation. MCP allows only objects: anything else is `result` in one."""

    schema: dict[str, Any]
    is_wrapped: bool


def declared_answer(tool: Tool) -> Declared | None:
    """The declared answer of an operation as JSON Schema; None if there is none that can be listed.

    Only its structure, without patterns, formats and bounds (see `_STRUCTURE`), up to 20,000 characters.
    What is not an object is wrapped, as in the official servers.
    """
    answer = tool.answer(MAX_OUTPUT_SCHEMA)
    if not answer:
        return None
    schema = _structure(answer)
    if schema.get("type") == "object" and schema.keys() <= _PLAIN:
        return None if UNEXPECTED in schema.get("properties", {}) else Declared(schema, False)
    definitions = schema.pop("$defs", None)
    wrapped = {"type": "object", "properties": {RESULT: schema}, "required": [RESULT]}
    return Declared({**wrapped, "$defs": definitions} if definitions else wrapped, True)


def _structure(node: Any, named: bool = False) -> Any:
    """A schema without the keywords that are not in `_STRUCTURE`. `named`: `node` maps names to schemas."""
    if isinstance(node, list):
        return [_structure(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value if key in _DATA and not named else _structure(value, not named and key in _NAMED)
        for key, value in node.items()
        if named or (key in _STRUCTURE and not (key == "additionalProperties" and value is False))
    }


def _with_unexpected(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that is listed: what is declared, or anything else as `unexpected`.

    Clients raise for a result that does not fit its outputSchema, and live APIs often send a null or
    leave out a field contrary to their spec. Such a call has still succeeded.
    """
    schema = dict(declared)
    schema["properties"] = {
        **declared.get("properties", {}),
        UNEXPECTED: {
            "description": "Present alone if the answer is not as described here: the actual answer.",
        },
    }
    required = schema.pop("required", None)
    if required:
        schema["anyOf"] = [{"required": required}, {"required": [UNEXPECTED]}]
    return schema


# -- the rules ------------------------------------------------------------------


def check(plugin: Description) -> Iterator[Finding]:
    """The rules of MCP, and of ChatGPT as its host, that the plugin breaks. None of them prevents it from working.

    Tool names need no check: letters, digits, _ and -, at most 64, satisfy the protocol's rule (128).
    """
    manifest = plugin.manifest
    if len(manifest.description_for_model) > MAX_INSTRUCTIONS:
        message = (
            f"It becomes the server's instructions and has {len(manifest.description_for_model)} characters; "
            f"a host may read the first {MAX_INSTRUCTIONS} only."
        )
        remedy = f"Say what matters most within the first {MAX_INSTRUCTIONS} characters."
        yield _warning("manifest/description_for_model", message, remedy, _CHATGPT)
    if not manifest.legal_info_url:
        message = "There is no legal page; ChatGPT asks for a privacy policy when a plugin is submitted."
        yield _warning("manifest/legal_info_url", message, "Set legal_info_url= to a page with it.", _CHATGPT)
    if not isinstance(manifest.auth, NoAuth | OAuth):
        message = (
            f"The plugin requires auth {manifest.auth.type!r}; ChatGPT signs in to an MCP server "
            "only by OAuth 2.1."
        )
        remedy = (
            "Other clients send the header that their entry names, and on your own machine `kit mcp URL --token` works. "
            "For ChatGPT use kit.OAuth(...)."
        )
        yield _warning("manifest/auth", message, remedy, _AUTH)
    elif isinstance(manifest.auth, OAuth) and not plugin.serves_mcp:
        message = "The plugin requires OAuth, and its MCP server has to say where to sign in."
        remedy = "Serve it with the kit, or /.well-known/oauth-protected-resource (RFC 9728) yourself."
        yield _warning("manifest/auth", message, remedy, _AUTH)
    if len(plugin.tool_names) > MAX_TOOLS:
        message = (
            f"There are {len(plugin.tool_names)} tools; some clients offer a model only about {MAX_TOOLS}."
        )
        remedy = "Split the plugin, or remove operations that a model does not need."
        yield _warning("/paths", message, remedy, "no official text: reported for Cursor")
    for name, tool in plugin.by_name.items():
        place, function = tool.operation.pointer, tool.operation.id
        if len(plugin.name) + len(name) + 2 > MAX_QUALIFIED_NAME:
            message = (
                f"{plugin.name!r} and {name!r} have more than {MAX_QUALIFIED_NAME} characters together; "
                "clients join the two, and some leave such a tool out."
            )
            remedy = "Shorten the function's name."
            yield _warning(
                f"{place}/operationId",
                message,
                remedy,
                "no official text: reported for Cursor and Copilot (github/copilot-cli#1879)",
                function,
            )
        if not tool.description:
            message = f"{function} has no summary and no description: a model cannot know when to call it."
            remedy = "Give it a docstring that says what it does and when to use it."
            yield _warning(place, message, remedy, _TOOLS, function)
        if declared_answer(tool) is None:
            message = (
                f"{function} does not declare its JSON answer, or declares too large a one, so the tool has no outputSchema; "
                "ChatGPT warns about that when a plugin is submitted."
            )
            remedy = "Declare it: in a function, by the return annotation."
            yield _warning(f"{place}/responses", message, remedy, _CHATGPT, function)
