"""Schemathesis over the plugins that people start from: no 500, and no answer that contradicts the spec.

The same requests in each run. `SCHEMATHESIS_SEED=1 SCHEMATHESIS_EXAMPLES=500` makes others, and more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import NOTEBOOKS

import kit
from kit.demo import make_plugin


def tutorial() -> kit.Plugin:
    shutil.copy(NOTEBOOKS / "04_operations.ipynb", "todo.ipynb")
    return kit.load("todo.ipynb")


def scaffold() -> kit.Plugin:
    return kit.load(kit.new("my-weather").path / "plugin.ipynb")


def run(url: str) -> subprocess.CompletedProcess[str]:
    seed, examples = os.environ.get("SCHEMATHESIS_SEED"), os.environ.get("SCHEMATHESIS_EXAMPLES", "25")
    cases = ["--seed", seed] if seed else ["--generation-deterministic"]
    options = ["--no-color", "--warnings", "off", "--continue-on-failure", "--max-examples", examples]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{url}/.well-known/openapi.json",
            *options,
            *cases,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("make", [make_plugin, tutorial, scaffold], ids=["demo", "tutorial", "scaffold"])
def test_no_answer_contradicts_the_spec(
    make: Callable[[], kit.Plugin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with kit.serve(make()) as server:
        ran = run(server.url)
    assert ran.returncode == 0, ran.stdout
    assert "No issues found" in ran.stdout


def test_an_answer_that_contradicts_the_spec_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plugin = kit.Plugin("broken", description_for_model="Answers with a number where it says text.")

    @plugin.get("/broken", response_model=str)
    def broken() -> object:
        from fastapi.responses import JSONResponse

        return JSONResponse(3)

    with kit.serve(plugin) as server:
        ran = run(server.url)
    assert ran.returncode == 1
    assert "Response violates schema" in ran.stdout
