"""A request to OpenAI's API, read into a conversation, or rejected the way OpenAI rejects it.

Shapes: OpenAI's own API description (github.com/openai/openai-openapi, version 2.3.0).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from kit.openapi.documents import read_json
from kit.understudy import schemas
from kit.understudy.memory import Entry


class BadRequest(Exception):
    """A request that OpenAI would reject too. `param` names the field, `status` is the HTTP status."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.code = code

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def tokens(text: str) -> int:
    """About as many tokens as a tokenizer would count: four characters each."""
    return max(1, len(text) // 4)


@dataclass
class ModelRequest:
    """A request to either API: the conversation, the function tools, and how to answer."""

    entries: list[Entry]
    tools: list[Mapping[str, Any]]
    choice: str = "auto"
    parallel: bool = True
    stream: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)  # the Responses API's input, after all earlier items

    @property
    def input_tokens(self) -> int:
        return tokens(json.dumps([e.text or e.arguments for e in self.entries]) + json.dumps(self.tools))


def read_body(content: bytes) -> Any:
    """The JSON of a request or of a call's arguments. Raises `ValueError` for what JSON, OpenAI's or anyone's, cannot hold.

    Half a character, which UTF-8 cannot write, becomes `?`; a number beyond the range of numbers is an error.
    """
    value = read_json(content, parse_float=_finite, parse_constant=_finite)
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def check(body: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body, if what the understudy reads of it has the types of `CHAT` or `RESPONSES`. Raises `BadRequest`."""
    if not isinstance(body, dict):
        raise BadRequest("The body of your request must be a JSON object.")
    error = next(Draft202012Validator(schema).iter_errors(body), None)
    if error is None:
        return body
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    if error.validator == "required":
        lacking = next(name for name in error.validator_value if name not in error.instance)
        where = f"{where}.{lacking}".lstrip(".")
        raise BadRequest(f"Missing required parameter: '{where}'.", where, code="missing_required_parameter")
    where = where.lstrip(".")
    if error.validator == "type":
        kinds = [kind for kind in _listed(error.validator_value) if kind != "null"]
        message = f"Invalid type for '{where}': expected {' or '.join(kinds)}."
        raise BadRequest(message, where, code="invalid_type")
    raise BadRequest(f"Invalid value for '{where}': {error.message:.200}.", where, code="invalid_value")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _optional(*kinds: str, **more: Any) -> dict[str, Any]:
    return {"type": [*kinds, "null"], **more}


def _named(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


_FUNCTION = _named(
    "name", name={"type": "string"}, description=_optional("string"), parameters=_optional("object")
)
_CHOSEN = _named(
    name=_optional("string"), function=_optional("object", properties={"name": _optional("string")})
)
_CHOSEN_TOOLS = {"tools": _optional("array", items=_CHOSEN), "mode": _optional("string")}
_ANY_API = {
    "model": {"type": "string"},
    "tools": _optional("array", items={"$ref": "#/$defs/tool"}),
    "tool_choice": {
        **_CHOSEN,
        "type": ["string", "object", "null"],
        "properties": {
            **_CHOSEN["properties"], **_CHOSEN_TOOLS, "allowed_tools": _optional("object", properties=_CHOSEN_TOOLS)
        },
    },
    "stream": _optional("boolean"),
    "parallel_tool_calls": _optional("boolean"),
    "temperature": _optional("number"),
    "top_p": _optional("number"),
    "metadata": _optional("object"),
}  # fmt: skip
_CONTENT = _optional("string", "array")
_IS_FUNCTION = {"required": ["type"], "properties": {"type": {"const": "function"}}}
# What the understudy reads of a request, and the types that OpenAI's description gives it.
CHAT = {
    **_named(
        "model",
        "messages",
        **_ANY_API,
        messages={
            "type": "array",
            "minItems": 1,
            "items": _named(
                "role",
                role={"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
                content=_CONTENT,
                tool_calls=_optional("array", items=_named(function=_optional("object"))),
            ),
        },
        n=_optional("integer", minimum=1, maximum=128),
        stream_options=_optional("object"),
        response_format=_optional("object"),
    ),
    "$defs": {"tool": {**_named(function=_FUNCTION), "if": _IS_FUNCTION, "then": {"required": ["function"]}}},
}
RESPONSES = {
    **_named(
        "model",
        "input",
        **_ANY_API,
        input={
            "type": ["string", "array"],
            "items": {
                **_named(type=_optional("string"), content=_CONTENT, output=_CONTENT),
                "if": {"properties": {"type": {"enum": ["message", None]}}},
                "then": _named("role", role={"enum": ["system", "developer", "user", "assistant"]}),
            },
        },
        instructions=_optional("string"),
        previous_response_id=_optional("string"),
        max_output_tokens=_optional("integer"),
        truncation=_optional("string"),
        store=_optional("boolean"),
        text=_optional("object", properties={"format": _optional("object")}),
    ),
    "$defs": {
        "tool": {
            **_named(tools=_optional("array", items={"$ref": "#/$defs/tool"})),
            "if": _IS_FUNCTION,
            "then": _FUNCTION,
        }
    },
}


def read_chat(body: Mapping[str, Any]) -> ModelRequest:
    """A checked request to `/v1/chat/completions`. Raises `BadRequest`."""
    entries: list[Entry] = []
    for message in body["messages"]:
        role, text = message["role"], _content(message.get("content"))
        if role == "tool":
            entries.append(Entry("result", text, id=str(message.get("tool_call_id", ""))))
            continue
        if text or role == "user":
            entries.append(Entry(_role(role), text))
        for call in message.get("tool_calls") or []:
            function = call.get("function") or {}
            entries.append(_call(call.get("id", ""), function.get("name", ""), function.get("arguments", "")))
    _check_results(entries)
    _no_schema(body.get("response_format"), "response_format")
    given = body.get("tools") or []
    if len(given) > schemas.MOST_TOOLS:
        raise BadRequest(schemas.too_many(len(given)), "tools", code="array_above_max_length")
    tools = [tool["function"] for tool in given if tool.get("type") == "function"]
    return _model_request(entries, tools, body, "function.")


def read_responses(body: Mapping[str, Any], earlier: Sequence[Any] = ()) -> ModelRequest:
    """A checked request to `/v1/responses`; `earlier` are the items that `previous_response_id` refers to."""
    content = body["input"]
    new = [{"role": "user", "content": content}] if isinstance(content, str) else content
    items = [*earlier, *new]
    entries: list[Entry] = []
    if body.get("instructions"):
        entries.append(Entry("system", body["instructions"]))
    for item in items:
        kind = item.get("type") or "message"
        if kind == "message":
            entries.append(Entry(_role(item["role"]), _content(item.get("content"))))
        elif kind == "function_call":
            entries.append(_call(item.get("call_id", ""), item.get("name", ""), item.get("arguments", "")))
        elif kind == "function_call_output":
            entries.append(Entry("result", _content(item.get("output")), id=str(item.get("call_id", ""))))
    _check_results(entries)
    _no_schema((body.get("text") or {}).get("format"), "text.format")
    request = _model_request(entries, list(_functions(body.get("tools") or [])), body)
    request.items = items
    return request


def _functions(tools: Sequence[Mapping[str, Any]], namespace: str = "") -> Iterator[Mapping[str, Any]]:
    for tool in tools:
        if tool.get("type") == "function":
            yield {**tool, "namespace": namespace} if namespace else tool
        elif tool.get("type") == "namespace":
            yield from _functions(tool.get("tools") or [], str(tool.get("name") or ""))


def _model_request(
    entries: list[Entry], tools: list[Mapping[str, Any]], body: Mapping[str, Any], within: str = ""
) -> ModelRequest:
    for i, tool in enumerate(tools):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]):
            raise BadRequest(
                f"Invalid 'tools[{i}].name': string does not match pattern. Expected a string that matches "
                "the pattern '^[a-zA-Z0-9_-]+$'.",
                f"tools[{i}].name",
                code="invalid_value",
            )
        refused = schemas.problem(tool["name"], tool.get("parameters"), strict=tool.get("strict") is True)
        if refused:
            raise BadRequest(refused, f"tools[{i}].{within}parameters", code="invalid_function_parameters")
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, Mapping):
        allowed = choice.get("tools") or (choice.get("allowed_tools") or {}).get("tools") or []
        if allowed:
            names = {t.get("name") or (t.get("function") or {}).get("name") for t in allowed}
            tools = [tool for tool in tools if tool["name"] in names]
            choice = choice.get("mode") or (choice.get("allowed_tools") or {}).get("mode") or "auto"
        else:
            choice = choice.get("name") or (choice.get("function") or {}).get("name") or "auto"
    if choice not in ("auto", "none", "required") and choice not in [tool["name"] for tool in tools]:
        raise BadRequest(f"Tool choice {choice!r} not found in 'tools' parameter.", "tool_choice")
    if choice == "required" and not tools:
        raise BadRequest("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    return ModelRequest(
        entries,
        tools,
        choice=str(choice),
        parallel=body.get("parallel_tool_calls") is not False,
        stream=body.get("stream") is True,
        body=body,
    )


def _role(role: str) -> Any:
    return "system" if role == "developer" else "result" if role == "function" else role


def _content(content: str | Sequence[Any] | None) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, Mapping)]
    return "\n".join(str(part.get("text") or part.get("refusal") or "") for part in parts)


def _call(identifier: Any, name: Any, arguments: Any) -> Entry:
    try:
        parsed = read_body(arguments.encode()) if isinstance(arguments, str) else arguments
    except ValueError:
        parsed = {}
    arguments = parsed if isinstance(parsed, dict) else {}
    return Entry("call", id=str(identifier), name=str(name), arguments=arguments)


def _check_results(entries: Sequence[Entry]) -> None:
    """Rejects, as OpenAI does, a result without a call and a call without a result."""
    calls = {entry.id for entry in entries if entry.role == "call"}
    results = {entry.id for entry in entries if entry.role == "result" and entry.id}
    for identifier in results - calls:
        raise BadRequest(f"No tool call found for function call output with call_id {identifier}.", "input")
    for identifier in calls - results:
        raise BadRequest(f"No tool output found for function call {identifier}.", "input")


def _no_schema(form: Any, where: str) -> None:
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        raise BadRequest("The understudy cannot answer by a JSON schema. Use a real model for that.", where)
