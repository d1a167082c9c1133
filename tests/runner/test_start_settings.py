"""`kit serve` names the settings that are missing before anything starts, and reads them from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = (
    "import os\nimport kit\nKEY = os.environ['GEO_KEY']\n"
    "plugin = kit.Plugin('geo', description_for_model='Finds.')\n"
    "@plugin.get('/mail')\ndef mail() -> str:\n    return os.environ['GEO_MAIL']\n"
)
# the whole command, and the one of the part that an export carries
WHOLE = [sys.executable, "-m", "kit"]
SERVING = [sys.executable, "-c", "from kit.runner.command import main; main()"]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("GEO_KEY", "GEO_MAIL")}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "geo.py").write_text(PLUGIN)
    return tmp_path


@pytest.mark.parametrize("command", [WHOLE, SERVING], ids=["whole", "serving"])
@pytest.mark.parametrize("arguments", ["geo.py", "geo:plugin", "geo.py --workers 2"])
def test_all_missing_ones_are_named(folder: Path, command: list[str], arguments: str) -> None:
    done = subprocess.run(
        [*command, "serve", *arguments.split()],
        cwd=folder, env=environment(GEO_KEY=""), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "needs settings that are not set: GEO_KEY (geo.py, line 3); GEO_MAIL (geo.py, line 7)" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [WHOLE, SERVING], ids=["whole", "serving"])
def test_a_file_has_them_and_the_options_defaults(folder: Path, command: list[str]) -> None:
    (folder / ".env").write_text("GEO_KEY=hunter2\nGEO_MAIL=m\nWEB_CONCURRENCY=2\n")
    serving = [*command, "serve", "geo.py", "--env-file", ".env"]
    with subprocess.Popen(
        serving, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
    assert line.startswith("2 workers serve geo.py at http://127.0.0.1:"), line + rest
    assert "hunter2" not in line + rest
    (folder / ".env").write_text("GEO_KEY: hunter2\n")
    done = subprocess.run(serving, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2)  # an option with a wrong value is wrong usage
    assert ".env, line 1, is not NAME=VALUE." in " ".join(done.stderr.split())
    assert "hunter2" not in done.stderr
