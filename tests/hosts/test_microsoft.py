"""Microsoft's own parser, on which its toolkit is built, reads what the kit writes for Copilot, and `check` agrees with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import shared
from npm import node, node_package
from ordinary import PUBLIC, ordinary
from paths import NOTEBOOKS

import kit
from kit.demo import make_plugin
from kit.hosts import check_description

# The options of the toolkit itself, packages/fx-core/src/component/feature/.../openApi in
# OfficeDev/microsoft-365-agents-toolkit: each method, each auth, ids that it makes where there are none.
READ = """
const { SpecParser, ProjectType } = pkg;
const path = require('path');
const options = {
  projectType: ProjectType.Copilot, isGptPlugin: true, allowMultipleParameters: true, allowMissingId: true,
  allowSwagger: true, allowAPIKeyAuth: true, allowBearerTokenAuth: true, allowOauth2: true, allowResponseSemantics: true,
  allowMethods: ['get', 'post', 'put', 'delete', 'patch', 'head', 'connect', 'options', 'trace'],
};
const app = { $schema: 'https://developer.microsoft.com/en-us/json-schemas/teams/v1.19/MicrosoftTeams.schema.json', manifestVersion: '1.19', name: { short: 'x' }, description: {} };
const all = [];
for (const file of given.files) {
  const found = {};
  all.push(found);
  try {
    const parser = new SpecParser(file, options);
    found.errors = (await parser.validate()).errors.map(error => error.type);
    found.list = (await parser.list()).APIs.map(api => [api.operationId, api.isValid, api.reason]);
    const app_file = path.join(given.folder, 'manifest.json');
    fs.writeFileSync(app_file, JSON.stringify(app));
    const written = path.join(given.folder, `made-${all.length}.json`);
    const valid = (await parser.list()).APIs.filter(api => api.isValid).map(api => api.api);
    const made = await new SpecParser(file, options).generateForCopilot(app_file, valid, path.join(given.folder, 'spec.json'), written);
    found.warnings = made.warnings.map(warning => [warning.type, warning.data]);
    found.manifest = JSON.parse(fs.readFileSync(written, 'utf8'));
  } catch (error) { found.raised = String(error); }
}
return all;
"""


def read(files: list[Path], folder: Path) -> list[dict[str, Any]]:
    """What Microsoft's parser says of each document, and the manifest that it makes of it."""
    package = node_package("@microsoft/m365-spec-parser", "0.3.2")
    given = {"files": list(map(str, files)), "folder": str(folder)}
    found = node(package, READ, given)
    assert isinstance(found, list)
    return found


def written(document: dict[str, Any], file: Path) -> Path:
    file.write_text(json.dumps(document))
    return file


def tutorial() -> kit.Plugin:
    plugin = kit.load(NOTEBOOKS / "04_operations.ipynb")
    plugin.public_url = PUBLIC
    return plugin


def demo() -> kit.Plugin:
    plugin = make_plugin()
    plugin.public_url = PUBLIC
    return plugin


def with_a_token() -> kit.Plugin:
    return ordinary(auth=kit.ServiceHttp(tokens="s3cret-for-tests"))


def test_it_takes_every_operation_and_makes_the_same_functions(tmp_path: Path) -> None:
    plugins = [kit.install(plugin) for plugin in (tutorial(), demo(), ordinary(), with_a_token())]
    documents = [kit.render(plugin, "openapi30") for plugin in plugins]
    files = [written(it, tmp_path / f"{number}.json") for number, it in enumerate(documents)]
    for plugin, found in zip(plugins, read(files, tmp_path), strict=True):
        ours, theirs = kit.render(plugin, "copilot"), found["manifest"]
        names = [function["name"] for function in ours["functions"]]
        assert len(names) == len(plugin.spec.operations) >= 3
        assert found["errors"] == []
        assert found["list"] == [[name, True, []] for name in names]
        assert found["warnings"] == []
        assert [function["name"] for function in theirs["functions"]] == names
        runtimes = [(it["auth"]["type"], it["run_for_functions"]) for it in ours["runtimes"]]
        assert [(it["auth"]["type"], it["run_for_functions"]) for it in theirs["runtimes"]] == runtimes
        assert check_description(plugin, "copilot").errors == []


BEARER = {"type": "http", "scheme": "Bearer"}
SCHEMES = {
    "bearer": BEARER,
    "other": BEARER,
    "basic": {"type": "http", "scheme": "basic"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "k"},
    "query": {"type": "apiKey", "in": "query", "name": "k"},
    "oauth": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": f"{PUBLIC}/a", "tokenUrl": f"{PUBLIC}/t", "scopes": {}}}},
    "client": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": f"{PUBLIC}/t", "scopes": {}}}},
    "oidc": {"type": "openIdConnect", "openIdConnectUrl": f"{PUBLIC}/oidc"},
}  # fmt: skip
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "open": [],
    "bearer": [{"bearer": []}],
    "both": [{"bearer": [], "other": []}],
    "both_or_none": [{}, {"bearer": [], "other": []}],
    "both_or_one": [{"bearer": []}, {"bearer": [], "other": []}],
    "either": [{"bearer": []}, {"query": []}],
    "basic": [{"basic": []}],
    "basic_or_bearer": [{"basic": []}, {"bearer": []}],
    "cookie": [{"cookie": []}],
    "query": [{"query": []}],
    "oauth": [{"oauth": []}],
    "client": [{"client": []}],
    "oidc": [{"oidc": []}],
}


def test_an_error_is_what_it_refuses_or_calls_without_a_credential(tmp_path: Path) -> None:
    node = {"type": "object", "properties": {"nodes": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}}}  # fmt: skip
    either = {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    bodies = {"nested": {"type": "object", "properties": {"inner": node}}, "circular": node, "either": either, "list": {"type": "array", "items": node}}  # fmt: skip
    said = {"summary": "Does it", "responses": {"200": {"description": "ok"}}}
    paths = {f"/{name}": {"get": {**said, "operationId": name, "security": it}} for name, it in SECURITY.items()} | {
        f"/{name}": {"post": {**said, "operationId": name, "requestBody": {"content": {"application/json": {"schema": it}}}}}
        for name, it in bodies.items()
    }  # fmt: skip
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1", "description": "T."},
        "servers": [{"url": PUBLIC}],
        "paths": paths,
        "components": {"schemas": {"Node": node}, "securitySchemes": SCHEMES},
    }
    assert agreement([written(document, tmp_path / "made.json")], tmp_path) == (len(paths), 6)


@pytest.mark.parametrize("servers", [None, [{"url": "/api"}]])
def test_a_spec_without_an_address_is_an_error_as_it_is_to_the_parser(servers: Any, tmp_path: Path) -> None:
    paths = {"/a": {"get": {"operationId": "a", "summary": "A", "responses": {"200": {"description": ""}}}}}
    document = {"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths}
    file = written({**document, "servers": servers} if servers else document, tmp_path / "made.json")
    plugin = kit.install(str(file))
    (found,) = read([written(kit.render(plugin, "openapi30"), tmp_path / "low.json")], tmp_path)
    assert found["errors"]
    for host in ("copilot", "openapi30"):
        assert [it.place for it in check_description(plugin, host).of(host) if it.severity == "error"] >= ["/servers"]  # fmt: skip


def test_check_agrees_with_it_on_the_samples_of_microsoft(tmp_path: Path) -> None:
    if (folder := shared("corpus", "openapi")) is None:
        pytest.skip("no corpus at ../shared")
    operations, _ = agreement(sorted(folder.glob("m365-*")), tmp_path)
    assert operations > 100


def agreement(files: list[Path], folder: Path) -> tuple[int, int]:
    """(operations, those with an error): asserts that `check` has one for those that the parser has one for."""
    plugins = [kit.install(str(file), base_url=PUBLIC) for file in files]
    lowered = [
        # the toolkit's variables, which it reads from its environment
        written(json.loads(re.sub(r"\$\{\{\w+}}", "x", json.dumps(kit.render(plugin, "openapi30")))), folder / f"{number}.low.json")
        for number, plugin in enumerate(plugins)
    ]  # fmt: skip
    total = bad = 0
    for plugin, found in zip(plugins, read(lowered, folder), strict=True):
        assert found.get("raised") is None
        assert found["errors"] == [], plugin.name
        without = {name for kind, name in found["warnings"] if kind == "unsupported-auth-type"}
        optional = {name for name, tool in plugin.by_name.items() if {} in tool.operation.security}
        theirs = {name for name, is_valid, _ in found["list"] if not is_valid} | (without - optional)
        errors = [it for it in check_description(plugin, "copilot").errors if "ecurity" in it.place]
        ours = {name for it in errors for name in ([it.function] if it.function else _inheriting(plugin))}
        assert ours == theirs, plugin.name
        total, bad = total + len(found["list"]), bad + len(theirs)
    return total, bad


def _inheriting(plugin: Any) -> list[str]:
    return [name for name, tool in plugin.by_name.items() if "security" not in tool.operation.raw]
