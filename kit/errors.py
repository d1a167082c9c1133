"""Every error the kit raises. Each message says what was wrong and where, and ends with what to do.

KitError
├── ManifestError        the manifest breaks documented rules; .violations lists all of them
├── AuthError            an auth cannot protect: its tokens are no tokens, or nothing checks it
├── Forbidden            raised by an author: the caller is known and may not do this (status 403)
├── OperationError       a function cannot become an operation; .operation
│   └── OperationClash   two functions claim one name or one route; .taken_by
├── SpecError            a document is not an OpenAPI document that can be read; .source
├── SettingsError        an environment variable or option has a value that cannot be used; .setting
├── ServeError           a server cannot start
│   └── PortInUse        the port is taken; .port
├── NotebookError        a notebook defines no plugin; .notebook, .cell
│   └── ExportError      its plugin cannot be exported, or not into that folder
├── ProjectError         a folder is not a project, or cannot become one; .folder
├── DatabaseError        a database cannot be opened, read or written as asked; .database
│   ├── DatabaseAway     it cannot be reached, or cannot work now: no server, no room, a broken file
│   ├── DatabaseBusy     it was in use for too long; the same call may be retried
│   └── DatabaseMisfit   it cannot hold a value; a served operation answers 422
├── UnknownHost          there is no host of that name; .host
├── InstallError         a plugin cannot be installed from its URL; .source
│   └── SignInError      its user could not be signed in, or no longer is
├── ConnectError         a plugin cannot be connected to a host on this machine; .host
├── ChatError            a conversation cannot go on; the chat itself stays usable; .reply
├── CaseError            a case of an evaluation cannot be read or asked; .case
├── TapeError            a recording of a model cannot be read, written or used
└── ExpectationFailed    what was expected did not happen; an AssertionError too
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from typing import Any

from kit.redaction import hide_urls
from kit.visible import visible


@dataclass(eq=False, repr=False)
class KitError(Exception):
    """Base of all errors of the kit. `problem` is what was wrong and where, `remedy` what to do."""

    problem: str
    remedy: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # nbclient and process pools pickle errors. Rebuilt without __init__, which requires the facts too.
        return _unpickled, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        text = f"{self.problem}\n{self.remedy}" if self.remedy else self.problem
        return visible(hide_urls(text))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the lines the user wrote, without those of libraries, then the message."""
        frames = [f for f in traceback.extract_tb(self.__traceback__) if is_users(f.filename)]
        shown = [
            f"{location(frame.filename)}, line {frame.lineno}: {frame.line}" for frame in frames if frame.line
        ]
        return [*shown, f"\x1b[31m{type(self).__name__}\x1b[0m: {self}"]


def _unpickled(kind: type[KitError], args: tuple[Any, ...]) -> KitError:
    return kind.__new__(kind, *args)


def is_users(file: str) -> bool:
    """Whether code of this file is the user's own: not the kit's, a library's or Python's."""
    paths = sysconfig.get_paths()
    others = (os.path.dirname(__file__), *(paths[name] for name in ("stdlib", "purelib", "platlib")))
    return "dist-packages" not in file and not file.startswith(
        ("<", *(f"{other}{os.sep}" for other in others))
    )


def location(file: str) -> str:
    """The cell of a code's file by its number, as IPython names it; any other file as it is."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    label = shell and shell.compile.format_code_name(file)
    return " ".join(label) if label else file


@dataclass(kw_only=True, eq=False, repr=False)
class ManifestError(KitError):
    """The manifest breaks documented rules. `violations` has one (field, message) for each."""

    violations: list[tuple[str, str]]


class AuthError(KitError):
    """An auth cannot protect: its tokens cannot be used, or nothing checks what is declared."""


class Forbidden(KitError):
    """For `verify` and operations to raise: the caller is known and may not do this. The answer is 403 with `problem`."""


@dataclass(kw_only=True, eq=False, repr=False)
class OperationError(KitError):
    """A function cannot become an operation. `operation` is its name."""

    operation: str


@dataclass(kw_only=True, eq=False, repr=False)
class OperationClash(OperationError):
    """Two functions claim one operationId or one route. `taken_by` describes the earlier one."""

    taken_by: str


@dataclass(kw_only=True, eq=False, repr=False)
class SpecError(KitError):
    """A document is not an OpenAPI document that can be read. `source` says where it came from."""

    source: str


@dataclass(kw_only=True, eq=False, repr=False)
class SettingsError(KitError):
    """A value that was set cannot be used. `setting` is the variable or option, as it is written."""

    setting: str


class ServeError(KitError):
    """A server cannot start."""


@dataclass(kw_only=True, eq=False, repr=False)
class PortInUse(ServeError):
    """The port is taken. `port` is its number."""

    port: int


@dataclass(kw_only=True, eq=False, repr=False)
class NotebookError(KitError):
    """A notebook defines no plugin. `notebook` is its file, `cell` the number of the cell or None."""

    notebook: str = ""
    cell: int | None = None


class ExportError(NotebookError):
    """A notebook's plugin cannot be exported, or not into that folder."""


@dataclass(kw_only=True, eq=False, repr=False)
class ProjectError(KitError):
    """A folder is not a project, or cannot become one. `folder` is its path."""

    folder: str


@dataclass(kw_only=True, eq=False, repr=False)
class DatabaseError(KitError):
    """A database cannot be opened, read or written as asked. `database` is its URL, without a password."""

    database: str = ""


class DatabaseAway(DatabaseError):
    """The database cannot be reached, or cannot work now: an operation that lets it through answers 503."""


class DatabaseBusy(DatabaseError):
    """The database was in use for too long. The same call may be retried."""


class DatabaseMisfit(DatabaseError):
    """The database cannot hold a value: a number is too large, a text has a NUL. A served operation answers 422."""


@dataclass(kw_only=True, eq=False, repr=False)
class UnknownHost(KitError):
    """There is no host of that name. `host` is the name as it was given."""

    host: str


@dataclass(kw_only=True, eq=False, repr=False)
class ConnectError(KitError):
    """A plugin cannot be connected to a host, or not be taken out. `host` is the host's name; "" if it is the plugin's fault."""

    host: str


@dataclass(kw_only=True, eq=False, repr=False)
class InstallError(KitError):
    """A plugin cannot be installed. `source` is the URL or file that was given."""

    source: str


class SignInError(InstallError):
    """The user could not be signed in at a plugin, or no longer is. `source` is the address that refused it."""


@dataclass(kw_only=True, eq=False, repr=False)
class ChatError(KitError):
    """A conversation cannot go on as asked. The chat keeps the turns that ended well.

    `reply` is the `Reply` as far as the turn got, or None if there was none yet.
    """

    reply: Any = None


@dataclass(kw_only=True, eq=False, repr=False)
class CaseError(KitError):
    """A case of an evaluation cannot be read, or asks for what the plugin does not have. `case` is its name."""

    case: str = ""


class ExpectationFailed(KitError, AssertionError):
    """What a cell or a test expected did not happen."""


class TapeError(KitError):
    """A tape cannot be read or written, or is used twice at once."""
