"""Several processes that serve one plugin on one port: `kit serve TARGET --workers N`.

uvicorn's supervisor starts them, replaces one that dies, and tells them to end. Each loads the plugin
for itself, so that they share nothing but what is outside: a database.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import re
import socket
import sys
import traceback
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from kit.errors import KitError, ServeError

if TYPE_CHECKING:
    from kit.plugin import Plugin

_TARGET = "KIT_SERVE_TARGET"
_log = logging.getLogger("uvicorn.error")


class _Supervisor(Multiprocess):
    """uvicorn's, which gives up its own hold of the port before the workers end.

    As long as one process holds it, the system accepts connections that no worker will ever see.
    """

    def terminate_all(self) -> None:
        for sock in self.sockets:
            sock.close()
        super().terminate_all()


def run(target: str, sock: socket.socket, count: int) -> None:
    """Serves a target (see `kit.targets`) from `count` processes until SIGTERM or Ctrl+C.

    Raises `ServeError` if a worker cannot start; it has said why.
    """
    os.environ[_TARGET] = target
    os.environ["WEB_CONCURRENCY"] = str(count)
    config = uvicorn.Config("kit.workers:make", factory=True, workers=count, access_log=False)
    supervisor = _Supervisor(config, [sock])
    # It sets handlers for all that it knows; one of them ends it, and the handlers before stay away.
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise ServeError("The workers did not start.", "The reason is above.")


def make() -> Plugin:
    """The plugin of one worker. Ends the process with the status that tells the supervisor to give up."""
    from kit.targets import Target

    try:
        return Target(os.environ[_TARGET]).plugin()
    except KitError as error:
        reason = f"kit: {error}"
    except Exception:
        reason = traceback.format_exc()
    if not 1 < _number() <= count():  # all that start together fail alike: the first one tells
        print(reason, file=sys.stderr, flush=True)
    sys.exit(STARTUP_FAILURE)


def count() -> int:
    """How many processes serve this plugin on this machine, as far as one of them can tell."""
    asked = re.search(r"(?:--workers[ =]|-w ?)(\d+)", " ".join(sys.argv))  # a child has its parent's
    said = asked[1] if asked else os.environ.get("UVICORN_WORKERS") or os.environ.get("WEB_CONCURRENCY", "1")
    with contextlib.suppress(ValueError):
        return int(said)
    return 1


def tell(plugin: Plugin) -> None:
    """Warns, once for all workers, of what each of them would have a copy of its own of."""
    workers = count()
    if workers < 2 or _number() > 1:
        return
    from kit.memory import in_memory

    for what in in_memory(plugin):
        _log.warning(
            "%s in memory: each of the %s workers has its own, and it ends with the worker. "
            "What all of them are to see belongs into a database outside: DATABASE_URL or a file.", what, workers,
        )  # fmt: skip


def _number() -> int:
    """Which of its parent's children this process is, from 1 on; 0 for none."""
    number = multiprocessing.current_process().name.rpartition("-")[2]  # SpawnProcess-2
    return int(number) if number.isdigit() else 0
