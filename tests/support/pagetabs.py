"""A tab of the local ChatGPT in a real Chromium. Screenshots are saved in `build/screenshots`."""

from __future__ import annotations

import pytest
from lab import ROOT
from playwright.sync_api import Page, expect

PICTURES = ROOT / "build" / "screenshots"


class Tab:
    """A tab of the page, used as a person would."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.slips: list[str] = []
        page.on("pageerror", lambda error: self.slips.append(str(error)))
        page.goto(url)
        expect(page.locator("#welcome")).not_to_be_empty()

    def say(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def answer(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def wait(self) -> None:
        """Waits until no answer is being written."""
        expect(self.page.get_by_role("button", name="Send", exact=True)).to_be_visible(timeout=60_000)

    def open_dialog(self) -> None:
        self.page.locator("#pick").click()
        self.page.locator("#develop").click()

    def find(self, url: str) -> None:
        self.open_dialog()
        self.page.get_by_label("Its base URL").fill(url)
        self.page.get_by_role("button", name="Find manifest file").click()

    def install(self, url: str) -> None:
        self.find(url)
        self.page.get_by_role("button", name="Install plugin").click()
        expect(self.page.locator("#store")).to_be_hidden()

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"chatgpt-{name}.png")

    def findings(self) -> list[str]:
        """What axe-core calls serious or critical."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        violations = axe.run(self.page).response["violations"]
        return [
            f"{violation['id']}: {node['html']}"
            for violation in violations
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
