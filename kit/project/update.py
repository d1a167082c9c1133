"""The record of what an export wrote, by which the next one knows what its user has changed since."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kit.errors import ExportError
from kit.openapi.documents import read_json

RECORD = ".kit-export.json"


class Update:
    """What writing the files `made` into `folder` would do. `fates` says it in a word for each file.

    A file that its user changed stays. Where there is something new for it, that is written beside it as
    NAME.new; with `force` it takes the file's place. Raises `KitError` for a folder of something else.
    """

    def __init__(self, folder: Path, made: Mapping[str, bytes], force: bool = False) -> None:
        self.folder = folder
        self.made = dict(sorted(made.items()))
        self.recorded = _recorded(folder)
        self.fates: dict[str, str] = {}
        self._write: dict[str, bytes] = {}  # by the name it is written to
        self._remove: list[str] = []
        for name, content in self.made.items():
            self._decide(name, content, force)
        for name, digest in self.recorded.items():
            if name not in self.made and (there := self._there(name)) is not None:
                if _digest(there) == digest:
                    self.fates[name] = "removed: not needed any more"
                    self._remove.append(name)
                else:
                    self.fates[name] = "kept with your changes, though not needed any more"

    @property
    def kept(self) -> dict[str, bytes]:
        """The files that stay as their user changed them."""
        names = [name for name in self.made if self.fates[name].startswith("kept")]
        return {name: there for name in names if (there := self._there(name)) is not None}

    @property
    def notes(self) -> list[str]:
        """A sentence for each file with which something happened that its user should know."""
        quiet = ("written", "updated", "unchanged")
        return [f"{name}: {fate}." for name, fate in self.fates.items() if fate not in quiet]

    def write(self) -> None:
        """Writes. A new folder comes as a whole; in one that is there, each file is replaced at once."""
        digests = {name: _digest(content) for name, content in self.made.items()}
        record = json.dumps({"files": digests}, indent=2).encode() + b"\n"
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{self.folder.name}-", dir=self.folder.parent) as place:
                fresh = Path(place) / "made"
                for name, content in {**self._write, RECORD: record}.items():
                    file = fresh / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
                if not self.folder.exists():
                    fresh.rename(self.folder)
                    return
                for name in [*self._write, RECORD]:  # the record last: until then the old one is true
                    target = self.folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(fresh / name, target)
                for name in self._remove:
                    (self.folder / name).unlink()
        except OSError as error:
            raise ExportError(f"{self.folder} cannot be written: {error}.", "Give another folder.") from None

    def _decide(self, name: str, content: bytes, force: bool) -> None:
        there, recorded = self._there(name), self.recorded.get(name)
        new, fresh = f"{name}.new", _digest(content)
        stale = self._there(new)
        if there is None:
            self.fates[name] = "made again: it was gone" if recorded else "written"
        elif there == content:
            self.fates[name] = "unchanged"
        elif _digest(there) == recorded:
            self.fates[name] = "updated"
        elif force:
            self.fates[name] = "your changes were overwritten"
        elif recorded == fresh:
            self.fates[name] = "kept with your changes"
            return
        else:
            self.fates[name] = f"kept with your changes; what the notebook gives now is in {new}"
            self._write[new] = content
            return
        if there != content:
            self._write[name] = content
        if stale is not None and _digest(stale) == recorded:
            self._remove.append(new)  # an earlier export's, and taken over by now

    def _there(self, name: str) -> bytes | None:
        file = self.folder / name
        if file.is_dir():
            raise ExportError(f"{file} is a folder, where the export has a file.", "Rename it.")
        return file.read_bytes() if file.is_file() else None


def _recorded(folder: Path) -> dict[str, str]:
    file = folder / RECORD
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file.", "Give a folder.")
    if not file.is_file():
        others = [it.name for it in folder.iterdir() if it.name != ".git"] if folder.is_dir() else []
        if others:
            raise ExportError(
                f"{folder} has files that no export made: {', '.join(sorted(others)[:3])}"
                f"{', ...' if len(others) > 3 else ''}.",
                "Give a new folder, or an empty one.",
            )
        return {}
    try:
        found = read_json(file.read_bytes())["files"]
        inside = {
            name: digest
            for name, digest in found.items()
            if ".." not in name and not Path(name).is_absolute()
        }
        return {str(name): str(digest) for name, digest in inside.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExportError(
            f"{file}, the record of what was exported, cannot be read.", "Export into a new folder."
        ) from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
