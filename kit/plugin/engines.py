"""The engine of a database: how connections are made, what they are set to, and which errors a user can fix."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DatabaseAway, DatabaseBusy, DatabaseError, DatabaseMisfit
from kit.markup import short
from kit.plugin import attempts, tables

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import ExceptionContext

WAIT = 30  # seconds to wait for one's turn
# The TCP of a connection to PostgreSQL, as libpq names it. By default a host that no longer answers is noticed after
# minutes: 5 s to connect, 10 s until sent data is confirmed (in milliseconds), 20 s of silence while it is asked.
_TCP = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
# It cannot work now, whatever is asked: no file, no room, a file that is broken or none of SQLite's
_UNFIT = (
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
)  # fmt: skip
# SQLSTATE of PostgreSQL (its manual's Appendix A). Classes: connection, resources, its operator, its system.
_UNFIT_STATES = ("08", "53", "57", "58")
_CONFLICTS = ("40001", "40P01")  # serialization_failure, deadlock_detected
_CHECKS = {
    "sqlite": "Is it a file of SQLite, and may you write to it and its folder?",
    "postgresql": "Does that server run, and are its address, the name, user and password right?",
}
# An advisory lock that writes beside each other share, and who writes alone has for itself. The number is any.
_LOCKING = "SELECT set_config('lock_timeout', '{wait}s', true), {function}(6973812)"
ALONE = _LOCKING.format(wait=WAIT, function="pg_advisory_xact_lock")
_BEGIN = {  # None: a transaction that was begun with the engine, past read() and write()
    ("sqlite", "read"): ("PRAGMA query_only = ON", "BEGIN"),
    ("sqlite", "write"): ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE"),
    ("sqlite", None): ("PRAGMA query_only = OFF", "BEGIN"),
    ("postgresql", "write"): (f"SET LOCAL lock_timeout = '{WAIT}s'",),
    ("postgresql", "beside"): (_LOCKING.format(wait=WAIT, function="pg_advisory_xact_lock_shared"),),
}

asked_at: ContextVar[float] = ContextVar(
    "asked_at", default=0.0
)  # when the session was asked for that now connects


def make(url: URL, **more: Any) -> Engine:
    """An engine for the URL, which has connected to nothing yet. Raises `DatabaseError` for a missing folder or package."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import StaticPool

    options: dict[str, Any] = {"connect_args": {"timeout": WAIT, "check_same_thread": False}}
    if url.get_backend_name() == "postgresql":
        limits = {name: value for name, value in _TCP.items() if name not in url.query}
        # a connection is tested before its use, so no request fails after a server restart
        options = {"connect_args": limits, "pool_pre_ping": True}
    elif is_in_memory(url):
        options["poolclass"] = StaticPool
    elif "uri" not in url.query:
        path = Path(str(url.database)).absolute()  # a later chdir does not move the data
        if not path.parent.is_dir():
            raise DatabaseError(f"The folder of {path} does not exist.", f"Create it: mkdir -p {path.parent}")
        url = url.set(database=str(path))
    try:
        engine = create_engine(url, **options, **more)
    except ImportError as error:
        raise missing("psycopg", error) from None
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _explain)
    if engine.name == "sqlite":
        event.listen(engine, "connect", _prepare)
    else:
        event.listen(engine, "do_connect", _Connector())
    return engine


def is_in_memory(url: URL) -> bool:
    """Whether it is a SQLite database without a file."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def place(engine: Engine) -> str:
    """The URL without its password, which may also be in its query; a file below this folder relative to it."""
    url = engine.url.set(query={})
    if engine.name == "sqlite" and url.database:
        with suppress(ValueError):
            url = url.set(database=str(Path(url.database).relative_to(Path.cwd())))
    return url.render_as_string()


def check_intact(connection: Connection) -> None:
    """Raises the error of a transaction of PostgreSQL in which a statement failed: its commit would store nothing, silently."""
    driver = connection.connection.driver_connection
    if driver is not None and driver.info.transaction_status.name == "INERROR":
        raise attempts.current().conflict or DatabaseError(
            "A statement of this write() failed and its error was caught: PostgreSQL then stores nothing of it.",
            "Put what may fail into `with session.begin_nested():`, and catch its error around that.",
            database=place(connection.engine),
        )


def late(where: str) -> DatabaseBusy:
    """The error of who waited too long."""
    return DatabaseBusy(
        f"{where} was in use by others for {WAIT} s.",
        "Keep every write() short, with nothing slow or awaited in it. Does one never end?",
        database=where,
    )


def missing(package: str, error: ImportError) -> DatabaseError:
    """The error of a package that is not installed."""
    return DatabaseError(
        f"A database needs {package}: {error}.", "Install both: pip install sqlmodel 'psycopg[binary]'"
    )


class _Connector:
    """Connects to PostgreSQL. While that fails one thread tries, and who asked before it failed shares what came of it.

    Else 40 threads would wait 5 s each for a host that does not answer, and those without a free connection a few times that.
    """

    def __init__(self) -> None:
        self._turn, self._pid = threading.Lock(), os.getpid()
        self._failed_at = 0.0
        self._error: Exception | None = None

    def __call__(self, dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        if self._pid != os.getpid():  # a thread of the parent process may have had the turn
            self.__init__()  # type: ignore[misc]
        since = asked_at.get() or time.monotonic()
        if self._error is None:
            return self._connect(dialect, arguments, options)
        with self._turn:
            if self._error and self._failed_at >= since:
                raise self._error
            return self._connect(dialect, arguments, options)

    def _connect(self, dialect: Any, arguments: Any, options: Any) -> Any:
        try:
            connection = dialect.connect(*arguments, **options)
        except Exception as error:
            self._failed_at, self._error = time.monotonic(), error.with_traceback(None)
            raise
        self._error = None
        return connection


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("kit")
    if mode == "beside":
        attempts.current().transactions += 1
    for statement in _BEGIN.get((connection.dialect.name, mode), ()):
        connection.exec_driver_sql(statement)


def _explain(context: ExceptionContext) -> DatabaseError | None:
    """The kit's error for what a user can fix; the rest stays SQLAlchemy's."""
    error, connection = context.original_exception, context.connection
    number, state = getattr(error, "sqlite_errorcode", 0) & 0xFF, getattr(error, "sqlstate", None) or ""
    if context.is_pre_ping or context.engine is None:
        return None  # the pool only tested a connection
    where = place(context.engine)
    mode = connection.get_execution_options().get("kit") if connection is not None else None
    if number == sqlite3.SQLITE_BUSY or state == "55P03":
        return late(where)
    if mode in ("write", "beside") and state in _CONFLICTS:
        attempt = attempts.current()
        attempt.conflict = DatabaseBusy(
            f"{where}: another write changed what this one used, so nothing of this one was stored.",
            "Run it again, from its first read.",
            database=where,
        )
        return attempt.conflict
    # of SQLite's driver, of psycopg before it sends, of PostgreSQL (Appendix A, class 22)
    if isinstance(error, OverflowError) or type(error).__name__ == "DataError" or state[:2] == "22":
        return DatabaseMisfit(  # no address in it: the caller reads this
            f"The database cannot hold a value: {short(str(error), 400)}.",
            "Limit what the operation takes, as in Field(le=...).",
            database=where,
        )
    refused = number == sqlite3.SQLITE_READONLY or state == "25006"
    if mode == "read" and refused:
        return DatabaseError(
            "A session opened with read() cannot write.",
            "Use write(), and not in a GET operation: a browser or a model may repeat a GET.",
            database=where,
        )
    if refused or _is_away(context, number, state):
        return DatabaseAway(
            f"{where} cannot be used: {short(str(error), 400)}",
            _CHECKS[context.dialect.name],
            database=where,
        )
    return tables.outdated(context, where)


def _is_away(context: ExceptionContext, number: int, state: str) -> bool:
    return (
        context.connection is None or context.is_disconnect or number in _UNFIT or state[:2] in _UNFIT_STATES
    )


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
