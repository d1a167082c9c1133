"""The model behind a chat: which client, which of OpenAI's two APIs, and one round of either.

The history is kept as input items of the Responses API. For Chat Completions it is written as
messages, so that a chat can go over to that API in the middle.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kit.errors import ChatError
from kit.redaction import HIDDEN, hide
from kit.reply import TextDelta, Usage

if TYPE_CHECKING:
    import openai

DEFAULT_MODEL = "gpt-5-mini"  # for OpenAI itself; OPENAI_MODEL or model= say otherwise
NO_KEY = (
    "No OPENAI_API_KEY is set: the understudy answers. It is no language model, it only matches words. "
    "For a real one, set OPENAI_API_KEY (or OPENAI_BASE_URL for Ollama, vLLM and others) and OPENAI_MODEL."
)
NO_RESPONSES = "This server has no /v1/responses: Chat Completions is used."

Item = dict[str, Any]

# Errors of the openai package, the special ones first: what to say of them, and what to do.
_FAILURES = {
    "AuthenticationError": ("The API refuses the key", "Check OPENAI_API_KEY."),
    "NotFoundError": ("The API does not know what was asked for", "Check OPENAI_MODEL or model=."),
    "RateLimitError": ("The API refuses for now, tried again in vain", "Wait, or check the quota."),
    "BadRequestError": ("The API refuses the request", "See what it says; the chat can go on."),
    "InternalServerError": ("The API failed, tried again in vain", "Ask again later."),
    "APITimeoutError": ("The API did not answer in time", "Ask again."),
    "APIConnectionError": ("The API cannot be reached", "Check OPENAI_BASE_URL and the connection."),
}


@dataclass
class ToolCall:
    """A call as the model wrote it: `arguments` is its text, which may be no JSON."""

    id: str
    name: str
    arguments: str


@dataclass
class Round:
    """What the model said in one round. `items` is that, as the history keeps it."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model: str = ""


class Model:
    """A client, a model's name and an API. `notes` collects what the reader should be told."""

    def __init__(self, client: Any = None, model: str | None = None, api: str = "responses") -> None:
        if api not in ("responses", "chat"):
            raise ChatError(f"There is no api {api!r}.", "Use 'responses' or 'chat'.")
        self.api = api
        self.notes: list[str] = []
        self.is_understudy = False
        self._client = client
        self._name = model
        self._is_streaming = False
        if client is None and not (os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")):
            self.is_understudy = True
            self.notes.append(NO_KEY)

    async def round(
        self,
        history: Sequence[Item],
        tools: Sequence[Mapping[str, Any]],
        instructions: str,
        stream: bool = True,
    ) -> AsyncIterator[TextDelta | Round]:
        """One request: the text as it comes, and at the end the `Round`. Raises `ChatError`.

        Without `stream` the text comes in one piece: where nobody watches, that is quicker.
        """
        import httpx2
        import openai

        while True:
            self._is_streaming = False
            ask = self._responses if self.api == "responses" else self._chat
            try:
                async for event in ask(history, tools, instructions, stream):
                    yield event
                return
            except openai.APIStatusError as error:
                if self.api == "responses" and _has_no_responses(error):
                    self.api = "chat"
                    self.notes.append(NO_RESPONSES)
                    continue
                raise self._failure(error) from None
            except (openai.APIError, httpx2.HTTPError) as error:
                if self._is_streaming:
                    raise ChatError(f"The answer broke off: {self._safe(error)}", "Ask again.") from None
                raise self._failure(error) from None

    async def _responses(
        self, history: Sequence[Item], tools: Sequence[Mapping[str, Any]], instructions: str, stream: bool
    ) -> AsyncIterator[TextDelta | Round]:
        request: dict[str, Any] = {"model": await self._model(), "input": list(history)}
        if instructions:
            request["instructions"] = instructions
        if tools:
            request["tools"] = list(tools)
        create = self.client.responses.create
        items: list[Item] = []
        response = None
        if not stream:
            response = await self._whole(create, request)
            if response.output_text:
                yield TextDelta(response.output_text)
        async for event in self._events(create, request) if stream else _nothing():
            if event.type in ("response.output_text.delta", "response.refusal.delta"):
                yield TextDelta(event.delta)
            elif event.type == "response.output_item.done":
                items.append(event.item.to_dict(mode="json", exclude_none=True))
            elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                response = event.response
            elif event.type == "error":
                raise ChatError(f"The API stopped with an error: {event.message}.", "Ask again.")
        if response is None:
            raise ChatError("The answer broke off: the stream ended before its last event.", "Ask again.")
        if response.status == "failed":
            why = response.error.message if response.error else "it does not say why"
            raise ChatError(f"The model failed: {why}.", "Ask again.")
        if response.status == "incomplete":
            why = response.incomplete_details.reason if response.incomplete_details else "unknown"
            self.notes.append(f"The answer is incomplete ({why}).")
        items = [item.to_dict(mode="json", exclude_none=True) for item in response.output] or items
        usage = (
            Usage(response.usage.input_tokens, response.usage.output_tokens) if response.usage else Usage()
        )
        calls = [
            ToolCall(item["call_id"], item["name"], item.get("arguments", ""))
            for item in items
            if item.get("type") == "function_call"
        ]
        text = "".join(
            part.get("text") or part.get("refusal") or ""
            for item in items
            if item.get("type") == "message"
            for part in item["content"]
        )
        yield Round(text, calls, items, usage, response.model)

    async def _chat(
        self, history: Sequence[Item], tools: Sequence[Mapping[str, Any]], instructions: str, stream: bool
    ) -> AsyncIterator[TextDelta | Round]:
        messages = [{"role": "system", "content": instructions}] if instructions else []
        request: dict[str, Any] = {"model": await self._model(), "messages": messages + _messages(history)}
        if tools:
            request["tools"] = [
                {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
                for tool in tools
            ]
        create = self.client.chat.completions.create
        made = Round()
        calls: dict[int, ToolCall] = {}
        is_finished = False
        if stream:
            chunks = self._events(create, {**request, "stream_options": {"include_usage": True}})
        else:
            chunks = _alone(await self._whole(create, request))
        async for chunk in chunks:
            made.model = chunk.model or made.model
            if chunk.usage:
                made.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices[:1]:
                is_finished = is_finished or choice.finish_reason is not None
                said = choice.delta if stream else choice.message
                text = said.content or said.refusal
                if text:
                    made.text += text
                    yield TextDelta(text)
                for n, part in enumerate(said.tool_calls or []):
                    call = calls.setdefault(getattr(part, "index", None) or n, ToolCall("", "", ""))
                    call.id = part.id or call.id
                    if part.function:
                        call.name += part.function.name or ""
                        call.arguments += part.function.arguments or ""
        if not is_finished:
            raise ChatError("The answer broke off: the stream ended without a finish_reason.", "Ask again.")
        made.calls = [calls[i] for i in sorted(calls)]
        if made.text:
            made.items.append({"role": "assistant", "content": made.text})
        made.items += [
            {"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments}
            for c in made.calls
        ]
        yield made

    @property
    def client(self) -> Any:
        """The openai client: the one given, else one made from the environment, else the understudy's."""
        if self._client is None:
            if self.is_understudy:
                from kit import understudy

                self._client = _client(understudy.shared().base_url, "none")
            else:
                # Servers other than OpenAI's need no key, but the client wants some text.
                key = os.environ.get("OPENAI_API_KEY") or "none"
                self._client = _client(os.environ.get("OPENAI_BASE_URL"), key)
        return self._client

    def _failure(self, error: Exception) -> ChatError:
        kind = next((k for k in type(error).__mro__ if k.__name__ in _FAILURES), None)
        problem, remedy = _FAILURES[kind.__name__] if kind else ("The API failed", "Ask again.")
        return ChatError(f"{problem}: {self._safe(error)}", remedy)

    def _safe(self, error: Exception) -> str:
        """What an error says, without the key: OpenAI repeats a refused one."""
        key = getattr(self.client, "api_key", "")
        said = getattr(error, "message", None) or str(error)
        return str(hide(said.replace(key, HIDDEN) if len(key) > 4 else said))

    async def _model(self) -> str:
        if self._name is None:
            self._name = os.environ.get("OPENAI_MODEL")
        if self._name is None:
            if "api.openai.com" in str(self.client.base_url):
                self._name = DEFAULT_MODEL
            else:
                self._name = await self._first_model()
        return self._name

    async def _first_model(self) -> str:
        """A compatible server serves what it serves: its first model is meant."""
        page = self.client.models.list()
        page = await page if hasattr(page, "__await__") else page
        if not page.data:
            raise ChatError(
                f"The server at {self.client.base_url} lists no model.",
                "Give model= or OPENAI_MODEL.",
            )
        return str(page.data[0].id)

    async def _whole(self, create: Any, request: dict[str, Any]) -> Any:
        import openai

        if isinstance(self.client, openai.OpenAI):
            return await asyncio.to_thread(create, **request)
        return await create(**request)

    async def _events(self, create: Any, request: dict[str, Any]) -> AsyncIterator[Any]:
        """The events of a stream, from an async client or, in a thread, from a sync one."""
        import openai

        if not isinstance(self.client, openai.OpenAI):
            async with await create(**request, stream=True) as stream:
                self._is_streaming = True
                async for event in stream:
                    yield event
            return
        stream = await asyncio.to_thread(create, **request, stream=True)
        self._is_streaming = True
        end = object()
        try:
            events = iter(stream)
            while (event := await asyncio.to_thread(next, events, end)) is not end:
                yield event
        finally:
            stream.close()


async def _alone(item: Any) -> AsyncIterator[Any]:
    yield item


async def _nothing() -> AsyncIterator[Any]:
    return
    yield


@lru_cache(maxsize=8)
def _client(base_url: str | None, key: str) -> openai.AsyncOpenAI:
    """One client, with one pool of connections, for all chats with the same server."""
    import openai

    return openai.AsyncOpenAI(base_url=base_url, api_key=key)


def _messages(history: Sequence[Item]) -> list[Item]:
    """The history as messages of Chat Completions: calls belong to the assistant's message."""
    messages: list[Item] = []
    for item in history:
        kind = item.get("type", "message")
        if kind == "message":
            content = item["content"]
            if not isinstance(content, str):
                content = "".join(part.get("text") or part.get("refusal") or "" for part in content)
            messages.append({"role": item["role"], "content": content})
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


def _has_no_responses(error: openai.APIStatusError) -> bool:
    """Whether the path is unknown, rather than the model."""
    return error.status_code in (404, 405, 501) and "model" not in str(error.message).lower()
