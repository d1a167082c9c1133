"""Which notebook cell is running: the kit tells a re-run cell from a second definition by it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One execution of a cell. `id` is JupyterLab's, empty in front ends that send none."""

    execution: str
    id: str
    number: int
    source: str
    notebook: str = ""  # the file that is being loaded; empty for a cell of the live kernel

    def __str__(self) -> str:
        return f"cell {self.number} of {self.notebook}" if self.notebook else f"cell [{self.number}]"

    def rebinds(self, value: object) -> bool:
        """Whether the cell assigns, at its top level, to a name that now holds `value`."""
        current = shell()
        if current is None or self.notebook:
            return False
        names = {name for name, held in current.user_ns.items() if held is value}
        try:
            tree = ast.parse(current.transform_cell(self.source))
        except SyntaxError:
            return False
        assigned = {
            target.id
            for statement in tree.body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            for target in getattr(statement, "targets", None) or [statement.target]  # type: ignore[union-attr]
            if isinstance(target, ast.Name)
        }
        return bool(names & assigned)


_loaded: ContextVar[Cell | None] = ContextVar("loaded", default=None)


@contextmanager
def loaded(notebook: str, number: int, source: str) -> Iterator[None]:
    """While a cell of a notebook file runs, `running` tells of it, and not of the cell that loads it."""
    token = _loaded.set(Cell(f"{notebook}#{number}", f"{notebook}#{number}", number, source, notebook))
    try:
        yield
    finally:
        _loaded.reset(token)


def running() -> Cell | None:
    """The cell that is running now; None in a script, a test or a server."""
    if (inner := _loaded.get()) is not None:
        return inner
    current = shell()
    if current is None:
        return None
    # get_parent is ipykernel's; the IPython of a terminal has cells, but no messages about them.
    parent: dict[str, Any] = current.get_parent() if hasattr(current, "get_parent") else {}
    number = int(current.execution_count)
    return Cell(
        execution=parent.get("header", {}).get("msg_id") or str(number),
        id=str(parent.get("metadata", {}).get("cellId", "")),
        number=number,
        source=str(parent.get("content", {}).get("code", "")),
    )


def shell() -> Any:
    """The IPython that runs, or None."""
    # Never import IPython: a script has none, and a kernel has it loaded.
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
