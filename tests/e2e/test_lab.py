"""Every notebook in a real JupyterLab, in a real Chromium: as a reader opens, runs and sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lab as labs
import pytest
from lab import Lab, browser_program, browsing

pytestmark = [
    pytest.mark.skipif(browser_program() is None, reason="there is no Chromium on this machine"),
    pytest.mark.filterwarnings("default"),
]
NAMES = sorted(path.name for path in labs.NOTEBOOKS.glob("*.ipynb"))
AGAIN = ("04", "07")  # those that serve what others hold: a database, a page. Each takes half a minute here
PICTURES = labs.ROOT / "build" / "screenshots"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with labs.lab() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as running:
        yield running


def errors(cells: list[dict[str, Any]]) -> list[str]:
    """What went wrong where it should not, and what went well where it should not."""
    found = []
    for cell in cells:
        raised = [out for out in cell["outputs"] if out["output_type"] == "error"]
        if cell["count"] is None:
            found.append(f"not run: {cell['source']}")
        if bool(raised) != ("raises-exception" in cell["tags"]):
            found.append(f"{cell['source']}\n{raised[0]['evalue'] if raised else 'raised nothing'}")
        found += [out["text"] for out in cell["outputs"] if out.get("name") == "stderr"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_run_all_and_again_in_the_dark(lab: Lab, browser: Any, name: str) -> None:
    with lab.open(browser, name) as notebook:
        assert errors(notebook.run_all()) == []
        notebook.theme("dark")
        if name == NAMES[0]:
            assert errors(notebook.restart_and_run_all()) == []
        elif name[:2] in AGAIN:
            assert errors(notebook.run_all()) == []
        outputs = notebook.page.locator(".jp-OutputArea-output")
        assert outputs.count() >= 4
        rich = notebook.page.locator(".jp-RenderedHTMLCommon:is(.jp-RenderedHTML) :is(table, details)")
        assert rich.count() >= 1
        rich.first.scroll_into_view_if_needed()
        assert rich.first.is_visible()
        # light text on the dark ground, in tables and in transcripts alike
        color = rich.first.evaluate("element => getComputedStyle(element).color")
        channels = color.removeprefix("rgb(").removeprefix("rgba(").rstrip(")").split(",")[:3]
        assert min(int(part) for part in channels) > 150
        broken = notebook.page.evaluate(
            "() => [...document.querySelectorAll('.jp-Notebook img')]"
            ".filter(image => image.complete && !image.naturalWidth).map(image => image.src)"
        )
        assert broken == []


def test_the_local_chatgpt_in_a_cell(lab: Lab, browser: Any) -> None:
    """It is used in its frame, and goes on when the notebook runs again beneath it."""
    with lab.open(browser, "07_chatgpt.ipynb") as notebook:
        assert errors(notebook.run_all()) == []
        page = notebook.page.frame_locator("iframe").first
        page.get_by_label("Message").fill("Add 'buy milk' to sam's list")
        page.get_by_role("button", name="Send", exact=True).click()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.locator(".answer").filter(has_text="buy milk").wait_for()
        address = notebook.page.locator("iframe").first.get_attribute("src") or ""
        with notebook.page.context.expect_page() as opened:
            notebook.page.locator(f'a[href="{address}"]').first.click()
        notebook.page.bring_to_front()
        assert errors(notebook.run_all()) == []
        assert notebook.page.locator("iframe").first.get_attribute("src") == address
        beside = opened.value
        beside.get_by_label("Message").fill("Show me sam's list")
        beside.get_by_role("button", name="Send", exact=True).click()
        beside.locator(".after").wait_for()
        assert "Used TODO Plugin" in beside.locator(".call").inner_text()
        notebook.picture(PICTURES / "07_chatgpt-page.png")
