"""What a conversation has settled: the last call, the arguments said so far, the things in the last result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.understudy.choice import REMEMBERED, Choice
from kit.understudy.sentence import Sentence
from kit.understudy.slots import Slot

_NAME = re.compile(
    r"(?:\bmy name is|\bi'm|\bi am|\bthis is|\buser(?:'s name)? is|\buser(?:name)?:)\s+([A-Z][\w-]*|(?<=is )[a-z][\w-]*)",
    re.IGNORECASE,
)
_IT = frozenset("it that this one them those these".split())
_LAST = re.compile(r"\bthe last(?: one)?\b", re.IGNORECASE)
_HOST = re.compile(
    r"<([a-z]+[-_][a-z_-]+)>.*?</\1>", re.DOTALL
)  # `<system-reminder>`, `<environment_context>`


@dataclass
class Entry:
    """One entry of a conversation. A call has `name` and `arguments`, its result the same `id`."""

    role: Literal["system", "user", "assistant", "call", "result"]
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """What the person said, without what their host put beside it."""
        return _HOST.sub(" ", self.text)


@dataclass
class Memory:
    """What the entries so far have settled."""

    known: dict[str, Any] = field(default_factory=dict)  # the arguments of all calls
    last_call: Entry | None = None
    things: list[Any] = field(default_factory=list)  # what the last result lists, or is
    person: str = ""

    def hear(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.role == "call":
                self.known.update(entry.arguments)
                self.last_call = entry
            elif entry.role == "result":
                self.things = _things(entry.text) or self.things
            elif entry.role in ("system", "user"):
                self.person = next(
                    (match[1] for match in reversed([*_NAME.finditer(entry.said)])), self.person
                )

    def complete(self, sentence: Sentence, chosen: Choice) -> tuple[dict[str, Any], list[Slot]]:
        """The arguments, with those that the conversation has settled, and those still missing."""
        arguments = dict(chosen.filling.arguments)
        for name, candidate in chosen.filling.chosen.items():
            value = sentence.taken.get(candidate.first)
            if value and value.unit == "th" and candidate.last - candidate.first == 1:
                arguments[name] = self._at(value.value, name, candidate.value)
        missing = []
        for slot in chosen.filling.missing:
            found = self.settled(slot, sentence)
            if found is None:
                missing.append(slot)
            else:
                arguments[slot.name] = found
        for slot in chosen.tool.slots:
            if slot.name in chosen.tool.nullable and slot.name not in arguments:
                arguments[slot.name] = None
        return arguments, missing

    def settled(self, slot: Slot, sentence: Sentence) -> Any:
        """What the conversation says of an argument that the sentence does not; None if it says nothing."""
        place = next((value.value for value in sentence.values if value.unit == "th"), None)
        if _LAST.search(sentence.text):
            place = len(self.things)
        if place and (found := self._at(place, slot.name, None)) is not None:
            return found
        refers = place or {t.low for t in sentence.tokens} & _IT
        if refers and self.things and (found := _key(self.things[-1], slot.name)) is not None:
            return found
        if slot.name in self.known and (slot.kind in REMEMBERED or (refers and "index" in slot.roles)):
            return self.known[slot.name]
        return self.person if slot.kind == "person" and self.person else None

    def _at(self, place: int, name: str, said: Any) -> Any:
        """`the second one`: the key of the second thing that was shown; its place, if things have no keys."""
        if 0 < place <= len(self.things) and isinstance(self.things[place - 1], Mapping):
            found = _key(self.things[place - 1], name)
            return said if found is None else found
        return said


def _things(text: str) -> list[Any]:
    try:
        data = json.loads(text)
    except ValueError:
        return []
    if isinstance(data, Mapping):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    return data if isinstance(data, list) else []


def _key(thing: Any, name: str) -> Any:
    """A thing's value for an argument: under its name, or its id for a `todo_id`."""
    if not isinstance(thing, Mapping):
        return None
    keys = {str(key).lower().replace("_", ""): value for key, value in thing.items()}
    low = name.lower().replace("_", "")
    if low not in keys and re.search(r"(?:id|idx|index|number|no|key|code)$", low):
        ending = next(
            (key for key in keys if low.endswith(key) and key in ("id", "number", "key", "code")), "id"
        )
        return keys.get(ending)
    return keys.get(low)
