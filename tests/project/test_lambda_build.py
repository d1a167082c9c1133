"""`build.py` of an export takes the wheels that Lambda's Linux can load, for either processor and Python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from kit.project.export import TEMPLATE
from kit.project.folder import rendered

MADE = rendered(TEMPLATE, defaultdict(str, PYTHON="3.12", MANGUM="mangum>=0.22,<1", NAME="x", MODEL="x"))


def build(tmp_path: Path, package: str, python: str, processor: str) -> tuple[Path, str]:
    """The folder that it writes, and what it says."""
    template = MADE["template.yaml"].replace("python3.12", f"python{python}")
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "build.py").write_text(MADE["build.py"])
    (project / "template.yaml").write_text(template.replace("[x86_64]", f"[{processor}]"))
    (project / "requirements.txt").write_text(f"{package}\n")
    (project / "cities.yaml").write_text("- Oslo\n")
    (project / "data" / "README.md").write_text("")
    (project / ".env").write_text("SECRET=1\n")
    done = subprocess.run(
        [sys.executable, "build.py", tmp_path / "out"], cwd=project, capture_output=True, text=True
    )
    if re.search("connection|resolve host|Could not fetch", done.stderr):
        pytest.skip("no package index can be reached from here")
    return tmp_path / "out", f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    ("package", "python", "processor", "machine"),
    [("numpy", "3.12", "x86_64", "x86_64"), ("psycopg[binary]", "3.13", "arm64", "aarch64")],
)
def test_newer_wheels_for_newer_pythons(
    tmp_path: Path, package: str, python: str, processor: str, machine: str
) -> None:
    folder, said = build(tmp_path, package, python, processor)
    assert said.startswith("0\n"), said
    assert "needs a newer Linux" not in said
    native = [file.name for file in folder.rglob("*.cpython-*.so")]
    assert native
    assert all(f"cpython-{python.replace('.', '')}-{machine}-linux" in name for name in native)
    assert (folder / "mangum").is_dir()  # though it is no requirement of the app
    assert (folder / "cities.yaml").is_file()  # what the app may read
    assert not (folder / "template.yaml").exists()
    assert not (folder / ".env").exists()


def test_what_an_old_linux_cannot_load_is_named(tmp_path: Path) -> None:
    _, said = build(tmp_path, "numpy>=2.4", "3.11", "x86_64")
    assert re.search(
        r"numpy-2\S+ needs a newer Linux than Lambda has for Python 3\.11: write `Runtime: ", said
    )


def test_a_package_without_a_wheel_is_no_traceback(tmp_path: Path) -> None:
    _, said = build(tmp_path, "numpy==1.21.0", "3.12", "x86_64")
    assert said.startswith("1\n")
    assert "No wheel for Python 3.12 on Linux, x86_64: see above." in said
    assert "Traceback" not in said
