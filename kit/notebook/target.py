"""Where a plugin is written: a notebook, a Python file, a module or a project; the plugin in it, and its new versions."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kit.addresses import LOCAL_NAMES, is_document
from kit.errors import KitError
from kit.notebook.cells import has_cells, read_cells
from kit.notebook.environment import require_settings
from kit.notebook.loading import current, found_in, plugin_of, warn_if_unsaved
from kit.notebook.source import Notebook

if TYPE_CHECKING:  # asking whether a text is a target imports no FastAPI
    from kit.plugin.app import Plugin, Served

_State = dict[str, tuple[int, int]]  # of each file: its modification time in ns, its size in bytes

POLL_INTERVAL = 0.3  # seconds between two checks of a file for changes
SETTLE_TIME = 0.2  # seconds after which a file that cannot be read is read again: an editor may be writing it
_SUFFIXES = (".py", ".ipynb")
_FORMS = "Pass NOTEBOOK.ipynb, FILE.py, MODULE or the folder of a project; with :NAME of the plugin where there are several."


def load(path: str | Path | None = None, name: str | None = None) -> Plugin:
    """The plugin that a notebook defines in its `#| export` cells, or a Python file, in its own module.

    `path` is what `kit serve` takes: a notebook, a `.py` file with cells or without, a module, the folder of a project;
    `path:NAME` or `name` chooses among several plugins, or is a function that makes one. Without `path`, the notebook that
    calls this, as last saved. Raises `NotebookError`, naming the cell, for magics and syntax errors, for a name that an
    unmarked cell defines, for a cell that raises, and if there is no plugin or more than one.
    """
    if path is None:
        notebook = Notebook(current())
        warn_if_unsaved(notebook)
        path = notebook.path
    return Target(path).plugin(name)


def is_target(text: str) -> bool:
    """Whether `text` is a `Target` and not the address or the spec of a plugin that runs elsewhere."""
    where, name = _parted(text)
    if Path(where).suffix in _SUFFIXES:
        return True
    if Path(where).is_dir() and not _is_package(Path(where)):
        return _file_in(Path(where)) is not None
    parts = where.split(".")
    are_names = all(part.isidentifier() for part in parts) and (not name or name.isidentifier())
    if not are_names or is_document(where) or where in LOCAL_NAMES or Path(text).is_file():
        return False
    sys.path.insert(0, "")  # the installed command does not search the current folder
    try:
        # the whole of it, so that github.com is no module where `github` is installed
        return importlib.util.find_spec(parts[0]) is not None and importlib.util.find_spec(where) is not None
    except Exception:  # of a parent that does not import, or is no package
        return False
    finally:
        sys.path.remove("")


def absolute(text: str) -> str:
    """The text of a target, or a document, with the whole path of its file or folder: it holds in any folder."""
    where, name = _parted(text)
    where, name = (where, f":{name}") if name else (text, "")
    return f"{Path(where).resolve()}{name}" if Path(where).exists() and not _is_package(Path(where)) else text


class Target:
    """`NOTEBOOK.ipynb`, `FILE.py`, `MODULE` or a project's folder, with `:NAME` of the plugin, app or function that makes it."""

    def __init__(self, where: str | Path) -> None:
        self.where, self.name = (str(where), "") if isinstance(where, Path) else _parted(where)
        path = Path(self.where)
        self.path: Path | None = path if path.suffix in _SUFFIXES else None  # None: a module
        if self.path and not self.path.is_file():
            read_cells(self.path)  # says so, and what there is
        if path.is_dir() and not _is_package(path):
            self.path = _file_in(path)
            if self.path is None:
                raise KitError(f"The folder {self.where} has no plugin.ipynb and no app.py.", _FORMS)
        self._modules: dict[str, Path] = {}  # that it imported from beside it, and their files
        self._seen: _State = {}  # the files when they were last read

    def file(self) -> Path:
        """The file to export. Raises `KitError` for a module of a package, which is more than a file."""
        if self.path is not None:
            return self.path
        origin = getattr(self._module(), "__file__", None)
        if "." in self.where or not origin or Path(origin).stem == "__init__":
            raise KitError(
                f"{self.where} is part of a package, and an export is of one file and the modules beside it.",
                f"Write a file app.py with `from {self.where} import {self.name or 'app'} as plugin` beside the package, "
                "and pass that.",
            )
        return Path(origin)

    def require_settings(self) -> None:
        """Raises `SettingsError` that names all variables of the environment that it cannot do without and that are not set."""
        file = self.path or Path(f"{self.where}.py")  # a module of this folder
        if file.is_file():
            require_settings(Notebook(file))

    def plugin(self, name: str | None = None) -> Plugin:
        """The plugin; any other app is wrapped. Raises `KitError` with the names to choose from."""
        name = name or self.name or None
        if self.path is None:
            return found_in(self._module(), self.where, name)[1]
        loaded, seen, module = set(sys.modules), self._state(), self.path.stem
        try:
            notebook = Notebook(self.path)
            if self.path.suffix == ".ipynb" or has_cells(self.path):
                module = f"notebook_{re.sub(r'[^0-9A-Za-z_]+', '_', module).strip('_').lower()}"
            _, plugin, _ = plugin_of(notebook, name, module)
        finally:
            for it in set(sys.modules) - loaded - {module}:
                if file := self._beside(it):
                    self._modules[it] = file
            self._seen = self._state() | seen  # as it was before reading: a change during it counts as one
        plugin.replace_earlier()
        return plugin

    def follow(self, server: Served, stop: threading.Event) -> Iterator[str]:
        """Serves the plugin again whenever its file or a module beside it changes, and yields a message each time, until `stop`.

        If the new version does not work, the previous one goes on serving.
        """
        if self.path is None:
            raise KitError(f"--reload follows a file, and {self.where} is a module.", "Pass its FILE.py.")
        while not stop.wait(POLL_INTERVAL):
            if (state := self._state()) == self._seen:
                continue
            changed = self._changed(state)
            try:
                server.follow(self._again(stop))
                yield f"{changed} has changed: the new version is served."
            except (KitError, SystemExit) as error:
                text = "it ends the process." if isinstance(error, SystemExit) else error
                yield f"{changed} has changed, but the previous version is still served:\n{text}"
            except Exception:
                trace = traceback.format_exc(limit=-1)
                yield f"{changed} has changed, but the previous version is still served:\n{trace}"

    def _again(self, stop: threading.Event) -> Plugin:
        kept = {name: sys.modules.pop(name) for name in self._modules if name in sys.modules}
        importlib.invalidate_caches()
        try:
            return self.plugin()
        except BaseException:
            state = self._seen
            if not stop.wait(SETTLE_TIME) and self._state() != state:
                return self._again(stop)  # what was read was half a file
            sys.modules.update({name: it for name, it in kept.items() if name not in sys.modules})
            raise

    def _beside(self, name: str) -> Path | None:
        """The file of a loaded module that lies beside this one or below its folder, and in no environment there."""
        origin = getattr(sys.modules.get(name), "__file__", None)
        if not self.path or not origin or "site-packages" in origin:
            return None
        file = Path(origin).resolve()
        return file if self.path.resolve().parent in file.parents else None

    def _state(self) -> _State:
        found = {}
        for path in [*([self.path] if self.path else []), *self._modules.values()]:
            with contextlib.suppress(OSError):  # an editor may remove the file for a moment while it saves
                stat = path.stat()
                found[str(path)] = stat.st_mtime_ns, stat.st_size
        return found

    def _changed(self, state: _State) -> str:
        new = [path for path in state if state[path] != self._seen.get(path)]
        return ", ".join(Path(path).name for path in new or self._seen.keys() - state.keys())

    def _module(self) -> object:
        sys.path.insert(0, "")
        try:
            return importlib.import_module(self.where)
        except ModuleNotFoundError as error:
            if not f"{self.where}.".startswith(f"{error.name}."):  # one that it imports is missing
                raise KitError(
                    f"The module {self.where} imports {error.name!r}, which is not installed.", "Install it."
                ) from error
            raise KitError(f"The module {error.name!r} does not exist.", _FORMS) from None
        except (Exception, SystemExit) as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            raise KitError(
                f"The module {self.where} raised {type(error).__name__}: {error}, in {line.filename}, line {line.lineno}.",
                "Fix it.",
            ) from error


def _parted(text: str) -> tuple[str, str]:
    """What is before and after the last colon; that of a drive letter is none."""
    where, _, name = text.rpartition(":") if ":" in text[2:] else (text, "", "")
    return where, name


def _is_package(path: Path) -> bool:
    """Whether a name is that of a package in the current folder, which is imported, and of no project."""
    return path.name == str(path) and (path / "__init__.py").is_file() and _file_in(path) is None


def _file_in(folder: Path) -> Path | None:
    """The plugin of a project, such as `kit new` and `kit export` make: its notebook, its app, or its only notebook."""
    for name in ("plugin.ipynb", "app.py"):
        if (folder / name).is_file():
            return folder / name
    notebooks = [it for it in folder.glob("*.ipynb") if not it.name.startswith(".")]
    return notebooks[0] if len(notebooks) == 1 else None
