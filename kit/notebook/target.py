"""The target of `kit serve`: a notebook, file or module, the plugin in it, and reloading it when its file changes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from fastapi import FastAPI

from kit.addresses import LOCAL_NAMES, is_document
from kit.errors import KitError
from kit.notebook.loading import load
from kit.plugin.app import Plugin, Served

POLL_INTERVAL = 0.3  # seconds between two checks of a file for changes


def is_target(text: str) -> bool:
    """Whether `text` is a `Target` and not the address or the spec of a plugin that runs elsewhere."""
    where, _, name = text.rpartition(":") if ":" in text[2:] else (text, "", "")
    if Path(where).suffix in (".py", ".ipynb"):
        return True
    parts = where.split(".")
    are_names = all(part.isidentifier() for part in parts) and (not name or name.isidentifier())
    if not are_names or is_document(where) or where in LOCAL_NAMES or Path(text).is_file():
        return False
    sys.path.insert(0, "")  # the installed command does not search the current folder
    try:
        return importlib.util.find_spec(parts[0]) is not None
    finally:
        sys.path.remove("")


class Target:
    """`NOTEBOOK.ipynb`, `FILE.py` or `MODULE`, with `:NAME` of the plugin or app where there are several."""

    def __init__(self, text: str) -> None:
        # The colon of a drive letter is not the separator.
        self.where, _, self.name = text.rpartition(":") if ":" in text[2:] else (text, "", "")
        self.path = Path(self.where)
        self._seen: tuple[int, int] | None = None  # the state of the file when it was last read
        self.is_file = self.path.suffix in (".py", ".ipynb")
        if self.is_file and not self.path.is_file():
            raise KitError(
                f"The file {self.where} does not exist.", "Pass NOTEBOOK.ipynb, FILE.py:NAME or MODULE:NAME."
            )

    def plugin(self) -> Plugin:
        """The plugin; any other app is wrapped. Raises `KitError` with the names to choose from."""
        self._seen = self._state()  # before reading: a change during it counts as one
        if self.path.suffix == ".ipynb":
            return load(self.path, self.name or None)
        module = self._module()
        apps = {key: value for key, value in vars(module).items() if isinstance(value, FastAPI)}
        # One app may have two names, or stand beside the plugin that wraps it.
        plugins = [app for app in apps.values() if isinstance(app, Plugin)]
        unique = list({id(app): app for app in plugins or apps.values()}.values())
        # Among several, `plugin` is the one, as in every exported app.py.
        name = self.name or ("plugin" if len(unique) > 1 else "")
        if name in apps or (not name and len(unique) == 1):
            app = apps[name] if name else unique[0]
            return app if isinstance(app, Plugin) else Plugin.wrap(app)
        raise KitError(
            f"{self.where} has no plugin or app {self.name!r}."
            if self.name
            else f"Which plugin of {self.where}?",
            f"There are: {', '.join(apps) or 'none'}.",
        )

    def follow(self, server: Served, stop: threading.Event) -> Iterator[str]:
        """Serves the plugin again whenever its file changes, and yields a message each time, until `stop`.

        If the changed file does not work, the previous version goes on serving.
        """
        if not self.is_file:
            raise KitError(f"--reload follows a file, and {self.where} is a module.", "Pass its FILE.py.")
        while not stop.wait(POLL_INTERVAL):
            if self._state() == self._seen:
                continue
            try:
                server.follow(self.plugin())
                yield f"{self.path.name} has changed: the new version is served."
            except KitError as error:
                yield f"{self.path.name} has changed, but the previous version is still served:\n{error}"
            except Exception:
                yield (
                    f"{self.path.name} has changed, but the previous version is still served:\n"
                    f"{traceback.format_exc(limit=-1)}"
                )

    def _state(self) -> tuple[int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:  # an editor may remove the file for a moment while it saves
            return None
        return stat.st_mtime_ns, stat.st_size

    def _module(self) -> object:
        if self.path.suffix == ".py":
            module = ModuleType(self.path.stem)
            module.__file__ = str(self.path.absolute())
            sys.modules[self.path.stem] = module
            sys.path.insert(0, str(self.path.parent.resolve()))
            # Not by import, whose cache misses a change that keeps the size and comes within one second.
            exec(compile(self.path.read_bytes(), self.path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what the author wrote is to run
            return module
        sys.path.insert(0, "")
        try:
            return importlib.import_module(self.where)
        except ModuleNotFoundError as error:
            if not f"{self.where}.".startswith(f"{error.name}."):  # one that it imports is missing
                raise
            raise KitError(
                f"The module {error.name!r} does not exist.",
                "Pass NOTEBOOK.ipynb, FILE.py:NAME or MODULE:NAME.",
            ) from None
