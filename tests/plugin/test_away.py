"""PostgreSQL goes away and comes back: 503 with a reason, `/ready` beside `/health`, and no restart of anything."""

from __future__ import annotations

import logging
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from postgres import PASSWORD, empty_postgres
from proxies import TcpProxy
from roads import ROADS, running
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select

import kit
from kit.plugin.databases import Database, database
from kit.plugin.problems import MEDIA_TYPE


class Table(SQLModel, registry=registry()):
    """The base of the tables here."""


class Note(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str


@pytest.fixture
def proxy(postgres: str) -> Iterator[TcpProxy]:
    proxy = TcpProxy(int(postgres.rpartition(":")[2]))
    yield proxy
    proxy.stop()


@pytest.fixture
def url(postgres: str, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    empty_postgres(postgres)
    return f"postgresql://sam:{PASSWORD}@127.0.0.1:{proxy.port}/postgres"


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = database(f"{url}?connect_timeout=2").create(Table)
    yield opened
    opened.close()


def define(app: Any, db: Database) -> Any:
    @app.get("/notes")
    def notes() -> list[str]:
        with db.read() as session:
            return list(session.exec(select(Note.text)))

    @app.post("/notes")
    def add(text: str) -> int:
        with db.write() as session:
            session.add(note := Note(text=text))
        return note.id or 0

    @app.get("/constant")
    def constant() -> int:
        return 1

    return app


def make(db: Database, is_wrapped: bool = False) -> Any:
    app = FastAPI(title="Notes") if is_wrapped else kit.Plugin("notes", description_for_model="Notes.")
    return define(app, db)


def ask(client: httpx2.Client, count: int = 10) -> list[httpx2.Response]:
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(client.get, "/notes") for _ in range(count)]
        asked += [pool.submit(client.post, "/notes", params={"text": "x"}) for _ in range(count)]
        return [each.result() for each in asked]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_it_is_503_while_it_is_away_and_recovers_by_itself(
    db: Database, proxy: TcpProxy, is_wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    with kit.serve(make(db, is_wrapped)) as server, httpx2.Client(base_url=server.url) as client:
        assert {answer.status_code for answer in ask(client)} == {200}
        assert client.get("/ready").json() == {"status": "ok"}
        for _ in range(2):
            caplog.clear()
            proxy.stop()
            for answer in ask(client):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == MEDIA_TYPE
                assert "database of this plugin cannot be used" in answer.json()["detail"]
                for secret in ("127.0.0.1", "sam", "p@ss", str(proxy.port)):
                    assert secret not in answer.text
            assert (client.get("/health").status_code, client.get("/constant").status_code) == (200, 200)
            ready = client.get("/ready")
            assert (ready.status_code, ready.headers["content-type"]) == (503, MEDIA_TYPE)
            assert "127.0.0.1" not in ready.text
            said = [
                record.getMessage() for record in caplog.records if "cannot be used" in record.getMessage()
            ]
            assert len(said) == 1
            assert f"sam:***@127.0.0.1:{proxy.port}" in said[0]
            assert "p@ss" not in caplog.text
            assert "Traceback" not in caplog.text
            proxy.start()
            assert {answer.status_code for answer in ask(client)} == {200}
            assert client.get("/ready").status_code == 200
            assert caplog.text.count("can be used again") == 1


def test_a_host_that_is_silent_holds_no_request_for_long(db: Database, proxy: TcpProxy) -> None:
    with kit.serve(make(db)) as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        proxy.stop()
        proxy.start(is_silent=True)
        start = time.monotonic()
        assert {answer.status_code for answer in ask(client, 30)} == {503}  # more than there are connections
        assert time.monotonic() - start < 10
        start = time.monotonic()
        with ThreadPoolExecutor(5) as pool:
            ready = list(pool.map(lambda _: client.get("/ready").status_code, range(5)))
        assert ready == [503] * 5
        assert time.monotonic() - start < 5
        assert client.get("/health").status_code == 200
        proxy.stop()
        proxy.start()
        assert {answer.status_code for answer in ask(client)} == {200}


def test_ready_is_the_plugins_own_if_it_has_one_and_else_in_no_spec() -> None:
    plugin = kit.Plugin("bare", description_for_model="Has no database.")
    plugin.get("/constant")(lambda: 1)
    with kit.serve(plugin) as server:
        assert httpx2.get(f"{server.url}/ready").status_code == 200
        assert httpx2.head(f"{server.url}/ready").content == b""
        assert httpx2.post(f"{server.url}/ready").status_code == 404
        assert "/ready" not in plugin.openapi()["paths"]

        @plugin.get("/ready")
        def mine() -> str:
            return "mine"

        assert httpx2.get(f"{server.url}/ready").json() == "mine"


def test_a_broken_file_is_not_ready(tmp_path: Path) -> None:
    db = database(f"sqlite:///{tmp_path / 'data.db'}").create(Table)
    with kit.serve(make(db)) as server:
        assert httpx2.get(f"{server.url}/ready").status_code == 200
        with sqlite3.connect(tmp_path / "data.db") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (tmp_path / "data.db").write_bytes(b"this is no database at all" * 1000)
        assert httpx2.get(f"{server.url}/ready").status_code == 503
        assert httpx2.get(f"{server.url}/health").status_code == 200
    db.close()


STOPPING = """
import time
import kit
plugin = kit.Plugin("slow", description_for_model="Waits.")
@plugin.get("/slow")
def slow() -> int:
    time.sleep(2)
    return 1
"""


def test_a_server_that_stops_is_not_ready(tmp_path: Path) -> None:
    with (
        running(tmp_path, STOPPING, *ROADS["kit"]) as server,
        ThreadPoolExecutor(1) as pool,
        httpx2.Client(base_url=server.url) as client,
        httpx2.Client(base_url=server.url) as kept,
    ):
        assert kept.get("/ready").status_code == 200
        waiting = pool.submit(client.get, "/slow")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert kept.get("/ready").status_code == 503
        assert waiting.result().status_code == 200
