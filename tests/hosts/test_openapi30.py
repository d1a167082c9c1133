"""The document in OpenAPI 3.0: what is in it, where it is served, where it is written, and what it cannot say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from openapi_spec_validator import OpenAPIV30SpecValidator
from ordinary import PUBLIC, ordinary

import kit
from kit.cli.plugins import render as render_to_files


def operations(document: dict[str, Any]) -> dict[str, Any]:
    return {it["operationId"]: it for item in document["paths"].values() for it in item.values()}


def test_ordinary_code_has_every_type_and_value_and_nothing_that_dangles() -> None:
    document = kit.render(ordinary(), "openapi30")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert document["openapi"] == "3.0.3"
    assert document["servers"] == [{"url": PUBLIC}]
    written = json.dumps(document)
    kept = document["components"]["schemas"]
    assert {re.sub("-.*", "", name) for name in kept} == {"Folder"}  # which is within itself
    assert set(re.findall(r'"\$ref": "([^"]*)"', written)) == {
        f"#/components/schemas/{name}" for name in kept
    }
    assert "anyOf" not in written
    by_id = operations(document)
    parameters = {it["name"]: it["schema"] for it in by_id["list_tasks"]["parameters"]}
    assert parameters["limit"]["type"] == "integer"
    assert parameters["priority"]["enum"] == ["low", "high"]
    assert (parameters["tag"]["type"], parameters["tag"]["items"]) == ("array", {"type": "string"})
    assert parameters["x-team"]["type"] == "string"
    assert (parameters["due"]["type"], parameters["due"]["format"]) == ("string", "date")
    task = by_id["write"]["requestBody"]["content"]["application/json"]["schema"]
    assert task["properties"]["owner"]["properties"]["age"] == {
        "type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True, "title": "Age",
    }  # fmt: skip
    assert list(by_id["write"]["responses"]) == ["201"]
    assert task["properties"]["priority"]["enum"] == ["low", "high"]
    listed = by_id["many"]["requestBody"]
    assert listed["content"]["application/json"]["schema"]["items"] == task
    assert (listed["x-body-name"], by_id["names"]["requestBody"]["x-body-name"]) == ("tasks", "to_keep")
    cat, dog = by_id["pet"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert (cat["properties"]["kind"]["enum"], dog["properties"]["kind"]["enum"]) == (["cat"], ["dog"])
    assert cat["properties"]["lives"]["example"] == 9
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
