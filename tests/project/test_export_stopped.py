"""`kit export` that is ended in the middle leaves no process behind; if not killed, no file either."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SOURCE = """#| export
import os, pathlib, subprocess, sys, time
import kit
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as a library with workers does
todo = kit.Plugin("todo", description_for_model="Answers after a minute.")

@todo.get("/wait")
def wait() -> int:
    pathlib.Path(os.environ["ASKED"]).touch()
    time.sleep(60)
    return 1
"""
WAIT = 30.0
SOON = (
    8.0  # seconds: what stops containers and CI jobs kills after 10, the answer to /wait would take as long
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a program can catch")
@pytest.mark.parametrize("by", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_nothing_is_left_behind(tmp_path: Path, by: str) -> None:
    number = signal.Signals[by]
    mark, scratch, notebook = tmp_path / "asked", tmp_path / "scratch", tmp_path / "todo.ipynb"
    scratch.mkdir()
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": SOURCE,
        "outputs": [],
    }
    notebook.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    command = [sys.executable, "-m", "kit", "export", str(notebook), str(tmp_path / "out")]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(scratch), "ASKED": str(mark)}, stderr=subprocess.DEVNULL
    ) as running:
        end = time.monotonic() + WAIT
        while (
            not mark.exists() and running.poll() is None and time.monotonic() < end
        ):  # both servers run, and are being asked
            time.sleep(0.02)
        begun = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        if number != signal.SIGKILL:
            running.send_signal(number)  # in the middle of clearing away
        running.wait(SOON)
    assert len(begun) == 4  # two servers, and what each has started
    _, alive = psutil.wait_procs(begun, WAIT)
    assert alive == []
    assert not (tmp_path / "out").exists()
    if number != signal.SIGKILL:
        assert running.returncode == 128 + number
        assert list(scratch.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a program can catch")
def test_what_is_written_is_written_whole() -> None:
    """A signal that arrives while files are replaced takes effect after the last one."""
    code = (
        "import os, signal\nfrom kit.project.scratch import scratch_folder, uninterrupted, unwind_when_ended\n"
        "unwind_when_ended()\nwith scratch_folder('kit-') as folder:\n    print(folder)\n"
        "    with uninterrupted():\n        os.kill(os.getpid(), signal.SIGTERM)\n        print('whole')\n"
        "    print('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    folder, *rest = done.stdout.splitlines()
    assert (rest, done.returncode, done.stderr) == (["whole"], 128 + signal.SIGTERM, "")
    assert not Path(folder).exists()
