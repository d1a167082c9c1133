"""Every error the kit raises. Each message says what was wrong and where, and ends with what to do.

KitError
├── ManifestError        the manifest breaks documented rules; .violations lists all of them
├── OperationError       a function cannot become an operation; .operation
│   └── OperationClash   two functions claim one name or one route; .taken_by
├── SpecError            a document is no OpenAPI document that can be read; .source
├── ServeError           a server cannot start
│   └── PortInUse        the port is taken; .port
├── NotebookError        a notebook does not give a plugin; .notebook, .cell
├── InstallError         a plugin cannot be installed from its URL; .source
└── ChatError            a conversation cannot go on; the chat itself stays usable
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from typing import Any


class KitError(Exception):
    """Base of all errors of the kit. `problem` is what was wrong and where, `remedy` what to do."""

    def __init__(self, problem: str, remedy: str = "", **facts: Any) -> None:
        # args hold exactly what __init__ takes, and the facts live in __dict__: so the error
        # survives pickling, which nbclient and process pools put it through.
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy
        self.__dict__.update(facts)

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines the user wrote, then the message. Those of libraries are no help."""
        frames = [f for f in traceback.extract_tb(self.__traceback__) if is_users(f.filename)]
        shown = [f"{_place(frame)}, line {frame.lineno}: {frame.line}" for frame in frames if frame.line]
        return [*shown, f"\x1b[31m{type(self).__name__}\x1b[0m: {self}"]


def is_users(file: str) -> bool:
    """Whether code of this file is the user's own: not the kit's, a library's or Python's."""
    paths = sysconfig.get_paths()
    others = (os.path.dirname(__file__), *(paths[name] for name in ("stdlib", "purelib", "platlib")))
    return "dist-packages" not in file and not file.startswith(
        ("<", *(f"{other}{os.sep}" for other in others))
    )


def _place(frame: traceback.FrameSummary) -> str:
    """A cell by its number, as IPython names it; anything else by its file."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    label = shell and shell.compile.format_code_name(frame.filename)
    return " ".join(label) if label else frame.filename


class ManifestError(KitError):
    """The manifest breaks documented rules. `violations` has one (field, message) for each."""

    violations: list[tuple[str, str]]


class OperationError(KitError):
    """A function cannot become an operation. `operation` is its name."""

    operation: str


class OperationClash(OperationError):
    """Two functions claim one operationId or one route. `taken_by` describes the earlier one."""

    taken_by: str


class SpecError(KitError):
    """A document is no OpenAPI document that can be read. `source` says where it came from."""

    source: str


class ServeError(KitError):
    """A server cannot start."""


class PortInUse(ServeError):
    """The port is taken. `port` is its number."""

    port: int


class NotebookError(KitError):
    """A notebook does not give a plugin. `notebook` is its file, `cell` the number of the cell or None."""

    notebook: str
    cell: int | None


class InstallError(KitError):
    """A plugin cannot be installed. `source` is the URL or file that was given."""

    source: str


class ChatError(KitError):
    """A conversation cannot go on as asked. The chat keeps the turns that ended well."""
