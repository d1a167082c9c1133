"""What the understudy does next in a conversation: call something, ask for something, or say something.

It keeps no state. What it has done before is read from the conversation, which a client sends whole with
every request, so the same conversation always gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from kit.understudy import prose
from kit.understudy.candidates import Finder
from kit.understudy.choice import Choice, choose, is_question, is_small_talk, rank
from kit.understudy.context import Context
from kit.understudy.filling import fill
from kit.understudy.memory import Entry, Memory
from kit.understudy.sentence import Sentence, read
from kit.understudy.several import repeated, split
from kit.understudy.slots import TEXTS, Slot, ToolReading
from kit.understudy.weights import learned
from kit.understudy.words import QUESTION

_FOLLOWING = re.compile(
    r"\s*(?:and|what about|how about|and what about|now|(?:and )?(?:the )?same(?: thing)?(?: again)? (?:for|with|in)|also)\b"
    r"|.*\b(?:too|as well|instead)\W*$",
    re.IGNORECASE,
)
_INTERJECTION = re.compile(
    r"^\s*(?:(?:oh|ah|ok|okay|wait|hm+|no|nope|actually|sorry|well|but|then)\b[ ,.!]+)+", re.IGNORECASE
)
_YES = re.compile(
    r"\s*(?:yes|yeah|yep|sure|please do|true|of course|ok(?:ay)?|do it|go ahead)\b", re.IGNORECASE
)
_NO = re.compile(r"\s*(?:no|nope|not|don't|false)\b", re.IGNORECASE)
_LEAD = re.compile(
    r"^\s*(?:(?:it is|it's|its|that is|that's|i mean|make it|use|for|to|in|at|of|the|my name is|i'm|i am|please|take|say|ok|okay|,|:)\s+)+",
    re.IGNORECASE,
)
MAX_LENGTH = 2000  # characters of a message: what the words of one are compared with grows with their square


@dataclass
class Step:
    """One call to make. `guesses` are the arguments that were not said plainly."""

    name: str
    arguments: dict[str, Any]
    guesses: dict[str, Any] = field(default_factory=dict)


@dataclass
class Answer:
    """What comes next: calls, or text if there are none."""

    calls: list[Step] = field(default_factory=list)
    text: str = ""


@dataclass
class _Plan:
    """What a user's words ask for: `steps`, and the call `pending` of `tool`, whose arguments `missing` are not known."""

    steps: list[Step] = field(default_factory=list)
    tool: ToolReading | None = None
    missing: list[Slot] = field(default_factory=list)
    pending: Step | None = None

    @property
    def question(self) -> str:
        if not self.tool or not self.pending:
            return ""
        if not self.missing:
            return prose.confirm(self.pending.name, self.pending.arguments)
        return prose.ask(self.tool, self.missing[0])


def respond(
    entries: Sequence[Entry],
    tools: Sequence[ToolReading],
    *,
    choice: str = "auto",
    parallel: bool = True,
    now: datetime | None = None,
) -> Answer:
    """The next move. `choice` is auto, none, required, or the name of the tool that must be called; `now` is today."""
    last = max((i for i, entry in enumerate(entries) if entry.role == "user"), default=None)
    if last is None:
        return Answer(text=prose.greet(tools))
    calls = [entry for entry in entries[last + 1 :] if entry.role == "call"]
    outputs = {entry.id: entry.text for entry in entries[last + 1 :] if entry.role == "result"}
    results = [(call.name, call.arguments, outputs[call.id]) for call in calls if call.id in outputs]
    plan = _Planner(tools if choice != "none" else [], choice, now).replay(entries[: last + 1])
    waiting = plan.steps[len(calls) :]
    if waiting and not any(prose.is_error(text) for *_, text in results):
        # Different operations may depend on each other's effect: one after the other.
        group = takewhile(lambda step: step.name == waiting[0].name, waiting)
        return Answer(calls=list(group) if parallel else waiting[:1])
    if results:
        guesses = [step.guesses for step in plan.steps if step.guesses]
        parts = [prose.report(results, tools), prose.guesses(guesses), plan.question]
        return Answer(text="\n\n".join(part for part in parts if part))
    text = entries[last].said
    if len(text) > MAX_LENGTH:
        return Answer(text=prose.too_long(text, MAX_LENGTH))
    return Answer(text=plan.question or prose.small_talk(text, tools, is_small_talk(read(text, now))))


class _Planner:
    """Finds what a user's words ask for, given the tools and what was said before."""

    def __init__(self, tools: Sequence[ToolReading], choice: str, now: datetime | None) -> None:
        self.tools, self.choice, self.now = tools, choice, now
        self.memory = Memory()

    def replay(self, entries: Sequence[Entry]) -> _Plan:
        """The plan for the user's last words, given what was asked and called before."""
        plan = _Plan()
        turns = [i for i, entry in enumerate(entries) if entry.role == "user"]
        for start, i, end in zip([-1, *turns], turns, [*turns[1:], None], strict=False):
            before, text = entries[start + 1 : i], entries[i].said
            self.memory.hear(entries[start + 1 : i + 1])
            # Only a turn that ended in a question matters for the next one: the others need no plan.
            if len(text) > MAX_LENGTH:
                plan = _Plan()
            elif plan.question and _says(before, plan.question):
                plan = self._resume(plan, text)
            elif end is None or _says(entries[i + 1 : end], "?"):
                plan = self._plan(text, "auto" if end else self.choice)
        return plan

    def _read(self, text: str) -> Sentence:
        return read(text, self.now)

    def _choose(self, sentence: Sentence) -> Choice | None:
        return choose(sentence, self.tools, lambda slot: self.memory.settled(slot, sentence) is not None)

    def _plan(self, text: str, choice: str = "auto") -> _Plan:
        by_name = {tool.name: tool for tool in self.tools}
        text = _INTERJECTION.sub("", text) or text
        if not by_name:
            return _Plan()
        whole = self._read(text)
        if choice not in ("auto", "none"):
            tools = [by_name[choice]] if choice in by_name else self.tools
            forced = rank(whole, tools)[:1]
            return _Plan([Step(c.tool.name, self.memory.complete(whole, c)[0]) for c in forced])
        if self.memory.last_call and _FOLLOWING.match(text) and (again := self._again(text)):
            return again
        if several := self._several(whole):
            return several
        chosen = self._choose(whole)
        return self._steps([(whole, chosen)]) if chosen else _Plan()

    def _again(self, text: str) -> _Plan | None:
        """`What about Utah?`, `and for anna too`: the last call, with the arguments that the words change."""
        last = self.memory.last_call
        tool = next((tool for tool in self.tools if last and tool.name == last.name), None)
        sentence = self._read(
            re.sub(r"\W*\b(?:too|as well|instead)\W*$", "", _FOLLOWING.sub("", text, count=1) or text)
        )
        if last is None or tool is None or not sentence.tokens:
            return None
        finder = Finder(sentence, learned()[0])
        if finder.context.commands or sentence.tokens[0].low in QUESTION:
            return None
        content = [t for i, t in enumerate(sentence.tokens) if t.is_word]
        changes: dict[str, Any] = fill(finder, tool).arguments
        changes = {name: value for name, value in changes.items() if name in last.arguments} or changes
        if not changes and len(content) <= 4:
            changes = self._replaced(finder, tool, last.arguments)
        return _Plan([Step(last.name, {**last.arguments, **changes})]) if changes else None

    def _replaced(self, finder: Finder, tool: ToolReading, before: dict[str, Any]) -> dict[str, Any]:
        """The one argument that a few words can stand for."""
        options = [
            (found.score, slot.name, found.value)
            for slot in tool.slots
            if slot.kind not in ("text", "boolean") and (slot.name in before or not before)
            for found in finder.candidates(tool, slot)[:1]
        ]
        return {max(options)[1]: max(options)[2]} if options else {}

    def _several(self, whole: Sentence) -> _Plan | None:
        """A plan of several steps, if the text has several requests that are each complete."""
        parts = split(whole)
        if len(parts) < 2:
            return None
        choices: list[tuple[Sentence, Choice]] = []
        known = dict(self.memory.known)
        for part in parts:
            sentence = self._read(part)
            chosen = self._choose(sentence)
            if chosen is None:
                if is_small_talk(sentence):
                    continue
                return None
            arguments, missing = self.memory.complete(sentence, chosen)
            if any(slot.name not in known for slot in missing):
                return None
            choices.append((sentence, chosen))
            known.update(arguments)
        return self._steps(choices) if len(choices) > 1 else None

    def _steps(self, choices: list[tuple[Sentence, Choice]]) -> _Plan:
        plan = _Plan()
        for sentence, chosen in choices:
            arguments, missing = self.memory.complete(sentence, chosen)
            step = Step(chosen.tool.name, arguments, chosen.filling.guesses)
            if missing or chosen.is_doubtful:
                plan.tool, plan.missing, plan.pending = chosen.tool, missing, step
                break
            self.memory.known.update(arguments)
            plan.steps += [
                Step(step.name, each, step.guesses) for each in repeated(sentence, chosen, arguments)
            ]
        return plan

    def _resume(self, plan: _Plan, text: str) -> _Plan:
        """The plan after the user's answer to our question, or a new one if they asked for something else."""
        if prose.is_cancel(text) or plan.tool is None or plan.pending is None:
            return _Plan()
        sentence = self._read(text)
        if not plan.missing:
            if _YES.match(text):
                return _Plan([plan.pending])
            return _Plan() if _NO.match(text) and len(sentence.tokens) < 4 else self._plan(text)
        if _is_request(sentence):
            other = self._choose(sentence)
            if other and not self.memory.complete(sentence, other)[1]:
                return self._steps([(sentence, other)])
        value = self._value_for(plan.missing[0], sentence, plan.tool)
        if value is None:
            return plan
        return self._answered(plan, plan.pending, value, sentence)

    def _answered(self, plan: _Plan, pending: Step, value: Any, sentence: Sentence) -> _Plan:
        assert plan.tool is not None  # noqa: S101 - for mypy: `_resume` has seen to it
        arguments = {**pending.arguments, plan.missing[0].name: value}
        missing = plan.missing[1:]
        finder = Finder(sentence, learned()[0])
        for more in list(missing):
            typed = [
                c for c in finder.candidates(plan.tool, more) if more.kind not in TEXTS and c.value != value
            ]
            if typed and typed[0].score > 0:
                arguments[more.name] = typed[0].value
                missing.remove(more)
        step = Step(pending.name, {s.name: arguments[s.name] for s in plan.tool.slots if s.name in arguments})
        # The other calls of the request were made before the question was asked.
        return _Plan([], plan.tool, missing, step) if missing else _Plan([step])

    def _value_for(self, slot: Slot, sentence: Sentence, tool: ToolReading) -> Any:
        """The user's answer as a value of the slot; None if it is not one."""
        if slot.kind == "boolean" and (_YES.match(sentence.text) or _NO.match(sentence.text)):
            return bool(_YES.match(sentence.text))
        found = Finder(sentence, learned()[0]).candidates(tool, slot)
        text = _LEAD.sub("", sentence.text.strip()).strip(" .!,")
        text = re.sub(r",?\s+(?:please|thanks|thank you)$", "", text, flags=re.IGNORECASE)
        if slot.kind in TEXTS:
            if sentence.text.rstrip().endswith("?") and len(sentence.tokens) > 2:
                return None
            quote = next((v for v in sentence.values if v.kind == "quote"), None)
            if quote:
                return quote.value
            short = len(text.split()) <= 5 or not found or slot.kind == "text"
            return (text if short else found[0].value) or None
        if slot.kind == "array" and not found:
            return [part.strip(" .") for part in re.split(r",|\band\b", text) if part.strip(" .")] or None
        return found[0].value if found else None


def _says(entries: Sequence[Entry], end: str) -> bool:
    """Whether one of the assistant's texts ends like this."""
    return any(entry.role == "assistant" and entry.text.rstrip().endswith(end) for entry in entries)


def _is_request(sentence: Sentence) -> bool:
    """Whether an answer is rather a request of its own: it begins with what to do, or asks."""
    said = read(_INTERJECTION.sub("", sentence.text)) if _INTERJECTION.match(sentence.text) else sentence
    return len(said.tokens) > 2 and (bool(Context(said).commands) or is_question(said))
