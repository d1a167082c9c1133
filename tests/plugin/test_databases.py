"""`database`: on SQLite and on a real PostgreSQL, nothing that was written is lost, and a read only reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from postgres import PASSWORD, ask_postgres, empty_postgres
from sqlalchemy import MetaData, inspect
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select, text

import kit
from kit.errors import KitError
from kit.plugin import engines
from kit.plugin.databases import Database, database

SECRETS = ("p%40ss", "p@ss", "ss:w", "w/rd", "w%2Frd")


class Table(SQLModel, registry=registry()):
    """The base of the tables here."""


class Counter(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    value: int = 0


class Note(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    counter_id: int | None = Field(default=None, foreign_key="counter.id")
    text: str = Field(unique=True)


# -- the databases ------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = database(url).create(Table)
    yield opened
    opened.close()


@pytest.fixture
def memory() -> Iterator[Database]:
    opened = database("sqlite://").create(Table)
    yield opened
    opened.close()


def texts(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.exec(select(Note.text).order_by(Note.text)))


# -- what is written ------------------------------------------------------------------


def test_what_is_written_is_there_when_it_is_opened_again(db: Database, url: str) -> None:
    with db.write() as session:
        session.add(added := Note(text="buy milk"))
    assert (added.id, added.text) == (1, "buy milk")  # usable after its session
    db.close()
    assert texts(db) == ["buy milk"]  # the next use opens it again
    again = database(url).create(Table)
    assert texts(again) == ["buy milk"]
    with again.write() as session:
        session.delete(gone := session.exec(select(Note)).one())
    assert gone.text == "buy milk"
    assert texts(again) == []
    again.close()


def test_an_exception_undoes_all_of_a_write_and_stays_what_it_is(db: Database) -> None:
    def write(note: Note, number: int) -> None:
        with db.write() as session:
            session.add(note)
            session.flush()
            1 / number

    with pytest.raises(ZeroDivisionError):
        write(Note(text="half"), 0)
    assert texts(db) == []
    write(Note(text="one"), 1)
    with pytest.raises(IntegrityError):
        write(Note(text="one"), 1)
    with pytest.raises(IntegrityError):  # foreign keys are enforced on SQLite too
        write(Note(text="two", counter_id=7), 1)
    assert texts(db) == ["one"]


def refused_writes() -> list[Any]:
    def update_later(session: Any) -> None:
        session.get(Counter, 1).value = 7

    def insert_after_a_commit(session: Any) -> None:
        session.commit()
        session.add(Note(text="late"))

    return [
        lambda session: session.add(Note(text="added")),
        lambda session: session.exec(text("DELETE FROM counter")),
        lambda session: session.exec(text("CREATE TABLE other (id INTEGER)")),
        update_later,
        insert_after_a_commit,
    ]


def test_a_read_refuses_to_write(db: Database) -> None:
    refuses(db)


def test_a_read_in_memory_refuses_to_write(memory: Database) -> None:
    refuses(memory)


def refuses(db: Database) -> None:
    with db.write() as session:
        session.add(Counter(id=1, value=3))
    for number, write in enumerate(refused_writes()):
        with (
            pytest.raises(KitError, match=r"opened with read\(\)[^\n]*\nUse write\(\), and not in a GET"),
            db.read() as session,
        ):
            write(session)
        with db.read() as session:
            assert session.get(Counter, 1).value == 3, number
        with db.write() as session:  # the same connection can write again
            session.add(Note(text=str(number)))
    assert texts(db) == ["0", "1", "2", "3", "4"]


def test_the_error_of_a_refused_write_comes_where_it_was_written(db: Database) -> None:
    with db.read() as session:
        session.add(Note(text="x"))
        with pytest.raises(KitError, match="opened with read"):
            session.flush()
        session.rollback()


def test_a_read_sees_one_moment(db: Database) -> None:
    def add() -> None:
        with db.write() as session:
            session.add(Note(text="meanwhile"))

    with db.read() as session:
        assert session.exec(select(Note)).all() == []
        thread = threading.Thread(target=add)
        thread.start()
        thread.join()  # the writer does not wait for the reader
        assert session.exec(select(Note)).all() == []
    assert texts(db) == ["meanwhile"]


@pytest.mark.parametrize("modes", [("write", "write"), ("read", "write"), ("write", "read")])
def test_one_inside_the_other_is_reported_at_once(memory: Database, modes: tuple[str, str]) -> None:
    with getattr(memory, modes[0])() as session:
        with pytest.raises(KitError, match=rf"{modes[1]}\(\) inside"), getattr(memory, modes[1])():
            pass
        assert session.exec(select(Note)).all() == []
    other = database("sqlite://").create(Table)
    with memory.read() as source, other.write() as target:  # two databases may be open together
        assert source is not target
    other.close()


def test_waiting_too_long_is_an_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Database objects on one database, as in two processes."""
    first = database(url).create(Table)
    monkeypatch.setattr(engines, "WAIT", 0.2)
    monkeypatch.setattr(engines, "ALONE", engines.ALONE.replace("30s", "200ms"))
    second = database(url)
    with (
        first.write(),
        pytest.raises(KitError, match=r"in use by others for 0.2 s[^\n]*\nKeep every write"),
        second.write(),
    ):
        pass

    def write_too() -> None:
        with first.write():
            pass

    with first.write(), ThreadPoolExecutor(1) as pool, pytest.raises(KitError, match="in use by others"):
        pool.submit(write_too).result()
    with second.write() as session:
        session.add(Note(text="then"))
    assert texts(first) == ["then"]
    first.close()
    second.close()


# -- many at once ------------------------------------------------------------------

WORKER = """
import sys
from sqlalchemy import Column, Integer, MetaData, Table as Plain
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select
from kit.plugin.databases import database

class Table(SQLModel, registry=registry()): ...

class Counter(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    value: int = 0

class Note(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str

def say(word):
    print(word, flush=True)

def write(text):
    with db.write() as session:
        session.add(Note(text=text))

say("ready")
task = sys.stdin.readline().strip()
db = database()
if task == "count":
    for number in range(10):
        db.create(Plain(f"t{number}", MetaData(), Column("id", Integer, primary_key=True)))
    db.create(Table)
    for _ in range(50):
        with db.write() as session:
            counter = session.get(Counter, 1) or Counter(id=1)
            counter.value += 1
            session.add(counter)
elif task == "forever":
    number = 0
    while True:
        write(f"{number:06}")
        say(f"{number:06}")
        number += 1
elif task == "hang":
    write("000000")
    say("000000")
    with db.write() as session:
        session.add(Note(text="000001"))
        session.flush()
        say("inside")
        sys.stdin.readline()
db.close()
"""


def workers(url: str, count: int) -> list[subprocess.Popen[str]]:
    """Processes that have imported everything and wait for their task."""
    command = [sys.executable, "-W", "error", "-c", WORKER]
    pipes: Any = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    started = [
        subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}, **pipes) for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return started


def test_four_processes_create_the_same_tables_and_lose_no_write(url: str) -> None:
    processes = workers(url, 4)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("count\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    db = database(url)
    with db.read() as session:
        assert session.get(Counter, 1).value == 200
        assert len(inspect(session.connection()).get_table_names()) == 12
    db.close()


@pytest.mark.parametrize("task", ["forever", "hang"])
def test_a_killed_process_loses_nothing_that_it_reported_as_stored(url: str, task: str) -> None:
    db = database(url).create(Table)
    (process,) = workers(url, 1)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{task}\n")
    process.stdin.flush()
    reported = [process.stdout.readline() for _ in range(2 if task == "hang" else 100)]
    process.send_signal(signal.SIGKILL)
    with process:
        reported += process.stdout.readlines()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGKILL
    stored = [line.strip() for line in reported if line != "inside\n"]
    rows = texts(db)
    assert rows[: len(stored)] == stored
    assert len(rows) - len(stored) <= (0 if task == "hang" else 1)  # one may be stored but not yet reported
    with db.write() as session:  # the lock of the killed process is free
        session.add(Note(text="after"))
    db.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "memory"])
def test_many_threads_of_a_served_plugin_lose_no_write(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = {"sqlite": f"sqlite:///{tmp_path / 'data.db'}", "memory": "sqlite://"}.get(kind)
    db = database(url or empty_postgres(request.getfixturevalue("postgres"))).create(Table)
    plugin = kit.Plugin("counter", description_for_model="Counts.")

    @plugin.post("/count", summary="Count one more")
    def count() -> Counter:
        with db.write() as session:
            counter = session.get(Counter, 1) or Counter(id=1)
            counter.value += 1
            session.add(counter)
        return counter

    @plugin.get("/count", summary="Read the count")
    def read() -> Counter | None:
        with db.read() as session:
            return session.get(Counter, 1)

    with kit.serve(plugin) as server:

        def ask(method: str) -> int:
            request = urllib.request.Request(f"{server.url}/count", method=method)
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, ["POST", "GET"] * 100)) == {200}
    with db.read() as session:
        assert session.get(Counter, 1).value == 100
    db.close()


def test_threads_that_wait_to_write_keep_no_reader_out(db: Database) -> None:
    start = threading.Barrier(41)

    def add(number: int) -> None:
        start.wait()
        with db.write() as session:
            session.add(Note(text=f"{number:02}"))

    with ThreadPoolExecutor(40) as pool:  # as many as FastAPI has for sync operations; connections are 15
        with db.write():
            added = [pool.submit(add, number) for number in range(40)]
            start.wait()
            assert wait(added, timeout=0.2).done == set()
            # that of the write, and on PostgreSQL that of its lock
            expected = 2 if db.engine.name == "postgresql" else 1
            assert db.engine.pool.checkedout() == expected  # type: ignore[attr-defined]
        assert [future.result() for future in added] == [None] * 40
    assert texts(db) == [f"{number:02}" for number in range(40)]


def connection_of(session: Any) -> Any:
    return session.connection().connection.dbapi_connection


def test_a_forked_process_opens_its_own_connections(db: Database) -> None:
    with db.write() as session:
        session.add(Note(text="parent"))
    with db.read() as session, db.engine.connect() as second:  # all that the pool has
        own = [connection_of(session), second.connection.dbapi_connection]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads
        child = os.fork()
    if child == 0:
        try:
            with db.write() as session:
                session.add(Note(text="child"))
                is_mine = connection_of(session) in own
            os._exit(2 if is_mine else 0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert texts(db) == ["child", "parent"]
    with db.read() as session:
        assert connection_of(session) in own


# -- tables ------------------------------------------------------------------


def test_a_cell_that_defines_a_table_can_run_again(db: Database) -> None:
    """The form the notebooks use. The tests turn warnings into errors."""
    cell = """
class Base(SQLModel, registry=registry()): ...

class User(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    todos: list["Todo"] = Relationship(back_populates="user")

class Todo(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str
    user_id: int | None = Field(default=None, foreign_key="user.id")
    user: User | None = Relationship(back_populates="todos")

db.create(Base)
with db.write() as session:
    session.add(Todo(text="one more", user=User()))
with db.read() as session:
    found = session.exec(select(Todo)).all()
    count = [todo.user.todos[0].text for todo in found]
"""
    import sqlmodel

    space: dict[str, Any] = {**vars(sqlmodel), "registry": registry, "db": db, "__name__": "__main__"}
    for times in (1, 2, 3):
        exec(compile(cell, "cell", "exec", dont_inherit=True), space)
        assert space["count"] == ["one more"] * times


def test_create_takes_classes_their_base_or_a_metadata(url: str) -> None:
    db = database(url)

    def names() -> list[str]:
        with db.read() as session:
            return sorted(inspect(session.connection()).get_table_names())

    assert db.create(Counter) is db
    assert names() == ["counter"]
    with db.write() as session:
        session.exec(text("DROP TABLE counter"))
    db.create(Note)  # refers to the other
    assert names() == ["counter", "note"]
    db.create(Table).create(Table.metadata).create(Table.metadata.tables["note"])
    for nothing in ((), (MetaData(),), (KitError,)):
        with pytest.raises(KitError, match=r"no table to create[^\n]*\n.*table=True"):
            db.create(*nothing)
    db.close()


def test_a_table_that_was_made_before_its_class_changed_is_reported(url: str) -> None:
    db = database(url)
    with db.write() as session:
        session.exec(text("CREATE TABLE counter (id INTEGER PRIMARY KEY)"))
    with pytest.raises(KitError, match=r"The table counter was created earlier, without value\.\nChange it"):
        db.create(Table)
    with db.read() as session:
        assert inspect(session.connection()).get_table_names() == ["counter"]  # nothing was left half done
    db.close()


def test_a_table_that_is_older_than_the_query_is_named(url: str) -> None:
    db = database(url).create(Table)
    with db.write() as session:
        session.exec(text("ALTER TABLE counter DROP COLUMN value"))

    def read() -> None:
        with db.read() as session:
            session.exec(select(Counter)).all()

    def write() -> None:
        with db.write() as session:
            session.add(Counter(value=3))

    for use in (read, write):
        with pytest.raises(
            KitError, match=r"(?s)is older than the code: [^\n]*value.*python -m alembic upgrade head"
        ):
            use()
    with db.read() as session, pytest.raises(ProgrammingError if "postgresql" in url else OperationalError):
        session.exec(text("SELECT misspelt FROM counter"))  # no word of tables that are older
    db.close()


def test_the_remedy_for_an_older_table_works(url: str) -> None:
    db = database(url)
    with db.write() as session:
        session.exec(text("CREATE TABLE counter (id INTEGER PRIMARY KEY)"))
        session.exec(text("INSERT INTO counter VALUES (7)"))
    with pytest.raises(KitError) as caught:
        db.create(Counter)
    statement = caught.value.remedy.partition("ALTER TABLE")[2].partition(";")[0]
    with db.write() as session:
        session.exec(text(f"ALTER TABLE{statement}"))
    with db.create(Counter).read() as session:
        assert session.get_one(Counter, 7).value == 0
    db.close()


# -- which database, and how it shows itself ----------------------------------------


def test_the_environment_wins_over_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    near = database()
    assert repr(near) == "<Database sqlite:///data.db>"
    monkeypatch.chdir("/")
    assert repr(near) == f"<Database sqlite:///{str(tmp_path)[1:]}/data.db>"
    monkeypatch.chdir(tmp_path)
    assert repr(database("sqlite://")) == "<Database sqlite://>"
    monkeypatch.setenv("DATABASE_URL", "sqlite:///deployed.db\n")  # a secret's file ends with a new line
    db = database("sqlite:///data.db").create(Table)
    monkeypatch.chdir("/")  # the data stays where it is
    assert texts(db) == []
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["deployed.db"]
    db.close()
    assert [path.name for path in tmp_path.iterdir()] == ["deployed.db"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_scheme_of_postgresql_is_understood(postgres: str, scheme: str) -> None:
    db = database(f"{scheme}://{postgres}/postgres")
    assert db.engine.url.drivername == "postgresql+psycopg"
    host = postgres.rpartition("@")[2]
    assert repr(db) == f"<Database postgresql+psycopg://sam:***@{host}/postgres>"
    db.close()


def test_it_shows_its_tables_and_no_password(db: Database) -> None:
    with db.write() as session:
        session.add_all([Note(text="a"), Note(text="b")])
        session.exec(text('CREATE TABLE "<i>" (id INTEGER)'))
    html = db._repr_html_()
    assert ("SQLite" if db.engine.name == "sqlite" else "PostgreSQL") in html
    assert "<code>note</code></td>" in html
    assert ">2</td>" in html
    assert "&lt;i&gt;" in html
    assert "<i>" not in html
    for secret in SECRETS:
        assert secret not in html + repr(db)
    assert "\n" not in repr(db)
    with db.write():
        assert "inside a read() or write()" in db._repr_html_()  # shown, not raised


def test_an_empty_one_shows_itself() -> None:
    db = database("sqlite://")
    assert "No tables yet." in db._repr_html_()
    db.close()


def test_the_password_is_in_no_error(postgres: str) -> None:
    host = postgres.rpartition("@")[2]
    wrong = {
        f"postgresql://{postgres}/nowhere": "/nowhere[^\n]* cannot be used",
        f"postgresql://sam:wr{PASSWORD}@{host}/postgres": "/postgres[^\n]* cannot be used",
        f"postgresql://sam:{PASSWORD}@127.0.0.1:1/postgres": "127.0.0.1:1/[^\n]* cannot be used",
        f"postgresql://sam:{PASSWORD}@nowhere.invalid/x": "nowhere.invalid",
        f"postgresql://127.0.0.1:1/postgres?user=sam&password={PASSWORD}": "127.0.0.1:1/postgres[^\n]* cannot be used",
        f"postgresql://sam:p@ss/x@{host}/postgres": "more than one @",
        f"postgresql://sam:p@ss:w%2frd@{host}/postgres": "cannot be read",
        f"postgresql://sam:{PASSWORD}@{host}:port/postgres": "cannot be read",
        f"sam:{PASSWORD}@{host}": "cannot be read",
        f"mysql://sam:{PASSWORD}@{host}/x": "mysql://, which the kit cannot open",
    }
    for url, problem in wrong.items():
        with pytest.raises(KitError, match=problem) as caught:
            database(url)
        error: BaseException | None = caught.value
        assert caught.value.remedy
        while error is not None:  # a traceback shows earlier errors, too
            assert not [secret for secret in (*SECRETS, "ss/x", "w%2frd") if secret in str(error)], url
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_server_that_goes_away_is_reported_and_found_again(postgres: str) -> None:
    ask_postgres(postgres, "CREATE DATABASE away")
    db = database(f"postgresql://{postgres}/away").create(Table)
    other = database(f"postgresql://{postgres}/postgres")
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'")

    def write_while_it_ends() -> None:
        with db.write() as session, other.write() as killer:
            killer.exec(ended)
            session.add(Note(text="lost"))

    with pytest.raises(KitError, match=r"sam:\*\*\*@[^\n]* cannot be used: .*\nDoes that server run"):
        write_while_it_ends()
    assert texts(db) == []
    with other.write() as killer:
        killer.exec(ended)
    with db.write() as session:  # pool_pre_ping: a dead connection is replaced unnoticed
        session.add(Note(text="kept"))
    assert texts(db) == ["kept"]
    db.close()
    other.close()


def test_a_folder_or_file_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        KitError, match=rf"{tmp_path}/no/data.db does not exist\.\nCreate it: mkdir -p {tmp_path}/no"
    ):
        database(f"sqlite:///{tmp_path}/no/data.db")
    (tmp_path / "text.db").write_text("no database " * 100)
    for name in ("text.db", "."):
        db = database(f"sqlite:///{tmp_path}/{name}")
        with pytest.raises(KitError, match=r"cannot be used: [^\n]*\nIs it a file of SQLite"), db.read():
            pass
        assert "cannot be used" in db._repr_html_()
        db.close()


def test_sqlite_is_set_up_as_measured(tmp_path: Path) -> None:
    db = database(f"sqlite:///{tmp_path / 'data.db'}")
    expected = {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 30_000, "foreign_keys": 1}
    with db.read() as session:
        assert {name: session.scalar(text(f"PRAGMA {name}")) for name in expected} == expected
    db.close()


def test_importing_the_kit_imports_no_database() -> None:
    code = (
        "import sys, kit, kit.plugin.databases\n"
        "assert not {'sqlmodel', 'sqlalchemy', 'psycopg'} & set(sys.modules)\n"
        "for package, url in (('psycopg', 'postgresql://x/y'), ('sqlmodel', None)):\n"
        "    sys.modules[package] = None\n"
        "    try: kit.plugin.databases.database(url)\n"
        "    except kit.KitError as error: print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    first, remedy, second, again = printed.splitlines()
    assert first.startswith("A database needs psycopg: ")
    assert second.startswith("A database needs sqlmodel: ")
    assert remedy == again == "Install both: pip install sqlmodel 'psycopg[binary]'"


def test_a_database_that_is_dropped_leaves_no_connection_open(tmp_path: Path) -> None:
    """As when the cell that opens it runs again; Python 3.13 would warn about each."""
    for _ in range(3):
        assert texts(database(f"sqlite:///{tmp_path / 'data.db'}").create(Table)) == []
    assert [path.name for path in tmp_path.iterdir()] == [
        "data.db"
    ]  # closing the last connection removes the WAL
