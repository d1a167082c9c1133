"""The environment of a server: limits, hosts, its address, and the values that it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse

import kit

ended = threading.Event()
cleaned: list[str] = []


def make() -> kit.Plugin:
    plugin = kit.Plugin("limits", description_for_model="Takes bodies and takes its time.")

    @plugin.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @plugin.post("/parsed")
    def parsed(numbers: list[int]) -> int:
        return len(numbers)

    @plugin.get("/slow")
    async def slow(seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cleaned.append("slow")
            raise
        return "done"

    @plugin.get("/slow_in_a_thread")
    def slow_in_a_thread() -> str:
        ended.wait(20)
        cleaned.append("thread")
        return "done"

    @plugin.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            for part in ("a", "b", "c"):
                yield part
                await asyncio.sleep(0.2)

        return StreamingResponse(parts())

    @plugin.get("/later")
    def later(tasks: BackgroundTasks) -> str:
        async def work() -> None:
            await asyncio.sleep(0.6)
            cleaned.append("background")
            ended.set()

        tasks.add_task(work)
        return "done"

    return plugin


@pytest.fixture
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    ended.clear()
    cleaned.clear()
    with kit.serve(make()) as server, httpx2.Client(base_url=server.url, timeout=20) as client:
        yield client
        ended.set()


def under(**variables: str) -> Any:
    return pytest.mark.parametrize("client", [variables], indirect=True)


@under(MAX_BODY_BYTES="1000")
def test_a_body_that_is_too_large_is_refused_and_the_next_request_answered(client: httpx2.Client) -> None:
    assert client.post("/size", content=b"x" * 1000).json() == 1000
    refused = client.post("/size", content=b"x" * 1001)
    assert refused.status_code == 413
    assert "1,000 bytes" in refused.json()["detail"]
    assert "MAX_BODY_BYTES" in refused.json()["detail"]
    assert client.post("/size", content=b"x").json() == 1


@pytest.mark.parametrize("path", ["/size", "/parsed"])
@under(MAX_BODY_BYTES="1000")
def test_a_body_without_a_length_is_counted(client: httpx2.Client, path: str) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield b"[1"
        for _ in range(count):
            yield b",1" * 50
        yield b"]"

    def send(count: int) -> httpx2.Response:
        return client.post(path, content=chunks(count), headers={"Content-Type": "application/json"})

    assert send(9).status_code == 200
    refused = send(10)
    assert refused.request.headers["transfer-encoding"] == "chunked"
    assert (refused.status_code, "1,000 bytes" in refused.json()["detail"]) == (413, True)


@under()
def test_ten_million_bytes_are_the_limit_unless_another_is_set(client: httpx2.Client) -> None:
    assert client.post("/size", content=b"x" * 10_000_000).json() == 10_000_000
    assert client.post("/size", content=b"x" * 10_000_001).status_code == 413


@under(MAX_BODY_BYTES="0", REQUEST_TIMEOUT="0")
def test_0_is_no_limit(client: httpx2.Client) -> None:
    assert client.post("/size", content=b"x" * 10_000_001).json() == 10_000_001


@under(MAX_BODY_BYTES="1000")
def test_a_body_is_refused_by_its_length_before_it_is_sent(client: httpx2.Client) -> None:
    connection = http.client.HTTPConnection(str(client.base_url.host), client.base_url.port, timeout=10)
    connection.putrequest("POST", "/size")
    connection.putheader("Content-Length", "999999999999")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@under(REQUEST_TIMEOUT="0.3")
def test_an_answer_that_does_not_begin_in_time_becomes_504(client: httpx2.Client) -> None:
    assert client.get("/slow", params={"seconds": 0}).json() == "done"
    late = client.get("/slow", params={"seconds": 30})
    assert (late.status_code, late.json()["detail"][:24]) == (504, "No answer within 0.3 s. ")
    assert cleaned == ["slow"]  # it was cancelled, and could clean up
    assert client.get("/slow", params={"seconds": 0}).json() == "done"


@under(REQUEST_TIMEOUT="0.3")
def test_a_plain_function_goes_on_in_its_thread_after_504(client: httpx2.Client) -> None:
    assert client.get("/slow_in_a_thread").status_code == 504
    assert cleaned == []
    ended.set()
    while not cleaned:
        threading.Event().wait(0.01)
    assert cleaned == ["thread"]


@under(REQUEST_TIMEOUT="0.3")
def test_a_stream_that_has_begun_and_what_comes_after_an_answer_are_not_cut(client: httpx2.Client) -> None:
    assert client.get("/stream").text == "abc"
    assert client.get("/later").status_code == 200
    assert ended.wait(10)
    assert cleaned == ["background"]


@under(REQUEST_TIMEOUT="0.3")
def test_chatgpts_page_can_read_that_it_took_too_long(client: httpx2.Client) -> None:
    late = client.get("/slow", params={"seconds": 30}, headers={"Origin": "https://chatgpt.com"})
    assert late.headers["access-control-allow-origin"] == "https://chatgpt.com"


@under(ALLOWED_HOSTS="plugin.example.com, *.example.org", PUBLIC_URL="https://todo.example.net")
def test_only_the_hosts_that_are_allowed_are_answered_for(client: httpx2.Client) -> None:
    def status(host: str, path: str = "/.well-known/ai-plugin.json", **headers: str) -> int:
        return client.get(path, headers={"Host": host, **headers}).status_code

    for host in ("plugin.example.com", "PLUGIN.example.com:8443", "a.b.example.org", "todo.example.net"):
        assert status(host) == 200, host
    for host in (
        "example.com",
        "example.org",
        "evil-example.org",
        "127.0.0.1",
        "plugin.example.com.evil.com",
    ):
        assert status(host) == 400, host
        assert status(host, "/slow?seconds=0") == 400, host
    assert "ALLOWED_HOSTS" in client.get("/slow", params={"seconds": 0}).json()["detail"]
    # a trusted proxy reports what the client asked for
    assert status("10.0.0.7", **{"X-Forwarded-Host": "plugin.example.com"}) == 200
    assert status("plugin.example.com", **{"X-Forwarded-Host": "evil.com"}) == 400
    assert client.get("/health").json() == {"status": "ok"}  # a load balancer sends no host name


@under(PUBLIC_URL="https://todo.example.net/v1/")
def test_the_public_url_of_the_environment_is_in_manifest_and_spec(client: httpx2.Client) -> None:
    manifest = client.get("/.well-known/ai-plugin.json").json()
    assert manifest["api"]["url"] == "https://todo.example.net/v1/.well-known/openapi.json"
    spec = client.get("/.well-known/openapi.json").json()
    assert spec["servers"] == [{"url": "https://todo.example.net/v1"}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BODY_BYTES", "10MB"),
        ("MAX_BODY_BYTES", "-1"),
        ("REQUEST_TIMEOUT", "soon"),
        ("SHUTDOWN_TIMEOUT", "1e400"),
        ("LOG_FORMAT", "xml"),
        ("PUBLIC_URL", "todo.example.net"),
        ("PUBLIC_URL", "http://todo.example.net"),
        ("ALLOWED_HOSTS", "https://plugin.example.com"),
        ("ALLOWED_HOSTS", "plugin.example.com:443"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(kit.KitError, match=name):
        make()


def test_health_is_in_no_spec_and_gives_way_to_the_authors_own() -> None:
    plugin = make()
    with kit.serve(plugin) as server:
        answer = httpx2.get(f"{server.url}/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert httpx2.head(f"{server.url}/health").content == b""
        assert httpx2.post(f"{server.url}/health").status_code == 404
        assert "health" not in json.dumps(plugin.openapi())

        @plugin.get("/health")
        def health() -> str:
            return "mine"

        assert httpx2.get(f"{server.url}/health").json() == "mine"


def test_health_is_no_value_of_a_parameter_and_asks_no_middleware() -> None:
    plugin = kit.Plugin("names", description_for_model="Greets.")

    @plugin.get("/{name}")
    def greet(name: str) -> str:
        return name

    @plugin.middleware("http")
    async def refuse(request: Request, call_next: Any) -> Any:
        raise AssertionError(request.url.path)

    with kit.serve(plugin) as server:
        assert httpx2.get(f"{server.url}/health").json() == {"status": "ok"}


def test_a_wrapped_app_keeps_its_own_health() -> None:
    app = FastAPI(title="Theirs")
    with kit.serve(app) as server:
        assert httpx2.get(f"{server.url}/health").json() == {"status": "ok"}
    app.get("/health")(lambda: "theirs")
    with kit.serve(app) as server:
        assert httpx2.get(f"{server.url}/health").json() == "theirs"


@under(REQUEST_TIMEOUT="20")
def test_a_client_that_goes_away_in_the_middle_of_its_body_ends_its_request_only(
    client: httpx2.Client,
) -> None:
    with socket.create_connection((str(client.base_url.host), client.base_url.port or 0)) as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    assert client.post("/size", content=b"x").json() == 1
