"""The README's road with the extra `tutorial` and nothing else: notebooks by nbmake, `%pip` in a cell, JupyterLab at notebook 00."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from paths import NOTEBOOKS, ROOT

from kit.project.requirements import distributions_of, link

NAME = "notebook-plugin-kit"


def requirements(*extras: str) -> Iterator[str]:
    """What pip installs for these extras of the kit, one a line."""
    for text in distribution(NAME).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": it}) for it in ["", *extras]
        ):
            requirement.marker = None
            if requirement.name == NAME:
                yield from requirements(*requirement.extras)
            else:
                yield str(requirement)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with `.[tutorial]`: what this one has for it, linked."""
    folder = tmp_path_factory.mktemp("tutorial") / "venv"
    venv.create(folder)
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    link(distributions_of("\n".join(requirements("tutorial")), Path("none.whl")), site)
    link([distribution(NAME)], site)
    (folder / "share").symlink_to(Path(sys.prefix) / "share")  # JupyterLab's pages
    return folder / "bin" / "python"


def environment(python: Path) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OPENAI_", "PYTHON", "KIT_", "PYTEST_"))
    }
    return {**kept, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "KIT_MODEL": "understudy"}


def test_it_has_no_more_than_the_extra(python: Path) -> None:
    code = "import importlib.util as u; print([it for it in ('mypy', 'playwright', 'fastmcp', 'hypothesis') if u.find_spec(it)])"
    assert subprocess.check_output([python, "-c", code], text=True) == "[]\n"


def test_the_first_notebooks_pass_nbmake(python: Path, tmp_path: Path) -> None:
    for name in ("00_start_here.ipynb", "01_create_a_project.ipynb"):
        shutil.copy(NOTEBOOKS / name, tmp_path)
    command = [str(python), "-m", "pytest", "--nbmake", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(python), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pip_works_in_a_cell(python: Path) -> None:
    code = "from jupyter_client.manager import run_kernel\nwith run_kernel() as client:\n  client.execute_interactive('%pip --version')"
    done = subprocess.run(
        [python, "-c", code], env=environment(python), capture_output=True, text=True, timeout=120
    )
    assert re.search(r"^pip \d+", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_kit_lab_opens_the_first_notebook(python: Path, tmp_path: Path) -> None:
    command = [str(python), "-m", "kit", "lab", "--no-browser"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(python),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr
        try:
            assert any(
                re.search(r"http://\S+/lab/tree/00_start_here\.ipynb", line) for line in process.stderr
            )
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert sorted(it.name for it in (tmp_path / "kit-tutorial").glob("*.ipynb")) == sorted(
        it.name for it in NOTEBOOKS.glob("*.ipynb")
    )


def test_the_readme_names_the_extra() -> None:
    assert "-e '.[tutorial]' && .venv/bin/kit lab" in (ROOT / "README.md").read_text()
