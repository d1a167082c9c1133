"""`kit new` as a stranger meets it: the kit from pip in an environment of its own, an empty clone, the printed steps, the CI's commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kit.project.wheel import write_wheel

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the steps are for its own shell"),
    pytest.mark.skipif(
        os.environ.get("KIT_INTEROP") != "1",
        reason="installs packages into environments of its own: set KIT_INTEROP=1",
    ),
]
BASE = str(Path(sys.base_prefix, "bin", "python3"))
# No variable of the developer's decides: only what a fresh shell has.
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV", "KIT_", "OPENAI_"))
}


def sh(line: str, cwd: Path, *programs: Path, **variables: str) -> str:
    """Types one line into a shell whose PATH begins with `programs`, and returns what it prints."""
    path = os.pathsep.join([*map(str, programs), "/usr/local/bin", "/usr/bin", "/bin"])
    done = subprocess.run(
        ["sh", "-ec", line], cwd=cwd, env={**CLEAN, "PATH": path, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the kit and nothing else. Skips without a package index."""
    place = tmp_path_factory.mktemp("reader")
    subprocess.run([BASE, "-m", "venv", str(place / "venv")], check=True)
    programs = place / "venv" / "bin"
    probe = subprocess.run([programs / "pip", "install", "-q", "--dry-run", "typing-extensions"], env=CLEAN)
    if probe.returncode:
        pytest.skip("no package index can be reached from here")
    sh(f"pip install -q {write_wheel(place)}", place, programs)
    return programs


def test_an_empty_clone_becomes_a_project_that_passes_its_own_ci(tmp_path: Path, reader: Path) -> None:
    assert sh("kit --version", tmp_path, reader) == sh("python3 -m kit --version", tmp_path, reader)
    clone = tmp_path / "My Weather"
    (clone / ".git").mkdir(parents=True)
    mine = {"README.md": "# Mine\n", "LICENSE": "free\n", ".gitignore": ".venv/\n.env\n"}
    for name, text in mine.items():
        (clone / name).write_text(text)

    printed = sh("kit new .", clone, reader)
    steps = [line.strip() for line in printed.partition("\nNext:\n")[2].splitlines()]
    *before, lab, serve = steps
    for line in before:
        sh(line, clone, reader)
    assert sh(f"{lab.split()[0]} lab --version", clone, reader)
    with subprocess.Popen(serve.split(), cwd=clone, env=CLEAN, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            assert served.stdout.readline().startswith("My weather is served at http://127.0.0.1:")
        finally:
            served.terminate()
    for name, text in mine.items():
        assert (clone / name).read_text() == text

    # the CI's commands in the same environment, with pip as its machines have it
    sh("pip --python .venv install -q pip", clone, reader)
    workflow = yaml.safe_load((clone / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert {"ruff", "mypy", "nbqa", "pytest", "kit"} < {step["run"].split()[0] for step in commands}
    for step in commands:
        sh(step["run"], clone, clone / ".venv" / "bin", **step.get("env", {}))
    assert not list(clone.glob(".my_weather-*"))


def test_its_workflow_is_one_that_linters_take(tmp_path: Path, reader: Path) -> None:
    sh("kit new weather && pip install -q check-jsonschema zizmor", tmp_path, reader)
    file = "weather/.github/workflows/ci.yml"
    sh(f"check-jsonschema --builtin-schema vendor.github-workflows {file}", tmp_path, reader)
    sh(f"zizmor --offline --quiet --pedantic {file}", tmp_path, reader)
    for line in re.findall(r"uses: .*", (tmp_path / file).read_text()):
        assert re.fullmatch(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
