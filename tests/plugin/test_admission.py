"""Which names a server answers to, and which pages may call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

import kit

EVIL = "https://evil.example"
stored: list[str] = []


def make(**options: Any) -> kit.Plugin:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", **options)

    @plugin.post("/todos")
    def add_todo(text: str) -> str:
        stored.append(text)
        return text

    @plugin.get("/todos")
    def list_todos() -> list[str]:
        return stored

    @plugin.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return plugin


@pytest.fixture(scope="module")
def local() -> Iterator[kit.Server]:
    with kit.serve(make()) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty() -> None:
    stored.clear()


def write(server: kit.Server, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{server.url}/todos?text=evil", headers=named)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LOCALHOST.", "a.localhost:3", "127.0.0.1", "127.8.8.8:1", "[::1]:3", "todo.in-process"],
)  # fmt: skip
def test_a_local_server_answers_to_names_of_this_machine(local: kit.Server, host: str) -> None:
    assert httpx2.get(f"{local.url}/todos", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost.example",
     "127.0.0.1@evil.example", "evil.example#localhost"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/todos", "/", "/.well-known/ai-plugin.json", "/nothing"])
def test_and_to_no_name_that_anyone_can_register(local: kit.Server, host: str, path: str) -> None:
    named = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    for headers in ({"Host": host}, {"Host": host, **named}):
        refused = httpx2.get(f"{local.url}{path}", headers=headers)
        assert refused.status_code == 400
        assert "ALLOWED_HOSTS" in refused.json()["detail"]


def test_a_name_is_answered_where_others_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Host": "todo.example"}
    with kit.serve(make(), host="0.0.0.0") as server:
        assert httpx2.get(f"{server.url}/todos", headers=headers).status_code == 200
    with kit.serve(make(), public_url="https://todo.example") as server:
        assert httpx2.get(f"{server.url}/todos", headers=headers).status_code == 200
    for allowed in ("todo.example", "*"):
        monkeypatch.setenv("ALLOWED_HOSTS", allowed)
        with kit.serve(make()) as server:
            assert httpx2.get(f"{server.url}/todos", headers=headers).status_code == 200
            assert httpx2.get(f"{server.url}/todos").status_code == 200
    monkeypatch.delenv("ALLOWED_HOSTS")
    monkeypatch.setenv("KIT_BROWSER_URL", "https://todo.example/proxy/{port}")
    with kit.serve(make()) as server:
        assert httpx2.get(f"{server.url}/todos", headers=headers).status_code == 200
    monkeypatch.delenv("KIT_BROWSER_URL")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/sam/")
    with kit.serve(make()) as server:
        assert httpx2.get(f"{server.url}/todos", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL, "Sec_Fetch_Site": "cross-site", "Content_Type": "text/plain"},
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": EVIL, "Content_Type": "application/json"},
    ],
)
def test_a_page_of_another_site_changes_nothing(local: kit.Server, headers: dict[str, str]) -> None:
    refused = write(local, **headers)
    assert (refused.status_code, stored) == (403, [])
    assert "cors_origins" in refused.json()["detail"]
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://chatgpt.com", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://localhost:5173", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://[::1]:5173"},
        {"Origin": "https://hub.example", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_programs_and_admitted_pages_do(local: kit.Server, headers: dict[str, str]) -> None:
    assert write(local, **headers).status_code == 200
    assert stored == ["evil"]


def test_a_page_of_another_site_opens_no_websocket() -> None:
    app = make()
    client = TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 5000))
    with client.websocket_connect("ws://127.0.0.1:8000/live"):
        pass
    page = {"Origin": EVIL}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("ws://127.0.0.1:8000/live", headers=page),
    ):
        pass
    assert refused.value.status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1", "http://[::1]:1"])
def test_pages_of_this_machine_read_a_local_server_and_no_public_one(local: kit.Server, origin: str) -> None:
    def allowed(server: kit.Server, path: str = "/todos") -> str | None:
        answer = httpx2.get(f"{server.url}{path}", headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    assert allowed(local) == allowed(local, "/nothing") == allowed(local, "/todos?x=") == origin
    with kit.serve(make(), public_url="https://todo.example") as server:
        assert allowed(server) is None


def test_mcp_can_be_called_by_a_page_of_this_machine(local: kit.Server) -> None:
    origin = {"Origin": "http://localhost:6274"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "mcp-session-id"}
    answer = httpx2.options(f"{local.url}/mcp", headers={**origin, **asked})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin["Origin"])
    assert httpx2.options(f"{local.url}/mcp").status_code == 204
    answer = httpx2.post(f"{local.url}/mcp", headers=origin, json={}, timeout=60)  # it imports the package
    assert "Mcp-Session-Id" in answer.headers["access-control-expose-headers"]
    refused = httpx2.post(f"{local.url}/mcp", headers={"Origin": EVIL}, json={})
    assert (refused.status_code, refused.json()["jsonrpc"]) == (403, "2.0")


@pytest.mark.parametrize("wraps", [False, True])
def test_what_the_authors_own_cors_admits_is_admitted(wraps: bool) -> None:
    app = FastAPI(title="Todo") if wraps else make()
    app.add_middleware(CORSMiddleware, allow_origins=[EVIL])
    if wraps:
        app.post("/todos")(lambda text: text)
    with kit.serve(app) as server:
        answer = write(server, Origin=EVIL)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, EVIL)
        assert write(server, Origin="https://other.example").status_code == 403


def test_a_public_server_leaves_to_the_author_what_a_browser_asks_for_first() -> None:
    with kit.serve(make(), public_url="https://todo.example") as server:
        assert write(server, Origin=EVIL).status_code == 403
        assert write(server, Origin="https://todo.example").status_code == 200
        assert write(server, Origin=EVIL, Content_Type="application/json").status_code == 200
