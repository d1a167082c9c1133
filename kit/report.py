"""How findings show themselves: a line for each host, then a row for each finding and a column for each host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.markup import box, code, columns, escape, link, table

if TYPE_CHECKING:
    from kit.findings import Finding, Findings

MOST = 200  # rows
_MARKS = {"error": "✗", "warning": "!"}


def text(findings: Findings) -> str:
    """The findings for a terminal."""
    lines = [f"{findings.title}\n{columns(list(findings.verdicts.items()), '  ')}"]
    for key, hosts in list(_rows(findings).items())[:MOST]:
        severity, message, remedy, place, function, source = key
        where = f"{function}, {place}" if function else place
        lines.append(
            f"{_MARKS[severity]} {', '.join(hosts)}: {message}\n    {remedy}\n    at {where or 'the document'}; rule: {source}"
        )
    rest = len(_rows(findings)) - MOST
    return "\n".join(lines + ([f"... and {rest:,} more"] if rest > 0 else []))


def table_of(findings: Findings) -> str:
    """The findings for a notebook."""
    verdicts = "<br>".join(
        f"<b>{escape(host)}</b>: {escape(said)}" for host, said in findings.verdicts.items()
    )
    hosts = [host for host in findings.hosts if findings.of(host)]
    rows = []
    for key, named in list(_rows(findings).items())[:MOST]:
        severity, message, remedy, place, function, source = key
        marks = [
            f'<span title="{severity}">{_MARKS[severity]}</span>' if host in named else "" for host in hosts
        ]
        where = (f"{code(function)}<br>" if function else "") + code(place or "the document")
        address = source.split()[0]
        rule = link(address, "rule") if address.startswith("https://") else f"<i>{escape(source)}</i>"
        rows.append((f"{escape(message)}<br><i>{escape(remedy)}</i>", where, *marks, rule))
    head = ("finding", "where", *hosts, "rule")
    rest = len(_rows(findings)) - MOST
    more = f"<p>and {rest:,} more</p>" if rest > 0 else ""
    return box(f"<b>{escape(findings.title)}</b><br>{verdicts}") + (table(head, rows) + more if rows else "")


def _rows(findings: Findings) -> dict[tuple[str, str, str, str, str, str], list[str]]:
    """The hosts that say the same, errors first."""
    rows: dict[tuple[str, str, str, str, str, str], list[str]] = {}

    def rank(finding: Finding) -> bool:
        return finding.severity != "error"

    for it in sorted(findings, key=rank):
        rows.setdefault((it.severity, it.message, it.remedy, it.place, it.function, it.source), []).append(
            it.host
        )
    return rows
