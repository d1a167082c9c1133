"""Where things are in the clone, and beside it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
NOTEBOOKS = ROOT / "notebooks"
SHARED = ROOT.parent / "shared"  # the larger collections, which are not part of a clone


def shared(*parts: str) -> Path | None:
    """A file of the corpus beside the checkout, or None without the corpus, which only some tests need."""
    path = SHARED.joinpath(*parts)
    return path if path.exists() else None
