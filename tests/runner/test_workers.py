"""Several workers: shared state is kept, unshared state is reported, and a dead worker is replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from roads import ROADS, running

import kit
from kit.plugin.memory import in_memory

NOTES = """
import os
import kit
from sqlmodel import Field, SQLModel, select

plugin = kit.Plugin("notes", description_for_model="Keeps notes and counts them.")

class Note(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str

class Count(SQLModel, table=True):
    id: int = Field(primary_key=True)
    value: int = 0

db = kit.database("sqlite:///data.db").create(Note, Count)

@plugin.post("/notes")
def add_note(text: str) -> int:
    with db.write() as session:
        session.add(Note(text=text))
        count = session.get(Count, 1) or Count(id=1)
        count.value += 1
        session.add(count)
    return os.getpid()

@plugin.get("/notes")
def list_notes() -> list[str]:
    with db.read() as session:
        return list(session.exec(select(Note.text)))

@plugin.get("/count")
def count() -> int:
    with db.read() as session:
        return session.get(Count, 1).value
"""
CLIENTS, NOTES_EACH = 8, 60


def test_of_four_workers_one_is_killed_under_load(tmp_path: Path, url: str) -> None:
    """No acknowledged write is lost or stored twice, and only requests in flight fail."""
    kept: list[str] = []
    failed: list[str] = []
    pids: Counter[int] = Counter()
    halfway = threading.Event()

    with running(tmp_path, NOTES, "kit", "serve", "app.py", "--workers", "4", DATABASE_URL=url) as server:
        assert server.log.count("Traceback") == 0  # four created the tables concurrently

        def write(number: int) -> None:
            with httpx2.Client(base_url=server.url, timeout=60) as client:
                for note in range(NOTES_EACH):
                    text = f"{number}-{note}"
                    try:
                        answer = client.post("/notes", params={"text": text})
                    except httpx2.TransportError:
                        failed.append(text)
                        continue
                    assert answer.status_code == 200, answer.text
                    kept.append(text)
                    pids[answer.json()] += 1
                    if len(kept) > CLIENTS * NOTES_EACH / 3:
                        halfway.set()

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(write, number) for number in range(CLIENTS)]
            assert halfway.wait(60)
            killed = pids.most_common(1)[0][0]
            os.kill(killed, signal.SIGKILL)
            for client in clients:
                client.result()

        stored = httpx2.get(f"{server.url}/notes", timeout=60).json()
        assert set(kept) <= set(stored)
        assert len(stored) == len(set(stored))
        assert set(stored) - set(kept) <= set(failed)  # stored, and its answer died with the worker
        assert httpx2.get(f"{server.url}/count", timeout=60).json() == len(stored)
        assert len(failed) <= CLIENTS
        while len(re.findall(r"Started server process", server.log)) < 5:  # the killed one's successor
            time.sleep(0.05)
        assert f"Worker {killed} died (exit status -9) and will be replaced." in server.log
        assert server.end() == 0


def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    with running(tmp_path, NOTES, "kit", "serve", "app.py", "--workers", "2") as server:
        server.process.kill()
        server.process.wait()
        while True:
            try:
                httpx2.get(f"{server.url}/health")
            except httpx2.ConnectError:
                break
            time.sleep(0.05)


MEMORY = """
import kit

plugin = kit.Plugin("todo", description_for_model="Keeps todos.")
todos: dict[str, list[str]] = {}
db = kit.database("sqlite://")

@plugin.post("/{user}/todos")
def add_todo(user: str, text: str) -> list[str]:
    todos.setdefault(user, []).append(text)
    with db.write() as session:
        pass
    return todos[user]
"""


@pytest.mark.parametrize("road", ["kit, 2 workers", "uvicorn, 2 workers"])
def test_state_in_memory_is_reported_once(tmp_path: Path, road: str) -> None:
    with running(tmp_path, MEMORY, *ROADS[road]) as server:
        while server.log.count("startup complete") < 2:
            time.sleep(0.05)
        log = server.log
    assert log.count("todos, a dict in memory: each worker has its own") == 1
    assert log.count("db, a database in memory: each worker has its own") == 1


@pytest.mark.parametrize("road", ["kit", "uvicorn"])
def test_one_process_may_keep_state_in_memory(tmp_path: Path, road: str) -> None:
    with running(tmp_path, MEMORY, *ROADS[road]) as server:
        assert httpx2.post(f"{server.url}/sam/todos?text=a").json() == ["a"]
        assert "in memory" not in server.log


def test_a_plugin_that_does_not_load_ends_them_all_and_tells_once(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import kit\nplugin = kit.Plugin('Not a name')\n")
    command = [sys.executable, "-m", "kit", "serve", "app.py", "--workers", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("name_for_model") == 1
    assert "kit: The workers did not start." in done.stderr


AWAY = """
import os, pathlib
import kit

if pathlib.Path("away").exists():
    raise RuntimeError("the database is away")
plugin = kit.Plugin("process", description_for_model="Says which process answers.")

@plugin.get("/process")
def process() -> int:
    return os.getpid()
"""


def test_a_successor_that_does_not_start_is_tried_again_while_the_others_serve(tmp_path: Path) -> None:
    with running(tmp_path, AWAY, "kit", "serve", "app.py", "--workers", "2") as server:
        while server.log.count("Application startup complete") < 2:
            time.sleep(0.05)
        (tmp_path / "away").touch()
        killed = httpx2.get(f"{server.url}/process", timeout=30).json()
        os.kill(killed, signal.SIGKILL)
        end = time.monotonic() + 60
        while server.log.count("will be replaced") < 3:
            time.sleep(0.05)
            assert time.monotonic() < end
        survivor = httpx2.get(f"{server.url}/process", timeout=30).json()
        (tmp_path / "away").unlink()
        end = time.monotonic() + 60
        while (other := httpx2.get(f"{server.url}/process", timeout=30).json()) == survivor:
            assert time.monotonic() < end
        assert other not in (killed, survivor)
        assert server.end() == 0


def test_a_notebook_is_served_by_workers(tmp_path: Path) -> None:
    kit.new("weather", tmp_path)
    command = ["kit", "serve", str(tmp_path / "weather" / "plugin.ipynb"), "--workers", "2"]
    with running(tmp_path, "", *command, PUBLIC_URL="https://weather.example.com") as server:
        manifest = httpx2.get(f"{server.url}/.well-known/ai-plugin.json").json()
        assert manifest["api"]["url"].startswith("https://weather.example.com/")


# -- state in memory ----------------------------------------------------------------

settings = {"unit": "metres"}  # only read
UNITS = {"m": 1.0, "km": 1000.0}  # a table to look things up in
notes: list[str] = []
total = 0


class Store:
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def put(self, key: str) -> None:
        self.rows[key] = 1


store = Store()


def helper(text: str) -> None:
    notes.append(text)


def counting() -> None:
    global total
    total += 1


def plugin_of(*functions: object) -> kit.Plugin:
    plugin = kit.Plugin("state", description_for_model="Keeps state.")
    for function in functions:
        plugin.post(f"/{function.__name__}")(function)  # type: ignore[attr-defined,arg-type]
    return plugin


def test_state_is_found_where_an_operation_changes_it() -> None:
    def by_a_helper(text: str) -> None:
        helper(text)

    def in_an_object(key: str) -> None:
        store.put(key)

    assert in_memory(plugin_of(by_a_helper)) == ["notes, a list"]
    assert in_memory(plugin_of(in_an_object)) == ["store, a Store"]
    assert in_memory(plugin_of(counting)) == ["total, an int"]


def test_state_is_found_in_a_closure_and_a_dependency() -> None:
    seen: set[str] = set()

    def remember(text: str) -> str:
        seen.add(text)
        return text

    from fastapi import Depends

    def through_a_dependency(text: str = Depends(remember)) -> str:
        return text

    assert in_memory(plugin_of(through_a_dependency)) == ["seen, a set"]


def test_what_is_only_read_is_not_state() -> None:
    def convert(value: float, unit: str) -> list[float]:
        made = []
        made.append(value * UNITS[unit])
        return made

    def unit() -> str:
        return settings["unit"]

    assert in_memory(plugin_of(convert, unit)) == []
