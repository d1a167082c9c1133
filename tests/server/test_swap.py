"""A server whose plugin is swapped, or that stops, loses no request: none hangs, is reset or becomes a 500."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import httpx2
import pytest
from fastapi import FastAPI, Request
from load import WAIT, Load

import kit

begun = threading.Event()


def plugin(number: int = 0, **options: object) -> kit.Plugin:
    made = kit.Plugin("swapped", description_for_model="Is swapped while it serves.", **options)

    @made.get("/quick")
    async def quick() -> int:
        await asyncio.sleep(0.002)
        return number

    @made.get("/slow")
    def slow() -> int:
        begun.set()
        time.sleep(2)
        return number

    return made


@contextmanager
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Checks that nothing is written to stderr meanwhile: by asyncio, uvicorn or a thread that died."""
    capfd.readouterr()
    yield
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("kept", "new"), [(4, 8), (0, 16), (16, 0)], ids=["both", "new", "kept"])
def test_swaps_under_load_lose_nothing(capfd: pytest.CaptureFixture[str], kept: int, new: int) -> None:
    swaps = 200 if kept and new else 50
    with silent(capfd), kit.serve(plugin()) as server, Load(server.port, kept, new) as load:
        for number in range(1, swaps + 1):
            server.follow(plugin(number))
        load.wait(20)
    assert load.fates.keys() == {"answered"}
    assert {b"0", b"%d" % swaps} <= load.bodies


@pytest.mark.parametrize(("kept", "new"), [(4, 8), (0, 16), (16, 0)], ids=["both", "new", "kept"])
def test_a_stop_under_load_loses_nothing(capfd: pytest.CaptureFixture[str], kept: int, new: int) -> None:
    for _ in range(5):
        server = kit.serve(plugin())
        with silent(capfd), Load(server.port, kept, new) as load:
            server.stop()
        assert load.fates.keys() <= {"answered", "refused"}


def test_a_request_under_way_finishes_in_its_plugin() -> None:
    with kit.serve(plugin(1)) as server, ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx2.get, f"{server.url}/slow", timeout=WAIT)
        assert begun.wait(WAIT)
        server.follow(plugin(2))
        assert httpx2.get(f"{server.url}/quick").json() == 2
        assert not slow.done()
        assert slow.result().json() == 1


def lifespan(events: list[str], name: str, fails: bool = False) -> Callable[[FastAPI], object]:
    @asynccontextmanager
    async def around(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        if fails:
            raise RuntimeError("no database")
        events.append(f"{name} begins")
        yield {"name": name}
        events.append(f"{name} ends")

    return around


def test_a_lifespan_begins_before_and_ends_after_the_change() -> None:
    events: list[str] = []
    names: list[str] = []

    def named(name: str) -> kit.Plugin:
        made = plugin(lifespan=lifespan(events, name))

        @made.get("/name")
        def whose(request: Request) -> str:
            return str(request.state.name)

        return made

    with kit.serve(named("a")) as server:
        for name in "bc":
            names.append(httpx2.get(f"{server.url}/name").json())
            server.follow(named(name))
        names.append(httpx2.get(f"{server.url}/name").json())
    assert names == ["a", "b", "c"]
    assert events == ["a begins", "b begins", "a ends", "c begins", "b ends", "c ends"]


def test_a_swap_that_fails_leaves_the_old_plugin_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[str] = []
    with kit.serve(plugin(1, lifespan=lifespan(events, "old"))) as server, Load(server.port, 2, 2) as load:
        with pytest.raises(kit.ServeError, match=r"did not start.*The previous version is still served"):
            server.follow(plugin(2, lifespan=lifespan(events, "broken", fails=True)))
        assert "no database" in caplog.text
        assert events == ["old begins"]
        assert httpx2.get(f"{server.url}/quick").json() == 1
        server.follow(plugin(3, lifespan=lifespan(events, "next")))
        assert httpx2.get(f"{server.url}/quick").json() == 3
        load.wait(20)
    assert load.fates.keys() == {"answered"}
    assert load.bodies == {b"1", b"3"}
    assert events == ["old begins", "next begins", "old ends", "next ends"]


def test_a_lifespan_that_hangs_fails_the_swap_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("server", "thread"):
        monkeypatch.setattr(f"kit.server.{module}.START_TIMEOUT", 0.3)
    cancelled = threading.Event()

    @asynccontextmanager
    async def hanging(app: FastAPI) -> AsyncIterator[None]:
        try:
            await asyncio.sleep(300)
        finally:
            cancelled.set()
        yield

    with kit.serve(plugin(1)) as server:
        with pytest.raises(
            kit.ServeError, match=r"did not start within 0 s.*The previous version is still served"
        ):
            server.follow(plugin(2, lifespan=hanging))
        assert cancelled.wait(WAIT)
        assert httpx2.get(f"{server.url}/quick").json() == 1
    with pytest.raises(kit.ServeError, match="did not start within"):
        kit.serve(plugin(lifespan=hanging))


def test_a_stream_of_a_swapped_plugin_is_cancelled_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.server.swap.DRAIN_TIMEOUT", 0.5)
    events: list[str] = []
    old = plugin(lifespan=lifespan(events, "old"))

    @old.get("/stream")
    async def stream() -> AsyncIterator[int]:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0.01)

    with (
        kit.serve(old) as server,
        httpx2.Client(timeout=WAIT) as client,
        client.stream("GET", f"{server.url}/stream") as answer,
    ):
        lines = answer.iter_raw()
        next(lines)
        server.follow(plugin())
        with pytest.raises(httpx2.RemoteProtocolError):
            for _ in lines:
                pass
    assert events == ["old begins", "old ends"]
