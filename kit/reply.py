"""What a turn of a conversation gives: the reply, and the events that lead to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit import cells

if TYPE_CHECKING:
    from kit.installed import CallResult
    from kit.sequence import Sequence


@dataclass
class Usage:
    """Tokens of one turn, over all its rounds, as the API counted them."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def add(self, other: Usage) -> None:
        """Counts another round in."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens


@dataclass
class Reply:
    """One turn: `text` is the model's answer, `calls` what it called on the way, in order.

    `seconds` is how long it took, `rounds` holds (start, seconds, what was asked) of each request to the model.
    `model` is the name that the API gave, `notes` what the reader should know (such as: no key, so
    the understudy answered). `error` says why the turn stopped early, if it did.
    """

    question: str
    text: str = ""
    calls: list[CallResult] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    notes: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    rounds: list[tuple[float, float, str]] = field(default_factory=list, repr=False)
    began: float = field(default=0.0, repr=False, compare=False)  # by time.perf_counter

    def __post_init__(self) -> None:
        self.shown_in: str | None = None  # the run of a cell that has shown the reply as it came

    def sequence(self) -> Sequence:
        """Who called whom and how long it took, as a diagram."""
        from kit.sequence import of_reply

        return of_reply(self)

    def __repr__(self) -> str:
        from kit import display

        return display.reply_text(self)

    def _repr_html_(self) -> str:
        from kit import display

        return display.reply_card(self)

    def _ipython_display_(self) -> None:
        """Shows the transcript, unless this very cell has shown it already while it streamed."""
        from IPython.display import display as show

        cell = cells.running()
        if cell is None or cell.execution != self.shown_in:
            show({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)


@dataclass(frozen=True)
class TextDelta:
    """Some more of the answer's text."""

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
