"""Microsoft 365 Copilot: its manifest, for a corpus of real specs, and what it rules out."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from collection import FOLDER, RUNS, documents, each_run, large, manifests
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft202012Validator
from oracles import COPILOT, errors
from paths import SHARED, shared

import kit
from kit.addresses import Root
from kit.client.installed import InstalledPlugin
from kit.client.transport import Transport
from kit.hosts import copilot, copilot_rules
from kit.hosts.findings import Finding
from kit.hosts.texts import cut
from kit.manifest import Manifest
from kit.openapi.spec import Spec

HOME = "https://api.example.com"
PUBLIC = f"{HOME}/openapi.json"
READ = "This call may change something: make it once, and only for what the user asked for."


def made(document: dict[str, Any], source: str = PUBLIC, **manifest: Any) -> InstalledPlugin:
    """A plugin as `install` returns it, whose spec and manifest have only the given flaws."""
    base = {
        "schema_version": "v1",
        "name_for_model": "pets",
        "name_for_human": "Pets",
        "description_for_model": "Plugin for pets.",
        "description_for_human": "Pets.",
        "auth": {"type": "none"},
        "api": {"type": "openapi", "url": source},
        "logo_url": f"{HOME}/logo.png",
        "contact_email": "pets@example.com",
        "legal_info_url": f"{HOME}/legal",
    }
    spec = {"openapi": "3.1.0", "info": {"title": "Pets", "version": "1.0.0", "description": "Pets."}}
    return InstalledPlugin(
        Manifest.read({**base, **manifest}),
        Spec({**spec, **document}, source),
        HOME,
        Transport(Root.of(HOME)),
    )


def one(schema: Any = None, method: str = "post", **operation: Any) -> dict[str, Any]:
    """A document with one operation, `add_pet`, whose body has `schema`."""
    node: dict[str, Any] = {"operationId": "add_pet", "summary": "Add a pet", "responses": {}, **operation}
    if schema is not None:
        node["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return {"paths": {"/pets": {method: node}}}


def function(document: dict[str, Any], **manifest: Any) -> dict[str, Any]:
    (rendered,) = copilot.render(made(document, **manifest))["functions"]
    assert isinstance(rendered, dict)
    return rendered


def body(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@cache
def collected(run: str) -> tuple[InstalledPlugin, ...]:
    """Every spec of the collection that can be installed from its file, then every manifest with its spec."""
    specs: dict[str, Spec] = {}
    plugins: list[InstalledPlugin] = []
    for file in documents(run):
        try:
            plugins.append(kit.install(str(file), base_url=HOME))
        except kit.KitError:
            continue
        specs[file.name.rsplit(".", 1)[0].removesuffix(".api")] = plugins[-1].spec
    for name, text in manifests(run).items():
        manifest = Manifest.read(json.loads(text))
        spec = specs.get(name) or Spec(
            one({"type": "object", "properties": {"name": {"type": "string"}}}), PUBLIC
        )
        plugins.append(InstalledPlugin(manifest, spec, HOME, Transport(Root.of(HOME))))
    return tuple(plugins)


@pytest.fixture(scope="module", params=RUNS)
def schema(request: pytest.FixtureRequest) -> Draft202012Validator:
    """The schema of what the kit writes, then Microsoft's complete one."""
    return validator(request.param)


@cache
def validator(run: str) -> Draft202012Validator:
    path = shared("corpus", "schemas", "m365-plugin-v2.4.schema.json")
    return Draft202012Validator(json.loads(path.read_text())) if run == "corpus" and path else COPILOT


def texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict | list):
            waiting += [*node, *node.values()] if isinstance(node, dict) else node


def damaged(document: Any) -> Iterator[Any]:
    """`document` with each of its places in turn removed, renamed, and set to another value."""
    places: list[tuple[list[Any], Any]] = [([], document)]
    for path, node in places:
        keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        places += [([*path, key], node[key]) for key in keys]
    for (*path, key), _ in places[1:]:
        for value in (None, 5, "", "no such thing", [{}], {"x": {}}, "left out", "renamed"):
            changed = copy.deepcopy(document)
            node = changed
            for step in path:
                node = node[step]
            if value not in ("left out", "renamed") or not isinstance(node, dict):
                node[key] = value
            else:
                old = node.pop(key)
                if value == "renamed":
                    node[f"{key} x"] = old
            yield changed


# -- what is rendered ---------------------------------------------------------


def test_our_own_plugin(todo: kit.Plugin) -> None:
    todo.public_url = "https://todo.example.com"
    plugin = kit.install(todo)
    manifest = copilot.render(plugin)
    functions = manifest.pop("functions")
    assert manifest == {
        "$schema": "https://developer.microsoft.com/json-schemas/copilot/plugin/v2.4/schema.json",
        "schema_version": "v2.4",
        "namespace": "todo",
        "name_for_human": "TODO Plugin",
        "description_for_human": "Manage your TODO list.",
        "description_for_model": "Plugin for managing a TODO list: add, list and delete the todos of a user.",
        "contact_email": "support@example.com",
        "logo_url": "https://todo.example.com/logo.svg",
        "legal_info_url": "https://todo.example.com/legal",
        "runtimes": [
            {
                "type": "OpenApi",
                "auth": {"type": "None"},
                "spec": {
                    "url": "openapi-3.0.json",
                    "progress_style": "ShowUsage",
                },
                "run_for_functions": ["add_todo", "list_todos", "delete_todo"],
            }
        ],
        "capabilities": {
            "conversation_starters": [
                {"text": "Add a todo to the list of a user"},
                {"text": "List the todos of a user"},
                {"text": "Delete a todo of a user by its number"},
            ]
        },
    }
    assert functions[0] == {
        "name": "add_todo",
        "description": "Add a todo to the list of a user",
        "parameters": {
            "type": "object",
            "properties": {
                "username": {"type": "string", "description": "The user whose list it is"},
                "todo": {"type": "string", "description": "The text of the todo"},
            },
            "required": ["username", "todo"],
        },
        "states": {"reasoning": {"instructions": [READ]}},
        "capabilities": {
            "confirmation": {
                "type": "AdaptiveCard",
                "title": "Add a todo to the list of a user",
                "body": "* **username**: {{function.parameters.username}}\n* **todo**: {{function.parameters.todo}}",
            },
            "security_info": {"data_handling": ["ResourceStateUpdate"]},
        },
    }
    assert functions[1] == {
        "name": "list_todos",
        "description": "List the todos of a user",
        "parameters": {
            "type": "object",
            "properties": {"username": {"type": "string", "description": "The user whose list it is"}},
            "required": ["username"],
        },
        "capabilities": {
            "confirmation": {"type": "None", "isNonConsequential": True},
            "security_info": {"data_handling": ["GetPublicData"]},
        },
    }
    (only,) = copilot.check(plugin)  # what is served is 3.1
    assert (only.severity, only.place) == ("warning", "/openapi")


@each_run
def test_every_plugin_gives_a_valid_manifest(run: str) -> None:
    assert len(collected(run)) >= {"own": 13, "corpus": 1000}[run]
    for plugin in collected(run):
        manifest = json.loads(json.dumps(copilot.render(plugin), allow_nan=False))
        for schema in map(validator, RUNS):
            assert errors(schema, manifest) == [], f"{plugin.spec.source}: {plugin.name}"
        assert max(map(len, texts(manifest))) <= 4096
        assert not [path for path in (SHARED, FOLDER) if str(path) in json.dumps(manifest)], "a local path"
        assert all(manifest.values()) or not plugin.tool_names, "an empty field was not left out"
        names = [function["name"] for function in manifest["functions"]]
        assert len(set(names)) == len(names) == len(plugin.tool_names)
        for finding in copilot.check(plugin):
            assert finding.host == "copilot"
            assert finding.place.startswith(("/", "manifest/"))
            assert finding.message.endswith(".")
            assert finding.remedy.endswith(".")
            assert finding.source


def test_a_validator_sees_what_is_wrong(
    schema: Draft202012Validator,
) -> None:
    good = copilot.render(made(one(body({"name": {"type": "string"}}))))
    assert schema.is_valid(good)
    runtime = good["runtimes"][0]
    parameter = {"type": "object", "properties": {"name": {"type": "string", "default": None}}}
    bad = [
        {**good, "runtimes": [{**runtime, "auth": {"type": "none"}}]},
        {**good, "runtimes": [{key: value for key, value in runtime.items() if key != "auth"}]},
        {key: value for key, value in good.items() if key != "namespace"},
        {**good, "namespace": "my_pets"},
        {**good, "functions": [{"name": "add_pet", "parameters": parameter}]},
    ]
    unseen = [{**good, "schema_version": "v2.3"}, {**good, "name_for_model": "pets"}]
    for manifest in bad + unseen:
        assert not schema.is_valid(manifest)
    if schema is not COPILOT:  # Microsoft's declares draft-04, as which it would let these through
        old = Draft4Validator({**schema.schema, "$schema": "http://json-schema.org/draft-04/schema#"})
        assert all(old.is_valid(manifest) for manifest in unseen)


if RUNS[1:]:

    def test_what_microsofts_schema_refuses_ours_refuses_too() -> None:
        theirs, refused = validator("corpus"), 0
        for plugin in collected("own"):
            good = json.loads(json.dumps(copilot.render(plugin)))
            for changed in damaged(good):
                if not theirs.is_valid(changed):
                    refused += 1
                    assert not COPILOT.is_valid(changed)
        assert refused > 300

    def test_the_real_manifests_are_as_valid_as_microsofts_own_schemas_find_them() -> None:
        odd = {}
        for file in sorted((SHARED / "corpus" / "m365").iterdir()):
            manifest = json.loads(file.read_text())
            name = f"m365-plugin-{manifest['schema_version']}.schema.json"
            theirs = Draft202012Validator(json.loads((SHARED / "corpus" / "schemas" / name).read_text()))
            places = [list(error.absolute_path) for error in theirs.iter_errors(manifest)]
            if places:
                odd[file.name.split("__")[2]] = places
        assert odd == {
            "da-adaptive-card-inline-edit-csharp": [["namespace"]],
            "da-adaptive-card-inline-edit-python": [["namespace"]],
        }


def test_the_auth_of_a_plugin_becomes_a_reference(schema: Draft202012Validator) -> None:
    kinds: dict[str, Any] = {
        "none": {"type": "None"},
        "oauth": {"type": "OAuthPluginVault", "reference_id": "${{OAUTH2_REGISTRATION_ID}}"},
        "service_http": {"type": "ApiKeyPluginVault", "reference_id": "${{APIKEY_REGISTRATION_ID}}"},
        "user_http": {"type": "ApiKeyPluginVault", "reference_id": "${{APIKEY_REGISTRATION_ID}}"},
    }
    for kind, expected in kinds.items():
        manifest = copilot.render(made(one(method="get"), auth={"type": kind}))
        assert manifest["runtimes"][0]["auth"] == expected
        assert schema.is_valid(manifest)
        (handling,) = manifest["functions"][0]["capabilities"]["security_info"]["data_handling"]
        assert handling == ("GetPublicData" if kind == "none" else "GetPrivateData")


def test_an_mcp_server_is_asked_for_its_tools(schema: Draft202012Validator) -> None:
    plugin = made(one(), auth={"type": "oauth"})
    manifest = copilot.render(plugin, serves_mcp=True)
    assert schema.is_valid(manifest)
    assert "functions" not in manifest
    (runtime,) = manifest["runtimes"]
    assert runtime["type"] == "RemoteMCPServer"
    assert runtime["spec"] == {"url": f"{HOME}/mcp"}
    with pytest.raises(kit.KitError, match="sends no API key to an MCP server"):
        copilot.render(made(one(), auth={"type": "user_http"}), serves_mcp=True)


def test_arguments_are_listed_as_far_as_copilot_can_read_them() -> None:
    properties = {
        "kind": {"type": "string", "enum": ["cat", "dog"], "default": "cat", "description": "What it is"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "legs": {"type": "integer", "enum": [2, 4], "default": 4},
        "names": {"type": "array", "items": {"type": "string", "minLength": 1}, "default": []},
        "tame": {"type": ["boolean", "null"], "default": True},
        "weight": {"type": "number", "default": "heavy"},
        "count": {"type": "integer", "default": True},
    }
    assert function(one(body(properties)))["parameters"] == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["cat", "dog"], "description": "What it is", "default": "cat"},
            "age": {"type": "integer"},
            "legs": {"type": "integer", "description": "One of: 2, 4.", "default": 4},
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
            "tame": {"type": "boolean", "default": True},
            "weight": {"type": "number"},
            "count": {"type": "integer"},
        },
    }


@pytest.mark.parametrize(
    "item",
    [
        {"type": "object", "properties": {"street": {"type": "string"}}},
        {"type": "array", "items": {"type": "object"}},
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": ["string", "integer"]},
        {},
    ],
)
def test_arguments_are_left_to_the_spec_if_copilot_cannot_express_one(item: Any) -> None:
    rendered = function(one(body({"name": {"type": "string"}, "more": item})))
    assert "parameters" not in rendered
    assert "{{function.parameters.more}}" in rendered["capabilities"]["confirmation"]["body"]


def test_a_name_that_the_manifest_cannot_have_leaves_them_to_the_spec_too() -> None:
    rendered = function(one(body({"first name": {"type": "string"}, "age": {"type": "integer"}})))
    assert "parameters" not in rendered
    assert rendered["capabilities"]["confirmation"]["body"] == "* **age**: {{function.parameters.age}}"
    twice = [{"name": "age", "in": "query", "schema": {"type": "integer"}}]
    assert "parameters" not in function(one(body({"age": {"type": "integer"}}), parameters=twice))


@pytest.mark.parametrize(
    ("method", "extension", "asks"),
    [("get", None, False), ("get", True, True), ("post", None, True), ("post", False, False)],
)
def test_calls_that_need_a_confirmation(method: str, extension: bool | None, asks: bool) -> None:
    more = {} if extension is None else {"x-openai-isConsequential": extension}
    rendered = function(one(method=method, **more))
    confirmation = rendered["capabilities"]["confirmation"]
    assert (confirmation["type"] == "AdaptiveCard") is asks
    assert confirmation.get("isNonConsequential", False) is not asks
    assert ("states" in rendered) is asks
    (handling,) = rendered["capabilities"]["security_info"]["data_handling"]
    assert handling == ("GetPublicData" if (method, asks) == ("get", False) else "ResourceStateUpdate")


def answering(schema: Any) -> dict[str, Any]:
    responses = {
        "404": {"description": "none", "content": {"application/json": {"schema": body({"name": {}})}}},
        200: {"$ref": "#/components/responses/found"},
    }
    response = {"description": "ok", "content": {"application/json": {"schema": schema}}}
    return {**one(method="get", responses=responses), "components": {"responses": {"found": response}}}


def test_an_answer_is_shown_by_what_its_fields_are() -> None:
    pet = body(
        {
            "displayName": {"type": "string"},
            "is_tame": {"type": "boolean"},
            "status": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "html_url": {"type": "string"},
            "owner": body({"name": {"type": "string"}}),
            "odd name": {"type": "string"},
        }
    )
    semantics = function(
        answering(body({"total": {"type": "integer"}, "items": {"type": "array", "items": pet}}))
    )["capabilities"]["response_semantics"]
    assert semantics == {
        "data_path": "$.items",
        "properties": {"title": "$.displayName", "subtitle": "$.status", "url": "$.html_url"},
        "static_template": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.5",
            "body": [
                {
                    "type": "TextBlock",
                    "text": "${if(displayName, displayName, 'N/A')}",
                    "weight": "Bolder",
                    "wrap": True,
                },
                {
                    "type": "FactSet",
                    "facts": [
                        {"title": "status", "value": "${if(status, status, 'N/A')}"},
                        {"title": "html_url", "value": "${if(html_url, html_url, 'N/A')}"},
                        {"title": "is_tame", "value": "${is_tame}"},
                    ],
                },
            ],
        },
    }


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "array", "items": body({"id": {"type": "integer"}})}, "$"),
        (body({"id": {"type": "integer"}, "labels": {"type": "array", "items": body({"x": {"type": "string"}})}}), "$"),
        (body({"pets": {"type": "array", "items": body({"x": {"type": "string"}})}}), "$.pets"),
        ({"allOf": [body({"id": {"type": "integer"}}), body({"name": {"type": "string"}})]}, "$"),
        ({"type": "array", "items": {"type": "string"}}, None),
        ({"$ref": "#/components/responses/found/content/application~1json/schema"}, None),
        ({"type": "string"}, None),
        ("nothing", None),
    ],
)  # fmt: skip
def test_where_the_items_of_an_answer_are(schema: Any, path: str | None) -> None:
    semantics = function(answering(schema))["capabilities"].get("response_semantics", {})
    assert semantics.get("data_path") == path


def test_a_plugin_with_nothing_in_its_manifest(schema: Draft202012Validator) -> None:
    plugin = InstalledPlugin(Manifest.read({}), Spec({"paths": {}}), HOME, Transport(Root.of(HOME)))
    manifest = copilot.render(plugin)
    assert schema.is_valid(manifest)
    assert (
        manifest["name_for_human"] == manifest["description_for_human"] == manifest["namespace"] == "plugin"
    )
    assert not manifest.keys() & {"logo_url", "contact_email", "description_for_model", "capabilities"}
    assert {f.place for f in copilot.check(plugin) if f.severity == "error"} == {
        "manifest/name_for_human",
        "manifest/description_for_human",
        "manifest/name_for_model",
    }


# -- what is ruled out --------------------------------------------------------


def found_in(plugin: InstalledPlugin) -> list[Finding]:
    """All but what is said of every document of another version than 3.0."""
    return [finding for finding in copilot.check(plugin) if finding.place != "/openapi"]


def test_a_plugin_without_flaws_has_no_findings() -> None:
    pet = body({"name": {"type": "string"}, "owner": {"readOnly": True, "type": "object"}})
    document = one(
        pet, security=[{"key": []}], parameters=[{"name": "n", "in": "query", "schema": {"type": "string"}}]
    )
    document["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "Bearer"}}}
    assert found_in(made(document, auth={"type": "service_http"})) == []


@pytest.mark.parametrize(
    ("manifest", "severity", "place", "message"),
    [
        ({"name_for_human": "P" * 21}, "warning", "name_for_human", "has 21 characters"),
        ({"name_for_human": " "}, "error", "name_for_human", "is empty"),
        ({"description_for_human": "P" * 101}, "warning", "description_for_human", "ignore those after 100"),
        (
            {"description_for_model": "P" * 2049},
            "warning",
            "description_for_model",
            "ignore those after 2048",
        ),
        ({"name_for_model": "___"}, "error", "name_for_model", "gives no namespace"),
        ({"legal_info_url": "/legal"}, "warning", "legal_info_url", "not an absolute URL"),
        (
            {"auth": {"type": "user_http", "authorization_type": "basic"}},
            "error",
            "auth/authorization_type",
            "as a bearer token",
        ),
    ],
)
def test_rules_for_the_manifest(manifest: Any, severity: str, place: str, message: str) -> None:
    (finding,) = found_in(made(one(), **manifest))
    assert (finding.severity, finding.place) == (severity, f"manifest/{place}")
    assert message in finding.message
    assert finding.source.startswith("https://github.com/MicrosoftDocs/m365copilot-docs/")


@pytest.mark.parametrize(
    ("operation", "severity", "place", "message"),
    [
        ({"operationId": "add-pet"}, "warning", "/operationId", "has a hyphen"),
        ({"summary": ""}, "warning", "", "neither summary nor description"),
        ({"description": "P" * 4001}, "warning", "/description", "the limit is 4K"),
    ],
)
def test_rules_for_an_operation(operation: Any, severity: str, place: str, message: str) -> None:
    (finding,) = found_in(made(one(**operation)))
    assert (finding.severity, finding.place) == (severity, f"/paths/~1pets/post{place}")
    assert message in finding.message
    assert finding.function in ("add_pet", "add-pet")


@pytest.mark.parametrize("own", [None, "pet", "add pet", "a.b", "п" * 3, "x" * 80])
def test_a_function_is_found_by_its_name_in_the_document_beside_the_manifest(own: str | None) -> None:
    node = {"operationId": own, "summary": "A pet", "responses": {}}
    plugin = made({"paths": {"/pets": {"get": node, "post": node}}})
    names = [f["name"] for f in copilot.render(plugin)["functions"]]
    document = kit.render(plugin, "openapi30")
    assert [it["operationId"] for it in document["paths"]["/pets"].values()] == names
    assert len(set(names)) == 2
    assert all(re.fullmatch("[A-Za-z0-9_]{1,64}", name) for name in names)
    assert found_in(plugin) == []


PARTS = {
    "nested": body({"owner": body({"name": {"type": "string"}})}),
    "listed": body({"owners": {"type": "array", "items": body({"name": {"type": "string"}})}}),
    "polymorphic": body({"kind": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}),
    "circular": body({"children": {"type": "array", "items": {"$ref": "#/components/schemas/circular"}}}),
    "enum": body({"legs": {"type": "integer", "enum": [2, 4]}}),
    "referring": body({"owner": {"$ref": "#/components/schemas/plain"}}),
    "chain": body({"owners": {"$ref": "#/components/schemas/list"}}),
    "list": {"type": "array", "items": {"$ref": "#/components/schemas/plain"}},
    "plain": body({"name": {"type": "string"}}),
}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("nested", ["has an object inside (#/components/schemas/nested/properties/owner)"]),
        ("listed", ["has an object inside (#/components/schemas/listed/properties/owners/items)"]),
        ("referring", ["has an object inside (#/components/schemas/plain)"]),
        ("chain", ["has an object inside (#/components/schemas/plain)"]),
        ("list", []),
        (
            "polymorphic",
            ["uses oneOf, allOf or anyOf (#/components/schemas/polymorphic/properties/kind/oneOf)"],
        ),
        (
            "circular",
            [
                "has an object inside (#/components/schemas/circular)",
                "has a schema that contains itself (#/components/schemas/circular)",
            ],
        ),
        ("enum", ["has an enum with values other than text (#/components/schemas/enum/properties/legs)"]),
        ("plain", []),
    ],
)
def test_rules_for_a_body(part: str, expected: list[str]) -> None:
    document = {**one({"$ref": f"#/components/schemas/{part}"}), "components": {"schemas": PARTS}}
    findings = found_in(made(document))
    assert [finding.message for finding in findings] == [f"The body of add_pet {text}." for text in expected]
    assert {finding.place for finding in findings} <= {"/paths/~1pets/post/requestBody"}
    assert {finding.function for finding in findings} <= {"add_pet"}
    assert {finding.severity for finding in findings} <= {"warning"}  # Microsoft's parser takes all of them


def test_rules_for_parameters_of_an_operation_and_of_its_path() -> None:
    document = one(parameters=[{"$ref": "#/components/parameters/filter"}])
    where = {
        "name": "where",
        "in": "query",
        "content": {"application/json": {"schema": {"anyOf": [{}, {"type": "string"}]}}},
    }
    document["paths"]["/pets"]["parameters"] = [where]
    by = {"name": "filter", "in": "query", "schema": body({"x": {"type": "string"}})}
    document["components"] = {"parameters": {"filter": by}}
    assert [(finding.place, finding.message) for finding in found_in(made(document))] == [
        (
            "/paths/~1pets/parameters/0",
            "The parameter 'where' of add_pet uses oneOf, allOf or anyOf (anyOf).",
        ),
        ("/paths/~1pets/post/parameters/0", "The parameter 'filter' of add_pet has an object inside."),
    ]


@pytest.mark.parametrize(
    ("scheme", "severity", "message"),
    [
        ({"type": "apiKey", "in": "cookie", "name": "k"}, "error", "goes into a cookie"),
        ({"type": "apiKey", "in": "query", "name": "k"}, "warning", "goes into the query"),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, "warning", "goes into a header of its own"),
        ({"type": "oauth2", "flows": {"implicit": {}}}, "error", "no authorization code flow"),
        ({"type": "http", "scheme": "basic"}, "error", "is HTTP 'basic'"),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://x.example.com"}, "error", "no openIdConnect"),
        ({"type": "http", "scheme": "bearer"}, "", ""),
        ({"type": "oauth2", "flows": {"authorizationCode": {}}}, "", ""),
        ({"type": "apiKey", "in": "header", "name": "Authorization"}, "", ""),
    ],
)
def test_rules_for_a_security_scheme(scheme: Any, severity: str, message: str) -> None:
    document = {
        **one(),
        "security": [{"a/b": []}],
        "components": {"securitySchemes": {"a/b": scheme, "c": {}}},
    }
    findings = found_in(made(document, auth={"type": "oauth"}))
    assert [finding.severity for finding in findings] == [severity] * bool(severity)
    for finding in findings:
        assert finding.place == ("/security" if severity == "error" else "/components/securitySchemes/a~1b")
        assert message in finding.message


@pytest.mark.parametrize(
    ("security", "severity", "message"),
    [
        ([{"a": [], "b": []}], "error", "Both of a, b"),
        ([{}, {"a": [], "b": []}], "error", "Both of a, b"),
        ([{"a": []}, {"b": []}], "warning", "Each of a, b"),
        ([{"a": []}, {"a": [], "b": []}], "warning", "Each of a, b"),
        ([{"a": []}, {"basic": []}], "warning", "Each of a, basic"),
        ([{}, {"basic": []}], "", ""),
    ],
)
def test_several_schemes_at_one_endpoint(security: Any, severity: str, message: str) -> None:
    bearer = {"type": "http", "scheme": "bearer"}
    schemes = {"a": bearer, "b": bearer, "basic": {"type": "http", "scheme": "basic"}}
    document = {**one(security=security), "components": {"securitySchemes": schemes}}
    findings = found_in(made(document, auth={"type": "oauth"}))
    assert [(it.severity, it.place) for it in findings] == (
        [(severity, "/paths/~1pets/post/security")] if severity else []
    )
    assert all(message in it.message for it in findings)


def test_a_spec_that_asks_for_auth_beside_a_manifest_that_does_not() -> None:
    (finding,) = found_in(made({**one(), "security": [{"key": []}]}))
    assert finding.place == "manifest/auth"


def test_more_functions_than_copilot_is_good_with() -> None:
    paths = {f"/{n}": {"get": {"operationId": f"op{n}", "summary": "One"}} for n in range(11)}
    (finding,) = found_in(made({"paths": paths}))
    assert (finding.severity, finding.place) == ("warning", "/paths")
    assert "There are 11 functions" in finding.message


def test_a_spec_that_does_not_say_what_it_is_for() -> None:
    (finding,) = found_in(made({**one(), "info": {"title": "Pets", "version": "1"}}))
    assert finding.place == "/info"


def test_addresses_that_microsoft_does_not_reach(
    todo: kit.Plugin, server: kit.Server, tmp_path: Path
) -> None:
    for plugin in (kit.install(todo), kit.install(server)):
        findings = found_in(plugin)
        assert [(f.severity, f.place) for f in findings] == [("error", "/servers")]
    assert found_in(made(one(), "http://api.example.com/openapi.json")) == []
    file = tmp_path / "my pets.json"
    file.write_text(json.dumps(made(one()).spec.document))
    plugin = kit.install(str(file), base_url=HOME)
    assert found_in(plugin) == []
    assert copilot.render(plugin)["runtimes"][0]["spec"]["url"] == "openapi-3.0.json"


def test_names_of_functions_stay_unique_where_they_had_to_be_changed() -> None:
    ids = ["a b", "a_b", "_c", "c", ""]
    paths = {f"/{n}": {"get": {"operationId": name, "summary": "One"}} for n, name in enumerate(ids)}
    names = [f["name"] for f in copilot.render(made({"paths": paths}))["functions"]]
    assert len(set(names)) == 5


def test_rules_end_soon_where_schemas_all_contain_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = {
        f"s{n}": body({f"p{k}": {"$ref": f"#/components/schemas/s{(n * 7 + k * 13) % 40}"} for k in range(9)})
        for n in range(40)
    }
    paths = {}
    for n in range(40):
        add = one({"type": "array", "items": {"$ref": f"#/components/schemas/s{n}"}}, operationId=f"op{n}")
        paths[f"/{n}"] = add["paths"]["/pets"]
    plugin = made({"paths": paths, "components": {"schemas": schemas}})
    assert sum("contains itself" in finding.message for finding in found_in(plugin)) == 40
    monkeypatch.setattr(copilot_rules, "MAX_VISITS", 500)
    findings = found_in(plugin)
    assert 0 < sum("contains itself" in finding.message for finding in findings) < 40
    assert "too many schemas to check them all" in findings[-1].message


def test_a_schema_that_holds_itself_as_an_anchor_of_yaml_can_make_it() -> None:
    loop: dict[str, Any] = body({})
    loop["properties"]["self"] = loop
    bomb: dict[str, Any] = {"type": "string"}
    for _ in range(30):
        bomb = body({"a": bomb, "b": bomb})
    schemas = copilot_rules._Schemas(Spec({"paths": {}}))
    for schema in (loop, bomb):
        assert list(schemas.flaws(schema, 0)) == ["nested"]
    assert schemas.budget > copilot_rules.MAX_VISITS - 300


@each_run
def test_rules_over_a_thousand_operations_take_less_than_a_second(run: str) -> None:
    path = shared("corpus", "openapi", "kubernetes__swagger2.json")
    old = json.loads(path.read_text()) if run == "corpus" and path else large()
    paths: dict[str, Any] = {}
    for path, item in old["paths"].items():
        for method, node in item.items():
            if method == "parameters":
                continue
            (schema, *_) = [p["schema"] for p in node.get("parameters", []) if p.get("in") == "body"] or [
                None
            ]
            kept = [p for p in node.get("parameters", []) if p.get("in") != "body"]
            new = one(schema, method, **{**node, "parameters": kept, "responses": {}})["paths"]["/pets"]
            paths.setdefault(path, {}).update(new)
    plugin = made({"paths": paths, "definitions": old["definitions"]})
    assert len(plugin.tool_names) > 1000
    start = time.process_time()
    findings = found_in(plugin)
    assert time.process_time() - start < 1
    assert sum("has an object inside" in finding.message for finding in findings) > 100


# -- texts --------------------------------------------------------------------

WIDE = st.text(st.characters(), max_size=120)  # including lone surrogates


@given(WIDE, st.integers(2, 60))
def test_a_text_is_cut_after_a_word(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short) <= limit
    short.encode()
    whole = text.encode("utf-8", "replace").decode().strip()
    if len(whole) <= limit:
        assert short == whole
    else:
        assert short.endswith("…")
        assert whole.startswith(short[:-1])
        assert cut(short, limit) == short


def test_cutting_keeps_words_whole_where_there_are_any() -> None:
    assert cut("one two three", 9) == "one two…"
    assert cut("one two three", 8) == "one two…"
    assert cut("alpha beta gamma delta", 17) == "alpha beta gamma…"
    assert cut("onetwothree", 5) == "onet…"
    assert cut("one two", 7) == "one two"


@given(WIDE, WIDE, WIDE, st.lists(WIDE, max_size=4, unique=True))
def test_whatever_a_stranger_writes_the_manifest_is_valid(
    name: str, text: str, argument: str, ids: list[str]
) -> None:
    paths = {}
    for number, identifier in enumerate(ids):
        node = one(body({argument: {"type": "string", "default": text, "enum": [text, name]}}), operationId=identifier, summary=text)  # fmt: skip
        paths[f"/{number}"] = node["paths"]["/pets"]
    plugin = made({"paths": paths}, name_for_model=name, name_for_human=text, description_for_human=name)
    manifest = copilot.render(plugin)
    for schema in map(validator, RUNS):
        assert errors(schema, manifest) == []
    list(copilot.check(plugin))
