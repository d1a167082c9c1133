"""What a model's server answers, as plain JSON values: read within bounds, events and whole answers alike.

The one border to servers of others. The `openai` client sends the request, repeats it and raises what a status
means; its models of the answer are left out, since they hold whatever a server wrote where a type is expected.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from kit.openapi.documents import Unreadable, read_json

if TYPE_CHECKING:
    from kit.chat.apis import Client

MAX_OUTPUT = 128_000  # tokens: the most that a model of OpenAI's writes in one answer
MAX_VALUE = 64 * MAX_OUTPUT  # bytes of one event, or of an answer that comes whole
MAX_ANSWER = 512 * MAX_OUTPUT  # bytes of a stream: its events repeat some hundred of them around each token
DONE: dict[str, Any] = {"type": "[DONE]"}  # the last event of a stream of Chat Completions

_WHOLE = (b"{", b"[", b"<")  # how JSON, or a web page, begins; no line of a stream of events does


class BadAnswer(Exception):
    """Why an answer cannot be used, as a sentence without its end."""


async def values(
    client: Client, method: Callable[..., Any], request: dict[str, Any]
) -> AsyncGenerator[dict[str, Any]]:
    """The JSON objects of an answer: each event of a stream, or the one that came whole.

    `method` is one of the client's `with_streaming_response`. Raises what `openai` and httpx2 raise about the
    connection and the status, and `BadAnswer` for all else. A server may send events though it was asked for
    one whole answer, or the other way around.
    """
    import httpx2  # late, as openai: both are slow to import
    import openai

    try:
        async with _opened(method, request) as pieces:
            body = _Body(_patience(client))
            async for piece in pieces:
                for value in body.add(piece):
                    yield value
            for value in body.end():
                yield value
    except (openai.OpenAIError, httpx2.HTTPError, BadAnswer):
        raise
    except Unreadable as error:
        raise BadAnswer(f"The server's answer {error}") from None
    except Exception as error:  # whatever a stranger's bytes make a library raise
        raise BadAnswer(f"The server's answer cannot be read ({type(error).__name__}: {error})") from None


@contextlib.asynccontextmanager
async def _opened(method: Callable[..., Any], request: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Sends the request; gives the body of the answer, decompressed, piece by piece as it comes."""
    sending = method(**request)
    if isinstance(sending, contextlib.AbstractAsyncContextManager):
        async with sending as response:
            yield response.iter_bytes()
        return
    with contextlib.ExitStack() as stack:  # of a sync client
        response = await asyncio.to_thread(stack.enter_context, sending)
        yield _in_thread(response.iter_bytes())


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    end = object()
    while (piece := await asyncio.to_thread(next, pieces, end)) is not end:
        yield piece  # type: ignore[misc]


class _Body:
    """The body of an answer, as it comes. Its first byte tells whether it is one object or a stream of events.

    Events are lines (html.spec.whatwg.org/multipage/server-sent-events.html). openai's reader of them takes a line of
    any length.
    """

    def __init__(self, patience: float | None) -> None:
        self._patience = patience  # seconds between two events, whatever else comes
        self._latest = time.monotonic()
        self._size = 0  # of all that came
        self._is_whole: bool | None = None
        self._start = b""
        self._held = bytearray()  # of a line that has not ended, or of the whole
        self._name = ""
        self._data: list[bytes] = []
        self._is_empty = True

    def add(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The objects that are complete with one more piece."""
        self._size += len(piece)
        if self._is_whole is None:
            piece = (bytes(self._held) + piece).removeprefix(codecs.BOM_UTF8).lstrip()
            self._is_whole, self._start = piece.startswith(_WHOLE) if piece else None, piece[:60]
            self._held.clear()
        cut = 0 if self._is_whole else 1 + max(piece.rfind(b"\n"), piece.rfind(b"\r", 0, -1))
        lines = bytes(self._held + piece[:cut]).splitlines() if cut else []
        if cut:
            self._held.clear()
        self._held += piece[cut:]
        for line in lines:
            yield from self._line(line)
        if self._size > MAX_ANSWER or len(self._held) + sum(map(len, self._data)) > MAX_VALUE:
            raise BadAnswer(f"The server's answer does not end: {self._size:,} bytes came")
        if self._patience and time.monotonic() - self._latest > self._patience:
            raise BadAnswer(f"The server's answer said nothing for {self._patience:,.0f} seconds")

    def end(self) -> Iterator[dict[str, Any]]:
        """What is left when the body has ended. Raises `BadAnswer` if it held nothing."""
        if self._is_whole:
            yield _whole(bytes(self._held))
            return
        for line in (bytes(self._held), b""):
            yield from self._line(line)
        if not self._start:
            raise BadAnswer("The server's answer is empty")
        if self._is_empty:
            start = self._start.decode("utf-8", "replace")
            raise BadAnswer(f"The server's answer is neither JSON nor a stream of events: {start!r}")

    def _line(self, line: bytes) -> Iterator[dict[str, Any]]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif not line:
            name, data = self._name, b"\n".join(self._data).strip()
            self._name, self._data = "", []
            if not data:
                return
            self._latest, self._is_empty = time.monotonic(), False
            event = DONE if data.startswith(b"[DONE]") else read_json(data, parse_constant=_nothing)
            if isinstance(event, dict):  # what is none has no meaning in either API
                yield {"type": name, **event} if name else event


def _whole(body: bytes) -> dict[str, Any]:
    if body.startswith(b"<"):
        start = body[:60].decode("utf-8", "replace")
        raise BadAnswer(f"The server answered with a web page, not as a model's API: {start!r}")
    value = read_json(body, parse_constant=_nothing)
    if not isinstance(value, dict):
        raise BadAnswer("The server's answer is a list, not a JSON object")
    return value


def _nothing(name: str) -> None:
    """NaN and infinity, which JSON does not have."""


def _patience(client: Client) -> float | None:
    """How many seconds the client waits for a byte. An event may take as long, and not signs of life for ever."""
    timeout: Any = getattr(client.timeout, "read", client.timeout)
    return timeout if isinstance(timeout, int | float) else None
