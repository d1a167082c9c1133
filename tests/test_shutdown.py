"""A server that is told to end finishes what has reached it, by SIGTERM on each of the roads."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import uvicorn
from roads import ROADS, Running, running

from kit.shutdown import lose_nothing

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
ENDED = (0, -signal.SIGTERM)  # uvicorn alone ends as the signal would have ended it

on_every_road = pytest.mark.parametrize("road", ROADS)


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
        assert answer.result().headers["connection"] == "close"


@on_every_road
def test_a_request_that_does_not_end_is_cut_after_the_limit(tmp_path: Path, road: str) -> None:
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


@pytest.mark.parametrize("road", [road for road in ROADS if road != "uvicorn, 2 workers"])
@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept alive", "one connection each"])
def test_no_request_that_was_accepted_is_lost(tmp_path: Path, road: str, keep_alive: bool) -> None:
    # uvicorn's own supervisor is left out: it holds the port open until its workers have ended.
    with running(tmp_path, APP, *ROADS[road]) as server:
        answered, lost = asyncio.run(load(server, keep_alive))
        assert answered > 100
        assert lost == []


async def load(server: Running, keep_alive: bool) -> tuple[int, list[str]]:
    """16 clients that ask without a pause until they can connect no more, with SIGTERM in the middle."""
    request = b"GET /quick HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"" if keep_alive else b"Connection: close\r\n")
    answered, lost = 0, []

    async def ask() -> None:
        nonlocal answered
        connection = None
        while True:
            if connection is None:
                try:
                    connection = await asyncio.open_connection("127.0.0.1", server.port)
                except OSError:
                    return
            reader, writer = connection
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(1)
                answered += 1
            except (OSError, asyncio.IncompleteReadError) as error:
                lost.append(repr(error))
                head = b"connection: close"
            if b"connection: close" in head.lower():
                writer.close()
                connection = None

    clients = [asyncio.create_task(ask()) for _ in range(16)]
    await asyncio.sleep(0.7)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    assert await asyncio.to_thread(server.process.wait, 60) in ENDED
    return answered, lost


@on_every_road
def test_an_idle_connection_is_closed_and_not_reset(tmp_path: Path, road: str) -> None:
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


def test_on_windows_uvicorn_ends_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than that is shown: os.dup, which keeps what waits, takes no socket there."""
    monkeypatch.setattr(sys, "platform", "win32")
    server = uvicorn.Server(uvicorn.Config("app:plugin"))
    lose_nothing(server, 7)
    assert "shutdown" not in vars(server)
    assert server.config.timeout_graceful_shutdown == 7
