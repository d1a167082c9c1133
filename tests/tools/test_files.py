"""Files in a form: as text, bytes or a path, one or several, that may be left out, wherever the schema says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Form, UploadFile
from pydantic import BaseModel

import kit
from kit.openapi.spec import Spec
from kit.tools.tool import Tool, make_tools

BINARY = {"type": "string", "format": "binary"}
REF = {"$ref": "#/components/schemas/F"}
OCTETS = "application/octet-stream"


def tool(schema: Any, version: str = "3.1.0", media: str = "multipart/form-data", **schemas: Any) -> Tool:
    content = {media: {"schema": schema}}
    document = {
        "openapi": version,
        "info": {"title": "T", "version": "1"},
        "paths": {"/x": {"post": {"operationId": "x", "requestBody": {"content": content}, "responses": {}}}},
        "components": {"schemas": {"F": BINARY, **schemas}},
    }
    return make_tools(Spec(document))["x"]


@pytest.mark.parametrize(
    ("version", "schema"),
    [
        ("3.0.3", BINARY),
        ("3.0.3", {**BINARY, "nullable": True}),
        ("3.0.3", {"allOf": [REF], "description": "a file"}),
        ("3.0.3", {"allOf": [REF], "nullable": True}),
        ("3.1.0", {"anyOf": [BINARY, {"type": "null"}]}),
        ("3.1.0", {"oneOf": [{"type": "null"}, {"allOf": [{"anyOf": [REF]}]}]}),
        ("3.1.0", {**REF, "description": "a file"}),
        (
            "3.1.0",
            {"anyOf": [{"type": "string", "contentMediaType": OCTETS}, {"type": "null"}], "default": None},
        ),
    ],
)
def test_a_file_is_sent_as_one_wherever_the_schema_says_it(version: str, schema: Any, tmp_path: Path) -> None:
    one = tool({"type": "object", "properties": {"f": schema}}, version)
    path = tmp_path / "notes.txt"
    path.write_bytes(b"\xff")
    for value, name, content in (
        ("text", "f", b"text"),
        (b"\x00", "f", b"\x00"),
        (path, "notes.txt", b"\xff"),
    ):
        arguments = one.coerced({"f": value})
        assert one.problems(arguments) == []
        assert one.request(arguments).files == [("f", (name, content, OCTETS))]
    assert one.request(one.coerced({"f": None})).files == []
    assert one.request({}).body is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"anyOf": [REF, {"type": "null"}]}},
        {"anyOf": [{"type": "array", "items": REF}, {"type": "null"}]},
        {"allOf": [{"type": "array"}, {"items": {"allOf": [REF]}}]},
    ],
)
def test_each_of_a_list_is_a_file(schema: Any) -> None:
    one = tool({"allOf": [{"type": "object", "properties": {"f": schema, "n": {"type": "integer"}}}]})
    request = one.request({"f": ["a", b"b"], "n": 1})
    assert request.files == [("f", ("f", b"a", OCTETS)), ("f", ("f", b"b", OCTETS)), ("n", (None, b"1"))]


def test_a_body_that_is_kept_by_name_or_is_one_of_several() -> None:
    tree = {"type": "object", "properties": {"f": REF, "more": {"$ref": "#/components/schemas/Tree"}}}
    one = tool({"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "object"}]}, Tree=tree)
    assert one.request({"body": {"f": "x"}}).files == [("f", ("f", b"x", OCTETS))]


def test_a_text_is_never_taken_for_a_path_and_a_path_without_file_is_told(tmp_path: Path) -> None:
    one = tool({"type": "object", "properties": {"f": BINARY}})
    secret = tmp_path / "secret"
    secret.write_text("secret")
    assert one.request({"f": str(secret)}).files == [("f", ("f", str(secret).encode(), OCTETS))]
    assert one.problems({"f": tmp_path / "none"}) == [f"f: there is no file {str(tmp_path / 'none')!r}"]


def test_bytes_in_json_are_written_as_declared() -> None:
    base64 = {"anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "null"}]}
    properties = {"a": base64, "b": {"type": "string", "format": "byte"}, "c": {"type": "string"}}
    one = tool({"type": "object", "properties": properties}, media="application/json")
    assert one.request({"a": b"\xff", "b": b"b", "c": b"c"}).body == b'{"a": "/w==", "b": "Yg==", "c": "c"}'


class About(BaseModel):
    title: str


def test_a_real_operation_gets_them() -> None:
    plugin = kit.Plugin("files", description_for_model="Files.")

    @plugin.post("/one")
    async def one(file: UploadFile | None = None, note: Annotated[str | None, Form()] = None) -> list[Any]:
        return [await file.read() if file else None, note]

    @plugin.post("/many")
    async def many(files: list[UploadFile] | None = None) -> list[str | None]:
        return [file.filename for file in files or []]

    installed = kit.install(plugin)
    assert installed.call("one", file="x", note="n").data == ["x", "n"]
    assert installed.call("one", file=None, note=None).data == [None, None]
    assert installed.call("one").data == [None, None]
    assert installed.call("many", files=["x", b"y"]).data == ["files", "files"]
    assert installed.call("many").data == []
