"""`/metrics` for Prometheus: every worker is counted, at a port of its own, by the paths of the spec."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from roads import running

pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
from prometheus_client.parser import text_string_to_metric_families

APP = """
import asyncio, os
import kit

plugin = kit.Plugin("notes", description_for_model="Notes.", auth=kit.ServiceHttp(tokens={"sam": "a-token-of-sam-0123456789"}))

@plugin.get("/notes/{name}")
async def note(name: str) -> int:
    if name == "wait":
        await asyncio.sleep(60)
    if name == "fail":
        raise RuntimeError
    return os.getpid()
"""
TOKEN = {"Authorization": "Bearer a-token-of-sam-0123456789"}
ACTIVE = "http_server_active_requests", "GET"
COUNT = "http_server_request_duration_seconds_count"


def read(port: int) -> dict[tuple[str, ...], float]:
    """The value of each row, by its name and the values of its labels."""
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(it.name, *(value for _, value in sorted(it.labels.items()))): it.value for it in samples}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("workers", ["1", "3"])
def test_requests_are_counted_by_operation_and_status_of_all_workers(
    tmp_path: Path, port: int, workers: str
) -> None:
    command = ["kit", "serve", "app.py", "--workers", workers]
    with running(tmp_path, APP, *command, METRICS_PORT=str(port)) as server:
        for number in range(24):
            assert httpx2.get(f"{server.url}/notes/{number}", headers=TOKEN).status_code == 200
        httpx2.get(f"{server.url}/notes/fail", headers=TOKEN)
        for path in ("/notes/1", "/nobody/knows", "/else"):
            httpx2.get(f"{server.url}{path}")
        httpx2.request("PROPFIND", f"{server.url}/notes/1", headers=TOKEN)
        rows = read(port)
        assert rows[COUNT, "GET", "200", "/notes/{name}"] == 24
        assert rows[COUNT, "GET", "500", "/notes/{name}"] == 1
        assert rows[COUNT, "GET", "401", ""] == 3
        assert rows[COUNT, "_OTHER", "405", "/notes/{name}"] == 1
        assert rows[ACTIVE] == 0
        assert (
            httpx2.get(f"{server.url}/metrics", headers=TOKEN).status_code == 404
        )  # the plugin's own port has none
        assert "metrics" not in httpx2.get(f"{server.url}/.well-known/openapi.json").text


def test_what_a_dead_worker_was_doing_is_not_under_way(tmp_path: Path, port: int) -> None:
    command = ["kit", "serve", "app.py", "--workers", "2"]
    with running(tmp_path, APP, *command, METRICS_PORT=str(port)) as server:
        with httpx2.Client(headers=TOKEN, timeout=60) as client:  # one connection is one worker's
            worker = client.get(f"{server.url}/notes/1").json()
            waiting = threading.Thread(target=suppressed, args=(client, f"{server.url}/notes/wait"))
            waiting.start()
            assert until(lambda: read(port).get(ACTIVE, 0) == 1)
            os.kill(worker, signal.SIGKILL)
            waiting.join()
        assert until(lambda: read(port).get(ACTIVE, 0) == 0)
        assert read(port)[COUNT, "GET", "200", "/notes/{name}"] == 1  # what it has answered stays counted


def suppressed(client: httpx2.Client, url: str) -> None:
    with contextlib.suppress(httpx2.TransportError):
        client.get(url)


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "kit", "serve", "app.py"], cwd=tmp_path, capture_output=True, text=True,
            timeout=60, check=False, env={**os.environ, "METRICS_PORT": str(port)},
        )  # fmt: skip
    assert done.returncode == 1
    assert "METRICS_PORT" in done.stderr
    assert "Traceback" not in done.stderr
