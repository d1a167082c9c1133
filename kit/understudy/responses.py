"""The understudy's answers in OpenAI's formats: whole, as chunks, as events.

Shapes: OpenAI's own API description (github.com/openai/openai-openapi, version 2.3.0), against which
the tests validate every answer and event.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

from kit.understudy.dialogue import Answer
from kit.understudy.requests import ModelRequest, tokens

MODEL = "understudy-no-language-model"


def identifier(prefix: str, *parts: Any) -> str:
    """An id that is the same for the same request: the understudy is deterministic."""
    return f"{prefix}_{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"


def _pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def chat_completion(request: ModelRequest, answer: Answer) -> dict[str, Any]:
    """The answer as `chat.completion`."""
    seed = identifier("chatcmpl", request.entries, request.choice)
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = _chat_calls(seed, answer)
    choices = [
        {
            "index": i,
            "message": message,
            "logprobs": None,
            "finish_reason": "tool_calls" if answer.calls else "stop",
        }
        for i in range(int(request.body.get("n") or 1))
    ]
    return {
        "id": seed,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": choices,
        "usage": _chat_usage(request, answer),
    }


def chat_chunks(request: ModelRequest, answer: Answer) -> Iterator[dict[str, Any]]:
    """The same as a stream of `chat.completion.chunk`."""
    seed = identifier("chatcmpl", request.entries, request.choice)
    created = int(time.time())
    with_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))

    def chunk(choices: list[dict[str, Any]], usage: Any = None) -> dict[str, Any]:
        out = {
            "id": seed,
            "object": "chat.completion.chunk",
            "created": created,
            "model": MODEL,
            "choices": choices,
        }
        return {**out, "usage": usage} if usage else out

    def delta(content: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return chunk([{"index": 0, "delta": content, "finish_reason": finish}])

    yield delta({"role": "assistant", "content": "" if not answer.calls else None})
    for piece in _pieces(answer.text):
        yield delta({"content": piece})
    for i, call in enumerate(_chat_calls(seed, answer)):
        function = call["function"]
        yield delta(
            {"tool_calls": [{"index": i, **call, "function": {"name": function["name"], "arguments": ""}}]}
        )
        for piece in _pieces(function["arguments"]):
            yield delta({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield delta({}, "tool_calls" if answer.calls else "stop")
    if with_usage:
        yield chunk([], _chat_usage(request, answer))


def _chat_calls(seed: str, answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": identifier("call", seed, i, step.name),
            "type": "function",
            "function": {"name": step.name, "arguments": json.dumps(step.arguments, ensure_ascii=False)},
        }
        for i, step in enumerate(answer.calls)
    ]


def _output_tokens(answer: Answer) -> int:
    return tokens(answer.text + "".join(step.name + json.dumps(step.arguments) for step in answer.calls))


def _chat_usage(request: ModelRequest, answer: Answer) -> dict[str, int]:
    tokens_in, tokens_out = request.input_tokens, _output_tokens(answer)
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }


def response(request: ModelRequest, answer: Answer, status: str = "completed") -> dict[str, Any]:
    """The answer as a `response` of the Responses API."""
    body = request.body
    seed = identifier("resp", request.entries, request.choice)
    done = status == "completed"
    tokens_in, tokens_out = request.input_tokens, _output_tokens(answer)
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
    return {
        "id": seed,
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": MODEL,
        "output": output_items(seed, request, answer) if done else [],
        "parallel_tool_calls": request.parallel,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "metadata": body.get("metadata") or {},
        **({"usage": usage} if done else {}),  # the schema does not allow null before the end
    }


def output_items(
    seed: str, request: ModelRequest, answer: Answer, status: str = "completed"
) -> list[dict[str, Any]]:
    """The output of a response: one message, or function calls."""
    if not answer.calls:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        return [
            {
                "id": identifier("msg", seed),
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [part],
            }
        ]
    spaces = {tool["name"]: tool["namespace"] for tool in request.tools if tool.get("namespace")}
    items = []
    for i, step in enumerate(answer.calls):
        item = {
            "id": identifier("fc", seed, i),
            "type": "function_call",
            "status": status,
            "call_id": identifier("call", seed, i, step.name),
            "name": step.name,
            "arguments": json.dumps(step.arguments, ensure_ascii=False),
        }
        items.append({**item, "namespace": spaces[step.name]} if step.name in spaces else item)
    return items


def response_events(request: ModelRequest, answer: Answer) -> Iterator[dict[str, Any]]:
    """The same as the Responses API streams it: each event with its type and number."""
    seed = identifier("resp", request.entries, request.choice)
    numbers = itertools.count()

    def event(kind: str, **facts: Any) -> dict[str, Any]:
        return {"type": kind, "sequence_number": next(numbers), **facts}

    started = response(request, answer, "in_progress")
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    for i, item in enumerate(output_items(seed, request, answer)):
        place = {"item_id": item["id"], "output_index": i}
        if item["type"] == "message":
            part = item["content"][0]
            added = {**item, "status": "in_progress", "content": []}
            yield event("response.output_item.added", output_index=i, item=added)
            at = {**place, "content_index": 0}
            yield event("response.content_part.added", **at, part={**part, "text": ""})
            for piece in _pieces(part["text"]):
                yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
            yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **at, part=part)
        else:
            name, arguments = item["name"], item["arguments"]
            added = {**item, "status": "in_progress", "arguments": ""}
            yield event("response.output_item.added", output_index=i, item=added)
            for piece in _pieces(arguments):
                yield event("response.function_call_arguments.delta", **place, delta=piece)
            yield event("response.function_call_arguments.done", **place, name=name, arguments=arguments)
        yield event("response.output_item.done", output_index=i, item=item)
    yield event("response.completed", response=response(request, answer))


def model() -> dict[str, Any]:
    """The one model there is."""
    return {"id": MODEL, "object": "model", "created": 1_767_225_600, "owned_by": "notebook-plugin-kit"}
