"""What an author's code got wrong: the exception that an operation raised, and where. It stays in this process.

The answer to a caller is 500 without a word about it. Who calls from the process that runs the plugin is its author, and
finds the fault by the answer's request id.
"""

from __future__ import annotations

import inspect
import linecache
import os
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from kit.errors import is_users, location
from kit.openapi.documents import Unreadable, read_json
from kit.redaction import hide
from kit.words import with_article

KEPT = 200  # faults, the latest
_MAX_TEXT = 500  # characters of an exception's text


@dataclass(frozen=True)
class Fault:
    """An exception of an author's code. `place` is its cell or file, and line; `code` that line; `remedy` may be empty."""

    error: str
    place: str
    code: str
    remedy: str = ""

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.code}" if self.code else self.place, self.error, self.remedy]
        return "\n".join(filter(None, lines))


_faults: OrderedDict[str, Fault] = OrderedDict()


def keep(request_id: str, error: Exception, operation: Any = None) -> None:
    """Keeps what an exception was about. `operation` is the function that answered: where it returned what is no answer."""
    _faults[request_id] = _fault(error, operation)
    while len(_faults) > KEPT:
        _faults.popitem(last=False)


def of(content: bytes) -> Fault | None:
    """The fault behind the body of an answer, if the plugin that gave it runs in this process."""
    if not _faults:
        return None
    try:
        data = read_json(content)
    except Unreadable:
        return None
    known = data.get("request_id") if isinstance(data, dict) else None
    return _faults.get(known) if isinstance(known, str) else None


def authors(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first line of the author's on, without what the server did before; whole if there is none."""
    return next((it for it in _frames(trace) if is_users(it.tb_frame.f_code.co_filename)), trace)


def _fault(error: Exception, operation: Any) -> Fault:
    own = [it for it in _frames(error.__traceback__) if is_users(it.tb_frame.f_code.co_filename)]
    if own:
        last = traceback.extract_tb(own[-1], limit=1)[0]
        text = " ".join(str(hide(f"{type(error).__name__}: {_text(error)}")).split())
        return Fault(text, f"{_where(last.filename)}, line {last.lineno}", str(hide(last.line or "")))
    code = getattr(inspect.unwrap(operation), "__code__", None) if operation else None
    name = getattr(operation, "__name__", "The operation")
    place = f"{_where(code.co_filename)}, line {code.co_firstlineno}" if code else name
    text, remedy = _unanswerable(error, name)
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip() if code else ""
    return Fault(text, place, str(hide(line)), remedy)


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _where(file: str) -> str:
    cell = location(file)
    return cell if cell != file else os.path.relpath(file) if os.path.exists(file) else file


def _text(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # the error is the author's own class
        return "(its text cannot be shown)"
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


# -- what is returned and is no answer -----------------------------------------


def _unanswerable(error: Exception, name: str) -> tuple[str, str]:
    """Why what an operation returned could not be sent, and what to return instead."""
    from fastapi.exceptions import ResponseValidationError

    if isinstance(error, ResponseValidationError):
        found = error.errors()[0]
        at = ".".join(str(part) for part in found.get("loc", ())[1:])
        what = f"{name}() returned {_kind(error.body)}, which is not of the type that it declares"
        where = f" (in {at})" if at else ""
        return f"{what}{where}: {found.get('msg')}.", _conversion(
            error.body
        ) or "Return that, or change the type after `->`."
    held = [it.tb_frame.f_locals["obj"] for it in _frames(error.__traceback__) if _encodes(it.tb_frame)]
    if not held:
        return f"{type(error).__name__}: {_text(error)}", ""
    whole, part = held[0], held[-1]
    inside = "" if part is whole else f" with {_kind(part)} in it"
    text = f"{name}() returned {_kind(whole)}{inside}, which cannot be written as JSON."
    return text, _conversion(whole) or _conversion(
        part
    ) or "Return a dict, a list, a text, a number or a Pydantic model."


def _encodes(frame: FrameType) -> bool:
    """Whether this is FastAPI's `jsonable_encoder(obj)` at work."""
    return frame.f_code.co_name == "jsonable_encoder" and "obj" in frame.f_locals


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    return with_article(type(value).__name__)


def _conversion(value: Any) -> str:
    """How a table, an array or a number of a library becomes a plain value, by the methods that it has."""
    for method, call in (
        ("to_dicts", "to_dicts()"),
        ("tolist", "tolist()"),
        ("to_dict", "to_dict('records')"),
    ):
        if callable(getattr(value, method, None)) and not isinstance(value, dict):
            return f"Write .{call} behind the {type(value).__name__}: that gives plain Python values."
    return ""
