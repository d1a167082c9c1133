"""Fixtures for conftest.py: the tests' own PostgreSQL server, and the URLs of both kinds of database."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "p%40ss:w/rd"  # as in a URL


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, which Debian keeps out of the PATH."""
    initdb = shutil.which("initdb")
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: float(home.parent.name))
    return Path(initdb).resolve().parent if initdb else next(iter(homes[::-1]), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a new PostgreSQL server that asks for a password: `USER:PASSWORD@HOST:PORT`."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "password").write_text("p@ss:w/rd\n")
        who: dict[str, Any] = {"cwd": folder}
        if os.getuid() == 0:  # which postgres refuses to run as
            who |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            for path in (home, home / "password"):
                shutil.chown(path, "postgres", "postgres")

        # fmt: off
        subprocess.run([programs / "initdb", "-D", home / "data", "-U", "sam", "-A", "scram-sha-256",
                        "--pwfile", home / "password", "--no-locale", "-E", "UTF8", "--no-sync"],
                       stdout=subprocess.DEVNULL, check=True, **who)
        # fmt: on
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [programs / "postgres", "-D", home / "data", "-h", "127.0.0.1", "-p", str(port), "-k", home]
        log = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, "-c", "fsync=off"], **log, **who) as server:
            ready = threading.Event()

            def follow() -> None:
                for line in server.stderr or ():
                    if "ready to accept connections" in line:
                        ready.set()

            follower = threading.Thread(target=follow)
            follower.start()
            try:
                assert ready.wait(30)
                yield f"sam:{PASSWORD}@127.0.0.1:{port}"
            finally:
                server.send_signal(signal.SIGQUIT)  # immediately: nothing has to be saved
                follower.join()


def ask_postgres(postgres: str, *statements: str) -> None:
    from sqlalchemy import text

    from kit.plugin.databases import database

    engine = database(f"postgresql://{postgres}/postgres").engine.execution_options(
        isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def empty_postgres(postgres: str) -> str:
    """The URL of an empty database."""
    ask_postgres(postgres, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return f"postgresql://{postgres}/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data.db'}"
    return empty_postgres(request.getfixturevalue("postgres"))
