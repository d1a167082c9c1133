"""The record of what an export wrote, which tells the next one what its user has changed since."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kit.errors import ExportError
from kit.openapi.documents import read_json
from kit.project.folder import write_files

RECORD = ".kit-export.json"


class Update:
    """What writing `files` into `folder` would do. `outcomes` says it in a few words for each file.

    A file that its user changed stays. If there is a new version, it is written beside it as NAME.new; with
    `force` it replaces the file. Raises `ExportError` for a folder that holds something else.
    """

    def __init__(self, folder: Path, files: Mapping[str, bytes], force: bool = False) -> None:
        self.folder = folder
        self.files = dict(sorted(files.items()))
        self.recorded = _recorded(folder)
        self.outcomes: dict[str, str] = {}
        self._write: dict[str, bytes] = {}  # by the name it is written to
        self._remove: list[str] = []
        for name, content in self.files.items():
            self._decide(name, content, force)
        for name, digest in self.recorded.items():
            if name not in self.files and (current := self._current(name)) is not None:
                if _digest(current) == digest:
                    self.outcomes[name] = "removed: no longer needed"
                    self._remove.append(name)
                else:
                    self.outcomes[name] = "kept with your changes, though no longer needed"

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
        """Writes. A new folder appears as a whole; in an existing one, each file is replaced atomically."""
        digests = {name: _digest(content) for name, content in self.files.items()}
        record = json.dumps({"files": digests}, indent=2).encode() + b"\n"
        parent = self.folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{self.folder.name}-", dir=parent) as directory:
                scratch = Path(directory) / "files"
                write_files(scratch, {**self._write, RECORD: record})
                if not self.folder.exists():
                    scratch.rename(self.folder)
                    return
                for name in [*self._write, RECORD]:  # the record last: until then the old one holds
                    target = self.folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(scratch / name, target)
                for name in self._remove:
                    (self.folder / name).unlink()
        except OSError as error:
            raise ExportError(
                f"{self.folder} cannot be written: {error}.", "Choose another folder."
            ) from None

    def _decide(self, name: str, content: bytes, force: bool) -> None:
        current, recorded = self._current(name), self.recorded.get(name)
        new = f"{name}.new"
        if current is None:
            self.outcomes[name] = "written again: it was missing" if recorded else "written"
        elif current == content:
            self.outcomes[name] = "unchanged"
        elif _digest(current) == recorded:
            self.outcomes[name] = "updated"
        elif force:
            self.outcomes[name] = "your changes were overwritten"
        elif recorded == _digest(content):
            self.outcomes[name] = "kept with your changes"
            return
        else:
            self.outcomes[name] = f"kept with your changes; the notebook's current version is in {new}"
            self._write[new] = content
            return
        if current != content:
            self._write[name] = content
        stale = self._current(new)
        if stale is not None and _digest(stale) == recorded:
            self._remove.append(new)  # an earlier export's, and merged by now

    def _current(self, name: str) -> bytes | None:
        file = self.folder / name
        if file.is_dir():
            raise ExportError(f"{file} is a folder; the export writes a file of that name.", "Rename it.")
        return file.read_bytes() if file.is_file() else None


def _recorded(folder: Path) -> dict[str, str]:
    file = folder / RECORD
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file.", "Choose a folder.")
    if not file.is_file():
        others = [path.name for path in folder.iterdir() if path.name != ".git"] if folder.is_dir() else []
        if others:
            raise ExportError(
                f"{folder} has files that no export wrote: {', '.join(sorted(others)[:3])}"
                f"{', ...' if len(others) > 3 else ''}.",
                "Choose a new folder, or an empty one.",
            )
        return {}
    try:
        digests = read_json(file.read_bytes())["files"]
        return {
            name: str(digest)
            for name, digest in digests.items()
            if ".." not in name and not Path(name).is_absolute()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = f"{file}, the record of what was exported, cannot be read."
        raise ExportError(problem, "Export into a new folder.") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
