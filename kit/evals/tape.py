"""`record`: what the model said goes to a tape the first time, and comes from it afterwards, without a key.

Only the traffic of openai clients is on the tape, whoever made them (they name themselves in a header): the plugin is
always called for real. vcrpy was weighed: it reads every answer of the process to its end before anyone sees it, the
plugin's streams too, and knows no way to say what differs within a body.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import yaml

from kit.chat import client as chat_client
from kit.errors import TapeError
from kit.matching import misfits
from kit.redaction import HIDDEN, forms, hide

MODES = ("once", "all", "none")
MISS = "tape_miss"  # the code of the error that a client gets for a request that is not on the tape
_CLIENT = "x-stainless-lang"  # a header of every openai client
_SECRET_HEADERS = ("authorization", "api-key", "openai-organization", "openai-project", "cookie")
_IDS = re.compile(r"\b(?:org|proj|user)[-_][A-Za-z0-9]{12,}\b")  # OpenAI's of organisations, projects, users


class Tape:
    """A recording of a model's answers in a YAML file. `with` it, chats and every other openai client use it.

    `played` and `recorded` count the answers that came from it and went to it.
    """

    def __init__(self, file: str | Path, mode: str = "once") -> None:
        if mode not in MODES:
            raise TapeError(f"There is no mode {mode!r}.", f"Use one of {', '.join(MODES)}.")
        self.path = Path(file)
        self.mode = mode
        self.played = self.recorded = 0
        self._lock = threading.Lock()
        self._seen: dict[int, int] = {}  # how often each interaction was played
        self.is_playing = mode == "none" or (mode == "once" and self.path.exists())
        self._interactions: list[dict[str, Any]] = self._read() if self.is_playing else []

    @property
    def model(self) -> str | None:
        """The model of the first request on the tape."""
        bodies = (it["request"].get("body") for it in self._interactions)
        return next((body["model"] for body in bodies if isinstance(body, dict) and body.get("model")), None)

    @property
    def base_url(self) -> str | None:
        """Where the model was: a client for another server would ask otherwise, such as for fewer tokens."""
        return next((str(it["server"]) for it in self._interactions if it.get("server")), None)

    def __enter__(self) -> Tape:
        if chat_client.tape is not None:
            raise TapeError(f"{chat_client.tape.path} is being used already.", "End its `with` block first.")
        chat_client.tape = self
        self._async, self._sync = _patched(self)
        return self

    def __exit__(self, *error: object) -> None:
        httpx2.AsyncHTTPTransport.handle_async_request = self._async  # type: ignore[method-assign]
        httpx2.HTTPTransport.handle_request = self._sync  # type: ignore[method-assign]
        chat_client.tape = None

    def answer(self, request: httpx2.Request, content: bytes) -> httpx2.Response | None:
        """The recorded answer; an error that says what differs, if there is none; None if it is to be asked for."""
        if not self.is_playing:
            return None
        wanted = _request(request, content)
        with self._lock:
            same = [n for n, it in enumerate(self._interactions) if it["request"] == wanted]
            if not same:
                return _refusal(self._miss(wanted))
            number = min(
                same, key=lambda n: self._seen.get(n, 0)
            )  # a cell may run again: the first one again
            self._seen[number] = self._seen.get(number, 0) + 1
            self.played += 1
        return _response(self._interactions[number]["response"])

    def keep(self, request: httpx2.Request, content: bytes, response: httpx2.Response, came: bytes) -> None:
        """Adds an interaction, and writes the tape."""
        secrets = [value for name in _SECRET_HEADERS if (value := request.headers.get(name))]
        secrets += [word for value in secrets for word in value.split() if len(word) > 6]
        media_type = response.headers.get("content-type", "")
        said = {"status": response.status_code, "type": media_type, "body": _body(came, media_type)}
        item = {"server": _server(request.url), "request": _request(request, content), "response": said}
        with self._lock:
            self._interactions.append(json.loads(_without(json.dumps(item, ensure_ascii=False), secrets)))
            self.recorded += 1
            self._write(secrets)

    def _read(self) -> list[dict[str, Any]]:
        try:
            data = yaml.safe_load(self.path.read_text(encoding="utf-8"))
            return [
                {**it, "request": dict(it["request"]), "response": dict(it["response"])}
                for it in data["interactions"]
            ]
        except OSError as error:
            raise TapeError(f"{self.path} cannot be read: {error.strerror}.", _HOW) from None
        except (ValueError, KeyError, TypeError, yaml.YAMLError):
            raise TapeError(f"{self.path} is not a tape.", f"Delete it. {_HOW}") from None

    def _write(self, secrets: list[str]) -> None:
        text = yaml.safe_dump(
            {"interactions": self._interactions}, sort_keys=False, allow_unicode=True, width=110
        )
        left = [it for it in secrets if it in text] or [match[0] for match in forms(text)]
        if left:  # cannot be: everything was hidden above; but a tape is committed
            raise TapeError(
                f"{self.path} was not written: a secret is left in it, of {len(left[0])} characters.",
                "Report this.",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".part")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(self.path)

    def _miss(self, wanted: dict[str, Any]) -> str:
        size = len(json.dumps(wanted))
        requests = [it["request"] for it in self._interactions]
        nearest: dict[str, Any] = min(
            requests, key=lambda it: (len(misfits(it, wanted)), abs(len(json.dumps(it)) - size)), default={}
        )
        near = misfits(nearest, wanted)
        differs = f" The nearest one differs: {'; '.join(near[:3])}." if near else ""
        return f"The tape {self.path} has no answer to this request.{differs} {_HOW}"

    def __repr__(self) -> str:
        state = "plays" if self.is_playing else "records"
        return f"<Tape {self.path}: {state}, {self.played} played, {self.recorded} recorded>"


_HOW = "Record it again, with a key: KIT_RECORD=all, or kit.record(FILE, mode='all')."


def record(file: str | Path, mode: str | None = None) -> Tape:
    """Records what a model answers on a tape, once, and plays it afterwards: `with kit.record("tapes/todo.yaml"): ...`.

    `mode` is "once" (record if there is no such file, else play), "all" (record anew) or "none" (only play); by
    default that of KIT_RECORD, else "once". A request that is not on the tape ends in an error that says what differs.
    Keys, cookies and the ids of organisations are never on it. Raises `TapeError`.
    """
    return Tape(file, mode or os.environ.get("KIT_RECORD") or "once")


def _patched(tape: Tape) -> tuple[Any, Any]:
    """Puts the tape between httpx2 and the network; returns what was there."""
    send_async, send_sync = (
        httpx2.AsyncHTTPTransport.handle_async_request,
        httpx2.HTTPTransport.handle_request,
    )

    async def handle_async(transport: Any, request: httpx2.Request) -> httpx2.Response:
        if not _is_for_model(request):
            return await send_async(transport, request)
        content = await request.aread()
        answer = tape.answer(request, content)
        if answer is not None:
            return answer
        response = await send_async(transport, request)
        response.stream = _Recorder(tape, request, content, response)
        return response

    def handle(transport: Any, request: httpx2.Request) -> httpx2.Response:
        if not _is_for_model(request):
            return send_sync(transport, request)
        content = request.read()
        answer = tape.answer(request, content)
        if answer is not None:
            return answer
        response = send_sync(transport, request)
        response.stream = _Recorder(tape, request, content, response)
        return response

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async  # type: ignore[method-assign,assignment]
    httpx2.HTTPTransport.handle_request = handle  # type: ignore[method-assign,assignment]
    return send_async, send_sync


def _is_for_model(request: httpx2.Request) -> bool:
    own = chat_client.understudy_url()
    return _CLIENT in request.headers and not (own and str(request.url).startswith(own))


class _Recorder(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """An answer on its way: passed on as it comes, and kept when it has come whole."""

    def __init__(
        self, tape: Tape, request: httpx2.Request, content: bytes, response: httpx2.Response
    ) -> None:
        self._stream: Any = response.stream
        self._pieces: list[bytes] = []
        self._tape, self._request, self._content, self._response = tape, request, content, response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._pieces.append(piece)
            yield piece
        self._end()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._pieces.append(piece)
            yield piece
        self._end()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close(self) -> None:
        self._stream.close()

    def _end(self) -> None:
        content, headers = b"".join(self._pieces), self._response.headers
        if "content-encoding" in headers:
            content = httpx2.Response(200, headers=headers, content=content).content
        self._tape.keep(self._request, self._content, self._response, content)


def _request(request: httpx2.Request, content: bytes) -> dict[str, Any]:
    """What two requests must have in common: method, path and body, without secrets."""
    try:
        body = hide(json.loads(content)) if content else None
    except ValueError:
        body = hide(content.decode("utf-8", "replace"))
    plain = json.loads(_without(json.dumps(body, ensure_ascii=False), []))
    return {"method": request.method, "path": request.url.path, "body": plain}


def _server(url: httpx2.URL) -> str:
    """The `base_url` of a client that asked there, without a password."""
    path = re.sub(r"/(?:responses|chat/completions|models|embeddings)(?:/.*)?$", "", url.path)
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}{path}"


def _body(came: bytes, media_type: str) -> Any:
    """A JSON answer as data, a stream as its events, anything else as text."""
    text = came.decode("utf-8", "replace")
    if "event-stream" in media_type:
        return re.findall(r".*?\n\n|.+$", text.replace("\r\n", "\n"), re.DOTALL)
    try:
        return hide(json.loads(text))
    except ValueError:
        return hide(text)


def _response(kept: dict[str, Any]) -> httpx2.Response:
    body = kept["body"]
    headers = {"content-type": kept["type"]}
    if isinstance(body, list) and "event-stream" in kept["type"]:
        return httpx2.Response(kept["status"], headers=headers, stream=_Pieces(body))
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return httpx2.Response(kept["status"], headers=headers, content=text.encode())


class _Pieces(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """The events of a recorded stream, one after another."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        yield from (event.encode() for event in self._events)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._events:
            yield event.encode()


def _refusal(message: str) -> httpx2.Response:
    error = {"message": message, "type": MISS, "param": None, "code": MISS}
    return httpx2.Response(400, json={"error": error}, headers={"x-should-retry": "false"})


def _without(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _IDS.sub(HIDDEN, text)
    for found in {match[0] for match in forms(text)}:
        text = text.replace(found, HIDDEN)
    return text
