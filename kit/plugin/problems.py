"""Errors as a client gets them: problem details (RFC 9457) with the request's id, and no stack.

`detail` is what FastAPI's own answers have: a text or, for arguments that do not fit, the list of what is wrong.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kit.errors import ChatError, DatabaseAway, DatabaseBusy, Forbidden, InstallError, KitError
from kit.plugin import faults
from kit.redaction import hide

MEDIA_TYPE = "application/problem+json"
# Errors of the kit that an operation lets through: what it needs is away. Any other is a fault of its code.
STATUS_OF: dict[type[KitError], int] = {
    Forbidden: 403,
    DatabaseAway: 503,
    DatabaseBusy: 503,
    InstallError: 502,
    ChatError: 502,
}

# The id of the request that is being answered. It stays set after the answer, so that what the server then logs has it.
request_id: ContextVar[str] = ContextVar("request_id", default="")
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger("uvicorn.error")


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request's own `X-Request-ID` if that is sane, else a new one."""
    sent = next((value for name, value in headers if name == b"x-request-id"), b"")
    return sent.decode() if _SANE.fullmatch(sent) else uuid4().hex


class Problem(Response):
    """An error as `application/problem+json`. Its members are those of RFC 9457, and `request_id`.

    `title` is the status' own phrase. `refused` by a limit or a guard, or raised: all errors have this form.
    """

    media_type = MEDIA_TYPE

    def __init__(self, status: int, detail: Any = None, headers: Mapping[str, str] | None = None) -> None:
        self._detail, self._given = detail, headers or {}
        super().__init__(None, status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server: only now the request is known."""
        known = request_id.get() or id_of(scope["headers"])
        request_id.set(known)
        self.body = body_of(self.status_code, self._detail, known)
        self.init_headers({"cache-control": "no-store", **self._given, "x-request-id": known})
        await super().__call__(scope, receive, send)


def body_of(status: int, detail: Any, known: str) -> bytes:
    """The bytes of a problem. `detail` of None is the status' own phrase."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = f"Status {status}"
    members = {"detail": title if detail is None else detail, "title": title, "status": status}
    text = json.dumps(
        {**members, "type": "about:blank", "request_id": known}, ensure_ascii=False, separators=(",", ":")
    )
    return text.encode(errors="backslashreplace")  # half a character becomes its escape, which JSON has too


async def http_error(request: Request, error: Exception) -> Response:
    """The answer to an `HTTPException`, FastAPI's and Starlette's."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for mypy: never false
    status, headers = error.status_code, error.headers
    if status < 200 or status in (204, 205, 304):  # these have no body
        return Response(status_code=status, headers=headers)
    return Problem(status, jsonable_encoder(error.detail), headers)


async def misfit(request: Request, error: Exception) -> Response:
    """The answer to arguments that do not fit: 422, with FastAPI's list as its `detail`."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for mypy: never false
    try:
        found = jsonable_encoder(error.errors())
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):  # what was sent has no form in JSON: NaN, or too deep
        found = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
    return Problem(422, found)


async def away(request: Request, error: Exception) -> Response:
    """The answer where a database or another server is away: its sentence, and a line in the log."""
    assert isinstance(error, KitError)  # noqa: S101 - for mypy: never false
    status = next(status for kind, status in STATUS_OF.items() if isinstance(error, kind))
    if status >= 500:
        _log.error("%s %s: %s", request.method, request.scope["path"], error)
    return Problem(status, hide(error.problem))


async def failure(request: Request, error: Exception) -> Response:
    """The answer to any other exception: 500 without a word about it. The server logs it, and closes the connection."""
    known = request_id.get() or id_of(request.scope["headers"])
    request_id.set(known)
    faults.keep(known, error, request.scope.get("endpoint"))
    return Problem(500, None, {"connection": "close"} if request.scope.get("http_version") != "2" else None)


HANDLERS: dict[Any, Any] = {
    HTTPException: http_error,
    RequestValidationError: misfit,
    **dict.fromkeys(STATUS_OF, away),
    Exception: failure,
}


def declare(document: dict[str, Any]) -> None:
    """Makes the 422 that FastAPI adds to each operation of `document` say what is served."""
    for path in document.get("paths", {}).values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422", {}) if isinstance(operation, dict) else {}
            content = answer.get("content", {})
            if content == {
                "application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}
            }:
                content[MEDIA_TYPE] = content.pop("application/json")
