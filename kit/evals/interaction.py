"""An interaction on a tape: what was asked of a model, without what differs each time, and what it answered.

Both are plain data for a YAML file. No secret is in them: keys by their form, and those that the request sent.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import httpx2

from kit.markup import short
from kit.redaction import HIDDEN, forms, hide, hide_forms
from kit.visible import encodable

_SECRET_HEADERS = ("authorization", "api-key", "openai-organization", "openai-project", "cookie")
_IDS = re.compile(r"\b(?:org|proj|user)[-_][A-Za-z0-9]{12,}\b")  # OpenAI's of organisations, projects, users
# A plugin that a notebook serves has another port each time, and a model may read and say it.
_ADDRESS = re.compile(r"(?<![\w.])(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})(?!\d)")
_PIECES = {"delta", "content", "arguments", "refusal", "reasoning_content"}  # of a text that comes in events
_WINDOW = 60  # characters of a text that are shown around a difference


class Asked:
    """A request, as a tape compares it: by method, path and body, without secrets and ports of this machine."""

    def __init__(self, request: httpx2.Request, content: bytes) -> None:
        words = [
            word
            for name in _SECRET_HEADERS
            for word in re.split(r"[\s=;,]+", request.headers.get(name, ""))
            if len(word) > 6
        ]
        self.secrets = sorted({*words}, key=len, reverse=True)
        self._ports: list[str] = []
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = content.decode("utf-8", "replace")
        body = self._clean(hide(body))
        body = _leaves(body, lambda text: _ADDRESS.sub(self._place, text))
        self.data: dict[str, Any] = {"method": request.method, "path": request.url.path, "body": body}

    def said(self, response: httpx2.Response, came: bytes) -> dict[str, Any]:
        """The answer as data: JSON as it is, a stream as its events, anything else as text."""
        media_type = response.headers.get("content-type", "")
        text = came.decode("utf-8", "replace")
        body: Any
        if "event-stream" in media_type:
            body = self._events(re.findall(r".*?\n\n|.+$", text.replace("\r\n", "\n"), re.DOTALL))
        else:
            try:
                body = json.loads(text)
            except ValueError:
                body = text
            body = self._clean(_without_names(body), True)
        return {"status": response.status_code, "type": media_type, "body": body}

    def played(self, said: Mapping[str, Any]) -> httpx2.Response:
        """An answer from the tape, with the ports of this request in it."""
        headers, body = {"content-type": said["type"]}, _leaves(said["body"], self._with_ports)
        if isinstance(body, list) and "event-stream" in said["type"]:
            return httpx2.Response(said["status"], headers=headers, stream=_Events(body))
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        return httpx2.Response(said["status"], headers=headers, content=text.encode())

    def _clean(self, value: Any, has_ports: bool = False) -> Any:
        """`value` without keys, and ids of organisations; `has_ports` says that those of the request are replaced."""

        def clean(text: str) -> str:
            for secret in self.secrets:
                text = text.replace(secret, HIDDEN)
            text = hide_forms(_IDS.sub(HIDDEN, encodable(text)))
            return _ADDRESS.sub(self._known, text) if has_ports else text

        return _leaves(value, clean)

    def _events(self, events: list[str]) -> list[str]:
        """The events of a stream, cleaned. A text that has a secret only over several pieces is in the first of them."""
        datas = [_data(event) for event in events]
        before = [json.dumps(data) for data in datas]
        texts: dict[tuple[Any, ...], list[tuple[dict[str, Any], str]]] = defaultdict(list)
        for data in datas:
            for where, holder, name in _pieces(data):
                texts[where].append((holder, name))
        for pieces in texts.values():
            parts = [holder[name] for holder, name in pieces]
            whole = self._clean("".join(parts), True)
            if whole != "".join(self._clean(part, True) for part in parts):
                for number, (holder, name) in enumerate(pieces):
                    holder[name] = "" if number else whole
        cleaned = []
        for event, data, was in zip(events, datas, before, strict=True):
            clean = self._clean(event if data is None else data, True)
            is_same = data is not None and json.dumps(clean) == was
            cleaned.append(event if is_same else clean if data is None else _with_data(event, clean))
        return cleaned

    def _place(self, match: re.Match[str]) -> str:
        """A port as its place among those of the request: 1, 2, ..."""
        if match[2] not in self._ports:
            self._ports.append(match[2])
        return f"{match[1]}:{self._ports.index(match[2]) + 1}"

    def _known(self, match: re.Match[str]) -> str:
        return self._place(match) if match[2] in self._ports else match[0]

    def _with_ports(self, text: str) -> str:
        def port(match: re.Match[str]) -> str:
            number = int(match[2])
            return f"{match[1]}:{self._ports[number - 1]}" if 0 < number <= len(self._ports) else match[0]

        return _ADDRESS.sub(port, text)


def address(url: str) -> str:
    """The base URL of a model's server as a tape has it: without a password, and without a port of this machine."""
    return _ADDRESS.sub(r"\1:1", str(hide(url)))


def secrets_in(text: str, sent: Sequence[str]) -> list[str]:
    """What should not be in the text of a tape, and is."""
    return [it for it in sent if it in text] + [it[0] for it in forms(text) if HIDDEN not in it[0]]


def text_of(request: Mapping[str, Any]) -> str:
    """A request as a text that is the same for the same request."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False)


def fits(recorded: str, asked: str) -> bool:
    """Whether two requests are the same, as texts: what was hidden on the tape may be anything."""
    first, *others = recorded.split(HIDDEN)
    if not others:
        return recorded == asked
    *middle, last = others
    if not asked.startswith(first) or not asked.endswith(last):
        return False
    at, end = len(first), len(asked) - len(last)
    for part in middle:
        found = asked.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def differences(recorded: Any, asked: Any, place: str = "") -> Iterator[str]:
    """Where a request differs from a recorded one, as sentences."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for name in {**recorded, **asked}:
            inner = f"{place}.{name}" if place else str(name)
            if name not in asked:
                yield f"{inner} is missing"
            elif name not in recorded:
                yield f"{inner} is new"
            else:
                yield from differences(recorded[name], asked[name], inner)
    elif isinstance(recorded, list) and isinstance(asked, list):
        for number, (one, other) in enumerate(zip_longest(recorded, asked, fillvalue=...)):
            inner = f"{place}[{number}]"
            if other is ...:
                yield f"{inner} is missing"
            elif one is ...:
                yield f"{inner} is new: {short(other)}"
            else:
                yield from differences(one, other, inner)
    elif recorded != asked or type(recorded) is not type(asked):
        now, before = _windows(asked, recorded)
        yield f"{place} is {now}, and was {before}"


def _windows(one: Any, other: Any) -> tuple[str, str]:
    """Two values in a line each: of two long texts, what stands around the first difference."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return short(one), short(other)
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    start = max(0, same - _WINDOW // 2)
    return _window(one, start), _window(other, start)


def _window(text: str, start: int) -> str:
    part = repr(text[start : start + _WINDOW])
    return f"{'…' if start else ''}{part}{'…' if start + _WINDOW < len(text) else ''}"


def _without_names(value: Any) -> Any:
    """An answer without what is secret by its name; but arguments stay as they are: calls are made with them."""
    if isinstance(value, dict):
        return {
            name: it
            if name == "arguments"
            else _without_names(it)
            if isinstance(it, dict | list)
            else hide({name: it}).popitem()[1]
            for name, it in value.items()
        }
    if isinstance(value, list):
        return [_without_names(item) for item in value]
    return hide(value)


def _leaves(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(name)): _leaves(item, change) for name, item in value.items()}
    return [_leaves(item, change) for item in value] if isinstance(value, list) else value


def _data(event: str) -> Any:
    """The JSON of an event; None if it has none."""
    lines = [line[5:] for line in event.splitlines() if line.startswith("data:")]
    try:
        return json.loads("\n".join(lines)) if lines else None
    except ValueError:
        return None


def _with_data(event: str, data: Any) -> str:
    lines = [line for line in event.splitlines() if line and not line.startswith("data:")]
    return "\n".join([*lines, f"data: {json.dumps(data, ensure_ascii=False)}"]) + "\n\n"


def _pieces(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], str]]:
    """The pieces of texts in an event: which text, the mapping that has the piece, and by which name."""
    if isinstance(value, dict):
        own = (*where, *(value.get(name) for name in ("type", "output_index", "content_index", "index")))
        for name, item in value.items():
            if isinstance(item, str) and name in _PIECES:
                yield (*own, name), value, name
            else:
                yield from _pieces(item, (*own, name))
    elif isinstance(value, list):
        for item in value:
            yield from _pieces(item, where)


class _Events(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """The events of a recorded stream, one after another."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        yield from (event.encode() for event in self._events)

    async def __aiter__(self) -> Any:
        for event in self._events:
            yield event.encode()
