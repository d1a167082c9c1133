"""The history of a conversation: items that every server takes back, whatever one of them has sent.

They are input items of the Responses API. A call has an id that no other has, the name of a tool and an object as
arguments; no text holds half a character; what a model is not asked for (instructions, results) is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kit.openapi.documents import read_json
from kit.tools.tool import legal_name
from kit.visible import encodable

Item = dict[str, Any]

NO_ANSWER = "(no answer)"  # after a question that got none: many servers take no two questions in a row
NO_RESULT = "The turn was broken off before the result came: it is not known whether the call was made."
MAX_ENCODED = 3  # how often arguments may be encoded as text in a text
_ID = re.compile(r"[!-~]{1,64}")  # what OpenAI takes as the id of a call
_OURS = ("function_call_output", "item_reference")  # what only the chat itself puts into a history


@dataclass
class ToolCall:
    """A call of the model. `arguments` is the text that it wrote, which may be anything."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def read(self) -> Item | str:
        """The arguments as an object or, as text, why they are none. No arguments at all are an empty object."""
        text = self.arguments
        for _ in range(MAX_ENCODED):
            if not text.strip():
                return {}
            try:
                value = read_json(text, parse_constant=lambda name: None)
            except ValueError as error:
                return f"the text {error}"
            if value is None:
                return {}
            if isinstance(value, dict):
                return dict(encodable(value))
            if not isinstance(value, str):
                break
            text = value
        return f"{self.arguments:.80}"

    def item(self) -> Item:
        """The call for the history. Arguments that are no object go back to the model as the error of the call."""
        arguments = self.read()
        text = self.arguments
        if not isinstance(arguments, dict) or not _is_plain(text, arguments):
            text = json.dumps(arguments if isinstance(arguments, dict) else {}, ensure_ascii=False)
        name = legal_name(self.name, ())
        return {"type": "function_call", "call_id": self.id, "name": name, "arguments": text}


def _is_plain(text: str, value: Item) -> bool:
    """Whether a text is the JSON of `value`: not encoded twice, without NaN and halves of characters."""
    try:
        return bool(json.loads(text) == value and encodable(text) == text)
    except ValueError:
        return False


def with_ids(calls: Iterable[ToolCall], history: Sequence[Item]) -> None:
    """Gives an id to each call that has none, an impossible one, or another call's."""
    taken = {item["call_id"] for item in history if item.get("type") == "function_call"}
    number = len(history)
    for call in calls:
        while not _ID.fullmatch(call.id) or call.id in taken:
            number += 1
            call.id = f"call{number:05d}"  # nine letters and digits: the only form that Mistral takes
        taken.add(call.id)


def spoken(text: str) -> Item:
    """What the model said."""
    return {"role": "assistant", "content": text}


def closed(history: list[Item], said: str) -> list[Item]:
    """The history after a turn, as every server takes it, although the turn may have been broken off anywhere.

    Each call has an output, and what is said comes last: `said` of the round that was broken off, else that it was nothing.
    """
    done = {item["call_id"] for item in history if item.get("type") == "function_call_output"}
    calls = [item["call_id"] for item in history if item.get("type") == "function_call"]
    whole = [*history, *(result_of(id, NO_RESULT) for id in calls if id not in done)]
    is_open = whole and (whole[-1].get("role") == "user" or whole[-1].get("type") == "function_call_output")
    return [*whole, spoken(said or NO_ANSWER)] if said or is_open else whole


def result_of(id: str, output: str) -> Item:
    """What a call was answered, for the model."""
    return {"type": "function_call_output", "call_id": id, "output": output}


def received(item: Any, call: ToolCall | None = None) -> Item | None:
    """An output item of a server as one of the history; None for what has no place there.

    What OpenAI's items have besides (ids, the reasoning that belongs to a call) is kept: it asks for that.
    """
    if not isinstance(item, dict):
        return None
    kind = item.get("type") or ("message" if "content" in item else "")
    if not isinstance(kind, str) or not kind or kind in _OURS:
        return None
    kept: Item = _without_nothing(encodable({**item, "type": kind}))
    for name in ("id", "status"):
        if not (isinstance(kept.get(name), str) and kept[name]):
            kept.pop(name, None)
    if call is not None:
        return {**kept, **call.item()}
    if kind != "message":
        return kept
    content, text = kept.get("content"), text_of(kept.get("content"))
    if not text:
        return None
    if not isinstance(content, list) or not all(_is_spoken(part) for part in content) or "id" not in kept:
        return spoken(text)
    return {**kept, "role": "assistant"}


def _is_spoken(part: Any) -> bool:
    named = {"output_text": "text", "refusal": "refusal"}
    return isinstance(part, dict) and isinstance(part.get(named.get(str(part.get("type")), "")), str)


def _without_nothing(value: Any) -> Any:
    """Without the nulls: OpenAI sends some that it does not take back."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def messages(history: Sequence[Item]) -> list[Item]:
    """The history as messages of Chat Completions: calls are part of the assistant's message."""
    made: list[Item] = []
    for item in history:
        kind = item.get("type", "message")
        if kind == "message":
            made.append({"role": item["role"], "content": text_of(item["content"])})
        elif kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            if not made or made[-1]["role"] != "assistant":
                made.append({"role": "assistant", "content": None})
            call = {"id": item["call_id"], "type": "function", "function": function}
            made[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            made.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
    return made


def text_of(content: Any) -> str:
    """The text of a message: its content is a text or parts, of which those without text are skipped."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    said = (part.get("text") or part.get("refusal") for part in parts if isinstance(part, dict))
    return "".join(text for text in said if isinstance(text, str))
