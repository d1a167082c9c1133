"""A real JupyterLab, opened in a real Chromium: to test the notebooks in, and to look at them.

`python tests/lab.py [NOTEBOOK...]` runs the notebooks and leaves screenshots in `build/screenshots`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
CELLS = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    return panel.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({
        count: cell.model.executionCount,
        source: cell.model.sharedModel.source,
        tags: cell.model.getMetadata('tags') || [],
        outputs: cell.model.outputs.toJSON(),
    }));
}"""
IDLE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === 'idle';
}"""
# JupyterLab says early that all have run, and the kernel is idle between two cells as well.
DONE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = panel.content.widgets.map(cell => cell.model).filter(model => model.type === 'code');
    const failed = cells.some(model => !(model.getMetadata('tags') || []).includes('raises-exception')
        && model.outputs.toJSON().some(output => output.output_type === 'error'));
    return panel.sessionContext.session.kernel.status === 'idle'
        && (failed || cells.every(model => model.executionCount !== null));
}"""
SCROLL = """number => {
    const view = document.querySelector('.jp-Notebook .jp-WindowedPanel-outer')
        || document.querySelector('.jp-Notebook');
    view.scrollTop = number * (view.clientHeight - 40);
    return Math.ceil(view.scrollHeight / (view.clientHeight - 40));
}"""
SETTINGS: dict[str, dict[str, Any]] = {
    # Without this the cells that are out of view are not drawn, and no screenshot shows them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    # A question that would lie over the notebook.
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def browser_program() -> str | None:
    """Debian's Chromium, or a Chrome: the wheel of playwright brings no browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Lab:
    """A running JupyterLab on `folder`, with settings of its own."""

    url: str
    folder: Path

    @contextlib.contextmanager
    def open(self, browser: Browser, name: str, theme: str = "light") -> Iterator[OpenNotebook]:
        """Opens one notebook, as a person would, and waits for its kernel."""
        context = browser.new_context(viewport={"width": 1200, "height": 1400})
        try:
            page = context.new_page()
            page.goto(f"{self.url}/lab/tree/{name}?reset")
            page.wait_for_function(IDLE, timeout=60_000)
            page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            notebook = OpenNotebook(page)
            notebook.theme(theme)
            yield notebook
        finally:
            with contextlib.suppress(Exception):
                page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
            context.close()


@dataclass
class OpenNotebook:
    """One notebook in the browser."""

    page: Page

    def theme(self, name: str) -> None:
        """Changes JupyterLab's theme to one of `THEMES`."""
        self.page.evaluate(
            "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", THEMES[name]
        )
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeName === '{THEMES[name]}'")

    def run_all(self) -> list[dict[str, Any]]:
        """Runs every cell, waits until the last has ended, and gives the code cells with their outputs."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(DONE, timeout=120_000)
        self.page.wait_for_timeout(300)
        return self.cells()

    def restart_and_run_all(self) -> list[dict[str, Any]]:
        """What the double arrow of the toolbar does: a new kernel, then every cell."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        self.page.wait_for_function(IDLE, timeout=60_000)
        return self.run_all()

    def cells(self) -> list[dict[str, Any]]:
        """The code cells: count, source, tags, outputs."""
        found: list[dict[str, Any]] = self.page.evaluate(CELLS)
        return found

    def picture(self, path: Path) -> Path:
        """Screenshots of the whole notebook, a screen each: `path`, then `path` with -2, -3 ..."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pages = self.page.evaluate(SCROLL, 0)
        for number in range(pages):
            self.page.evaluate(SCROLL, number)
            self.page.wait_for_timeout(150)
            self.page.screenshot(path=path.with_stem(path.stem + (f"-{number + 1}" if number else "")))
        return path


@contextlib.contextmanager
def lab(source: Path = NOTEBOOKS) -> Iterator[Lab]:
    """JupyterLab on a copy of the notebooks, on a free port, with no settings but these."""
    with tempfile.TemporaryDirectory() as place:
        folder, settings = Path(place) / "notebooks", Path(place) / "settings"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for name, values in SETTINGS.items():
            file = settings / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(values))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        environment |= {
            "JUPYTER_CONFIG_DIR": str(settings),
            "JUPYTERLAB_SETTINGS_DIR": str(settings / "lab" / "user-settings"),
            "JUPYTER_DATA_DIR": str(Path(place) / "data"),
            "JUPYTER_RUNTIME_DIR": str(Path(place) / "runtime"),
            "JUPYTERLAB_WORKSPACES_DIR": str(Path(place) / "workspaces"),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
             "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"],
            env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/api/status", process)
            yield Lab(url, folder)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with status {process.returncode}")
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url).status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no JupyterLab at {url} within {seconds:.0f} s")


def main() -> None:
    """Screenshots of the notebooks named, or of all, in both themes."""
    names = [Path(name).name for name in sys.argv[1:]] or sorted(p.name for p in NOTEBOOKS.glob("*.ipynb"))
    with lab() as running, browsing() as browser:
        for name in names:
            for theme in THEMES:
                with running.open(browser, name, theme) as notebook:
                    notebook.run_all()
                    print(notebook.picture(ROOT / "build" / "screenshots" / f"{Path(name).stem}-{theme}.png"))


if __name__ == "__main__":
    main()
