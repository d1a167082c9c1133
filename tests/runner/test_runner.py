"""The kit's runner: the part that an export carries, its command, and that answers are sent immediately."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from roads import ROADS, running

import kit
from kit.notebook.modules import imports_of
from kit.project.wheel import SERVING, write_serving_wheel
from kit.runner.command import main
from kit.sockets import listen, send_at_once, url

APP = """
import os, socket, stat
from fastapi import Request
import kit

other = kit.Plugin("other", description_for_model="Stands beside it.")
plugin = kit.Plugin("app", description_for_model="Tells of its process and its connections.")

@plugin.get("/pid")
async def pid() -> int:
    return os.getpid()

@plugin.get("/at_once")
async def at_once(request: Request) -> bool:
    for number in map(int, os.listdir("/dev/fd")):
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as sock:
                if sock.getpeername()[1:2] == (request.client.port,):
                    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        except OSError:
            pass
    raise LookupError
"""
# What the serving part imports from the rest of the kit late, after checking that it is installed.
GUARDED = {"__main__": {"cli"}}


# -- answers are sent immediately ------------------------------------------------------


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="this system has no /dev/fd")
@pytest.mark.parametrize("road", [*ROADS, "uvicorn, reload"])
def test_no_answer_waits_for_an_acknowledgement(tmp_path: Path, road: str) -> None:
    """Without TCP_NODELAY on the server's side of a connection an answer waits 40 ms for the client's delayed ACK."""
    command = ROADS.get(road) or ["uvicorn", "app:plugin", "--reload"]
    with running(tmp_path, APP, *command) as server:
        for _ in range(8):  # a connection each, to one worker or the other
            assert httpx2.get(f"{server.url}/at_once").json() is True


def test_only_listening_sockets_are_set_and_nothing_else_changes() -> None:
    option = socket.IPPROTO_TCP, socket.TCP_NODELAY
    with (
        socket.create_server(("127.0.0.1", 0)) as given,
        socket.create_connection(given.getsockname()) as client,
        given.accept()[0] as before,
    ):
        socket.setdefaulttimeout(1.0)
        try:
            send_at_once()
        finally:
            socket.setdefaulttimeout(None)
        assert given.getsockopt(*option) != 0
        assert client.getsockopt(*option) == before.getsockopt(*option) == 0
        assert all(os.get_blocking(sock.fileno()) for sock in (given, client, before))
        with socket.create_connection(given.getsockname()), given.accept()[0] as after:
            assert after.getsockopt(*option) != 0


# -- the part that an export carries ---------------------------------------------------


def test_the_part_that_serves_imports_nothing_else_of_the_kit() -> None:
    """Its modules are listed in `kit.project.wheel`. test_export.py shows that it serves in an empty environment."""
    package = Path(kit.__file__).parent
    names = {file.name.removesuffix(".py") for file in package.iterdir()}
    assert set(SERVING) <= names
    for file in sorted(package.rglob("*.py")):
        room = file.relative_to(package).parts[0].removesuffix(".py")
        if room in SERVING:
            imported = {
                module.split(".")[1]
                for module, _, _ in imports_of(ast.parse(file.read_bytes()))
                if module.startswith("kit.")
            }
            assert (imported & names) - {*SERVING} <= GUARDED.get(room, set()), file


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The serving wheel, unpacked: PYTHONPATH takes precedence over the installed kit."""
    folder = tmp_path_factory.mktemp("part")
    with zipfile.ZipFile(write_serving_wheel(folder)) as wheel:
        wheel.extractall(folder)
        (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert wheel.read(entry).decode() == "[console_scripts]\nkit = kit.runner.command:main\n"
    return folder


@pytest.fixture
def command(part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`python -m kit` of that part, in a folder with an app.py and without typer."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "typer.py").write_text("raise ImportError('the part that serves needs no typer')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{part}{os.pathsep}{tmp_path}")
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    return [sys.executable, "-m", "kit"]


@contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.search(r" at (http://\S+:\d+)$", process.stdout.readline().strip())
            if match is None:
                pytest.fail(process.communicate()[1])
            yield process, match[1]
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_an_exported_app_without_the_rest_of_the_command(command: list[str], workers: int) -> None:
    with started([*command, "serve", "app.py", "--workers", str(workers)]) as (process, address):
        # of two plugins, the one that the export names `plugin`
        manifest = httpx2.get(f"{address}/.well-known/ai-plugin.json", timeout=30).json()
        assert manifest["name_for_model"] == "app"
        pids, end = set(), time.monotonic() + 30
        while len(pids) < workers and time.monotonic() < end:
            pids.add(httpx2.get(f"{address}/pid").json())
        assert len(pids) == workers
        assert (process.pid in pids) is (workers == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_number_of_workers_comes_from_the_environment_too(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    with started([*command, "serve", "app.py"]) as (process, address):
        assert httpx2.get(f"{address}/pid", timeout=30).json() != process.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--help", 0, "--workers"),
        ("serve --help", 0, "0.0.0.0 for everyone"),
        ("", 2, "a command is missing"),
        ("serve", 2, "TARGET"),
        (
            "export a b",
            2,
            "'export' is not in this part of the kit: use `kit serve TARGET`, or install the whole kit for the others",
        ),
        ("serve app.py --reload", 2, "--reload"),
        ("serve app.py --workers 0", 2, "'0' is not a number from 1 up"),
        ("serve app.py --port 70000", 2, "'70000' is not a number from 0 to 65535"),
    ],
)
def test_usage(arguments: str, status: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    captured = capsys.readouterr()
    assert ended.value.code == status
    assert words in (captured.err if status else captured.out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("gone.py", "gone.py cannot be read: No such file or directory. "),
        ("gone:app", "The module 'gone' does not exist. Pass "),
        ("app.py:wrong", "app.py has no plugin 'wrong'. There are: other, plugin."),
        ("note.ipynb", "note.ipynb is not a notebook: it has no cells. "),
        ("failing.py", "The plugin did not start: its lifespan failed. The reason is above."),
        ("failing.py --workers 2", "The workers did not start. The reason is above."),
    ],
)
def test_errors_say_why_it_cannot_be_served(
    command: list[str], tmp_path: Path, arguments: str, words: str
) -> None:
    (tmp_path / "note.ipynb").write_text("{}")
    failing = "from contextlib import asynccontextmanager\n@asynccontextmanager\nasync def lifespan(app):\n"
    failing += "    raise OSError('no database')\n    yield\n"
    failing += "import kit\nplugin = kit.Plugin('app', description_for_model='Fails.', lifespan=lifespan)\n"
    (tmp_path / "failing.py").write_text(failing)
    done = subprocess.run([*command, "serve", *arguments.split()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"kit: {words}")
    assert ("OSError: no database" if "failing" in arguments else "kit: ") in done.stderr
    assert "Traceback" not in done.stderr or "failing" in arguments


def test_a_busy_port_is_one_line(command: list[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*command, "serve", "app.py", "--port", str(port)], capture_output=True, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"kit: Port {port} of 127.0.0.1 is taken by ")
    assert done.stderr.count("\n") == 1


def test_a_signal_stops_it_during_startup(command: list[str], tmp_path: Path) -> None:
    """Also as the first process of a container, where a signal without a handler does nothing."""
    (tmp_path / "app.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)\n")
    process = subprocess.Popen([*command, "serve", "app.py"])
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(10) == 0


def test_a_wrong_number_of_workers_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "many")
    with pytest.raises(SystemExit):
        main(["serve", "app.py"])
    assert "'many' is not a number from 1 up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "printed"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_the_printed_address_answers(host: str, printed: str) -> None:
    try:
        sock = listen(host, 0)
    except kit.ServeError:
        pytest.skip(f"this machine has no {host}")
    with sock:
        assert url(sock) == f"http://{printed}:{sock.getsockname()[1]}"
