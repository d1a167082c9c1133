"""The commands of an exported README work as they are written: those that can run here are run, in a fresh export."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_notebook import write

import kit

NOTES = (
    "#| export\nimport os\nimport kit\nfrom sqlmodel import Field, SQLModel, select\n\n"
    "class Note(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n    text: str",
    "#| export\nOWNER = os.environ['NOTES_OWNER']\nSIZE = int(os.getenv('NOTES_SIZE', '20'))\n"
    "db = kit.database('sqlite:///notes.db').create(Note)\nplugin = kit.Plugin('notes', description_for_model='Keeps notes.')",
    "#| export\n@plugin.get('/notes')\ndef list_notes() -> list[Note]:\n    with db.read() as session:\n"
    "        return session.exec(select(Note)).all()[:SIZE]\n\n@plugin.get('/owner')\ndef owner() -> str:\n    return OWNER\n\n"
    "@plugin.get('/key')\ndef key() -> int:\n    return len(os.environ['NOTES_KEY'])",
)
COUNTER = (
    "#| export\nimport kit\nplugin = kit.Plugin('counter', description_for_model='Counts.')\nseen = []",
    "#| export\n@plugin.post('/seen')\ndef see(name: str) -> int:\n    seen.append(name)\n    return len(seen)",
)
# what needs a daemon, a cluster or an account
ELSEWHERE = ("docker", "kubectl", "sed", "sam", "IMAGE=", "export IMAGE=")


def commands(folder: Path) -> list[str]:
    """The commands of its README, in their order: the lines of its blocks, and the code in its tables."""
    text = (folder / "README.md").read_text()
    found = []
    for block in re.finditer(r"```sh\n([\s\S]*?)```|^\| [^|]+ \| (`.*) \|$", text, re.MULTILINE):
        if block[1]:
            found += block[1].replace("\\\n", " ").strip().splitlines()
        else:
            found += [it for it in re.findall(r"`([^`]+)`", block[2]) if " " in it]
    return found


def run(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment(**variables), capture_output=True, text=True
    )


def environment(**variables: str) -> dict[str, str]:
    """One without this project, whose `python3` has a pip."""
    python = (
        Path(sys.executable) if importlib.util.find_spec("pip") else Path(sys.base_prefix, "bin", "python3")
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHONPATH", "NOTES_", "PYTEST_"))
    }
    return {**kept, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", **variables}


@contextlib.contextmanager
def served(command: str, folder: Path, **variables: str) -> Iterator[str]:
    """The address of what a `kit serve` of the README serves, at a free port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = command.replace("--port 8000", f"--port {port}")
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=folder, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as response:
        return json.loads(response.read())


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    os.environ["NOTES_OWNER"] = "sam"
    try:
        made = kit.export(write(folder / "notes.ipynb", *NOTES), folder / "out")
    finally:
        del os.environ["NOTES_OWNER"]
    assert made.notes[0].startswith("Proved without NOTES_KEY, not set here"), made.notes
    return made.path


@pytest.mark.skipif(
    os.environ.get("KIT_INTEROP") != "1",
    reason="installs packages into environments of its own: set KIT_INTEROP=1",
)
def test_a_plugin_with_settings_and_a_database(notes: Path) -> None:
    each = commands(notes)
    copy, install, serve, several, *rest = each
    assert copy == "cp .env.example .env"
    assert run(copy, notes).returncode == 0
    probe = run("python3 -m pip index versions typing-extensions", notes)
    if probe.returncode:
        pytest.skip("no package index can be reached from here")
    done = run(install, notes)
    assert done.returncode == 0, done.stderr
    began = time.monotonic()
    refused = run(serve, notes)
    assert time.monotonic() - began < 30
    assert refused.returncode == 1
    assert "needs settings that are not set: NOTES_KEY (app.py, line " in refused.stderr
    assert "NOTES_OWNER (app.py, line " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run(several, notes).returncode == 1  # before it starts any process
    (tests,) = (command for command in rest if "pytest" in command)
    failing = run(tests, notes)
    assert failing.returncode == 1
    assert "needs settings that are not set: NOTES_KEY" in failing.stdout
    file = notes / ".env"
    file.write_text(
        file.read_text()
        .replace("NOTES_OWNER=", "NOTES_OWNER=kim $HOME")
        .replace("NOTES_KEY=", "NOTES_KEY=1234")
    )
    with served(serve, notes) as url:
        assert answer(f"{url}/owner") == "kim $HOME"
        assert answer(f"{url}/key") == 4
        assert answer(f"{url}/notes") == []
    with served(several, notes, NOTES_OWNER="the environment wins") as url:
        assert answer(f"{url}/owner") == "the environment wins"
    passing = run(tests, notes)
    assert passing.returncode == 0, passing.stdout
    (tables,) = (command for command in rest if command.startswith(".venv/bin/python -m alembic"))
    assert (done := run(tables, notes)).returncode == 0, done.stderr
    for command in rest:
        assert command in (tests, tables, tables.removeprefix(".venv/bin/")) or command.startswith(
            (*ELSEWHERE, "echo ")
        ), command
        assert run(f"set -n\n{command}", notes).returncode == 0, command
    (password,) = (command for command in rest if command.startswith("echo "))
    assert run(password, notes).returncode == 0
    assert re.search(r"^POSTGRES_PASSWORD=\w{32}$", file.read_text(), re.MULTILINE)


def test_what_the_commands_name_is_there(notes: Path, tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "counter.ipynb", *COUNTER), tmp_path / "out")
    assert "In memory: seen, a list." in made.notes[0]
    for folder in (notes, made.path):
        for command in commands(folder):
            for name in re.findall(r"[\w./-]+\.(?:txt|yaml|py|example)(?!\S)", command):
                assert (folder / name).is_file(), command
    alone = " ".join(commands(made.path))
    assert "--workers" not in alone
    assert "sam" not in alone
    assert "POSTGRES" not in alone
    image = next(command for command in commands(made.path) if command.startswith("sed"))
    done = run(image.partition(" |")[0], made.path, IMAGE="registry.example.com/counter@sha256:1")
    assert 'image: "registry.example.com/counter@sha256:1"' in done.stdout
    assert "${" not in done.stdout
