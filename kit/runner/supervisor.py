"""Several processes that serve on one listening socket: started, replaced when one dies, and stopped together."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Lock
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from kit.errors import KitError, ServeError
from kit.runner.graceful import turn_away

PAUSE = 0.5  # seconds before a dead worker is replaced: one that always fails must not keep the machine busy

Prepare = Callable[[socket.socket], uvicorn.Server]
_log = logging.getLogger("uvicorn.error")


def supervise(
    prepare: Prepare, sock: socket.socket, count: int, on_death: Callable[[int], Any] | None = None
) -> None:
    """Runs the server that `prepare(sock)` returns in `count` processes until SIGTERM or Ctrl+C, then closes `sock`.

    `on_death` is called with the id of a process that has died, before another takes its place.

    `prepare` is pickled: a module-level function, or a `partial` of one. If it raises, or the server ends with uvicorn's
    `STARTUP_FAILURE`, another try is useless: all of them stop, and `ServeError` is raised; one has printed why. The others
    go on where one was to take the place of a dead one: what it needs, such as a database, may be away for a while.
    """
    context = multiprocessing.get_context("spawn")
    voice = context.Lock()  # all that fail fail alike: the first one takes it, and prints why

    def start() -> SpawnProcess:
        worker = context.Process(target=_run, args=(prepare, sock, voice))
        worker.start()
        return worker

    woken, wake = socket.socketpair()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: wake.send(b"."))
    workers = [start() for _ in range(count)]
    failed, replaced = False, set[int | None]()
    while not failed and woken not in wait([woken, *(worker.sentinel for worker in workers)]):
        for at, worker in enumerate(workers):
            if worker.exitcode == STARTUP_FAILURE and worker.pid not in replaced:
                failed = True
            elif worker.exitcode is not None:
                _log.error(
                    "Worker %s died (exit status %s) and will be replaced.", worker.pid, worker.exitcode
                )
                if on_death and worker.pid is not None:
                    on_death(worker.pid)
                if wait([woken], PAUSE):
                    break
                workers[at] = start()
                replaced.add(workers[at].pid)
    turn_away(sock)
    sock.close()  # while any process holds it, connections arrive that no worker will see
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    if failed:
        raise ServeError("The workers did not start.", "The reason is above.")


def _run(prepare: Prepare, sock: socket.socket, voice: Lock) -> None:
    parent: Any = multiprocessing.parent_process()

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        server = prepare(sock)
    except Exception as error:
        if voice.acquire(block=False):
            print(f"kit: {error}" if isinstance(error, KitError) else traceback.format_exc(), file=sys.stderr)
        sys.exit(STARTUP_FAILURE)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C reaches each process of a terminal
        server.run()
