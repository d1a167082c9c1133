"""The proof of `kit export`: what the notebook shows is asked of both sides, and what each operation was proved by is said."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_notebook import write

import kit

IMPORTS = "#| export\nimport datetime, os, random, uuid\nimport kit\nfrom fastapi import HTTPException, Response, UploadFile, WebSocket\n"
PLUGIN = f"{IMPORTS}from pydantic import BaseModel\nshelf = kit.Plugin('shelf', description_for_model='Keeps books.')\nbooks = {{}}"
BOOKS = """#| export
class Book(BaseModel):
    title: str
    pages: int = 1
    model_config = {"json_schema_extra": {"examples": [{"title": "Emma"}, {"title": "Ulysses", "pages": 700}]}}

@shelf.post("/books", status_code=201)
def add_book(book: Book) -> dict:
    number = str(uuid.uuid4())
    books[number] = {"number": number, "added": datetime.datetime.now().isoformat(), **book.model_dump()}
    return {**books[number], "day": str(datetime.date.today())}

@shelf.get("/books/{number}")
def get_book(number: str) -> dict:
    if number not in books:
        raise HTTPException(404, "There is no such book.")
    return books[number]

@shelf.delete("/books/{number}", status_code=204)
def drop_book(number: str) -> None:
    del books[number]
"""
SHOWN = """server = kit.serve(shelf)
plugin = kit.install(server)
TITLES = ["Dracula", "Middlemarch"]
made = [plugin.call("add_book", title=title, pages=len(title)).expect(201) for title in TITLES]
plugin.call("get_book", number=made[1].data["number"]).expect(200, title="Middlemarch")"""
REQUESTS = """import httpx2
with httpx2.Client() as client:
    answer = client.post(f"{server.url}/books", json={"title": "Persuasion"})
    client.get(server.url + "/books/" + answer.json()["number"]).raise_for_status()"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> kit.Export:
    folder = tmp_path_factory.mktemp("shelf")
    path = write(folder / "shelf.ipynb", PLUGIN, BOOKS, SHOWN, REQUESTS)
    return kit.export(path, folder / "out")


def calls(made: kit.Export) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((made.path / "tests" / "calls.json").read_bytes())
    return found


def run_tests(made: kit.Export) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(command, cwd=made.path, env=clean, capture_output=True, text=True)


def test_what_the_notebook_shows_is_asked_with_its_own_ids(shelf: kit.Export) -> None:
    assert shelf.ok, shelf
    assert set(shelf.parity.operations.values()) == {"a success"}
    made = [row for row in shelf.parity.rows if row.operation == "add_book"]
    assert [row.source for row in made] == ["cell 3", "cell 3", "cell 4"] + ["an example of the spec"] * 2
    assert all(row.note == "new each time: /added, /number" for row in made)
    found = [row for row in shelf.parity.rows if row.operation == "get_book" and row.source != "its schema"]
    assert [row.export[:3] for row in found] == ["200", "200"]


def test_the_exported_tests_hold_the_same_calls(shelf: kit.Export) -> None:
    titles = [call["json"]["title"] for call in calls(shelf) if call["operation"] == "add_book"]
    assert titles == ["Dracula", "Middlemarch", "Persuasion", "Emma", "Ulysses"]
    first = next(call for call in calls(shelf) if call["operation"] == "add_book")
    # the day is the same on both sides, and another one tomorrow
    assert first["answer"]["varies"] == ["/added", "/day", "/number"]
    assert first["answer"]["data"]["pages"] == 7
    done = run_tests(shelf)
    assert done.returncode == 0, done.stdout
    app = shelf.path / "app.py"
    text = app.read_text()
    app.write_text(text.replace("del books[number]", "pass").replace("**book.model_dump()", "**{}"))
    done = run_tests(shelf)
    app.write_text(text)
    assert done.returncode == 1
    assert "add_book] - " in done.stdout


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that writes down what reaches it."""
    reached: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reached.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"told")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", reached
        server.shutdown()


def test_a_call_that_changes_something_reaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: tuple[str, list[str]]
) -> None:
    monkeypatch.setenv("ELSEWHERE", elsewhere[0])
    cell = """#| export
import urllib.request
def ask(path: str) -> str:
    return urllib.request.urlopen(os.environ["ELSEWHERE"] + path, timeout=5).read().decode()

@shelf.get("/weather")
def weather() -> str:
    return ask("/weather")

@shelf.post("/mails")
def send_mail(text: str) -> str:
    return ask("/mails")

@shelf.post("/notes")
def note(text: str) -> str:
    return text"""
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell), tmp_path / "out")
    assert made.ok, made
    assert set(elsewhere[1]) == {"/weather"}
    assert made.parity.operations == {
        "weather": "a success",
        "send_mail": "an error only",
        "note": "a success",
    }
    assert "send_mail was not let out to 127.0.0.1:" in repr(made)
    assert [call["operation"] for call in calls(made)] == ["note"]


@pytest.mark.parametrize("how", ["connection", "setting"])
def test_what_belongs_to_others_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: tuple[str, list[str]], how: str
) -> None:
    address = elsewhere[0].removeprefix("http://") if how == "connection" else ""
    monkeypatch.setenv("ELSEWHERE", address or "redis://127.0.0.1:1/0")
    cell = """#| export
import socket
host, _, port = os.environ["ELSEWHERE"].partition(":")
queue = socket.create_connection((host, int(port))) if port.isdigit() else None

@shelf.post("/notes")
def note(text: str) -> str:
    return text"""
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell), tmp_path / "out")
    assert made.ok, made
    assert made.parity.operations == {"note": "nothing"}
    assert made.parity.skipped == ["note"]
    assert f"connected to {address or 'ELSEWHERE'}, which is not the proof's own" in repr(made)


def test_a_secret_of_an_unmarked_cell_is_in_no_test(tmp_path: Path) -> None:
    cell = """#| export
@shelf.post("/logins")
def sign_in(user: str, password: str) -> str:
    return user"""
    shown = "plugin = kit.install(shelf)\nplugin.call('sign_in', user='sam', password='violet-horse-9')"
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell, shown), tmp_path / "out")
    assert made.parity.operations == {"sign_in": "a success"}
    assert not [it for it in made.path.rglob("*") if it.is_file() and b"violet" in it.read_bytes()]


def test_a_package_that_only_an_answer_needs_is_a_requirement(tmp_path: Path) -> None:
    cell = """#| export
import importlib
loaded = importlib.import_module("authlib")

@shelf.post("/pages")
def make_page(text: str) -> str:
    return importlib.import_module("markdown_it").MarkdownIt().render(text)

@shelf.get("/swallowed")
def swallowed() -> bool:
    try:
        return bool(importlib.import_module("psutil"))
    except ImportError:
        return False"""
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell), tmp_path / "out")
    assert made.ok, made
    needed = (made.path / "requirements.txt").read_text()
    assert "markdown-it-py==" in needed
    assert "psutil==" in needed
    assert "authlib==" in needed
    assert "orjson" not in needed  # installed, and looked for by others
    assert (
        "markdown_it is a requirement too, though no marked cell names it: make_page imports it."
        in made.notes
    )


def test_sockets_uploads_pages_and_redirects(tmp_path: Path) -> None:
    cell = """#| export
from fastapi.responses import HTMLResponse, RedirectResponse

@shelf.websocket("/rooms/{room}")
async def talk(socket: WebSocket, room: str):
    await socket.accept()
    while True:
        await socket.send_text(f"{room}: {await socket.receive_text()}")

@shelf.post("/covers", response_class=Response)
async def add_cover(file: UploadFile):
    data = await file.read()
    if file.content_type != "image/png":
        raise HTTPException(415, "Send a PNG.")
    return Response(data, media_type="image/png")

@shelf.post("/tables")
async def add_table(file: UploadFile) -> int:
    return len((await file.read()).splitlines())

@shelf.get("/page", response_class=HTMLResponse)
def page() -> str:
    return f"<p>\\n{random.random()}\\n</p>"

@shelf.get("/old")
def old():
    return RedirectResponse("/page")"""
    shown = """from websockets.sync.client import connect
server = kit.serve(shelf)
with connect(f"ws://127.0.0.1:{server.port}/rooms/blue") as socket:
    socket.send("hello")
plugin = kit.install(server)
plugin.call("add_table", file=open("books.csv", "rb").read())"""
    (tmp_path / "books.csv").write_text("a\nb\nc\n")
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell, shown), tmp_path / "out")
    assert made.ok, made
    assert set(made.parity.operations.values()) == {"a success"}
    assert "websockets==" in (made.path / "requirements.txt").read_text()
    talked = next(call for call in calls(made) if call["method"] == "WEBSOCKET")
    assert talked["url"] == "/rooms/blue"
    assert talked["answer"]["data"] == ["blue: hello"]
    assert next(call for call in calls(made) if call["operation"] == "add_table")["answer"]["data"] == 3
    done = run_tests(made)
    assert done.returncode == 0, done.stdout


def test_a_difference_in_what_is_changed_is_found(tmp_path: Path) -> None:
    cell = """#| export
@shelf.post("/count")
def count(by: int) -> int:
    books["n"] = books.get("n", 0) + by * (2 if __file__.endswith("app.py") else 1)
    return 200

@shelf.get("/count")
def read_count() -> int:
    return books.get("n", 0)"""
    shown = "plugin = kit.install(shelf)\nplugin.call('count', by=3)\nplugin.call('read_count')"
    made = kit.export(write(tmp_path / "shelf.ipynb", PLUGIN, cell, shown), tmp_path / "out")
    assert not made.ok
    assert {row.operation for row in made.parity.differences} == {"read_count"}


def test_what_the_outputs_and_the_cases_show(tmp_path: Path) -> None:
    cell = """#| export
@shelf.post("/shelves/{shelf}")
def put(shelf: str, title: str) -> str:
    return f"{title} on {shelf}"

@shelf.get("/where")
def where(title: str) -> str:
    return title"""
    path = write(
        tmp_path / "shelf.ipynb", PLUGIN, cell, "chat = kit.Chat(shelf)\nchat('Put Emma on b').expect('put')"
    )
    notebook = json.loads(path.read_text())
    text = "You: Put Emma on b\n  put(shelf='b', title='Emma') -> 200 Emma on b\nmodel: Done.\n"
    notebook["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [text]}]
    path.write_text(json.dumps(notebook))
    (tmp_path / "cases.yaml").write_text(
        "- say: Where is Emma?\n  calls: {where: {title: {one_of: [Emma, emma]}}}\n- say: Hello\n  calls: none\n"
    )
    made = kit.export(path, tmp_path / "out")
    shown = {row.what: row.source for row in made.parity.rows if row.operation}
    assert shown == {"POST /shelves/b?title=Emma": "cell 3", "GET /where?title=Emma": "cases.yaml"}
