"""The tutorial as text: what every notebook must have for its reader. nbmake checks that it runs."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from diagrams import IMAGES, drawings
from paths import NOTEBOOKS

FOLDER = NOTEBOOKS
NAMES = [
    "00_start_here", "01_create_a_project", "02_plugin_manifest", "03_openapi_spec", "04_operations",
    "05_describe", "06_langchain", "07_chatgpt", "08_deploy",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)


def test_these_are_all_the_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


def test_it_opens_and_closes_like_the_others(notebook: Any) -> None:
    nbformat.validate(notebook)
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    assert re.match(r"# (\d )?[A-Z]", first)
    assert "At the end" in first or "In ten short cells" in first
    for words in ("## What you have seen", "**Try this:**", ".ipynb)"):
        assert words in last


def test_every_link_and_picture_exists(notebook: Any) -> None:
    for cell in notebook.cells:
        for target in re.findall(r"\]\(([^)#:]+)\)", cell.source if cell.cell_type == "markdown" else ""):
            assert (FOLDER / target).is_file(), target
        for words in re.findall(r"!\[([^\]]*)\]", cell.source if cell.cell_type == "markdown" else ""):
            assert len(words) > 20, "a picture says in words what it shows"


def test_cells_are_short_and_their_outputs_kept(notebook: Any) -> None:
    shown = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 14, cell.source
            assert cell.execution_count
            shown += bool(cell.outputs)
    assert shown >= 4


def test_a_mistake_is_shown_to_the_reader(notebook: Any) -> None:
    assert any("## When " in cell.source for cell in notebook.cells)


def test_its_results_are_expected(notebook: Any) -> None:
    """In its cells, or in their metadata, which nbmake runs; a cell that is to fail is red if it does not."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(".expect(" in cell.source or "nbmake" in cell.metadata for cell in code)
    for cell in code:
        if "raises-exception" in cell.metadata.get("tags", []):
            assert cell.metadata["nbmake"]["post_cell_execute"][0].startswith("raise AssertionError"), (
                cell.source
            )


def test_outputs_reveal_nothing_about_the_machine(notebook: Any) -> None:
    text = nbformat.writes(notebook)
    assert not re.search(r"/(home|root|Users|tmp|work)/|site-packages", text)
    assert not re.search(r"127\.0\.0\.1:(?!3333)\d|localhost:(?!3333|1\b)\d", text)


def test_the_drawings_are_up_to_date() -> None:
    for name, content in drawings().items():
        assert (IMAGES / name).read_text() == content, "run `python tests/diagrams.py`"
