"""Real hosts: Codex, Claude Code, Gemini CLI and Open WebUI, each connected to a served plugin, asked, used, and undone.

`KIT_INTEROP=1 pytest -n 0 tests/e2e/test_hosts_real.py`. What is not on the PATH is installed, by npm and uv: 2.5 GB. With
`KIT_SCREENSHOTS=FOLDER` the conversation in Open WebUI is photographed; `KIT_OPEN_WEBUI=URL` is one that runs, with
`WEBUI_AUTH=False` and the understudy as its model.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from lab import browser_program
from paths import ROOT

import kit
from kit.connections.access import access
from kit.connections.connect import find
from kit.understudy import Understudy

pytestmark = pytest.mark.skipif(
    os.environ.get("KIT_INTEROP") != "1", reason="installs four hosts, 2.5 GB: set KIT_INTEROP=1"
)
PACKAGES = {"codex": "@openai/codex", "claude": "@anthropic-ai/claude-code", "gemini": "@google/gemini-cli"}
TOKEN = "s3cret-of-the-shop"
TOOLS = {"add_todo", "list_todos", "delete_todo"}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with the programs of the three hosts."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not missing:
        return os.environ["PATH"]
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", *missing], check=True)
    return f"{folder}/node_modules/.bin{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def home(programs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for the hosts, and an empty folder in it in which they start."""
    folder = tmp_path / "folder"
    for path in (folder, tmp_path / "codex"):
        path.mkdir()
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME", "KIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "PATH": programs,
        "HOME": str(tmp_path),
        "CODEX_HOME": str(tmp_path / "codex"),
        "PYTHONPATH": str(ROOT),
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return tmp_path


@pytest.fixture
def shop() -> Iterator[kit.Server]:
    """A plugin that asks for a token."""
    plugin = kit.Plugin("shop", description_for_model="A shop.", auth=kit.ServiceHttp(tokens=TOKEN))

    @plugin.get("/prices")
    def prices() -> list[int]:
        return [1]

    with kit.serve(plugin) as running:
        yield running


@pytest.fixture
def weather() -> Iterator[str]:
    """The address of a stranger's API, which knows nothing of MCP."""
    app = FastAPI(title="Weather")

    @app.get("/weather", operation_id="get_weather", summary="The weather")
    def weather(city: str) -> str:
        return "sunny"

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        running.should_exit = True
        thread.join()


@pytest.mark.parametrize("host", PACKAGES)
def test_a_host_is_connected_says_so_and_forgets(home: Path, server: kit.Server, host: str) -> None:
    assert kit.connect(server, host).state == "shown"
    added = kit.connect(server, host, write=True)
    assert (added.state, added.connected) == ("added", True), added
    assert host != "codex" or set(added.tools) == TOOLS
    assert kit.connect(server.url, host, write=True).state == "there"
    assert kit.connect(server, host, undo=True).state == "removed"
    assert kit.connect(server, host, undo=True).state == "absent"
    assert kit.connect(server, host).state == "shown"


@pytest.mark.parametrize("host", PACKAGES)
def test_a_host_says_that_the_server_is_gone(home: Path, server: kit.Server, host: str) -> None:
    url = server.url
    assert kit.connect(server, host, write=True).connected
    reached = access(server)
    server.stop()
    assert find(host).at(project=False, at=None).ask(reached).connected is False
    assert kit.connect(url, host, undo=True).state == "removed"


@pytest.mark.parametrize("host", PACKAGES)
def test_a_host_takes_the_token_from_its_variable(
    home: Path, shop: kit.Server, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = kit.connect(shop, host, write=True, auth=TOKEN)
    assert added.connected is False
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    assert kit.connect(shop, host, auth=TOKEN).connected is True
    files = [path for path in home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert files == []
    assert kit.connect(shop, host, undo=True).state == "removed"


@pytest.mark.parametrize("host", PACKAGES)
def test_a_host_starts_the_command_for_a_plugin_without_mcp(home: Path, weather: str, host: str) -> None:
    added = kit.connect(weather, host, write=True)
    assert "kit mcp" in added.change.text
    assert added.connected is True, added
    assert kit.connect(weather, host, undo=True).state == "removed"


@pytest.mark.parametrize("host", ["claude", "gemini"])
def test_a_project_of_its_own(home: Path, server: kit.Server, host: str) -> None:
    """Both ask their user first: whether the folder, or its servers, are trusted."""
    added = kit.connect(server, host, write=True, project=True)
    assert (added.state, added.connected) == ("added", None)
    assert "approve" in repr(added) or "trust" in repr(added)
    assert kit.connect(server, host, undo=True).state == "absent"
    assert kit.connect(server, host, undo=True, project=True).state == "removed"


def test_codex_keeps_the_rest_of_its_file_and_uses_the_plugin(
    home: Path, server: kit.Server, understudy: Understudy
) -> None:
    config = home / "codex" / "config.toml"
    before = (
        f'# mine\nmodel = "understudy-no-language-model"  # no language model\nmodel_provider = "understudy"\n\n'
        f'[model_providers.understudy]\nname = "The understudy"\nbase_url = "{understudy.base_url}"\n'
        'wire_api = "responses"\n'
    )
    config.write_text(before)
    kit.connect(server, "codex", write=True)
    for sentence in ("Add 'buy milk' to sam's list", "Show me sam's list"):
        done = subprocess.run(
            ["codex", "exec", "--skip-git-repo-check", "-c", 'mcp_servers.todo.default_tools_approval_mode="approve"', sentence],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "buy milk" in done.stdout, done.stderr
    assert kit.install(server).call("list_todos", username="sam").data == ["buy milk"]
    kit.connect(server, "codex", undo=True)
    assert before.strip() in config.read_text()


# -- Open WebUI ------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_webui(tmp_path_factory: pytest.TempPathFactory, understudy: Understudy) -> Iterator[httpx2.Client]:
    """A client of Open WebUI's API, its administrator; its model is the understudy, which no tool of its own confuses."""
    if running := os.environ.get("KIT_OPEN_WEBUI"):
        with httpx2.Client(base_url=running, timeout=60, trust_env=False) as client:
            _set_up(client)
            yield client
        return
    folder = tmp_path_factory.mktemp("open-webui")
    program = shutil.which("open-webui")
    if program is None:
        (folder / "without.txt").write_text(
            'torch; sys_platform == "never"\n'
        )  # 2 GB that only documents need
        subprocess.run(["uv", "venv", "-q", folder / "env"], check=True)
        install = [
            "uv",
            "pip",
            "install",
            "-q",
            "--python",
            folder / "env",
            "--override",
            folder / "without.txt",
        ]
        subprocess.run([*install, "open-webui==0.12.4"], check=True)
        program = str(folder / "env" / "bin" / "open-webui")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "HOME": str(folder), "DATA_DIR": str(folder / "data"), "WEBUI_SECRET_KEY": "of-this-test", "WEBUI_AUTH": "False",
        "OPENAI_API_BASE_URL": understudy.base_url, "OPENAI_API_KEY": "none", "ENABLE_OLLAMA_API": "False",
        "OFFLINE_MODE": "True", "HF_HUB_OFFLINE": "1", "RAG_EMBEDDING_ENGINE": "openai", "AUDIO_STT_ENGINE": "openai",
    }  # fmt: skip
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen(
        [program, "serve", "--host", "127.0.0.1", "--port", str(port)], env=environ, stdout=log, stderr=log
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            _wait_for(client, process)
            _set_up(client)
            yield client
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _set_up(client: httpx2.Client) -> None:
    signed_in = client.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
    client.headers["Authorization"] = f"Bearer {signed_in['token']}"
    tasks = client.get("/api/v1/tasks/config").json()
    tasks |= {name: False for name in tasks if name.startswith("ENABLE_")}
    client.post("/api/v1/tasks/config/update", json=tasks)
    models = client.get("/api/v1/configs/models").json()
    models["DEFAULT_MODEL_METADATA"] = {"capabilities": {"builtin_tools": False}}
    client.post("/api/v1/configs/models", json=models)
    client.post(
        "/api/v1/users/user/settings/update",
        json={"ui": {"version": "0.12.4", "showChangelog": False}},
    )


def _wait_for(client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "Open WebUI has ended"
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(1)
    raise AssertionError("Open WebUI did not start within 600 s")


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[kit.Server]:
    """The plugin of the tutorial."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/todo.db")
    with kit.serve(kit.load(ROOT / "notebooks" / "04_operations.ipynb")) as running:
        yield running


def test_open_webui_is_connected_says_so_and_forgets(open_webui: httpx2.Client, server: kit.Server) -> None:
    at = str(open_webui.base_url)
    other = {"url": "https://other.example.com/mcp", "path": "", "type": "mcp", "auth_type": "none", "key": "", "config": {"enable": False}, "info": {"id": "other"}}  # fmt: skip
    open_webui.post("/api/v1/configs/tool_servers", json={"TOOL_SERVER_CONNECTIONS": [other]})
    added = kit.connect(server, "open-webui", at=at, write=True)
    assert (added.connected, set(added.tools)) == (True, TOOLS)
    assert {tool["id"] for tool in open_webui.get("/api/v1/tools/").json()} >= {"server:mcp:todo"}
    assert kit.connect(server.url, "open-webui", at=at, write=True).state == "there"
    assert kit.connect(server, "open-webui", at=at, undo=True).state == "removed"
    assert _servers(open_webui) == ["other"]


def test_open_webui_reads_the_document_of_a_plugin_without_mcp(
    open_webui: httpx2.Client, weather: str
) -> None:
    at = str(open_webui.base_url)
    added = kit.connect(weather, "open-webui", at=at, write=True)
    assert '"type": "openapi"' in added.change.text
    assert (added.connected, added.tools) == (True, ["get_weather"])
    assert kit.connect(weather, "open-webui", at=at, undo=True).state == "removed"


def test_open_webui_is_given_a_token_only_if_it_is_set(
    open_webui: httpx2.Client, shop: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = str(open_webui.base_url)
    with pytest.raises(kit.ConnectError, match="keeps the token in its own database"):
        kit.connect(shop, "open-webui", at=at, write=True)
    monkeypatch.setenv("KIT_TOKEN", TOKEN)
    added = kit.connect(shop, "open-webui", at=at, write=True, auth=TOKEN)
    assert (added.connected, added.tools) == (True, ["prices"])
    assert TOKEN not in repr(added)
    assert kit.connect(shop, "open-webui", at=at, undo=True).state == "removed"


@pytest.mark.skipif(browser_program() is None, reason="there is no Chromium")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_conversation_in_open_webui(open_webui: httpx2.Client, tutorial: kit.Server, theme: Any) -> None:
    from playwright.sync_api import sync_playwright

    at = str(open_webui.base_url).rstrip("/")
    kit.connect(tutorial, "open-webui", at=at, write=True, replace=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 960, "height": 600}, color_scheme=theme)
        page.set_default_timeout(60_000)
        page.goto(at)
        for _ in range(5):  # while it still loads it draws its page anew, and forgets what was chosen
            page.wait_for_timeout(5_000)
            page.get_by_label("Integrations").click()
            page.get_by_role("menu").get_by_text("Tools").click()
            page.get_by_role("menu").get_by_text("TODO Plugin").click()
            page.keyboard.press("Escape")
            page.wait_for_timeout(3_000)
            if page.get_by_role("button").filter(has_text=re.compile(r"^\s*1\s*$")).count():
                break
        page.locator("#chat-input").click()
        page.keyboard.type("Add 'buy milk' to sam's list")
        page.keyboard.press("Enter")
        page.get_by_text("View Result from").click()
        page.get_by_text(re.compile(r"Done: (todo_)?add_todo")).first.wait_for()
        page.mouse.move(5, 300)
        page.wait_for_timeout(1_000)  # what unfolds has come to rest
        if folder := os.environ.get("KIT_SCREENSHOTS"):
            page.screenshot(path=Path(folder, f"open-webui-{theme}.png"))
        browser.close()
    assert kit.install(tutorial).call("list_todos", username="sam").data == [
        {"text": "buy milk", "number": 1}
    ]
    kit.connect(tutorial, "open-webui", at=at, undo=True)


def _servers(client: httpx2.Client) -> list[str]:
    found = client.get("/api/v1/configs/tool_servers").json()["TOOL_SERVER_CONNECTIONS"]
    return [connection["info"]["id"] for connection in found]
