"""Where a server listens: at PORT, or on a Unix socket, which is for its owner and group, and goes when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from roads import running

from kit.errors import ServeError
from kit.sockets import listen_unix, url, withdraw

APP = """
import kit

plugin = kit.Plugin("notes", description_for_model="Notes.")

@plugin.get("/notes")
def notes() -> list[str]:
    return []
"""


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_a_unix_socket_and_removes_it(tmp_path: Path, workers: str, how: signal.Signals) -> None:
    path = tmp_path / "a socket"
    command = ["kit", "serve", "app.py", "--uds", "a socket", "--workers", workers, "--root-path", "/v1"]
    with running(tmp_path, APP, *command) as server:
        assert "unix:a socket" in server.log
        assert stat.filemode(path.stat().st_mode) == "srw-rw----"
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://a.example/v1/notes").json() == []
            manifest = client.get("http://a.example/.well-known/ai-plugin.json").json()
            assert manifest["legal_info_url"] == "http://a.example/v1/legal"
        assert server.end(how) == 0
        assert not path.exists()


def test_a_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with listen_unix(path) as sock:
        assert url(sock) == f"unix:{path}"
        with pytest.raises(ServeError, match="running"):
            listen_unix(path)
        assert Path(path).exists()
        withdraw(sock)
        assert not Path(path).exists()


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    file, path = tmp_path / "file", tmp_path / "s"
    file.write_text("kept")
    with pytest.raises(ServeError, match="file"):
        listen_unix(str(file))
    assert file.read_text() == "kept"
    with listen_unix(str(path)) as sock:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as next_one:  # another server has taken the path meanwhile
            next_one.bind(str(path))
            withdraw(sock)
            assert path.exists()
    with pytest.raises(ServeError, match="No such file"):
        listen_unix(str(tmp_path / "nothing" / "s"))
    with pytest.raises(ServeError, match="too long"):
        listen_unix(str(tmp_path / ("s" * 200)))


@pytest.mark.parametrize("part", ["whole", "serving"])
def test_port_is_the_default_of_the_option(tmp_path: Path, part: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    run = {
        "whole": [sys.executable, "-m", "kit"],
        "serving": [sys.executable, "-c", "from kit.runner.command import main; main()"],
    }[part]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*run, "serve", "app.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PORT": str(port), "ROOT_PATH": "/v1"},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert re.search(rf" at http://127\.0\.0\.1:{port}$", process.stdout.readline().strip())
            assert httpx2.get(f"http://127.0.0.1:{port}/v1/notes").json() == []
        finally:
            process.terminate()
    wrong = subprocess.run(
        [*run, "serve", "app.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PORT": "http"},
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "--port" in wrong.stderr
