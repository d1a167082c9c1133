"""The calls of a proof as data for the exported tests: what is asked, and what was answered, readable."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from kit.project.answers import Answer, leaves, within
from kit.project.questions import WEBSOCKET, Question
from kit.project.replay import SHORTEST, Asked
from kit.redaction import hide

MOST = 20_000  # bytes of an answer that the tests compare
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d", "%B %d")


def calls_text(asked: Iterable[Asked], is_private: Callable[[str], bool]) -> str:
    """The text of tests/calls.json. `is_private` says of a text whether it must not be in an export.

    Left out is what needs a token, what reaches another server, what differs, and what the plugin itself fails at.
    """
    entries: list[dict[str, Any]] = []
    names: dict[str, str] = {}  # of values that are new each time, in the answers so far
    for it in asked:
        if it.is_secret or it.reached or it.differs or not 0 < it.expected.status < 500:
            continue
        entry = _request(it.question, names)
        answer = _answer(it.expected, it.varying | {*_of_now(it)})
        if is_private(json.dumps(answer)) or hide(answer) != answer:  # it may tell a setting of this machine
            answer = {"status": it.expected.status}
        if is_private(json.dumps(entry)) or hide(entry) != entry:
            continue
        entries.append({**entry, "answer": answer})
        for pointer, value in leaves(it.expected.data):
            if within(pointer, it.varying) and isinstance(value, str) and len(value) >= SHORTEST:
                names.setdefault(value, f"${{{len(entries) - 1}#{pointer}}}")
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _request(question: Question, names: Mapping[str, str]) -> dict[str, Any]:
    url, body = question.url, question.body
    for value in sorted(names, key=lambda it: -len(it)):
        url = url.replace(quote(value, safe=""), names[value]).replace(value, names[value])
        body = body.replace(value.encode(), names[value].encode())
    made: dict[str, Any] = {"operation": question.operation} if question.operation else {}
    made |= {"from": question.source, "method": question.method, "url": url}
    if question.headers:
        made["headers"] = dict(question.headers)
    if question.method == WEBSOCKET:
        made["messages"] = list(question.messages)
    if body:
        try:
            made["body"] = body.decode()
            if "json" in str(made.get("headers")):
                made["json"] = json.loads(made["body"])
                del made["body"]
        except ValueError:
            made["base64"] = base64.b64encode(body).decode()
    return made


def _answer(answer: Answer, varying: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"status": answer.status}
    if "Content-Type" not in varying:
        made["type"] = answer.media_type
    if answer.location and "Location" not in varying:
        made["location"] = answer.location
    if answer.body and answer.is_whole and len(answer.body) <= MOST and "" not in varying:
        if isinstance(answer.data, str) and not answer.is_json:
            made["sha256"] = hashlib.sha256(answer.body).hexdigest()
        else:
            made["data"] = _without(answer.data, varying)
    if places := sorted(it for it in varying if it.startswith("/")):
        made["varies"] = places
    return made


def _without(value: Any, varying: set[str], pointer: str = "") -> Any:
    """The value with null in the place of what varies."""
    if pointer in varying:
        return None
    if isinstance(value, dict):
        steps = {key: f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}" for key in value}
        return {key: _without(item, varying, steps[key]) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, varying, f"{pointer}/{number}") for number, item in enumerate(value)]
    return value


def _of_now(asked: Asked) -> Iterator[str]:
    """Where the answer tells the time or the day: it will be another one when the tests run."""
    now = datetime.now(UTC)
    days = [now.astimezone(zone) + timedelta(days=n) for zone in (UTC, None) for n in (-1, 0, 1)]
    forms = {day.strftime(form) for day in days for form in _DATES}
    minutes = [now.astimezone(zone) - timedelta(minutes=n) for zone in (UTC, None) for n in (0, 1, 2)]
    forms |= {minute.strftime("%H:%M") for minute in minutes}
    told = f"{asked.question.url} {asked.question.body.decode(errors='replace')}"
    for pointer, value in leaves(asked.expected.data):
        if isinstance(value, bool) or value is None or str(value) in told:
            continue
        if isinstance(value, str):
            is_now = any(form in value for form in forms) and not any(
                it in told for it in forms if it in value
            )
        else:
            is_now = any(abs(value / unit - now.timestamp()) < 2 * 86400 for unit in (1, 1000))
        if is_now:
            yield pointer
