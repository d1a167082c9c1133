"""Errors: problem details with the request's id and no stack, whoever refuses; and the author's own stay theirs."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from roads import ROADS, running

import kit
from kit.plugin.problems import MEDIA_TYPE

CHATGPT = {"Origin": "https://chatgpt.com"}


def make() -> kit.Plugin:
    plugin = kit.Plugin("errors", description_for_model="Fails.")

    @plugin.get("/number")
    def number(n: float) -> float:
        return n

    @plugin.post("/numbers")
    def numbers(numbers: list[int]) -> int:
        return len(numbers)

    @plugin.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418, {"why": "tea"}, {"X-Tea": "green"})

    @plugin.get("/fails")
    def fails() -> None:
        raise ValueError("not today")

    @plugin.get("/busy")
    def busy() -> None:
        raise kit.DatabaseBusy("postgresql://app:hunter22@db/x was in use by others.", "Wait.")

    return plugin


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with kit.serve(make()) as server, httpx2.Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/number?n=x", 422),
        ("GET", "/nothing", 404),
        ("DELETE", "/number", 405),
        ("GET", "/teapot", 418),
        ("GET", "/fails", 500),
        ("GET", "/busy", 503),
    ],
)
def test_every_error_is_a_problem_inside_cors(
    client: httpx2.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers=CHATGPT)
    found = answer.json()
    assert (answer.status_code, found["status"]) == (status, status)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert found["type"] == "about:blank"
    assert found["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == CHATGPT["Origin"]
    assert "Traceback" not in answer.text
    assert "not today" not in answer.text
    assert "hunter22" not in answer.text
    assert client.request(method, path, headers={"X-Request-ID": "mine"}).json()["request_id"] == "mine"


def test_detail_is_fastapis(client: httpx2.Client) -> None:
    assert client.get("/number").json()["detail"][0]["loc"] == ["query", "n"]
    assert client.get("/teapot").json()["detail"] == {"why": "tea"}
    assert client.get("/teapot").headers["x-tea"] == "green"
    assert (
        client.get("/busy").json()["detail"]
        == "The database of this plugin was in use by others for too long."
    )


@pytest.mark.parametrize("body", [b"[NaN]", b'["\\ud800"]', b"[" * 400 + b"]" * 400, b"[1e999]", b"\xff"])
def test_what_has_no_form_in_json_is_refused_and_no_failure(client: httpx2.Client, body: bytes) -> None:
    answer = client.post("/numbers", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_after_a_failure_the_connection_is_closed_and_says_so(client: httpx2.Client) -> None:
    for _ in range(20):
        failed = client.get("/fails")
        assert (failed.status_code, failed.headers["connection"]) == (500, "close")
        assert client.get("/number?n=1").status_code == 200
    app = FastAPI(title="Wrapped")
    app.get("/fails")(lambda: 1 / 0)
    with kit.serve(app) as server:
        assert httpx2.get(f"{server.url}/fails").headers["connection"] == "close"


def test_the_spec_says_what_is_served() -> None:
    plugin = make()
    answers = plugin.openapi()["paths"]["/number"]["get"]["responses"]
    assert list(answers["422"]["content"]) == [MEDIA_TYPE]

    @plugin.exception_handler(RequestValidationError)
    async def theirs(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("no", 422)

    plugin.get("/more")(lambda n: n)
    assert list(plugin.openapi()["paths"]["/more"]["get"]["responses"]["422"]["content"]) == [
        "application/json"
    ]


def test_the_authors_handlers_answer() -> None:
    async def theirs(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(type(error).__name__, 499)

    for kind, path in ((HTTPException, "/teapot"), (RequestValidationError, "/number"), (Exception, "/fails"), (500, "/fails"), (kit.DatabaseBusy, "/busy"), (404, "/nothing")):  # fmt: skip
        plugin = make()
        plugin.add_exception_handler(kind, theirs)
        with kit.serve(plugin) as server:
            assert httpx2.get(f"{server.url}{path}").status_code == 499, kind
    app = FastAPI(title="Wrapped", exception_handlers={404: theirs})
    with kit.serve(app) as server:
        assert httpx2.get(f"{server.url}/nothing").text == "HTTPException"
        assert kit.install(server).manifest.name_for_model == "wrapped"


def test_a_model_reads_the_reason_alone() -> None:
    with kit.serve(make()) as server:
        assert kit.install(server).call("teapot").data == {"detail": {"why": "tea"}}


DATABASE = """
import kit
from sqlmodel import Field, SQLModel, select
class Note(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(unique=True)
db = kit.database("sqlite:///data.db").create(Note)
plugin = kit.Plugin("notes", description_for_model="Notes.")
@plugin.get("/notes")
def notes() -> list[str]:
    with db.read() as session:
        return [note.text for note in session.exec(select(Note))]
@plugin.get("/fails")
def fails() -> str:
    raise ValueError("password=hunter22\\n2026-11-26 00:00:00,000 ERROR forged")
"""


def test_a_database_that_is_away_is_503_with_a_line_and_a_failure_one_traceback(tmp_path: Path) -> None:
    with running(tmp_path, DATABASE, *ROADS["kit"]) as server:
        assert httpx2.get(f"{server.url}/notes").json() == []
        with sqlite3.connect(tmp_path / "data.db") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (tmp_path / "data.db").write_bytes(b"this is no database at all" * 1000)
        before = len(server.log)
        answer = httpx2.get(f"{server.url}/notes")
        assert (answer.status_code, answer.headers["content-type"]) == (503, MEDIA_TYPE)
        assert "database of this plugin cannot be used" in answer.json()["detail"]
        assert "data.db" not in answer.text
        while "cannot be used" not in server.log[before:]:
            time.sleep(0.02)
        assert "data.db cannot be used" in server.log[before:]
        assert "Traceback" not in server.log[before:]
        assert httpx2.get(f"{server.url}/notes").status_code == 503
        assert server.log[before:].count("cannot be used") == 1  # not once for each request
        before = len(server.log)
        failed = httpx2.get(f"{server.url}/fails")
        known = json.loads(failed.content)["request_id"]
        while "ValueError" not in server.log[before:]:
            time.sleep(0.02)
        log = server.log[before:]
        assert log.count("Traceback") == 1
        assert known in log.splitlines()[0]
        assert "hunter22" not in log
        assert not any(line.startswith("2026") for line in log.splitlines())
