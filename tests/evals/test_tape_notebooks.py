"""Tapes in notebooks: `%%record`, KIT_TAPES, and the tutorial, which nbmake runs from the tapes in tests/tapes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kernel import Kernel
from paths import NOTEBOOKS, TESTS
from scripted import Scripted

ASK = "What is on sam's list?"
LIST = ("list_todos", '{"username": "sam"}')
TAPES = sorted((TESTS / "tapes").glob("*.yaml"))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with Scripted() as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
        yield scripted


def test_in_a_notebook(model: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`%%record`, cell after cell; and KIT_TAPES, by which no cell says so."""
    ask = f"import kit\nfrom kit.demo import make_plugin\nprint(kit.Chat(make_plugin(), show=False)({ASK!r}).text)"
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        model.enqueue("", LIST)
        model.enqueue("Nothing to do.")
    with Kernel() as kernel:
        kernel.run("import kit\n%load_ext kit")
        assert kernel.run(f"%%record t.yaml\n{ask}").text == "Nothing to do.\n"
    monkeypatch.setenv("KIT_TAPES", "all")
    with Kernel() as kernel:
        assert kernel.run(ask).text == "Nothing to do.\n"
    assert (tmp_path / "t.yaml").exists()
    assert [file.suffix for file in (tmp_path / "all").iterdir()] == [".yaml"]
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    with Kernel() as kernel:
        assert kernel.run(ask).text == "Nothing to do.\n"
        own = f"with kit.record('t.yaml') as tape:\n    {ask.splitlines()[-1]}\ntape"
        assert not kernel.run(own).error
        assert kernel.run("tape").result["text/plain"] == "<Tape t.yaml: plays, 3 played, 0 recorded>"
        assert kernel.run(f"%%record\n{ask}").text == "Nothing to do.\n"
    monkeypatch.delenv("KIT_TAPES")
    with Kernel() as kernel:
        kernel.run("%load_ext kit")
        assert kernel.run(f"%%record t.yaml\n{ask}").text == "Nothing to do.\n"
        failed = kernel.run("%%record t.yaml\nimport kit\nkit.Chat(make_plugin())('Something else')")
        assert "has no answer to this request" in failed.error


def nbmake(folder: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A notebook's run under nbmake with the settings of the repository, on a machine with no key and no model."""
    clean = {key: it for key, it in os.environ.items() if not key.startswith(("OPENAI_", "KIT_", "PYTEST_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:langsmith_plugin",
        "-q",
        "--nbmake",
        "--nbmake-kernel=python3",
        name,
    ]
    return subprocess.run(command, cwd=folder, env={**clean, **variables}, capture_output=True, text=True)


def test_a_changed_sentence_of_the_tutorial_is_red_and_says_why(tmp_path: Path) -> None:
    folder, tapes = tmp_path / "notebooks", tmp_path / "tests" / "tapes"
    folder.mkdir()
    tapes.mkdir(parents=True)
    shutil.copy(NOTEBOOKS / "conftest.py", folder)
    shutil.copy(TESTS / "tapes" / "00_start_here.yaml", tapes)
    text = (NOTEBOOKS / "00_start_here.ipynb").read_text()
    (folder / "00_start_here.ipynb").write_text(
        text.replace("What does sam have to do?", "What must sam do?")
    )
    changed = nbmake(folder, "00_start_here.ipynb")
    assert changed.returncode == 1
    said = re.sub(r"\s+", " ", changed.stdout)
    assert "content is 'What must sam do?', and was 'What does sam have to do?'" in said
    assert "KIT_RECORD=all" in said


def test_no_secret_of_the_recording_is_on_the_tapes_of_the_tutorial() -> None:
    """Each was recorded with a key and an organisation's id; `tests/notebooks.py --record` looks for the very ones."""
    assert {tape.stem[:2] for tape in TAPES} >= {"00", "01", "04", "05", "06", "08"}
    for tape in TAPES:
        text = tape.read_text()
        assert not re.search(r"(?i)\bsk-|\borg-|bearer|authorization|cookie|api[_-]?key|x-stainless", text), (
            tape.name
        )
        assert not re.search(r"/(home|root|Users|tmp|work)/", text), tape.name
        assert not re.search(r"(?:127\.0\.0\.1|localhost):\d{4}", text), tape.name
        assert yaml.safe_load(text.partition("interactions:")[0])["settings"]["OPENAI_BASE_URL"]
