"""A conversation as code: a notebook cell that repeats it, or a test of it."""

from __future__ import annotations

import pprint
from typing import Any

from kit.errors import KitError
from kit.redaction import hide
from kit.web.conversation import Conversation
from kit.web.plugins import PluginEntry

FORMS = ("cell", "test")

Turn = tuple[str, list[dict[str, Any]]]  # the user's message, and the calls with their results


def as_code(conversation: Conversation, plugins: list[PluginEntry], form: str) -> str:
    """The conversation as Python. It never contains a token, but reads it from the environment.

    Raises `KitError` for an unknown form, and for an empty conversation.
    """
    if form not in FORMS:
        raise KitError(f"There is no form {form!r}.", f"Use one of: {', '.join(FORMS)}.")
    turns = _turns(conversation)
    if not turns:
        raise KitError("This conversation is empty.", "Send a message first.")
    calls = {event["n"]: event["operation"] for event in conversation.events if event["type"] == "call"}
    denied = {calls[e["n"]] for e in conversation.events if e["type"] == "answer" and e["answer"] == "deny"}
    chat = _chat(plugins, sorted(denied))
    imports = ["import os", ""] if any(entry.plugin.credentials for entry in plugins) else []
    body = _cell(turns, chat) if form == "cell" else _test(turns, chat)
    return "\n".join([*imports, "import kit", "", *body, ""])


def _turns(conversation: Conversation) -> list[Turn]:
    """The turns, each with its calls and their outcomes."""
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


def _chat(plugins: list[PluginEntry], denied: list[str]) -> str:
    arguments = []
    several = sum(bool(entry.plugin.credentials) for entry in plugins) > 1
    for entry in plugins:
        own = f"_{entry.id.upper().replace('-', '_')}" if several else ""  # two plugins never share a token
        variable = f'os.environ["KIT_TOKEN{own}"]'
        if entry.plugin.credentials.sessions:
            auth = f', auth=kit.SignIn(os.environ["CLIENT_ID{own}"], os.environ["CLIENT_SECRET{own}"])'
        else:
            auth = f", auth={variable}" if entry.plugin.credentials else ""
        arguments.append(f"kit.install({hide(entry.source)!r}{auth})")
    if denied:
        arguments.append(f"confirm=lambda call: call.operation not in {denied!r}")
    return f"chat = kit.Chat({', '.join(arguments)})"


def _cell(turns: list[Turn], chat: str) -> list[str]:
    return [chat, *(f"chat({hide(text)!r})" for text, _ in turns)]


def _test(turns: list[Turn], chat: str) -> list[str]:
    lines = ["", "def test_conversation():", f"    {chat}"]
    for text, calls in turns:
        pairs = [(call["operation"], hide(call["arguments"])) for call in calls]
        expected = pprint.pformat(pairs, width=90, sort_dicts=False).replace("\n", "\n        ")
        lines += [
            "",
            f"    reply = chat({hide(text)!r})",
            f"    assert [(call.operation, call.arguments) for call in reply.calls] == {expected}",
        ]
        if calls:
            outcomes = [call.get("outcome", "") for call in calls]
            lines.append(f"    assert [call.outcome for call in reply.calls] == {outcomes!r}")
    return lines
