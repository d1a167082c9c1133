"""`export`: a notebook as a project that runs without it, compared with the notebook before it is written."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ExportError
from kit.markup import code, columns, escape, table
from kit.notebook.environment import missing
from kit.notebook.source import Notebook
from kit.notebook.target import Target
from kit.project import migrations, places, proof, settings
from kit.project.contents import Exportable, including
from kit.project.draft import CALLS, TEMPLATE, Draft
from kit.project.folder import rendered
from kit.project.parity import Parity
from kit.project.proof import ProcessError
from kit.project.requirements import unproved
from kit.project.scratch import scratch_folder
from kit.project.served import ExportedServer, LambdaAnswer, invoke
from kit.project.source import formatted
from kit.project.update import OWN_LINES, RECORD, Record, Update, own_lines

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
    CALLS: "what it is asked, as the notebook shows it, and what was answered",
    ".github": "the tests, types and rules of the hosts, checked by GitHub at each push",
    "Dockerfile": "a container image of it",
    **migrations.FILES,
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
_WRITTEN = (
    "app.py",
    "requirements.txt",
    "ai-plugin.json",
    "openapi.json",
    CALLS,
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
            if name not in _UNSHOWN and not name.startswith((".github/", "wheels/", "migrations/")):
                purposes.setdefault(name, "from beside the notebook")
        return [(name, purpose) for name, purpose in purposes.items() if (self.path / name).exists()]

    def serve(self, workers: int = 1, port: int = 0) -> ExportedServer:
        """`kit serve app.py` in processes of its own; `port` 0 takes any free one. Raises `ExportError` if it does not start."""
        return ExportedServer(self.path, workers, port)

    def invoke(self, method: str, path: str) -> LambdaAnswer:
        """What `lambda_handler.py` answers, called as Lambda does, in a process of its own."""
        return invoke(self.path, method, path)

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

    The test starts the app with nothing but its requirements, and compares its manifest, its spec and its answers with the
    notebook's: `.parity`. It asks both, each with a database of its own, what the notebook shows (its calls and those of
    its conversations, its tests and cases), the examples of its models, and what its schemas allow. `token` is the one a
    user of the plugin would enter, by default
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
    templates = {**rendered(TEMPLATE, defaultdict(str)), **rendered(migrations.TEMPLATE, {})}
    reserved = {*templates, *_WRITTEN} - places.left_out(chosen)
    parts = Exportable(source, include, reserved)
    _check_settings(parts)
    limit = proof.START_TIMEOUT if start_timeout is None else start_timeout
    with scratch_folder("kit-export-") as directory:
        draft = Draft(
            parts=parts,
            target=target,
            scratch=directory.resolve(),
            name=name,
            chosen=chosen,
            own=own_lines(target, "requirements.txt"),
            mcp=mcp,
            token=token,
            force=force,
            limit=limit,
        )
        with _explaining(parts):
            draft.prove()
    update, parity = draft.update, draft.replay.parity
    update.write()
    notes = [
        *update.notes,
        *_unproved(update),
        *parts.left_behind,
        *draft.notes,
        *_notes(parts, draft.memory),
    ]
    if formatted("") is None:
        notes.append("app.py is formatted as the cells are, its imports unsorted: ruff is not installed.")
    return Export(target, update.outcomes, parity, notes)


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


def _unproved(update: Update) -> list[str]:
    ours, current = update.files["requirements.txt"], update.kept.get("requirements.txt")
    written = ours.decode().partition(OWN_LINES)[0].splitlines()
    return unproved((current or ours).decode(errors="replace"), {*written, OWN_LINES})


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
