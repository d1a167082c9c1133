"""A database for a plugin, SQLite or PostgreSQL: `DATABASE_URL` says which, and the code stays the same.

read() and write() mean the same on both, unlike the defaults of the two:

- A write counts as if it were alone. On SQLite it is: BEGIN IMMEDIATE. 4 processes x 100 times "read, add one, write"
  kept 400 of 400. A deferred BEGIN kept 369, the other 31 were "database is locked" at once, despite a timeout of 30 s;
  sqlite3's own transactions kept 162. PostgreSQL without any of this kept 52 of 600.
- PostgreSQL lets writes run beside each other and refuses one whose outcome would differ from that of some order
  (SERIALIZABLE). The operation then runs again: `kit.plugin.repeats`. A write that cannot run again is alone there too:
  it holds an advisory lock that the others share.
- A read sees one moment and cannot write: query_only on SQLite, REPEATABLE READ, READ ONLY on PostgreSQL.
- SQLite: WAL with synchronous=NORMAL stored 939 todos a second instead of 119, and no reader waits for a
  writer; with 50 ms instead of 30 s to wait for a turn, 194 requests failed. A killed process loses nothing
  that it committed; a power cut may take the last commits. foreign_keys, off by default, are on.
- Only one process can switch a new file to WAL; 4 that start together failed in 2 of 25 tries, whatever the
  timeout, so the switch is retried. With that, 0 of 60.
- Threads of one process queue for their write before they take a connection: 12 threads stored 3,500 a
  second (slowest 1 %: 30 ms) instead of 1,300 (105 ms), and readers always find a connection free.
"""

from __future__ import annotations

import importlib
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kit.errors import DatabaseAway, DatabaseBusy, DatabaseError
from kit.markup import code, escape, table
from kit.plugin import attempts, engines, outages, tables
from kit.plugin.turns import Turns, TurnTimeout

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, MetaData, Table
    from sqlmodel import Session, SQLModel

_FORM = "Write it as sqlite:///data.db or postgresql://USER:PASSWORD@HOST/NAME."
_WRITERS = 10  # at once in one process; SQLAlchemy's pool has 15 connections
_ANSWER_WAIT = 2  # seconds for PostgreSQL to accept the connection that asks whether it is there
_open: ContextVar[tuple[Database, ...]] = ContextVar("open", default=())
_pretended: list[tuple[URL, Database]] | None = None  # while `declared` imports a module
_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def database(url: str | None = None) -> Database:
    """The database of `DATABASE_URL`; if that is not set, of `url`; by default, the file data.db.

    `sqlite:///data.db` is a file in this folder, `sqlite://` is in memory, `postgresql://...` a server. Raises
    `DatabaseError` for another URL, a missing folder or package, and a server that refuses the connection.
    """
    try:
        import sqlmodel  # noqa: F401
        from sqlalchemy import make_url
    except ImportError as error:
        raise engines.missing("sqlmodel", error) from None
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
    if _pretended is None:
        return Database(parsed)
    _pretended.append((parsed, Database(make_url("sqlite://"))))
    return _pretended[-1][1]


def declared(module: str) -> tuple[URL, list[MetaData]]:
    """The database that a module opens, and the tables that it creates there; for `migrations/env.py`.

    The module is imported with an empty database in memory in the place of its own, whose tables are those of an
    earlier version. Raises `DatabaseError` for a module that opens none with `database()`.
    """
    global _pretended
    pretended: list[tuple[URL, Database]] = []
    _pretended = pretended
    try:
        importlib.import_module(module)
    finally:
        _pretended = None
    if not pretended:
        raise DatabaseError(f"{module} opens no database with kit.database().", "Name the module that does.")
    return pretended[0][0], [metadata for _, each in pretended for metadata in each.metadata]


def opened() -> list[Database]:
    """The databases of this process, without those that were closed."""
    return list(_databases)


class Database:
    """A database that `database()` opened. `engine` is SQLAlchemy's, for everything not offered here.

    SQLite in memory has one connection: its readers and writers take turns.
    """

    engine: Engine

    def __init__(self, url: URL) -> None:
        self.engine = engines.make(url)
        self._is_single = engines.is_in_memory(url)
        self._is_shared = self.engine.name == "postgresql"
        self._modes = {mode: self.engine.execution_options(**options) for mode, options in self._options()}
        if self._is_shared:
            self.engine.connect().close()  # a wrong password fails here, not in a request
        self._asking = self._asker(url)
        self._turns, self._pid = Turns(_WRITERS), os.getpid()
        self.metadata: list[MetaData] = []  # of the tables that create() was given
        weakref.finalize(self, _close, self.engine, self._pid)  # a re-run cell leaves nothing open
        attempts.is_used = True
        _databases.add(self)

    def create(self, *sources: type[SQLModel] | MetaData | Table) -> Database:
        """Creates the missing tables and returns self. Several processes may do so at once.

        Takes table classes, their base class, or a MetaData, with the tables they refer to. Raises
        `DatabaseError` if a table exists but lacks a column: existing tables are never changed.
        """
        required = tables.required(*sources)
        with self.write() as session:
            tables.create(session.connection(), required, engines.place(self.engine))
        self.metadata += {each.metadata for each in required}.difference(self.metadata)
        return self

    def read(self) -> AbstractContextManager[Session]:
        """A session that sees one moment and cannot write (`DatabaseError` if it tries): for GET operations."""
        return self._session("read")

    def write(self) -> AbstractContextManager[Session]:
        """A session that writes as if it were alone, commits at its end, and rolls back on an exception.

        On SQLite others wait for it up to 30 s, then get a `DatabaseError`: no slow call and no `await` belongs in it. On
        PostgreSQL the first one of an operation runs beside others. If it meets one, the operation runs again from
        its start, at most twice: what must happen once, such as sending a mail, comes after it.
        """
        return self._session("write")

    def close(self) -> None:
        """Closes the connections; the next use opens new ones. A database in memory is lost."""
        self.engine.dispose()
        _databases.discard(self)

    def __repr__(self) -> str:
        return f"<Database {engines.place(self.engine)}>"

    def _repr_html_(self) -> str:
        from sqlalchemy import func, inspect, select
        from sqlalchemy import table as named

        kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self.engine.name]
        head = f"<b>{kind}</b> {code(engines.place(self.engine))}"
        try:
            with self.read() as session:
                names = inspect(session.connection()).get_table_names()
                counts = [session.scalar(select(func.count()).select_from(named(name))) for name in names]
        except DatabaseError as error:
            return f"{head}<br>{escape(error.problem)}"
        rows = [(code(name), f"{count:,}") for name, count in zip(names, counts, strict=True)]
        return head + (table(("table", "rows"), rows) if rows else "<br>No tables yet.")

    def unusable(self) -> DatabaseAway | None:
        """Why it cannot be used now, or None. Asks it: an unanswered question to PostgreSQL takes 2 s, a broken connection less.

        The question has a connection of its own: one that waits for a free one would call a busy server away.
        """
        from sqlalchemy import text

        if self._is_single:
            return None
        try:
            with self._asking.connect() as connection:
                connection.execute(text("SELECT 1" if self._is_shared else "SELECT 1 FROM sqlite_schema"))
        except DatabaseAway as error:
            return error
        outages.over(engines.place(self.engine))
        return None

    def _asker(self, url: URL) -> Engine:
        from sqlalchemy.pool import NullPool

        if not self._is_shared:
            return self.engine
        asking = url.update_query_dict({"connect_timeout": str(_ANSWER_WAIT)})
        return engines.make(asking, poolclass=NullPool)

    def _options(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The execution options of each kind of session: "beside" is a write that may meet others."""
        serializable = {"isolation_level": "SERIALIZABLE"} if self._is_shared else {}
        once = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self._is_shared else {}
        for mode, options in (("read", once), ("write", serializable), ("beside", serializable)):
            yield mode, {"kit": mode, **options}

    @contextmanager
    def _session(self, mode: str) -> Iterator[Session]:
        from sqlalchemy.exc import TimeoutError as PoolTimeout

        if self in (outer := _open.get()):
            raise DatabaseError(
                f"{mode}() inside a read() or write() would wait for it forever.", "Use the open session."
            )
        if self._pid != os.getpid() and not self._is_single:
            # A forked process may neither use nor close the connections of its parent.
            self._pid, self._turns, self._inherited = os.getpid(), Turns(_WRITERS), self.engine.pool
            self.engine.dispose(close=False)
        _databases.add(self)  # again, if it was closed
        attempt = attempts.current()
        if mode == "write" and self._is_shared and attempt.writes_beside_others:
            mode = "beside"
        _open.set((*outer, self))
        engines.asked_at.set(time.monotonic())
        try:
            with ExitStack() as opened:
                opened.enter_context(attempt.noted(mode))
                try:
                    opened.enter_context(self._turn(mode))
                    session = opened.enter_context(self._transaction(mode))
                except (PoolTimeout, TurnTimeout):
                    raise engines.late(engines.place(self.engine)) from None
                yield session
        except DatabaseBusy:
            if attempt.conflict:
                self._turns.conflicted()
            raise
        finally:
            _open.set(outer)
        if outages.any_known():
            outages.over(engines.place(self.engine))

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[Session]:
        from sqlmodel import Session

        with Session(self._modes[mode], expire_on_commit=False) as session:
            session.connection()  # begins the transaction now, so that the first read counts too
            yield session
            session.flush()  # in a read(), what was added is not silently dropped
            if mode != "read":
                if self._is_shared:
                    engines.check_intact(session.connection())
                session.commit()

    @contextmanager
    def _turn(self, mode: str) -> Iterator[None]:
        """Waits for one's turn in this process and, to write alone in PostgreSQL, among all."""
        if mode == "beside":
            with self._turns.beside(engines.WAIT):
                yield
        elif self._is_single or mode == "write":
            with self._turns.alone(engines.WAIT), self._locked():
                yield
        else:
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock that excludes all other writes to PostgreSQL, on a connection of its own.

        A transaction sees what was stored when its first query began, which is before that has waited for a lock.
        """
        if not self._is_shared:
            yield
            return
        with self.engine.connect() as connection:
            connection.exec_driver_sql(engines.ALONE)
            yield


def _close(engine: Engine, pid: int) -> None:
    if pid == os.getpid():  # a forked process does not own them
        engine.dispose()
