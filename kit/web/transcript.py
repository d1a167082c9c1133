"""A conversation written down as code: a notebook cell that holds it again, or a test of it."""

from __future__ import annotations

import pprint
from typing import Any

from kit.errors import KitError
from kit.redaction import hide
from kit.web.conversation import Conversation
from kit.web.plugins import PluginEntry

FORMS = ("cell", "test")

Turn = tuple[str, list[dict[str, Any]]]  # what the user said, and the calls with their results


def as_code(conversation: Conversation, plugins: list[PluginEntry], form: str) -> str:
    """The conversation as Python. A token is never in it: it is read from KIT_TOKEN.

    Raises `KitError` for another form, and where nothing was said yet.
    """
    if form not in FORMS:
        raise KitError(f"There is no form {form!r}.", f"There are: {', '.join(FORMS)}.")
    turns = _turns(conversation)
    if not turns:
        raise KitError("Nothing was said yet.", "Say something first.")
    calls = {event["n"]: event["operation"] for event in conversation.events if event["type"] == "call"}
    denied = {calls[e["n"]] for e in conversation.events if e["type"] == "answer" and e["answer"] == "deny"}
    chat = _chat(plugins, sorted(denied))
    return "\n".join([*_head(plugins), *(_cell(turns, chat) if form == "cell" else _test(turns, chat)), ""])


def _turns(conversation: Conversation) -> list[Turn]:
    """The turns, each with what became of its calls."""
    turns: list[Turn] = []
    for event in conversation.events:
        if event["type"] == "user":
            turns.append((event["text"], []))
        elif event["type"] == "call":
            turns[-1][1].append({**event})
        elif event["type"] == "result":
            call = next(c for _, calls in turns for c in calls if c["n"] == event["n"])
            call |= {"arguments": event["arguments"], "ok": event["ok"], "outcome": event["outcome"]}
    return turns


def _install(plugins: list[PluginEntry]) -> list[str]:
    lines = []
    for entry in plugins:
        token = ', token=os.environ["KIT_TOKEN"]' if entry.token else ""
        lines.append(f"kit.install({entry.source!r}{token})")
    return lines


def _head(plugins: list[PluginEntry]) -> list[str]:
    return (
        ["import os", "", "import kit", ""] if any(entry.token for entry in plugins) else ["import kit", ""]
    )


def _chat(plugins: list[PluginEntry], denied: list[str]) -> str:
    arguments = _install(plugins)
    if denied:
        arguments.append(f"confirm=lambda call: call.operation not in {denied!r}")
    return f"chat = kit.Chat({', '.join(arguments)})"


def _cell(turns: list[Turn], chat: str) -> list[str]:
    return [chat, *(f"chat({hide(text)!r})" for text, _ in turns)]


def _test(turns: list[Turn], chat: str) -> list[str]:
    lines = ["", "def test_conversation():", f"    {chat}"]
    for text, calls in turns:
        made = [(call["operation"], hide(call["arguments"])) for call in calls]
        expected = pprint.pformat(made, width=90, sort_dicts=False).replace("\n", "\n        ")
        lines += [
            "",
            f"    reply = chat({hide(text)!r})",
            f"    assert [(call.operation, call.arguments) for call in reply.calls] == {expected}",
        ]
        if calls:
            outcomes = [call.get("outcome", "") for call in calls]
            lines.append(f"    assert [call.outcome for call in reply.calls] == {outcomes!r}")
    return lines
