"""`export`: a notebook as a project that runs without it, compared with the notebook before it is written."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.markup import code, columns, escape, table
from kit.notebook.environment import missing
from kit.notebook.source import Notebook
from kit.notebook.target import Target
from kit.project import leaks, places, proof, settings
from kit.project.contents import Exportable, including
from kit.project.folder import rendered, write_files
from kit.project.proof import Parity, PluginProcess, ProcessError
from kit.project.requirements import LAMBDA, Requirements, distributions_of, link, pinned, unproved
from kit.project.scratch import scratch_folder
from kit.project.source import app_source, formatted
from kit.project.update import OWN_LINES, RECORD, Record, Update, own_lines
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
    ".github": "the tests, types and rules of the hosts, checked by GitHub at each push",
    "Dockerfile": "a container image of it",
    "compose.yaml": "the image, with PostgreSQL if it has a database",
    "kubernetes.yaml": "the image on Kubernetes",
    "template.yaml": "AWS SAM: Lambda with a URL",
    "lambda_handler.py": "what Lambda calls",
    "Makefile": "what `sam build` looks for",
    "build.py": "what it runs: the app, its packages and their bytecode in one folder",
    "fly.toml": "the image on Fly.io",
    "render.yaml": "the image on Render, with its database",
    "modal_app.py": "the app on Modal",
    "vercel.json": "the app on Vercel",
    "vercel_app.py": "what Vercel calls",
    "plugin.service": "a service of systemd",
}
_UNSHOWN = (".gitignore", ".dockerignore", ".vercelignore")
_WRITTEN = ("app.py", "requirements.txt", "ai-plugin.json", "openapi.json", RECORD)  # beside the templates


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
            if name not in _UNSHOWN and not name.startswith((".github/", "wheels/")):
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
    for_: str | Iterable[str] | None = None,
    mcp: bool = False,
    token: str | None = None,
    force: bool = False,
    start_timeout: float | None = None,
) -> Export:
    """Makes `folder` a project that serves the notebook's plugin, and tests it before writing anything.

    `notebook` is what `load` takes: a notebook, a Python file, a module of one file, the folder of a project. `name`
    chooses among several plugins. The modules beside the notebook that it imports are included; other files
    of its folder are if `include` names them. `for_` chooses among `kit.project.places.PLACES` where it is to run, by
    default where it was before, and first in a container, on Kubernetes and on Lambda: their files and commands are
    written. `mcp` serves MCP too, which takes the whole kit.

    The test starts the app with nothing but its requirements, and compares its manifest, its spec and every answer
    that changes nothing with the notebook's: `.parity`. `token` is the one a user of the plugin would enter, by default
    one of a service that the environment has; it is used for these requests only, and not stored. Without one, what needs
    it is compared by its status 401 alone. `start_timeout` is the seconds that it may take to start,
    60 by default.

    Run again, it updates the files it wrote; one that was changed stays, unless `force`, as do the lines below the mark
    in requirements.txt. Raises `NotebookError`, naming the cell, for what cannot be exported, and `ExportError` for a folder
    that holds something else or another plugin's export, and for an app that does not start; if its user's changes
    are the reason, everything else is written.
    """
    written = Target(notebook)
    source, target, name = Notebook(written.file()), Path(folder), name or written.name or None
    earlier = Record.read(target)  # a folder that cannot be used is refused first
    chosen = places.chosen(earlier.places if for_ is None else for_)
    reserved = {*rendered(TEMPLATE, defaultdict(str)), *_WRITTEN} - places.left_out(chosen)
    parts = Exportable(source, include, reserved)
    _check_settings(parts)
    limit = proof.START_TIMEOUT if start_timeout is None else start_timeout
    own = own_lines(target, "requirements.txt")
    with scratch_folder("kit-export-") as directory:
        scratch = directory.resolve()
        with (
            _explaining(parts),
            _serve_notebook(parts, name, scratch / "notebook", limit) as original,
        ):
            files, wheel = _files(parts, original, scratch, mcp, chosen, own)
            update = Update(
                target,
                files,
                force,
                notebook=parts.notebook.path.name,
                plugin=original.facts["model"],
                places=chosen,
            )
            _check_leaks(files, scratch, parts)
            copy = _laid_out(update, scratch / "export")
            site = _site(copy, wheel, scratch)
            try:
                with proof.serve_export(copy, site, scratch / "data", limit) as exported:
                    known = token or original.facts.get("token")
                    parity = proof.compare(
                        original,
                        exported,
                        lambda: _serve_notebook(parts, name, scratch / "again", limit),
                        known,
                    )
            except ProcessError as error:
                if update.kept:
                    _write_the_rest(update, wheel, scratch / "unchanged", limit)
                raise _does_not_start(error, update.kept) from None
    update.write()
    notes = [*update.notes, *_unproved(update), *parts.left_behind, *_notes(parts, original.facts["memory"])]
    if formatted("") is None:
        notes.append("app.py is formatted as the cells are, its imports unsorted: ruff is not installed.")
    return Export(target, update.outcomes, parity, notes)


def _files(
    parts: Exportable,
    original: PluginProcess,
    scratch: Path,
    mcp: bool,
    chosen: tuple[str, ...],
    own: list[str],
) -> tuple[dict[str, bytes], Path]:
    """All files of the export, and the path of the wheel."""
    facts = original.facts
    wheels = scratch / "wheels"
    wheels.mkdir()
    whole = mcp or parts.uses_whole_kit
    wheel = write_wheel(wheels) if whole else write_serving_wheel(wheels)
    requirements = Requirements(parts.modules, wheel, parts.has_database, "mcp" if mcp else "", own)
    filling = {
        "NAME": re.sub(r"[^a-z0-9]+", "-", facts["model"].lower())[:50].strip("-") or "plugin",
        "MODEL": facts["model"],
        "TITLE": facts["title"],
        "WHEEL": wheel.name,
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "NOTEBOOK": parts.notebook.path.name,
        "MEMORY": facts["memory"],
        "MANGUM": pinned(LAMBDA),
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


def _check_settings(parts: Exportable) -> None:
    lacking = [it for it in missing(settings.own(parts.settings)) if it.at_import]
    if lacking:
        places = "; ".join(f"{it.name} ({it.place})" for it in lacking)
        names = ", ".join(it.name for it in lacking)
        raise parts.notebook.refusal(
            f"{parts.notebook.path} needs variables of the environment that are not set: {places}.",
            f"Set {names} here and on the server: the export keeps only the names.",
        )


def _notes(parts: Exportable, memory: str) -> Iterator[str]:
    """What whoever runs the export should know about its settings and its state."""
    if lacking := [it.name for it in missing(settings.own(parts.settings))]:
        yield f"Proved without {', '.join(lacking)}, not set here: the server does not start without."
    if memory:
        yield f"In memory: {memory}. So the files start one process only; more need a database that they share."


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


def _unproved(update: Update) -> list[str]:
    ours, current = update.files["requirements.txt"], update.kept.get("requirements.txt")
    written = ours.decode().partition(OWN_LINES)[0].splitlines()
    return unproved((current or ours).decode(errors="replace"), {*written, OWN_LINES})


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
        if any(error.key in it.names for it in parts.settings):
            remedy = f"Set {error.key} here and on the server: the export keeps only its name."
        elif error.file:
            remedy = f"The files beside the notebook are left out: {including(error.file)} adds this one."
        elif parts.left_behind:
            remedy = " ".join([remedy, *parts.left_behind])
        raise ExportError(problem, remedy, notebook=path, cell=error.cell) from None


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
