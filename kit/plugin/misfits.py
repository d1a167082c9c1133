"""Requests that no operation can take, answered as the spec says: 422 with a list of reasons, 405 with all methods."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from kit.errors import DatabaseMisfit, KitError
from kit.plugin.registry import operations
from kit.plugin.wellknown import route_path

UNREAD = "There was an error parsing the body"  # FastAPI's words for a body that is not UTF-8, or is too deep


def handle(app: FastAPI) -> None:
    """Lets `app` answer them so, unless its author has handlers for them. The form is that of the app's other errors."""
    for kind, handler in ((405, _other_method), (400, _unread), (DatabaseMisfit, _misfit)):
        app.exception_handlers.setdefault(kind, handler)


async def _other_method(request: Request, error: HTTPException) -> Response:
    """FastAPI names the methods of the first operation of a path only. RFC 9110, 10.2.1: `Allow` has all."""
    path = route_path(request.scope)
    methods = {
        method
        for context in operations(request.app.routes)
        if context.path and compile_path(context.path)[0].match(path)
        for method in context.methods or ()
    }
    if methods:
        error.headers = {**(error.headers or {}), "Allow": ", ".join(sorted(methods))}
    return await _answer(request, HTTPException, error)


async def _unread(request: Request, error: HTTPException) -> Response:
    """FastAPI answers 400, which no spec declares, where other bodies that are no JSON get 422."""
    if error.detail != UNREAD:
        return await _answer(request, HTTPException, error)
    return await _refused(request, "json_invalid", "The body is not JSON in UTF-8, or is nested too deeply")


async def _misfit(request: Request, error: KitError) -> Response:
    """A value that the operation's types allow and the database does not."""
    return await _refused(request, "value_error", error.problem)


async def _refused(request: Request, kind: str, words: str) -> Response:
    where = "body" if request.method in ("POST", "PUT", "PATCH") else "path"
    reason = {"type": kind, "loc": (where,), "msg": words, "input": None}
    return await _answer(request, RequestValidationError, RequestValidationError([reason]))


async def _answer(request: Request, kind: Any, error: Exception) -> Response:
    answer: Response = await request.app.exception_handlers[kind](request, error)
    return answer
