"""`install`: a plugin from its URL, as ChatGPT did, and calls to it over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import pytest
from fastapi import Body, Cookie, FastAPI, File, Form, Header, Query, Request, UploadFile
from strangers import Stranger, manifest, openapi

import kit
from kit.client import installed
from kit.client import transport as client
from kit.demo import make_plugin


def test_a_server_a_plugin_and_all_kinds_of_urls(server: kit.Server, todo: kit.Plugin) -> None:
    for source in (
        server,
        todo,
        server.url,
        f"localhost:{server.port}",
        f"127.0.0.1:{server.port}/",
        server.manifest_url,
        server.spec_url,
        f"{server.url}/.well-known/openapi.yaml",
        f"{server.url}/openapi.json",
    ):
        plugin = kit.install(source)
        assert [tool["name"] for tool in plugin.tools()] == ["add_todo", "list_todos", "delete_todo"], source
        assert plugin.call("list_todos", username="sam").data == [], source
    assert kit.install(server).base_url == server.url


def test_a_plugin_in_this_process_uses_no_socket_and_runs_its_lifespan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("start")
        yield {"db": "open"}
        events.append("stop")

    plugin = kit.Plugin("inside", description_for_model="x", lifespan=lifespan)

    @plugin.get("/state")
    def state() -> list[str]:
        return list(events)

    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("a socket was used"))
    found = kit.install(plugin)
    assert found.call("state").data == ["start"]
    assert found.call("state").data == ["start"]


def test_sync_and_async(server: kit.Server) -> None:
    async def both() -> Any:
        plugin = await kit.ainstall(server)
        results = await asyncio.gather(
            *(plugin.acall("add_todo", username="sam", todo=str(n)) for n in range(5))
        )
        return [result.status for result in results], (await plugin.acall("list_todos", username="sam")).data

    statuses, todos = asyncio.run(both())
    assert statuses == [200] * 5
    assert sorted(todos) == ["0", "1", "2", "3", "4"]


def test_a_strangers_plugin_with_its_flaws() -> None:
    pages: dict[str, Any] = {"/things": (200, {}, ["a"])}
    with Stranger(pages) as stranger:
        pages["/.well-known/ai-plugin.json"] = (200, {}, manifest("/spec.yaml", contact_email="nobody"))
        pages["/spec.yaml"] = (200, {}, openapi(servers=[{"url": "https://elsewhere.example"}]))
        plugin = kit.install(stranger.url)
        assert plugin.base_url == stranger.url
        assert plugin.call("list_things").data == ["a"]
        places = [place for place, _ in plugin.problems]
        assert places == ["manifest api.url", "manifest contact_email", "/servers", "/paths/~1things/get"]
        assert "calls go to" in plugin.problems[2][1]
        assert "elsewhere.example" in repr(plugin)


@pytest.mark.parametrize(
    ("pages", "path", "reason"),
    [
        ({}, "", r"There is no plugin at .*\n.*/ai-plugin.json answers 404"),
        ({"/.well-known/ai-plugin.json": (200, {}, "<html>")}, "", "is an HTML or XML page"),
        ({"/.well-known/ai-plugin.json": (200, {}, "")}, "", "is empty"),
        (
            {"/.well-known/ai-plugin.json": (200, {}, {"a": 1})},
            "",
            "neither a manifest nor a spec: its keys are a",
        ),
        ({"/.well-known/ai-plugin.json": (200, {}, {"name_for_model": "x"})}, "", "has no api.url"),
        (
            {"/.well-known/ai-plugin.json": (200, {}, manifest("https://evil.example/spec.json"))},
            "",
            "points to a spec on another domain",
        ),
        ({"/.well-known/ai-plugin.json": (200, {}, manifest("file:///etc/passwd"))}, "", "is not an http"),
        ({"/.well-known/ai-plugin.json": (200, {}, manifest("/spec.json"))}, "", "spec.json answers 404"),
        (
            {
                "/.well-known/ai-plugin.json": (200, {}, manifest("/spec.json")),
                "/spec.json": (200, {}, {"a": 1}),
            },
            "",
            "neither 'openapi' nor 'paths'",
        ),
        (
            {"/.well-known/ai-plugin.json": (302, {"location": "http://127.0.0.1:9/x"}, "")},
            "",
            "redirects to http://127.0.0.1:9/x",
        ),
        (
            {"/.well-known/ai-plugin.json": (302, {"location": "/.well-known/ai-plugin.json"}, "")},
            "",
            "redirects more than 5 times",
        ),
        ({"/ai-plugin.json": (500, {}, "")}, "/ai-plugin.json", "answers 500, not a document"),
    ],
)
def test_errors_say_why_it_cannot_be_installed(pages: dict[str, Any], path: str, reason: str) -> None:
    with Stranger(pages) as stranger, pytest.raises(kit.KitError, match=reason) as caught:
        kit.install(stranger.url + path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "source", ["//[x.json", "a\0b", "a" * 5000, "a" * 5000 + ".json", "\ud800.json", "[", "::1"]
)
def test_what_is_neither_a_file_nor_an_address(source: str) -> None:
    with pytest.raises(kit.InstallError) as caught:
        kit.install(source)
    assert caught.value.remedy


def test_nothing_answers_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(kit.InstallError, match=r"cannot be reached.*\n.*kit\.serve"):
        kit.install(f"localhost:{port}")


def test_a_slow_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(scope: Any, body: bytes) -> Any:
        await asyncio.sleep(5)

    monkeypatch.setattr(client, "FETCH_TIMEOUT", 0.2)
    with (
        Stranger({"/.well-known/ai-plugin.json": slow}) as stranger,
        pytest.raises(kit.InstallError, match="did not answer within"),
    ):
        kit.install(stranger.url)


def test_a_document_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_DOCUMENT", 10_000)
    with (
        Stranger({"/openapi.json": (200, {}, "x" * 50_000)}) as stranger,
        pytest.raises(kit.InstallError, match="longer than 10,000 bytes"),
    ):
        kit.install(f"{stranger.url}/openapi.json")


def test_a_redirect_below_the_same_place_is_followed() -> None:
    pages: dict[str, Any] = {
        "/.well-known/ai-plugin.json": (301, {"location": "/plugin/manifest.json"}, ""),
        "/plugin/manifest.json": (200, {}, manifest("openapi.json")),
        "/plugin/openapi.json": (200, {}, openapi()),
    }
    with Stranger(pages) as stranger:
        assert list(kit.install(stranger.url).spec.operations) == ["list_things"]


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        ("169.254.169.254", "https://metadata.example"),
        ("127.0.0.1", "https://me.example"),
        ("10.0.0.5", "https://inner.example"),
    ],
)
def test_a_public_name_that_leads_to_a_private_network_is_refused(
    addresses: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(self: Any, host: str, port: int, **more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses, port))]

    monkeypatch.setattr(asyncio.SelectorEventLoop, "getaddrinfo", getaddrinfo, raising=False)
    with pytest.raises(kit.InstallError, match=f"leads to {addresses}, which is in a private network"):
        kit.install(url)


def test_files(tmp_path: Path, server: kit.Server) -> None:
    spec = openapi({"/users/{username}/todos": {"get": {"operationId": "list_todos"}}})
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    nowhere = kit.install(tmp_path / "spec.json")
    assert [tool["name"] for tool in nowhere.tools()] == ["list_todos"]
    assert ("/servers", "none can be called: pass base_url= to call something") in nowhere.problems
    result = nowhere.call("list_todos", username="x")
    assert result.outcome == "not sent"
    assert "install it with base_url=" in result.data["error"]
    assert (
        kit.install(tmp_path / "spec.json", base_url=server.url).call("list_todos", username="x").data == []
    )
    (tmp_path / "spec.yaml").write_text(json.dumps({**spec, "servers": [{"url": server.url}]}))
    assert kit.install(str(tmp_path / "spec.yaml")).call("list_todos", username="x").data == []
    (tmp_path / "ai-plugin.json").write_text(json.dumps(manifest("spec.yaml")))
    assert kit.install(tmp_path / "ai-plugin.json").name == "strange"
    (tmp_path / "ai-plugin.json").write_text(json.dumps(manifest(server.spec_url)))
    assert len(kit.install(tmp_path / "ai-plugin.json").tools()) == 3
    (tmp_path / "ai-plugin.json").write_text(json.dumps(manifest("gone.yaml")))
    with pytest.raises(kit.InstallError, match=r"gone\.yaml cannot be read"):
        kit.install(tmp_path / "ai-plugin.json")
    with pytest.raises(kit.InstallError, match=r"nowhere\.json cannot be read"):
        kit.install(tmp_path / "nowhere.json")


def test_references_to_other_documents_are_followed_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    spec = openapi({"/things": {"$ref": "paths.yaml#/things"}}, servers=[{"url": "https://x.example"}])
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    (tmp_path / "paths.yaml").write_text(
        "things: {post: {operationId: add, requestBody: {content: {application/json: "
        "{schema: {$ref: 'schemas/thing.yaml'}}}}}}"
    )
    (tmp_path / "schemas" / "thing.yaml").write_text(
        "type: object\nproperties:\n  inside: {$ref: 'thing.yaml'}\n  name: {$ref: '#/x-name'}\n"
        "  secret: {$ref: '../../secret.yaml'}\n  far: {$ref: 'http://127.0.0.1:1/x'}\nx-name: {type: string}"
    )
    (tmp_path.parent / "secret.yaml").write_text("type: integer")
    assert kit.install(tmp_path / "spec.json").tool_names == []
    plugin = kit.install(tmp_path / "spec.json", follow_refs=True)
    properties = plugin.tools()[0]["parameters"]["properties"]
    assert properties["name"] == {"type": "string"}
    assert properties["inside"]["$ref"].startswith("#/$defs/")
    assert properties["secret"] == properties["far"] == {}
    messages = [message for place, message in plugin.problems if "cannot be fetched" in message]
    assert len(messages) == 2
    assert all("it is not below" in message for message in messages)


def test_references_are_followed_on_the_same_domain_only() -> None:
    schema = {"schema": {"$ref": "/shared.yaml#/Thing"}}
    far = {"schema": {"$ref": "https://elsewhere.example/x.yaml"}}
    parameters = [{"name": "a", "in": "query", **schema}, {"name": "b", "in": "query", **far}]
    pages: dict[str, Any] = {
        "/spec.json": (
            200,
            {},
            openapi({"/things": {"get": {"operationId": "a", "parameters": parameters}}}),
        ),
        "/shared.yaml": (200, {}, "Thing: {type: integer}"),
    }
    with Stranger(pages) as stranger:
        kit.install(f"{stranger.url}/spec.json")
        assert "/shared.yaml" not in str(stranger.requests)
        plugin = kit.install(f"{stranger.url}/spec.json", follow_refs=True)
        assert plugin.tools()[0]["parameters"]["properties"]["a"] == {"type": "integer"}
        assert any("it is not on 127.0.0.1" in message for _, message in plugin.problems)


@pytest.mark.parametrize(
    ("auth", "token", "header"),
    [
        ({"type": "service_http", "authorization_type": "bearer"}, "abc", "Bearer abc"),
        ({"type": "user_http", "authorization_type": "basic"}, "me:secret", "Basic bWU6c2VjcmV0"),
        ({"type": "none"}, "abc", None),
        ({"type": "service_http"}, None, None),
    ],
)
def test_a_token_goes_where_the_manifest_says(auth: Any, token: str | None, header: str | None) -> None:
    pages: dict[str, Any] = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/spec.json", auth=auth)),
        "/spec.json": (200, {}, openapi()),
        "/things": (200, {}, []),
    }
    with Stranger(pages) as stranger:
        plugin = kit.install(stranger.url, token=token)
        plugin.call("list_things")
        assert stranger.requests[-1][2].get("authorization") == header
        if token:
            assert token not in repr(plugin) + plugin._repr_html_()


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-API-Key"}, "x-api-key", "abc"),
        ({"type": "apiKey", "in": "cookie", "name": "key"}, "cookie", "key=abc"),
        ({"type": "http", "scheme": "basic"}, "authorization", "Basic abc"),
        ({"type": "http", "scheme": "bearer"}, "authorization", "Bearer abc"),
    ],
)
def test_without_a_manifest_a_token_goes_where_the_spec_says(scheme: Any, header: str, value: str) -> None:
    spec = openapi(components={"securitySchemes": {"one": scheme}})
    with Stranger({"/spec.json": (200, {}, spec), "/things": (200, {}, [])}) as stranger:
        plugin = kit.install(f"{stranger.url}/spec.json", token="abc")
        result = plugin.call("list_things")
        assert stranger.requests[-1][2].get(header) == value
        assert "abc" not in repr(plugin) + repr(result) + plugin._repr_html_() + result._repr_html_()


def test_a_token_is_not_sent_on_to_another_host() -> None:
    with Stranger({}) as other:
        pages: dict[str, Any] = {
            "/openapi.json": (200, {}, openapi()),
            "/things": (302, {"location": f"{other.url}/steal"}, ""),
        }
        with Stranger(pages) as stranger:
            result = kit.install(f"{stranger.url}/openapi.json", token="abc").call("list_things")
        assert result.status == 302
        assert other.requests == []


# -- calls --------------------------------------------------------------------------


def call_of(page: Any, monkeypatch: pytest.MonkeyPatch | None = None) -> kit.CallResult:
    with Stranger({"/openapi.json": (200, {}, openapi()), "/things": page}) as stranger:
        return kit.install(f"{stranger.url}/openapi.json").call("list_things")


@pytest.mark.parametrize(
    ("page", "status", "data"),
    [
        ((200, {}, {"a": 1}), 200, {"a": 1}),
        ((200, {"content-type": "text/html"}, '{"a": 1}'), 200, {"a": 1}),
        ((200, {"content-type": "text/plain"}, "hello"), 200, "hello"),
        ((200, {"content-type": "text/plain"}, "42"), 200, "42"),
        ((204, {}, ""), 204, None),
        ((404, {}, {"detail": "no"}), 404, {"detail": "no"}),
        ((500, {"content-type": "text/html"}, "<h1>broken</h1>"), 500, "<h1>broken</h1>"),
        ((200, {"content-type": "image/png"}, b"\x89PNG"), 200, "[image/png, 4 bytes: not text]"),
        ((200, {"content-type": "application/json"}, "{broken"), 200, "{broken"),
    ],
)
def test_answers_come_back_as_data(page: Any, status: int, data: Any) -> None:
    result = call_of(page)
    assert (result.status, result.data) == (status, data)
    assert result.ok is (status < 400)
    assert result.seconds > 0


def test_a_long_answer_is_cut_visibly() -> None:
    result = call_of((200, {"content-type": "application/json"}, json.dumps(["x" * 99] * 2000)))
    assert len(result.data) < 100_100
    assert result.data.endswith("[cut: the first 100,000 characters of 206,000 characters]")
    endless = call_of((200, {"content-type": "text/plain", "content-length": "3000000"}, "x" * 3_000_000))
    assert endless.data.endswith("[cut: the first 100,000 characters of 3,000,000 bytes]")
    assert call_of((200, {"content-type": "text/plain"}, "é" * 100_000)).data == "é" * 100_000


def test_a_slow_answer_comes_back_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(scope: Any, body: bytes) -> Any:
        await asyncio.sleep(5)

    monkeypatch.setattr(installed, "CALL_TIMEOUT", 0.2)
    result = call_of(slow)
    assert (result.status, result.ok) == (None, False)
    assert result.data == {"error": "No answer within 0 seconds."}


def test_a_dead_server_comes_back_as_data() -> None:
    with Stranger({"/openapi.json": (200, {}, openapi())}) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json")
    result = plugin.call("list_things")
    assert result.status is None
    assert "cannot be reached" in result.data["error"]


def test_half_characters_and_what_is_nested_without_end_come_back_as_data() -> None:
    page = (200, {"content-type": "application/json"}, b'["\\ud800", {"\\udc00": "\\ud83d\\ude00"}]')
    assert call_of(page).data == ["\ufffd", {"\ufffd": "\U0001f600"}]
    assert call_of((200, {"content-type": "application/json"}, "[" * 5000 + "]" * 5000)).data[:2] == "[["
    plugin = kit.Plugin("echo", description_for_model="x")

    @plugin.post("/echo/{path}")
    def echo(path: str, query: str, x_header: Annotated[str, Header()], body: dict[str, Any]) -> list[Any]:
        return [path, query, x_header, body]

    half, whole = "\ud800", "\ufffd"
    body: dict[str, Any] = {half: [half]}
    with kit.serve(plugin) as server:
        found = kit.install(server)
        result = found.call("echo", {"path": half, "query": half, "x-header": "h", "body": body})
        assert result.data == [whole, whole, "h", {whole: [whole]}]
        body["deep"] = body
        result = found.call("echo", {"path": "a", "query": "a", "x-header": "h", "body": body})
        assert result.data["problems"] == [
            "what is given is nested too deeply to be read: more than 100 levels"
        ]
        assert repr(result)


def test_a_megabyte_as_an_argument_is_not_repeated(server: kit.Server) -> None:
    result = kit.install(server).call("list_todos", username="a" * 1_000_000)
    assert "URL too long" in result.data["error"]
    assert len(result.for_model()) < 500
    assert len(call_of((200, {"content-type": "application/json"}, ['"' * 90_000])).for_model()) == 100_000


@pytest.mark.parametrize(
    ("media_type", "content", "data"),
    [
        ("text/plain; charset=iso-8859-1", "caf\xe9".encode("latin-1"), "caf\xe9"),
        ("text/csv; charset=windows-1252", b"a;5 \x80", "a;5 \u20ac"),
        ("text/plain; charset=utf-16", "caf\xe9".encode("utf-16-le"), "caf\xe9"),
        ("text/plain; charset=nonsense", "caf\xe9".encode(), "caf\xe9"),
        ("text/plain; charset=hex", b"ff", "ff"),
        ("text/plain; charset=latin-1", b"\xef\xbb\xbfcaf\xc3\xa9", "caf\xe9"),
        ("application/json", b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ("application/json", '{"a": "\xe9"}'.encode("utf-16"), {"a": "\xe9"}),
        ("application/json; charset=latin-1", b'{"a": "\xe9"}', {"a": "\xe9"}),
        ("application/jsonl", b"", []),
        ("application/jsonl", b'{"a": 1}', [{"a": 1}]),
        ("application/x-ndjson; charset=utf-8", b'{"a": 1}\n\n', [{"a": 1}]),
        ("application/jsonl", b'{"a": 1}\r\n2\n"x\xe2\x80\xa8y"\n', [{"a": 1}, 2, "x\u2028y"]),
        ("application/json-seq", b'\x1e{"a": 1}\n\x1e[2]\n', [{"a": 1}, [2]]),
        ("application/jsonl", b'{"a": 1}\nbroken', '{"a": 1}\nbroken'),
        ("application/csv", b"a,b", "a,b"),
        ("application/toml", b"a = 1", "a = 1"),
        ("application/x-yaml", "a: \xe9".encode(), "a: \xe9"),
        ("application/javascript", b"let a = 1", "let a = 1"),
        ("application/atom+xml", b"<a>\xe9</a>", "<a>\ufffd</a>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/octet-stream", b"PK\x03\x04", "[application/octet-stream, 4 bytes: not text]"),
        ("application/octet-stream; charset=binary", b"\xff\x80a", "[application/octet-stream, 3 bytes: not text]"),
        ("font/woff", b"wOFF", "[font/woff, 4 bytes: not text]"),
    ],
)  # fmt: skip
def test_text_is_read_as_its_type_its_charset_or_a_mark_says(
    media_type: str, content: bytes, data: Any
) -> None:
    assert call_of((200, {"content-type": media_type}, content)).data == data


def test_wrong_arguments_come_back_as_data(server: kit.Server) -> None:
    plugin = kit.install(server)
    requests = len(server.calls)
    result = plugin.call("delete_todo", username="sam", number="first", colour="red")
    assert result.status is None
    assert result.data["problems"] == [
        "colour: there is no such argument; there are: username, number",
        "number: must be an integer, not 'first'",
    ]
    assert len(server.calls) == requests
    with pytest.raises(
        kit.OperationError, match=r"Did you mean 'add_todo'\? There are: add_todo, list_todos"
    ):
        plugin.call("add_todos")


def test_a_redirect_on_the_same_host_is_followed_with_its_body() -> None:
    plugin = kit.Plugin("slashes", description_for_model="x")

    @plugin.post("/things/")
    def add_thing(thing: Annotated[str, Body(embed=True)]) -> str:
        return thing

    with kit.serve(plugin) as server:
        spec = openapi(
            {
                "/things": {
                    "post": {
                        "operationId": "add",
                        "requestBody": {
                            "content": {
                                "application/json": {
                                    "schema": {"type": "object", "properties": {"thing": {}}}
                                }
                            }
                        },
                    }
                }
            }
        )
        with Stranger({"/openapi.json": (200, {}, spec)}) as stranger:
            plugin_at = kit.install(f"{stranger.url}/openapi.json", base_url=server.url)
            assert plugin_at.call("add", thing="x").data == "x"


AWKWARD = [
    "plain",
    "two words",
    "a/b",
    "a?b&c=d#e",
    "ünïcode ✓",
    "50%",
    "+",
    "{x}",
    "a,b;c",
    '"quoted"',
    "'",
    "\\",
    "..",
    "a=b",
    "null",
    "0",
    " ",
]


def test_awkward_values_arrive_as_they_were(server: kit.Server) -> None:
    """Whatever is put into path, query, header, cookie or body is what a real FastAPI receives."""
    plugin = kit.Plugin("echo", description_for_model="x")

    @plugin.post("/echo/{path:path}")
    def echo(
        path: str,
        request: Request,
        query: str,
        many: Annotated[list[str], Query()],
        x_header: Annotated[str, Header()],
        cookie: Annotated[str, Cookie()],
        body: Annotated[dict[str, str], Body(embed=True)],
        flag: bool = False,
        ratio: float = 0,
    ) -> dict[str, Any]:
        header = request.headers["x-header"].encode("latin-1")
        try:
            x_header = header.decode()
        except UnicodeDecodeError:
            x_header = header.decode("latin-1")
        return {
            "path": path,
            "query": query,
            "many": many,
            "x-header": x_header,
            "cookie": unquote(cookie),  # FastAPI decodes none
            "body": body,
            "flag": flag,
            "ratio": ratio,
        }

    with kit.serve(plugin) as running:
        found = kit.install(running)
        for value in AWKWARD:
            arguments = {
                "path": value,
                "query": value,
                "many": [value, value],
                "x-header": value.strip() or "x",
                "cookie": value if value.isascii() else "x",
                "body": {value: value},
                "flag": True,
                "ratio": 0.25,
            }
            result = found.call("echo", arguments)
            assert result.status == 200, (value, result.data)
            assert result.data == arguments


def test_forms_and_files_arrive() -> None:
    plugin = kit.Plugin("forms", description_for_model="x")

    @plugin.post("/form")
    def form(
        text: Annotated[str, Form()], many: Annotated[list[int], Form()], on: Annotated[bool, Form()] = False
    ) -> dict[str, Any]:
        return {"text": text, "many": many, "on": on}

    @plugin.post("/upload")
    async def upload(
        file: UploadFile, files: Annotated[list[UploadFile], File()], note: Annotated[str, Form()]
    ) -> dict[str, Any]:
        return {
            "file": (await file.read()).decode(),
            "files": [(await f.read()).decode() for f in files],
            "note": note,
        }

    with kit.serve(plugin) as running:
        found = kit.install(running)
        assert found.call("form", text="a b&c=ü", many=[1, 2], on=True).data == {
            "text": "a b&c=ü",
            "many": [1, 2],
            "on": True,
        }
        result = found.call("upload", file="hello ü", files=["a", b"b"], note="n\nm")
        assert result.data == {"file": "hello ü", "files": ["a", "b"], "note": "n\nm"}


@pytest.mark.parametrize("public", ["https://todo.example", "https://apps.example/todo"])
def test_a_plugin_of_ours_with_a_public_url_needs_not_be_there_yet(public: str) -> None:
    plugin = make_plugin()

    with kit.serve(plugin, public_url=public) as server:
        for source in (server, plugin):
            installed = kit.install(source)
            assert installed.base_url == public
            added = installed.call("add_todo", username="sam", todo="buy milk")
            assert (added.status, added.url) == (200, f"{public}/users/sam/todos")
        assert [call.path for call in server.calls if call.method == "POST"] == ["/users/sam/todos"]


def test_a_plain_app_in_process() -> None:
    app = FastAPI(title="Plain")

    @app.get("/x")
    def x() -> int:
        return 1

    installed = kit.install(app)  # type: ignore[arg-type]
    (name,) = installed.tool_names
    assert installed.call(name).data == 1


# -- import cost -----------------------------------------------------------------------

FRESH = """
import json, sys
import kit
plugin = kit.install(sys.argv[1])
tools = plugin.tools()
wrong = plugin.tool("list_things").problems({"owner": "sam", "labels": ["a"], "size": 3})
print(json.dumps([len(tools), wrong, len(sys.modules), [name for name in sys.argv[2:] if name in sys.modules]]))
"""
HEAVY = (
    "uvicorn fastapi starlette pydantic httpx2 mcp openai jsonschema lark rfc3987_syntax watchfiles opentelemetry "
    "yaml IPython langchain_core http.client email kit.plugin.app kit.server.server"
)


def test_reading_a_file_and_checking_arguments_import_no_server(tmp_path: Path) -> None:
    parameters = [
        {"name": "owner", "in": "query", "required": True, "schema": {"type": "string"}},
        {"name": "labels", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "size", "in": "query", "schema": {"type": "integer", "default": 30}},
    ]
    paths = {"/things": {"get": {"operationId": "list_things", "parameters": parameters, "responses": {}}}}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    command = [sys.executable, "-c", FRESH, str(file), *HEAVY.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tools, wrong, modules, brought = json.loads(done.stdout)
    assert (tools, wrong, brought) == (1, [], [])
    assert modules < 260  # 200 with Python 3.11, 30 of them the kit's


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_changing_a_list_of_tools_changes_no_other(todo: kit.Plugin, api: str) -> None:
    plugin = kit.install(todo)
    before = json.dumps(plugin.tools(api))
    tools = plugin.tools(api)
    function = tools[0].get("function", tools[0])
    function["description"] = "changed"
    function["parameters"]["properties"]["username"]["description"] = "changed"
    function["parameters"]["properties"].pop("new", None)
    function["parameters"]["required"].clear()
    function["parameters"].pop("additionalProperties")
    tools.pop()
    assert json.dumps(plugin.tools(api)) == before
