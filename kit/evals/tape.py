"""`record`: what the model said goes to a tape the first time, and comes from it afterwards, without a key.

Only the traffic of openai clients is on the tape, whoever made them (they name themselves in a header): the plugin is
always called for real. vcrpy was weighed: it reads every answer of the process to its end before anyone sees it, the
plugin's streams too, and knows no way to say what differs within a body.
"""

from __future__ import annotations

import itertools
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
from kit.evals.interaction import Asked, address, differences, fits, secrets_in, text_of

MODES = ("once", "all", "none")
MISS = "tape_miss"  # the code of the error that a client gets for a request that is not on the tape
END = "..."  # YAML's mark of the end of a document: without it the file is cut off
_CLIENT = "x-stainless-lang"  # a header of every openai client
_SETTINGS = ("OPENAI_BASE_URL", "OPENAI_MODEL")  # what is asked, and how, depends on them
# of Chat Completions, and of Responses
_LAST_EVENT = re.compile(
    rb'"finish_reason": ?"|data: \[DONE\]|event: response\.(?:completed|incomplete|failed)\b'
)
_HOW = "Record it again, with a key: KIT_RECORD=all, or kit.record(FILE, mode='all')."


class Tape:
    """A recording of a model's answers in a YAML file. `with` it, chats and every other openai client use it.

    While it plays, OPENAI_BASE_URL and OPENAI_MODEL are those of the recording, and clients find a key that is none:
    nothing is sent. `played` and `recorded` count the answers that came from it and went to it.
    """

    def __init__(self, file: str | Path, mode: str = "once") -> None:
        if mode not in MODES:
            raise TapeError(f"There is no mode {mode!r}.", f"Use one of {', '.join(MODES)}.")
        self.path = Path(file)
        self.mode = mode
        self.played = self.recorded = 0
        self.is_playing = mode == "none" or (mode == "once" and self.path.exists())
        self.yields = False  # to one that a cell names itself: it is the kernel's, by KIT_TAPES
        self._lock = threading.Lock()
        self._interactions: list[dict[str, Any]] = []
        self._texts: list[str] = []  # playing: of the requests; recording: of the interactions, as YAML
        self._seen: dict[int, int] = {}  # how often each interaction was played
        self._settings: dict[str, str | None] = {name: os.environ.get(name) for name in _SETTINGS}
        if self.is_playing:
            self._read()

    @property
    def models(self) -> list[str]:
        """The models that were asked while it was recorded, the first one first."""
        bodies = (it["request"].get("body") for it in self._interactions)
        return [
            *dict.fromkeys(
                str(body["model"]) for body in bodies if isinstance(body, dict) and "model" in body
            )
        ]

    def __enter__(self) -> Tape:
        self._outer = chat_client.tape
        if self._outer is not None and not self._outer.yields:
            raise TapeError(f"{self._outer.path} is being used already.", "End its `with` block first.")
        folder = next(it for it in self.path.absolute().parents if it.exists())
        if not self.is_playing and not os.access(folder, os.W_OK):
            raise TapeError(f"{self.path} cannot be written.", f"May this user write in {folder}?")
        self._before = {name: os.environ.get(name) for name in (*_SETTINGS, "OPENAI_API_KEY")}
        if self.is_playing:
            _set({**self._settings, "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY") or "none"})
        chat_client.tape = self
        self._async, self._sync = _patched(self)
        return self

    def __exit__(self, *error: object) -> None:
        httpx2.AsyncHTTPTransport.handle_async_request = self._async  # type: ignore[method-assign]
        httpx2.HTTPTransport.handle_request = self._sync  # type: ignore[method-assign]
        chat_client.tape = self._outer
        if self.is_playing:
            _set(self._before)

    def answer(self, asked: Asked) -> httpx2.Response | None:
        """The recorded answer; an error that says what differs, if there is none; None if it is to be asked for."""
        if not self.is_playing:
            return None
        text = text_of(asked.data)
        with self._lock:
            same = [n for n, recorded in enumerate(self._texts) if fits(recorded, text)]
            if not same:
                return _refusal(self._miss(asked))
            # the same question again gets the next answer; a cell that runs again, the first one again
            number = min(same, key=lambda n: self._seen.get(n, 0))
            self._seen[number] = self._seen.get(number, 0) + 1
            self.played += 1
        return asked.played(self._interactions[number]["response"])

    def keep(self, asked: Asked, response: httpx2.Response, came: bytes) -> None:
        """Adds an interaction, and writes the tape."""
        item = {"request": asked.data, "response": asked.said(response, came)}
        text = _yaml([item])
        # cannot be: everything was hidden; but a tape is committed
        if left := secrets_in(text, asked.secrets):
            raise TapeError(
                f"{self.path} was not written: a secret is left in it, of {len(left[0])} characters.",
                "Report this.",
            )
        with self._lock:
            self.recorded += 1
            self._texts.append(text)
            self._write()

    def _write(self) -> None:
        url = self._settings["OPENAI_BASE_URL"]
        settings = {**self._settings, "OPENAI_BASE_URL": url and address(url)}
        head = _yaml({"settings": {name: value for name, value in settings.items() if value}})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            scratch = self.path.with_name(f"{self.path.name}.part")
            scratch.write_text("".join([head, "interactions:\n", *self._texts, f"{END}\n"]), encoding="utf-8")
            scratch.replace(self.path)
        except OSError as error:
            raise TapeError(f"{self.path} cannot be written: {error.strerror}.", "") from None

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
            if not text.rstrip().endswith(f"\n{END}"):
                raise TapeError(
                    f"{self.path} is not a tape, or it is cut off: its last line is not {END}",
                    f"Take it from your version control. {_HOW}",
                )
            data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe ones
            for it in data["interactions"]:
                said = {"body": None, **it["response"]}
                self._interactions.append({"request": dict(it["request"]), "response": said})
                if not isinstance(said["status"], int) or not isinstance(said["type"], str):
                    raise TypeError
            self._texts = [text_of(it["request"]) for it in self._interactions]
            self._settings |= {name: (data.get("settings") or {}).get(name) for name in _SETTINGS}
        except FileNotFoundError:
            return  # in the mode none: it has no answer to anything
        except OSError as error:
            raise TapeError(f"{self.path} cannot be read: {error.strerror}.", _HOW) from None
        except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            mark, count = getattr(error, "problem_mark", None), len(self._interactions)
            where = (
                f"line {mark.line + 1}" if mark else f"interaction {count}" if count else "no interactions"
            )
            raise TapeError(
                f"{self.path} is not a tape: {where}.", f"Mend it, or delete it. {_HOW}"
            ) from None

    def _miss(self, asked: Asked) -> str:
        if not self._interactions:
            return f"There is no tape {self.path}. {_HOW}"
        found = [[*itertools.islice(differences(it["request"], asked.data), 50)] for it in self._interactions]
        same_path = [it["request"]["path"] == asked.data["path"] for it in self._interactions]
        _, nearest = min(zip(same_path, found, strict=True), key=lambda it: (not it[0], len(it[1])))
        return (
            f"The tape {self.path} has no answer to this request. The nearest one on it differs: "
            f"{'; '.join(nearest[:3])}. {_HOW}"
        )

    def __repr__(self) -> str:
        state = "plays" if self.is_playing else "records"
        return f"<Tape {self.path}: {state}, {self.played} played, {self.recorded} recorded>"


def record(file: str | Path, mode: str | None = None) -> Tape:
    """Records what a model answers on a tape, once, and plays it afterwards: `with kit.record("tapes/todo.yaml"): ...`.

    `mode` is "once" (record if there is no such file, else play), "all" (record anew) or "none" (only play); by
    default that of KIT_RECORD, else "once". A request that is not on the tape ends in an error that says what differs.
    An error that is about the key or the moment (401, 403, 408, 409, 429, 5xx) is not recorded.
    Keys, cookies and the ids of organisations are never on it. Raises `TapeError`.
    """
    return Tape(file, mode or os.environ.get("KIT_RECORD") or "once")


def _yaml(data: Any) -> str:
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """Writes a text of several lines, such as an event, as it is, so that people can read and edit it."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return written.removesuffix(f"{END}\n")  # which stands after a text that ends in empty lines


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _patched(tape: Tape) -> tuple[Any, Any]:
    """Puts the tape between httpx2 and the network; returns what was there."""
    send_async, send_sync = (
        httpx2.AsyncHTTPTransport.handle_async_request,
        httpx2.HTTPTransport.handle_request,
    )

    async def handle_async(transport: Any, request: httpx2.Request) -> httpx2.Response:
        if not _is_for_model(request):
            return await send_async(transport, request)
        asked = Asked(request, await request.aread())
        answer = tape.answer(asked)
        return answer or _recorded(tape, asked, await send_async(transport, request))

    def handle(transport: Any, request: httpx2.Request) -> httpx2.Response:
        if not _is_for_model(request):
            return send_sync(transport, request)
        asked = Asked(request, request.read())
        answer = tape.answer(asked)
        return answer or _recorded(tape, asked, send_sync(transport, request))

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async  # type: ignore[method-assign,assignment]
    httpx2.HTTPTransport.handle_request = handle  # type: ignore[method-assign,assignment]
    return send_async, send_sync


def _is_for_model(request: httpx2.Request) -> bool:
    own = chat_client.understudy_url()
    return _CLIENT in request.headers and not (own and str(request.url).startswith(own))


def _recorded(tape: Tape, asked: Asked, response: httpx2.Response) -> httpx2.Response:
    # Others would stay on the tape when the key is right, the limit is over and the server is up. 501: it has no such API.
    if response.status_code not in (401, 403, 408, 409, 429) and (
        response.status_code < 500 or response.status_code == 501
    ):
        response.stream = _Recorder(tape, asked, response)
    return response


class _Recorder(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """An answer on its way: passed on as it comes, and kept when it has come whole."""

    def __init__(self, tape: Tape, asked: Asked, response: httpx2.Response) -> None:
        self._stream: Any = response.stream
        self._pieces: list[bytes] = []
        self._tape, self._asked, self._response = tape, asked, response
        self._is_kept = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._pieces.append(piece)
            yield piece
        self._keep()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._pieces.append(piece)
            yield piece
        self._keep()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._keep_whole()

    def close(self) -> None:
        self._stream.close()
        self._keep_whole()

    def _keep_whole(self) -> None:
        """A client may stop reading after the last event, before the end of the answer."""
        end = b"".join(self._pieces[-3:])
        if end.endswith(b"\n\n") and _LAST_EVENT.search(end):
            self._keep()

    def _keep(self) -> None:
        if self._is_kept:
            return
        self._is_kept = True
        content, headers = b"".join(self._pieces), self._response.headers
        if "content-encoding" in headers:
            content = httpx2.Response(200, headers=headers, content=content).content
        self._tape.keep(self._asked, self._response, content)


def _refusal(message: str) -> httpx2.Response:
    error = {"message": message, "type": MISS, "param": None, "code": MISS}
    return httpx2.Response(400, json={"error": error}, headers={"x-should-retry": "false"})
