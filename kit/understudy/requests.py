"""A request to OpenAI's API, read into a conversation, or rejected the way OpenAI rejects it.

Shapes: OpenAI's own API description (github.com/openai/openai-openapi, version 2.3.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.openapi.documents import read_json
from kit.understudy.dialogue import Entry


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


def read_chat(body: Mapping[str, Any]) -> ModelRequest:
    """A request to `/v1/chat/completions`. Raises `BadRequest`."""
    _require(body, "model", str)
    messages = _require(body, "messages", list)
    if not messages:
        raise BadRequest("Invalid 'messages': empty array. Expected at least one message.", "messages")
    entries: list[Entry] = []
    for i, message in enumerate(messages):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ("system", "developer", "user", "assistant", "tool", "function"):
            raise BadRequest(f"Invalid value for 'messages[{i}].role': {role!r}.", f"messages[{i}].role")
        text = _content(message.get("content"), f"messages[{i}].content")
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
    tools = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return _model_request(entries, tools, body)


def read_responses(body: Mapping[str, Any], earlier: Sequence[Any] = ()) -> ModelRequest:
    """A request to `/v1/responses`; `earlier` are the items that `previous_response_id` refers to."""
    _require(body, "model", str)
    content = body.get("input")
    if not isinstance(content, str | list):
        raise BadRequest("Missing required parameter: 'input'.", "input", code="missing_required_parameter")
    new = [{"role": "user", "content": content}] if isinstance(content, str) else content
    items = [*earlier, *new]
    entries: list[Entry] = []
    if isinstance(body.get("instructions"), str):
        entries.append(Entry("system", body["instructions"]))
    for i, item in enumerate(items):
        kind = item.get("type", "message") if isinstance(item, Mapping) else None
        if kind == "message":
            role = item.get("role")
            if role not in ("system", "developer", "user", "assistant"):
                raise BadRequest(f"Invalid value for 'input[{i}].role': {role!r}.", f"input[{i}].role")
            entries.append(Entry(_role(role), _content(item.get("content"), f"input[{i}].content")))
        elif kind == "function_call":
            entries.append(_call(item.get("call_id", ""), item.get("name", ""), item.get("arguments", "")))
        elif kind == "function_call_output":
            text = _content(item.get("output"), f"input[{i}].output")
            entries.append(Entry("result", text, id=str(item.get("call_id", ""))))
        elif kind is None:
            raise BadRequest(f"Invalid type for 'input[{i}]': expected an object.", f"input[{i}]")
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
            yield from _functions(tool.get("tools") or [], str(tool.get("name", "")))


def _model_request(
    entries: list[Entry], tools: list[Mapping[str, Any]], body: Mapping[str, Any]
) -> ModelRequest:
    for i, tool in enumerate(tools):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", str(tool.get("name", ""))):
            raise BadRequest(
                f"Invalid 'tools[{i}].name': string does not match pattern. Expected a string that matches "
                "the pattern '^[a-zA-Z0-9_-]+$'.",
                f"tools[{i}].name",
                code="invalid_value",
            )
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


def _require(body: Mapping[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if not isinstance(value, kind):
        what = "Missing required parameter" if value is None else "Invalid type for parameter"
        raise BadRequest(
            f"{what}: '{name}'.", name, code="missing_required_parameter" if value is None else "invalid_type"
        )
    return value


def _role(role: str) -> Any:
    return "system" if role == "developer" else "result" if role == "function" else role


def _content(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            str(part.get("text") or part.get("refusal") or "")
            for part in content
            if isinstance(part, Mapping)
        )
    raise BadRequest(
        f"Invalid type for '{where}': expected a string or an array.", where, code="invalid_type"
    )


def _call(identifier: Any, name: Any, arguments: Any) -> Entry:
    try:
        parsed = read_json(arguments) if isinstance(arguments, str) else arguments
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
