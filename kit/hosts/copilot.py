"""Microsoft 365 Copilot: the plugin manifest of version 2.4, and what Copilot rejects in a spec.

The schema of that version declares draft-04 but uses 2020-12: validated as draft-04, half of it is skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from kit.auth import NoAuth, OAuth
from kit.errors import KitError
from kit.hosts import openapi30
from kit.hosts.copilot_rules import TITLE as TITLE
from kit.hosts.copilot_rules import check as check
from kit.hosts.texts import MAX_TEXT, URL, cut, followed, summaries
from kit.openapi.values import mapping

if TYPE_CHECKING:
    from kit.description import Description
    from kit.openapi.operation import Operation
    from kit.openapi.spec import Spec
    from kit.tools.request import Argument
    from kit.tools.tool import Tool

FILE = "ai-plugin.json"
BESIDE = ("openapi30",)
SCHEMA = "https://developer.microsoft.com/json-schemas/copilot/plugin/v2.4/schema.json"

MAX_STARTERS = 6
MAX_FACTS = 12  # fields that a card shows of one item
MAX_FIELDS = 100  # examined to find those

TEXTS = ("name_for_human", "description_for_human", "description_for_model", "contact_email")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SCALARS = ("string", "boolean", "integer", "number")
_PYTHON: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
}
# The meaning of a response field, by its name without case, _ and -; the first match counts.
_MEANINGS = {
    "title": ("title", "name", "displayname", "fullname", "label", "subject", "headline", "filename"),
    "subtitle": ("subtitle", "description", "summary", "status", "state", "category", "type", "snippet"),
    "url": ("url", "weburl", "htmlurl", "href", "link", "permalink", "website", "uri"),
    "thumbnail_url": ("thumbnailurl", "thumbnail", "imageurl", "image", "avatarurl", "iconurl", "photourl"),
}
_LISTS = ("results", "items", "data", "value", "values", "records", "entries", "content")


def render(plugin: Description, *, serves_mcp: bool = False) -> dict[str, Any]:
    """The plugin manifest, valid against Microsoft's schema of version 2.4 for every plugin.

    With `serves_mcp` Copilot calls the plugin's MCP server at `<base_url>/mcp` and asks it for its tools;
    otherwise it reads the file beside the manifest, `kit.render(plugin, "openapi30")`, since Microsoft's parser
    refuses any version but 3.0, and makes the requests itself. The `reference_id` of a plugin with auth is
    a variable that Microsoft's toolkit fills after the key or client is registered. Raises `KitError` for
    an MCP server with a key, which Copilot does not support.
    """
    manifest = plugin.manifest
    functions: list[dict[str, Any]] = []
    texts = {name: cut(getattr(manifest, name)) for name in TEXTS}
    texts["name_for_human"] = texts["name_for_human"] or namespace(plugin)
    texts["description_for_human"] = (
        texts["description_for_human"] or texts["description_for_model"] or texts["name_for_human"]
    )
    for name in ("logo_url", "legal_info_url"):
        url = getattr(manifest, name)
        texts[name] = url if URL.fullmatch(url) and len(url) <= MAX_TEXT else ""
    kind = "RemoteMCPServer" if serves_mcp else "OpenApi"
    runtime: dict[str, Any] = {"type": kind, "auth": _auth(plugin)}
    if serves_mcp:
        if runtime["auth"]["type"] == "ApiKeyPluginVault":
            raise KitError(
                f"{TITLE} sends no API key to an MCP server, and {plugin.name} needs one.",
                "Use OAuth, or let Copilot read the spec: leave out serves_mcp.",
            )
        runtime["spec"] = {"url": f"{plugin.base_url}/mcp"}
    else:
        functions = [_function(plugin, tool) for tool in plugin.by_name.values()]
        runtime |= {
            "spec": {"url": openapi30.FILE, "progress_style": "ShowUsage"},
            "run_for_functions": plugin.tool_names,
        }
    said = list(manifest.conversation_starters) or summaries(plugin, MAX_STARTERS)
    starters = [{"text": cut(text)} for text in said[:MAX_STARTERS]]
    return {
        "$schema": SCHEMA,
        "schema_version": "v2.4",
        "namespace": namespace(plugin),
        **{name: text for name, text in texts.items() if text},
        **({} if serves_mcp else {"functions": functions}),
        "runtimes": [runtime],
        **({"capabilities": {"conversation_starters": starters}} if starters else {}),
    }


def namespace(plugin: Description) -> str:
    """The name for the model without `_`. The schema allows `-`, the page about it only letters and digits."""
    return re.sub(r"[^A-Za-z0-9]+", "", plugin.name)[:64] or "plugin"


def _auth(plugin: Description) -> dict[str, str]:
    auth = plugin.manifest.auth
    if isinstance(auth, NoAuth):
        return {"type": "None"}
    if isinstance(auth, OAuth):
        return {"type": "OAuthPluginVault", "reference_id": "${{OAUTH2_REGISTRATION_ID}}"}
    return {"type": "ApiKeyPluginVault", "reference_id": "${{APIKEY_REGISTRATION_ID}}"}


# -- functions ----------------------------------------------------------------


def _function(plugin: Description, tool: Tool) -> dict[str, Any]:
    operation = tool.operation
    changes = operation.raw.get("x-openai-isConsequential") is True
    reads = operation.method in ("GET", "HEAD", "OPTIONS") and not changes
    private = not isinstance(plugin.manifest.auth, NoAuth)
    handling = ("GetPrivateData" if private else "GetPublicData") if reads else "ResourceStateUpdate"
    function: dict[str, Any] = {
        "name": tool.name,
        "description": cut(tool.description) or cut(f"{operation.method} {operation.path}"),
    }
    parameters = _parameters(tool)
    if parameters is not None:
        function["parameters"] = parameters
    if operation.consequential:
        rule = "This call may change something: make it once, and only for what the user asked for."
        function["states"] = {"reasoning": {"instructions": [rule]}}  # a list adds to Copilot's own rules
    capabilities = {"confirmation": _confirmation(tool)}
    semantics = _response_semantics(operation)
    if semantics:
        capabilities["response_semantics"] = semantics
    return {**function, "capabilities": {**capabilities, "security_info": {"data_handling": [handling]}}}


def _confirmation(tool: Tool) -> dict[str, Any]:
    if not tool.operation.consequential:
        return {"type": "None", "isNonConsequential": True}
    title = cut(" ".join(tool.operation.summary.split()), 200) or tool.name
    lines, length = [], 0
    for argument in tool.arguments.values():
        word = _name_in_spec(argument)
        line = f"* **{word}**: {{{{function.parameters.{word}}}}}" if _WORD.fullmatch(word) else ""
        length += len(line) + 1
        if line and length <= MAX_TEXT:
            lines.append(line)
    return {"type": "AdaptiveCard", "title": title, "body": "\n".join(lines) or "Do you want to allow this?"}


def _name_in_spec(argument: Argument) -> str:
    return argument.parameter.name if argument.parameter else argument.key or ""


def _parameters(tool: Tool) -> dict[str, Any] | None:
    """The arguments, if Copilot's subset of JSON Schema can express all of them; else None.

    They may be left out: then Copilot reads them from the spec.
    """
    properties = {}
    defs = tool.parameters.get("$defs", {})
    for argument in tool.arguments.values():
        converted = _parameter(argument.schema, defs)
        name = _name_in_spec(argument)
        if converted is None or name in properties or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            return None
        properties[name] = converted
    required = [_name_in_spec(a) for a in tool.arguments.values() if a.required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _parameter(schema: Any, defs: Mapping[str, Any], kinds: tuple[str, ...] = (*_SCALARS, "array")) -> Any:
    schema = _flat(schema, defs)
    kind, values = schema.get("type"), schema.get("enum")
    values = [value for value in values if value is not None] if isinstance(values, list) else []
    if isinstance(schema.get("const"), str):
        values = [schema["const"]]
    # A value is listed unchanged or not at all: the plugin would refuse one that was cut.
    texts = bool(values) and all(isinstance(value, str) and cut(value) == value for value in values)
    kind = "string" if kind is None and texts else kind
    if kind not in kinds:
        return None
    converted: dict[str, Any] = {"type": kind}
    if kind == "array":
        converted["items"] = _parameter(schema.get("items"), defs, _SCALARS)
        if converted["items"] is None:
            return None
    description = schema["description"] if isinstance(schema.get("description"), str) else ""
    if texts and kind == "string":
        converted["enum"] = values
    elif values:  # only texts may be listed; others go into the description
        description = f"{description} One of: {', '.join(map(str, values))}.".strip()
    if description:
        converted["description"] = cut(description)
    default = schema.get("default")
    if isinstance(default, _PYTHON[kind]) and isinstance(default, bool) is (kind == "boolean"):
        values = default if isinstance(default, list) else [default]
        if all(_is_plain(value) for value in values):
            converted["default"] = default
    return converted


def _is_plain(value: Any) -> bool:
    """Whether a default can be written unchanged."""
    if isinstance(value, str):
        return cut(value) == value
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))


def _flat(schema: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references followed, and without "or null"."""
    flat = dict(schema) if isinstance(schema, Mapping) else {}
    for _ in range(8):
        ref = flat.pop("$ref", None)
        if isinstance(ref, str):
            target = defs.get(ref.removeprefix("#/$defs/"))
            flat = {**(target if isinstance(target, Mapping) else {}), **flat}
            continue
        for word in ("anyOf", "oneOf", "allOf"):
            parts = flat.get(word)
            others = [p for p in parts if mapping(p).get("type") != "null"] if isinstance(parts, list) else []
            if len(others) == 1 and isinstance(others[0], Mapping):
                del flat[word]
                flat = {**others[0], **flat}
                break
        else:
            break
    kind = flat.get("type")
    if isinstance(kind, list):
        kind = [k for k in kind if k != "null"]
        flat["type"] = kind[0] if len(kind) == 1 else kind
    odd = flat.keys() & {"anyOf", "oneOf", "allOf", "not", "$ref"} or isinstance(flat.get("type"), list)
    return {"type": "object"} if odd else flat


# -- responses ----------------------------------------------------------------


def _response_semantics(operation: Operation) -> dict[str, Any] | None:
    """Where the items of a response are, what their fields mean, and a card for one; None if unknown."""
    path, fields = _items(operation.spec, followed(operation.spec, operation.answer_schema))
    if not fields:
        return None
    plain = {re.sub(r"[_-]", "", name).lower(): name for name, kind in fields.items() if kind == "string"}
    meanings: dict[str, str] = {}
    for meaning, words in _MEANINGS.items():
        name = next((plain[word] for word in words if word in plain), None)
        if name:
            meanings[meaning] = f"$.{name}"
    shown = {name: f"${{if({name}, {name}, 'N/A')}}" for name, kind in fields.items() if kind != "boolean"}
    shown |= {name: f"${{{name}}}" for name, kind in fields.items() if kind == "boolean"}  # false is a value
    head = meanings.get("title", "")[2:]
    body: list[dict[str, Any]] = []
    if head:
        body.append({"type": "TextBlock", "text": shown.pop(head), "weight": "Bolder", "wrap": True})
    facts = [{"title": name, "value": text} for name, text in shown.items()][:MAX_FACTS]
    if facts:
        body.append({"type": "FactSet", "facts": facts})
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.5", "body": body}  # fmt: skip
    return {"data_path": path, **({"properties": meanings} if meanings else {}), "static_template": card}


def _items(spec: Spec, schema: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """(JSONPath, fields) of the items of a response: the objects of a list, else the object itself."""
    if schema.get("type") == "array":
        return "$", _fields(spec, schema.get("items"))
    own = _fields(spec, schema)
    lists = {}
    for name, item in _properties(spec, schema).items():
        fields = _fields(spec, followed(spec, item).get("items")) if _WORD.fullmatch(name) else {}
        if fields:
            lists[name] = fields
    named = next((name for name in _LISTS if name in lists), None)
    if named is None and len(lists) == 1 and not own.keys() & {"id", "name", "title"}:
        named = next(iter(lists))  # an object with an id or a name is an item, and its lists are part of it
    return (f"$.{named}", lists[named]) if named else ("$", own)


def _properties(spec: Spec, schema: Any, depth: int = 0) -> dict[str, Any]:
    """The first properties of an object, with those of its `allOf`: no more than a card has room for."""
    schema = followed(spec, schema)
    parts = schema.get("allOf")
    properties: dict[str, Any] = {}
    for part in parts[:8] if isinstance(parts, list) and depth < 2 else []:
        properties |= _properties(spec, part, depth + 1)
    own = islice(mapping(schema.get("properties")).items(), MAX_FIELDS)
    return properties | {name: item for name, item in own if isinstance(name, str)}


def _fields(spec: Spec, schema: Any) -> dict[str, str]:
    """The fields of an object that hold one value, with their types."""
    fields = {}
    for name, item in _properties(spec, schema).items():
        target = followed(spec, item)
        kind = _flat(target if "$ref" not in target else {}, {}).get("type")
        if kind in _SCALARS and _WORD.fullmatch(name):
            fields[name] = str(kind)
    return fields
