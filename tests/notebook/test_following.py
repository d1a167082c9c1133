"""A target follows its files: each change is one new version, also that of a module beside it; no FastAPI to recognise one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import kit
from kit.notebook import target
from kit.notebook.target import Target

APP = """\
import kit
from {module} import SUMMARY
plugin = kit.Plugin("shop", description_for_model="A shop.", description_for_human="A shop.")

@plugin.get("/a", summary=SUMMARY)
def a(): ...
"""


class Served:
    """Keeps the plugins that it is to serve."""

    def __init__(self) -> None:
        self.summaries: list[str | None] = []

    def follow(self, app: Any) -> None:
        self.summaries.append(app.openapi()["paths"]["/a"]["get"]["summary"])


@pytest.fixture
def following(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A followed app.py with a module beside it: the module's file, what is served, and what is said."""
    name = f"texts_{os.getpid()}_{request.node.name}"
    module = tmp_path / f"{name}.py"
    _save(module, "SUMMARY = 'one'")
    (tmp_path / "app.py").write_text(APP.format(module=name))
    followed, served, said, stop = (
        Target(tmp_path / "app.py"),
        cast("Any", Served()),
        list[str](),
        threading.Event(),
    )
    assert followed.plugin().openapi()["paths"]["/a"]["get"]["summary"] == "one"
    thread = threading.Thread(target=lambda: said.extend(followed.follow(served, stop)))
    thread.start()
    yield module, served.summaries, said
    stop.set()
    thread.join()
    sys.path.remove(str(tmp_path))


def _save(path: Path, text: str) -> None:
    """Writes a module, later than what stands in the bytecode of the one before: its time has full seconds."""
    path.write_text(text)
    _save.time += 2  # type: ignore[attr-defined]
    os.utime(path, (_save.time, _save.time))  # type: ignore[attr-defined]


_save.time = time.time()  # type: ignore[attr-defined]


def _until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_change_of_a_module_beside_it_is_one_new_version_and_so_is_the_next(following: Any) -> None:
    module, summaries, _ = following
    for text in ("two", "three"):
        _save(module, f"SUMMARY = '{text}'")
        _until(lambda text=text: summaries[-1:] == [text])
        time.sleep(3 * target.POLL_INTERVAL)
    assert summaries == ["two", "three"]


def test_a_broken_module_is_said_once_and_mended_is_served(following: Any) -> None:
    module, summaries, said = following
    _save(module, "SUMMARY = 1 / 0")
    time.sleep(target.SETTLE_TIME + 4 * target.POLL_INTERVAL)
    assert not summaries
    assert "".join(said).count("ZeroDivisionError") == 1
    _save(module, "SUMMARY = 'mended'")
    _until(lambda: summaries)
    time.sleep(3 * target.POLL_INTERVAL)
    assert summaries == ["mended"]
    assert len(said) == 2


def test_no_fastapi_to_see_that_an_address_is_no_target() -> None:
    code = (
        "import sys; from kit.notebook.target import is_target; assert not is_target('https://todo.example'); "
        "assert not {'fastapi', 'openai', 'mcp'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_removed_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "gone.py"
    path.write_text(
        "import kit\nplugin = kit.Plugin('gone', description_for_model='A.', description_for_human='A.')\n"
    )
    gone = Target(path)
    gone.plugin()
    path.unlink()
    with pytest.raises(kit.KitError, match=r"gone\.py cannot be read"):
        gone.plugin()


def test_a_package_in_the_current_folder_is_a_module_and_a_project_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "from fastapi import FastAPI\napi = FastAPI(title='Shop', description='A shop.')\n"
    for file in ("packaged_shop/__init__.py", "project/app.py"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(source)
    try:
        assert target.is_target("packaged_shop:api")
        assert Target("packaged_shop:api").plugin().title == "Shop"
        assert target.absolute("packaged_shop:api") == "packaged_shop:api"
        assert target.absolute("project:api") == f"{tmp_path}/project:api"
        assert Target(target.absolute("project:api")).plugin().title == "Shop"
    finally:
        sys.modules.pop("packaged_shop", None)
