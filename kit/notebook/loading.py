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
    """The plugin that the `#| export` cells of a notebook define, in its own module.

    Without `path`, the notebook that calls this, as last saved. `name` chooses among several plugins. Raises
    `NotebookError`, naming the cell, for magics and syntax errors, for a name that an unmarked cell defines,
    for a cell that raises, and if there is no plugin or more than one.
    """
    notebook = Notebook(current() if path is None else path)
    if path is None:
        _warn_if_unsaved(notebook)
    suffix = re.sub(r"\W+", "_", notebook.path.stem).strip("_").lower()
    _, plugin, _ = plugin_of(notebook, name, f"notebook_{suffix}")
    plugin.replace_earlier()
    return plugin


def plugin_of(notebook: Notebook, name: str | None, module_name: str) -> tuple[str, Plugin, bool]:
    """Runs the notebook in a module of that name, and finds its plugin.

    Returns the name of the variable, the plugin, and whether it is a `Plugin` in the notebook: any other app is wrapped.
    """
    from fastapi import FastAPI

    from kit.plugin.app import Plugin

    module = notebook.run(module_name)
    for kind in (Plugin, FastAPI):
        apps = {key: value for key, value in vars(module).items() if isinstance(value, kind)}
        if name is not None and name in apps:
            apps = {name: apps[name]}
        if len({id(value) for value in apps.values()}) == 1 and name in (None, *apps):
            variable = "plugin" if "plugin" in apps else next(iter(apps))
            app = apps[variable]
            return variable, app if isinstance(app, Plugin) else Plugin.wrap(app), isinstance(app, Plugin)
        if apps:
            raise notebook.error(
                f"{notebook.path} has no plugin {name!r}."
                if name
                else f"{notebook.path} has {len(apps)} plugins: {_listing(notebook, apps)}.",
                f"There are: {', '.join(apps)}."
                if name
                else f"Choose one: name={next(iter(apps))!r}, or {notebook.path.name}:{next(iter(apps))}.",
            )
    raise notebook.error(
        f"The cells marked `#| export` of {notebook.path} define no plugin.",
        "Mark the cell that calls kit.Plugin(...) too, and assign the plugin to a name there.",
    )


def current() -> Path:
    """The file of the notebook that is running. Raises `NotebookError` if it is unknown."""
    shell = jupyter.shell()
    if shell is None or not hasattr(shell, "get_parent"):
        raise NotebookError(
            "This is not a notebook.", "Pass the path of the one to load.", notebook="", cell=None
        )
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    if not str(path).endswith(".ipynb"):
        raise NotebookError(
            "This notebook's file is unknown: the program that runs it does not report it.",
            "Pass its name, as in kit.load('plugin.ipynb').",
            notebook="",
            cell=None,
        )
    if not Path(path).is_file():
        raise NotebookError(
            f"This notebook was {Path(path).name} when its kernel started, and that file no longer exists.",
            "If you renamed it, pass its new name, as in kit.load('plugin.ipynb').",
            notebook=str(path),
            cell=None,
        )
    return Path(path)


def _warn_if_unsaved(notebook: Notebook) -> None:
    cell = jupyter.running_cell()
    if cell and cell.source and all(cell.source.strip() != other.source.strip() for other in notebook.cells):
        print(f"{notebook.path.name} has unsaved changes: this loads it as last saved.")


def _listing(notebook: Notebook, apps: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} in cell {cell.number}"
        for name in apps
        for cell in notebook.exported
        if name in loosely_defined(cell.source)
    )
