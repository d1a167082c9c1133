"""Public addresses: which are refused, the notes about a public plugin, tunnels.

The real cloudflared and ngrok need the internet. In their place stand small programs of the same names that
print what those print and forward real connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import kit
from kit.server import tunnels

# As cloudflared 2024.6 and ngrok 3 write them.
CLOUDFLARED = """\
2024-06-04T09:07:47Z INF Requesting new quick Tunnel on trycloudflare.com...
2024-06-04T09:07:51Z INF +--------------------------------------------------------------------------------------+
2024-06-04T09:07:51Z INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |
2024-06-04T09:07:51Z INF |  https://four-dashed-word-url.trycloudflare.com                                      |
"""
NGROK = """\
{"lvl":"info","msg":"no configuration paths supplied","t":"2026-01-01T00:00:00Z"}
{"addr":"127.0.0.1:4040","lvl":"info","msg":"starting web service","obj":"web","t":"2026-01-01T00:00:00Z"}
{"addr":"http://127.0.0.1:1","lvl":"info","msg":"started tunnel","name":"command_line","obj":"tunnels","t":"2026-01-01T00:00:00Z","url":"https://abcd-1-2-3-4.ngrok-free.app"}
"""
FAILED = (
    '2024-06-04T09:07:47Z ERR failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": '
    "dial tcp: lookup api.trycloudflare.com: no such host token=abcdef123456\n"
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs on the PATH; `calls` has their arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def write(folder: Path, name: str, output: str, then: str = "time.sleep(600)") -> None:
    file = folder / name
    file.write_text(
        f"#!{sys.executable}\nimport os, sys, time\n"
        f"open({str(folder / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"open({str(folder / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"print({output!r}, end='', flush=True)\n{then}\n"
    )
    file.chmod(0o755)


def is_alive(folder: Path) -> bool:
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "output", "url"),
    [
        ("cloudflared", CLOUDFLARED, "https://four-dashed-word-url.trycloudflare.com"),
        ("ngrok", NGROK, "https://abcd-1-2-3-4.ngrok-free.app"),
    ],
)
def test_a_tunnel_lives_as_long_as_its_server(
    program: Path, todo: kit.Plugin, name: str, output: str, url: str
) -> None:
    write(program, name, output)
    with kit.serve(todo, public_url=tunnels.BY_NAME[name]) as server:
        assert server.public_url == url
        assert httpx2.get(server.manifest_url).json()["api"]["url"] == f"{url}/.well-known/openapi.json"
        assert f"127.0.0.1:{server.port}" in (program / "calls").read_text()
        assert is_alive(program)
        assert url in repr(server)
    assert not is_alive(program)


def test_the_cell_run_again_keeps_the_tunnel(program: Path, todo: kit.Plugin) -> None:
    write(program, "cloudflared", CLOUDFLARED)
    with kit.serve(todo, public_url=tunnels.cloudflared) as server:
        assert kit.serve(todo, public_url=tunnels.cloudflared) is server
        assert (program / "calls").read_text().count("\n") == 1
        assert kit.serve(todo, public_url="https://plugin.example") is server
        assert server.public_url == "https://plugin.example"
        assert not is_alive(program)


def test_served_again_without_an_address_it_is_no_longer_public(program: Path, todo: kit.Plugin) -> None:
    write(program, "cloudflared", CLOUDFLARED)
    with kit.serve(todo, public_url=tunnels.cloudflared) as server:
        assert server.notes
        assert kit.serve(todo) is server
        assert not is_alive(program)
        assert (server.public_url, todo.public_url, server.notes) == (None, None, [])
        assert kit.install(server.url).base_url == server.url


def test_a_plugin_gets_its_own_address_back(program: Path) -> None:
    own, other = (
        kit.Plugin("todo", description_for_model="x", public_url=f"https://{name}.example")
        for name in ("own", "other")
    )
    with kit.serve(own, public_url="https://tunnel.example") as server:
        assert own.public_url == "https://tunnel.example"
        server.follow(other)
        assert other.public_url == "https://tunnel.example"
        kit.serve(other)
        assert other.public_url == "https://other.example"


def test_a_program_that_is_missing(todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(kit.ServeError, match="cloudflared is not on this machine") as caught:
        kit.serve(todo, public_url=tunnels.cloudflared)
    assert "Install it" in caught.value.remedy
    with kit.serve(todo) as server:  # the failure left nothing behind
        assert server.public_url is None


def test_a_program_that_fails_is_quoted_without_its_secrets(program: Path, todo: kit.Plugin) -> None:
    write(program, "cloudflared", FAILED, "sys.exit(1)")
    with pytest.raises(kit.ServeError, match="cloudflared has ended") as caught:
        kit.serve(todo, public_url=tunnels.cloudflared)
    assert "no such host" in caught.value.problem
    assert "abcdef123456" not in str(caught.value)


def test_a_program_that_prints_nothing(
    program: Path, todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnels, "START_TIMEOUT", 0.5)
    write(program, "ngrok", '{"lvl":"info","msg":"client session established"}\n')
    with pytest.raises(kit.ServeError, match="printed no address within"):
        kit.serve(todo, public_url=tunnels.ngrok)
    assert not is_alive(program)


def test_a_program_that_will_not_end_is_killed(
    program: Path, todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnels, "STOP_TIMEOUT", 0.3)
    write(
        program, "ngrok", NGROK, "import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: time.sleep(9)"
    )
    with kit.serve(todo, public_url=tunnels.ngrok):
        pass
    assert not is_alive(program)


@contextlib.contextmanager
def forwarding(port: int) -> Iterator[str]:
    """The user's own tunnel: real connections from another port, closed with it."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as outside:

        def pump(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while not ended.is_set():
                    one, _ = outside.accept()
                    other = socket.create_connection(("127.0.0.1", port))
                    for pair in ((one, other), (other, one)):
                        threading.Thread(target=pump, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://localhost:{outside.getsockname()[1]}/"
        ended.set()


def test_through_the_users_own_tunnel(todo: kit.Plugin) -> None:
    with kit.serve(todo, public_url=forwarding) as server:
        assert server.public_url != server.url
        plugin = kit.install(server.public_url or "")
        assert plugin.base_url == server.public_url
        assert plugin.call("list_todos", username="sam").ok


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://plugin.example.com", "plain http"),
        ("http://192.168.1.7:8000", "plain http"),
        ("plugin.example.com", "is not an http"),
        ("ftp://plugin.example.com", "is not an http"),
        ("https://", "is not an http"),
        ("https://[", "is not an http"),
        ("https://plugin.example.com/?a=1", "more than a host and a path"),
        ("https://sam:secret@plugin.example.com", "more than a host and a path"),
    ],
)
def test_an_address_that_no_host_accepts(todo: kit.Plugin, url: str, words: str) -> None:
    with pytest.raises(kit.ServeError, match=words) as caught:
        kit.serve(todo, public_url=url)
    assert "https" in caught.value.remedy
    assert todo.public_url is None


@pytest.mark.parametrize("url", ["http://localhost:9", "http://127.0.0.1:9/", "https://p.example/todo/"])
def test_addresses_that_are_accepted(todo: kit.Plugin, url: str) -> None:
    with kit.serve(todo, public_url=url) as server:
        assert server.public_url == url.rstrip("/")


def test_the_notes_about_a_public_plugin(todo: kit.Plugin) -> None:
    with kit.serve(todo, public_url="https://todo.example") as server:
        assert any("no auth" in note for note in server.notes)
        for shown in (repr(server), server._repr_html_()):
            assert "anyone who knows the address can call it" in shown
        assert not any("breaks" in note for note in server.notes)
    with kit.serve(todo) as server:
        assert server.notes == []
    guarded = kit.Plugin("g", description_for_model="x", auth=kit.UserHttp(verify=str.strip))

    with kit.serve(guarded, public_url="https://g.example:8443") as server:
        assert not any("no auth" in note for note in server.notes)
        assert any("each user's own bearer token" in note for note in server.notes)
        assert any("breaks" in note for note in server.notes)
        assert len(server.calls) == 0  # its documents are checked without a request
        counts = ", ".join(
            f"{host} {n}" for host, n in Counter(f.host for f in kit.check(server).errors).items()
        )
        assert f"hosts: {counts}." in server.notes[-1]
