"""`kit.watch`: requests shown as they arrive, in a script and in a real kernel."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import pytest
from kernel import Kernel

import kit


def until(done: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_a_line_for_each_request_in_a_script(server: kit.Server, capsys: pytest.CaptureFixture[str]) -> None:
    httpx2.get(f"{server.url}/users/ann/todos")  # before: not shown
    watch = kit.watch(server)
    httpx2.get(f"{server.url}/users/sam/todos?password=hidden")
    until(lambda: "1 request" in repr(watch))
    httpx2.get(f"{server.url}/nowhere")
    watch.stop()
    assert not watch.is_running
    out = capsys.readouterr().out
    assert out.count("\n") == 2
    assert "GET /users/sam/todos?password=*** -> 200" in out
    assert "GET /nowhere -> 404" in out
    httpx2.get(f"{server.url}/users/sam/todos")
    assert "2 requests" in repr(watch)


def test_it_ends_with_the_server_and_a_new_one_takes_over(todo: kit.Plugin) -> None:
    with kit.serve(todo) as server:
        first = kit.watch(server)
        second = kit.watch(server)
        assert not first.is_running
        assert second.is_running
    until(lambda: not second.is_running)


def test_more_than_the_log_keeps(server: kit.Server) -> None:
    watch = kit.watch(server)
    with httpx2.Client(base_url=server.url) as client:
        for _ in range(450):
            client.get("/users/sam/todos")
    watch.stop()
    assert "450 requests" in repr(watch)
    assert repr(watch).count("GET") == 20
    assert watch._repr_html_().count("<tr>") == 21


def test_a_log_that_is_cleared(server: kit.Server) -> None:
    watch = kit.watch(server)
    httpx2.get(f"{server.url}/users/sam/todos")
    until(lambda: "1 request" in repr(watch))
    server.calls.clear()
    httpx2.get(f"{server.url}/users/sam/todos")
    until(lambda: "2 requests" in repr(watch))
    watch.stop()


def test_the_display_of_the_cell_is_updated(kernel: Kernel) -> None:
    kernel.run("import kit, httpx2; from kit.demo import make_plugin; server = kit.serve(make_plugin())")
    begun = kernel.run("watch = kit.watch(server)\nwatch")
    later = kernel.run("for _ in range(3): httpx2.get(server.url + '/users/sam/todos')\nwatch.stop()")
    assert [shown["text/plain"] for shown in begun.displays] == ["Watching TODO Plugin: 0 requests"]
    assert later.updates[-1]["text/plain"].startswith("Watched TODO Plugin: 3 requests")
    assert later.text == ""
    assert "3 requests" in kernel.run("watch").displays[0]["text/html"]
