"""`export`: a notebook as a project that runs without it, compared with the notebook before it is written."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.markup import code, columns, escape, table
from kit.notebook.source import Notebook
from kit.notebook.target import Target
from kit.project import leaks, proof
from kit.project.calls import calls_text
from kit.project.contents import Exportable, including
from kit.project.folder import rendered, write_files
from kit.project.parity import Parity
from kit.project.proof import PluginProcess, ProcessError
from kit.project.replay import Replay
from kit.project.requirements import Requirements, distributions_of, link
from kit.project.source import app_source, formatted
from kit.project.update import RECORD, Update
from kit.project.wheel import write_serving_wheel, write_wheel

TEMPLATE = Path(__file__).parent / "templates" / "export"
# What each file is for, in the order in which a person would read them.
FILES = {
    "app.py": "the plugin: the notebook's cells marked `#| export`",
    "README.md": "one command for each place where it can run",
    "requirements.txt": "what it needs, in the versions that it was proved with",
    "wheels": "the part of the kit that serves it, since it is in no package index",
    "ai-plugin.json": "the manifest as it is served",
    "openapi.json": "the spec as it is served",
    ".env.example": "the settings that it reads from the environment",
    "tests/test_app.py": "starts the server and asks it",
    "tests/calls.json": "what it is asked, as the notebook shows it, and what was answered",
    "Dockerfile": "a container image of it",
    "compose.yaml": "the image with PostgreSQL",
    "kubernetes.yaml": "the image on Kubernetes",
    "template.yaml": "AWS SAM: Lambda with a URL",
    "lambda_handler.py": "what Lambda calls",
    "Makefile": "what `sam build` looks for",
    "build.py": "what it runs: the app, its packages and their bytecode in one folder",
}
_CALLS = "tests/calls.json"
_WRITTEN = (
    "app.py",
    "requirements.txt",
    "ai-plugin.json",
    "openapi.json",
    _CALLS,
    RECORD,
)  # beside the templates


@dataclass
class Export:
    """An exported project. `files` says what happened to each file, `parity` how it compares with the notebook.

    `notes` are sentences for its user to read.
    """

    path: Path
    files: dict[str, str]
    parity: Parity
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether the exported app answers as the notebook's plugin does."""
        return self.parity.ok

    @property
    def _rows(self) -> list[tuple[str, str]]:
        purposes = dict(FILES)
        for name in self.files:
            if name not in (".gitignore", ".dockerignore") and not name.startswith("wheels/"):
                purposes.setdefault(name, "from beside the notebook")
        return [(name, purpose) for name, purpose in purposes.items() if (self.path / name).exists()]

    def __repr__(self) -> str:
        notes = "".join(f"\n{note}" for note in self.notes)
        return f"{self.path.as_posix()}\n{columns(self._rows, '  ')}{notes}\n{self.parity!r}"

    def _repr_html_(self) -> str:
        rows = [(code(name), escape(purpose)) for name, purpose in self._rows]
        notes = "".join(f"<br>{escape(note)}" for note in self.notes)
        files = table((code(f"{self.path.as_posix()}/"), "what it is for"), rows)
        return f"{files}{notes}{self.parity._repr_html_()}"


def export(
    notebook: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    include: Iterable[str] = (),
    mcp: bool = False,
    token: str | None = None,
    force: bool = False,
) -> Export:
    """Makes `folder` a project that serves the notebook's plugin, and tests it before writing anything.

    `notebook` is what `load` takes: a notebook, a Python file, a module of one file, the folder of a project. `name`
    chooses among several plugins. The modules beside the notebook that it imports are included; other files
    of its folder are if `include` names them. `mcp` serves MCP too, which takes the whole kit.

    The test starts the app with nothing but its requirements, and compares its manifest, its spec and its answers with the
    notebook's: `.parity`. It asks both, each with a database of its own, what the notebook shows (its calls and those of
    its conversations, its tests and cases), the examples of its models, and what its schemas allow. `token` is the one a user of the plugin would enter, by default
    one of a service that the environment has; it is used for these requests only, and not stored. Without one, what needs
    it is compared by its status 401 alone. Run again, it updates the files it wrote; one that was changed
    stays, unless `force`. Raises `NotebookError`, naming the cell, for what cannot be exported, and `ExportError`
    for a folder that holds something else and for an app that does not start.
    """
    written = Target(notebook)
    source, target, name = Notebook(written.file()), Path(folder), name or written.name or None
    Update(target, {})  # a folder that cannot be used is refused first
    parts = Exportable(source, include, {*rendered(TEMPLATE, defaultdict(str)), *_WRITTEN})
    with tempfile.TemporaryDirectory(prefix="kit-export-") as directory:
        scratch = Path(directory).resolve()
        draft = _Draft(parts, name, target, scratch, mcp, token, force)
        with _explaining(parts):
            draft.prove()
        files, parity, update = draft.files, draft.replay.parity, draft.update
        _check_leaks(files, scratch, parts)
    update.write()
    notes = [*update.notes, *parts.left_behind, *draft.notes]
    if formatted("") is None:
        notes.append("app.py is formatted as the cells are, its imports unsorted: ruff is not installed.")
    return Export(target, update.outcomes, parity, notes)


@dataclass
class _Draft:
    """An export before it is written. `prove` makes `files`, `update` and `replay`, which has asked both sides."""

    parts: Exportable
    name: str | None
    target: Path
    scratch: Path
    mcp: bool
    token: str | None
    force: bool
    notes: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)  # modules that only an answer, or the start, needed
    files: dict[str, bytes] = field(init=False)
    update: Update = field(init=False)
    replay: Replay = field(init=False)
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
            files, wheel = _files(parts, original, place, self.mcp, self.hidden)
            update = Update(self.target, files, self.force)
            copy = _laid_out(update, place / "export")
            site = _site(copy, wheel, place)
            try:
                with proof.serve_export(copy, site, place / "data") as exported:
                    token = self.token or original.facts.get("token")
                    replay = Replay(original, exported, token, self._shared())
                    replay.run(parts.notebook, lambda: self._served(place / f"again{next(self._folders)}"))
            except ProcessError as error:
                needed = self._needed(error, original)
                if not needed:
                    raise _does_not_start(error, update) from None
            else:
                needed = ""
        if needed:
            self.hidden.add(needed)
            self._try()
            return
        text = calls_text(replay.asked, self._is_private)
        self.files, self.replay = {**files, _CALLS: text.encode()}, replay
        self.update = Update(self.target, self.files, self.force)

    def _needed(self, error: ProcessError, original: PluginProcess) -> str:
        """The module without which app.py is not loaded, if the notebook's side has it; else ""."""
        if error.module is None and "import" not in error.problem.lower():
            return ""
        modules = {*original.report("modules")} - self.hidden
        sought = [error.module] if error.module else [*reversed(error.missing or ())]  # the last one broke it
        return next((module for module in sought if module in modules), "")

    def _served(self, folder: Path) -> contextlib.AbstractContextManager[PluginProcess]:
        return _serve_notebook(self.parts, self.name, folder)

    def _shared(self) -> list[str]:
        """The settings that name a database or a queue, which is not the proof's own."""
        values = {name: os.environ.get(name, "") for name in self.parts.variables}
        own = r"(?!https?:|wss?:|file:|sqlite)[\w+.-]+://"
        return [name for name, value in values.items() if re.match(own, value)]

    def _is_private(self, text: str) -> bool:
        """Whether a text has what must not leave this machine: a secret, a path, the value of a setting."""
        known = [self.token or "", *(os.environ.get(name, "") for name in self.parts.variables)]
        return bool(
            leaks.form_in(text)
            or leaks.path_in(text, self.parts.folder, Path.cwd(), self.scratch)
            or any(len(value) >= 4 and value in text for value in known)
        )


def _files(
    parts: Exportable, original: PluginProcess, scratch: Path, mcp: bool, hidden: set[str]
) -> tuple[dict[str, bytes], Path]:
    """All files of the export, and the path of the wheel."""
    facts = original.facts
    wheels = scratch / "wheels"
    wheels.mkdir()
    wheel = write_wheel(wheels) if mcp or parts.uses_whole_kit else write_serving_wheel(wheels)
    modules = {*parts.modules, *hidden, *(["websockets"] if facts["sockets"] else [])}
    requirements = Requirements(modules, wheel, parts.has_database, "mcp" if mcp else "")
    values = {
        "NAME": re.sub(r"[^a-z0-9]+", "-", facts["model"].lower())[:50].strip("-") or "plugin",
        "MODEL": facts["model"],
        "TITLE": facts["title"],
        "WHEEL": wheel.name,
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "NOTEBOOK": parts.notebook.path.name,
        "VARIABLES": _settings(parts, requirements.has_database),
        # of the Kubernetes secret with DATABASE_URL
        "OPTIONAL": "false" if requirements.has_database else "true",
    }
    texts = rendered(TEMPLATE, values)
    source = app_source(parts.notebook, facts["variable"], facts["is_plugin"], mcp)
    texts["app.py"] = formatted(source, parts.neighbours) or source
    texts["requirements.txt"] = requirements.text
    for file, path in (("ai-plugin.json", MANIFEST_PATH), ("openapi.json", SPEC_PATH)):
        document = json.loads(original.document(path).body)
        texts[file] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    written = {file: text.encode() for file, text in texts.items()}
    return {**parts.files, **written, f"wheels/{wheel.name}": wheel.read_bytes()}, wheel


def _settings(parts: Exportable, has_database: bool) -> str:
    lines: list[str] = []
    if has_database:
        lines += [
            "",
            "# SQLite, or the PostgreSQL that all servers share: postgresql://USER:PASSWORD@HOST/NAME",
            "# DATABASE_URL=sqlite:///data.db",
        ]
    for variable, place in parts.variables.items():
        comment = "" if variable in parts.needed_variables else "# "  # if unset, the code's default counts
        lines += ["", f"# {place.partition(',')[0]} reads it.", f"{comment}{variable}="]
    return "".join(f"\n{line}" for line in lines)


def _serve_notebook(
    parts: Exportable, name: str | None, folder: Path
) -> contextlib.AbstractContextManager[PluginProcess]:
    folder.mkdir()
    path = parts.notebook.path
    write_files(folder, {**parts.files, path.name: path.read_bytes()})
    return proof.serve_notebook(path.name, name, folder)


def _laid_out(update: Update, folder: Path) -> Path:
    """The folder as it will be: with its user's changes, and the modules that its user wrote."""
    own = {file.name: file.read_bytes() for file in update.folder.glob("*.py")} if update.kept else {}
    write_files(folder, {**own, **update.files, **update.kept})
    return folder


def _site(folder: Path, wheel: Path, scratch: Path) -> list[Path]:
    """Folders with the packages that requirements.txt leads to, and the kit's wheel unpacked."""
    packages, unpacked = scratch / "site", scratch / "kit"
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    link(distributions_of(text, wheel), packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return [unpacked, packages]


@contextlib.contextmanager
def _explaining(parts: Exportable) -> Iterator[None]:
    """Adds what the export knows to an error in the notebook's cells."""
    try:
        yield
    except ProcessError as error:
        path, problem, remedy = str(parts.notebook.path), error.problem, error.remedy
        if path not in problem:  # the process knows the copy in the scratch folder
            problem = problem.replace(parts.notebook.path.name, path, 1)
        if error.key in parts.variables:
            remedy = f"Set {error.key} here and on the server: the export keeps only its name."
        elif error.file:
            remedy = f"The files beside the notebook are left out: {including(error.file)} adds this one."
        elif parts.left_behind:
            remedy = " ".join([remedy, *parts.left_behind])
        raise ExportError(problem, remedy, notebook=path, cell=error.cell) from None


def _does_not_start(error: ProcessError, update: Update) -> ExportError:
    problem = f"The exported app does not start with its requirements alone: {error.problem}"
    if update.kept:
        return ExportError(problem, f"You changed {', '.join(update.kept)}; force=True overwrites that.")
    remedy = (
        f"If it lacks a package, `import {error.module or 'NAME'}` in a marked cell makes that a requirement."
    )
    return ExportError(f"{problem}\nNothing was written.", remedy)


def _check_leaks(files: dict[str, bytes], scratch: Path, parts: Exportable) -> None:
    """Checks what the notebook's code wrote into the documents for paths on this machine and secrets."""
    for name in ("ai-plugin.json", "openapi.json"):
        text = files[name].decode()
        path = leaks.path_in(text, parts.folder, Path.cwd(), scratch)
        leak = f"line {path[0]} names a folder of this machine" if path else ""
        if variable := leaks.variable_in(text, parts.variables):
            leak = f"it holds the value of {variable}"
        if leak:
            raise parts.notebook.refusal(
                f"{name} would reveal too much: {leak}. Nothing was written.",
                "Look for it in the notebook's descriptions, default values and addresses.",
            )
