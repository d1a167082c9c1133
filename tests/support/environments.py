"""Separate environments for what needs versions that conflict with those of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from paths import ROOT

CONSTRAINTS = ROOT / "constraints.txt"


def environment(folder: Path, requirement: str, *conflicting: str) -> Path:
    """The Python of a new environment with `requirement`, by constraints.txt except for `conflicting` packages."""
    lines = CONSTRAINTS.read_text().splitlines()
    constraints = folder.with_suffix(".txt")
    constraints.write_text("\n".join(line for line in lines if line.partition("==")[0] not in conflicting))
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, requirement], check=True)
    return python
