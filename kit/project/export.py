"""`export`: a notebook as a project that runs without it, proved against the notebook before it is written."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.notebook.source import Notebook
from kit.project import leaks, proof
from kit.project.contents import Exportable, including
from kit.project.folder import rendered
from kit.project.proof import Parity, Side, SideError
from kit.project.requirements import Requirements, distributions_of, link
from kit.project.source import app_source, formatted
from kit.project.update import RECORD, Update
from kit.project.wheel import write_serving_wheel, write_wheel

TEMPLATE = Path(__file__).parent / "templates" / "export"
# What each file is for, in the order in which a person would look at them.
FILES = {
    "app.py": "the plugin: the notebook's cells marked `#| export`",
    "README.md": "one command for each place where it can run",
    "requirements.txt": "what it needs, in the versions that it was proved with",
    "wheels": "the part of the kit that serves it, since it is in no package index",
    "ai-plugin.json": "the manifest as it is served",
    "openapi.json": "the spec as it is served",
    ".env.example": "the settings that it reads from the environment",
    "tests/test_app.py": "starts the server and asks it",
    "Dockerfile": "a container image of it",
    "compose.yaml": "the image with PostgreSQL",
    "kubernetes.yaml": "the image on Kubernetes",
    "template.yaml": "AWS SAM: Lambda with a URL",
    "lambda_handler.py": "what Lambda calls",
    "Makefile": "what `sam build` looks for",
    "build.py": "what it runs: the app, its packages and their bytecode in one folder",
}


@dataclass
class Export:
    """An exported project. `files` says what became of each file, `parity` how it compares to the notebook.

    `notes` are sentences that its user should read.
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
        told = [(name, words) for name, words in FILES.items() if (self.path / name).exists()]
        known = {*FILES, ".gitignore", ".dockerignore"}
        others = [it for it in self.files if it not in known and not it.startswith("wheels/")]
        return told + [(name, "from beside the notebook") for name in others if (self.path / name).exists()]

    def __repr__(self) -> str:
        from kit.markup import columns

        told = "".join(f"\n{note}" for note in self.notes)
        return f"{self.path.as_posix()}\n{columns(self._rows, '  ')}{told}\n{self.parity!r}"

    def _repr_html_(self) -> str:
        from kit.markup import code, escape, table

        rows = [(code(name), escape(words)) for name, words in self._rows]
        told = "".join(f"<br>{escape(note)}" for note in self.notes)
        files = table((code(f"{self.path.as_posix()}/"), "what it is for"), rows)
        return f"{files}{told}{self.parity._repr_html_()}"


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
    """Makes `folder` a project that serves the notebook's plugin, and proves it before it writes anything.

    `name` chooses among several plugins. Modules beside the notebook that it imports come along; other files
    of its folder do if `include` names them. `mcp` serves MCP too, which takes the whole kit.

    The proof starts the app with nothing but its requirements, and compares manifest, spec and every answer
    that changes nothing with the notebook's: `.parity`. `token` is what a user of the plugin would give; it is
    used for these questions, and not kept. Run again, it updates what it made; a file that was changed stays,
    unless `force`. Raises `NotebookError`, naming the cell, for what cannot be exported, and an `ExportError` for a
    folder of something else and for an app that does not start.
    """
    source, target = Notebook(notebook), Path(folder)
    Update(target, {})  # a folder that cannot be used is refused first
    parts = Exportable(source, include, _reserved())
    with tempfile.TemporaryDirectory(prefix="kit-export-") as place:
        scratch = Path(place).resolve()
        with _explaining(parts), _notebook_side(parts, name, scratch / "notebook") as mine:
            made, wheel = _made(parts, mine, scratch, mcp)
            update = Update(target, made, force)
            folder_of_proof = _laid_out(update, scratch / "export")
            site = _site(folder_of_proof, wheel, scratch)
            try:
                with proof.export_side(folder_of_proof, site, scratch / "data") as theirs:
                    compared = proof.compare(
                        mine, theirs, lambda: _notebook_side(parts, name, scratch / "again"), token
                    )
            except SideError as error:
                raise _does_not_start(error, update) from None
        _check_leaks(made, scratch, parts)
    update.write()
    notes = [*update.notes, *parts.left_behind]
    if formatted("") is None:
        notes.append(
            "app.py is formatted, and its imports sorted, as in the cells: ruff, which would do it, is not installed."
        )
    return Export(target, update.fates, compared, notes)


def _made(parts: Exportable, mine: Side, scratch: Path, mcp: bool) -> tuple[dict[str, bytes], Path]:
    """All files of the export, and the wheel among them."""
    facts = mine.facts
    wheels = scratch / "wheels"
    wheels.mkdir()
    wheel = write_wheel(wheels) if mcp or parts.uses_whole_kit else write_serving_wheel(wheels)
    needed = Requirements(parts.modules, wheel, parts.has_database, "mcp" if mcp else "")
    words = {
        "NAME": re.sub(r"[^a-z0-9]+", "-", facts["model"].lower())[:50].strip("-") or "plugin",
        "MODEL": facts["model"],
        "TITLE": facts["title"],
        "WHEEL": wheel.name,
        "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "NOTEBOOK": parts.notebook.path.name,
        "VARIABLES": _settings(parts, needed.has_database),
        "OPTIONAL": "false" if needed.has_database else "true",  # Kubernetes, of the secret with DATABASE_URL
    }
    texts = rendered(TEMPLATE, words)
    source = app_source(parts.notebook, facts["variable"], facts["is_plugin"], mcp)
    texts["app.py"] = formatted(source, parts.neighbours) or source
    texts["requirements.txt"] = needed.text
    for file, path in (("ai-plugin.json", MANIFEST_PATH), ("openapi.json", SPEC_PATH)):
        document = json.loads(mine.document(path).body)
        texts[file] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    made = {file: text.encode() for file, text in texts.items()}
    return {**parts.files, **made, f"wheels/{wheel.name}": wheel.read_bytes()}, wheel


def _settings(parts: Exportable, has_database: bool) -> str:
    lines: list[str] = []
    if has_database:
        lines += [
            "",
            "# SQLite, or the PostgreSQL of all the servers: postgresql://USER:PASSWORD@HOST/NAME",
            "# DATABASE_URL=sqlite:///data.db",
        ]
    for variable, place in parts.variables.items():
        mark = "" if variable in parts.needed_variables else "# "  # unset, the code's own default counts
        lines += ["", f"# {place.partition(',')[0]} reads it.", f"{mark}{variable}="]
    return "".join(f"\n{line}" for line in lines)


def _notebook_side(
    parts: Exportable, name: str | None, folder: Path
) -> contextlib.AbstractContextManager[Side]:
    folder.mkdir()
    path = parts.notebook.path
    for file, content in {**parts.files, path.name: path.read_bytes()}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return proof.notebook_side(path.name, name, folder)


def _laid_out(update: Update, folder: Path) -> Path:
    """The folder as it will be: with what its user changed, and the modules that its user wrote."""
    own: dict[str, bytes] = {}
    if update.kept:
        for file in update.folder.glob("*.py"):
            own[file.name] = file.read_bytes()
    for name, content in {**own, **update.made, **update.kept}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def _site(folder: Path, wheel: Path, scratch: Path) -> list[Path]:
    """Folders with the packages that requirements.txt leads to, and the kit's wheel."""
    packages, unpacked = scratch / "site", scratch / "kit"
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    link(distributions_of(text, wheel), packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return [unpacked, packages]


@contextlib.contextmanager
def _explaining(parts: Exportable) -> Iterator[None]:
    """An error of the notebook's cells, with what the export can add to it."""
    try:
        yield
    except SideError as error:
        path, problem, remedy = str(parts.notebook.path), error.problem, error.remedy
        if path not in problem:  # the process knows the copy in the scratch folder
            problem = problem.replace(parts.notebook.path.name, path, 1)
        if error.key in parts.variables:
            remedy = f"Set {error.key} here and on the server: the export keeps its name only."
        elif error.file:
            remedy = f"The files of its folder stay behind: {including(error.file)} takes this one along."
        elif parts.left_behind:
            remedy = " ".join([remedy, *parts.left_behind])
        raise ExportError(problem, remedy, notebook=path, cell=error.cell) from None


def _does_not_start(error: SideError, update: Update) -> ExportError:
    problem = f"The exported app does not start with its requirements alone: {error.problem}"
    if update.kept:
        return ExportError(problem, f"You changed {', '.join(update.kept)}; force=True overwrites that.")
    remedy = f"Does it lack a package? `import {error.module or 'NAME'}` in a marked cell makes that a requirement."
    return ExportError(f"{problem}\nNothing was written.", remedy)


def _check_leaks(made: dict[str, bytes], scratch: Path, parts: Exportable) -> None:
    """The last look at what the notebook's code wrote into the documents: nothing of this machine, no secret."""
    for name in ("ai-plugin.json", "openapi.json"):
        text = made[name].decode()
        found = leaks.path_in(text, parts.folder, Path.cwd(), scratch)
        what = f"line {found[0]} names a folder of this machine" if found else ""
        if variable := leaks.variable_in(text, parts.variables):
            what = f"it holds the value of {variable}"
        if what:
            raise parts.notebook.refusal(
                f"{name} would tell too much: {what}. Nothing was written.",
                "A description, a default value or an address of the notebook puts it there.",
            )


def _reserved() -> set[str]:
    words = dict.fromkeys(
        ("NAME", "MODEL", "TITLE", "WHEEL", "PYTHON", "NOTEBOOK", "VARIABLES", "OPTIONAL"), ""
    )
    return {
        *rendered(TEMPLATE, words),
        "app.py",
        "requirements.txt",
        "ai-plugin.json",
        "openapi.json",
        RECORD,
    }
