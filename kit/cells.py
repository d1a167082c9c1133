"""Which notebook cell is running: the kit tells a re-run cell from a second definition by it."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One execution of a cell. `id` is JupyterLab's, empty in front ends that send none."""

    execution: str
    id: str
    number: int
    source: str

    def __str__(self) -> str:
        return f"cell [{self.number}]"

    def rebinds(self, value: object) -> bool:
        """Whether the cell assigns, at its top level, to a name that now holds `value`."""
        current = shell()
        if current is None:
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


def running() -> Cell | None:
    """The cell that is running now; None in a script, a test or a server."""
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
