"""The result of a turn of a conversation: the reply, and the events that lead to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kit import jupyter
from kit.chat.prices import dollars
from kit.client.installed import CallResult, call_card, call_line
from kit.diagrams import Exchange, Sequence
from kit.markup import box, details, escape, markdown, short
from kit.redaction import hide, hide_given
from kit.visible import visible, visible_line


@dataclass
class Usage:
    """Tokens of one turn, over all its rounds, as counted by the API."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def add(self, other: Usage) -> None:
        """Adds another round."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens

    def __str__(self) -> str:
        """In words; empty if the server counted nothing."""
        if not self.total_tokens:
            return ""
        return f"{self.input_tokens:,} tokens in and {self.output_tokens:,} out"


@dataclass
class Reply:
    """One turn: `text` is the model's answer, `calls` the calls that it made, in order.

    `seconds` is how long it took, `rounds` holds (start, seconds, what was sent) of each request to the model.
    `model` is the name that the API reported, `notes` what the user should know (such as: no key, so the
    understudy answered). `error` says why the turn stopped early, if it did. `cost` is in dollars, None if not known.
    """

    question: str
    text: str = ""
    calls: list[CallResult] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    model: str = ""
    notes: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    rounds: list[tuple[float, float, str]] = field(default_factory=list, repr=False)
    began: float = field(default=0.0, repr=False, compare=False)  # by time.perf_counter

    def __post_init__(self) -> None:
        self.live: jupyter.LiveView | None = None  # where it was streamed

    def sequence(self) -> Sequence:
        """Who called whom and how long it took, as a diagram."""
        you, chat, model = "You", "Chat", self.model or "model"
        exchanges = [Exchange(you, chat, short(hide(self.question), 60), 0.0)]
        for start, seconds, sent in self.rounds:
            exchanges.append(Exchange(chat, model, sent, start, seconds, "answers"))
        for call in self.calls:  # those of one round run concurrently
            if call.url:
                target = call.plugin or "plugin"
                line = f"{call.method} {hide_given(_path(call.url), call.arguments)}"
                start = max(0.0, call.started - self.began)
                exchanges.append(Exchange(chat, target, line, start, call.seconds, call.outcome, call.ok))
            else:
                at = max(0.0, call.started - self.began) if call.started else self.seconds
                exchanges.append(Exchange(chat, chat, f"{call_line(call)}: not sent", at, ok=False))
        last = short(hide(self.error or self.text) or "(nothing)", 60)
        exchanges.append(Exchange(chat, you, last, self.seconds))
        return Sequence(exchanges, (you, chat, model))

    @property
    def spent(self) -> str:
        """Its tokens, and what they cost, as far as that is known; else empty."""
        return ", ".join(filter(None, (str(self.usage), dollars(self.cost))))

    def expect(self, operation: str | None = ..., /, **arguments: Any) -> Reply:  # type: ignore[assignment]
        """Raises `ExpectationFailed`, with the transcript, unless what is expected happened; returns the reply.

        `operation` was called successfully, with these arguments at least (values or matchers, as in `kit.matching`);
        None: nothing was called; nothing given: the turn ended well, and every call succeeded.
        """
        from kit.chat.expectation import check_reply

        check_reply(self, operation, arguments)
        return self

    def __repr__(self) -> str:
        lines = [f"You: {hide(self.question)}"]
        lines += [f"  ({note})" for note in self.notes]
        lines += [f"  {call_line(call)} {outcome_line(call)}" for call in self.calls]
        lines.append(f"{visible_line(self.model) or 'model'}: {hide(self.text)}")
        if self.spent:
            lines.append(f"  ({self.spent})")
        if self.error:
            lines.append(f"  stopped: {self.error}")
        return visible("\n".join(lines))

    def _repr_html_(self) -> str:
        parts = [f'<div style="margin:.3em 0"><b>You</b>: {escape(hide(self.question))}</div>']
        parts += [f"<div><i>{escape(note)}</i></div>" for note in self.notes]
        parts += [call_card(call, is_open=False) for call in self.calls]
        parts.append(
            f'<div style="margin:.3em 0"><b>{escape(self.model or "…")}</b>{markdown(hide(self.text))}</div>'
        )
        if self.spent:
            parts.append(f'<div style="opacity:.7">{escape(self.spent)}</div>')
        if self.error:
            parts.append(f"<div><b>Stopped</b>: {escape(self.error)}</div>")
        if self.seconds:  # the turn is over
            parts.append(details("Sequence", self.sequence()._repr_html_()))
        return box("".join(parts))

    def _ipython_display_(self) -> None:
        """Shows the transcript, unless it was streamed into this cell."""
        jupyter.show(self, self.live)


def outcome_line(call: CallResult) -> str:
    """The outcome of a call in one line, and below it what the plugin's code raised."""
    fault = "".join(f"\n    {line}" for line in str(call.fault or "").splitlines())
    return f"-> {call.outcome} {short(hide(call.data))}{fault}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True)
class TextDelta:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True)
class CallStarted:
    """The model calls an operation. `consequential`: it may change something."""

    plugin: str
    operation: str
    arguments: Any
    consequential: bool = False


@dataclass(frozen=True)
class CallEnded:
    """A call has its result."""

    result: CallResult


@dataclass(frozen=True)
class Finished:
    """The turn has ended; nothing comes after it."""

    reply: Reply


Event = TextDelta | CallStarted | CallEnded | Finished
