"""A line for each request that a server answers, with a request id: JSON for machines, or text.

`LOG_FORMAT=json` makes every line JSON, including those of uvicorn and of the author's loggers; what is
logged while a request is handled carries its id. Secrets are hidden.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Awaitable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.plugin.faults import authors
from kit.plugin.problems import id_of, request_id
from kit.plugin.wellknown import parameters
from kit.redaction import hide, hide_given
from kit.visible import encodable, visible, visible_line

_log = logging.getLogger("kit.requests")
_FACTS = ("method", "path", "status", "ms")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and what is known of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Called by logging."""
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
            line["exception"] = hide(_exception(record.exc_info))
        return str(encodable(json.dumps(line, ensure_ascii=False, default=str)))


class TextLines(logging.Formatter):
    """A line for a person: time, level, message, request id. What a request holds makes no second line."""

    def format(self, record: logging.LogRecord) -> str:
        """Called by logging."""
        known = getattr(record, "request_id", "") or request_id.get()
        record = copy.copy(record)  # other handlers get it as it is
        _sanitize(record)
        first, *more = super().format(record).split("\n")
        return "\n".join([f"{first} [{known}]" if known and known not in first else first, *more])


class Sanitizer(logging.Filter):
    """Hides secrets and shows control characters in what uvicorn logs in its own form, its access log too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by logging."""
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):  # its formatter reads them
            record.args = tuple(_line(arg) if isinstance(arg, str) else arg for arg in record.args)
        elif not hasattr(record, "color_message"):  # those are about its own start and end
            _sanitize(record)
            if record.exc_info and (known := request_id.get()):
                record.msg += f" [{known}]"
        return True


def _sanitize(record: logging.LogRecord) -> None:
    """Gives the texts of a record a form that shows no secret. Only its first line begins where lines of a log do."""
    record.msg, record.args = _indented(record.getMessage().strip()), ()
    if record.exc_info:  # another formatter may have left its text in the record
        record.exc_text = "  " + _indented(_exception(record.exc_info))


def _exception(info: Any) -> str:
    """An exception's traceback, from the author's code on: what uvicorn and FastAPI did before is the same each time."""
    kind, error, trace = info
    return logging.Formatter().formatException((kind, error, authors(trace)))


def _indented(text: str) -> str:
    return visible(hide(text)).replace("\n", "\n  ")


def _line(text: str) -> str:
    return visible_line(hide(text))


def protect() -> None:
    """Makes uvicorn's own loggers hide secrets and control characters. A second call changes nothing."""
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, Sanitizer) for each in logger.filters):
            logger.addFilter(Sanitizer())


def write(log_format: str) -> None:
    """Makes the process write its log as "json" or "text" to stderr. A second call changes nothing."""
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
    # Its line shows secrets in the query, and a second line for each request would be one too many.
    uvicorn = logging.getLogger("uvicorn.access")
    uvicorn.handlers, uvicorn.propagate = [], False
    _log.setLevel(logging.INFO)


class AccessLog:
    """Middleware: a line for each request, and its id in the answer's `X-Request-ID`.

    The id is the request's own `X-Request-ID` if that is sane, else a new one. It stays set after the
    answer, so what the server then logs about an exception still has it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        entry = _Entry(scope, send)
        request_id.set(entry.request_id)
        try:
            await self.app(scope, receive, entry.send)
        except Exception:
            entry.write(500)  # it failed during the answer, or before
            raise
        finally:
            entry.write(499)  # no answer: the client disconnected, which nginx logs as 499


class _Entry:
    """One request until its line is written, once: at the end of the answer, or without one."""

    __slots__ = ("forward", "is_written", "request_id", "scope", "start", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self.start = perf_counter()
        self.scope = scope
        self.forward = send
        self.status = 0
        self.is_written = False
        self.request_id = id_of(scope["headers"])

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"]
            message = {**message, "headers": [*headers, (b"x-request-id", self.request_id.encode())]}
        elif not message.get("more_body"):
            self.write(self.status)
        return self.forward(message)

    def write(self, status: int) -> None:
        if self.is_written:
            return
        self.is_written = True
        ms = round((perf_counter() - self.start) * 1000, 1)
        method, path = self.scope["method"], self.scope["path"]
        query = unquote(self.scope["query_string"].decode("latin-1"))
        path = hide_given(path, parameters(self.scope))
        path = _line(f"{path}?{query}" if query else path)
        facts = dict(zip(_FACTS, (method, path, status, ms), strict=True), request_id=self.request_id)
        level = logging.ERROR if status >= 500 else logging.INFO
        _log.log(level, "%s %s %s in %s ms", method, path, status, ms, extra=facts)
