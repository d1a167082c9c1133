"""A conversation as code: a notebook cell that repeats it, or a test of it."""

from __future__ import annotations

import pprint
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from kit.errors import KitError
from kit.openapi.values import unique
from kit.redaction import hide
from kit.web.conversation import Conversation
from kit.web.events import Event
from kit.web.forms import wants
from kit.web.plugins import PluginEntry

FORMS = ("cell", "test")


@dataclass
class _Turn:
    """A message of the user, the ids of the plugins that the model had, and what became of it."""

    text: str
    plugins: list[str]
    calls: list[Event] = field(default_factory=list)
    is_whole: bool = False  # it was not stopped, and did not fail

    def pairs(self) -> list[tuple[str, Any]]:
        """The calls as (operation, arguments)."""
        return [(call["operation"], hide(call["arguments"])) for call in self.calls]

    def allowed(self) -> list[tuple[str, Any] | None]:
        """What was asked about, as the model wrote it, in order; None for what was denied."""
        return [
            (call["operation"], hide(call["wanted"])) if call["allowed"] else None
            for call in self.calls
            if call["asks"]
        ]


def as_code(conversation: Conversation, form: str) -> str:
    """The conversation as Python. It never contains a token, but reads it from the environment.

    A cell asks before each call that may change something. A test makes the calls that were allowed, and no other.
    Raises `KitError` for an unknown form, and for a conversation without a turn for it.
    """
    if form not in FORMS:
        raise KitError(f"There is no form {form!r}.", f"Use one of: {', '.join(FORMS)}.")
    turns = _turns(conversation.log.all)
    if not turns:
        raise KitError("This conversation is empty.", "Send a message first.")
    if form == "test" and not any(turn.is_whole for turn in turns):
        raise KitError("No turn of this conversation has ended well, so there is nothing to test.", "Ask again first.")  # fmt: skip
    ids = {id for turn in turns for id in turn.plugins if form == "cell" or turn.is_whole}
    sources = _Sources([entry for id, entry in conversation.used.items() if id in ids])
    body = _cell(turns, sources) if form == "cell" else _test(turns, sources)
    imports = ["import os", ""] if sources.uses_environment else []
    libraries = ["import pytest", ""] if form == "test" and sources.served else []
    return "\n".join([*imports, *libraries, "import kit", "", *body, ""])


def _turns(events: list[Event]) -> list[_Turn]:
    turns: list[_Turn] = []
    calls: dict[int, Event] = {}
    for event in events:
        kind = event["type"]
        if kind == "user":
            turns.append(_Turn(event["text"], event["plugins"]))
        elif kind == "call":
            # one that needed no question had been allowed for always
            calls[event["n"]] = {**event, "wanted": event["arguments"], "outcome": "", "allowed": True}
            turns[-1].calls.append(calls[event["n"]])
        elif kind == "answer" and not event["again"]:
            calls[event["n"]]["allowed"] = event["answer"] != "deny"
        elif kind == "result":
            calls[event["n"]] |= {"arguments": event["arguments"], "outcome": event["outcome"]}
        elif kind == "done":
            turns[-1].is_whole = True
    return turns


class _Sources:
    """The plugins of a conversation as code: each by its address or, if it was made of a file here, by that."""

    def __init__(self, entries: list[PluginEntry]) -> None:
        self._entries = {entry.id: entry for entry in entries}
        names: dict[str, str] = {}
        for entry in entries:
            names[unique(re.sub(r"\W", "_", entry.id, flags=re.ASCII).lower(), names)] = entry.id
        self._names = {id: name for name, id in names.items()}
        self._secret = [entry.id for entry in entries if entry.plugin.credentials or wants(entry.plugin)]
        self.uses_environment = bool(self._secret)
        # by the name of a variable, the expression that serves it
        self.served = {
            self._server(entry): f"kit.serve(kit.load({entry.file!r}))" for entry in entries if entry.file
        }

    def _server(self, entry: PluginEntry) -> str:
        return f"server_of_{self._names[entry.id]}"

    def chat(self, ids: list[str], confirm: str) -> str:
        """The expression of a chat with these plugins."""
        plugins = [self._plugin(self._entries[id]) for id in ids]
        return f"kit.Chat({', '.join([*plugins, f'confirm={confirm}'])})"

    def _plugin(self, entry: PluginEntry) -> str:
        source = self._server(entry) if entry.file else repr(hide(entry.source))
        if entry.id not in self._secret:
            return f"kit.install({source})"
        # two plugins never share a token
        own = f"_{self._names[entry.id].upper()}" if len(self._secret) > 1 else ""
        if entry.plugin.credentials.sessions or wants(entry.plugin) == "sign_in":
            signed = f'kit.SignIn(os.environ["CLIENT_ID{own}"], os.environ["CLIENT_SECRET{own}"])'
            return f"kit.install({source}, auth={signed})"
        return f'kit.install({source}, auth=os.environ["KIT_TOKEN{own}"])'


def _talk(turns: list[_Turn], sources: _Sources, confirm: str) -> list[tuple[_Turn, list[str]]]:
    """The lines before each turn: they make its chat, with the history of the one before if the plugins are others."""
    talk = []
    earlier: list[str] | None = None
    for turn in turns:
        chat = sources.chat(turn.plugins, confirm)
        if earlier is None:
            lines = [f"chat = {chat}"]
        else:
            lines = [f"history, chat = chat.history, {chat}", "chat.history = history"]
        talk.append((turn, lines if turn.plugins != earlier else []))
        earlier = turn.plugins
    return talk


def _cell(turns: list[_Turn], sources: _Sources) -> list[str]:
    lines = [f"{name} = {server}" for name, server in sources.served.items()]
    for turn, before in _talk(turns, sources, "True"):
        lines += [*before, f"chat({hide(turn.text)!r})"]
    return lines


def _test(turns: list[_Turn], sources: _Sources) -> list[str]:
    lines = []
    for name, server in sources.served.items():
        lines += ["", "@pytest.fixture", f"def {name}():", f"    with {server} as server:", "        yield server", ""]  # fmt: skip
    whole = [turn for turn in turns if turn.is_whole]
    asked = [one for turn in whole for one in turn.allowed()]
    body = []
    confirm = "lambda call: False"
    if asked:
        confirm = "confirm"
        body = [
            "# what you were asked about, in this order: the calls that you allowed, None for one that you denied",
            f"asked = iter({_written(asked)})",
            "",
            "def confirm(call):",
            "    return next(asked, None) == (call.operation, call.arguments)",
            "",
        ]
    for turn, before in _talk(whole, sources, confirm):
        body += [*before, f"reply = chat({hide(turn.text)!r})"]
        body.append(
            f"assert [(call.operation, call.arguments) for call in reply.calls] == {_written(turn.pairs())}"
        )
        if turn.calls:
            outcomes = [call["outcome"] for call in turn.calls]
            body.append(f"assert [call.outcome for call in reply.calls] == {outcomes!r}")
        body.append("")
    left_out = len(turns) - len(whole)
    if left_out:
        body.append(f"# left out, since stopped or failed: {left_out} of {len(turns)} turns")
    test = textwrap.indent("\n".join(body).rstrip(), "    ").split("\n")
    return [*lines, "", f"def test_conversation({', '.join(sources.served)}):", *test]


def _written(value: Any) -> str:
    return pprint.pformat(value, width=90, sort_dicts=False).replace("\n", "\n    ")
