"""The notebook around the kit: the cell that is running, what its output shows, and the reader's browser.

By the cell, the kit tells a re-run from a second definition.
"""

from __future__ import annotations

import ast
import html
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


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
def loading_cell(notebook: str, number: int, source: str) -> Iterator[None]:
    """While a cell of a notebook file runs, `running_cell` returns it, not the cell that loads it."""
    token = _loaded.set(Cell(f"{notebook}#{number}", f"{notebook}#{number}", number, source, notebook))
    try:
        yield
    finally:
        _loaded.reset(token)


def running_cell() -> Cell | None:
    """The cell that is running now; None in a script, a test or a server."""
    if (inner := _loaded.get()) is not None:
        return inner
    current = shell()
    if current is None:
        return None
    # get_parent is ipykernel's; IPython in a terminal has cells, but no messages about them.
    parent: dict[str, Any] = current.get_parent() if hasattr(current, "get_parent") else {}
    number = _prompt(current)
    return Cell(
        execution=parent.get("header", {}).get("msg_id") or str(number),
        id=str(parent.get("metadata", {}).get("cellId", "")),
        number=number,
        source=str(parent.get("content", {}).get("code", "")),
    )


def _prompt(current: Any) -> int:
    """The number in the prompt of the cell that is running: `execution_count` is the next one's since IPython 9."""
    stored = current.history_manager and current.history_manager.input_hist_parsed
    return max(len(stored) - 1, 1) if stored else int(current.execution_count)


def shell() -> Any:
    """The running IPython shell, or None."""
    # IPython is never imported: a kernel has it loaded, and a script does without.
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def name_of(value: object) -> str:
    """The name by which the notebook knows `value`; empty without one."""
    current = shell()
    names = current.user_ns.items() if current else ()
    return next((name for name, held in names if held is value and not name.startswith("_")), "")


# -- what a cell shows --------------------------------------------------------


def has_output() -> bool:
    """Whether output goes to a notebook cell: IPython with a kernel, not in a terminal."""
    current = shell()
    return current is not None and hasattr(current, "kernel")


class LiveView:
    """An object in the output of the running cell; `update` shows its current state.

    Without IPython, or with `show` False, nothing is shown and `is_on` is false.
    """

    def __init__(self, view: Any, show: bool) -> None:
        self._cell = running_cell()
        self._handle: Any = None
        if show and shell() is not None:
            from IPython.display import display

            self._handle = display(_formats(view), raw=True, display_id=True)

    @property
    def is_on(self) -> bool:
        return self._handle is not None

    def update(self, view: Any) -> None:
        if self._handle is not None:
            self._handle.update(_formats(view), raw=True)

    def is_of_this_run(self) -> bool:
        """Whether the cell run that shows it is still going on."""
        cell = running_cell()
        return cell is not None and self._cell is not None and cell.execution == self._cell.execution


def show(view: Any, live: LiveView | None = None) -> None:
    """Shows an object as the value of a cell, unless this run of the cell already shows it as `live`."""
    if live is None or not live.is_of_this_run():
        from IPython.display import display

        display(_formats(view), raw=True)


def _formats(view: Any) -> dict[str, str]:
    return {"text/html": view._repr_html_(), "text/plain": repr(view)}


# -- the reader's browser -----------------------------------------------------


def browser_url(port: int) -> str | None:
    """The address of a local port for the reader's browser; None if that is on this machine.

    From `KIT_BROWSER_URL`, whose `{port}` is replaced by the port; else JupyterHub's proxy.
    """
    template = os.environ.get("KIT_BROWSER_URL")
    if template:
        return template.replace("{port}", str(port)).rstrip("/")
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix:
        return f"{prefix.rstrip('/')}/proxy/{port}"
    return None


def browser_hosts(port: int) -> frozenset[str]:
    """The names by which the reader's browser reaches a local port through a proxy; "*" if they are unknown."""
    if "google.colab" in sys.modules and not os.environ.get("KIT_BROWSER_URL"):
        return frozenset("*")
    base = browser_url(port)
    return frozenset() if base is None else frozenset({urlsplit(base).hostname or "*"})


class Frame:
    """A page in a frame, below a link to it; `about` stands there when the page does not answer, as in a notebook
    that is opened again. On Colab, the frame that Colab itself offers.
    """

    def __init__(self, url: str, port: int, height: int, about: str = "") -> None:
        self.url, self.port, self.height, self.about = url, port, height, about

    def __repr__(self) -> str:
        return self.url

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if "google.colab" in sys.modules and not os.environ.get("KIT_BROWSER_URL"):
            from google.colab import output

            output.serve_kernel_port_as_iframe(self.port, height=str(self.height))
            return
        url = html.escape(self.url)
        link = f'<a href="{url}" target="_blank">{url}</a>'
        # not an iframe: in the place of an object that cannot be had, a browser shows what is written in it
        about = html.escape(self.about)
        frame = (
            f'<object data="{url}" type="text/html" title="{about}" width="100%" height="{self.height}">{about}</object>'
            if self.about
            else f'<iframe src="{url}" width="100%" height="{self.height}" frameborder="0"></iframe>'
        )
        display({"text/html": f"{link}<br>{frame}", "text/plain": self.url}, raw=True)
