"""Auth: what is declared protects. Each kind with no, a wrong and the right token; what is open; what is never shown."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Security, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import kit
from kit.plugin.guard import require_protection
from kit.sockets import listen

TOKEN = "violet-horse-battery"
USER = "ada:violet horse é"
URLS = ("https://todo.example/login", "https://todo.example/token")
PAGE = "https://chatgpt.com"


async def by_name(token: str) -> str | None:
    return "ada" if token == TOKEN else None


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


KINDS: dict[str, tuple[Any, str]] = {
    "one token": (kit.ServiceHttp(tokens=TOKEN), f"Bearer {TOKEN}"),
    "several": (kit.ServiceHttp(tokens=["another-token", TOKEN]), f"bearer   {TOKEN} "),
    "by name": (kit.ServiceHttp(tokens={"ada": TOKEN, "bob": "another-token"}), f"BEARER {TOKEN}"),
    "service verify": (kit.ServiceHttp(verify=by_name), f"Bearer {TOKEN}"),
    "basic": (kit.ServiceHttp("basic", tokens={"ada": USER}), f"Basic {encoded(USER)}"),
    "basic, given encoded": (kit.ServiceHttp("basic", tokens=encoded(USER)), f"bAsIc {encoded(USER)}"),
    "basic, no user": (kit.ServiceHttp("basic", tokens="plain-token"), "Basic plain-token"),
    "user": (kit.UserHttp(verify=lambda token: "ada" if token == TOKEN else ""), f"Bearer {TOKEN}"),
    "user, basic": (
        kit.UserHttp("basic", verify=lambda sent: sent == USER and "ada"),
        f"Basic {encoded(USER)}",
    ),
    "oauth": (kit.OAuth(*URLS, verify=by_name), f"Bearer {TOKEN}"),
}


def guarded(auth: Any, **options: Any) -> kit.Plugin:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", auth=auth, **options)

    @plugin.get("/me")
    def me(user: kit.User) -> str:
        return str(user)

    @plugin.post("/todos")
    def add(text: str) -> str:
        return text

    return plugin


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_with_no_a_wrong_and_the_right_token(kind: str) -> None:
    auth, right = KINDS[kind]
    client = TestClient(guarded(auth))
    scheme, _, value = right.partition(" ")
    wrong = [
        None,
        f"{scheme} {value.strip()}x",
        f"{scheme} x",
        scheme,
        f"{scheme} ",
        "Digest a",
        value.strip(),
        "",
    ]
    wrong += [f"{'Bearer' if auth.is_basic else 'Basic'} {value.strip()}", f"{scheme} {'x' * 60_000}"]
    for method, path in (("GET", "/me"), ("POST", "/todos?text=a"), ("HEAD", "/me"), ("OPTIONS", "/me")):
        for sent in wrong:
            answer = client.request(method, path, headers={} if sent is None else {"Authorization": sent})
            assert answer.status_code == 401, (method, sent)
            assert answer.headers["www-authenticate"].startswith("Basic" if auth.is_basic else "Bearer")
            assert answer.headers["cache-control"] == "no-store"
    assert client.get("/me", headers={"Authorization": right}).status_code == 200
    assert client.post("/todos?text=a", headers={"Authorization": right}).json() == "a"


def test_odd_headers_let_nobody_in() -> None:
    client = TestClient(guarded(kit.ServiceHttp(tokens=TOKEN)))
    right = (b"authorization", f"Bearer {TOKEN}".encode())
    for headers in (
        [right, right],
        [right, (b"authorization", b"Bearer x")],
        [(b"authorization", b"Bearer \xff\xfe\x00")],
        [(b"authorization", "Bearer é".encode())],
        [(b"authorization", f"Bearer {TOKEN}, Bearer {TOKEN}".encode())],
        [(b"authorization", f"Bearer\t{TOKEN}".encode())],
        [(b"x-authorization", right[1])],
    ):
        assert client.get("/me", headers=headers).status_code == 401, headers
    assert client.get(f"/me?access_token={TOKEN}&token={TOKEN}").status_code == 401
    assert client.get("/me", headers=[right]).json() == "service"


def test_what_is_open_and_what_is_not(tmp_path: Path) -> None:
    plugin = guarded(kit.ServiceHttp(tokens=TOKEN))
    router = APIRouter(prefix="/sub")
    plugin.include_router(router)
    (tmp_path / "a.txt").write_text("a")

    @router.get("/open", openapi_extra={"security": []})
    @plugin.get("/open", openapi_extra={"security": []})
    def opened() -> int:
        return 1

    @plugin.get("/maybe", openapi_extra={"security": [{}, {"service_http": []}]})
    def maybe() -> int:
        return 1

    @plugin.get("/nobody", openapi_extra={"security": []})
    def nobody(user: kit.User) -> str:
        return user

    @plugin.get("/hidden", include_in_schema=False)
    @router.get("/closed")
    @plugin.get("/{user}/{name}")
    def closed(user: str = "", name: str = "") -> str:
        return user

    plugin.mount("/files", StaticFiles(directory=tmp_path))
    client = TestClient(plugin)
    for path in (
        "/",
        "/.well-known/ai-plugin.json",
        "/.well-known/openapi.json",
        "/.well-known/openapi.yaml",
    ):
        assert client.get(path).status_code == 200, path
    for path in ("/openapi.json", "/docs", "/logo.svg", "/legal", "/health", "/open", "/sub/open", "/maybe"):
        assert client.get(path).status_code == 200, path
    assert client.get("/nobody").status_code == 401  # open, but it asks who calls
    closed_paths = ["/sub/closed", "/sam/todos", "/hidden", "/files/a.txt", "/nothing", "/.well-known/other"]
    for path in [*closed_paths, "/open/", "/OPEN", "/open/../me", "/mcp", "/legal/"]:
        assert client.get(path).status_code == 401, path
    assert client.post("/open").status_code == 401
    assert client.post("/.well-known/ai-plugin.json").status_code == 401
    spec = client.get("/openapi.json").json()
    assert spec["paths"]["/open"]["get"]["security"] == []
    plugin.rename("me", "who")  # the route is made again
    assert client.get("/me", headers=bearer(TOKEN)).json() == "service"
    assert "security" not in spec["paths"]["/me"]["get"]
    assert "parameters" not in spec["paths"]["/me"]["get"]


def test_websockets() -> None:
    plugin = guarded(kit.ServiceHttp(tokens={"ada": TOKEN}))

    @plugin.websocket("/talk")
    async def talk(socket: WebSocket, user: kit.User) -> None:
        await socket.accept()
        await socket.send_text(user)
        await socket.close()

    client = TestClient(plugin)
    for headers in ({}, bearer("x")):
        with (
            pytest.raises(WebSocketDisconnect) as caught,
            client.websocket_connect("/talk", headers=headers),
        ):
            pytest.fail("it was let in")
        assert getattr(caught.value, "status_code", 0) == 401
    with client.websocket_connect("/talk", headers=bearer(TOKEN)) as socket:
        assert socket.receive_text() == "ada"


def test_a_wrapped_app_with_its_own_cors() -> None:
    app = FastAPI(title="Pets")
    app.add_middleware(CORSMiddleware, allow_origins=["https://own.example"], allow_headers=["*"])

    @app.get("/pets")
    def pets(user: kit.User) -> str:
        return user

    @app.get("/", openapi_extra={"security": []})
    def home() -> str:
        return "home"

    plugin = kit.Plugin.wrap(app, auth=kit.ServiceHttp(tokens={"ada": TOKEN}))
    client = TestClient(plugin)
    assert client.get("/").json() == "home"
    assert client.get("/pets").status_code == 401
    assert client.get("/pets", headers=bearer(TOKEN)).json() == "ada"
    for path in ("/openapi.json", "/.well-known/openapi.json"):
        assert client.get(path).json()["security"] == [{"service_http": []}]
    for origin in ("https://own.example", PAGE):
        refused = client.get("/pets", headers={"Origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        preflight = client.options("/pets", headers={"Origin": origin, **asked})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, origin)


def test_pages_read_what_is_refused_and_preflights_need_no_token() -> None:
    plugin = guarded(kit.ServiceHttp(tokens=TOKEN))
    plugin.add_middleware(CORSMiddleware, allow_origins=["https://own.example"])
    client = TestClient(plugin)
    for origin in ("https://own.example", PAGE):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert client.options("/me", headers=asked).status_code == 200
        assert client.get("/me", headers={"Origin": origin}).headers["access-control-allow-origin"] == origin


def test_known_but_not_allowed_and_a_verify_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def verify(sent: str) -> Any:
        if sent.startswith("ada:"):
            raise kit.Forbidden("ada may not.")
        if sent.startswith("bob:"):
            raise HTTPException(403, "bob may not.")
        if sent.startswith("busy:"):
            raise HTTPException(503, "Later.", {"retry-after": "5"})
        raise RuntimeError(f"no database for {sent}")

    client = TestClient(guarded(kit.UserHttp("basic", verify=verify)))
    for name in ("ada", "bob"):
        answer = client.get("/me", auth=(name, "pw"))
        assert (answer.status_code, answer.json()["detail"]) == (403, f"{name} may not.")
    busy = client.get("/me", auth=("busy", "pw"))
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
    broken = client.get("/me", auth=("eve", "planted-secret"))
    assert broken.status_code == 500
    assert "database" not in broken.text
    assert "no database" in caplog.text
    assert "planted-secret" not in caplog.text
    assert encoded("eve:planted-secret") not in caplog.text


def test_an_operation_says_who_may_not() -> None:
    plugin = guarded(kit.ServiceHttp(tokens=TOKEN))

    @plugin.delete("/todos")
    def clear() -> None:
        raise kit.Forbidden("Only its owner may.")

    answer = TestClient(plugin).delete("/todos", headers=bearer(TOKEN))
    assert (answer.status_code, answer.json()["detail"]) == (403, "Only its owner may.")


@pytest.mark.parametrize(
    "tokens",
    [
        "",
        None,
        " ",
        "a b",
        "a\n",
        "\ta",
        "é",
        [],
        [""],
        ["a", None],
        {},
        {"a": ""},
        5,
        b"a",
        {"a": "x", "b": "x"},
    ],
)
def test_tokens_that_protect_nothing_are_refused(tokens: Any) -> None:
    with pytest.raises(kit.AuthError) as caught:
        kit.ServiceHttp(tokens=tokens)
    assert caught.value.remedy


def test_a_variable_that_is_not_set_says_what_to_do() -> None:
    for value in (os.environ.get("NO_SUCH_TOKEN"), os.environ.get("NO_SUCH_TOKEN", "")):
        with pytest.raises(kit.AuthError, match="the variable is not set: set it before"):
            kit.ServiceHttp(tokens=value)  # type: ignore[arg-type]
    with pytest.raises(kit.AuthError, match="not a function"):
        kit.UserHttp(verify=None)  # type: ignore[arg-type]
    with pytest.raises(kit.AuthError, match="Pass one of them"):
        kit.ServiceHttp(tokens="a", verify=by_name)


def test_a_plugin_whose_operations_are_all_open_or_missing_is_protected() -> None:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", auth=kit.ServiceHttp(tokens=TOKEN))
    assert kit.check(plugin, "documents").ok

    @plugin.get("/open", openapi_extra={"security": []})
    def opened() -> int:
        """Open to all."""
        return 1

    assert kit.check(plugin, "documents").ok
    with kit.serve(plugin) as server:
        assert httpx2.get(f"{server.url}/open", trust_env=False).json() == 1
        assert httpx2.post(f"{server.url}/mcp", trust_env=False).status_code == 401


UNCHECKED = (kit.ServiceHttp(), kit.UserHttp(), kit.OAuth(*URLS))


@pytest.mark.parametrize("auth", UNCHECKED, ids=lambda auth: auth.type)
def test_an_auth_that_nothing_checks(auth: Any) -> None:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", auth=auth)

    @plugin.get("/todos")
    def todos() -> str:
        return "secret"

    with pytest.raises(kit.AuthError, match=r"nothing checks the calls\.") as caught:
        kit.serve(plugin)
    assert f"kit.{type(auth).__name__}(" in caught.value.remedy
    (finding,) = [it for it in kit.check(plugin, "documents") if it.place == "manifest/auth"]
    assert finding.severity == "error"
    assert "nothing checks the calls of todos" in finding.message
    # and by plain uvicorn, which knows nothing of this
    client = TestClient(plugin)
    for headers in ({}, bearer(TOKEN)):
        assert client.get("/todos", headers=headers).status_code == 401
    assert client.get("/.well-known/ai-plugin.json").status_code == 200


def test_operations_that_check_it_themselves() -> None:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", auth=kit.ServiceHttp())

    def key(sent: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> str:
        if sent != TOKEN:
            raise HTTPException(403)
        return sent

    @plugin.get("/todos", dependencies=[Security(key)])
    def todos() -> str:
        return "mine"

    @plugin.get("/hidden", include_in_schema=False)
    def hidden() -> str:
        return "secret"

    client = TestClient(plugin)
    assert client.get("/todos", headers={"X-Key": TOKEN}).json() == "mine"
    assert client.get("/todos", headers={"X-Key": "x"}).status_code == 403
    assert client.get("/hidden").status_code == 401
    assert kit.check(plugin, "documents").ok
    assert "security" not in plugin.openapi()
    with kit.serve(plugin) as server:
        assert httpx2.get(f"{server.url}/todos", trust_env=False).status_code in (401, 403)

    @plugin.get("/late")
    def late() -> str:
        return "secret"

    assert client.get("/late").status_code == 401
    assert (
        client.get("/todos", headers={"X-Key": TOKEN}).status_code == 401
    )  # closed until the author has decided
    with pytest.raises(kit.AuthError, match="of late"):
        kit.serve(plugin)


def test_a_key_of_an_operation_is_needed_beside_the_token() -> None:
    plugin = guarded(kit.ServiceHttp(tokens=TOKEN))

    @plugin.get("/both")
    def both(
        key: Annotated[str, Security(APIKeyHeader(name="X-Key"))],
        again: Annotated[Any, Security(HTTPBearer())],
    ) -> str:
        return key

    client = TestClient(plugin)
    assert client.get("/both", headers={"X-Key": "k"}).status_code == 401
    assert client.get("/both", headers={"X-Key": "k", **bearer(TOKEN)}).json() == "k"
    needs = plugin.openapi()["paths"]["/both"]["get"]["security"]
    assert all("service_http" in need for need in needs)


def test_the_documents_follow_the_auth() -> None:
    plugin = guarded(kit.NoAuth())
    client = TestClient(plugin)
    paths = ("/openapi.json", "/.well-known/openapi.json")
    assert all("security" not in client.get(path).json() for path in paths)
    plugin.auth = kit.OAuth(*URLS, "read write", issuer="https://todo.example", verify=by_name)
    for path in paths:
        spec = client.get(path).json()
        flow = {
            "authorizationUrl": URLS[0],
            "tokenUrl": URLS[1],
            "scopes": {"read": "read", "write": "write"},
        }
        assert spec["components"]["securitySchemes"] == {
            "oauth": {"type": "oauth2", "flows": {"authorizationCode": flow}}
        }
        assert spec["security"] == [{"oauth": ["read", "write"]}]
    assert client.get("/.well-known/ai-plugin.json").json()["auth"] == {
        "type": "oauth",
        "client_url": URLS[0],
        "scope": "read write",
        "authorization_url": URLS[1],
        "authorization_content_type": "application/json",
    }
    plugin.manifest.auth = kit.ServiceHttp("basic", {"openai": "public"}, tokens="a:b")
    for path in paths:
        spec = client.get(path).json()
        assert spec["components"]["securitySchemes"] == {"service_http": {"type": "http", "scheme": "basic"}}
        assert spec["security"] == [{"service_http": []}]
    auth = {
        "type": "service_http",
        "authorization_type": "basic",
        "verification_tokens": {"openai": "public"},
    }
    assert client.get("/.well-known/ai-plugin.json").json()["auth"] == auth
    plugin.auth = kit.NoAuth()
    assert all("security" not in client.get(path).json() for path in paths)
    assert client.post("/todos?text=a").json() == "a"


def test_tokens_are_shown_nowhere() -> None:
    def planted_verify(token: str) -> None: ...

    for auth in (
        kit.ServiceHttp(tokens={"ada": TOKEN}),
        kit.ServiceHttp("basic", tokens=USER),
        kit.UserHttp(verify=planted_verify),
    ):
        plugin = guarded(auth)
        shown = [repr(auth), str(vars(auth)), repr(plugin), plugin._repr_html_(), repr(plugin.manifest)]
        shown += [json.dumps(plugin.manifest.render("https://a.example")), json.dumps(plugin.openapi())]
        shown += [repr(plugin.spec), plugin.manifest._repr_html_(), repr(kit.check(plugin))]
        shown += [repr(pickle.dumps(auth)), repr(pickle.dumps(kit.NoAuth()))]
        with kit.serve(plugin) as server:
            httpx2.get(f"{server.url}/me", headers=bearer(TOKEN), trust_env=False)
            shown += [repr(server), repr(server.calls), server.calls._repr_html_()]
        try:
            kit.ServiceHttp(tokens={"a": TOKEN, "b": TOKEN})
        except kit.AuthError as error:
            shown += [str(error), repr(pickle.dumps(error))]
            assert TOKEN not in str(error)
        for text in shown:
            assert not any(secret in text for secret in (TOKEN, USER, "violet horse"))
        assert "planted_verify" not in "".join(shown[2:])
        assert not pickle.loads(pickle.dumps(auth)).is_checked  # a copy in another process lets nobody in
        assert copy.deepcopy(auth).is_checked
    assert kit.ServiceHttp(tokens="a") == kit.ServiceHttp(tokens="b")


def test_in_process_it_is_asked_for_as_well(server: kit.Server) -> None:
    plugin = guarded(kit.ServiceHttp(tokens={"ada": TOKEN}))
    for token, status in ((None, 401), ("x", 401), (TOKEN, 200)):
        installed = kit.install(plugin, token=token)
        result = installed.call("me")
        assert result.status == status
        if status == 200:
            assert result.data == "ada"


def test_a_test_signs_everyone_in() -> None:
    plugin = guarded(kit.UserHttp(verify=by_name))
    plugin.dependency_overrides[kit.current_user] = lambda: "sam"
    assert TestClient(plugin).get("/me").json() == "sam"
    with kit.serve(plugin, public_url="https://todo.example") as server:
        assert any("Its auth is off" in note for note in server.notes)
    with pytest.raises(kit.AuthError, match="everyone is signed in"):
        require_protection(plugin)  # as `kit serve` and `kit export` do
    plugin.dependency_overrides.clear()
    assert TestClient(plugin).get("/me").status_code == 401
    app = FastAPI()

    @app.get("/me")
    def me(user: kit.User) -> str:
        return user

    for wrapped in (kit.Plugin.wrap(app, auth=kit.UserHttp(verify=by_name)) for _ in range(2)):
        client = TestClient(wrapped)
        assert client.get("/me").status_code == 401
        wrapped.dependency_overrides[kit.current_user] = lambda: "sam"
        assert client.get("/me").json() == "sam"
        wrapped.dependency_overrides.clear()
        app.dependency_overrides[kit.current_user] = lambda: "ada"
        assert client.get("/me").json() == "ada"
        app.dependency_overrides.clear()


def test_a_public_plugin_says_how_it_is_protected() -> None:
    with kit.serve(guarded(kit.ServiceHttp(tokens=TOKEN)), public_url="https://todo.example") as server:
        assert "Every operation and /mcp need a bearer token of the service" in repr(server)
        assert "no auth" not in repr(server)


def test_one_app_in_another_asks_by_itself() -> None:
    inner, outer = (
        guarded(kit.ServiceHttp(tokens="inner-token")),
        guarded(kit.ServiceHttp(tokens="outer-token")),
    )
    outer.mount("/inner", inner)
    client = TestClient(outer)
    assert client.get("/me", headers=bearer("outer-token")).status_code == 200
    assert client.get("/inner/me", headers=bearer("outer-token")).status_code == 401
    assert client.get("/inner/me", headers=bearer("inner-token")).status_code == 401


def test_the_plugin_that_takes_its_place_brings_its_auth() -> None:
    with kit.serve(guarded(kit.ServiceHttp(tokens={"ada": "earlier"}))) as server:

        def statuses() -> list[int]:
            sent = [bearer(token) for token in ("earlier", "later")]
            return [httpx2.get(f"{server.url}/me", headers=it, trust_env=False).status_code for it in sent]

        assert statuses() == [200, 401]
        server.follow(guarded(kit.ServiceHttp(tokens={"ada": "later"})))
        assert statuses() == [401, 200]
        with pytest.raises(kit.AuthError):
            server.follow(guarded(kit.ServiceHttp()))
        assert statuses() == [401, 200]


def test_plain_uvicorn_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nimport kit\nplugin = kit.Plugin('a', description_for_model='A.',"
        " auth=kit.ServiceHttp(tokens={'ada': os.environ['A_TOKEN']}))\n"
        "@plugin.get('/me')\ndef me(user: kit.User) -> str:\n    return user\n"
    )
    sock = listen("127.0.0.1", 0)
    command = [sys.executable, "-m", "uvicorn", "app:plugin", "--fd", str(sock.fileno())]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "A_TOKEN": TOKEN}, pass_fds=[sock.fileno()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/me"
        sent = ({}, bearer("x"), bearer(TOKEN))
        answers = [httpx2.get(url, headers=headers, timeout=60, trust_env=False) for headers in sent]
        assert [answer.status_code for answer in answers] == [401, 401, 200]
    finally:
        process.kill()
        process.wait()
        sock.close()
