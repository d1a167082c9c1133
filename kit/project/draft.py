"""`Draft`: an export before it is written: its files, and the proof that they answer as the notebook does."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.project import leaks, migrations, places, proof, settings
from kit.project.calls import calls_text
from kit.project.contents import Exportable
from kit.project.folder import rendered, write_files
from kit.project.proof import PluginProcess, ProcessError
from kit.project.replay import Replay
from kit.project.requirements import LAMBDA, Requirements, distributions_of, link, pinned
from kit.project.source import app_source, formatted
from kit.project.update import OWN_LINES, Update
from kit.project.wheel import write_serving_wheel, write_wheel

TEMPLATE = Path(__file__).parent / "templates" / "export"
CALLS = "tests/calls.json"


@dataclass(kw_only=True)
class Draft:
    """An export before it is written. `prove` makes `files`, `update` and `replay`, which has asked both sides.

    The fields are what `kit.export` is given; `own` are the lines of requirements.txt that are its user's, `chosen` the
    places where it is to run, and `limit` the seconds that it may take to start.
    """

    parts: Exportable
    target: Path
    scratch: Path
    name: str | None
    chosen: tuple[str, ...]
    own: list[str]
    mcp: bool
    token: str | None
    force: bool
    limit: float

    notes: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)  # modules that only an answer, or the start, needed
    memory: str = ""  # the state that is in memory, in words
    files: dict[str, bytes] = field(init=False)
    update: Update = field(init=False)
    replay: Replay = field(init=False)
    _changes: list[str] = field(default_factory=list)  # of the tables
    _folders: Iterator[int] = field(default_factory=itertools.count)

    def prove(self) -> None:
        """Proves the export; once more with the packages that turned out to be needed."""
        self._try()
        found = self.replay.parity.hidden
        if missing := set(found) - self.hidden:
            before = self.files, self.update, self.replay
            self.hidden |= missing
            with contextlib.suppress(ExportError):  # no other machine could install one of them
                self._try()
            if self.replay.failing >= before[2].failing:  # they were not the reason
                self.files, self.update, self.replay = before
                self.hidden -= missing
        for module in sorted(self.hidden):
            needed = (
                f"{found[module]} imports it" if module in found else "it is imported when app.py is loaded"
            )
            self.notes.append(f"{module} is a requirement too, though no marked cell names it: {needed}.")
        for module in sorted(set(found) - self.hidden):
            self.notes.append(
                f"{found[module]} imports {module} in the notebook, and the export has no such module: `import {module}` in a "
                "marked cell makes it a requirement."
            )

    def _try(self) -> None:
        parts, place = self.parts, self.scratch / f"draft{next(self._folders)}"
        place.mkdir()
        with self._served(place / "notebook") as original:
            self.memory = original.facts["memory"]
            files, wheel = _files(parts, original, place, self.mcp, self.chosen, self.own, self.hidden)
            changes: list[str] = []
            if parts.uses_database:
                tables, changes = migrations.written(files, self.target, place)
                files |= tables
            if (earlier := self.target / CALLS).is_file():  # if nothing is proved, it stays
                files[CALLS] = earlier.read_bytes()
            _check_leaks(files, self.scratch, parts)
            update = self._update(files, original)
            copy = _laid_out(update, place / "export")
            site = _site(copy, wheel, place)
            try:
                with proof.serve_export(copy, site, place / "data", self.limit) as exported:
                    token = self.token or original.facts.get("token")
                    replay = Replay(original, exported, token, self._shared())
                    replay.run(parts.notebook, lambda: self._served(place / f"again{next(self._folders)}"))
            except ProcessError as error:
                needed = self._needed(error, original)
                if not needed:
                    if update.kept:
                        _write_the_rest(update, wheel, place / "unchanged", self.limit)
                    raise _does_not_start(error, update.kept) from None
            else:
                needed = ""
            if not needed:
                text = calls_text(replay.asked, self._is_private)
                self.files, self.replay = {**files, CALLS: text.encode()}, replay
                self.update = self._update(self.files, original)
                self._changes = changes
        if needed:
            self.hidden.add(needed)
            self._try()

    def _update(self, files: dict[str, bytes], original: PluginProcess) -> Update:
        return Update(
            self.target,
            files,
            self.force,
            notebook=self.parts.notebook.path.name,
            plugin=original.facts["model"],
            places=self.chosen,
        )

    def _needed(self, error: ProcessError, original: PluginProcess) -> str:
        """The module without which app.py is not loaded, if the notebook's side has it; else ""."""
        if error.module is None and "import" not in error.problem.lower():
            return ""
        modules = {*original.report("modules")} - self.hidden
        sought = [error.module] if error.module else [*reversed(error.missing or ())]  # the last one broke it
        return next((module for module in sought if module in modules), "")

    def _served(self, folder: Path) -> contextlib.AbstractContextManager[PluginProcess]:
        return _serve_notebook(self.parts, self.name, folder, self.limit)

    def _values(self) -> dict[str, str]:
        """The settings of the code that are set here."""
        names = (name for it in settings.own(self.parts.settings) for name in it.names)
        return {name: os.environ[name] for name in names if os.environ.get(name)}

    def _shared(self) -> list[str]:
        """The settings that name a database or a queue, which is not the proof's own."""
        own = r"(?!https?:|wss?:|file:|sqlite)[\w+.-]+://"
        return [name for name, value in self._values().items() if re.match(own, value)]

    def _is_private(self, text: str) -> bool:
        """Whether a text has what must not leave this machine: a secret, a path, the value of a setting."""
        known = [self.token or "", *self._values().values()]
        return bool(
            leaks.form_in(text)
            or leaks.path_in(text, self.parts.folder, Path.cwd(), self.scratch)
            or any(
                value in text if len(value) >= 4 else f'"{value}"' in text for value in filter(None, known)
            )
        )


def _files(
    parts: Exportable,
    original: PluginProcess,
    scratch: Path,
    mcp: bool,
    chosen: tuple[str, ...],
    own: list[str],
    hidden: set[str],
) -> tuple[dict[str, bytes], Path]:
    """All files of the export, and the path of the wheel."""
    facts = original.facts
    wheels = scratch / "wheels"
    wheels.mkdir()
    whole = mcp or parts.uses_whole_kit
    wheel = write_wheel(wheels) if whole else write_serving_wheel(wheels)
    modules = {*parts.modules, *hidden, *(["websockets"] if facts["sockets"] else [])}
    requirements = Requirements(
        modules, wheel, parts.has_database, "mcp" if mcp else "", own, parts.uses_database
    )
    filling = {
        "NAME": re.sub(r"[^a-z0-9]+", "-", facts["model"].lower())[:50].strip("-") or "plugin",
        "MODEL": facts["model"],
        "TITLE": facts["title"],
        "WHEEL": wheel.name,
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "NOTEBOOK": parts.notebook.path.name,
        "MEMORY": facts["memory"],
        "MANGUM": pinned(LAMBDA),
        "TABLES": "yes" if parts.uses_database else "",
        "SERVING": "" if whole else "yes",
    }
    filling |= settings.values(filling["NAME"], parts.settings, parts.uses_database)
    needed = [it.name for it in settings.own(parts.settings) if it.is_needed]
    needed += [settings.DATABASE] if filling["DATABASE"] else []
    filling |= places.values(chosen, needed, single=bool(facts["memory"]))
    unneeded = places.left_out(chosen)
    texts = {file: text for file, text in rendered(TEMPLATE, filling).items() if file not in unneeded}
    source = app_source(parts.notebook, facts["variable"], facts["is_plugin"], mcp)
    texts["app.py"] = formatted(source, parts.neighbours) or source
    texts["requirements.txt"] = "\n".join([requirements.text + OWN_LINES, *own, ""])
    for file, path in (("ai-plugin.json", MANIFEST_PATH), ("openapi.json", SPEC_PATH)):
        document = json.loads(original.document(path).body)
        texts[file] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    written = {file: text.encode() for file, text in texts.items()}
    written[f"wheels/{wheel.name}"] = wheel.read_bytes()
    if not whole:  # for `kit check` in CI; no server installs it
        ours = write_wheel(wheels)
        written[f".github/kit/{ours.name}"] = ours.read_bytes()
    return {**parts.files, **written}, wheel


def _serve_notebook(
    parts: Exportable, name: str | None, folder: Path, start_timeout: float
) -> contextlib.AbstractContextManager[PluginProcess]:
    folder.mkdir()
    path = parts.notebook.path
    write_files(folder, {**parts.files, path.name: path.read_bytes()})
    return proof.serve_notebook(path.name, name, folder, start_timeout)


def _laid_out(update: Update, folder: Path) -> Path:
    """The folder as it will be: with its user's changes and, if there are any, with what its user has beside them."""
    files = update.files
    if update.kept:
        shutil.copytree(update.folder, folder, ignore=_not_served, ignore_dangling_symlinks=True)
        files = {name: data for name, data in files.items() if name not in update.blocked}
    write_files(folder, {**files, **update.kept})
    return folder


def _not_served(folder: str, names: list[str]) -> list[str]:
    """What no server needs: hidden files, caches, environments, databases, and what is neither a file nor a folder."""
    paths = [Path(folder, name) for name in names]
    return [
        path.name
        for path in paths
        if path.name.startswith(".")
        or path.name in ("__pycache__", "node_modules")
        or path.suffix.startswith((".db", ".sqlite"))
        or (path / "pyvenv.cfg").is_file()
        or not (path.is_file() or path.is_dir())
    ]


def _write_the_rest(update: Update, wheel: Path, scratch: Path, start_timeout: float) -> None:
    """Writes all that its user has not changed, if the export starts without the changes. Raises `ExportError` if not."""
    copy = scratch / "export"
    write_files(copy, update.files)
    try:
        with proof.serve_export(
            copy, _site(copy, wheel, scratch), scratch / "data", start_timeout
        ) as exported:
            exported.document(MANIFEST_PATH)
    except ProcessError as error:
        raise _does_not_start(error) from None
    update.write()


def _site(folder: Path, wheel: Path, scratch: Path) -> list[Path]:
    """Folders with the packages that requirements.txt leads to, and the kit's wheel unpacked."""
    packages, unpacked = scratch / "site", scratch / "kit"
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    link(distributions_of(text, wheel), packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return [unpacked, packages]


def _does_not_start(error: ProcessError, kept: Iterable[str] = ()) -> ExportError:
    problem = f"The exported app does not start with its requirements alone: {error.problem}"
    if kept:
        return ExportError(
            f"{problem}\nYou changed {', '.join(kept)}; without that it starts. The other files are written.",
            "Change that, or let force=True (--force) overwrite it.",
        )
    remedy = error.remedy if error.is_late else ""
    remedy = remedy or (
        f"If it lacks a package, `import {error.module or 'NAME'}` in a marked cell makes that a requirement."
    )
    return ExportError(f"{problem}\nNothing was written.", remedy)


def _check_leaks(files: dict[str, bytes], scratch: Path, parts: Exportable) -> None:
    """Checks what the notebook's code wrote into the documents for paths on this machine and secrets."""
    for name in ("ai-plugin.json", "openapi.json"):
        text = files[name].decode()
        path = leaks.path_in(text, parts.folder, Path.cwd(), scratch)
        leak = f"line {path[0]} names a folder of this machine" if path else ""
        if variable := leaks.variable_in(
            text, (name for it in settings.own(parts.settings) for name in it.names)
        ):
            leak = f"it holds the value of {variable}"
        if leak:
            raise parts.notebook.refusal(
                f"{name} would reveal too much: {leak}. Nothing was written.",
                "Look for it in the notebook's descriptions, default values and addresses.",
            )
