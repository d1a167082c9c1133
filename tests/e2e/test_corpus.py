"""Every document of a collection: read or refused with a reason, turned into tools, rendered for every host.

Arguments generated from a tool's schema give a request that an independent validator, openapi-core, accepts
by the original document.
"""

from __future__ import annotations

import copy
import json
import random
import re
import warnings
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import pytest
from arguments import NoValue, arguments
from collection import SPECS, documents, each_run, manifests
from jsonschema import Draft202012Validator
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_spec_validator import OpenAPIV30SpecValidator
from werkzeug.datastructures import Headers, ImmutableMultiDict

import kit
from kit import hosts
from kit.client.installed import InstalledPlugin
from kit.manifest import Manifest
from kit.openapi.documents import parse
from kit.tools.tool import Tool

BASE = "https://api.example.com"
META = Draft202012Validator(Draft202012Validator.META_SCHEMA)


# Minimum numbers of documents read, of tools, and of requests accepted.
LEAST = {"own": (7, 30, 25), "corpus": (781, 10_001, 701)}


def installed(run: str) -> Iterator[tuple[Path, InstalledPlugin]]:
    for file in documents(run):
        try:
            yield file, kit.install(file, base_url=BASE)
        except kit.KitError as error:
            # a refusal says what the document is, and what to do
            assert re.search(r"HTML|plain text|neither|is empty|a list", error.problem), error
            assert error.remedy


@each_run
def test_every_document_is_read_or_refused_and_every_operation_is_a_valid_tool(run: str) -> None:
    read = tools = 0
    for file, plugin in installed(run):
        read += 1
        assert plugin.skipped == [], file.name
        names = [tool["name"] for tool in plugin.tools()]
        assert len(names) == len(set(names)) == len(plugin.spec.operations)
        seen: set[int] = set()
        for number, tool in enumerate(plugin.tools()):
            tools += 1
            if number > 60 and number % 8:  # a part of the largest documents, whose tools are all alike
                continue
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool["name"]), (file.name, tool["name"])
            own = dict(tool["parameters"])
            defs = own.pop("$defs", {})
            for schema in [own, *(it for it in defs.values() if id(it) not in seen)]:
                seen.add(id(schema))
                assert META.is_valid(schema), (file.name, tool["name"])
                assert set(_refs(schema)) <= {f"#/$defs/{name}" for name in defs}, (file.name, tool["name"])
    assert read >= LEAST[run][0]
    assert tools >= LEAST[run][1]


def _refs(schema: Any) -> Iterator[str]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            waiting += [
                value for key, value in node.items() if key not in ("default", "enum", "const", "examples")
            ]
        elif isinstance(node, list):
            waiting += node


@each_run
def test_every_document_is_rendered_for_every_host_and_checked(run: str) -> None:
    count = 0
    for file, plugin in installed(run):
        for host in hosts.HOSTS:
            rendered = kit.render(plugin, host)
            if host != "langchain":
                json.dumps(rendered, allow_nan=False)
            if host in ("actions", "openapi30") and file.stat().st_size < 8_000:
                problems = [str(error.message) for error in OpenAPIV30SpecValidator(rendered).iter_errors()]
                # the author's own mistakes: an invalid default, a required name without a property
                own = re.compile("Required list|is not valid under|is not a '")
                assert [problem for problem in problems if not own.search(problem)] == [], file.name
        findings = kit.check(plugin)
        assert repr(findings)
        assert findings._repr_html_()
        assert all(it.message and it.remedy and it.source for it in findings)
        assert repr(plugin)
        assert plugin._repr_html_()
        count += 1
    assert count >= LEAST[run][0]


@each_run
def test_every_manifest_is_read(run: str) -> None:
    for name, text in manifests(run).items():
        manifest = Manifest.read(json.loads(text))
        assert manifest.name_for_model, name
        rendered = manifest.render(BASE)
        assert rendered["api"]["url"]
        assert rendered["auth"]["type"] in ("none", "user_http", "service_http", "oauth")
        assert repr(manifest)
        assert "<script" not in manifest._repr_html_()


# -- requests -------------------------------------------------------------------------


class _Request:
    """An HTTP request as openapi-core wants to see it."""

    def __init__(self, request: httpx2.Request) -> None:
        raw = request.url.raw_path.decode().partition("?")[0]
        self.host_url = BASE
        self.path = (
            raw if "%2F" in raw.upper() else unquote(raw)
        )  # a slash in a value does not split the path
        self.method = request.method.lower()
        self.body = request.read()
        self.content_type = request.headers.get("content-type", "")
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        self.parameters = RequestParameters(
            path={},
            query=ImmutableMultiDict(query),
            header=Headers(list(request.headers.items())),
            cookie=ImmutableMultiDict([(key, morsel.value) for key, morsel in cookies.items()]),
        )


def _beyond_the_validator(tool: Tool, plugin: InstalledPlugin) -> bool:
    """What openapi-core cannot judge, or no request can satisfy."""
    operation = tool.operation
    for parameter, _ in operation._raw_parameters:
        name, place = parameter.get("name"), parameter.get("in")
        if "schema" not in parameter and "content" not in parameter:
            return True  # it needs one of them
        if place == "path" and f"{{{name}}}" not in operation.path:
            return True  # required, but not in the path
        if place == "header" and str(name).lower() in ("authorization", "accept", "content-type"):
            return True  # OpenAPI says that these are ignored
    for each in operation.parameters:
        schema = tool._converter.opened(tool._converter.convert(each.schema).schema)
        if each.style not in ("simple", "form"):
            return True  # it supports the others only in part
        if schema.get("type") == "object" or "properties" in schema:
            return True  # it looks for exploded objects under the parameter's own name
    if not operation.pointer.startswith("/paths/~1") or "?" in operation.path or "#" in operation.path:
        return True
    if not str(plugin.spec.document.get("openapi")).startswith("3"):
        return True
    if operation.body is not None and not operation.body.media_type.startswith("application/json"):
        return True  # it supports neither multipart's parts nor vendor media types, and few forms
    # it fails on types that JSON Schema does not have, and inserts defaults that a schema does not allow
    own = " ".join(message for place, message in plugin.problems if place.startswith(operation.pointer))
    shared_ = " ".join(message for place, message in plugin.problems if place.startswith("/components"))
    odd = re.compile("not one of JSON Schema|not of its type|default")
    return bool(odd.search(own + shared_)) or '"default"' in json.dumps(operation.raw)


@each_run
def test_generated_arguments_give_requests_that_the_documents_accept(run: str) -> None:
    accepted, refused = 0, []
    client = httpx2.Client()
    for number, (file, plugin) in enumerate(installed(run)):
        if plugin.spec.version == "2.0" or not plugin.spec.operations:
            continue
        validator = _validator(plugin.spec.document)
        for name in plugin.tool_names[number % 3 :: max(1, len(plugin.tool_names) // 6)]:
            tool = plugin.tool(name)
            if _beyond_the_validator(tool, plugin):
                continue
            for seed in range(2):
                try:
                    values = arguments(tool.parameters, seed)
                except NoValue:
                    break
                assert tool.problems(values) == [], (file.name, name, values)
                request = tool.request(tool.coerced(values))
                headers = [(key.encode(), value.encode()) for key, value in request.headers]
                sent = client.build_request(
                    request.method, BASE + request.url, headers=headers, content=request.body
                )
                try:
                    validator.validate_request(_Request(sent))
                    accepted += 1
                except OpenAPIError as error:
                    refused.append(f"{file.name} {name} {values} {error} {error.__cause__}"[:300])
                except Exception as error:  # the validator itself fails on a broken schema
                    assert type(error).__module__.split(".")[0] != "kit", error
    assert refused == []
    assert accepted >= LEAST[run][2]


def _validator(document: Mapping[str, Any]) -> OpenAPI:
    """openapi-core for a document without servers and auth, which have nothing to do with arguments."""
    bare = copy.deepcopy(dict(document))
    bare["servers"] = [{"url": BASE}]
    bare.pop("security", None)
    for item in bare["paths"].values():
        for node in [item, *(item.values() if isinstance(item, dict) else ())]:
            if isinstance(node, dict):
                node.pop("servers", None)
                node.pop("security", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OpenAPI.from_dict(bare, config=Config(spec_validator_cls=None))


# -- damage ---------------------------------------------------------------------------

JUNK: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "#", "#/paths", "#/components/schemas/X", "http://[", "\x00", "a" * 300, [], {},
    [None], {"$ref": "#"}, {"$ref": 5}, {"type": "object"}, {"type": ["string", "null", 5]}, [[]], {1: 2}, {"": ""},
    {"type": "array", "items": [1]}, {"allOf": [{"$ref": "#/nope"}, 3, None]}, {"enum": []}, {"required": "yes"},
    {"properties": [1]}, {"properties": {"a": 5}}, "/{a}/{a", {"oneOf": [], "discriminator": "x"},
    {"discriminator": {"propertyName": "a", "mapping": 5}, "oneOf": [{"$ref": "#/components/schemas/X"}]},
]  # fmt: skip


def _damaged(document: Any, rng: random.Random) -> Any:
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        places: list[tuple[Any, Any]] = []
        waiting = [document]
        while waiting:
            node = waiting.pop()
            keys = (
                list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
            )
            places += [(node, key) for key in keys]
            waiting += [node[key] for key in keys]
        if not places:
            break
        node, key = rng.choice(places)
        if isinstance(node, dict) and rng.random() < 0.2:
            key = rng.choice(
                ["$ref", "type", "in", "required", "operationId", "schema", "GET", "parameters", 5]
            )
        node[key] = copy.deepcopy(rng.choice(JUNK))
    return document


@each_run
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_damaged_documents_raise_no_other_error(run: str, start: int) -> None:
    specs = [parse(file.read_bytes()) for file in _to_damage(run)]
    intact = [json.loads(text) for text in [*manifests(run).values()][:80]]
    for seed in range(start, start + 100):
        rng = random.Random(seed)
        document, manifest = _damaged(rng.choice(specs), rng), _damaged(rng.choice(intact), rng)
        try:
            spec = kit.Spec(document, f"{BASE}/openapi.json")
        except kit.SpecError:
            continue
        plugin = _plugin(kit.Manifest.read(manifest if isinstance(manifest, dict) else {}), spec)
        assert plugin.skipped == []
        for host in hosts.HOSTS:
            kit.render(plugin, host)
        assert repr(kit.check(plugin))
        assert repr(plugin)
        assert plugin._repr_html_()
        assert all(META.is_valid(tool["parameters"]) for tool in plugin.tools())


def _to_damage(run: str) -> list[Path]:
    if run == "own":
        return [file for file in documents(run) if file.name in SPECS]
    return [
        file for file in documents(run) if file.name.startswith("apisguru__") and file.stat().st_size < 15_000
    ]


def _plugin(manifest: Manifest, spec: kit.Spec) -> InstalledPlugin:
    from kit.addresses import Root
    from kit.client.transport import Transport

    return InstalledPlugin(manifest, spec, BASE, Transport(Root.of(BASE)))
