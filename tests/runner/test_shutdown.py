"""A server that is stopped by SIGTERM finishes what has reached it, whichever way it is served."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from load import Load
from roads import ROADS, running

APP = """
import asyncio, os, time
from pathlib import Path
import kit

plugin = kit.Plugin("ends", description_for_model="Takes its time.")

@plugin.get("/slow")
async def slow(seconds: float) -> str:
    Path("begun").touch()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        Path("cut").touch()
        raise
    return "done"

@plugin.get("/in_a_thread")
def in_a_thread(seconds: float) -> str:
    Path("begun").touch()
    time.sleep(seconds)
    return "done"

@plugin.get("/quick")
async def quick() -> int:
    await asyncio.sleep(0.005)
    return 1
"""
ENDED = (0, -signal.SIGTERM)  # plain uvicorn dies of the signal

KITS = [road for road in ROADS if road.startswith("kit")]
on_every_road = pytest.mark.parametrize("road", ROADS)
on_the_kits = pytest.mark.parametrize("road", KITS)


def begun(folder: Path) -> None:
    while not (folder / "begun").exists():
        time.sleep(0.01)


@on_every_road
@pytest.mark.parametrize("path", ["/slow", "/in_a_thread"])
def test_a_request_under_way_is_finished(tmp_path: Path, road: str, path: str) -> None:
    with running(tmp_path, APP, *ROADS[road]) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(httpx2.get, f"{server.url}{path}?seconds=1.5", timeout=30)
        begun(tmp_path)
        assert server.end() in ENDED
        assert answer.result().json() == "done"
        if road in KITS:
            assert answer.result().headers["connection"] == "close"


@on_the_kits
def test_a_request_that_does_not_end_is_cancelled_after_the_limit(tmp_path: Path, road: str) -> None:
    with (
        running(tmp_path, APP, *ROADS[road], SHUTDOWN_TIMEOUT="0.5") as server,
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(httpx2.get, f"{server.url}/slow?seconds=300", timeout=100)
        begun(tmp_path)
        assert server.end() in ENDED
        error = answer.exception()
        assert isinstance(error, httpx2.RemoteProtocolError) or answer.result().status_code >= 500
        assert (tmp_path / "cut").exists()


@on_the_kits
@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept alive", "one connection each"])
def test_no_request_that_was_accepted_is_lost(tmp_path: Path, road: str, keep_alive: bool) -> None:
    with running(tmp_path, APP, *ROADS[road]) as server:
        with Load(server.port, *((16, 0) if keep_alive else (0, 16))) as load:
            load.wait(200)
            assert server.end() == 0
        assert load.fates.keys() <= {"answered", "refused"}


@on_every_road
def test_an_idle_connection_is_closed_not_reset(tmp_path: Path, road: str) -> None:
    with (
        running(tmp_path, APP, *ROADS[road]) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.sendall(b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
        server.process.terminate()
        while connection.recv(10_000):  # the rest of the answer; a reset would raise
            pass


@pytest.mark.parametrize("road", ["kit", "kit, 2 workers"])
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path, road: str) -> None:
    with running(tmp_path, APP, *ROADS[road]) as server:
        assert server.end(signal.SIGINT) == 0
        assert "Traceback" not in server.log
