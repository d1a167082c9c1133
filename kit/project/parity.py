"""`Parity`: what a proof has found, by operation and by request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kit.markup import code, columns, escape, table

SUCCESS, ERROR, NOTHING = "a success", "an error only", "nothing"


@dataclass(frozen=True)
class Row:
    """One request to both. `differs` says how the answers differ; empty if they are the same.

    `operation` is the name of the one asked, "" of a document and of what is not in the spec; `source` says where the
    request comes from. `note` marks an answer that is never the same, such as a clock's, and where.
    """

    what: str
    notebook: str
    export: str
    differs: str = ""
    note: str = ""
    operation: str = ""
    source: str = ""

    @property
    def verdict(self) -> str:
        return f"differs: {self.differs}" if self.differs else self.note or "same"


@dataclass
class Parity:
    """The notebook's plugin beside the exported app. `rows` are the requests.

    `operations` says of each operation what it was proved by: "a success", "an error only" or "nothing". `skipped` are
    those that were not called at all, `notes` sentences that say why. `hidden` are the modules that the notebook's side
    has imported and the export's looked for in vain, each with the request that needs it.
    """

    rows: list[Row] = field(default_factory=list)
    operations: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all answers are the same."""
        return not self.differences

    @property
    def differences(self) -> list[Row]:
        return [row for row in self.rows if row.differs]

    @property
    def skipped(self) -> list[str]:
        asked = {row.operation for row in self.rows}
        return [name for name in self.operations if name not in asked]

    def _proved_by(self, kind: str) -> list[str]:
        return [name for name, by in self.operations.items() if by == kind]

    @property
    def _sentence(self) -> str:
        count, changing = len(self.rows), sum(bool(row.note) for row in self.rows)
        if self.differences:
            text = f"{len(self.differences)} of {count} answers differ"
        elif changing:
            text = f"{count} answers, the same except for {changing} that the notebook itself changes"
        else:
            text = f"{count} answers, all the same"
        if self.operations:
            text += (
                f"; {len(self._proved_by(SUCCESS))} of {len(self.operations)} operations proved by a success"
            )
        for kind in (ERROR, NOTHING):
            if names := self._proved_by(kind):
                text += f"; by {kind}: {', '.join(names)}"
        if any(row.notebook.startswith("401") for row in self.rows):
            text += "; with a token, what was refused with status 401 could be compared further"
        proved = self._proved_by(SUCCESS)
        failing = [row for row in self.rows if row.notebook.startswith("5") and row.operation not in proved]
        if failed := list(dict.fromkeys(row.what for row in failing)):
            text += f"; the notebook itself fails at: {', '.join(failed)}"
        return " ".join([f"{text}.", *self.notes])

    def _table(self) -> Iterator[tuple[str, str, str, str]]:
        """A line for each operation, one for each other request, and one below for each that differs."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.operation or row.what, []).append(row)
        others = [name for name in groups if name not in self.operations]
        for name in dict.fromkeys([*others[:2], *self.operations, *others]):  # the documents first
            rows = groups.get(name, [])
            sources = dict.fromkeys(row.source for row in rows if row.source)
            asked = f"{len(rows)}: {', '.join(list(sources)[:3])}{', ...' if len(sources) > 3 else ''}"
            by = self.operations.get(name) or (rows[0].notebook if rows else "")
            verdicts = dict.fromkeys(row.verdict for row in rows if not row.differs)
            verdict = f"{sum(bool(row.differs) for row in rows)} of {len(rows)} differ"
            if not any(row.differs for row in rows):
                verdict = next((it for it in verdicts if it != "same"), "same") if rows else "not called"
            yield name, asked if sources else "", by, verdict
            for row in rows:
                if row.differs:
                    yield f"  {row.what}", f"notebook {row.notebook}", f"export {row.export}", row.verdict

    def __repr__(self) -> str:
        return f"{columns([('', 'asked', 'proved by', ''), *self._table()], '  ')}\n{self._sentence}"

    def _repr_html_(self) -> str:
        rows = [(code(what), *map(escape, rest)) for what, *rest in self._table()]
        return table(("", "asked", "proved by", ""), rows) + escape(self._sentence)
