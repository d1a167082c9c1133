"""`kit export` that is ended in the middle leaves no server running; by SIGTERM, no file either."""

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
import os, pathlib, time
import kit
todo = kit.Plugin("todo", description_for_model="Answers after a minute.")

@todo.get("/wait")
def wait() -> int:
    pathlib.Path(os.environ["ASKED"]).touch()
    time.sleep(60)
    return 1
"""
WAIT = 30.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a program can catch")
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, by: signal.Signals) -> None:
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
        servers = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(by)
        running.wait(WAIT)
    assert len(servers) == 2
    _, alive = psutil.wait_procs(servers, WAIT)
    assert alive == []
    assert not (tmp_path / "out").exists()
    if by is signal.SIGTERM:
        assert running.returncode == 128 + signal.SIGTERM
        assert list(scratch.iterdir()) == []
