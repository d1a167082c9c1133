"""A database for a plugin, SQLite or PostgreSQL: `DATABASE_URL` says which, and the code stays the same.

read() and write() mean the same on both, unlike the defaults of the two:

- A write is alone from its start: BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL. 4 processes
  x 100 times "read, add one, write" kept 400 of 400. A deferred BEGIN kept 369, the other 31 were "database
  is locked" at once, despite a timeout of 30 s; sqlite3's own transactions kept 162. PostgreSQL without a
  lock kept 52 of 600. (SELECT ... FOR UPDATE would do there, but SQLite ignores it silently.)
- A read sees one moment and cannot write: query_only on SQLite, REPEATABLE READ, READ ONLY on PostgreSQL.
- SQLite: WAL with synchronous=NORMAL stored 939 todos a second instead of 119, and no reader waits for a
  writer; with 50 ms instead of 30 s to wait for a turn, 194 requests failed. A killed process loses nothing
  that it committed; a power cut may take the last commits. foreign_keys, off by default, are on.
- Only one process can switch a new file to WAL; 4 that start together failed in 2 of 25 tries, whatever the
  timeout, so the switch is retried. With that, 0 of 60.
- Threads of one process queue for their write before they take a connection: 12 threads stored 3,500 a
  second (slowest 1 %: 30 ms) instead of 1,300 (105 ms), and readers always find a connection free.
- PostgreSQL: pool_pre_ping tests a connection before its use, so no request fails after a server restart.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DatabaseAway, DatabaseBusy, DatabaseError, DatabaseMisfit
from kit.markup import code, escape, short, table

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, MetaData, Table
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlmodel import Session, SQLModel

WAIT = 30  # seconds to wait for one's turn
_FORM = "Write it as sqlite:///data.db or postgresql://USER:PASSWORD@HOST/NAME."
_CHECKS = {
    "sqlite": "Is it a file of SQLite, and may you write to it and its folder?",
    "postgresql": "Does that server run, and are its address, the name, user and password right?",
}
# It cannot work now, whatever is asked: no file, no room, a file that is broken or none of SQLite's
_UNFIT = (
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
)  # fmt: skip
_UNFIT_STATES = (
    "08",
    "53",
    "57",
    "58",
)  # of PostgreSQL: connection, resources, its operator, its system (Appendix A)
_BEGIN = {  # None: a transaction that was begun with the engine, past read() and write()
    ("sqlite", "read"): ("PRAGMA query_only = ON", "BEGIN"),
    ("sqlite", "write"): ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE"),
    ("sqlite", None): ("PRAGMA query_only = OFF", "BEGIN"),
    ("postgresql", "read"): ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",),
    ("postgresql", "write"): (f"SET LOCAL lock_timeout = '{WAIT}s'", "SELECT pg_advisory_xact_lock(6973812)"),
    ("postgresql", None): (),
}
_open: ContextVar[tuple[Database, ...]] = ContextVar("open", default=())


def database(url: str | None = None) -> Database:
    """The database of `DATABASE_URL`; if that is not set, of `url`; by default, the file data.db.

    `sqlite:///data.db` is a file in this folder, `sqlite://` is in memory, `postgresql://...` a server. Raises
    `DatabaseError` for another URL, a missing folder or package, and a server that refuses the connection.
    """
    try:
        import sqlmodel  # noqa: F401
        from sqlalchemy import make_url
    except ImportError as error:
        raise _missing("sqlmodel", error) from None
    text = os.environ.get("DATABASE_URL", "").strip()
    name = "DATABASE_URL" if text else "The database's URL"
    text = text or url or "sqlite:///data.db"
    try:
        parsed = make_url(text)
    except Exception:  # its text may contain a password, so it stays out of the message
        raise DatabaseError(f"{name} cannot be read.", _FORM) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise DatabaseError(f"{name} starts with {parsed.drivername}://, which the kit cannot open.", _FORM)
    # What follows the first @ would count as the host and be shown.
    if parsed.drivername != "sqlite" and text.count("@") > 1:
        raise DatabaseError(f"{name} has more than one @.", "Write an @ in a user name or password as %40.")
    return Database(parsed)


class Database:
    """A database that `database()` opened. `engine` is SQLAlchemy's, for everything not offered here.

    SQLite in memory has one connection: its readers and writers take turns.
    """

    engine: Engine

    def __init__(self, url: URL) -> None:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import StaticPool

        options: dict[str, Any] = {"connect_args": {"timeout": WAIT, "check_same_thread": False}}
        self._is_single = False
        if url.get_backend_name() == "postgresql":
            # seconds; by default it takes minutes
            limit = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
            options = {"connect_args": limit, "pool_pre_ping": True}
        elif url.database in (None, "", ":memory:"):
            self._is_single, options["poolclass"] = True, StaticPool
        elif "uri" not in url.query:
            path = Path(str(url.database)).absolute()  # a later chdir does not move the data
            if not path.parent.is_dir():
                raise DatabaseError(
                    f"The folder of {path} does not exist.", f"Create it: mkdir -p {path.parent}"
                )
            url = url.set(database=str(path))
        try:
            self.engine = create_engine(url, **options)
        except ImportError as error:
            raise _missing("psycopg", error) from None
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", _explain)
        if url.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _prepare)
        else:
            self.engine.connect().close()  # a wrong password fails here, not in a request
        self._turn, self._pid = threading.Lock(), os.getpid()
        weakref.finalize(self, _close, self.engine, self._pid)  # a re-run cell leaves nothing open

    def create(self, *tables: type[SQLModel] | MetaData | Table) -> Database:
        """Creates the missing tables and returns self. Several processes may do so at once.

        Takes table classes, their base class, or a MetaData, with the tables they refer to. Raises
        `DatabaseError` if a table exists but lacks a column: existing tables are never changed.
        """
        from sqlalchemy import inspect

        required = [table for source in tables for table in _tables(source)]
        for each in required:  # grows while it is read
            required += {key.column.table for key in each.foreign_keys}.difference(required)
        if not required:
            raise DatabaseError(
                "There is no table to create.", "Name table classes. Does one lack table=True?"
            )
        with self.write() as session:
            connection = session.connection()
            for metadata in {each.metadata for each in required}:
                metadata.create_all(connection, [each for each in required if each.metadata is metadata])
            for each in required:
                existing = {
                    column["name"] for column in inspect(connection).get_columns(each.name, each.schema)
                }
                if missing := {column.name for column in each.columns} - existing:
                    problem = (
                        f"The table {each.name} was created earlier, without {', '.join(sorted(missing))}."
                    )
                    remedy = f"Change it in {_place(self.engine)}, or drop it if its rows may go."
                    raise DatabaseError(problem, remedy)
        return self

    def read(self) -> AbstractContextManager[Session]:
        """A session that sees one moment and cannot write (`DatabaseError` if it tries): for GET operations."""
        return self._session("read")

    def write(self) -> AbstractContextManager[Session]:
        """A session that writes alone, commits at its end, and rolls back on an exception.

        Others wait for it up to 30 s, then get a `DatabaseError`: no slow call and no `await` belongs in it.
        """
        return self._session("write")

    def close(self) -> None:
        """Closes the connections; the next use opens new ones. A database in memory is lost."""
        self.engine.dispose()

    def __repr__(self) -> str:
        return f"<Database {_place(self.engine)}>"

    def _repr_html_(self) -> str:
        from sqlalchemy import func, inspect, select
        from sqlalchemy import table as named

        kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self.engine.name]
        head = f"<b>{kind}</b> {code(_place(self.engine))}"
        try:
            with self.read() as session:
                names = inspect(session.connection()).get_table_names()
                counts = [session.scalar(select(func.count()).select_from(named(name))) for name in names]
        except DatabaseError as error:
            return f"{head}<br>{escape(error.problem)}"
        rows = [(code(name), f"{count:,}") for name, count in zip(names, counts, strict=True)]
        return head + (table(("table", "rows"), rows) if rows else "<br>No tables yet.")

    @contextmanager
    def _session(self, mode: str) -> Iterator[Session]:
        from sqlalchemy.exc import TimeoutError as PoolTimeout
        from sqlmodel import Session

        if self in (outer := _open.get()):
            raise DatabaseError(
                f"{mode}() inside a read() or write() would wait for it forever.", "Use the open session."
            )
        if self._pid != os.getpid() and not self._is_single:
            # A forked process may neither use nor close the connections of its parent.
            self._pid, self._turn, self._inherited = os.getpid(), threading.Lock(), self.engine.pool
            self.engine.dispose(close=False)
        takes_turn = self._is_single or mode == "write"  # here, so that waiting holds no connection
        if takes_turn and not self._turn.acquire(timeout=WAIT):
            raise _late(_place(self.engine))
        _open.set((*outer, self))
        try:
            with Session(self.engine.execution_options(kit=mode), expire_on_commit=False) as session:
                try:
                    session.connection()  # begins the transaction now, so that the first read counts too
                except PoolTimeout:
                    raise _late(_place(self.engine)) from None
                yield session
                session.flush()  # in a read(), what was added is not silently dropped
                if mode == "write":
                    session.commit()
        finally:
            _open.set(outer)
            if takes_turn:
                self._turn.release()


def _begin(connection: Connection) -> None:
    for statement in _BEGIN[connection.dialect.name, connection.get_execution_options().get("kit")]:
        connection.exec_driver_sql(statement)


def _explain(context: ExceptionContext) -> DatabaseError | None:
    """The kit's error for what a user can fix; the rest stays SQLAlchemy's."""
    error, connection = context.original_exception, context.connection
    number, state = getattr(error, "sqlite_errorcode", 0) & 0xFF, getattr(error, "sqlstate", None) or ""
    if context.is_pre_ping or context.engine is None:
        return None  # the pool only tested a connection
    place = _place(context.engine)
    if number == sqlite3.SQLITE_BUSY or state == "55P03":
        return _late(place)
    # of SQLite's driver, of psycopg before it sends, of PostgreSQL (Appendix A, class 22)
    if isinstance(error, OverflowError) or type(error).__name__ == "DataError" or state[:2] == "22":
        return DatabaseMisfit(
            f"{place} cannot hold a value: {short(str(error), 400)}.",
            "Limit what the operation takes, as in Field(le=...).",
            database=place,
        )
    reads = connection is not None and connection.get_execution_options().get("kit") == "read"
    refused = number == sqlite3.SQLITE_READONLY or state == "25006"
    if reads and refused:
        return DatabaseError(
            "A session opened with read() cannot write.",
            "Use write(), and not in a GET operation: a browser or a model may repeat a GET.",
            database=place,
        )
    if (
        connection is None
        or context.is_disconnect
        or refused
        or number in _UNFIT
        or state[:2] in _UNFIT_STATES
    ):
        return DatabaseAway(
            f"{place} cannot be used: {short(str(error), 400)}", _CHECKS[context.dialect.name], database=place
        )
    return None


def _late(place: str) -> DatabaseBusy:
    return DatabaseBusy(
        f"{place} was in use by others for {WAIT} s.",
        "Keep every write() short, with nothing slow or awaited in it. Does one never end?",
        database=place,
    )


def _place(engine: Engine) -> str:
    """The URL without its password, which may also be in its query; a file below this folder relative to it."""
    url = engine.url.set(query={})
    if engine.name == "sqlite" and url.database:
        with suppress(ValueError):
            url = url.set(database=str(Path(url.database).relative_to(Path.cwd())))
    return url.render_as_string()


def _close(engine: Engine, pid: int) -> None:
    if pid == os.getpid():  # a forked process does not own them
        engine.dispose()


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    """Settings of a new connection. SQLAlchemy begins transactions itself: its own recipe."""
    connection.isolation_level = None
    end = time.monotonic() + WAIT
    # Of processes that open a new file together, one switches it to WAL and the others fail.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL").close()
    connection.execute("PRAGMA foreign_keys = ON").close()


def _tables(source: Any) -> list[Table]:
    from sqlalchemy import MetaData, Table

    if isinstance(source, Table) or hasattr(source, "__table__"):
        return [getattr(source, "__table__", source)]
    metadata = source if isinstance(source, MetaData) else getattr(source, "metadata", MetaData())
    return list(metadata.tables.values())


def _missing(package: str, error: ImportError) -> DatabaseError:
    return DatabaseError(
        f"A database needs {package}: {error}.", "Install both: pip install sqlmodel 'psycopg[binary]'"
    )
