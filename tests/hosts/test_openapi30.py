"""The document in OpenAPI 3.0: where it is served, where it is written, and what Microsoft's own parser says of it.

That parser is a package of npm. `KIT_NPM` names a folder outside the project; it is installed there if it is missing.
"""

from __future__ import annotations

import enum
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Form, Header, Query, UploadFile
from openapi_spec_validator import OpenAPIV30SpecValidator
from pydantic import BaseModel, Field

import kit
from kit.cli.plugins import render as render_to_files

PARSER = "@microsoft/m365-spec-parser"
NPM = os.environ.get("KIT_NPM")
PUBLIC = "https://shop.example.com"
VALIDATE = """
const { SpecParser, ProjectType } = require(process.argv[1]);
const options = { projectType: ProjectType.Copilot, allowMethods: ["get", "post", "put", "delete", "patch"], allowMultipleParameters: true };
const parser = new SpecParser(process.argv[2], options);
parser.validate().then(async all => console.log(JSON.stringify({ ...all, list: await parser.list() })));
"""


class Priority(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Owner(BaseModel):
    name: str
    age: Annotated[int | None, Field(gt=0)] = None


class Task(BaseModel):
    text: str
    priority: Priority = Priority.LOW
    owner: Owner | None = None
    tags: list[str] = []


def ordinary(public_url: str | None = PUBLIC) -> kit.Plugin:
    """What people write with FastAPI today."""
    plugin = kit.Plugin(
        "shop", description_for_model="Tasks of a shop.", contact_email="a@example.com", public_url=public_url
    )

    @plugin.get("/tasks", summary="List tasks")
    def list_tasks(
        limit: int | None = None,
        priority: Priority | None = None,
        tag: Annotated[list[str] | None, Query()] = None,
        x_team: Annotated[str | None, Header()] = None,
    ) -> list[Task]:
        return []

    @plugin.post("/tasks/{number}", summary="Write a task", status_code=201)
    def write(number: int, task: Task) -> Task:
        return task

    @plugin.post("/many", summary="Write many tasks")
    def many(tasks: list[Task]) -> int:
        return len(tasks)

    @plugin.post("/form", summary="Sign in")
    def form(name: Annotated[str, Form()], about: Annotated[str | None, Form()] = None) -> str:
        return name

    @plugin.post("/file", summary="Upload")
    def file(picture: UploadFile, note: UploadFile | None = None) -> str:
        return "ok"

    return plugin


def operations(document: dict[str, Any]) -> dict[str, Any]:
    return {it["operationId"]: it for item in document["paths"].values() for it in item.values()}


def test_ordinary_code_has_every_type_and_value_and_nothing_that_dangles() -> None:
    document = kit.render(ordinary(), "openapi30")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert document["openapi"] == "3.0.3"
    assert document["servers"] == [{"url": PUBLIC}]
    assert "$ref" not in json.dumps(document)
    assert "anyOf" not in json.dumps(document)
    by_id = operations(document)
    parameters = {it["name"]: it["schema"] for it in by_id["list_tasks"]["parameters"]}
    assert parameters["limit"]["type"] == "integer"
    assert parameters["priority"]["enum"] == ["low", "high"]
    assert (parameters["tag"]["type"], parameters["tag"]["items"]) == ("array", {"type": "string"})
    assert parameters["x-team"]["type"] == "string"
    task = by_id["write"]["requestBody"]["content"]["application/json"]["schema"]
    assert task["properties"]["owner"]["properties"]["age"] == {
        "type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True, "title": "Age",
    }  # fmt: skip
    assert list(by_id["write"]["responses"]) == ["201"]
    files = by_id["file"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {name: files[name]["format"] for name in files} == {"picture": "binary", "note": "binary"}


def test_one_document_at_both_addresses_and_the_3_0_beside_it() -> None:
    app = FastAPI(title="Wrapped")

    @app.get("/x")
    def x(limit: int | None = None) -> str:
        return "x"

    for plugin in (ordinary(), kit.Plugin.wrap(app)):
        plugin.manifest.description_for_model = "x"
        with kit.serve(plugin) as server:
            read = {
                path: httpx2.get(server.url + path).json()
                for path in ("/openapi.json", "/.well-known/openapi.json", "/.well-known/openapi-3.0.json")
            }
        assert read["/openapi.json"] == read["/.well-known/openapi.json"]
        assert read["/openapi.json"]["servers"]
        low = read["/.well-known/openapi-3.0.json"]
        assert low["openapi"] == "3.0.3"
        assert low["servers"] == read["/openapi.json"]["servers"]
        assert list(OpenAPIV30SpecValidator(low).iter_errors()) == []


def test_what_3_0_cannot_say_is_a_finding_and_or_null_is_no_error_for_copilot() -> None:
    plugin = ordinary()
    assert [it for it in kit.check(plugin, "openapi30") if it.host == "openapi30"] == []

    @plugin.post("/pair", summary="Write a pair")
    def pair(one: tuple[int, str]) -> str:
        return ""

    (finding,) = kit.check(plugin, "openapi30").of("openapi30")
    assert (finding.function, finding.severity) == ("pair", "warning")
    assert "tuples" in finding.message
    simple = kit.Plugin("s", description_for_model="S.", contact_email="a@b.example.com", public_url=PUBLIC)

    @simple.get("/s", summary="S")
    def s(limit: int | None = None) -> str:
        return ""

    assert kit.check(simple, "copilot").of("copilot") == [
        it for it in kit.check(simple, "copilot").of("copilot") if it.severity == "warning"
    ]


def test_the_command_writes_the_document_that_the_manifest_names(tmp_path: Path) -> None:
    with kit.serve(ordinary(public_url=None)) as server:
        render_to_files("copilot", server.url, str(tmp_path / "package"))
    manifest = json.loads((tmp_path / "package" / "ai-plugin.json").read_text())
    document = json.loads((tmp_path / "package" / manifest["runtimes"][0]["spec"]["url"]).read_text())
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert document["servers"] == [{"url": server.url}]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: Microsoft's parser needs it")
@pytest.mark.skipif(not NPM, reason="KIT_NPM names no folder to install Microsoft's parser into")
@pytest.mark.parametrize("name", ["todo", "ordinary"])
def test_microsofts_own_parser_takes_every_operation(name: str, todo: kit.Plugin, tmp_path: Path) -> None:
    home = Path(str(NPM)) / "node_modules" / PARSER
    if not home.is_dir():
        subprocess.run(["npm", "install", "--prefix", str(NPM), "--ignore-scripts", "--no-audit", "--no-fund", PARSER], check=True, capture_output=True)  # fmt: skip
    file = tmp_path / "openapi.json"
    document = kit.render(ordinary() if name == "ordinary" else todo, "openapi30")
    file.write_text(json.dumps({**document, "servers": [{"url": PUBLIC}]}))
    process = subprocess.run(["node", "-e", VALIDATE, str(home), str(file)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["errors"] == []
    assert found["list"]["allAPICount"] == found["list"]["validAPICount"] == len(operations(document))
