"""`Findings`: the documented rules of hosts that a plugin breaks, and what to do about it.

Shown as a line for each host, then a row for each finding with the hosts that have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from kit.markup import box, code, columns, escape, link, table
from kit.visible import visible

MOST = 200  # rows
_MARKS = {"error": "✗", "warning": "!"}


@dataclass(frozen=True)
class Finding:
    """One rule of one host that the plugin breaks.

    `severity` is "error" if the host refuses or fails, "warning" if it degrades or cuts, or if no official
    text supports the limit (then `source` says so). `place` is a JSON pointer into the spec
    (`/paths/~1todos/post`), or into the manifest if it begins with `manifest` (`manifest/name_for_human`).
    `source` is the address of the text with the rule, `function` the name of the operation, if the finding
    is about one.
    """

    host: str
    severity: Literal["error", "warning"]
    place: str
    message: str
    remedy: str
    source: str
    function: str = ""


class Findings(list[Finding]):
    """What `check` found, as a list; shown as a table with a row for what several hosts say alike.

    `hosts` are those that were checked, `retired` says of some that they take nothing any more. `ok` is whether none of
    them has an error.
    """

    def __init__(
        self, findings: Iterable[Finding], hosts: Iterable[str], title: str, retired: Mapping[str, str] = {}
    ) -> None:
        super().__init__(findings)
        self.hosts = list(hosts)
        self.title = title
        self._retired = retired

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self if finding.severity == "error"]

    def of(self, host: str) -> list[Finding]:
        """The findings of one host."""
        return [finding for finding in self if finding.host == host]

    @property
    def verdicts(self) -> dict[str, str]:
        """One line for each host: "ready", "ready; 2 warnings", "not ready: 1 error, 2 warnings"."""
        return {host: _verdict(self.of(host)) for host in self.hosts}

    def _shown(self) -> list[tuple[str, str]]:
        notes = {host: f" ({note})" for host, note in self._retired.items()}
        return [(host, verdict + notes.get(host, "")) for host, verdict in self.verdicts.items()]

    def __repr__(self) -> str:
        lines = [f"{self.title}\n{columns(self._shown(), '  ')}"]
        for (severity, message, remedy, place, function), sources in list(_rows(self).items())[:MOST]:
            where = f"{function}, {place}" if function else place
            rule = ", ".join(dict.fromkeys(sources.values()))
            lines.append(
                f"{_MARKS[severity]} {', '.join(sources)}: {message}\n    {remedy}\n    at {where or 'the document'}; rule: {rule}"
            )
        rest = len(_rows(self)) - MOST
        return visible("\n".join(lines + ([f"... and {rest:,} more"] if rest > 0 else [])))

    def _repr_html_(self) -> str:
        verdicts = "<br>".join(f"<b>{escape(host)}</b>: {escape(verdict)}" for host, verdict in self._shown())
        rows = []
        for (severity, message, remedy, place, function), sources in list(_rows(self).items())[:MOST]:
            mark = f'<span title="{severity}">{_MARKS[severity]}</span>'
            where = (f"{code(function)}<br>" if function else "") + code(place or "the document")
            rules = "<br>".join(map(_rule, dict.fromkeys(sources.values())))
            hosts = "<br>".join(f"{mark} {escape(host)}" for host in sources)
            rows.append((hosts, f"{escape(message)}<br><i>{escape(remedy)}</i>", where, rules))
        head = ("hosts", "finding", "where", "rule")
        rest = len(_rows(self)) - MOST
        more = f"<p>and {rest:,} more</p>" if rest > 0 else ""
        return box(f"<b>{escape(self.title)}</b><br>{verdicts}") + (table(head, rows) + more if rows else "")


def _verdict(findings: list[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    counts = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    return f"not ready: {', '.join(counts)}" if errors else "; ".join(["ready", *counts])


def _rule(source: str) -> str:
    address = source.split()[0]
    return link(address, "rule") if address.startswith("https://") else f"<i>{escape(source)}</i>"


def _rows(findings: Findings) -> dict[tuple[str, str, str, str, str], dict[str, str]]:
    """By finding, errors first, the source of the rule by host: several may say the same, each in its own text."""
    rows: dict[tuple[str, str, str, str, str], dict[str, str]] = {}
    for finding in sorted(findings, key=lambda finding: finding.severity != "error"):
        key = (finding.severity, finding.message, finding.remedy, finding.place, finding.function)
        rows.setdefault(key, {})[finding.host] = finding.source
    return rows
