"""What a document must be, by the packages that others publish; by a small schema where there is none.

A Pydantic type allows unknown fields, so that an older client can read newer answers. An oracle must not:
`strict` rejects them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from jsonschema import Draft202012Validator
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import Response, ResponseStreamEvent, ToolParam
from openai.types.responses.response_create_params import ResponseCreateParams
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter
from typing_extensions import TypedDict


class ErrorResponse(TypedDict):
    error: ErrorObject


class ListModelsResponse(TypedDict):
    object: Literal["list"]
    data: list[Model]


# Components of OpenAI's API description, and their types in the package `openai`.
OPENAI: dict[str, Any] = {
    "Response": Response,
    "ResponseStreamEvent": ResponseStreamEvent,
    "CreateChatCompletionResponse": ChatCompletion,
    "CreateChatCompletionStreamResponse": ChatCompletionChunk,
    "Model": Model,
    "ListModelsResponse": ListModelsResponse,
    "ErrorResponse": ErrorResponse,
    "Tool": ToolParam,
    "CreateResponse": ResponseCreateParams,
    "CreateChatCompletionRequest": CompletionCreateParams,
}
# What OpenAI always sends, but the package's types leave optional for the sake of older answers.
# By the name of the type and, since two have the same name, one of its properties.
ALWAYS = {
    ("Response", "id"): ("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"),
    ("ErrorObject", "type"): ("code", "param"),
    ("ChatCompletionMessage", "role"): ("content", "refusal"),
    ("Choice", "message"): ("logprobs",),
    ("Choice", "delta"): ("finish_reason",),
}
# What OpenAI sends, but the package's types do not have.
MORE = {"Response": ("store",), "ResponseFunctionCallArgumentsDoneEvent": ("name",)}


WITHIN = ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf")


@cache
def strict(kind: Any, *, is_open: bool = False) -> Draft202012Validator:
    """A validator for a type that Pydantic supports, which rejects fields that the type does not have.

    With `is_open`, types declared to allow any field do so; all of `openai`'s are.
    """
    schema = TypeAdapter(kind).json_schema()
    for node in _schemas(schema):
        properties = node.get("properties")
        if not isinstance(properties, dict):
            continue
        title, required = node.get("title"), node.setdefault("required", [])
        for (name, has), always in ALWAYS.items():
            if name == title and has in properties:
                assert properties.keys() >= set(always), f"{title} no longer has all of {always}"
                required += [field for field in always if field not in required]
        for field in MORE.get(str(title), ()):
            properties.setdefault(field, True)
        if "additionalProperties" not in node or (node["additionalProperties"] is True and not is_open):
            node["additionalProperties"] = False
    return Draft202012Validator(schema)


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and those inside it; a property may be called "properties" too."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            yield node
            for key in ("properties", "$defs"):
                waiting += node.get(key, {}).values()
            waiting += [node[key] for key in WITHIN if key in node]


def errors(validator: Draft202012Validator, value: Any) -> list[str]:
    """The errors of `value`, each with its path."""
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(value)
    ]


# -- formats that are published only as a document ------------------------------------
# Only the fields that the kit writes, each with its valid values.

TEXT = {"type": "string", "minLength": 1, "maxLength": 4096}
URL = {**TEXT, "pattern": "^https?://"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _copilot() -> dict[str, Any]:
    """Microsoft's plugin manifest, version 2.4, by its documentation."""
    extra = {
        "description": TEXT,
        "enum": {**_list({"type": "string"}), "minItems": 1},
        "default": {"type": ["string", "boolean", "integer", "number", "array"]},
    }
    scalar = _object({"type": {"enum": ["string", "boolean", "integer", "number"]}}, extra)
    kinds = {"enum": ["string", "array", "boolean", "integer", "number"]}
    parameter = _object({"type": kinds}, {**extra, "items": scalar})
    parameters = _object(
        {
            "type": {"const": "object"},
            "properties": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z0-9_]+$"},
                "additionalProperties": parameter,
            },
        },
        {"required": _list({"type": "string"})},
    )
    meanings = {key: {**TEXT, "pattern": r"^\$\."} for key in ("title", "subtitle", "url", "thumbnail_url")}
    card = {"type": "object", "required": ["type", "version", "body"], "not": {"required": ["file"]}}
    semantics = _object(
        {"data_path": {**TEXT, "pattern": r"^\$"}},
        {"properties": _object({}, meanings), "static_template": card},
    )
    confirmation = _object(
        {"type": {"enum": ["None", "AdaptiveCard"]}},
        {"title": TEXT, "body": TEXT, "isNonConsequential": {"type": "boolean"}},
    )
    handling = {"enum": ["GetPublicData", "GetPrivateData", "DataTransform", "ResourceStateUpdate"]}
    capabilities = _object(
        {"confirmation": confirmation, "security_info": _object({"data_handling": _list(handling)})},
        {"response_semantics": semantics},
    )
    states = _object({"reasoning": _object({"instructions": _list(TEXT)})})
    name = {**TEXT, "pattern": "^[A-Za-z0-9_-]+$"}
    function = _object(
        {"name": name, "description": TEXT, "capabilities": capabilities},
        {"parameters": parameters, "states": states},
    )
    vaults = {"enum": ["OAuthPluginVault", "ApiKeyPluginVault"]}
    auth = {"oneOf": [_object({"type": {"const": "None"}}), _object({"type": vaults, "reference_id": TEXT})]}
    styles = {"enum": ["None", "ShowUsage", "ShowUsageWithInput", "ShowUsageWithInputAndOutput"]}
    spec = _object({"url": TEXT}, {"progress_style": styles})
    openapi = {"type": {"const": "OpenApi"}, "auth": auth, "spec": spec, "run_for_functions": _list(name)}
    mcp = {"type": {"const": "RemoteMCPServer"}, "auth": auth, "spec": _object({"url": URL})}
    return _object(
        {
            "$schema": {
                "const": "https://developer.microsoft.com/json-schemas/copilot/plugin/v2.4/schema.json"
            },
            "schema_version": {"const": "v2.4"},
            "namespace": {**TEXT, "pattern": "^[A-Za-z0-9-]+$"},
            "name_for_human": TEXT,
            "description_for_human": TEXT,
            "runtimes": {**_list({"oneOf": [_object(openapi), _object(mcp)]}), "minItems": 1},
        },
        {
            "description_for_model": TEXT,
            "contact_email": TEXT,
            "logo_url": URL,
            "legal_info_url": URL,
            "functions": _list(function),
            "capabilities": _object({"conversation_starters": _list(_object({"text": TEXT}))}),
        },
    )


COPILOT = Draft202012Validator(_copilot())

_AGENT = "https://agent-plugins.org/schemas/1.0.0"
AGENT_PLUGIN = Draft202012Validator(
    _object(
        {
            "$schema": {"const": f"{_AGENT}/plugin.schema.json"},
            "name": {
                "type": "string",
                "maxLength": 64,
                "pattern": r"^(?!.*(?:--|\.\.))[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$",
            },
        },
        {
            "version": TEXT,
            "description": TEXT,
            "author": _object({"email": TEXT}),
            "extensions": {"type": "object", "additionalProperties": {"type": "object"}},
        },
    )
)
_STDIO = _object({"type": {"const": "stdio"}, "command": TEXT, "args": _list({"type": "string"})})
_HTTP = _object({"type": {"const": "streamable-http"}, "url": URL})
AGENT_MCP = Draft202012Validator(
    _object(
        {
            "$schema": {"const": f"{_AGENT}/mcp.schema.json"},
            "mcpServers": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"oneOf": [_STDIO, _HTTP]},
            },
        }
    )
)
