"""Hosts that read OpenAPI, by their own readers: what each makes of ordinary FastAPI code, and what reaches the plugin.

LibreChat's library is one of npm. The others want environments, or packages of 260 MB: `KIT_INTEROP=1`. Dify and Coze
Studio are no packages; what is asserted of their documents are the rules of their source.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import copy
import enum
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import pytest
from environments import environment
from fastapi import Body, Cookie, FastAPI, Form, Header, Query, UploadFile
from npm import CACHE, node, node_package
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from pydantic import BaseModel, Field

import kit

READERS = ("open_webui", "librechat", "dify", "flowise", "coze")
INTEROP = pytest.mark.skipif(
    os.environ.get("KIT_INTEROP") != "1", reason="installs hundreds of MB: set KIT_INTEROP=1"
)


class Priority(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Owner(BaseModel):
    name: str
    age: Annotated[int | None, Field(gt=0)] = None


class Task(BaseModel):
    text: str = Field(description="What there is to do")
    priority: Priority = Priority.LOW
    owner: Owner | None = None
    tags: list[str] = []


class Seen(BaseModel):
    words: str


def seen(**arguments: Any) -> Seen:
    plain = {
        name: it.model_dump(mode="json") if isinstance(it, BaseModel) else it
        for name, it in arguments.items()
    }
    return Seen(words=json.dumps(plain, default=str))


def ordinary(public_url: str | None = "https://shop.example.com") -> kit.Plugin:
    """What people write with FastAPI today. Each operation answers what has reached it."""
    plugin = kit.Plugin(
        "shop", description_for_model="Tasks of a shop.", contact_email="a@example.com", public_url=public_url
    )

    @plugin.get("/tasks", summary="List tasks", description="Newest first.")
    def list_tasks(
        limit: int | None = None,
        priority: Priority | None = None,
        tag: Annotated[list[str] | None, Query()] = None,
        x_team: Annotated[str | None, Header()] = None,
    ) -> Seen:
        return seen(limit=limit, priority=priority, tag=tag, x_team=x_team)

    @plugin.post("/tasks/{number}", summary="Write a task")
    def write(number: int, task: Task) -> Seen:
        return seen(number=number, task=task)

    @plugin.post("/many", summary="Write many tasks")
    def many(tasks: list[Task]) -> Seen:
        return seen(tasks=[task.model_dump(mode="json") for task in tasks])

    @plugin.post("/form", summary="Sign in")
    def form(name: Annotated[str, Form()], about: Annotated[str | None, Form()] = None) -> Seen:
        return seen(name=name, about=about)

    @plugin.post("/file", summary="Upload")
    def file(picture: UploadFile) -> Seen:
        return seen(name=picture.filename)

    return plugin


# What each host takes of it: "" whole, "!" with a loss that is said, "x" not at all, which is said too.
TAKEN = {
    "open_webui": {"list_tasks": "!", "write": "", "many": "x", "form": "x", "file": "x"},
    "librechat": {"list_tasks": "!", "write": "", "many": "x", "form": "", "file": "x"},
    "dify": {"list_tasks": "!", "write": "", "many": "x", "form": "", "file": "!"},
    "flowise": {"list_tasks": "!", "write": "", "many": "", "form": "x", "file": "x"},
    "coze": {"list_tasks": "!", "write": "", "many": "x", "form": "", "file": "x"},
}
OWNER = {"name": "ann", "age": 40}
TASK = {"text": "sweep", "priority": "high", "owner": OWNER, "tags": ["a", "b"]}


def operations(document: dict[str, Any]) -> dict[str, Any]:
    return {it["operationId"]: it for item in document["paths"].values() for it in item.values()}


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(inner)
    if isinstance(tree, dict):
        yield tree


def reached(answer: Any) -> Any:
    """What an operation of `ordinary` says that it was given."""
    return json.loads((json.loads(answer) if isinstance(answer, str) else answer)["words"])


# -- what is given to them, and what is said ------------------------------------------


@pytest.mark.parametrize("host", READERS)
def test_each_host_is_given_what_it_takes_and_the_rest_is_said(host: str) -> None:
    plugin = ordinary()
    document, findings = kit.render(plugin, host), kit.check(plugin, host).of(host)
    version = OpenAPIV31SpecValidator if document["openapi"] == "3.1.0" else OpenAPIV30SpecValidator
    assert list(version(document).iter_errors()) == []
    assert not [it for it in nodes(document) if "$ref" in it or "allOf" in it or "nullable" in it]
    assert document["servers"] == [{"url": "https://shop.example.com"}]
    marks = {"error": "x", "warning": "!"}
    said = {it.function: marks[it.severity] for it in reversed(findings)}
    assert {name: said.get(name, "") for name in TAKEN[host]} == TAKEN[host], findings
    assert list(operations(document)) == [name for name, mark in TAKEN[host].items() if mark != "x"]
    # both texts, wherever it looks
    key = "summary" if host in ("librechat", "coze") else "description"
    assert operations(document)["list_tasks"][key] == "List tasks\n\nNewest first."
    assert all(it.source.startswith("https://github.com/") and it.remedy for it in findings)


def test_the_todo_plugin_is_whole_in_four_of_five_and_why_not_in_the_fifth_is_said(todo: kit.Plugin) -> None:
    todo.public_url = "https://todo.example.com"
    for host in READERS[:4]:
        assert kit.check(todo, host).of(host) == []
        assert list(operations(kit.render(todo, host))) == ["add_todo", "list_todos", "delete_todo"]
    assert {it.message for it in kit.check(todo, "coze").of("coze")} == {
        "It answers a list, and the host takes only JSON objects whose fields are declared: the operation is left out."
    }
    assert kit.render(todo, "coze")["paths"] == {}


def test_what_dify_knows_of_a_schema_is_a_type_and_words() -> None:
    """parser.py, _get_tool_parameter_type: number, boolean, string; an array without `items` is refused by OpenAI."""
    document = kit.render(ordinary(), "dify")
    by_id = operations(document)
    words = {
        it["name"]: (it["schema"]["type"], it.get("description")) for it in by_id["list_tasks"]["parameters"]
    }
    assert words["limit"] == ("integer", None)
    assert words["priority"] == ("string", "One of: low, high.")
    fields = by_id["write"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {name: it["type"] for name, it in fields.items()} == {
        "text": "string", "priority": "string", "owner": "object", "tags": "object",  # objects are read from JSON text
    }  # fmt: skip
    assert fields["priority"]["description"] == "One of: low, high."
    assert fields["owner"]["description"] == "JSON text: {name: string, age?: integer}."
    assert fields["tags"]["description"] == "JSON text: list of string."


def test_coze_gets_one_server_one_answer_and_a_type_everywhere() -> None:
    """model/openapi.go: Validate, validateOpenapi3Parameters, validateOpenapi3RequestBody, validateOpenapi3Responses."""
    document = kit.render(ordinary(), "coze")
    assert document["info"]["title"] == "Shop"
    assert document["info"]["description"] == "Tasks of a shop."
    assert len(document["servers"]) == 1
    for operation in operations(document).values():
        assert operation["summary"]
        assert list(operation["responses"]) == ["200"]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert (answer["type"], list(answer["properties"])) == ("object", ["words"])
        for parameter in operation.get("parameters", []):
            assert parameter["schema"]["type"] in ("string", "integer", "number", "boolean")
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            assert content["schema"]["type"] == "object"
            for name, item in content["schema"]["properties"].items():
                assert item["type"], name
    # what it would send empty is not offered, since the plugin refuses it
    assert [it["name"] for it in operations(document)["list_tasks"]["parameters"]] == ["tag", "x-team"]


class Tree(BaseModel):
    name: str
    inner: list[Tree] = []


class Cat(BaseModel):
    kind: Annotated[str, Field(pattern="^cat$")] = "cat"
    lives: int


class Dog(BaseModel):
    name: str
    lives: int


def test_what_is_less_ordinary_neither_dangles_nor_is_lost_without_a_word() -> None:
    plugin = kit.Plugin("odd", description_for_model="Odd things.", public_url="https://odd.example.com")

    @plugin.post("/tree", summary="Plant a tree")
    def tree(it: Tree) -> Seen:
        return seen()

    @plugin.post("/pet", summary="Keep a pet")
    def pet(it: Cat | Dog) -> Seen:
        return seen()

    @plugin.post("/mixed", summary="Mix")
    def mixed(one: Annotated[int | str, Body()], more: Annotated[dict[str, int], Body()]) -> Seen:
        return seen()

    @plugin.put("/item/{number}", summary="Put an item")
    def item(number: int, body: Annotated[Owner, Body()], session: Annotated[str, Cookie()] = "") -> Seen:
        return seen()

    @plugin.delete("/item/{name}", summary="Rename an item")
    def same(name: str, owner: Owner) -> Seen:
        return seen()

    for host in READERS:
        document, findings = kit.render(plugin, host), kit.check(plugin, host).of(host)
        by_id = operations(document)
        assert not [it for it in nodes(document) if "$ref" in it]
        tree_fields = by_id["tree"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert tree_fields["inner"]["type"] == ("object" if host == "dify" else "array")
        pet_schema = by_id["pet"]["requestBody"]["content"]["application/json"]["schema"]
        assert (list(pet_schema["properties"]), pet_schema["required"]) == (
            ["kind", "lives", "name"],
            ["lives"],
        )
        said = {(it.function, it.severity) for it in findings}
        assert (("same", "error") in said) is (host in ("librechat", "coze")) is ("same" not in by_id)
        assert (("item", "warning") in said) is (host != "dify")  # the cookie
    mixed_fields = operations(kit.render(plugin, "librechat"))["mixed"]["requestBody"]["content"][
        "application/json"
    ]
    assert mixed_fields["schema"]["properties"]["one"]["description"] == "Integer or string."
    assert mixed_fields["schema"]["properties"]["more"]["description"] == "Object whose values are integer."
    assert [it.message for it in kit.check(plugin, "coze").of("coze") if it.function == "mixed"] == [
        "'more' is an object whose fields are not declared, and the host sends only declared ones: the operation is left out."
    ]


def test_of_several_servers_and_private_networks_is_spoken_for_the_hosts_that_mind() -> None:
    app = FastAPI(title="Two")

    @app.get("/far", openapi_extra={"servers": [{"url": "https://far.example.com"}]})
    def far() -> Seen:
        return seen()

    plugin = kit.Plugin.wrap(app, description_for_model="Two servers.", public_url="https://two.example.com")
    messages = {host: [it.message for it in kit.check(plugin, host).of(host)] for host in READERS}
    assert all("a server of its own, https://far.example.com" in " ".join(it) for it in messages.values())
    with kit.serve(ordinary(None)) as server:
        places = {
            host: [it.severity for it in kit.check(server, host).of(host) if it.place == "/servers"]
            for host in READERS
        }
    assert places == {
        "open_webui": [], "librechat": ["warning"], "dify": [], "flowise": ["warning"], "coze": ["error"],
    }  # fmt: skip


def test_what_several_hosts_say_alike_is_one_row_of_the_table() -> None:
    findings = kit.check(ordinary())
    assert len(findings.verdicts) == 14
    assert "open_webui, librechat, dify, coze: Its body is a list" in repr(findings)
    html = findings._repr_html_()
    assert html.count("Its body is a list") == 1
    assert html.count("<th ") == 4


# -- LibreChat ------------------------------------------------------------------------

LIBRECHAT = """
const { functionSignatures, requestBuilders, zodSchemas } = pkg.openapiToFunction(given.document, true);
const KINDS = { ZodNumber: "number", ZodString: "string", ZodBoolean: "boolean", ZodUnknown: "unknown" };
const kind = it => {
  const own = it._def;
  if (own.typeName === "ZodOptional") return kind(own.innerType);
  if (own.typeName === "ZodObject") return Object.fromEntries(Object.entries(it.shape).map(([name, inner]) => [name, kind(inner)]));
  if (own.typeName === "ZodArray") return [kind(own.type)];
  if (own.typeName === "ZodEnum") return own.values.join("|");
  return own.checks?.some(check => check.kind === "int") ? "integer" : KINDS[own.typeName];
};
const answers = {};
for (const [name, values] of given.calls) {
  zodSchemas[name].parse(values);
  answers[name] = (await requestBuilders[name].createExecutor().setParams(values).execute()).data;
}
return {
  ok: pkg.validateAndParseOpenAPISpec(JSON.stringify(given.document)).status,
  texts: functionSignatures.map(it => it.description),
  offered: Object.fromEntries(Object.entries(zodSchemas).map(([name, it]) => [name, kind(it)])),
  answers,
};
"""


def test_librechats_library_keeps_every_type_and_its_calls_arrive(todo: kit.Plugin) -> None:
    package = node_package("librechat-data-provider", "0.8.524")
    task = {
        "text": "string",
        "priority": "low|high",
        "owner": {"name": "string", "age": "integer"},
        "tags": ["string"],
    }
    calls = [
        ["list_tasks", {"limit": 3, "priority": "high", "tag": "a", "x-team": "red"}],
        ["write", {"number": 7, **TASK}],
        ["form", {"name": "sam", "about": "me"}],
    ]
    with kit.serve(ordinary(None)) as server:
        document = kit.render(server, "librechat")
        made = node(package, LIBRECHAT, {"document": document, "calls": calls})
    assert made["ok"] is True
    assert made["texts"][0] == "List tasks\n\nNewest first."
    assert made["offered"] == {
        "list_tasks": {"limit": "integer", "priority": "low|high", "tag": "string", "x-team": "string"},
        "write": {"number": "integer", **task},
        "form": {"name": "string", "about": "string"},
    }
    assert {name: reached(answer) for name, answer in made["answers"].items()} == {
        "list_tasks": {"limit": 3, "priority": "high", "tag": ["a"], "x_team": "red"},
        "write": {"number": 7, "task": TASK},
        "form": {"name": "sam", "about": "me"},
    }
    with kit.serve(todo) as server:
        calls = [
            ["add_todo", {"username": "sam", "todo": "a"}],
            ["delete_todo", {"username": "sam", "number": 1}],
        ]
        made = node(package, LIBRECHAT, {"document": kit.render(server, "librechat"), "calls": calls})
    assert made["answers"] == {"add_todo": ["a"], "delete_todo": []}
    assert made["offered"]["delete_todo"] == {"username": "string", "number": "integer"}


# -- Flowise --------------------------------------------------------------------------

FLOWISE = """
const fs = require('fs'), Module = require('module'), given = JSON.parse(fs.readFileSync(0, 'utf8'));
const from = Module.createRequire(process.argv[1] + '/node_modules/here.js'), load = Module._load;
const Async = (async () => {}).constructor;
// What is around the reader, and wants all of Flowise: its database, its guard, its sandbox. A call's code runs here instead.
Module._load = function (name) {
  if (name === '../../../src') return { getVars: async () => [] };
  if (name === '../../../src/httpSecurity') return {};
  if (name === '../../../src/utils') return {
    parseWithTypeConversion: (schema, value) => schema.parseAsync(value),
    createCodeExecutionSandbox: (code, variables, flow, values) => values,
    executeJavaScriptCode: (code, values) => new Async('require', ...Object.keys(values), code)(from, ...Object.values(values)),
  };
  return load.apply(this, arguments);
};
const { nodeClass } = from(process.argv[1] + '/package/dist/nodes/tools/OpenAPIToolkit/OpenAPIToolkit.js');
const { convertToOpenAITool } = from('@langchain/core/utils/function_calling');
(async () => {
  const openApiFile = 'data:application/json;base64,' + Buffer.from(JSON.stringify(given.document)).toString('base64') + ',filename:a.json';
  const tools = await new nodeClass().init({ inputs: { inputType: 'file', openApiFile } }, '', {});
  const answers = {};
  for (const [name, values] of given.calls) answers[name] = await tools.find(tool => tool.name === name).call(values);
  const offered = Object.fromEntries(tools.map(tool => [tool.name, convertToOpenAITool(tool).function]));
  console.log('\\n' + JSON.stringify({ offered, answers }));
})();
"""
FLOWISE_NEEDS = ("@langchain/core@1", "zod@3", "js-yaml@4", "@apidevtools/json-schema-ref-parser@11", "node-fetch@2", "zod-to-json-schema@3")  # fmt: skip


@pytest.fixture
def flowise() -> Path:
    """Flowise's toolkit without its 180 dependencies: of the package one folder, and what that needs."""
    home = CACHE / "flowise-components-3.1.4"
    if not home.is_dir():
        home.mkdir(parents=True)
        run = {"cwd": home, "check": True, "capture_output": True}
        subprocess.run(["npm", "pack", "flowise-components@3.1.4"], **run)
        subprocess.run(
            ["tar", "xzf", "flowise-components-3.1.4.tgz", "package/dist/nodes/tools/OpenAPIToolkit"], **run
        )
        subprocess.run(
            ["npm", "install", "--prefix", ".", "--ignore-scripts", "--no-audit", *FLOWISE_NEEDS], **run
        )
    return home


def ask_flowise(home: Path, document: dict[str, Any], calls: list[Any]) -> Any:
    given = json.dumps({"document": document, "calls": calls})
    process = subprocess.run(["node", "-e", FLOWISE, str(home)], input=given, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "UNKNOWN" not in process.stderr  # what it says of a schema that it does not know
    return json.loads(process.stdout.splitlines()[-1])


@INTEROP
def test_flowises_toolkit_drops_no_parameter_and_its_calls_arrive(flowise: Path, todo: kit.Plugin) -> None:
    calls = [
        [
            "list_tasks",
            {"PathParameters": {}, "QueryParameters": {"limit": 3, "priority": "high", "tag": "a"}},
        ],
        ["write", {"PathParameters": {"number": 7}, "QueryParameters": {}, "RequestBody": TASK}],
        ["many", {"RequestBody": [{**TASK, "owner": None}]}],
    ]
    with kit.serve(ordinary(None)) as server:
        made = ask_flowise(flowise, kit.render(server, "flowise"), calls)
    query = made["offered"]["list_tasks"]["parameters"]["properties"]["QueryParameters"]["properties"]
    assert "integer" in json.dumps(query["limit"])
    assert query["priority"]["enum"] == ["low", "high"]
    assert query["tag"]["type"] == "string"
    body = made["offered"]["write"]["parameters"]["properties"]["RequestBody"]["properties"]
    assert body["priority"]["enum"] == ["low", "high"]
    assert {"type": "null"} in body["owner"]["anyOf"]
    assert {name: reached(answer) for name, answer in made["answers"].items()} == {
        "list_tasks": {"limit": 3, "priority": "high", "tag": ["a"], "x_team": None},
        "write": {"number": 7, "task": TASK},
        "many": {"tasks": [{**TASK, "owner": None}]},
    }
    with kit.serve(todo) as server:
        calls = [
            [
                "add_todo",
                {"PathParameters": {"username": "sam"}, "QueryParameters": {}, "RequestBody": {"todo": "a"}},
            ],
            ["delete_todo", {"PathParameters": {"username": "sam", "number": 1}, "QueryParameters": {}}],
        ]
        made = ask_flowise(flowise, kit.render(server, "flowise"), calls)
    assert made["answers"] == {"add_todo": '["a"]', "delete_todo": "[]"}


# -- Open WebUI -----------------------------------------------------------------------


@pytest.fixture
def open_webui(tmp_path: Path) -> dict[str, Any]:
    """Its converter and its caller, lifted out of its package: the module itself imports all of Open WebUI."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        tmp_path / "package",
    ]
    subprocess.run([*command, "open-webui==0.12.4"], check=True)
    aiohttp = pytest.importorskip("aiohttp")
    tree = ast.parse((tmp_path / "package/open_webui/utils/tools.py").read_text())
    wanted = (
        "OPENAPI_HTTP_METHODS",
        "resolve_schema",
        "convert_openapi_to_tool_payload",
        "execute_tool_server",
    )
    tree.body = [
        it for it in tree.body
        if getattr(it, "name", "") in wanted
        or (isinstance(it, ast.Assign) and ast.unparse(it.targets[0]) in wanted)
        or (isinstance(it, ast.ImportFrom) and it.module == "__future__")
    ]  # fmt: skip
    settings = {
        "ENABLE_TOOL_SERVERS": True, "AIOHTTP_CLIENT_TIMEOUT_TOOL_SERVER": 20, "AIOHTTP_CLIENT_ALLOW_REDIRECTS": False,
        "AIOHTTP_CLIENT_SESSION_TOOL_SERVER_SSL": True,
    }  # fmt: skip
    lifted: dict[str, Any] = {
        "copy": copy, "aiohttp": aiohttp, "quote": quote, "urlencode": urlencode, "base64": base64,
        "log": logging.getLogger("open_webui"), **settings,
    }  # fmt: skip
    exec(compile(tree, "tools.py", "exec"), lifted)
    assert lifted.keys() >= set(wanted)
    return lifted


@INTEROP
def test_open_webuis_converter_keeps_every_type_and_its_calls_arrive(
    open_webui: dict[str, Any], todo: kit.Plugin
) -> None:
    def call(url: str, document: dict[str, Any], name: str, values: dict[str, Any]) -> Any:
        data, _ = asyncio.run(
            open_webui["execute_tool_server"](url, {}, {}, name, values, {"openapi": document})
        )
        return data

    with kit.serve(ordinary(None)) as server:
        document = kit.render(server, "open_webui")
        tools = {it["name"]: it for it in open_webui["convert_openapi_to_tool_payload"](document)}
        listed = call(server.url, document, "list_tasks", {"limit": 3, "priority": "high", "tag": ["a", "b"]})
        written = call(server.url, document, "write", {"number": 7, **TASK})
    assert list(tools) == ["list_tasks", "write"]
    assert tools["list_tasks"]["description"] == "List tasks\n\nNewest first."
    query = tools["list_tasks"]["parameters"]["properties"]
    assert {name: it["type"] for name, it in query.items()} == {
        "limit": "integer",
        "priority": "string",
        "tag": "array",
    }
    assert query["priority"]["description"].endswith("Possible values: low, high")
    assert query["tag"]["items"] == {"type": "string"}
    parameters = tools["write"]["parameters"]
    assert (parameters["type"], parameters["required"]) == ("object", ["number", "text"])
    assert parameters["properties"]["priority"]["enum"] == ["low", "high"]
    owner = parameters["properties"]["owner"]["anyOf"]
    assert owner[1] == {"type": "null"}
    assert owner[0]["properties"]["age"]["anyOf"][0] == {"type": "integer", "minimum": 1}
    assert reached(listed) == {"limit": 3, "priority": "high", "tag": ["a", "b"], "x_team": None}
    assert reached(written) == {"number": 7, "task": TASK}
    with kit.serve(todo) as server:
        document = kit.render(server, "open_webui")
        assert call(server.url, document, "add_todo", {"username": "sam", "todo": "a"}) == ["a"]
        assert call(server.url, document, "delete_todo", {"username": "sam", "number": 1}) == []


# -- frameworks that read OpenAPI -----------------------------------------------------

LLAMA_INDEX = """
import sys
from llama_index.tools.chatgpt_plugin import ChatGPTPluginToolSpec
print(ChatGPTPluginToolSpec(manifest_url=sys.argv[1] + "/.well-known/ai-plugin.json").load_openapi_spec()[0].text)
"""
GOOGLE_ADK = """
import asyncio, json, sys, urllib.request
from google.adk.tools.openapi_tool import OpenAPIToolset
document = json.load(urllib.request.urlopen(sys.argv[1] + "/.well-known/openapi.json"))
tools = asyncio.run(OpenAPIToolset(spec_dict=document).get_tools())
print(json.dumps({tool.name: tool._get_declaration().parameters_json_schema["properties"] for tool in tools}))
"""
GRADIO = """
import json, sys, gradio
blocks = gradio.load_openapi(sys.argv[1] + "/.well-known/openapi-3.0.json", sys.argv[1], exclude_paths=["/tasks$"])
print(json.dumps({fn.name: {it.label: type(it).__name__ for it in fn.inputs} for fn in blocks.fns.values()}))
"""


def ask(code: str, folder: Path, *packages: str) -> Any:
    """What a framework in an environment of its own makes of the plugin that is served."""
    python = environment(folder, packages[0])
    for package in packages[1:]:
        subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
    with kit.serve(ordinary(None)) as server:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", code, server.url], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@INTEROP
def test_llamaindex_reads_the_manifest_and_follows_every_reference(tmp_path: Path) -> None:
    made = ask(LLAMA_INDEX, tmp_path / "venv", "llama-index-tools-chatgpt-plugin==0.6.0", "jsonschema")
    assert not [it for it in nodes(made) if "$ref" in it]
    assert [(it["verb"], it["path_template"]) for it in made["endpoints"]] == [
        ("GET", "/tasks"), ("POST", "/tasks/{number}"), ("POST", "/many"), ("POST", "/form"), ("POST", "/file"),
    ]  # fmt: skip


@INTEROP
def test_googles_toolset_keeps_every_type_of_the_served_document(tmp_path: Path) -> None:
    """Of the one in 3.0 it takes `exclusiveMinimum: true` for the number 1."""
    made = ask(GOOGLE_ADK, tmp_path / "venv", "google-adk==2.13.0")
    assert list(made) == ["list_tasks", "write", "many", "form", "file"]
    assert list(made["list_tasks"]) == ["limit", "priority", "tag", "x_team"]
    assert {"type": "integer"} in made["list_tasks"]["limit"]["anyOf"]
    assert made["write"]["priority"]["enum"] == ["low", "high"]
    assert made["write"]["owner"]["anyOf"][0]["properties"]["age"]["anyOf"][0]["exclusiveMinimum"] == 0
    assert made["many"]["array"]["items"]["properties"]["priority"]["enum"] == ["low", "high"]


@INTEROP
def test_gradio_makes_a_form_of_each_operation_without_a_header(tmp_path: Path) -> None:
    """A parameter whose name is none of Python's, such as `x-team`, makes it refuse the whole document."""
    made = ask(GRADIO, tmp_path / "venv", "gradio==6.31.0")
    forms = {name: inputs for name, inputs in made.items() if name.startswith("post__")}
    assert forms == {
        "post__tasks_number": {"number": "Number", "Request Body": "Textbox"},
        "post__many": {"Request Body": "Textbox"},
        "post__form": {"Request Body": "Textbox"},
        "post__file": {},
    }
