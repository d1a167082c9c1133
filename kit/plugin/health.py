"""What a load balancer asks: `/health`, whether the process lives, and `/ready`, whether it can do its work now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from concurrent.futures import Future
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.errors import DatabaseAway
from kit.plugin import databases, outages
from kit.plugin.databases import Database
from kit.plugin.problems import Problem
from kit.plugin.registry import has_path
from kit.plugin.wellknown import is_read, route_path

if TYPE_CHECKING:
    from fastapi import FastAPI

HEALTH_PATH = "/health"
READY_PATH = "/ready"
STOPPING = "kit.stopping"  # in the lifespan's state, from the server's SIGTERM on
_ANSWER_WAIT = 3.0  # seconds for the databases

_asked: WeakKeyDictionary[Database, Future[DatabaseAway | None]] = WeakKeyDictionary()


class Health:
    """Middleware: answers both paths, unless one of `apps` has them.

    `/health` asks no database: restarting a replica that cannot reach it would not help. `/ready` does: meanwhile another
    replica may reach it. It is 503 from SIGTERM on.
    """

    def __init__(self, app: ASGIApp, apps: Collection[FastAPI]) -> None:
        self.app = app
        self.apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and scope["path"].endswith((HEALTH_PATH, READY_PATH)):
            path = route_path(scope)
            is_taken = any(has_path(each.routes, path) for each in self.apps)
            if path in (HEALTH_PATH, READY_PATH) and is_read(scope) and not is_taken:
                reason = await _unready(scope) if path == READY_PATH else ""
                app = Problem(503, reason, {"retry-after": "5"}) if reason else _fine()
        await app(scope, receive, send)


def _fine() -> Response:
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


async def _unready(scope: Scope) -> str:
    """Why the process cannot do its work now, as a sentence that anyone may read; empty if it can."""
    if scope.get("state", {}).get(STOPPING):
        return "The server is stopping."
    questions = [asyncio.wrap_future(_question(each)) for each in databases.opened()]
    if not questions:
        return ""
    answered, waiting = await asyncio.wait(questions, timeout=_ANSWER_WAIT)
    errors = [error for each in answered if (error := each.result())]
    for error in errors:
        outages.tell(error)
    if waiting:
        return f"The database does not answer within {_ANSWER_WAIT:g} s."
    return "The database cannot be used at the moment." if errors else ""


def _question(database: Database) -> Future[DatabaseAway | None]:
    """One at a time for each database, however many probes come. Its thread never keeps a process from ending."""
    future = _asked.get(database)
    if future is None or future.done():
        future = _asked[database] = Future()
        threading.Thread(target=_ask, args=(database, future), daemon=True).start()
    return future


def _ask(database: Database, future: Future[DatabaseAway | None]) -> None:
    try:
        future.set_result(database.unusable())
    except Exception as error:  # such as a file without permission
        future.set_result(DatabaseAway(str(error), ""))
