"""Alembic in an export: how the tables of a database change when the notebook's do. One revision for each change.

The revisions are written by comparing what the app creates with what the earlier ones lead to, in an empty SQLite file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from kit.plugin.tables import MIGRATE
from kit.project.folder import rendered, write_files
from kit.project.source import formatted

TEMPLATE = Path(__file__).parent / "templates" / "migrations"
VERSIONS = "migrations/versions"
FILES = {
    "alembic.ini": "Alembic, which changes the tables of an existing database",
    "migrations": "how they change: a revision for each export that found them changed",
}
WAIT = 120  # seconds for the app to be imported and compared


def written(files: Mapping[str, bytes], target: Path, scratch: Path) -> tuple[dict[str, bytes], list[str]]:
    """The files of Alembic for an export of `files` into `target`, and sentences about them.

    Earlier revisions in `target` stay as they are. A new one is added if they lead to other tables than the app's.
    """
    own = {name: text.encode() for name, text in rendered(TEMPLATE, {}).items()}
    earlier = {
        f"{VERSIONS}/{file.name}": file.read_bytes() for file in sorted((target / VERSIONS).glob("*.py"))
    }
    if find_spec("alembic") is None:
        note = "No revision of the tables was written: Alembic is not installed here. pip install alembic"
        return {**own, **earlier}, [note]
    folder = scratch / "tables"
    (folder / VERSIONS).mkdir(parents=True)
    write_files(folder, {**files, **own, **earlier})
    name = f"{len(earlier) + 1:04}"
    message = "change the tables" if earlier else "the tables"
    commands = [["upgrade", "head"]] if earlier else []
    commands.append(["revision", "--autogenerate", "--rev-id", name, "-m", message])
    for command in commands:
        if problem := _run(folder, command):
            return {**own, **earlier}, [f"No revision of the tables was written: {problem}"]
    found = {f"{VERSIONS}/{file.name}": _tidy(file) for file in (folder / VERSIONS).glob("*.py")} | earlier
    notes = [
        f"{file} changes the tables: read it, above all what it drops, and run `{MIGRATE}` before the new version starts."
        for file in found
        if earlier and file not in earlier
    ]
    return {**own, **found}, notes


def _tidy(file: Path) -> bytes:
    text = file.read_text(encoding="utf-8")
    return (formatted(text) or text).encode()


def _run(folder: Path, command: list[str]) -> str:
    """Runs Alembic in an export's folder. Returns the last line of what went wrong, or ""."""
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'tables.db'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            [sys.executable, "-m", "alembic", *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WAIT,
        )
    except subprocess.TimeoutExpired:
        return f"app.py did not get ready within {WAIT} s."
    lines = done.stderr.strip().splitlines() or [f"Alembic ended with status {done.returncode}."]
    return lines[-1] if done.returncode else ""
