"""`Plugin` is FastAPI with a manifest: what FastAPI offers works, and the URLs follow the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
import yaml
from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    WebSocket,
)
from fastapi.security import HTTPBearer
from fastapi.testclient import TestClient
from pydantic import BaseModel

import kit

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")


def make(**options: object) -> kit.Plugin:
    return kit.Plugin("todo", description_for_model="Plugin for todos.", **options)  # type: ignore[arg-type]


class Item(BaseModel):
    name: str
    price: float = 0


def ids(plugin: FastAPI) -> dict[str, str]:
    """METHOD path -> operationId."""
    return {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in plugin.openapi()["paths"].items()
        for method, operation in item.items()
    }


def test_the_operation_id_is_the_functions_name() -> None:
    plugin = make()

    @plugin.get("/items/{item_id}")
    def get_item(item_id: int) -> Item: ...  # type: ignore[empty-body]

    @plugin.post("/items", operation_id="createItem")
    async def whatever(item: Item) -> Item: ...  # type: ignore[empty-body]

    assert ids(plugin) == {"GET /items/{item_id}": "get_item", "POST /items": "createItem"}


def test_what_fastapi_offers_works() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("started")
        yield {"database": "open"}
        events.append("stopped")

    plugin = make(lifespan=lifespan, dependencies=[Depends(lambda: events.append("dependency"))])
    bearer = HTTPBearer()

    def user(x_user: Annotated[str, Header()] = "nobody") -> str:
        return x_user

    @plugin.get("/who")
    def who(request: Request, name: Annotated[str, Depends(user)]) -> dict[str, str]:
        return {"name": name, "database": request.state.database}

    @plugin.post("/form")
    def form(text: Annotated[str, Form()]) -> str:
        return text

    @plugin.get("/secret")
    def secret(token: Annotated[object, Depends(bearer)]) -> str:
        return "yes"

    @plugin.get("/broken")
    def broken() -> None:
        raise HTTPException(404, "nothing here")

    @plugin.middleware("http")
    async def stamp(request: Request, call_next):  # type: ignore[no-untyped-def]
        response: Response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response

    @plugin.exception_handler(ValueError)
    async def bad(request: Request, error: ValueError) -> Response:
        return Response("bad value", 418)

    @plugin.get("/bad")
    def raises() -> None:
        raise ValueError

    @plugin.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    router = APIRouter(prefix="/more", tags=["more"])

    @router.get("/things")
    def list_things(tag: Annotated[list[str], Query()] = []) -> list[str]:  # noqa: B006
        return tag

    plugin.include_router(router)
    other = FastAPI()
    other.add_api_route("/inside", lambda: "mounted")
    plugin.mount("/mounted", other)
    with TestClient(plugin) as client:
        assert client.get("/who", headers={"x-user": "sam"}).json() == {"name": "sam", "database": "open"}
        assert client.post("/form", data={"text": "hello"}).json() == "hello"
        assert client.get("/secret").status_code == 401
        assert client.get("/broken").json()["detail"] == "nothing here"
        assert client.get("/bad").status_code == 418
        assert client.get("/more/things?tag=a&tag=b").json() == ["a", "b"]
        assert client.get("/mounted/inside").json() == "mounted"
        assert client.get("/.well-known/ai-plugin.json").headers["x-stamp"] == "1"
        assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 200
        with client.websocket_connect("/ws") as socket:
            assert socket.receive_text() == "hello"
    assert events[0] == "started"
    assert events[-1] == "stopped"
    assert "dependency" in events
    assert ids(plugin)["GET /more/things"] == "list_things"


def test_one_function_for_several_routes_and_methods() -> None:
    plugin = make()

    @plugin.get("/a")
    @plugin.get("/b")
    def both() -> str:
        return "x"

    plugin.add_api_route("/c", lambda: 1, methods=["GET", "POST"], name="multi")
    assert ids(plugin) == {
        "GET /b": "both",
        "GET /a": "both_get_a",
        "GET /c": "multi",
        "POST /c": "multi_post_c",
    }


def test_a_router_included_twice_under_two_prefixes() -> None:
    router = APIRouter()

    @router.get("/users")
    def list_users() -> list[str]:
        return []

    plugin = make()
    plugin.include_router(router, prefix="/v1")
    plugin.include_router(router, prefix="/latest")
    assert sorted(ids(plugin)) == ["GET /latest/users", "GET /v1/users"]
    assert len(set(ids(plugin).values())) == 2


def test_two_functions_of_one_name_clash() -> None:
    plugin = make()

    @plugin.get("/a")
    def find() -> str:
        return "a"

    with pytest.raises(kit.OperationClash) as caught:

        @plugin.post("/b")
        def find() -> str:
            return "b"

    assert "GET /a" in str(caught.value)
    assert "POST /b" in str(caught.value)
    assert ids(plugin) == {"GET /a": "find"}


def test_a_clash_with_an_included_router_leaves_all_as_it_was() -> None:
    plugin = make()

    @plugin.get("/a")
    def find() -> str:
        return "a"

    router = APIRouter()

    @router.get("/b")
    def find() -> str:
        return "b"

    with pytest.raises(kit.OperationClash, match="GET /a"):
        plugin.include_router(router)
    assert ids(plugin) == {"GET /a": "find"}


def test_two_functions_for_one_route_in_one_script_clash() -> None:
    plugin = make()

    @plugin.get("/a")
    def first() -> str:
        return "a"

    with pytest.raises(kit.OperationClash, match="first and second"):

        @plugin.get("/a")
        def second() -> str:
            return "b"

    assert TestClient(plugin).get("/a").json() == "a"


def test_well_known_documents() -> None:
    plugin = make()

    @plugin.get("/items")
    def list_items() -> list[Item]:
        return []

    client = TestClient(plugin, base_url="http://localhost:3333")
    manifest = client.get("/.well-known/ai-plugin.json")
    assert manifest.headers["content-type"] == "application/json"
    assert manifest.json()["api"]["url"] == "http://localhost:3333/.well-known/openapi.json"
    spec = client.get("/.well-known/openapi.json").json()
    assert spec["servers"] == [{"url": "http://localhost:3333"}]
    assert yaml.safe_load(client.get("/.well-known/openapi.yaml").text) == spec
    assert client.get("/logo.svg").text.startswith("<svg")
    assert "Todo" in client.get("/legal").text
    assert "list_items" in client.get("/").text
    head = client.head("/.well-known/ai-plugin.json")
    assert (head.status_code, head.content, head.headers["content-length"]) == (
        200,
        b"",
        str(len(manifest.content)),
    )


def test_an_edit_shows_at_once() -> None:
    plugin = make()
    client = TestClient(plugin)
    assert client.get("/.well-known/openapi.json").json()["paths"] == {}

    @plugin.get("/items")
    def list_items() -> list[Item]:
        return []

    assert list(client.get("/.well-known/openapi.json").json()["paths"]) == ["/items"]
    plugin.manifest.description_for_human = "New words."
    assert client.get("/.well-known/ai-plugin.json").json()["description_for_human"] == "New words."


def test_the_authors_own_pages_win() -> None:
    plugin = make()

    @plugin.get("/", include_in_schema=False)
    def home() -> str:
        return "mine"

    @plugin.get("/legal", include_in_schema=False)
    def legal() -> str:
        return "my terms"

    @plugin.get("/{anything}/{more}", include_in_schema=False)
    def catch_all(anything: str, more: str) -> str:
        return "caught"

    client = TestClient(plugin)
    assert client.get("/").json() == "mine"
    assert client.get("/legal").json() == "my terms"
    assert client.get("/.well-known/ai-plugin.json").json()["name_for_model"] == "todo"
    assert client.get("/a/b").json() == "caught"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"host": "localhost:5003"}, "http://localhost:5003"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "todo.example"}, "https://todo.example"),
        (
            {
                "x-forwarded-for": "10.1.1.1, 127.0.0.1",
                "x-forwarded-proto": "https,http",
                "x-forwarded-host": "a.example, b.example",
            },
            "https://a.example",
        ),
        (
            {"x-forwarded-host": "hub.example", "x-forwarded-prefix": "/user/sam/proxy/80/"},
            "http://hub.example/user/sam/proxy/80",
        ),
        ({"x-forwarded-host": "evil.example/<script>"}, "http://here"),
        ({"x-forwarded-host": "a.example", "x-forwarded-prefix": "//evil.example"}, "http://a.example"),
        ({"x-forwarded-proto": "javascript"}, "http://here"),
        ({"host": "not a host"}, "http://here:80"),
    ],
)
def test_urls_follow_the_base_url_of_the_request(headers: dict[str, str], base: str) -> None:
    client = TestClient(make(), base_url="http://here")
    manifest = client.get("/.well-known/ai-plugin.json", headers=headers).json()
    assert manifest["legal_info_url"] == f"{base}/legal"
    assert manifest["logo_url"] == f"{base}/logo.svg"
    assert client.get("/.well-known/openapi.json", headers=headers).json()["servers"] == [{"url": base}]


def test_a_stranger_does_not_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"x-forwarded-host": "evil.example"}
    client = TestClient(make(), base_url="http://here", client=("203.0.113.7", 4711))
    assert (
        client.get("/.well-known/ai-plugin.json", headers=headers).json()["legal_info_url"]
        == "http://here/legal"
    )
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1, 203.0.113.7")
    client = TestClient(make(), base_url="http://here", client=("203.0.113.7", 4711))
    assert (
        client.get("/.well-known/ai-plugin.json", headers=headers).json()["legal_info_url"]
        == "http://evil.example/legal"
    )


def test_a_configured_public_url_wins() -> None:
    client = TestClient(make(public_url="https://todo.example/v1/"))
    manifest = client.get("/.well-known/ai-plugin.json", headers={"x-forwarded-host": "other.example"}).json()
    assert manifest["api"]["url"] == "https://todo.example/v1/.well-known/openapi.json"


def test_a_plugin_mounted_below_a_path() -> None:
    outer = FastAPI()
    outer.mount("/plugins/todo", make())
    manifest = (
        TestClient(outer, base_url="http://here").get("/plugins/todo/.well-known/ai-plugin.json").json()
    )
    assert manifest["legal_info_url"] == "http://here/plugins/todo/legal"


def test_the_authors_servers_stay() -> None:
    plugin = make(servers=[{"url": "https://api.example"}])
    assert TestClient(plugin).get("/.well-known/openapi.json").json()["servers"] == [
        {"url": "https://api.example"}
    ]


def test_hosts_without_end_do_not_fill_the_memory() -> None:
    plugin = make()
    client = TestClient(plugin)
    for number in range(500):
        client.get("/.well-known/ai-plugin.json", headers={"host": f"h{number}.example"})
    assert len(plugin._pages._rendered) < 200


@pytest.mark.parametrize("origin", ["https://chatgpt.com", "https://chat.openai.com"])
def test_chatgpts_pages_may_call(origin: str) -> None:
    plugin = make()

    @plugin.post("/items")
    def add_item(item: Item) -> Item:
        raise RuntimeError("broken")

    client = TestClient(plugin, raise_server_exceptions=False)
    preflight = client.options(
        "/items",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,openai-conversation-id",
            "access-control-request-private-network": "true",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-private-network"] == "true"
    answer = client.post("/items", json={"name": "x"}, headers={"origin": origin})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["null", "http://chatgpt.com", "https://chatgpt.com.evil.example", "https://evil.example"]
)
def test_other_pages_may_not(origin: str) -> None:
    answer = TestClient(make()).get("/.well-known/ai-plugin.json", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_the_authors_own_cors_goes_on_working() -> None:
    from fastapi.middleware.cors import CORSMiddleware

    plugin = make()
    plugin.add_middleware(CORSMiddleware, allow_origins=["https://mine.example"], allow_methods=["*"])
    client = TestClient(plugin)
    headers = {"origin": "https://mine.example", "access-control-request-method": "GET"}
    assert (
        client.options("/items", headers=headers).headers["access-control-allow-origin"]
        == "https://mine.example"
    )
    answer = client.get("/.well-known/ai-plugin.json", headers={"origin": "https://chatgpt.com"})
    assert answer.headers.get_list("access-control-allow-origin") == ["https://chatgpt.com"]


def test_the_plugin_shows_itself(todo: kit.Plugin) -> None:
    assert repr(todo) == "<Plugin 'todo': add_todo, list_todos, delete_todo>"
    assert list(todo.spec.operations) == ["list_todos", "add_todo", "delete_todo"] or list(
        todo.spec.operations
    ) == [
        "add_todo",
        "list_todos",
        "delete_todo",
    ]
    assert "add_todo" in todo._repr_html_()


def test_the_spec_is_valid_openapi(todo: kit.Plugin) -> None:
    from openapi_spec_validator import validate

    validate(todo.openapi())


def test_requests_in_flight_share_nothing() -> None:
    plugin = make()

    @plugin.get("/slow")
    async def slow(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    client = TestClient(plugin)
    assert [client.get("/slow", params={"n": n}).json() for n in range(5)] == list(range(5))
