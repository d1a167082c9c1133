"""Agent Plugins: the package of a plugin, for a corpus of real specs, and what the format rules out."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from collection import FOLDER, each_run
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from oracles import AGENT_MCP, AGENT_PLUGIN, errors
from paths import SHARED, shared
from test_copilot import HOME, PUBLIC, WIDE, body, collected, made, one

import kit
from kit.hosts import agent_plugin
from kit.hosts.agent_plugin import escape, legal_name

NAME = re.compile(r"(?!.*(?:--|\.\.))[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")  # Agent Plugins 1.0.0, 5.5


@pytest.fixture(scope="module")
def schemas() -> dict[str, list[Draft202012Validator]]:
    """For each file the schema of what the kit writes, and the format's own if it is there."""
    schemas_by_file = {"plugin.json": [AGENT_PLUGIN], "mcp.json": [AGENT_MCP]}
    for name, validators in schemas_by_file.items():
        if path := shared("corpus", "schemas", f"agent-plugins-1.0.0-{name[:-5]}.schema.json"):
            validators.append(Draft202012Validator(json.loads(path.read_text())))
    return schemas_by_file


def read(text: str) -> tuple[dict[str, Any], str]:
    """The front matter of a skill, parsed, and its body."""
    start, front, rest = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(front), rest


def shape(text: str) -> Counter[str]:
    """What a Markdown text is made of: how many headings, tables, rows, links and so on."""
    parts: Counter[str] = Counter()
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text):
        parts[token.tag if token.type == "heading_open" else token.type] += 1
        parts.update(child.type for child in token.children or ())
    return parts


def assert_well_formed(path: str, text: str, count: int) -> None:
    front, rest = read(text)
    assert front.keys() <= {"name", "description", "compatibility"}
    assert path == f"skills/{front['name']}/SKILL.md"
    assert NAME.fullmatch(front["name"])
    assert "." not in front["name"]
    assert 0 < len(front["description"]) <= 1024
    assert "\n" not in front["description"]
    parts = shape(rest)
    assert (parts["h1"], parts["h2"], parts["h3"]) == (1, 4, min(count, agent_plugin.MAX_OPERATIONS))
    odd = (
        "link_open",
        "image",
        "em_open",
        "strong_open",
        "s_open",
        "html_block",
        "html_inline",
        "fence",
        "hr",
    )
    assert not [part for part in odd if parts[part]]
    assert rest.count("\n") < 500


# -- what is rendered ---------------------------------------------------------


def test_our_own_plugin(todo: kit.Plugin) -> None:
    todo.public_url = "https://todo.example.com"
    plugin = kit.install(todo)
    files = agent_plugin.render(plugin, serves_mcp=True)
    assert list(files) == ["plugin.json", "mcp.json", "skills/todo/SKILL.md"]
    assert files["plugin.json"] == {
        "$schema": "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json",
        "name": "todo",
        "version": "0.1.0",
        "description": "Manage your TODO list.",
        "author": {"email": "support@example.com"},
        "extensions": {
            "com.openai": {
                "interface": {
                    "displayName": "TODO Plugin",
                    "shortDescription": "Manage your TODO list.",
                    "longDescription": "Plugin for managing a TODO list: add, list and delete the todos of a user.",
                    "capabilities": ["Read", "Write"],
                    "termsOfServiceURL": "https://todo.example.com/legal",
                    "defaultPrompt": [
                        "Add a todo to the list of a user",
                        "List the todos of a user",
                        "Delete a todo of a user by its number",
                    ],
                }
            }
        },
    }
    assert files["mcp.json"] == {
        "$schema": "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json",
        "mcpServers": {"todo": {"type": "streamable-http", "url": "https://todo.example.com/mcp"}},
    }
    front, rest = read(files["skills/todo/SKILL.md"])
    assert front == {
        "name": "todo",
        "description": "Plugin for managing a TODO list: add, list and delete the todos of a user. "
        "Use it when the user wants to: Add a todo to the list of a user; List the todos of a user; "
        "Delete a todo of a user by its number.",
    }
    assert (
        "### `delete_todo`\n\nDelete a todo of a user by its number\n\n"
        "| argument | type | required | what it is |\n|---|---|---|---|\n"
        "| `username` | string | yes | The user whose list it is |\n"
        "| `number` | integer | yes | The number of the todo, from 1 |\n"
    ) in rest
    assert "These may: `add_todo`, `delete_todo`." in rest
    assert list(agent_plugin.check(plugin, serves_mcp=True)) == []


@each_run
def test_every_plugin_gives_a_valid_package(run: str, schemas: dict[str, list[Draft202012Validator]]) -> None:
    step = 2 if run == "corpus" else 1  # all of it takes ten seconds more and finds nothing else
    for number, plugin in enumerate(collected(run)[::step]):
        serves_mcp = number % 2 == 0
        files = json.loads(json.dumps(agent_plugin.render(plugin, serves_mcp=serves_mcp), allow_nan=False))
        assert not [path for path in (SHARED, FOLDER) if str(path) in json.dumps(files)], "a local path"
        for name, validators in schemas.items():
            document = files.pop(name)
            for validator in validators:
                assert errors(validator, document) == [], f"{plugin.spec.source}: {plugin.name}"
        ((path, text),) = files.items()
        assert_well_formed(path, text, len(plugin.tool_names))
        for finding in agent_plugin.check(plugin, serves_mcp=serves_mcp):
            assert finding.host == "agent_plugin"
            assert finding.place.startswith(("/", "manifest/"))
            assert finding.message.endswith(".")
            assert finding.remedy.endswith(".")
            assert finding.source.startswith("https://")


def server_of(plugin: kit.InstalledPlugin, serves_mcp: bool) -> dict[str, Any]:
    (server,) = agent_plugin.render(plugin, serves_mcp=serves_mcp)["mcp.json"]["mcpServers"].values()
    assert isinstance(server, dict)
    return server


def test_where_the_package_finds_its_server(server: kit.Server, tmp_path: Path) -> None:
    there = made(one())
    assert server_of(there, True) == {"type": "streamable-http", "url": f"{HOME}/mcp"}
    assert server_of(there, False) == {"type": "stdio", "command": "kit", "args": ["mcp", PUBLIC]}
    here = kit.install(server)
    assert server_of(here, True) == {"type": "streamable-http", "url": f"{server.url}/mcp"}
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(there.spec.document))
    args = ["mcp", "${PLUGIN_ROOT}/pets.json"]
    assert server_of(kit.install(str(file), base_url=HOME), False)["args"] == args
    for base in ("http://api.example.com", "http://10.0.0.1", "https://me:secret@api.example.com"):
        there.base_url = base
        assert server_of(there, True)["type"] == "stdio"
    for base in ("http://localhost:3333", "http://127.0.0.2:1", "http://[::1]:1", HOME):
        there.base_url = base
        assert server_of(there, True)["type"] == "streamable-http"


def test_a_package_that_starts_the_kit_says_that_it_needs_it() -> None:
    files = agent_plugin.render(made(one()))
    front, _ = read(files["skills/pets/SKILL.md"])
    assert front["compatibility"] == "Needs the command kit of the Python package notebook-plugin-kit."


def test_a_huge_plugin_is_described_by_its_first_operations_and_in_groups() -> None:
    properties = {f"p{n}": {"type": "string"} for n in range(15)}
    paths = {}
    for n in range(100):
        path = one(body(properties), operationId=f"op{n}", tags=["cats" if n % 4 else "dogs"])["paths"][
            "/pets"
        ]
        paths[f"/{n}"] = path
    text = agent_plugin.render(made({"paths": paths}))["skills/pets/SKILL.md"]
    assert "And 3 more arguments, in the tool's own schema." in text
    assert "And 80 more, by subject; the tools describe their arguments:\n\n- cats: 60\n- dogs: 20\n" in text
    assert "So may 40 more: ask before any call" in text
    assert_well_formed("skills/pets/SKILL.md", text, 100)


def test_the_types_of_arguments_are_in_words() -> None:
    properties = {
        "a": {"type": "string", "enum": ["x", "y|z"]},
        "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "c": {"type": ["string", "number"]},
        "d": {},
    }
    text = agent_plugin.render(made(one(body(properties))))["skills/pets/SKILL.md"]
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert rows == [
        r"| `a` | one of x, y\|z | no |  |",
        "| `b` | integer | no |  |",
        "| `c` | string or number | no |  |",
        "| `d` | any | no |  |",
    ]


def test_a_plugin_that_only_reads_needs_no_yes() -> None:
    files = agent_plugin.render(made(one(method="get")))
    assert "Nothing: all only read." in files["skills/pets/SKILL.md"]
    assert files["plugin.json"]["extensions"]["com.openai"]["interface"]["capabilities"] == ["Read"]


# -- what is ruled out --------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "document", "severity", "place", "message"),
    [
        (
            {"name_for_model": "My_pets"},
            {},
            "warning",
            "manifest/name_for_model",
            "the package is named 'my-pets'",
        ),
        ({"description_for_model": ""}, {}, "error", "manifest/description_for_model", "there is none"),
        ({}, {"info": {"version": "v1"}}, "warning", "/info/version", "'v1' is not of the form"),
        ({"auth": {"type": "oauth"}}, {}, "warning", "manifest/auth", "must not contain a token"),
    ],
)
def test_rules(manifest: Any, document: Any, severity: str, place: str, message: str) -> None:
    (finding,) = agent_plugin.check(made({**one(), **document}, **manifest))
    assert (finding.severity, finding.place) == (severity, place)
    assert message in finding.message


def test_rules_for_addresses(todo: kit.Plugin, server: kit.Server, tmp_path: Path) -> None:
    def found(plugin: kit.InstalledPlugin, serves_mcp: bool = False) -> list[tuple[str, str]]:
        return [(f.severity, f.place) for f in agent_plugin.check(plugin, serves_mcp=serves_mcp)]

    there = made(one())
    assert found(there) == found(there, True) == []
    there.base_url = "http://api.example.com"
    assert found(there, True) == [("error", "/servers")]
    assert found(there) == []
    assert found(kit.install(server), True) == [("warning", "/servers")]
    assert found(kit.install(server)) == [("warning", "manifest/api/url")]
    assert found(kit.install(todo)) == [("error", "manifest/api/url")]
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(there.spec.document))
    assert found(kit.install(str(file), base_url=HOME)) == [("warning", "manifest/api/url")]


# -- texts --------------------------------------------------------------------

# The special characters of Markdown and YAML, more often than by chance.
MARKS = st.text(st.sampled_from("`*_[]()<>|~&#!$\\-+=.:0123456789abc \n\t\r\"'{}%@\x85\u2028\x00\ud800"))


@given(st.one_of(WIDE, st.text("abzAZ019.-_ ")))
def test_a_name_becomes_legal_and_a_legal_one_is_kept(name: str) -> None:
    legal = legal_name(name)
    assert NAME.fullmatch(legal)
    assert len(legal) <= 64
    assert legal_name(legal) == legal
    if NAME.fullmatch(name) and "." not in name and "-" not in name:
        assert legal == name[:64]


def test_a_long_name_is_cut() -> None:
    assert legal_name("a" * 63 + "_b") == "a" * 63
    assert legal_name("Ünïcode") == "n-code"
    assert legal_name("___") == "plugin"


@example("- a")
@example("+ a")
@example("1. a")
@example("12) a")
@example("# a")
@example("--- a")
@example("==")
@example("__a__ b_c")
@given(MARKS)
def test_untrusted_text_is_one_paragraph_of_those_characters(text: str) -> None:
    clean = " ".join("".join(c if c.isprintable() else " " for c in text.replace("\ud800", "?")).split())
    escaped = escape(text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(escaped)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"] * bool(clean)
    for token in tokens[1:2]:
        assert "".join(child.content for child in token.children or ()) == clean
        assert {child.type for child in token.children or ()} <= {"text", "text_special"}


@given(MARKS, MARKS, MARKS)
def test_a_skill_stays_well_formed_whatever_a_stranger_writes(name: str, text: str, argument: str) -> None:
    schema = body({argument: {"type": "string", "description": text, "enum": [text, name]}})
    document = one(schema, summary=text, description=name, operationId=name)
    plugin = made(document, name_for_model=name, name_for_human=text, description_for_model=text)
    files = agent_plugin.render(plugin)
    ((path, skill),) = [item for item in files.items() if item[0].endswith(".md")]
    assert_well_formed(path, skill, len(plugin.tool_names))
    skill.encode()
    list(agent_plugin.check(plugin))
