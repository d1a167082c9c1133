"""Where things are in the clone, and beside it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
NOTEBOOKS = ROOT / "notebooks"
SHARED = ROOT.parent / "shared"  # the larger collections, which are not part of a clone
