"""Specs that are built to take forever, or to overflow something: read, turned into tools and checked in seconds."""

from __future__ import annotations

import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import kit
from kit import hosts
from kit.addresses import Root
from kit.client.installed import InstalledPlugin
from kit.client.transport import Transport
from kit.manifest import Manifest
from kit.openapi.spec import Spec

MANY = 5_000
S = "#/components/schemas/S"
BASE = "https://x.example.com"


def post(schema: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    answer = {"200": {"description": "", "content": content}}
    return {"/a": {"post": {"operationId": "a", "requestBody": {"content": content}, "responses": answer}}}


def chain(link: Any, count: int = MANY) -> dict[str, Any]:
    return {f"S{number}": link({"$ref": f"{S}{number + 1}"}) for number in range(count)}


def parameter(schema: Any) -> dict[str, Any]:
    raw = {"in": "path", "name": "q", "required": True, "schema": schema}
    return {"/a/{q}": {"get": {"operationId": "a", "parameters": [raw]}}}


FIRST = {"$ref": f"{S}0"}
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a chain of allOf": (post(FIRST), chain(lambda ref: {"allOf": [ref, {"type": "object", "properties": {"p": {}}}]})),
    "a chain of references": (post(FIRST), chain(lambda ref: ref)),
    "a chain of properties": (post(FIRST), chain(lambda ref: {"type": "object", "properties": {"x": ref}})),
    "a chain in a parameter": (parameter(FIRST), chain(lambda ref: {"anyOf": [ref, {"type": "string"}]})),
    "growth to the power of sixty": (post(FIRST), chain(lambda ref: {"oneOf": [ref] * 10}, 60)),
    "a circle of references": (post(FIRST), {"S0": {"$ref": f"{S}1"}, "S1": {"$ref": f"{S}0"}}),
    "everything in everything": (
        post(FIRST),
        {f"S{n}": {"properties": {f"x{k}": {"$ref": f"{S}{(n * 7 + k) % 300}"} for k in range(30)}} for n in range(300)},
    ),
    "one name for all": ({f"/a{n}": {"get": {"operationId": "same"}} for n in range(MANY)}, {}),
    "one beginning for all": ({f"/a{n}": {"get": {"operationId": "x" * 70 + str(n)}} for n in range(MANY)}, {}),
    "braces": ({"/" + "{" * 50_000: {"get": {"operationId": "a"}}}, {}),
    "one placeholder forever": ({"/" + "{a}" * 10_000: {"get": {"operationId": "a"}}}, {}),
    "properties without end": (post({"type": "object", "properties": {f"p{n}": {} for n in range(20_000)}}), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_in_seconds_and_without_a_traceback(name: str) -> None:
    paths, schemas = HOSTILE[name]
    start = time.process_time()  # not the time that other tests take
    document = {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths}
    spec = Spec({**document, "components": {"schemas": schemas}}, f"{BASE}/openapi.json")
    plugin = InstalledPlugin(Manifest.read({}), spec, BASE, Transport(Root.of(BASE)))
    tools = plugin.tools()
    assert plugin.skipped == []
    assert len({tool["name"] for tool in tools}) == len(spec.operations) == len(tools)
    own = {key: value for key, value in tools[0]["parameters"].items() if key != "$defs"}
    Draft202012Validator.check_schema(own)
    for host in hosts.HOSTS:
        kit.render(plugin, host)
    assert repr(kit.check(plugin))
    assert repr(plugin) + repr(spec)
    assert plugin._repr_html_()
    assert isinstance(
        plugin.tool(plugin.tool_names[0]).problems({"x": {"x": {"x": 1}}, "q": "a", "body": {}}), list
    )
    assert time.process_time() - start < 20
