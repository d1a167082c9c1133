"""The `kit` command as a user runs it: in its own process, with its output and exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from paths import ROOT

import kit
from kit.cli import COMMANDS

COMMAND = [sys.executable, "-m", "kit"]


def run(
    *arguments: str, given: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, input=given, cwd=cwd, timeout=60
    )


@contextmanager
def running(*arguments: str, until: str, cwd: Path | None = None) -> Iterator[str]:
    """The command while it runs, its output read up to the line with `until`; Ctrl+C must end it with 0."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, cwd=cwd)
    assert process.stdout is not None
    output = ""
    try:
        for line in process.stdout:
            output += line
            if until in line:
                break
        yield output
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def url_in(text: str) -> str:
    match = re.search(r"http://127\.0\.0\.1:\d+(/v1)?", text)
    assert match, text
    return match[0]


def test_demo_adds_lists_and_deletes_without_a_key() -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "/.well-known/ai-plugin.json" in done.stdout
    for call in ("add_todo(", "list_todos(", "delete_todo("):
        assert call in done.stdout
    assert "understudy" in done.stdout
    # the last answer lists what is left after the first todo was deleted
    last = done.stdout.rpartition("You: Show me sam's list")[2]
    assert "call the dentist" in last
    assert "buy milk" not in last
    assert "; 0 failed." in last


def test_demo_is_the_same_each_time() -> None:
    first, second = (re.sub(r":\d{4,5}|\d+ ms", "", run("demo").stdout) for _ in range(2))
    assert first == second


def test_demo_keeps_its_server() -> None:
    with running("demo", "--keep", until="Ctrl+C") as output:
        assert httpx2.get(url_in(output) + "/.well-known/ai-plugin.json").json()["name_for_model"] == "todo"


@pytest.fixture
def app_file(tmp_path: Path) -> Path:
    (tmp_path / "names.py").write_text("GREETING = 'hello'\n")
    (tmp_path / "shop.py").write_text(
        "import kit\nfrom fastapi import FastAPI\nfrom names import GREETING\n"
        "shop = kit.Plugin('shop', description_for_model='Sells things.')\n"
        "@shop.get('/greeting')\ndef greeting() -> str:\n    return GREETING\n"
        "plain = FastAPI()\n@plain.get('/x')\ndef x() -> int:\n    return 1\n"
    )
    two = "import kit\none, two = (kit.Plugin(name, description_for_model='x') for name in ('one', 'two'))\n"
    (tmp_path / "two.py").write_text(two)
    return tmp_path / "shop.py"


@pytest.mark.parametrize("target", ["shop.py:shop", "shop:shop", "shop.py"])
def test_serve_a_plugin_of_a_file_or_a_module(app_file: Path, target: str) -> None:
    with running("serve", target, until="Ctrl+C", cwd=app_file.parent) as output:
        assert httpx2.get(url_in(output) + "/greeting").json() == "hello"


def test_serve_makes_a_plugin_of_any_app(app_file: Path) -> None:
    with running(
        "serve", "shop.py:plain", "--public-url", "https://x.example", until="Ctrl+C", cwd=app_file.parent
    ) as output:
        manifest = httpx2.get(url_in(output) + "/.well-known/ai-plugin.json").json()
        assert manifest["api"]["url"] == "https://x.example/.well-known/openapi.json"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere.py:x", "nowhere.py cannot be read: No such file"),
        ("nowhere:x", "The module 'nowhere' does not exist"),
        ("shop.py:wrong", "There are: shop, plain"),
        ("two.py", "two.py has 2 plugins: one, two"),
    ],
)
def test_serve_reports_errors(app_file: Path, target: str, words: str) -> None:
    done = run("serve", target, cwd=app_file.parent)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_on_a_busy_port(app_file: Path, server: kit.Server) -> None:
    done = run("serve", "shop.py:shop", "--port", str(server.port), cwd=app_file.parent)
    assert done.returncode == 1
    assert str(server.port) in done.stderr


def test_install_manifest_and_spec(server: kit.Server) -> None:
    shown = run("install", server.url)
    assert shown.returncode == 0, shown.stderr
    assert "add_todo" in shown.stdout
    address = server.url.removeprefix("http://")
    assert "TODO Plugin" in run("manifest", address).stdout
    assert "/users/{username}/todos" in run("spec", address).stdout
    assert json.loads(run("manifest", address, "--json").stdout)["name_for_human"] == "TODO Plugin"
    assert "/users/{username}/todos" in json.loads(run("spec", address, "--json").stdout)["paths"]


def test_install_reports_that_nothing_is_there(server: kit.Server) -> None:
    nothing = f"http://127.0.0.1:{server.port}/nothing-here"
    server.stop()
    done = run("install", nothing)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("kit: ")


def test_call(server: kit.Server) -> None:
    added = run("call", server.url, "add_todo", "username=sam", "todo=42")
    assert (added.returncode, json.loads(added.stdout)) == (0, ["42"])
    gone = run("call", server.url, "delete_todo", "username=sam", "number=7")
    assert gone.returncode == 1
    assert "sam has no todo 7" in gone.stdout
    assert "status 404" in gone.stderr
    lacking = run("call", server.url, "add_todo", "username=sam")
    assert lacking.returncode == 1
    assert "todo" in lacking.stdout
    assert run("call", server.url, "add_todo", "no equals sign").returncode == 2
    unknown = run("call", server.url, "add_tod")
    assert unknown.returncode == 1
    assert "Did you mean 'add_todo'?" in unknown.stderr


def test_chat(server: kit.Server) -> None:
    done = run("chat", server.url, given="Add 'buy milk' to sam's list\nWhat is on sam's list?\n\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("buy milk") >= 3
    assert run("chat", server.url, given="").returncode == 0


def test_chat_asks_before_a_change(server: kit.Server) -> None:
    done = run("chat", server.url, "--confirm", given="Add 'buy milk' to sam's list\nn\n\n")
    assert done.returncode == 0, done.stderr
    assert kit.install(server).call("list_todos", username="sam").data == []


def test_the_local_chatgpt_of_an_address_and_of_a_file(server: kit.Server, app_file: Path) -> None:
    command = ("chatgpt", server.url, f"{app_file}:shop", "--no-browser")
    with running(*command, until="Ctrl+C") as output:
        match = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", output)
        assert match, output
        assert httpx2.get(match[0]).status_code == 200
        base, _, token = match[0].partition("/?token=")
        state = httpx2.get(f"{base}/api/state", headers={"Authorization": f"Bearer {token}"}).json()
        assert len(state["plugins"]) == 2
        assert state["model"]["is_understudy"]
    refused = run("chatgpt", "localhost:1", "--no-browser")
    assert refused.returncode == 1
    assert "cannot be reached" in refused.stderr


def test_understudy_alone() -> None:
    with running("understudy", until="Ctrl+C") as output:
        models = httpx2.get(url_in(output) + "/models").json()
        assert "understudy" in models["data"][0]["id"]


def test_help_and_wrong_usage() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for name in ("demo", "serve", "install", "manifest", "spec", "call", "chat", "understudy"):
        assert name in shown.stdout
        helped = run(name, "--help")
        assert helped.returncode == 0
        assert len(helped.stdout.splitlines()) > 4
    assert run("fly").returncode == 2
    assert run("install").returncode == 2


def test_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in COMMANDS:
        name = {"evaluate": "eval"}.get(command.__name__, command.__name__)
        assert f"`kit {name} " in readme


def test_the_installed_command_is_this_one() -> None:
    program = Path(sys.executable).with_name("kit")
    assert subprocess.run([program, "--help"], capture_output=True, env=os.environ).returncode == 0
