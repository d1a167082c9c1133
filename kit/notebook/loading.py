"""`load`: the plugin that a notebook defines."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import jupyter
from kit.errors import NotebookError
from kit.notebook.names import loosely_defined
from kit.notebook.source import Notebook

if TYPE_CHECKING:
    from kit.plugin.app import Plugin


def load(path: str | Path | None = None, name: str | None = None) -> Plugin:
    """The plugin that the `#| export` cells of a notebook define, in a module of its own.

    Without `path`, the notebook that runs this, as it was last saved. `name` chooses among several
    plugins. Raises `NotebookError`, naming the cell, for magics and syntax errors, for a name that comes
    from an unmarked cell, for a cell that raises, and for no plugin or several.
    """
    notebook = Notebook(current() if path is None else path)
    if path is None:
        _warn_if_unsaved(notebook)
    words = re.sub(r"\W+", "_", notebook.path.stem).strip("_").lower()
    _, plugin, _ = plugin_of(notebook, name, f"notebook_{words}")
    plugin.replace_earlier()
    return plugin


def plugin_of(notebook: Notebook, name: str | None, module_name: str) -> tuple[str, Plugin, bool]:
    """Runs the notebook in a module of that name, and finds what it serves.

    Gives the name of the variable, the plugin, and whether the notebook made it so: an app is wrapped.
    """
    from fastapi import FastAPI

    from kit.plugin.app import Plugin

    module = notebook.run(module_name)
    for kind in (Plugin, FastAPI):
        found = {key: value for key, value in vars(module).items() if isinstance(value, kind)}
        if name is not None and name in found:
            found = {name: found[name]}
        if len({id(value) for value in found.values()}) == 1 and name in (None, *found):
            variable = "plugin" if "plugin" in found else next(iter(found))
            app = found[variable]
            return variable, app if isinstance(app, Plugin) else Plugin.wrap(app), isinstance(app, Plugin)
        if found:
            raise notebook.error(
                f"{notebook.path} has no plugin {name!r}."
                if name
                else f"{notebook.path} has {len(found)} plugins: {_places(notebook, found)}.",
                f"There are: {', '.join(found)}."
                if name
                else f"Choose one: name={next(iter(found))!r}, or {notebook.path.name}:{next(iter(found))}.",
            )
    raise notebook.error(
        f"The cells marked `#| export` of {notebook.path} make no plugin.",
        "Mark the cell with kit.Plugin(...) too, and give the plugin a name there.",
    )


def current() -> Path:
    """The file of the notebook that is running. Raises `NotebookError` where no one can know it."""
    shell = jupyter.shell()
    if shell is None or not hasattr(shell, "get_parent"):
        raise NotebookError("This is not a notebook.", "Say which one to load.", notebook="", cell=None)
    said = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    if not str(said).endswith(".ipynb"):
        raise NotebookError(
            "This notebook's file is not known: whatever runs it does not tell.",
            "Pass its name, as in kit.load('plugin.ipynb').",
            notebook="",
            cell=None,
        )
    if not Path(said).is_file():
        raise NotebookError(
            f"This notebook was {Path(said).name} when its kernel started, and there is no such file now.",
            "If you renamed it, pass its new name, as in kit.load('plugin.ipynb').",
            notebook=str(said),
            cell=None,
        )
    return Path(said)


def _warn_if_unsaved(notebook: Notebook) -> None:
    cell = jupyter.running_cell()
    if cell and cell.source and all(cell.source.strip() != other.source.strip() for other in notebook.cells):
        print(f"{notebook.path.name} has changes that are not saved: this loads what was saved last.")


def _places(notebook: Notebook, found: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} in cell {cell.number}"
        for name in found
        for cell in notebook.exported
        if name in loosely_defined(cell.source)
    )
