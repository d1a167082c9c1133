"""`Connection`: what was done to connect a plugin to a host, or would be, and what the host says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kit.markup import box, escape, pre
from kit.visible import visible, visible_line

State = Literal["shown", "added", "there", "removed", "absent"]


@dataclass(frozen=True)
class Change:
    """What is written: `text`, and `where`, as in "to ~/.cursor/mcp.json" or "by the command of Codex".

    `remedy` is set if it cannot be written from here: why not, and what to do.
    """

    where: str
    text: str
    remedy: str = ""


def shown(path: Path) -> str:
    """A file as people write it, with ~ for their home."""
    home = str(Path.home())
    return str(path).replace(home, "~", 1) if str(path).startswith(home) else str(path)


@dataclass(frozen=True)
class Said:
    """What a host says of a plugin: whether it is connected, None if it cannot be asked, in its words; the tools it lists."""

    connected: bool | None
    text: str
    tools: list[str] = field(default_factory=list)


@dataclass(repr=False)
class Connection:
    """A plugin in a host. `connected` is what the host itself says; None if it was not asked, or has no way to say it.

    `state` is "shown" (nothing is written yet), "added", "there" (it was), "removed" or "absent".
    """

    host: str
    name: str
    place: str
    state: State
    change: Change
    said: Said | None = None
    link: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def connected(self) -> bool | None:
        return self.said.connected if self.said else None

    @property
    def tools(self) -> list[str]:
        """The tools that the host lists."""
        return self.said.tools if self.said else []

    def _lines(self) -> tuple[str, str, list[str]]:
        """A headline, what is written, and what else is to be known."""
        where, colon = self.change.where, ":" if self.change.text else ""
        if self.change.remedy and self.state == "shown":
            doing = f"Nothing is written. {self.change.remedy} This goes {where}{colon}"
        else:
            doing = {
                "shown": f"Nothing is written yet. --write, in Python write=True, adds it {where}{colon}",
                "added": f"Added {where}{colon}",
                "there": f"It is there already. This adds it {where}{colon}",
                "removed": f"Taken out: {where}",
                "absent": f"Nothing is taken out: {where}",
            }[self.state]
        notes = list(self.notes)
        if self.said:
            tools = f": {', '.join(self.said.tools)}" if self.said.tools else ""
            notes.insert(0, f"{self.host} says: {self.said.text}{tools}")
        if self.state in ("added", "there") and not self.change.remedy:
            notes.append("--undo, in Python undo=True, takes it out again.")
        return f"{self.name or 'What is'} at {self.place}, for {self.host}", doing, notes

    def __repr__(self) -> str:
        head, doing, notes = self._lines()
        body = [f"    {line}" for line in visible(self.change.text).splitlines()]
        link = [f"  Or open {visible_line(self.link)}"] if self.link and self.state == "shown" else []
        return "\n".join(
            [
                visible_line(head),
                f"  {visible_line(doing)}",
                *body,
                *link,
                *(f"  {visible_line(n)}" for n in notes),
            ]
        )

    def _repr_html_(self) -> str:
        head, doing, notes = self._lines()
        parts = [
            f"<b>{escape(head)}</b><br>{escape(doing)}",
            pre(self.change.text) if self.change.text else "",
        ]
        if self.link and self.state == "shown":
            # A host's own scheme, made here: no page is opened, the browser asks before it starts the host.
            parts.append(f'Or open <a href="{escape(self.link)}">{escape(self.link)}</a><br>')
        return box("".join(parts) + "<br>".join(escape(note) for note in notes))
