"""MCP: the official client, in both eras of the protocol, over HTTP and stdio, on real servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import oracles
import pytest
from collection import documents, each_run
from environments import environment
from eras import ERAS, calls, each_era, talk
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types.methods import SERVER_RESULTS
from oracles import strict
from paths import shared
from pydantic import BaseModel
from strangers import Stranger, manifest, openapi

import kit
from kit.hosts import mcp as host
from kit.mcp import endpoint
from kit.mcp.server import make_server
from kit.server.thread import ServerThread
from kit.sockets import listen

COMMAND = [sys.executable, "-m", "kit", "mcp"]
HINTS = ("readOnlyHint", "destructiveHint", "openWorldHint")


class Item(BaseModel):
    name: str
    note: str | None = None
    price: float = 1.5


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


def post(url: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    """The first request of an older client, with the headers that a page or a program would send."""
    client = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "page", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    accept = {"Accept": "application/json, text/event-stream", **(headers or {})}
    return httpx2.post(url, json=body, headers=accept, trust_env=False)


@each_era
def test_a_served_plugin_says_who_it_is_and_what_it_can(server: kit.Server, era: str) -> None:
    async def work(client: Client) -> tuple[Any, ...]:
        return client.server_info, client.instructions, (await client.list_tools()).tools

    info, instructions, tools = talk(f"{server.url}/mcp", era, work)
    assert (info.name, info.title) == ("todo", "TODO Plugin")
    assert instructions.startswith("Plugin for managing a TODO list")
    assert [tool.name for tool in tools] == ["add_todo", "list_todos", "delete_todo"]
    assert tools[0].title == "Add a todo to the list of a user"
    assert tools[0].input_schema["required"] == ["username", "todo"]
    assert [tool.annotations.read_only_hint for tool in tools] == [False, True, False]
    assert [tool.annotations.destructive_hint for tool in tools] == [True, False, True]


@each_era
def test_calls_errors_and_wrong_arguments(server: kit.Server, era: str) -> None:
    sam = {"username": "sam"}
    added, listed, missing, wrong = talk(
        f"{server.url}/mcp",
        era,
        calls(
            ("add_todo", {**sam, "todo": "buy milk"}),
            ("list_todos", sam),
            ("delete_todo", {**sam, "number": 9}),
            ("delete_todo", {**sam, "number": "nine", "more": 1}),
        ),
    )
    assert not added.is_error
    assert json.loads(listed.content[0].text) == ["buy milk"]
    assert missing.is_error
    assert "sam has no todo 9" in missing.content[0].text
    assert wrong.is_error
    assert "there is no such argument" in wrong.content[0].text
    assert "must be an integer, not 'nine'" in wrong.content[0].text


@each_era
def test_an_unknown_tool_is_an_error_of_the_protocol(server: kit.Server, era: str) -> None:
    with pytest.raises((MCPError, ExceptionGroup)) as caught:
        talk(f"{server.url}/mcp", era, calls(("fly", {})))
    error: Any = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert error.code == -32602
    assert str(error) == "Unknown tool: fly. There are: add_todo, list_todos, delete_todo."


@each_era
def test_structured_content_is_what_the_schema_says(todo: kit.Plugin, server: kit.Server, era: str) -> None:
    @todo.get("/item")
    def item() -> Item:
        return Item(name="tea")

    async def work(client: Client) -> tuple[Any, Any]:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        return tools["item"], await client.call_tool("item", {})

    tool, result = talk(f"{server.url}/mcp", era, work)
    assert list(tool.output_schema["properties"]) == ["name", "note", "price", "unexpected"]
    assert result.structured_content == {"name": "tea", "note": None, "price": 1.5}
    assert [json.loads(part.text) for part in result.content] == [result.structured_content]
    Draft202012Validator(tool.output_schema).validate(result.structured_content)


@each_era
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"name": None}, "$.name: must be a string, not null"),
        ({"price": 1}, "$: must have 'name'"),
        ([{"name": "tea"}], "$: must be an object, not an array"),
    ],
)
def test_an_answer_that_differs_from_its_schema_is_passed_on(
    todo: kit.Plugin, server: kit.Server, era: str, answer: Any, words: str
) -> None:
    """The official client raises for a result that does not fit its outputSchema."""

    @todo.get("/item", response_model=Item)
    def item() -> JSONResponse:
        return JSONResponse(answer)

    async def work(client: Client) -> Any:
        await client.list_tools()
        return await client.call_tool("item", {})

    result = talk(f"{server.url}/mcp", era, work)
    assert not result.is_error
    assert result.structured_content == {"unexpected": answer}
    assert json.loads(result.content[0].text) == answer
    assert result.content[1].text.endswith(f"differs from what item declares: {words}")


@each_era
def test_a_redefined_operation_replaces_the_old_one(todo: kit.Plugin, server: kit.Server, era: str) -> None:
    async def work(client: Client) -> Any:
        before = await names(client)
        await client.call_tool("add_todo", {"username": "sam", "todo": "tea"})

        @todo.get("/users/{username}/todos", summary="Shout")
        def list_todos(username: str, loud: bool = False) -> str:
            return username.upper()

        @todo.get("/more")
        def more() -> int:
            return 1

        todo.remove("delete_todo")
        tools = (await client.list_tools()).tools
        result = await client.call_tool("list_todos", {"username": "sam", "loud": True})
        return before, tools, result

    before, tools, result = talk(f"{server.url}/mcp", era, work)
    assert before == ["add_todo", "list_todos", "delete_todo"]
    assert [tool.name for tool in tools] == ["add_todo", "list_todos", "more"]
    assert tools[1].title == "Shout"
    assert result.content[0].text == "SAM"


@each_era
def test_what_is_listed_keeps_the_schema_of_the_protocol(todo: kit.Plugin, era: str) -> None:
    @todo.put("/item")
    def put_item(item: Item) -> Item:
        return item

    with kit.serve(todo) as server:
        raw = talk(f"{server.url}/mcp", era, lambda client: client.list_tools())
    listed = raw.model_dump(by_alias=True, mode="json", exclude_none=True, exclude_unset=True)
    for validator in protocol(ERAS[era], "ListToolsResult"):
        assert oracles.errors(validator, listed) == []
    assert listed["tools"] == host.render(kit.install(todo))["tools"]


def protocol(version: str, name: str) -> list[Draft202012Validator]:
    """The SDK's type for that version of the protocol, and the protocol's own schema where available."""
    listed = strict(SERVER_RESULTS["tools/list", version], is_open=True).schema
    found = [
        Draft202012Validator(
            listed if name == "ListToolsResult" else {"$defs": listed["$defs"], "$ref": f"#/$defs/{name}"}
        )
    ]
    if path := shared("corpus", "schemas", f"mcp-{version}.schema.json"):
        document = json.loads(path.read_text())
        found.append(Draft202012Validator({**document, "$ref": f"#/$defs/{name}"}))
    return found


@each_run
@pytest.mark.parametrize("version", ERAS.values())
def test_tools_of_other_plugins_keep_the_schema_of_the_protocol(version: str, run: str) -> None:
    validators = protocol(version, "Tool")
    seen = 0
    for file in documents(run)[:: 40 if run == "corpus" else 1]:
        try:
            plugin = kit.install(file, base_url="https://strange.example")
        except kit.KitError:
            continue
        for tool in host.render(plugin)["tools"]:
            seen += 1
            for validator in validators:
                assert oracles.errors(validator, tool) == [], (file.name, tool["name"])
            assert all(isinstance(tool["annotations"][hint], bool) for hint in HINTS)
            if "outputSchema" in tool:
                Draft202012Validator.check_schema(tool["outputSchema"])
    assert seen > {"own": 25, "corpus": 50}[run]


def test_the_hints_follow_the_method() -> None:
    def operation(**more: Any) -> dict[str, Any]:
        return {"operationId": "", "responses": {}, **more}

    quiet = {"x-openai-isConsequential": False}
    path = {method: operation(operationId=method) for method in ("get", "head", "put", "post", "delete")}
    path["patch"] = operation(operationId="patch", **quiet)
    with Stranger({}) as stranger:
        stranger.pages["/openapi.json"] = (200, {}, openapi({"/x": path}))
        tools = host.render(kit.install(f"{stranger.url}/openapi.json"))["tools"]
    found = {tool["name"]: [tool["annotations"][hint] for hint in HINTS] for tool in tools}
    assert found == {
        "get": [True, False, True],
        "head": [True, False, True],
        "put": [False, True, True],
        "post": [False, True, True],
        "delete": [False, True, True],
        "patch": [False, False, True],
    }
    idempotent = {tool["name"] for tool in tools if tool["annotations"].get("idempotentHint")}
    assert idempotent == {"put", "delete"}


def test_an_output_schema_has_only_the_structure() -> None:
    """A pattern that JavaScript cannot compile breaks the whole list in clients of its SDK."""
    thing = {
        "type": "object",
        "required": ["pattern"],
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string", "pattern": "(?i)x", "maxLength": 3},
            "at": {"type": "string", "format": "date-time", "nullable": True},
            "part": {"$ref": "#/components/schemas/Thing"},
        },
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    many = {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}
    paths = {
        "/one": {"get": {"operationId": "one", "responses": {"201": {"$ref": "#/components/responses/T"}}}},
        "/all": {"get": {"operationId": "all", "responses": {"200": {"content": many}}}},
        "/bad": {"get": {"operationId": "bad", "responses": {"404": {"content": content}}}},
    }
    components = {"schemas": {"Thing": thing}, "responses": {"T": {"content": content}}}
    with Stranger({}) as stranger:
        stranger.pages["/openapi.json"] = (200, {}, openapi(paths, components=components))
        plugin = kit.install(f"{stranger.url}/openapi.json")
    one, everything, bad = (host.declared_answer(plugin.tool(name)) for name in ("one", "all", "bad"))
    assert one is not None
    assert not one.is_wrapped
    assert one.schema["properties"]["pattern"] == {"type": "string"}
    assert one.schema["properties"]["at"] == {"type": ["string", "null"]}
    assert one.schema["required"] == ["pattern"]
    assert "additionalProperties" not in one.schema
    # anything but an object is wrapped in one, as the official servers do
    assert everything is not None
    assert everything.is_wrapped
    assert everything.schema["properties"] == {"result": {"type": "array", "items": {"type": "string"}}}
    assert bad is None


# -- HTTP -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost.evil.example", "http://evil.example:80", "null", "http://["],
)
def test_foreign_origins_are_rejected(server: kit.Server, origin: str) -> None:
    # With DNS rebinding the Host header is the page's own, so it must not help.
    refused = post(f"{server.url}/mcp", {"Origin": origin, "Host": origin.partition("//")[2] or "x"})
    assert refused.status_code == 403
    assert origin in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "origin", ["http://localhost:6274", "http://127.0.0.1", "http://[::1]:1", "https://chatgpt.com"]
)
def test_pages_of_this_machine_and_of_cors_origins_may_call(server: kit.Server, origin: str) -> None:
    assert post(f"{server.url}/mcp", {"Origin": origin}).status_code == 200
    assert post(f"{server.url}/mcp").status_code == 200


def test_the_plugins_own_public_address_may_call(todo: kit.Plugin) -> None:
    with kit.serve(todo, public_url="https://todo.example/api") as server:
        assert post(f"{server.url}/mcp", {"Origin": "https://todo.example"}).status_code == 200
        assert post(f"{server.url}/mcp", {"Origin": "https://todo.example.org"}).status_code == 403


def test_more_origins_for_an_app() -> None:
    page = "https://page.example"
    with Stranger({}) as stranger:
        stranger.pages["/openapi.json"] = (200, {}, openapi())
        plugin = kit.install(f"{stranger.url}/openapi.json")
        with serving(endpoint.make_app(plugin, origins=[page])) as url:
            assert post(f"{url}/mcp", {"Origin": page}).status_code == 200
            assert post(f"{url}/mcp", {"Origin": "https://other.example"}).status_code == 403
            assert post(url).status_code == 404


def test_only_post_is_answered_and_the_spec_does_not_mention_it(server: kit.Server) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        for method in ("GET", "DELETE", "PUT"):
            answer = client.request(method, "/mcp")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert "/mcp" not in client.get("/.well-known/openapi.json").json()["paths"]
        assert client.get("/mcpx").status_code == 404
    assert post(f"{server.url}/mcp/").status_code == 200


def test_an_operation_of_the_author_at_that_path_wins(todo: kit.Plugin) -> None:
    @todo.post("/mcp")
    def my_own() -> str:
        return "mine"

    app = FastAPI(title="App")
    app.post("/mcp")(my_own)
    for plugin in (todo, kit.Plugin.wrap(app)):
        with kit.serve(plugin) as server:
            assert post(f"{server.url}/mcp").json() == "mine"


@each_era
def test_a_wrapped_app_is_served_too(era: str) -> None:
    app = FastAPI(title="Shop")

    @app.get("/greeting")
    def greeting() -> str:
        return "hello"

    with kit.serve(kit.Plugin.wrap(app)) as server:
        (result,) = talk(f"{server.url}/mcp", era, calls(("greeting", {})))
        assert result.content[0].text == "hello"


@each_era
def test_the_token_of_the_client_reaches_the_operations(era: str) -> None:
    plugin = kit.Plugin("secret", description_for_model="Secrets.")

    @plugin.get("/secret")
    def secret(authorization: str = Header("", include_in_schema=False)) -> dict[str, str]:
        if authorization != "Bearer open sesame":
            raise HTTPException(401, "Who are you?")
        return {"secret": "gold"}

    async def both(url: str) -> list[Any]:
        found = []
        for headers in ({}, {"Authorization": "Bearer open sesame"}):
            async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
                transport = streamable_http_client(url, http_client=http)
                async with Client(transport, mode=era) as client:
                    found.append(await client.call_tool("secret", {}))
        return found

    with kit.serve(plugin) as server:
        stranger, friend = asyncio.run(both(f"{server.url}/mcp"))
    assert stranger.is_error
    assert "401" in stranger.content[0].text
    assert friend.structured_content == {"secret": "gold"}


def test_operations_run_in_the_servers_loop_with_its_lifespan_and_address() -> None:
    started: list[tuple[int, Any]] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        started.append((threading.get_ident(), asyncio.get_running_loop()))
        yield {"database": "open"}

    plugin = kit.Plugin("alive", description_for_model="Alive.", lifespan=lifespan)

    @plugin.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        here = (threading.get_ident(), asyncio.get_running_loop())
        return {"same": here == started[0], "db": request.state.database, "url": str(request.url)}

    with kit.serve(plugin) as server:
        (result,) = talk(f"{server.url}/mcp", "auto", calls(("state", {})))
        assert result.structured_content == {"same": True, "db": "open", "url": f"{server.url}/state"}
    assert len(started) == 1


def test_a_plugin_that_is_mounted_in_another_app(todo: kit.Plugin) -> None:
    app = FastAPI()
    app.mount("/apps/todo", todo)
    with serving(app) as url:
        assert post(f"{url}/apps/todo/mcp").status_code == 404  # nothing is mounted there
        endpoint.add_mcp(todo)
        added = calls(("add_todo", {"username": "sam", "todo": "tea"}))
        (result,) = talk(f"{url}/apps/todo/mcp", "auto", added)
        assert json.loads(result.content[0].text) == ["tea"]


def test_a_crash_in_an_operation_is_an_error_and_leaves_its_traceback(
    todo: kit.Plugin, server: kit.Server, caplog: pytest.LogCaptureFixture
) -> None:
    @todo.get("/crash")
    def crash() -> int:
        raise ZeroDivisionError("by design")

    crashed, fine = talk(
        f"{server.url}/mcp", "auto", calls(("crash", {}), ("list_todos", {"username": "sam"}))
    )
    assert crashed.is_error
    assert "500" in crashed.content[0].text
    assert "by design" in caplog.text
    assert not fine.is_error


def test_many_at_once(server: kit.Server) -> None:
    async def work(client: Client) -> list[Any]:
        tasks = [client.call_tool("add_todo", {"username": "sam", "todo": str(n)}) for n in range(40)]
        return await asyncio.gather(*tasks)

    results = talk(f"{server.url}/mcp", "auto", work)
    assert max(len(json.loads(result.content[0].text)) for result in results) == 40


def test_plain_uvicorn_serves_it_and_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import kit\nfrom kit.demo import make_plugin\nplugin = make_plugin()\nfrom kit.mcp.endpoint import add_mcp\nadd_mcp(plugin)\n"
    )
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    command = [sys.executable, "-m", "uvicorn", "shop:plugin", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if f":{port}" in line:
                break
        assert talk(f"http://127.0.0.1:{port}/mcp", "legacy", names) == [
            "add_todo",
            "list_todos",
            "delete_todo",
        ]
        process.terminate()
        stderr = process.stderr.read()
        process.wait(10)
        assert "Finished server process" in stderr
        assert "Traceback" not in stderr
    finally:
        process.kill()
        process.stderr.close()


def test_serving_imports_no_mcp_until_it_is_asked_for() -> None:
    code = """
import sys, kit, httpx2
from kit.demo import make_plugin
loaded = lambda: sorted({name.split(".")[0] for name in sys.modules} & {"mcp", "mcp_types"})
with kit.serve(make_plugin()) as server, httpx2.Client(trust_env=False, timeout=50) as client:
    kit.install(server).call("list_todos", username="sam")
    client.get(server.url), client.get(server.spec_url), client.get(server.url + "/nothing")
    client.get(server.url + "/mcp")
    print(loaded())
    client.post(server.url + "/mcp", json={})
    print(loaded())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n['mcp', 'mcp_types']\n", done.stderr


def test_without_the_package_the_answer_says_what_to_install(
    server: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    answer = post(f"{server.url}/mcp")
    assert answer.status_code == 501
    assert "pip install 'mcp>=2.3,<3'" in answer.json()["remedy"]
    with pytest.raises(kit.KitError, match="pip install"):
        make_server(kit.install(server))


# -- the command ----------------------------------------------------------------


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    file = tmp_path / "noisy.py"
    file.write_text(
        "import atexit, subprocess\nfrom kit.demo import make_plugin\n"
        "print('loading')\natexit.register(print, 'ending')\nplugin = make_plugin()\n"
        "@plugin.get('/noise')\ndef noise() -> dict[str, int]:\n    print('a handler')\n"
        "    subprocess.run(['echo', 'a child'])\n    return {'noise': 1}\n"
    )
    return file


def stdio(*arguments: str | Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], *map(str, arguments)], env=dict(os.environ)
    )


@each_era
def test_stdio_serves_a_file(noisy: Path, era: str) -> None:
    async def work(client: Client) -> Any:
        return await names(client), await client.call_tool("noise", {})

    tools, result = talk(stdio(noisy), era, work)
    assert tools == ["add_todo", "list_todos", "delete_todo", "noise"]
    assert result.structured_content == {"noise": 1}


@each_era
def test_stdio_serves_a_running_plugin_by_its_url(server: kit.Server, era: str) -> None:
    added = calls(("add_todo", {"username": "sam", "todo": "tea"}))
    (result,) = talk(stdio(server.url.removeprefix("http://")), era, added)
    assert json.loads(result.content[0].text) == ["tea"]
    assert kit.install(server).call("list_todos", username="sam").data == ["tea"]


@each_era
def test_stdio_serves_a_spec_file_with_a_token(tmp_path: Path, era: str) -> None:
    with Stranger({"/things": (200, {}, {"things": ["a"]})}) as stranger:
        file = tmp_path / "strange.yaml"
        file.write_text(json.dumps(openapi(servers=[{"url": stranger.url}])))
        (result,) = talk(stdio(file, "--token", "sesame"), era, calls(("list_things", {})))
        assert result.structured_content == {"things": ["a"]}
        assert stranger.requests[-1][2]["authorization"] == "Bearer sesame"


def test_stdio_writes_nothing_but_the_protocol(noisy: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, str(noisy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    received = []
    for message in (
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "noise", "arguments": {}}},
    ):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()
        if "id" in message:
            received.append(json.loads(process.stdout.readline()))
    rest, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [message["id"] for message in received] == [1, 2]
    assert rest == ""
    assert "kit: TODO Plugin, 4 tools: add_todo, list_todos, delete_todo, noise\n" in stderr
    for words in ("loading", "a handler", "a child", "ending"):
        assert f"{words}\n" in stderr


@each_era
@pytest.mark.parametrize("kind", ["file", "url"])
def test_http_serves_and_shows_the_entry_for_mcp_json(
    noisy: Path, server: kit.Server, era: str, kind: str
) -> None:
    source = str(noisy) if kind == "file" else server.url
    process = subprocess.Popen(
        [*COMMAND, source, "--http"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        stderr = []
        for line in process.stderr:
            stderr.append(line)
            if "Press Ctrl+C to stop" in line:
                break
        entry = json.loads(next(line for line in stderr if "mcp.json" in line).partition(": ")[2])
        url = entry["mcpServers"]["todo"]["url"]
        assert entry["mcpServers"]["todo"]["type"] == "http"
        (result,) = talk(url, era, calls(("list_todos", {"username": "sam"})))
        assert result.content[0].text == "[]"
        assert post(url, {"Origin": "https://evil.example"}).status_code == 403
        process.send_signal(2)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_config_is_an_entry_that_works_from_anywhere(noisy: Path, tmp_path: Path) -> None:
    def config(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [*COMMAND, *arguments, "--config"], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stderr
        entry: dict[str, Any] = json.loads(done.stdout.removesuffix("ending\n"))["mcpServers"]["todo"]
        return entry

    assert config("noisy.py:plugin") == {"command": "kit", "args": ["mcp", f"{noisy}:plugin"]}
    assert config("noisy") == {"command": "kit", "args": ["mcp", "noisy"], "cwd": str(tmp_path)}
    assert config("noisy.py", "--token", "hush") == {
        "command": "kit",
        "args": ["mcp", str(noisy)],
        "env": {"KIT_TOKEN": "YOUR_TOKEN"},
    }
    assert config("noisy.py", "--http", "--port", "8123") == {
        "type": "http",
        "url": "http://127.0.0.1:8123/mcp",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["localhost:1"], "Is the server running"),
        (["gone.py"], "gone.py cannot be read: No such file"),
        (["localhost:1", "--http"], "Is the server running"),
        (["noisy.py", "--http", "--config"], "Add --port N"),
    ],
)
def test_the_command_reports_errors(noisy: Path, arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=noisy.parent, timeout=60, input=""
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


def test_the_command_without_the_package(noisy: Path) -> None:
    code = f"import sys; sys.modules['mcp'] = None; sys.argv = ['kit', 'mcp', {str(noisy)!r}]; import kit.__main__"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'mcp>=2.3,<3'" in done.stderr


# -- the rules ------------------------------------------------------------------


def test_a_correct_plugin_has_no_findings() -> None:
    plugin = kit.Plugin("shop", description_for_model="Plugin for a shop.")

    @plugin.get("/item")
    def item() -> Item:
        """The item on offer."""
        return Item(name="tea")

    assert list(host.check(kit.install(plugin))) == []


def test_every_rule_is_found_with_its_source_and_a_remedy() -> None:
    long = "a_tool_whose_name_is_by_far_too_long_for_some"
    paths: dict[str, Any] = {f"/p{n}": {"get": {"operationId": f"p{n}", "responses": {}}} for n in range(41)}
    paths["/long"] = {"get": {"operationId": long, "responses": {}, "summary": "Long."}}
    with Stranger({}) as stranger:
        stranger.pages["/.well-known/ai-plugin.json"] = (
            200,
            {},
            manifest(
                f"{stranger.url}/openapi.json",
                name_for_model="a_plugin_with_a_long_name",
                description_for_model="x" * 600,
                legal_info_url="",
                auth={"type": "user_http", "authorization_type": "bearer"},
            ),
        )
        stranger.pages["/openapi.json"] = (200, {}, openapi(paths))
        findings = list(host.check(kit.install(stranger.url)))
    assert {finding.host for finding in findings} == {"mcp"}
    assert all(finding.remedy and finding.message for finding in findings)
    assert all(f.source.startswith("https://") or "no official text" in f.source for f in findings)
    general = [finding.place for finding in findings if not finding.function]
    assert general == [
        "manifest/description_for_model",
        "manifest/legal_info_url",
        "manifest/auth",
        "/paths",
    ]
    assert [f.place for f in findings if f.function == long] == [
        "/paths/~1long/get/operationId",
        "/paths/~1long/get/responses",
    ]
    assert [f.place for f in findings if f.function == "p0"] == [
        "/paths/~1p0/get",
        "/paths/~1p0/get/responses",
    ]


# -- other clients --------------------------------------------------------------

OLD = """
import asyncio, json, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

async def use(read, write):
    async with ClientSession(read, write) as session:
        version = (await session.initialize()).protocolVersion
        tools = [tool.name for tool in (await session.list_tools()).tools]
        result = await session.call_tool("add_todo", {"username": "sam", "todo": "tea"})
        wrong = await session.call_tool("delete_todo", {"username": "sam", "number": 9})
        print(json.dumps([version, tools, json.loads(result.content[0].text)[-1], wrong.isError]))

async def main(url, python):
    async with streamablehttp_client(url + "/mcp") as streams:
        await use(*streams[:2])
    async with stdio_client(StdioServerParameters(command=python, args=["-m", "kit", "mcp", url])) as streams:
        await use(*streams)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(os.environ.get("KIT_INTEROP") != "1", reason="makes a venv with mcp<2: set KIT_INTEROP=1")
def test_the_previous_official_client(server: kit.Server, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", "mcp==1.30.0", "mcp")
    done = subprocess.run(
        [python, "-c", OLD, server.url, sys.executable], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    tools = ["add_todo", "list_todos", "delete_todo"]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [["2025-11-25", tools, "tea", True]] * 2


@contextmanager
def serving(app: Any) -> Iterator[str]:
    sock = listen("127.0.0.1", 0)
    thread = ServerThread(app, sock)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        thread.stop()
