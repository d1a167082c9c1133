"""A plugin put into a host and taken out again: what is shown, what is written, what stays as it was."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import kit
from kit.connections import blocks, jsonc
from kit.connections.connect import HOSTS

TOKEN = "s3cret-of-the-shop"
VSCODE = """{
    // the servers of my team
    "servers": {
        "weather": {"type": "http", "url": "https://weather.example.com/mcp"}, // ours
    },
    /* asked once */ "inputs": [],
}
"""
GOOSE = """# my Goose
GOOSE_MODEL: gpt-5  # the quick one

extensions:
    developer:
        enabled: true
        type: builtin   # comes with it
    # notes on the next

# the end
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, in which no host's command is on the PATH."""
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME", "KIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shop() -> Iterator[kit.Server]:
    """A plugin that asks for a token."""
    plugin = kit.Plugin("shop", description_for_model="A shop.", auth=kit.ServiceHttp(tokens=TOKEN))

    @plugin.get("/prices")
    def prices() -> list[int]:
        return [1]

    with kit.serve(plugin) as running:
        yield running


def test_nothing_is_written_until_it_is_said_so(home: Path, server: kit.Server) -> None:
    connection = kit.connect(server, "cursor")
    assert connection.state == "shown"
    assert connection.connected is None
    assert "write=True, adds it to ~/.cursor/mcp.json:" in repr(connection)
    assert f'"url": "{server.url}/mcp"' in repr(connection)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "place", "before"),
    [
        ("vscode", ".config/Code/User/mcp.json", VSCODE),
        ("vscode", ".config/Code/User/mcp.json", '{\n\t"servers": {},\n\t"inputs": []\n}'),
        ("cursor", ".cursor/mcp.json", ""),
        (
            "cursor",
            ".cursor/mcp.json",
            '{"mcpServers": {"a": {"url": "https://a.example.com"}}, "other": 1}\n',
        ),
        ("lmstudio", ".lmstudio/mcp.json", "{}"),
        ("goose", ".config/goose/config.yaml", GOOSE),
        ("goose", ".config/goose/config.yaml", "GOOSE_MODEL: gpt-5\nextensions: {}  # none yet\n"),
        ("goose", ".config/goose/config.yaml", "GOOSE_MODEL: gpt-5"),
        (
            "librechat",
            "librechat.yaml",
            "version: 1.3.0\nmcpServers:\n  a:\n    url: https://a.example.com\n",
        ),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the files of Linux")
def test_an_entry_is_added_and_taken_out_and_all_else_stays_byte_by_byte(
    home: Path, server: kit.Server, host: str, place: str, before: str
) -> None:
    file = home / place
    file.parent.mkdir(parents=True, exist_ok=True)
    if before:
        file.write_text(before)
        file.chmod(0o640)
    added = kit.connect(server, host, write=True)
    assert added.state == "added"
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == (0o640 if before else 0o600)
    entry = (yaml.safe_load(text) if file.suffix == ".yaml" else jsonc.read(text))[
        added.change.text.split('"')[1] if file.suffix == ".json" else added.change.text.partition(":")[0]
    ]["todo"]
    assert f"{server.url}/mcp" in entry.values()
    assert kit.connect(server, host, write=True).state == "there"
    assert file.read_text() == text
    assert kit.connect(server, host, undo=True).state == "removed"
    assert (file.read_text() if file.exists() else "").rstrip("\n") == before.rstrip("\n")
    assert kit.connect(server, host, undo=True).state == "absent"
    assert [path.name for path in file.parent.iterdir()] == ([file.name] if before else [])


@pytest.mark.parametrize(
    "text", ['{"mcpServers": {"a": }}', '{"mcpServers": []}', "[1]", '{"mcpServers": {}} x', "\udcff"]
)
def test_a_file_that_cannot_be_read_or_added_to_is_left_alone(
    home: Path, server: kit.Server, text: str
) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(kit.ConnectError, match="stays as it is") as refused:
        kit.connect(server, "cursor", write=True)
    assert refused.value.host == "Cursor"
    assert str(file) in str(refused.value)
    assert file.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_an_entry_of_another_is_kept_unless_it_is_to_be_replaced(home: Path, server: kit.Server) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(
        '{"mcpServers": {"todo": {"url": "https://todo.example.com/mcp", "headers": {"Authorization": "Bearer abc123def"}}}}'
    )
    before = file.read_text()
    with pytest.raises(kit.ConnectError, match=r"todo\.example\.com.*It is kept") as refused:
        kit.connect(server, "cursor", write=True)
    assert "abc123def" not in str(refused.value)
    assert "--replace" in repr(kit.connect(server, "cursor"))
    assert kit.connect(server, "cursor", undo=True).state == "absent"
    assert file.read_text() == before
    kit.connect(server, "cursor", write=True, name="mine")
    kit.connect(server, "cursor", write=True, replace=True)
    assert json.loads(file.read_text())["mcpServers"] == {
        name: {"url": f"{server.url}/mcp"} for name in ("mine", "todo")
    }


def test_a_file_is_reached_through_its_link(home: Path, server: kit.Server) -> None:
    (home / "dotfiles").mkdir()
    real = home / "dotfiles" / "mcp.json"
    real.write_text("{}")
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").symlink_to(real)
    kit.connect(server, "cursor", write=True)
    assert (home / ".cursor" / "mcp.json").is_symlink()
    assert "todo" in real.read_text()


@pytest.mark.parametrize(
    ("host", "reference"),
    [
        ("vscode", "Bearer ${input:shop-token}"),
        ("cursor", "Bearer ${env:SHOP_TOKEN}"),
        ("goose", "Bearer ${SHOP_TOKEN}"),
        ("librechat", "Bearer ${SHOP_TOKEN}"),
        ("claude", "Bearer ${SHOP_TOKEN}"),
        ("gemini", "Bearer $SHOP_TOKEN"),
        ("codex", 'bearer_token_env_var = "SHOP_TOKEN"'),
    ],
)
def test_a_token_is_named_and_never_written(home: Path, shop: kit.Server, host: str, reference: str) -> None:
    connection = kit.connect(shop, host, auth=TOKEN)
    assert reference in connection.change.text
    assert TOKEN not in repr(connection) + connection._repr_html_()
    if not connection.change.remedy:
        kit.connect(shop, host, auth=TOKEN, write=True)
        assert not [path for path in home.rglob("*") if path.is_file() and TOKEN in path.read_text()]


def test_a_host_that_cannot_name_a_variable_is_not_written_to(home: Path, shop: kit.Server) -> None:
    with pytest.raises(kit.ConnectError, match="reads a token only from its file"):
        kit.connect(shop, "lmstudio", auth=TOKEN, write=True)
    assert list(home.iterdir()) == []


def test_vscode_asks_for_the_token_itself(home: Path, shop: kit.Server) -> None:
    kit.connect(shop, "vscode", write=True, project=True)
    document = json.loads((home / ".vscode/mcp.json").read_text())
    assert document["inputs"] == [
        {"type": "promptString", "id": "shop-token", "description": "Token of shop", "password": True}
    ]
    kit.connect(shop, "vscode", undo=True, project=True)
    assert not (home / ".vscode/mcp.json").exists()


def test_an_address_that_asks_for_a_token_must_be_given_one_to_say_whether_it_speaks_mcp(
    home: Path, shop: kit.Server
) -> None:
    with pytest.raises(kit.ConnectError, match="does not say without a token"):
        kit.connect(shop.url, "codex")
    assert kit.connect(shop.url, "codex", auth=TOKEN).place == f"{shop.url}/mcp"


@pytest.mark.parametrize("host", ["codex", "claude", "gemini"])
def test_a_host_whose_program_is_missing_says_how_it_is_installed_and_what_to_paste(
    home: Path, server: kit.Server, host: str
) -> None:
    with pytest.raises(
        kit.ConnectError, match=rf"`{host}` is not on the PATH.*npm install -g @.*/"
    ) as missing:
        kit.connect(server, host, write=True)
    assert f"{server.url}/mcp" in str(missing.value)
    assert list(home.iterdir()) == []


def test_a_plugin_without_mcp_is_started_by_the_host(home: Path, server: kit.Server) -> None:
    spec = home / "strangers.json"
    spec.write_text(json.dumps({**server.plugin.openapi(), "servers": [{"url": "https://api.example.com"}]}))
    kit.connect("strangers.json", "cursor", write=True, name="stranger")
    entry = json.loads((home / ".cursor/mcp.json").read_text())["mcpServers"]["stranger"]
    assert [entry["command"], *entry["args"]] == [sys.executable, "-m", "kit", "mcp", str(spec)]
    assert kit.connect(spec, "cursor", undo=True).state == "removed"
    by_api = kit.connect(str(spec), "librechat", project=True)
    assert "type: stdio" in by_api.change.text


def test_an_entry_is_found_by_the_address_that_its_spec_names(home: Path, server: kit.Server) -> None:
    spec = {**server.plugin.openapi(), "servers": [{"url": server.url}]}
    (home / "spec.json").write_text(json.dumps(spec))
    assert kit.connect("spec.json", "cursor", write=True).place == f"{server.url}/mcp"
    assert kit.connect("spec.json", "cursor", undo=True).state == "removed"


def test_a_file_with_a_plugin_is_started_by_the_host(home: Path) -> None:
    (home / "shop.py").write_text("import kit\nshop = kit.Plugin('shop', description_for_model='A shop.')\n")
    kit.connect("shop.py", "cursor", write=True)
    entry = json.loads((home / ".cursor/mcp.json").read_text())["mcpServers"]["shop"]
    assert entry["args"] == ["-m", "kit", "mcp", str(home / "shop.py")]
    assert kit.connect(home / "shop.py", "cursor", undo=True).state == "removed"


def test_a_stranger_gets_no_variable_of_yours(home: Path, server: kit.Server) -> None:
    spec = {**server.plugin.openapi(), "servers": [{"url": "https://example.com/$AWS_KEY"}]}
    (home / "spec.json").write_text(json.dumps(spec))
    for name, problem in (("stranger", "variables of yours"), ("--scope", "can be no name")):
        with pytest.raises(kit.ConnectError, match=problem):
            kit.connect("spec.json" if name == "stranger" else server, "cursor", write=True, name=name)
    assert not (home / ".cursor").exists()


def test_links_open_the_host_with_the_same_entry(home: Path, server: kit.Server) -> None:
    entry = {"url": f"{server.url}/mcp"}
    for host, scheme in (
        ("cursor", "cursor://anysphere.cursor-deeplink/mcp/install"),
        ("lmstudio", "lmstudio://add_mcp"),
    ):
        link = kit.connect(server, host).link
        assert link.startswith(f"{scheme}?name=todo&")
        assert json.loads(base64.b64decode(parse_qs(urlsplit(link).query)["config"][0])) == entry
    link = kit.connect(server, "vscode").link
    assert json.loads(unquote(link.removeprefix("vscode:mcp/install?"))) == {
        "name": "todo",
        "type": "http",
        **entry,
    }
    link = kit.connect(server, "goose").link
    assert parse_qs(urlsplit(link).query)["type"] == ["streamable_http"]
    assert link.startswith("goose://extension?url=http%3A%2F%2F")
    assert f'href="{link.replace("&", "&amp;")}"' in kit.connect(server, "goose")._repr_html_()


def test_open_webui_that_is_not_there_is_said_to_be_so(home: Path, server: kit.Server) -> None:
    with pytest.raises(kit.ConnectError, match=r"There is no Open WebUI at http://localhost:1.*\n.*--at"):
        kit.connect(server, "open-webui", at="localhost:1")


def test_errors_say_what_to_do(home: Path, server: kit.Server) -> None:
    with pytest.raises(kit.UnknownHost, match="Did you mean 'claude'") as unknown:
        kit.connect(server, "clade")
    assert all(host in str(unknown.value) for host in HOSTS)
    with pytest.raises(kit.ConnectError, match=r"is not served.*\n.*kit\.serve"):
        kit.connect(kit.Plugin("idle", description_for_model="Idle."), "codex")
    with pytest.raises(kit.ConnectError, match="can be no name"):
        kit.connect(server, "cursor", name="a b")
    with pytest.raises(kit.ConnectError, match="no file for a project"):
        kit.connect(server, "goose", project=True)


def test_the_command(home: Path, server: kit.Server) -> None:
    run = [sys.executable, "-m", "kit", "connect", "librechat", server.url]
    environ = {**os.environ, "PYTHONPATH": str(Path(kit.__file__).parent.parent)}
    done = subprocess.run([*run, "--write"], capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Added to librechat.yaml" in done.stdout
    assert f'allowedAddresses: ["127.0.0.1:{server.port}"]' in done.stdout
    undone = kit.connect(server, "librechat", undo=True)
    assert undone.state == "removed"
    assert not (home / "librechat.yaml").exists()


# -- the texts ------------------------------------------------------------------

SPACES = st.sampled_from(["", " ", "\n", "\n  ", " // a, b: {\n", ' /* " */ ', "\t"])
SCALARS = st.sampled_from(["1", "-2.5e3", "true", "null", '"a\\"b, {"', '""', '"ü"'])


@st.composite
def documents(draw: st.DrawFn, depth: int = 2) -> str:
    """An object of JSON with comments and trailing commas, as its author may have laid it out."""
    members = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=3)):
        value = draw(documents(depth - 1)) if depth and draw(st.booleans()) else draw(SCALARS)
        members.append(f'{draw(SPACES)}"{name}"{draw(SPACES)}:{draw(SPACES)}{value}{draw(SPACES)}')
    trailing = "," if members and draw(st.booleans()) else ""
    return f"{{{','.join(members)}{trailing}{draw(SPACES)}}}"


@given(documents(), st.sampled_from([[], ["a"], ["a", "b"]]))
def test_an_addition_to_json_adds_only_itself_and_is_taken_back_exactly(text: str, path: list[str]) -> None:
    before = jsonc.read(text)
    try:
        after = jsonc.added(text, path, "new", {"x": [1]})
    except ValueError:
        return
    wanted = json.loads(json.dumps(before))
    node = wanted
    for name in path:
        node = node.setdefault(name, {})
    had_members = bool(node)
    node["new"] = {"x": [1]}
    assert jsonc.read(after) == wanted
    back = jsonc.removed(after, path, "new")
    if had_members:
        assert back == text
    node.pop("new")
    assert jsonc.read(back) == wanted


@given(
    st.lists(
        st.sampled_from(["a: 1", "b: {c: 2}", "d:\n  - 1\n  - e: 2", "f: |\n  text\n", "g:", "# note", ""]),
        unique=True,
    ),
    st.sampled_from(["", "h:\n  i: 1\n", "h:\n    i:\n      j: 1  # k\n", "h:\n  i: >\n    l\n\n"]),
)
def test_an_addition_to_yaml_adds_only_itself_and_is_taken_back_exactly(lines: list[str], held: str) -> None:
    text = "".join(f"{line}\n" for line in lines) + held
    wanted = blocks.read(text) or {}
    after = blocks.added(text, "h", "new", {"x": [1]})
    assert blocks.read(after) == {**wanted, "h": {**(wanted.get("h") or {}), "new": {"x": [1]}}}
    back = blocks.removed(after, "h", "new")
    assert (blocks.without_empty(back, "h") if not held else back) == text
