"""What `kit serve` is given: a notebook, a file or a module, and the plugin in it; and following its file."""

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

LOOK = 0.3  # seconds between two looks at a file that is followed


def is_target(text: str) -> bool:
    """Whether `text` is a `Target` and not the address or the spec of a plugin that runs elsewhere."""
    where, _, name = text.rpartition(":") if ":" in text[2:] else (text, "", "")
    if Path(where).suffix in (".py", ".ipynb"):
        return True
    parts = where.split(".")
    words = all(part.isidentifier() for part in parts) and (not name or name.isidentifier())
    if not words or is_document(where) or where in LOCAL_NAMES or Path(text).is_file():
        return False
    sys.path.insert(0, "")  # the installed command does not look into the folder it is called from
    try:
        return importlib.util.find_spec(parts[0]) is not None
    finally:
        sys.path.remove("")


class Target:
    """`NOTEBOOK.ipynb`, `FILE.py` or `MODULE`, with `:NAME` of the plugin or app where there are several."""

    def __init__(self, text: str) -> None:
        # The colon of a drive letter does not separate.
        self.where, _, self.name = text.rpartition(":") if ":" in text[2:] else (text, "", "")
        self.path = Path(self.where)
        self._seen: tuple[int, int] | None = None  # the state of the file when it was last read
        self.is_file = self.path.suffix in (".py", ".ipynb")
        if self.is_file and not self.path.is_file():
            raise KitError(
                f"There is no file {self.where}.", "Give NOTEBOOK.ipynb, FILE.py:NAME or MODULE:NAME."
            )

    def plugin(self) -> Plugin:
        """The plugin; any other app is wrapped. Raises `KitError` with what there is."""
        self._seen = self._state()  # before it is read: what changes meanwhile has changed
        if self.path.suffix == ".ipynb":
            return load(self.path, self.name or None)
        module = self._module()
        apps = {key: value for key, value in vars(module).items() if isinstance(value, FastAPI)}
        # One may have two names, and an app may stand beside the plugin that wraps it.
        plugins = [app for app in apps.values() if isinstance(app, Plugin)]
        only = list({id(app): app for app in plugins or apps.values()}.values())
        # Of several it is `plugin`, as in every exported app.py.
        name = self.name or ("plugin" if len(only) > 1 else "")
        if name in apps or (not name and len(only) == 1):
            app = apps[name] if name else only[0]
            return app if isinstance(app, Plugin) else Plugin.wrap(app)
        raise KitError(
            f"{self.where} has no plugin or app {self.name!r}."
            if self.name
            else f"Which plugin of {self.where}?",
            f"There are: {', '.join(apps) or 'none'}.",
        )

    def follow(self, server: Served, stop: threading.Event) -> Iterator[str]:
        """Serves the plugin anew whenever its file has changed, and tells of each time until `stop`.

        A file that does not work leaves the plugin serving as it was.
        """
        if not self.is_file:
            raise KitError(f"--reload follows a file, and {self.where} is a module.", "Give its FILE.py.")
        while not stop.wait(LOOK):
            if self._state() == self._seen:
                continue
            try:
                server.follow(self.plugin())
                yield f"{self.path.name} has changed: it is served as it is now."
            except KitError as error:
                yield f"{self.path.name} has changed, and what was there before is still served:\n{error}"
            except Exception:
                yield (
                    f"{self.path.name} has changed, and what was there before is still served:\n"
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
            # Not by import: its cache misses a change within one second that keeps the size.
            exec(compile(self.path.read_bytes(), self.path, "exec", dont_inherit=True), module.__dict__)
            return module
        sys.path.insert(0, "")
        try:
            return importlib.import_module(self.where)
        except ModuleNotFoundError as error:
            if not f"{self.where}.".startswith(f"{error.name}."):  # one that it imports is missing
                raise
            raise KitError(
                f"There is no module {error.name!r}.",
                "Give NOTEBOOK.ipynb, FILE.py:NAME or MODULE:NAME.",
            ) from None
