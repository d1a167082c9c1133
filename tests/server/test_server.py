"""`serve`: a real uvicorn that starts and stops quickly, keeps its port, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

import kit
from kit.demo import make_plugin
from kit.jupyter import browser_url


def files_open() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def test_it_answers_when_serve_returns(todo: kit.Plugin) -> None:
    with kit.serve(todo) as server:
        assert server.host == "127.0.0.1"
        assert httpx2.get(server.manifest_url).json()["api"]["url"] == server.spec_url
        assert server.is_running
    assert not server.is_running
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url)
    server.stop()


def test_serving_again_keeps_the_port_and_leaks_nothing(todo: kit.Plugin) -> None:
    server = kit.serve(todo)
    httpx2.get(server.url)
    port, threads, files = server.port, threading.active_count(), files_open()
    for _ in range(20):
        server = kit.serve(todo)
        assert httpx2.get(server.manifest_url).status_code == 200
        assert server.port == port
    # Fewer is not a leak: what earlier tests left behind may be collected meanwhile.
    assert threading.active_count() <= threads
    end = time.monotonic() + 5
    while files_open() > files and time.monotonic() < end:  # the server closes its end after the client did
        time.sleep(0.01)
    assert files_open() <= files
    server.stop()
    assert threading.active_count() <= threads - 1


def test_starting_and_stopping_leaks_nothing() -> None:
    threads, files = 0, 0
    for number in range(21):
        with kit.serve(make_plugin()) as server:
            httpx2.get(server.manifest_url)
        if number == 0:
            threads, files = threading.active_count(), files_open()
    assert threading.active_count() <= threads
    assert files_open() <= files


def test_it_starts_and_stops_quickly(todo: kit.Plugin) -> None:
    # Not a benchmark (tests/bench is): the bounds are ten times the measured values.
    times = []
    for _ in range(5):
        start = time.perf_counter()
        server = kit.serve(todo)
        httpx2.get(server.manifest_url)
        middle = time.perf_counter()
        server.stop()
        times.append((middle - start, time.perf_counter() - middle))
    assert sorted(times)[2][0] < 0.5
    assert sorted(t[1] for t in times)[2] < 1.5


def test_a_busy_port_is_an_error_that_says_what_to_do(todo: kit.Plugin) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(kit.PortInUse) as caught:
            kit.serve(todo, port)
    assert caught.value.port == port
    assert f"Port {port} of 127.0.0.1 is taken by" in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    assert "kill" in str(caught.value)


def test_a_port_that_another_plugin_of_this_process_has(todo: kit.Plugin, server: kit.Server) -> None:
    other = kit.Plugin("other", description_for_model="x")
    with pytest.raises(kit.PortInUse, match=r"the plugin 'todo'.*\n.*\.stop\(\)"):
        kit.serve(other, server.port)
    with pytest.raises(kit.ServeError, match="no port 70000"):
        kit.serve(other, 70_000)


def test_another_port_moves_the_server(todo: kit.Plugin) -> None:
    first = kit.serve(todo)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    second = kit.serve(todo, port)
    assert second.port == port
    assert not first.is_running
    second.stop()


def test_two_plugins_with_the_same_name_are_served_side_by_side_in_a_script() -> None:
    with kit.serve(make_plugin()) as one, kit.serve(make_plugin()) as two:
        assert one.port != two.port
        assert httpx2.get(one.manifest_url).status_code == httpx2.get(two.manifest_url).status_code == 200


def test_the_lifespan_runs_and_its_failure_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    with kit.serve(kit.Plugin("todo", description_for_model="x", lifespan=lifespan)):
        assert events == ["start"]
    assert events == ["start", "stop"]

    @asynccontextmanager
    async def broken(app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    threads = threading.active_count()
    with pytest.raises(kit.ServeError, match="did not start"):
        kit.serve(kit.Plugin("todo", description_for_model="x", lifespan=broken))
    assert threading.active_count() <= threads
    assert "no database" in caplog.text


def test_requests_under_way_finish_before_the_server_stops() -> None:
    plugin, has_begun = kit.Plugin("slow", description_for_model="x"), threading.Event()

    @plugin.get("/slow")
    async def slow() -> str:
        has_begun.set()
        await asyncio.sleep(0.3)
        return "done"

    server = kit.serve(plugin)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(httpx2.get(f"{server.url}/slow").json()))
    thread.start()
    assert has_begun.wait(10)
    server.stop()
    thread.join()
    assert answers == ["done"]


def test_the_log_of_requests(server: kit.Server) -> None:
    httpx2.post(
        f"{server.url}/users/sam/todos?token=abc123&page=2",
        json={
            "todo": "buy milk",
            "password": "hunter2",
            "nested": {"apiKey": "k", "notes": "sk-abcdefghijkl"},
        },
        headers={"authorization": "Bearer secret-token"},
    )
    httpx2.get(f"{server.url}/nowhere")
    assert [(call.method, call.status) for call in server.calls] == [("POST", 200), ("GET", 404)]
    first = server.calls[0]
    assert first.path == "/users/sam/todos?token=***&page=2"
    assert first.request == {
        "todo": "buy milk",
        "password": "***",
        "nested": {"apiKey": "***", "notes": "***"},
    }
    assert first.response == ["buy milk"]
    assert 0 < first.ms < 5000
    shown = repr(server.calls) + server.calls._repr_html_()
    for secret in ("hunter2", "abc123", "secret-token", "sk-abc"):
        assert secret not in shown
    assert [call.status for call in server.calls[-1:]] == [404]
    server.calls.clear()
    assert len(server.calls) == 0
    assert repr(server.calls) == "No requests yet."


def test_a_large_body_is_kept_partly() -> None:
    plugin = kit.Plugin("large", description_for_model="x")

    @plugin.get("/large")
    def large() -> str:
        return "x" * 300_000

    with kit.serve(plugin) as server:
        assert len(httpx2.get(f"{server.url}/large").json()) == 300_000
        assert len(server.calls[0].response) == 20_000


def test_a_handler_that_raises_is_logged_as_500(caplog: pytest.LogCaptureFixture) -> None:
    plugin = kit.Plugin("broken", description_for_model="x")

    @plugin.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken inside")

    with kit.serve(plugin) as server:
        assert httpx2.get(f"{server.url}/broken").status_code == 500
        assert server.calls[0].status == 500
    assert "broken inside" in caplog.text


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/sam/"}, "/user/sam/proxy/8000"),
        ({"KIT_BROWSER_URL": "https://{port}-box.example/"}, "https://8000-box.example"),
        (
            {"KIT_BROWSER_URL": "https://x.example", "JUPYTERHUB_SERVICE_PREFIX": "/user/sam/"},
            "https://x.example",
        ),
    ],
)
def test_the_browsers_address(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert browser_url(8000) == expected


def test_the_card_links_to_where_the_browser_is(server: kit.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/sam/")
    assert f"/user/sam/proxy/{server.port}/.well-known/ai-plugin.json" in server._repr_html_()
    assert repr(server.frame("/docs")) == f"/user/sam/proxy/{server.port}/docs"


def test_a_public_url_is_in_the_manifest(todo: kit.Plugin) -> None:
    with kit.serve(todo, public_url="https://todo.example") as server:
        assert httpx2.get(server.manifest_url).json()["api"]["url"].startswith("https://todo.example/")


def test_a_plain_script_ends_by_itself() -> None:
    code = "import kit, httpx2\nfrom kit.demo import make_plugin\ns = kit.serve(make_plugin())\nprint(httpx2.get(s.manifest_url).status_code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")


def test_answers_on_an_open_connection_do_not_wait(server: kit.Server) -> None:
    # Without TCP_NODELAY every answer but the first waits 40 ms for the client's delayed ACK.
    with httpx2.Client() as client:
        client.get(server.manifest_url)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            client.get(server.manifest_url)
            times.append(time.perf_counter() - start)
    assert sorted(times)[10] < 0.03
