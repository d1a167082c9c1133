"""Environments of their own, for what wants versions that clash with those the tests run with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from paths import ROOT

CONSTRAINTS = ROOT / "constraints.txt"


def environment(place: Path, wanted: str, *clashing: str) -> Path:
    """The Python of a new environment with `wanted`, and constraints.txt's version of all but the `clashing`."""
    lines = CONSTRAINTS.read_text().splitlines()
    constraints = place.with_suffix(".txt")
    constraints.write_text("\n".join(line for line in lines if line.partition("==")[0] not in clashing))
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, wanted], check=True)
    return python
