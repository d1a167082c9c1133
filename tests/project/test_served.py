"""An export is run from the notebook as where it is deployed: `kit serve` in processes of its own, and Lambda's handler."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx2
import pytest

import kit
from kit.project.export import Export

CELL = """#| export
import os, kit
plugin = kit.Plugin("process", description_for_model="Says which process answers.", description_for_human="x")

@plugin.get("/process", summary="Say which process answers")
def process() -> str:
    return "here"
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("served")
    cell = {"cell_type": "code", "source": CELL}
    (folder / "process.ipynb").write_text(json.dumps({"cells": [cell]}))
    return kit.export(folder / "process.ipynb", folder / "out")


def test_it_serves_replaces_a_killed_worker_and_stops(exported: Export) -> None:
    before = sorted(exported.path.iterdir())
    with exported.serve(workers=2) as served:
        assert kit.install(served.url).call("process").data == "here"
        assert "by 2 processes" in repr(served)
        assert f'href="{served.url}"' in served._repr_html_()
        first = served.workers
        os.kill(first[0], signal.SIGKILL)
        end = time.monotonic() + 30
        while len(served.workers) < 2 or first[0] in served.workers:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert kit.install(served.url).call("process").ok
    assert "has stopped" in repr(served)
    served.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(served.url)
    assert [it for it in sorted(exported.path.iterdir()) if it.name != "__pycache__"] == before


def test_one_that_does_not_start_says_why(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('not today')\n")
    broken = Export(tmp_path, {}, exported.parity, [])
    with pytest.raises(kit.KitError, match="not today"):
        broken.serve()


def test_lambdas_handler_is_called(exported: Export) -> None:
    answer = exported.invoke("GET", "/process")
    assert (answer.status, json.loads(answer.body)) == (200, "here")
    assert 0 < answer.seconds < 60
    assert exported.invoke("GET", "/.well-known/ai-plugin.json").body.startswith("{")
    assert exported.invoke("GET", "/nothing").status == 404


def test_a_handler_that_fails_says_why(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "lambda_handler.py").write_text("import not_a_module\n")
    with pytest.raises(kit.KitError, match="not_a_module"):
        Export(tmp_path, {}, exported.parity, []).invoke("GET", "/")
