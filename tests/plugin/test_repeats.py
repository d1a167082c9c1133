"""An operation whose write met another one runs again: nothing is lost, nothing is done twice, and its caller sees nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, UploadFile
from fastapi.responses import StreamingResponse
from postgres import empty_postgres
from pydantic import BaseModel
from roads import ROADS, running
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, select, text

import kit
from kit.plugin.databases import Database, database


class Table(SQLModel, registry=registry()):
    """The base of the tables here."""


class Stock(Table, table=True):
    name: str = Field(primary_key=True)
    left: int = 0


class Sale(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    buyer: str = Field(unique=True)


class Order(BaseModel):
    name: str
    count: int


@pytest.fixture
def db(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    opened = database(empty_postgres(postgres)).create(Table)
    with opened.write() as session:
        session.add(Stock(name="tea", left=100))
    yield opened
    opened.close()


class Rival:
    """Takes one of the stock with a connection of its own, the first `times` that it is asked to."""

    def __init__(self, db: Database, times: int = 1) -> None:
        self.engine, self.times, self.asked = db.engine, times, 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked <= self.times:
            with self.engine.begin() as connection:
                connection.execute(text('UPDATE stock SET "left" = "left" - 1'))


def take(session: Session, count: int, rival: Callable[[], None]) -> int:
    stock = session.get_one(Stock, "tea")
    rival()
    stock.left -= count
    session.add(stock)
    session.flush()
    return stock.left


def left(db: Database) -> int:
    with db.read() as session:
        return session.get_one(Stock, "tea").left


def plain(app: Any, db: Database, rival: Rival) -> None:
    @app.post("/take")
    def take_some(order: Order) -> int:
        with db.write() as session:
            return take(session, order.count, rival)


def awaiting(app: Any, db: Database, rival: Rival) -> None:
    @app.post("/take")
    async def take_some(order: Order) -> int:
        with db.write() as session:
            return take(session, order.count, rival)


def depending(app: Any, db: Database, rival: Rival) -> None:
    """The commit comes after the operation has answered."""

    def session() -> Iterator[Session]:
        with db.write() as opened:
            yield opened

    @app.post("/take")
    def take_some(order: Order, session: Session = Depends(session)) -> int:  # noqa: B008
        stock = session.get_one(Stock, "tea")
        rival()
        stock.left -= order.count
        session.add(stock)
        return stock.left


def catching(app: Any, db: Database, rival: Rival) -> None:
    """Its author answers every error."""

    @app.post("/take")
    def take_some(order: Order) -> int:
        try:
            with db.write() as session:
                return take(session, order.count, rival)
        except Exception:
            return -1


def catching_inside(app: Any, db: Database, rival: Rival) -> None:
    """As before, where PostgreSQL would commit nothing without a word."""

    @app.post("/take")
    def take_some(order: Order) -> int:
        with db.write() as session:
            session.exec(select(Stock)).all()
            rival()
            try:
                session.exec(text('UPDATE stock SET "left" = "left" - :count').bindparams(count=order.count))
            except Exception:
                return -1
            return session.exec(select(Stock.left)).one()


@pytest.mark.parametrize("define", [plain, awaiting, depending, catching, catching_inside])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_operation_that_met_another_write_runs_again(
    db: Database, define: Callable[..., None], wrapped: bool
) -> None:
    for times in (1, 2):
        app = FastAPI(title="Shop")
        plugin = kit.Plugin("shop", description_for_model="Sells tea.")
        rival, before = Rival(db, times), left(db)
        define(app if wrapped else plugin, db, rival)
        with kit.serve(app if wrapped else plugin) as server:
            answer = httpx2.post(f"{server.url}/take", json={"name": "tea", "count": 10})
        assert (answer.status_code, answer.json()) == (200, before - times - 10)
        assert rival.asked == times + 1
        assert left(db) == before - times - 10


def test_a_write_that_meets_others_each_time_is_busy_and_stored_nothing(db: Database) -> None:
    plugin, rival = kit.Plugin("shop", description_for_model="Sells tea."), Rival(db, 100)
    plain(plugin, db, rival)
    with kit.serve(plugin) as server:
        answer = httpx2.post(f"{server.url}/take", json={"name": "tea", "count": 10})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "127.0.0.1" not in answer.text
    assert left(db) == 100 - rival.asked  # only the rival's


def test_what_was_stored_before_is_not_stored_again(db: Database) -> None:
    plugin, rival = kit.Plugin("shop", description_for_model="Sells tea."), Rival(db)

    @plugin.post("/two")
    def two() -> None:
        with db.write() as session:
            session.add(Sale(buyer="sam"))
        with db.write() as session:
            take(session, 10, rival)

    @plugin.post("/committing")
    def committing() -> None:
        with db.write() as session:
            session.add(Sale(buyer="kim"))
            session.commit()
            take(session, 10, rival)

    with kit.serve(plugin) as server:
        for path in ("two", "committing"):
            rival.asked = 0
            assert httpx2.post(f"{server.url}/{path}").status_code == 503
            assert rival.asked == 1
    with db.read() as session:
        assert session.exec(select(Sale.buyer)).all() == ["sam", "kim"]


def test_a_second_write_and_one_after_the_answer_let_no_other_in(db: Database) -> None:
    """They cannot run again, so the operation that would meet them waits."""
    plugin = kit.Plugin("shop", description_for_model="Sells tea.")
    inside, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        inside.set()
        assert go_on.wait(10)

    def background() -> None:
        with db.write() as session:
            take(session, 1, slowly)

    @plugin.post("/second")
    def second() -> None:
        with db.write() as session:
            session.add(Sale(buyer="sam"))
        with db.write() as session:
            take(session, 1, slowly)

    @plugin.post("/later")
    def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(background)

    @plugin.post("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[str]:
            yield "a"
            background()
            yield "b"

        return StreamingResponse(parts())

    other = Rival(db, 0)
    plain(plugin, db, other)
    with kit.serve(plugin) as server, ThreadPoolExecutor(2) as pool:
        for number, path in enumerate(("second", "later", "stream"), 1):
            inside.clear()
            go_on.clear()
            first = pool.submit(httpx2.post, f"{server.url}/{path}")
            assert inside.wait(10)
            waiting = pool.submit(httpx2.post, f"{server.url}/take", json={"name": "tea", "count": 1})
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            go_on.set()
            assert (first.result().status_code, waiting.result().status_code) == (200, 200)
            assert left(db) == 100 - 2 * number
            assert other.asked == number


def test_an_upload_is_received_again_and_one_too_large_to_keep_waits_its_turn(db: Database) -> None:
    plugin, rival = kit.Plugin("shop", description_for_model="Sells tea."), Rival(db)

    @plugin.post("/upload")
    async def upload(file: UploadFile) -> int:
        data = await file.read()
        with db.write() as session:
            take(session, len(data), rival if len(data) < 100 else lambda: None)
        return len(data)

    with kit.serve(plugin) as server:
        assert httpx2.post(f"{server.url}/upload", files={"file": b"x" * 20}).json() == 20
        assert (rival.asked, left(db)) == (2, 79)
        assert httpx2.post(f"{server.url}/upload", files={"file": b"x" * 2_000_000}).json() == 2_000_000


def test_many_that_find_or_create_make_one(db: Database) -> None:
    plugin = kit.Plugin("shop", description_for_model="Sells tea.")

    @plugin.post("/buy/{buyer}")
    def buy(buyer: str) -> int:
        with db.write() as session:
            sale = session.exec(select(Sale).where(Sale.buyer == buyer)).first() or Sale(buyer=buyer)
            session.add(sale)
            session.flush()
            stock = session.get_one(Stock, "tea")
            stock.left -= 1
            session.add(stock)
            return sale.id or 0

    with kit.serve(plugin) as server, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: httpx2.post(f"{server.url}/buy/{n % 3}"), range(48)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json() for answer in answers}) == 3
    assert left(db) == 100 - 48


def test_a_failure_that_was_caught_stores_nothing_silently(db: Database) -> None:
    with db.write() as session:
        session.add(Sale(buyer="sam"))
    insert = text("INSERT INTO sale (buyer) VALUES ('sam')")

    def swallow() -> None:
        with db.write() as session:
            take(session, 1, lambda: None)
            with pytest.raises(IntegrityError):
                session.exec(insert)

    with pytest.raises(kit.KitError, match=r"its error was caught[^\n]*\n.*begin_nested"):
        swallow()
    assert left(db) == 100
    with db.write() as session:
        take(session, 1, lambda: None)
        with pytest.raises(IntegrityError), session.begin_nested():
            session.exec(insert)
    assert left(db) == 99


WORKERS = """
import kit
from sqlmodel import Field, SQLModel, select
class Counter(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    value: int = 0
class Member(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
db = kit.database().create(Counter, Member)
plugin = kit.Plugin("club", description_for_model="Counts and joins.")
@plugin.post("/count")
def count() -> int:
    with db.write() as session:
        counter = session.get(Counter, 1) or Counter(id=1)
        counter.value += 1
        session.add(counter)
    return counter.value
@plugin.post("/join/{name}")
def join(name: str) -> int:
    with db.write() as session:  # no constraint keeps the names apart
        if session.exec(select(Member).where(Member.name == name)).first():
            return 0
        session.add(Member(name=name))
    return 1
"""


def test_processes_that_write_the_same_lose_and_double_nothing(postgres: str, tmp_path: Path) -> None:
    url = empty_postgres(postgres)
    with (
        running(tmp_path, WORKERS, *ROADS["kit, 2 workers"], DATABASE_URL=url) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        counts = pool.map(lambda _: client.post("/count"), range(80))
        joined = pool.map(lambda number: client.post(f"/join/{number % 10}"), range(80))
        answers = [*counts, *joined]
        assert {answer.status_code for answer in answers} == {200}
        assert sorted(answer.json() for answer in answers[:80]) == list(range(1, 81))  # each value once
        assert sum(answer.json() for answer in answers[80:]) == 10
        assert "ERROR" not in server.log
