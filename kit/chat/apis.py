"""OpenAI's two APIs: the request of one round of a chat in each, and how its answer is read.

The history is kept as input items of the Responses API and converted to messages for Chat Completions,
so that a chat can switch to that API in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.chat.reply import Usage
from kit.errors import ChatError

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
    from openai.types.chat.chat_completion_chunk import ChoiceDelta
    from openai.types.responses import Response, ResponseStreamEvent

    Client = openai.OpenAI | openai.AsyncOpenAI

Item = dict[str, Any]
Tool = Mapping[str, Any]


@dataclass
class ToolCall:
    """A call as the model wrote it: `arguments` is text that may not be JSON."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Round:
    """The model's answer in one round. `items` is the same in the form of the history."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    note: str = ""  # what the user should know about it


class ResponsesAPI:
    """One round over `/v1/responses`: the request, and the answer as it is read, whole or event by event."""

    def __init__(
        self, model: str, history: Sequence[Item], tools: Sequence[Tool], instructions: str, stream: bool
    ) -> None:
        self.request: dict[str, Any] = {"model": model, "input": list(history)}
        if instructions:
            self.request["instructions"] = instructions
        if tools:
            self.request["tools"] = list(tools)
        if stream:
            self.request["stream"] = True
        self._items: list[Item] = []
        self._response: Response | None = None

    @staticmethod
    def create(client: Client) -> Callable[..., Any]:
        """The client's method that sends the request."""
        return client.responses.create

    def read(self, answer: Response) -> str:
        """Reads a complete answer; returns its text."""
        self._response = answer
        return answer.output_text

    def read_event(self, event: ResponseStreamEvent) -> str:
        """Reads one event of a stream; returns the text that it adds. Raises `ChatError`."""
        if event.type in ("response.output_text.delta", "response.refusal.delta"):
            return event.delta
        if event.type == "response.output_item.done":
            self._items.append(event.item.to_dict(mode="json", exclude_none=True))
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            self._response = event.response
        elif event.type == "error":
            raise ChatError(f"The API stopped with an error: {event.message}.", "Ask again.")
        return ""

    def round(self) -> Round:
        """The round that was read. Raises `ChatError` if the answer is not complete."""
        response, note = self._response, ""
        if response is None:
            raise ChatError(
                "The answer was interrupted: the stream ended before its last event.", "Ask again."
            )
        if response.status == "failed":
            why = response.error.message if response.error else "it gives no reason"
            raise ChatError(f"The model failed: {why}.", "Ask again.")
        if response.status == "incomplete":
            why = (response.incomplete_details and response.incomplete_details.reason) or "unknown"
            note = f"The answer is incomplete ({why})."
        items: list[Item] = [item.to_dict(mode="json", exclude_none=True) for item in response.output]
        items = items or self._items
        calls = [
            ToolCall(item["call_id"], item["name"], item.get("arguments", ""))
            for item in items
            if item.get("type") == "function_call"
        ]
        text = "".join(_text(item["content"]) for item in items if item.get("type") == "message")
        usage = response.usage
        tokens = Usage(usage.input_tokens, usage.output_tokens) if usage else Usage()
        return Round(text, calls, items, tokens, response.model, note)


class ChatCompletionsAPI:
    """The same over `/v1/chat/completions`."""

    def __init__(
        self, model: str, history: Sequence[Item], tools: Sequence[Tool], instructions: str, stream: bool
    ) -> None:
        system = [{"role": "system", "content": instructions}] if instructions else []
        self.request: dict[str, Any] = {"model": model, "messages": system + _messages(history)}
        if tools:
            self.request["tools"] = [
                {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
                for tool in tools
            ]
        if stream:
            self.request |= {"stream": True, "stream_options": {"include_usage": True}}
        self._round = Round()
        self._calls: dict[int, ToolCall] = {}
        self._is_finished = False

    @staticmethod
    def create(client: Client) -> Callable[..., Any]:
        return client.chat.completions.create

    def read(self, answer: ChatCompletion) -> str:
        self._read_metadata(answer)
        return "".join(self._read_message(choice.message) for choice in answer.choices[:1])

    def read_event(self, event: ChatCompletionChunk) -> str:
        self._read_metadata(event)
        return "".join(self._read_message(choice.delta) for choice in event.choices[:1])

    def _read_metadata(self, answer: ChatCompletion | ChatCompletionChunk) -> None:
        self._round.model = answer.model or self._round.model
        if answer.usage:
            self._round.usage = Usage(answer.usage.prompt_tokens, answer.usage.completion_tokens)
        if any(choice.finish_reason is not None for choice in answer.choices[:1]):
            self._is_finished = True

    def _read_message(self, message: ChatCompletionMessage | ChoiceDelta) -> str:
        for n, part in enumerate(message.tool_calls or []):
            call = self._calls.setdefault(getattr(part, "index", None) or n, ToolCall())
            call.id = part.id or call.id
            if function := getattr(part, "function", None):
                call.name += function.name or ""
                call.arguments += function.arguments or ""
        text = message.content or message.refusal or ""
        self._round.text += text
        return text

    def round(self) -> Round:
        if not self._is_finished:
            raise ChatError(
                "The answer was interrupted: the stream ended without a finish_reason.", "Ask again."
            )
        round = self._round
        round.calls = [self._calls[i] for i in sorted(self._calls)]
        if round.text:
            round.items.append({"role": "assistant", "content": round.text})
        round.items += [
            {"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments}
            for c in round.calls
        ]
        return round


API = ResponsesAPI | ChatCompletionsAPI
APIS: dict[str, type[API]] = {"responses": ResponsesAPI, "chat": ChatCompletionsAPI}


def _messages(history: Sequence[Item]) -> list[Item]:
    """The history as messages of Chat Completions: calls are part of the assistant's message."""
    messages: list[Item] = []
    for item in history:
        kind = item.get("type", "message")
        if kind == "message":
            messages.append({"role": item["role"], "content": _text(item["content"])})
        elif kind == "function_call":
            call = {
                "id": item["call_id"],
                "type": "function",
                "function": {"name": item["name"], "arguments": item["arguments"]},
            }
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
    return messages


def _text(content: str | list[Item]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("refusal") or "" for part in content)
