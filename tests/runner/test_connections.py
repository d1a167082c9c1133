"""What a client can do to a server before an operation sees its request: headers without an end, silence, slowness."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request
from paths import ROOT
from roads import ROADS, running

import kit

HEAD = b"POST /size HTTP/1.1\r\nHost: localhost\r\n"
held = threading.Event()
at_work: list[int] = []  # calls of /hold that have begun


def make() -> kit.Plugin:
    plugin = kit.Plugin("slow", description_for_model="Has clients of all kinds.")

    @plugin.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @plugin.post("/unread")
    async def unread() -> str:
        return "I do not read it"

    @plugin.get("/hold")
    def hold() -> str:
        at_work.append(1)
        held.wait(20)
        return "held"

    return plugin


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[kit.Server]:
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setenv(name, value)
    held.clear()
    at_work.clear()
    with kit.serve(make()) as server:
        yield server
        held.set()


def under(**variables: str) -> Any:
    return pytest.mark.parametrize("server", [variables], indirect=True)


@contextlib.contextmanager
def connected(server: kit.Server, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(data)
        yield connection


def rest(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def problem(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head.lower()
    found = json.loads(body)
    assert found["request_id"].encode() in head
    return int(head.split()[1]), found


def answers(server: kit.Server) -> bool:
    return httpx2.get(f"{server.url}/health").status_code == 200


@pytest.mark.parametrize(
    "line", [b"X: " + b"a" * 997 + b"\r\n", b"a" * 1000], ids=["many", "one without an end"]
)
def test_headers_without_an_end_are_refused_and_not_taken_in(server: kit.Server, line: bytes) -> None:
    with connected(server, HEAD + b"Long: ") as connection:
        with contextlib.suppress(ConnectionError):
            for _ in range(20_000):  # 20 MB, of which the server keeps a few parts
                connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
        status, found = problem(rest(connection))
    assert (status, found["title"]) == (431, "Request Header Fields Too Large")
    assert "65,536 bytes" in found["detail"]
    assert "MAX_HEADER_BYTES" in found["detail"]
    assert answers(server)


def test_trailers_and_lines_between_requests_are_headers_too(server: kit.Server) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    for start, more in ((chunked + b"X: ", b"a" * 1000), (b"", b"\r\n" * 500)):
        with connected(server, start) as connection:
            with contextlib.suppress(ConnectionError):
                for _ in range(2000):
                    connection.sendall(more)
                connection.shutdown(socket.SHUT_WR)
            assert not rest(connection).startswith(b"HTTP/1.1 200")
    assert answers(server)


def test_as_many_headers_as_people_need_and_no_more(server: kit.Server) -> None:
    def status(count: int, size: int) -> int:
        headers = {f"x-{number}": "a" * size for number in range(count)}
        return httpx2.post(f"{server.url}/size", headers=headers).status_code

    assert status(80, 500) == 200
    assert status(120, 1) == 431
    assert status(8, 8100) == 200
    assert status(8, 8200) == 431


@under(MAX_HEADERS="0", MAX_HEADER_BYTES="0")
def test_0_is_no_limit(server: kit.Server) -> None:
    headers = {f"x-{number}": "a" * 1000 for number in range(200)}
    assert httpx2.post(f"{server.url}/size", headers=headers).status_code == 200


@under(HEADER_TIMEOUT="1")
def test_a_client_that_is_slow_with_its_headers_is_told_and_closed(server: kit.Server) -> None:
    with connected(server) as silent, connected(server, HEAD + b"X: a") as slow:
        ending = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not ending.wait(0.2):
                    slow.sendall(b"a")

        thread = threading.Thread(target=trickle)
        thread.start()
        status, found = problem(rest(slow))
        ending.set()
        thread.join()
        assert status == 408
        assert "HEADER_TIMEOUT" in found["detail"]
        assert rest(silent) == b""


@under(REQUEST_TIMEOUT="1")
def test_a_client_that_is_slow_with_its_body_is_told(server: kit.Server) -> None:
    with connected(server, HEAD + b"Content-Length: 100\r\n\r\na") as connection:
        answer = rest(connection)  # it comes in one piece or in two
        assert b" 408 " in answer.split(b"\r\n")[0]
        assert b"REQUEST_TIMEOUT" in answer
    assert answers(server)


@under(HEADER_TIMEOUT="1")
def test_a_body_that_is_not_finished_after_the_answer_ends_the_connection(server: kit.Server) -> None:
    head = HEAD.replace(b"/size", b"/unread") + b"Content-Length: 1000000\r\n\r\n"
    with connected(server, head) as connection:
        assert b" 200 " in connection.recv(65536)
        ended = False
        while not ended:  # until the server closes it: each byte would put off uvicorn's own limit
            time.sleep(0.2)
            try:
                connection.sendall(b"a")
            except OSError:
                ended = True
    assert answers(server)


@under(MAX_CONNECTIONS="8")
def test_the_longest_idle_connection_makes_room_for_a_new_one(server: kit.Server) -> None:
    with contextlib.ExitStack() as opened:
        idle = [opened.enter_context(connected(server, b"GET ")) for _ in range(8)]
        slow = HEAD + b"Content-Length: 100\r\n\r\na"
        idle += [opened.enter_context(connected(server, slow)) for _ in range(8)]
        assert answers(server)
        assert rest(idle[0]) == b""
        # those whose operation is at work are not closed
        busy = [
            opened.enter_context(connected(server, b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"))
            for _ in range(8)
        ]
        while len(at_work) < 8:  # one that has not begun would make room for the next
            time.sleep(0.01)
        refused = httpx2.get(f"{server.url}/health")
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        held.set()
        assert all(b" 200 " in connection.recv(65536) for connection in busy)
    assert answers(server)


def test_what_is_no_request_gets_a_problem(server: kit.Server) -> None:
    with connected(server, b"hello\r\n\r\n") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert problem(rest(connection))[0] == 400


def test_more_slow_clients_than_descriptors(tmp_path: Path) -> None:
    """As many connections as the process may have files (`ulimit -n`), and no other limit."""
    app = "import kit\nplugin = kit.Plugin('few', description_for_model='x')\n"
    few = "import resource, runpy\nresource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
    (tmp_path / "few.py").write_text(few + "runpy.run_module('kit', run_name='__main__', alter_sys=True)\n")
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    with (
        running(tmp_path, app, "few", *ROADS["kit"][1:], MAX_CONNECTIONS="0", PYTHONPATH=path) as server,
        contextlib.ExitStack() as opened,
    ):
        for _ in range(150):
            slow = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            with contextlib.suppress(OSError):  # it had to make room already
                slow.sendall(b"GET /health HTTP/1.1\r\nX: ")
        for _ in range(3):
            assert httpx2.get(f"{server.url}/health").status_code == 200


def test_plain_uvicorn_refuses_headers_once_they_are_there(tmp_path: Path) -> None:
    app = "import kit\nplugin = kit.Plugin('plain', description_for_model='x')\n"
    with running(tmp_path, app, *ROADS["uvicorn"]) as server:
        many = {f"x-{number}": "a" for number in range(200)}
        refused = httpx2.get(f"{server.url}/anything", headers=many)
        assert (refused.status_code, refused.headers["content-type"]) == (431, "application/problem+json")
