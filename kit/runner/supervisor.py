"""Several processes that serve on one listening socket: started, replaced when one dies, and stopped together."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

from uvicorn.config import STARTUP_FAILURE

from kit.errors import ServeError
from kit.runner.graceful import turn_away

PAUSE = 0.5  # seconds before a dead worker is replaced: one that always fails must not keep the machine busy

Work = Callable[[socket.socket], None]
_log = logging.getLogger("uvicorn.error")


def supervise(work: Work, sock: socket.socket, count: int) -> None:
    """Runs `work(sock)` in `count` processes until SIGTERM or Ctrl+C, then closes `sock`.

    `work` is pickled: a module-level function, or a `partial` of one. It must stop on SIGTERM; its exit status 3
    (uvicorn's `STARTUP_FAILURE`) means that another try is useless. Raises `ServeError` then; the worker has printed why.
    """
    woken, wake = socket.socketpair()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: wake.send(b"."))
    workers = [_start(work, sock) for _ in range(count)]
    failed = False
    while not failed and woken not in wait([woken, *(worker.sentinel for worker in workers)]):
        for at, worker in enumerate(workers):
            if worker.exitcode == STARTUP_FAILURE:
                failed = True
            elif worker.exitcode is not None:
                _log.error(
                    "Worker %s died (exit status %s) and will be replaced.", worker.pid, worker.exitcode
                )
                if wait([woken], PAUSE):
                    break
                workers[at] = _start(work, sock)
    turn_away(sock)
    sock.close()  # while any process holds it, connections arrive that no worker will see
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    if failed:
        raise ServeError("The workers did not start.", "The reason is above.")


def _start(work: Work, sock: socket.socket) -> SpawnProcess:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_run, args=(work, sock))
    worker.start()
    return worker


def _run(work: Work, sock: socket.socket) -> None:
    parent: Any = multiprocessing.parent_process()

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C reaches each process of a terminal
        work(sock)
