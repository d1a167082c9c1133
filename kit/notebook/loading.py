"""The plugin that a notebook defines, and which notebook is running."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import jupyter
from kit.errors import KitError, NotebookError
from kit.notebook.names import loosely_defined
from kit.notebook.source import Notebook

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kit.plugin.app import Plugin


def plugin_of(notebook: Notebook, name: str | None, module_name: str) -> tuple[str, Plugin, bool]:
    """Runs the notebook in a module of that name, and finds its plugin.

    Returns the variable or the call that gives it, the plugin, and whether it is a `Plugin` in the notebook: any other
    app is wrapped. `name` may be a function that makes it.
    """
    return found_in(notebook.run(module_name), str(notebook.path), name, notebook)


def found_in(
    module: Any, where: str, name: str | None, notebook: Notebook | None = None
) -> tuple[str, Plugin, bool]:
    """The plugin of a module, as `plugin_of` returns it. Among several, `plugin` is the one, as in an exported app.py."""
    from fastapi import FastAPI

    from kit.plugin.app import Plugin

    def error(problem: str, remedy: str) -> KitError:
        return notebook.error(problem, remedy) if notebook else KitError(problem, remedy)

    def result(variable: str, app: FastAPI) -> tuple[str, Plugin, bool]:
        return variable, app if isinstance(app, Plugin) else Plugin.wrap(app), isinstance(app, Plugin)

    if name and (app := _made_by(getattr(module, name, None), error)):
        return result(f"{name}()", app)
    file = Path(where).name
    apps = {key: value for key, value in vars(module).items() if isinstance(value, FastAPI)}
    if name and name in apps:
        return result(name, apps[name])
    if name and apps:
        raise error(f"{where} has no plugin {name!r}.", f"There are: {', '.join(apps)}.")
    # one app may have two names, or stand beside the plugin that wraps it
    apps = {key: app for key, app in apps.items() if isinstance(app, Plugin)} or apps
    if "plugin" in apps:
        return result("plugin", apps["plugin"])
    if len({id(app) for app in apps.values()}) == 1:
        return result(*next(iter(apps.items())))
    if apps:
        listing, first = _listing(notebook, apps) if notebook else ", ".join(apps), next(iter(apps))
        remedy = f"Choose one: name={first!r}, or {file}:{first}."
        raise error(f"{where} has {len(apps)} plugins: {listing}.", remedy)
    if makers := [key for key, value in vars(module).items() if _may_make(value, module.__name__)]:
        raise error(
            f"{where} defines no plugin, but {makers[0]}() may make one.", f"Name it: {file}:{makers[0]}."
        )
    if notebook and notebook.has_marks:
        raise error(
            f"The cells marked `#| export` of {where} define no plugin.",
            "Mark the cell that calls kit.Plugin(...) too, and assign the plugin to a name there.",
        )
    raise error(
        f"{where} defines no plugin.", "Assign what kit.Plugin(...) or FastAPI(...) returns to a name there."
    )


def _made_by(value: Any, error: Callable[[str, str], KitError]) -> FastAPI | None:
    """The app that a function without required arguments makes, as `uvicorn --factory` has it; None for what is no function."""
    from fastapi import FastAPI

    if isinstance(value, FastAPI) or not (inspect.isfunction(value) and _needs_nothing(value)):
        return None
    try:
        app = value()
    except Exception as reason:
        raise error(f"{value.__name__}() raised {type(reason).__name__}: {reason}", "Fix it.") from reason
    if not isinstance(app, FastAPI):
        problem = f"{value.__name__}() returns {type(app).__name__}, not an app."
        raise error(problem, "Return a kit.Plugin or a FastAPI app.")
    return app


def _may_make(value: Any, module: str) -> bool:
    """Whether it is a function of that module that looks like a maker of an app, by name or by what it says it returns."""
    if not inspect.isfunction(value) or value.__module__ != module or not _needs_nothing(value):
        return False
    returned = str(value.__annotations__.get("return", ""))
    return bool(
        re.search(r"FastAPI|Plugin", returned) or re.search(r"(?:^|_)(?:app|plugin)$", value.__name__)
    )


def _needs_nothing(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return all(
        it.default is not it.empty or it.kind in (it.VAR_POSITIONAL, it.VAR_KEYWORD) for it in parameters
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


def warn_if_unsaved(notebook: Notebook) -> None:
    cell = jupyter.running_cell()
    if cell and cell.source and all(cell.source.strip() != other.source.strip() for other in notebook.cells):
        print(f"{notebook.path.name} has unsaved changes: this loads it as last saved.")


def _listing(notebook: Notebook, apps: dict[str, Any]) -> str:
    if notebook.is_plain:
        return ", ".join(apps)
    return ", ".join(
        f"{name} in cell {cell.number}"
        for name in apps
        for cell in notebook.exported
        if name in loosely_defined(cell.source)
    )
