"""What the understudy does next in a conversation: call something, ask for something, or say something.

It keeps no state. What it has done before is read from the conversation, which a client sends whole with
every request, so the same conversation always gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

from kit.understudy import prose
from kit.understudy.candidates import Candidate
from kit.understudy.choice import REMEMBERED, Choice, choose, is_small_talk, rank
from kit.understudy.clauses import commands
from kit.understudy.filling import candidates
from kit.understudy.sentence import Sentence, read
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import QUESTION
from kit.words import words

_NAME = re.compile(
    r"(?:\bmy name is|\bi'm|\bi am|\bthis is|\buser(?:'s name)? is|\buser(?:name)?:)\s+([A-Z][\w-]*|(?<=is )[a-z][\w-]*)",
    re.IGNORECASE,
)
_JOINING = words("and or , & the number a of in for to at with from on")
_FILLERS = words("also then please and")
_FOLLOWING = re.compile(r"\s*(?:and|what about|how about|and what about|now|same for|also)\b", re.IGNORECASE)
_YES = re.compile(r"\s*(?:yes|yeah|yep|sure|please do|true|of course)\b", re.IGNORECASE)
_NO = re.compile(r"\s*(?:no|nope|not|don't|false)\b", re.IGNORECASE)
_LEAD = re.compile(
    r"^\s*(?:(?:it is|it's|its|that is|that's|i mean|make it|use|for|to|in|at|of|the|my name is|i'm|i am|please|take|say|ok|okay|,|:)\s+)+",
    re.IGNORECASE,
)
_NEXT = re.compile(
    r"(?<=[.!?;])\s+|\n+|,?\s+and\s+then\s+|[,;]?\s+then\s+|,?\s+and\s+also\s+|,?\s+and\s+|,\s+(?=also\s)|\s*;\s*",
    re.IGNORECASE,
)
MAX_LENGTH = 2000  # characters of a message: what the words of one are compared with grows with their square


@dataclass
class Entry:
    """One entry of a conversation. A call has `name` and `arguments`, its result the same `id`."""

    role: Literal["system", "user", "assistant", "call", "result"]
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Step:
    """One call to make."""

    name: str
    arguments: dict[str, Any]


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
        return prose.ask(self.tool, self.missing[0]) if self.tool and self.missing else ""


def respond(
    entries: Sequence[Entry], tools: Sequence[ToolReading], *, choice: str = "auto", parallel: bool = True
) -> Answer:
    """The next move. `choice` is auto, none, required, or the name of the tool that must be called."""
    last = max((i for i, entry in enumerate(entries) if entry.role == "user"), default=None)
    if last is None:
        return Answer(text=prose.greet(tools))
    calls = [entry for entry in entries[last + 1 :] if entry.role == "call"]
    outputs = {entry.id: entry.text for entry in entries[last + 1 :] if entry.role == "result"}
    results = [(call.name, call.arguments, outputs[call.id]) for call in calls if call.id in outputs]
    plan = _replay(entries[: last + 1], tools if choice != "none" else [], choice)
    waiting = plan.steps[len(calls) :]
    if waiting and not any(prose.is_error(text) for *_, text in results):
        # Different operations may depend on each other's effect: one after the other.
        group = takewhile(lambda step: step.name == waiting[0].name, waiting)
        return Answer(calls=list(group) if parallel else waiting[:1])
    if results:
        text = prose.report(results, tools)
        return Answer(text=f"{text}\n\n{plan.question}" if plan.question else text)
    text = entries[last].text
    if len(text) > MAX_LENGTH:
        return Answer(text=prose.too_long(text, MAX_LENGTH))
    return Answer(text=plan.question or prose.small_talk(text, tools, is_small_talk(read(text))))


def _replay(entries: Sequence[Entry], tools: Sequence[ToolReading], choice: str) -> _Plan:
    """The plan for the user's last words, given what was asked and called before."""
    plan = _Plan()
    known: dict[str, Any] = {}
    last_call: Entry | None = None
    person = ""
    turns = [i for i, entry in enumerate(entries) if entry.role == "user"]
    for start, i, end in zip([-1, *turns], turns, [*turns[1:], None], strict=False):
        before, text = entries[start + 1 : i], entries[i].text
        for entry in entries[start + 1 : i + 1]:
            if entry.role == "call":
                known.update(entry.arguments)
                last_call = entry
            elif entry.role in ("system", "user"):
                person = next((match[1] for match in reversed([*_NAME.finditer(entry.text)])), person)
        # Only a turn that ended in a question matters for the next one: the others need no plan.
        if len(text) > MAX_LENGTH:
            plan = _Plan()
        elif plan.question and _says(before, plan.question):
            plan = _resume(plan, text, tools, known)
        elif end is None or _says(entries[i + 1 : end], "?"):
            plan = _plan(text, tools, known, person, "auto" if end else choice)
            if not plan.steps and not plan.missing and last_call and _FOLLOWING.match(text):
                plan = _repeat(text, tools, last_call)
    return plan


def _says(entries: Sequence[Entry], end: str) -> bool:
    """Whether one of the assistant's texts ends like this."""
    return any(entry.role == "assistant" and entry.text.rstrip().endswith(end) for entry in entries)


def _plan(text: str, tools: Sequence[ToolReading], known: dict[str, Any], person: str, choice: str) -> _Plan:
    if not tools:
        return _Plan()
    by_name = {tool.name: tool for tool in tools}
    if choice in by_name:
        tools = [by_name[choice]]
    whole = read(text)
    if choice not in ("auto", "none"):
        forced = rank(whole, tools)[:1]
        return _Plan([Step(c.tool.name, _inherit(c, known, person)[0]) for c in forced])
    if split := _several(text, tools, known, person):
        return split
    chosen = choose(whole, tools, known)
    return _from_choices([(whole, chosen)], known, person) if chosen else _Plan()


def _repeat(text: str, tools: Sequence[ToolReading], last: Entry) -> _Plan:
    """`What about Utah?`: the last call again, with the argument that the words change."""
    sentence = read(_FOLLOWING.sub("", text, count=1))
    changes = [
        (best, slot.name)
        for tool in tools
        if tool.name == last.name
        for slot in tool.slots
        if slot.kind not in ("text", "boolean")
        for best in candidates(sentence, tool, slot)[:1]
        if best.score > 0
    ]
    if not changes:
        return _Plan()
    best, name = max(changes, key=lambda change: change[0].score)
    return _Plan([Step(last.name, {**last.arguments, name: best.value})])


def _several(text: str, tools: Sequence[ToolReading], known: dict[str, Any], person: str) -> _Plan | None:
    """A plan of several steps, if the text has several requests that are each complete."""
    parts = [part.strip() for part in _split(text) if part.strip()]
    if len(parts) < 2:
        return None
    choices: list[tuple[Sentence, Choice]] = []
    context = dict(known)
    for part in parts:
        sentence = read(part)
        chosen = choose(sentence, tools, context)
        if chosen is None:
            if is_small_talk(sentence):
                continue
            return None
        arguments, missing = _inherit(chosen, context, person)
        if missing:
            return None
        choices.append((sentence, chosen))
        context.update(arguments)
    return _from_choices(choices, known, person) if len(choices) > 1 else None


def _split(text: str) -> list[str]:
    """The text cut where another request may begin: before a verb or a question, not inside quotes."""
    sentence = read(text)
    starts = {sentence.tokens[i].start for i in commands(sentence)}
    starts |= {
        token.start
        for i, token in enumerate(sentence.tokens)
        if token.low in QUESTION
        and (
            i == 0
            or not sentence.tokens[i - 1].is_word
            or sentence.tokens[i - 1].low in ("and", "then", "also")
        )
    }
    values = [(t.start, t.end) for i, t in enumerate(sentence.tokens) if i in sentence.taken]
    parts, at = [], 0
    for match in _NEXT.finditer(text):
        start, end = match.span()
        if any(a < end and start < b for a, b in values):
            continue
        rest = (t.start for t in sentence.tokens if t.start >= end and t.low not in _FILLERS)
        following = next(rest, None)
        is_end = text[:start].rstrip().endswith((".", "!", "?")) or "\n" in match[0]
        if following is not None and (is_end or following in starts):
            parts.append(text[at:start])
            at = end
    return [*parts, text[at:]]


def _from_choices(choices: list[tuple[Sentence, Choice]], known: dict[str, Any], person: str) -> _Plan:
    plan = _Plan()
    context = dict(known)
    for sentence, chosen in choices:
        arguments, missing = _inherit(chosen, context, person)
        if missing:
            plan.tool, plan.missing = chosen.tool, missing
            plan.pending = Step(chosen.tool.name, arguments)
            break
        context.update(arguments)
        plan.steps += [Step(chosen.tool.name, each) for each in _repeated(sentence, chosen, arguments)]
    return plan


def _inherit(chosen: Choice, known: dict[str, Any], person: str) -> tuple[dict[str, Any], list[Slot]]:
    """The arguments, with those that an earlier request of the conversation has settled."""
    arguments = dict(chosen.filling.arguments)
    missing = []
    for slot in chosen.filling.missing:
        if slot.kind in REMEMBERED and slot.name in known:
            arguments[slot.name] = known[slot.name]
        elif slot.kind == "person" and person:
            arguments[slot.name] = person
        else:
            missing.append(slot)
    for slot in chosen.tool.slots:
        if slot.name in chosen.tool.nullable and slot.name not in arguments:
            arguments[slot.name] = None
    return arguments, missing


def _repeated(sentence: Sentence, chosen: Choice, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """`todos 3 and 5`, `in Paris and London`: the same call for each of the values."""
    calls = [arguments]
    used = chosen.filling.mask
    for slot in chosen.tool.slots:
        if slot.kind in ("text", "query", "boolean", "array", "object") and not _is_quoted(
            sentence, arguments.get(slot.name)
        ):
            continue
        value = arguments.get(slot.name)
        group = chosen.filling.masks.get(slot.name, 0)
        if isinstance(value, str) and " and " in value and slot.kind in ("person", "place"):
            parts = [part for part in re.split(r",\s*|\s+and\s+", value) if part]
            if all(part[0].isupper() for part in parts):
                return [{**arguments, slot.name: part} for part in parts]
        others = [c for c in candidates(sentence, chosen.tool, slot) if c.mask & used == 0 and c.score > -0.6]
        for other in sorted(others, key=lambda c: c.mask):
            if _is_joined(sentence, group, other) and other.mask & used == 0:
                calls.append({**arguments, slot.name: other.value})
                used |= other.mask
                group |= other.mask
        if len(calls) > 1:
            break
    return calls


def _is_quoted(sentence: Sentence, value: Any) -> bool:
    return any(v.kind == "quote" and v.value == value for v in sentence.values)


def _is_joined(sentence: Sentence, used: int, other: Candidate) -> bool:
    """Whether `and` or a comma ties the value to one that is used already."""
    i = (other.mask & -other.mask).bit_length() - 2
    between = set()
    while i >= 0 and sentence.tokens[i].low in _JOINING:
        between.add(sentence.tokens[i].low)
        i -= 1
    return i >= 0 and bool(used >> i & 1) and bool(between & {"and", "or", ",", "&"})


def _resume(plan: _Plan, text: str, tools: Sequence[ToolReading], known: dict[str, Any]) -> _Plan:
    """The plan after the user's answer to our question, or a new one if they asked for something else."""
    if prose.is_cancel(text) or plan.tool is None or plan.pending is None:
        return _Plan()
    pending, slot = plan.pending, plan.missing[0]
    sentence = read(text)
    other = choose(sentence, tools)
    if other and other.evidence > 1.2 and not _inherit(other, known, "")[1] and len(sentence.tokens) > 2:
        return _from_choices([(sentence, other)], known, "")
    value = _value_for(slot, sentence, plan.tool)
    if value is None:
        return plan
    arguments = {**pending.arguments, slot.name: value}
    missing = plan.missing[1:]
    for more in list(missing):
        typed = [c for c in candidates(sentence, plan.tool, more) if c.score > 0.9 and c.value != value]
        if typed:
            arguments[more.name] = typed[0].value
            missing.remove(more)
    step = Step(pending.name, {s.name: arguments[s.name] for s in plan.tool.slots if s.name in arguments})
    # The other calls of the request were made before the question was asked.
    return _Plan([], plan.tool, missing, step) if missing else _Plan([step])


def _value_for(slot: Slot, sentence: Sentence, tool: ToolReading) -> Any:
    """The user's answer as a value of the slot; None if it is not one."""
    best = next((candidate.value for candidate in candidates(sentence, tool, slot)), None)
    if slot.kind in ("person", "place", "name", "text", "query", "id"):
        quote = next((v for v in sentence.values if v.kind == "quote"), None)
        if quote:
            return quote.value
        text = _LEAD.sub("", sentence.text.strip()).strip(" .!,")
        text = re.sub(r",?\s+(?:please|thanks|thank you)$", "", text, flags=re.IGNORECASE)
        is_value = len(text.split()) <= 4 or best is None or slot.kind == "text"
        return (text if is_value else best) or None
    if slot.kind == "boolean" and (_YES.match(sentence.text) or _NO.match(sentence.text)):
        return bool(_YES.match(sentence.text))
    if slot.kind == "array" and best is None:
        return [
            part.strip(" .") for part in re.split(r",|\band\b", sentence.text) if part.strip(" .")
        ] or None
    return best
