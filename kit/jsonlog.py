"""A line for each request that a server answers, with a request id: JSON for machines, or text.

`LOG_FORMAT=json` makes every line JSON, those of uvicorn and of the author's own loggers too; what is
logged while a request is answered carries its id. Secrets are hidden.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Awaitable
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.redaction import hide

_log = logging.getLogger("kit.requests")
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_FACTS = ("method", "path", "status", "ms")

request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and what is known of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Logging's name for it."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide(record.getMessage()),
        }
        if known := getattr(record, "request_id", "") or request_id.get():
            line["request_id"] = known
        for name in _FACTS:
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = hide(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """A line for a person: time, level, message, request id."""

    def format(self, record: logging.LogRecord) -> str:
        """Logging's name for it."""
        known = getattr(record, "request_id", "") or request_id.get()
        line = str(hide(super().format(record)))
        return line + (f" [{known}]" if known and not record.exc_info else "")


def write(log_format: str) -> None:
    """Lets the process write its log as "json" or "text", on stderr. A second call changes nothing."""
    root = logging.getLogger()
    formatter = JsonLines() if log_format == "json" else TextLines("%(asctime)s %(levelname)s %(message)s")
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter)
        root.addHandler(handler)
    if log_format == "json":
        for name in ("", "uvicorn", "uvicorn.error"):
            for each in logging.getLogger(name).handlers:
                each.setFormatter(formatter)
    # Its line has the query as it came, with secrets in it; and two lines a request are one too many.
    uvicorn = logging.getLogger("uvicorn.access")
    uvicorn.handlers, uvicorn.propagate = [], False
    _log.setLevel(logging.INFO)


def logged(app: ASGIApp) -> ASGIApp:
    """`app`, with a line for each request, and its id in the answer's `X-Request-ID`.

    The id is the request's own `X-Request-ID` if that is sane, else a new one. It stays set after the
    answer: what the server then logs of an exception still has it.
    """

    async def logging_it(scope: Scope, receive: Receive, send: Send) -> None:
        start, status = perf_counter(), 0
        said = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        known = said if _SANE.fullmatch(said) else uuid4().hex.encode()
        request_id.set(known.decode())
        written = False

        def write_line(status: int) -> None:
            nonlocal written
            written = True
            ms = round((perf_counter() - start) * 1000, 1)
            query = unquote(scope["query_string"].decode("latin-1"))
            path = hide(f"{scope['path']}?{query}" if query else scope["path"])
            level = logging.ERROR if status >= 500 else logging.INFO
            facts = {"request_id": known.decode(), "method": scope["method"], "path": path}
            facts |= {"status": status, "ms": ms}
            _log.log(level, "%s %s %s in %s ms", scope["method"], path, status, ms, extra=facts)

        def sending(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"]
                message = {**message, "headers": [*headers, (b"x-request-id", known)]}
            elif not message.get("more_body") and not written:
                write_line(status)
            return send(message)

        try:
            await app(scope, receive, sending)
        except Exception:
            if not written:  # it broke off in the middle of an answer, or before
                write_line(500)
            raise
        finally:
            if not written:  # the client has gone: 499, as nginx writes it
                write_line(499)

    def outermost(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (logging_it if scope["type"] == "http" else app)(scope, receive, send)

    return outermost
