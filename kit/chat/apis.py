"""OpenAI's two APIs: the request of one round of a chat in each, and how its answer is read.

The history is kept as input items of the Responses API and converted to messages for Chat Completions,
so that a chat can switch to that API in the middle. What is read are plain JSON objects of servers of all
kinds: nothing in them is sure, and what is unknown is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.chat.answers import DONE, MAX_OUTPUT
from kit.chat.history import Item, ToolCall, messages, received, spoken, text_of, with_ids
from kit.chat.options import Options
from kit.chat.reply import Usage
from kit.errors import ChatError
from kit.markup import short
from kit.visible import encodable

if TYPE_CHECKING:
    import openai

    Client = openai.OpenAI | openai.AsyncOpenAI

Tool = Mapping[str, Any]

MAX_TEXT = 8 * MAX_OUTPUT  # characters of text and arguments in one answer; a token has about four
MAX_PIECES = 1_000  # of one call, each with its name: they are compared with all that came before
MAX_CALLS = 128  # calls in one answer: as many as OpenAI takes tools in one request
INTERRUPTED = "The answer was interrupted: the stream ended before its last event."


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
        self,
        model: str,
        history: Sequence[Item],
        tools: Sequence[Tool],
        instructions: str,
        stream: bool,
        options: Options,
    ) -> None:
        self.request: dict[str, Any] = {"model": model, "input": list(history)}
        if instructions:
            self.request["instructions"] = instructions
        if tools:
            self.request["tools"] = list(tools)
        if stream:
            self.request["stream"] = True
        self.request |= options.of_responses(bool(tools))
        self._history = history
        self._said: list[str] = []
        self._items: list[Any] = []
        self._response: dict[str, Any] | None = None
        self._size = _Size()

    @staticmethod
    def method(client: Client) -> Callable[..., Any]:
        """The client's method that sends the request."""
        return client.responses.with_streaming_response.create

    def read(self, value: dict[str, Any]) -> str:
        """Reads an event, or a whole answer; returns the text that it adds. Raises `ChatError`."""
        kind = value.get("type")
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            text = _text(value.get("delta"))
            self._said.append(text)
            self._size.add(text)
            return text
        if kind == "response.output_item.done":
            self._items.append(value.get("item"))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._response = {"status": kind.partition(".")[2], **_mapping(value.get("response"))}
        elif kind == "error" or (value.get("error") and "output" not in value):
            raise ChatError(f"The API stopped with an error: {_reason(value)}.", "Ask again.")
        elif not kind and ("output" in value or "status" in value):
            self._response = value
            return "".join(_said(received(item)) for item in _mappings(value.get("output")))
        return ""

    def round(self) -> Round:
        """The round that was read. Raises `ChatError` if the answer is not complete."""
        response, note = self._response, ""
        if response is None:
            raise ChatError(INTERRUPTED, "Ask again.")
        if response.get("status") in ("failed", "cancelled"):
            raise ChatError(f"The model failed: {_reason(response)}.", "Ask again.")
        if response.get("status") == "incomplete":
            note = _incomplete(_text(_mapping(response.get("incomplete_details")).get("reason")) or "unknown")
        made = Round(model=_text(response.get("model")), note=note)
        made.usage = _usage(response.get("usage"), "input_tokens", "output_tokens")
        output = _mappings(response.get("output")) or _mappings(self._items)
        by_place = {n: _call_of(item) for n, item in enumerate(output) if item.get("type") == "function_call"}
        made.calls = _checked(by_place.values(), self._history)
        items = [received(item, by_place.get(n)) for n, item in enumerate(output)]
        made.items = [item for item in items if item]
        made.text = "".join(_said(item) for item in made.items)
        if not made.text and any(self._said):  # it came in events only
            made.text = encodable("".join(self._said))
            made.items.insert(0, spoken(made.text))
        return made


class ChatCompletionsAPI:
    """The same over `/v1/chat/completions`."""

    def __init__(
        self,
        model: str,
        history: Sequence[Item],
        tools: Sequence[Tool],
        instructions: str,
        stream: bool,
        options: Options,
    ) -> None:
        system = [{"role": "system", "content": instructions}] if instructions else []
        self.request: dict[str, Any] = {"model": model, "messages": system + messages(history)}
        if tools:
            self.request["tools"] = [
                {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
                for tool in tools
            ]
        if stream:
            self.request |= {"stream": True, "stream_options": {"include_usage": True}}
        self.request |= options.of_chat(bool(tools))
        self._history = history
        self._round = Round()
        self._said: list[str] = []
        self._calls = _Calls()
        self._size = _Size()
        self._finish = ""

    @staticmethod
    def method(client: Client) -> Callable[..., Any]:
        return client.chat.completions.with_streaming_response.create

    def read(self, value: dict[str, Any]) -> str:
        if value.get("type") == DONE["type"]:  # some servers give no other sign
            self._finish = self._finish or ("stop" if self._said else "")
            return ""
        choices = [it for it in _mappings(value.get("choices")) if it.get("index") in (0, None)]
        if value.get("error") or (not choices and "choices" not in value and "detail" in value):
            raise ChatError(f"The API stopped with an error: {_reason(value)}.", "Ask again.")
        self._round.model = _text(value.get("model")) or self._round.model
        if usage := value.get("usage"):
            self._round.usage = _usage(usage, "prompt_tokens", "completion_tokens")
        return "".join(self._read_choice(choice) for choice in choices[:1])

    def _read_choice(self, choice: dict[str, Any]) -> str:
        whole = _mapping(choice.get("message"))
        message = whole or _mapping(choice.get("delta"))
        self._finish = _text(choice.get("finish_reason")) or self._finish or ("stop" if whole else "")
        parts = _mappings(message.get("tool_calls"))
        for place, part in enumerate(parts):
            self._calls.add(part, place if len(parts) > 1 else None)
            self._size.add(_arguments(_mapping(part.get("function"))))
        text = text_of(message.get("content")) or text_of(message.get("refusal"))
        self._said.append(text)
        self._size.add(text)
        return text

    def round(self) -> Round:
        if not self._finish:
            raise ChatError(INTERRUPTED, "Ask again.")
        round = self._round
        if self._finish in ("length", "content_filter", "error"):
            round.note = _incomplete(self._finish)
        round.text = encodable("".join(self._said))
        round.calls = _checked(self._calls.all(), self._history)
        round.items = [spoken(round.text)] if round.text else []
        round.items += [call.item() for call in round.calls]
        return round


API = ResponsesAPI | ChatCompletionsAPI
APIS: dict[str, type[API]] = {"responses": ResponsesAPI, "chat": ChatCompletionsAPI}


class _Calls:
    """The calls of a stream, put together from their pieces.

    OpenAI numbers them and gives the id and the name in the first piece. Elsewhere all have number 0 or none, ids
    are missing, or the name comes with each piece. So a call begins with an id that is new at its number or, where
    ids do not tell, with a name that comes when the call before has its whole object.
    """

    def __init__(self) -> None:
        self._all: list[ToolCall] = []
        self._written: list[list[str]] = []  # the arguments of each, in pieces
        self._at: dict[int, int] = {}  # the latest call of each number
        self._named: dict[str, int] = {}  # the latest call of each id

    def add(self, part: dict[str, Any], place: int | None) -> None:
        """Adds a piece. `place` is its own among several of one event, which stands for a missing number."""
        function = _mapping(part.get("function"))
        id, name, arguments = _text(part.get("id")), _text(function.get("name")), _arguments(function)
        if not (id or name or arguments):
            return
        index = part.get("index")
        index = index if isinstance(index, int) else place
        latest = len(self._all) - 1 if self._all else None
        at = self._at.get(index) if index is not None else self._named.get(id) if id else latest
        repeats = False
        if at is not None:
            is_new, repeats = self._compare(at, id, name, arguments)
            at = None if is_new else at
        if at is None:
            at = len(self._all)
            self._all.append(ToolCall())
            self._written.append([])
        call = self._all[at]
        call.id, call.name = id or call.id, name or call.name
        if arguments and not repeats:
            self._written[at].append(arguments)
        if index is not None:
            self._at[index] = at
        if id:
            self._named[id] = at

    def _compare(self, at: int, id: str, name: str, arguments: str) -> tuple[bool, bool]:
        """Whether a piece begins another call than the one at a place, or says all of that one again."""
        call, written = self._all[at], self._written[at]
        if id and call.id and id != call.id:
            return True, False
        if not name:
            return False, False
        if not id and call.name and not name.startswith(call.name):
            return True, False
        # an object begins, and the one before has ended; after many pieces that is not looked at any more
        if arguments.lstrip()[:1] not in ("{", '"') or not 0 < len(written) < MAX_PIECES:
            return False, False
        before = "".join(written)
        is_whole = before.rstrip()[-1] in ("}", '"') and isinstance(ToolCall("", "", before).read(), dict)
        return is_whole and arguments != before, is_whole and arguments == before

    def all(self) -> list[ToolCall]:
        for call, written in zip(self._all, self._written, strict=True):
            call.arguments = "".join(written)
        return self._all


class _Size:
    """How much an answer has said, up to a limit."""

    def __init__(self) -> None:
        self._characters = 0

    def add(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_TEXT:
            raise ChatError(
                f"The model's answer does not end: more than {MAX_TEXT:,} characters.",
                "Ask again, or limit it with max_tokens=...",
            )


def _checked(calls: Any, history: Sequence[Item]) -> list[ToolCall]:
    """The calls of an answer, with ids. Raises `ChatError` if they are more than a model may make at once."""
    found = list(calls)
    if len(found) > MAX_CALLS:
        raise ChatError(
            f"The model wants to make {len(found):,} calls at once, and the limit is {MAX_CALLS}. None was made.",
            "Ask for less at a time.",
        )
    for call in found:
        call.id, call.name, call.arguments = (
            encodable(call.id),
            encodable(call.name),
            encodable(call.arguments),
        )
    with_ids(found, history)
    return found


def _said(item: Item | None) -> str:
    return text_of(item.get("content")) if item and item.get("role") == "assistant" else ""


def _call_of(item: dict[str, Any]) -> ToolCall:
    return ToolCall(_text(item.get("call_id")), _text(item.get("name")), _arguments(item))


def _arguments(function: dict[str, Any]) -> str:
    """Arguments as text; some servers send the object itself."""
    value = function.get("arguments")
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _incomplete(why: str) -> str:
    hint = ": max_tokens= sets how long it may be" if why in ("length", "max_output_tokens") else ""
    return f"The answer is incomplete ({short(why)}){hint}."


def _reason(value: dict[str, Any]) -> str:
    """What a server says of an error, wherever it says it."""
    error = value.get("error")
    for place in (error, value):
        for name in ("message", "detail", "reason", "code"):
            if text := _text(_mapping(place).get(name)):
                return short(text, 500).rstrip(".")
    if isinstance(error, str) and error:
        return short(error, 500).rstrip(".")
    return short(error, 500) if error else "it gives no reason"


def _usage(value: Any, *names: str) -> Usage:
    numbers = (_mapping(value).get(name) for name in names)
    return Usage(
        *(n if type(n) is int and 0 <= n < 2**53 else 0 for n in numbers)
    )  # what JSON's readers can count


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
