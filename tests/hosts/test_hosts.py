"""What hosts get from a plugin, and what `check` reports about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator
from paths import NOTEBOOKS
from pydantic import BaseModel
from strangers import Stranger, manifest, openapi

import kit
from kit import hosts
from kit.description import Description


def test_every_host_is_rendered_from_a_plugin_and_from_an_installed_one(todo: kit.Plugin) -> None:
    installed = kit.install(todo)
    for host in hosts.HOSTS:
        rendered = kit.render(todo, host)
        assert rendered
        if host != "langchain":
            assert json.loads(json.dumps(rendered)) == json.loads(json.dumps(kit.render(installed, host)))
        assert hosts.find(host).TITLE
    with pytest.raises(kit.KitError, match=r"no host 'copilt'.*\n.*Did you mean 'copilot'"):
        kit.render(todo, "copilt")


def test_a_description_is_enough_for_all_but_calls(todo: kit.Plugin) -> None:
    installed = kit.install(todo)
    alone = Description(installed.manifest, installed.spec, installed.base_url, serves_mcp=True)
    assert not hasattr(alone, "call")
    assert repr(alone) == repr(installed).replace("installed from", "at")
    assert kit.check(alone) == kit.check(installed)
    for host in hosts.HOSTS:
        if host != "langchain":
            assert kit.render(alone, host) == kit.render(installed, host)
    with pytest.raises(kit.KitError, match=r"tools call the plugin.*\n.*kit\.install"):
        kit.render(alone, "langchain")


def test_the_addresses_are_those_of_the_server_or_the_public_url(todo: kit.Plugin) -> None:
    with kit.serve(todo) as server:
        assert kit.render(todo, "chatgpt")["api"]["url"] == server.spec_url
        assert kit.render(todo, "actions")["servers"] == [{"url": server.url}]
        assert (
            kit.render(todo, "agent_plugin")["mcp.json"]["mcpServers"]["todo"]["url"] == f"{server.url}/mcp"
        )
    public = kit.Plugin("todo", description_for_model="x", public_url="https://todo.example.com")
    assert kit.render(public, "chatgpt")["api"]["url"] == "https://todo.example.com/.well-known/openapi.json"
    assert kit.render(public, "openapi30")["servers"] == [{"url": "https://todo.example.com"}]


def test_actions_is_a_valid_document_within_the_builders_limits() -> None:
    plugin = kit.Plugin(
        "bank",
        description_for_model="Plugin for money.",
        auth=kit.OAuth(
            "https://bank.example.com/login", "https://bank.example.com/token", scope="read write"
        ),
        public_url="https://bank.example.com",
    )

    @plugin.post("/pay/{account}", summary="s" * 400, description="d" * 500)
    def pay(account: str, amount: float) -> dict[str, str]:
        return {}

    @plugin.get("/balance", openapi_extra={"x-openai-isConsequential": True})
    def balance() -> float:
        return 0

    document = kit.render(plugin, "actions")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert document["openapi"] == "3.0.3"
    assert document["servers"] == [{"url": "https://bank.example.com"}]
    one = document["paths"]["/pay/{account}"]["post"]
    assert one["operationId"] == "pay"
    assert one["x-openai-isConsequential"] is True
    assert document["paths"]["/balance"]["get"]["x-openai-isConsequential"] is True
    assert len(one["summary"]) == len(one["description"]) == 300
    flow = document["components"]["securitySchemes"]["auth"]["flows"]["authorizationCode"]
    assert flow == {
        "authorizationUrl": "https://bank.example.com/login",
        "tokenUrl": "https://bank.example.com/token",
        "scopes": {"read": "read", "write": "write"},
    }
    assert document["security"] == [{"auth": []}]


def found(plugin: Any, host: str) -> list[str]:
    return [f"{finding.severity} {finding.place}: {finding.message}" for finding in kit.check(plugin, host)]


def has(findings: list[str], words: str) -> bool:
    return any(re.search(words, finding) for finding in findings)


class Listed(BaseModel):
    todos: list[str]


def test_a_clean_public_plugin_is_ready_everywhere() -> None:
    plugin = kit.Plugin(
        "todo",
        name_for_human="TODO",
        description_for_model="Plugin for TODO lists. Use it to add, list and delete what a user has to do.",
        description_for_human="Keeps your TODO list.",
        contact_email="help@todo.example.com",
        public_url="https://todo.example.com",
        description="Keeps TODO lists.",
        version="1.0.0",
    )

    @plugin.get("/todos", summary="List all todos", description="Every todo, the oldest first.")
    def list_todos() -> Listed:
        return Listed(todos=[])

    findings = kit.check(plugin)
    assert findings.ok, findings
    assert findings.verdicts["actions"] == "ready"
    assert findings.verdicts["documents"] == "ready"
    assert findings.verdicts["chatgpt"] == "ready"
    assert findings.verdicts["openai"] == "ready"
    assert all(verdict.startswith("ready") for verdict in findings.verdicts.values()), findings


def test_rules_of_chatgpt() -> None:
    long = kit.Plugin(
        "shop",
        name_for_human="A name of more than twenty characters",
        description_for_model="x",
        description_for_human="y" * 110,
        contact_email="me@elsewhere.example",
        auth=kit.ServiceHttp(),
        public_url="http://shop.example.com:8080",
    )

    @long.get("/a", summary="s" * 250)
    def a() -> str:
        return ""

    findings = found(long, "chatgpt")
    assert has(findings, "warning manifest/name_for_human: .* 37 characters")
    assert has(findings, "warning manifest/description_for_human: .* 110 characters")
    assert has(findings, "error /servers: http://shop.example.com:8080 is not https on port 443")
    assert has(findings, "warning manifest/contact_email: me@elsewhere.example is not on the domain")
    assert has(findings, "warning manifest/auth/verification_tokens")
    assert has(findings, "warning /paths/~1a/get/summary: The summary has 250 characters, the limit is 200")
    local = kit.Plugin("shop", description_for_model="x", auth=kit.UserHttp(verify=str.strip))
    with kit.serve(local):
        findings = found(local, "chatgpt")
    assert has(findings, "error manifest/auth/type: On localhost ChatGPT took no auth")
    assert has(findings, "user_http was not admitted")


def test_rules_of_actions() -> None:
    upload = {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}
    paths = {
        "/a": {
            "get": {
                "operationId": "get it",
                "description": "d" * 301,
                "parameters": [
                    {"name": "X-Key", "in": "header", "required": True, "schema": {"type": "string"}},
                    {"name": "c", "in": "cookie", "schema": {"type": "string"}},
                    {"name": "q", "in": "query", "description": "q" * 701, "schema": {"type": "string"}},
                ],
            },
            "post": {"operationId": "send", "requestBody": upload},
            "query": {"operationId": "look"},
        },
        **{f"/{n}": {"get": {"operationId": f"n{n}"}} for n in range(30)},
    }
    with Stranger({"/openapi.json": (200, {}, {**openapi(paths), "openapi": "3.2.0"})}) as stranger:
        findings = found(f"{stranger.url}/openapi.json", "actions")
    assert has(findings, "error /servers: .* cannot be reached from outside")
    assert has(findings, "error .*: 'X-Key' is a header")
    assert has(findings, "warning .*: 'c' is a cookie")
    assert has(findings, "the limit is 300")
    assert has(findings, "description of 'q' has 701 characters, the limit is 700")
    assert has(findings, "more than 30 may be refused")
    assert has(findings, "error .*: OpenAPI 3.0 has no method QUERY")
    assert has(findings, "The body is multipart/form-data")
    assert has(findings, "'get it' is not the name of a function: 'get_it' is")


def test_rules_of_openai() -> None:
    paths = {
        f"/{n}": {"get": {"operationId": f"n{n}", "description": "d" * 1100 if n == 1 else ""}}
        for n in range(130)
    }
    with Stranger({"/openapi.json": (200, {}, openapi(paths))}) as stranger:
        findings = found(f"{stranger.url}/openapi.json", "openai")
        assert has(findings, "There are 130 tools; one request takes 128")
        assert has(findings, "neither summary nor description")
        assert has(findings, "more than 1,024 have been refused")
        rule = next(
            finding
            for finding in kit.check(f"{stranger.url}/openapi.json", "openai")
            if "128" in finding.message
        )
    assert rule.source.startswith("no official text")


def test_what_no_model_can_know(todo: kit.Plugin) -> None:
    plugin = kit.Plugin("a", description_for_model="x")

    @plugin.get("/one", summary="Find the newest entry of a user")
    def one(user, due_date: str) -> str:  # type: ignore[no-untyped-def]
        return ""

    @plugin.get("/two", summary="Find the newest entry of the user")
    def two(id: int) -> str:
        return ""

    findings = kit.check(plugin, "documents")
    messages = {
        (finding.function, finding.message.split(":")[0].split(" is a date")[0]) for finding in findings
    }
    assert ("one", "The argument 'user' has no type") in messages
    assert ("one", "The argument 'due_date'") in messages
    assert ("two", "Its description is almost that of 'one'") in messages
    assert kit.check(todo, "documents") == []


def test_flaws_of_documents_are_reported_once_for_all_hosts() -> None:
    pages: dict[str, Any] = {
        "/.well-known/ai-plugin.json": (
            200,
            {},
            manifest("/spec.json", contact_email="nobody", colour="red"),
        ),
        "/spec.json": (
            200,
            {},
            openapi({"/a/{x}": {"get": {"operationId": "same"}}, "/b": {"get": {"operationId": "same"}}}),
        ),
    }
    with Stranger(pages) as stranger:
        findings = kit.check(stranger.url)
    places = {(finding.place, finding.function) for finding in findings.of("documents")}
    assert ("manifest/contact_email", "") in places
    assert ("manifest/colour", "") in places
    assert ("/paths/~1b/get/operationId", "same_2") in places
    assert findings.verdicts["copilot"].startswith("not ready: ")
    text, html = repr(findings), findings._repr_html_()
    for shown in (text, html):
        assert "not ready" in shown
        assert "colour" in shown
    assert "<th" in html
    assert not findings.ok
    assert len(findings.errors) < len(findings)


# -- the command ----------------------------------------------------------------------


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kit", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=60, env={**os.environ, "COLUMNS": "200"}
    )


def test_check_and_render_on_the_command_line(tmp_path: Path, server: kit.Server) -> None:
    process = run("check", server.url, "--host", "openai")
    assert process.returncode == 0, process.stderr
    assert "openai  ready" in process.stdout
    process = run("check", server.url, "--json")
    assert process.returncode == 1
    assert {"host", "severity", "place", "message", "remedy", "source", "function"} == set(
        json.loads(process.stdout)[0]
    )
    assert run("check", server.url, "--host", "nobody").returncode == 1

    process = run("render", "actions", server.url)
    assert json.loads(process.stdout)["openapi"] == "3.0.3"
    process = run("render", "agent_plugin", server.url, "--out", str(tmp_path / "package"))
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "package" / "plugin.json").is_file()
    assert (tmp_path / "package" / "skills" / "todo" / "SKILL.md").is_file()
    process = run("render", "agent_plugin", server.url, "--out", str(tmp_path / "package"))
    assert process.returncode == 1
    assert "exists already" in process.stderr
    process = run("render", "langchain", server.url)
    assert process.returncode == 1
    assert "Python objects, not files" in process.stderr


def test_commands_take_a_notebook_and_a_part(tmp_path: Path) -> None:
    notebook = NOTEBOOKS / "04_operations.ipynb"
    env = {**os.environ, "DATABASE_URL": "sqlite://"}
    command = [sys.executable, "-m", "kit", "spec", str(notebook), "list_todos"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60)
    assert process.returncode == 0, process.stderr
    assert "1 operation" in process.stdout
    assert "list_todos" in process.stdout


def secured(auth: Any) -> kit.Plugin:
    plugin = kit.Plugin(
        "bank", description_for_model="Money.", auth=auth, public_url="https://bank.example.com"
    )

    @plugin.get("/balance")
    def balance() -> dict[str, int]:
        """The balance of an account."""
        return {"balance": 1}

    @plugin.get("/rates", openapi_extra={"security": []})
    def rates() -> dict[str, int]:
        """The rates of today, for everyone."""
        return {"rate": 1}

    return plugin


def test_every_host_is_told_the_auth_that_the_plugin_has() -> None:
    urls = ("https://bank.example.com/login", "https://bank.example.com/token")
    oauth = secured(kit.OAuth(*urls, verify=str.strip))
    service = secured(kit.ServiceHttp(tokens="violet-horse"))
    for plugin, kind, vault in (
        (oauth, "oauth2", "OAuthPluginVault"),
        (service, "http", "ApiKeyPluginVault"),
    ):
        actions = kit.render(plugin, "actions")
        assert list(OpenAPIV30SpecValidator(actions).iter_errors()) == []
        assert actions["components"]["securitySchemes"]["auth"]["type"] == kind
        assert actions["paths"]["/rates"]["get"]["security"] == []
        assert "security" not in actions["paths"]["/balance"]["get"]
        assert kit.render(plugin, "copilot")["runtimes"][0]["auth"]["type"] == vault
        (tool,) = kit.render(plugin, "openai", serves_mcp=True)
        assert tool["server_url"] == "https://bank.example.com/mcp"
        assert tool["authorization"] == "YOUR_TOKEN"
        for host in ("actions", "copilot", "documents"):
            assert not [it for it in kit.check(plugin, host) if "auth" in it.place or "ecurity" in it.place]
        assert "violet-horse" not in str(
            [kit.render(plugin, host) for host in ("chatgpt", "actions", "copilot")]
        )
    # an MCP client signs in by OAuth itself, and needs to be told a token
    assert not has(found(oauth, "mcp"), "auth")
    assert not has(found(oauth, "agent_plugin"), "auth")
    assert has(found(service, "mcp"), "warning manifest/auth: .* only by OAuth 2.1")
    assert has(found(service, "agent_plugin"), "warning manifest/auth: .* must not contain a token")
    with pytest.raises(kit.KitError, match="bearer token"):
        kit.render(secured(kit.UserHttp("basic", verify=str.strip)), "openai", serves_mcp=True)
    with pytest.raises(kit.KitError, match="no MCP tool"):
        kit.render(service, "openai", api="chat", serves_mcp=True)


@pytest.mark.parametrize("is_of_the_path", [True, False])
def test_the_server_of_one_operation_reaches_the_document_of_actions(is_of_the_path: bool) -> None:
    own = {"servers": [{"url": "https://api.example.com/v2"}]}
    operation = {"operationId": "op", "responses": {"200": {"description": ""}}}
    item = {**own, "get": operation} if is_of_the_path else {"get": {**operation, **own}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://api.example.com/v1"}],
        "paths": {"/a": item, "/b": {"get": {**operation, "operationId": "other"}}},
    }
    base = "https://api.example.com/v1"
    plugin = Description(kit.Manifest.read({}), kit.Spec(document), base)
    rendered = kit.render(plugin, "actions")
    assert rendered["servers"] == [{"url": base}]
    assert rendered["paths"]["/a"]["get"]["servers"] == own["servers"]
    assert "servers" not in rendered["paths"]["/b"]["get"]
