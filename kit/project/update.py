"""What an export wrote, which tells the next one what its user has changed since, and whose export it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import ExportError
from kit.openapi.documents import read_json
from kit.project.folder import strangers_in, write_files
from kit.project.places import DEFAULT
from kit.project.scratch import scratch_folder, uninterrupted

RECORD = ".kit-export.json"
# Ends the part of a file that the export writes. Recognized by its beginning.
_OWN = "# Your own lines go below this one"
OWN_LINES = f"{_OWN}: an export again keeps them, and leaves out above what they name."


@dataclass(frozen=True)
class Record:
    """What the last export of a folder wrote: the digest of each file, of which plugin of which notebook it is, and for
    which places.
    """

    files: dict[str, str] = field(default_factory=dict)
    notebook: str = ""
    plugin: str = ""
    places: tuple[str, ...] = DEFAULT

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record of a folder, an empty one if nothing was exported. Raises `ExportError` for a folder of something else."""
        file = folder / RECORD
        if folder.exists() and not folder.is_dir():
            raise ExportError(f"{folder} is a file.", "Choose a folder.")
        if not file.is_file():
            if others := strangers_in(folder):
                raise ExportError(
                    f"{folder} has files that no export wrote: {', '.join(others[:3])}"
                    f"{', ...' if len(others) > 3 else ''}.",
                    "Choose a new folder, or an empty one.",
                )
            return cls()
        try:
            document = read_json(file.read_bytes())
            files = {
                name: str(digest)
                for name, digest in document["files"].items()
                if ".." not in name and not Path(name).is_absolute()
            }
            # one of an earlier kit has no names
            names = str(document.get("notebook", "")), str(document.get("plugin", ""))
            return cls(files, *names, tuple(map(str, document.get("places", DEFAULT))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            problem = f"{file}, the record of what was exported, cannot be read."
            raise ExportError(problem, "Export into a new folder.") from None

    def check_owner(self, folder: Path, notebook: str, plugin: str) -> None:
        """Raises `ExportError` if the folder is the export of another plugin, or of another notebook."""
        if self.notebook and notebook and (self.notebook, self.plugin) != (notebook, plugin):
            raise ExportError(
                f"{folder} is the export of the plugin {self.plugin!r} of {self.notebook}, and this is {plugin!r} of "
                f"{notebook}. Nothing was written.",
                "Choose another folder, or replace what is there, and your changes to it, with force=True (--force).",
            )

    def text(self) -> str:
        """The record as it is written."""
        about = {"notebook": self.notebook, "plugin": self.plugin, "places": self.places}
        return json.dumps({**about, "files": self.files}, indent=2) + "\n"


class Update:
    """What writing `files` into `folder` would do. `outcomes` says it in a few words for each file.

    A file that its user changed stays, whatever else is written. If there is a new version, it is written beside it as
    NAME.new; with `force` it replaces the file. Lines below `OWN_LINES` are its user's, and no change. Raises
    `ExportError` for a folder that holds something else or, without `force`, the export of another plugin.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, bytes],
        force: bool = False,
        *,
        notebook: str = "",
        plugin: str = "",
        places: tuple[str, ...] = DEFAULT,
    ) -> None:
        self.folder = folder
        self.files = dict(sorted(files.items()))
        self.outcomes: dict[str, str] = {}
        self.blocked: set[str] = set()  # files in whose place there is something else
        earlier = Record.read(folder)
        if not force:
            earlier.check_owner(folder, notebook, plugin)
        self._recorded = earlier.files
        digests = {name: _digest(content) for name, content in self.files.items()}
        self._record = Record(digests, notebook, plugin, places)
        self._write: dict[str, bytes] = {}  # by the name it is written to
        self._remove: list[str] = []
        for name, content in self.files.items():
            self.outcomes[name] = self._outcome(name, content, force)
        for name, digest in self._recorded.items():
            if name in self.files or (current := self._current(name)) is None:
                continue
            if _digest(current) == digest:
                self.outcomes[name] = "removed: no longer needed"
                self._remove.append(name)
            else:
                self.outcomes[name] = "kept with your changes, though no longer needed"
        for name in {**self._recorded, **self.files}:
            self._clear_new(name)

    @property
    def kept(self) -> dict[str, bytes]:
        """The files that stay as their user changed them."""
        names = [name for name in self.files if self.outcomes[name].startswith("kept")]
        return {name: current for name in names if (current := self._current(name)) is not None}

    @property
    def notes(self) -> list[str]:
        """A sentence for each file whose outcome its user should know."""
        quiet = ("written", "updated", "unchanged")
        return [f"{name}: {outcome}." for name, outcome in self.outcomes.items() if outcome not in quiet]

    def write(self) -> None:
        """Writes. A new folder appears as a whole; in an existing one, each file is replaced atomically.

        It is not interrupted: Ctrl+C and SIGTERM wait until all is written.
        """
        parent = self.folder.parent
        try:
            with uninterrupted():
                parent.mkdir(parents=True, exist_ok=True)
                with scratch_folder(f".{self.folder.name}-", parent) as directory:
                    self._write_by_way_of(directory / "files")
        except OSError as error:
            raise ExportError(
                f"{self.folder} cannot be written: {error}.", "Choose another folder."
            ) from None

    def _write_by_way_of(self, scratch: Path) -> None:
        write_files(scratch, {**self._write, RECORD: self._record.text().encode()})
        if not self.folder.exists():
            scratch.rename(self.folder)
            return
        for name in [*self._write, RECORD]:  # the record last: until then the old one holds
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / name, target)
        for name in self._remove:
            (self.folder / name).unlink()

    def _outcome(self, name: str, content: bytes, force: bool) -> str:
        if other := self._in_place_of(name):
            self.blocked.add(name)
            return f"not written: {other} is something else of yours"
        current, recorded = self._current(name), self._recorded.get(name)
        if current == content:
            return "unchanged"
        if current is not None and _digest(current) != recorded and not force:
            return self._kept(name, content)
        self._write[name] = content
        if current is None:
            return "written again: it was missing" if recorded else "written"
        return "updated" if _digest(current) == recorded else "your changes were overwritten"

    def _kept(self, name: str, content: bytes) -> str:
        new = f"{name}.new"
        if other := self._in_place_of(new):
            return f"kept with your changes; no {new} is written, since {other} is something else of yours"
        if self._recorded.get(name) != _digest(content):
            self._write[new] = content
        elif self._current(new) is None:  # its user knows this version, and has removed it
            return "kept with your changes"
        return f"kept with your changes; the notebook's current version is in {new}, until you delete that"

    def _clear_new(self, name: str) -> None:
        """Removes the NAME.new of an earlier export if it is of no more use: the file itself is not kept any longer."""
        new, outcome = f"{name}.new", self.outcomes.get(name, "")
        if outcome.startswith("kept") or (stale := self._current(new)) is None:
            return
        if _digest(stale) in (self._recorded.get(name), self._record.files.get(name)):
            self._remove.append(new)
        else:
            self.outcomes[name] = f"{outcome}; {new} is still there, with your changes".removeprefix("; ")

    def _in_place_of(self, name: str) -> str:
        """What is in the place of the file `name`: a folder, or a file where it needs a folder; "" if nothing is."""
        if (self.folder / name).is_dir():
            return name
        parents = [parent.as_posix() for parent in Path(name).parents][:-1]
        return next(
            (it for it in parents if (self.folder / it).exists() and not (self.folder / it).is_dir()), ""
        )

    def _current(self, name: str) -> bytes | None:
        file = self.folder / name
        try:
            return file.read_bytes() if file.is_file() else None
        except OSError as error:
            raise ExportError(f"{file} cannot be read: {error}.", "Make it readable, or remove it.") from None


def own_lines(folder: Path, name: str) -> list[str]:
    """The lines that a user of an earlier export has written into a file of it, below `OWN_LINES`."""
    file = folder / name
    content = file.read_bytes() if file.is_file() else b""
    return content[_length_of_ours(content) :].decode(errors="replace").splitlines()


def _digest(content: bytes) -> str:
    """Of the part that the export writes."""
    return hashlib.sha256(content[: _length_of_ours(content)]).hexdigest()


def _length_of_ours(content: bytes) -> int:
    mark = re.search(rb"^%b.*\n?" % re.escape(_OWN.encode()), content, re.MULTILINE)
    return mark.end() if mark else len(content)
