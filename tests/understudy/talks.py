"""Plays the conversations of `utterances/conversations-*.json`, and says of each turn whether it was right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from learn import NOW, same

from kit.understudy.dialogue import Answer, respond
from kit.understudy.memory import Entry
from kit.understudy.slots import ToolReading, read_tools


def turns(*paths: Path) -> Iterator[tuple[str, bool, str]]:
    """(kind of turn, whether it was right, what was said and answered) of each turn."""
    for path in paths:
        for name, plugin in json.loads(path.read_text("utf-8")).items():
            tools = read_tools(plugin["tools"])
            for talk in plugin["talks"]:
                yield from _talk(name, talk["turns"], tools)


def _talk(name: str, said: list[dict[str, Any]], tools: list[ToolReading]) -> Iterator[tuple[str, bool, str]]:
    entries: list[Entry] = []
    for turn in said:
        entries.append(Entry("user", turn["user"]))
        expect, answer = turn["expect"], respond(entries, tools, now=NOW)
        kind = next(key for key in ("tool", "asks", "says") if key in expect)
        told = f"{name}: {turn['user']!r} -> {[(c.name, c.arguments) for c in answer.calls] or answer.text[:120]!r}, wanted {expect}"
        yield kind, _is_right(answer, kind, expect), told
        # the conversation goes on as it should have gone
        if kind == "tool":
            call = Entry("call", id=str(len(entries)), name=expect["tool"], arguments=expect["arguments"])
            entries += [call, Entry("result", json.dumps(turn.get("result")), id=call.id)]
            answer = respond(entries, tools, now=NOW)
        entries.append(Entry("assistant", answer.text if not answer.calls else "Done."))


def _is_right(answer: Answer, kind: str, expect: dict[str, Any]) -> bool:
    if kind == "tool":
        calls = [(call.name, call.arguments) for call in answer.calls]
        return len(calls) == 1 and calls[0][0] == expect["tool"] and same(calls[0][1], expect["arguments"])
    return not answer.calls and (kind == "says" or answer.text.endswith("?"))
