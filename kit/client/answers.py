"""What a server answered: its bytes as they came, bounded and unpacked, and the data or text that they hold."""

from __future__ import annotations

import asyncio
import codecs
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.openapi.documents import Unreadable, decoded, read_json
from kit.openapi.values import essence
from kit.tools.locations import is_lines

if TYPE_CHECKING:
    import httpx2

MAX_RESPONSE = 100_000  # characters of an answer: ChatGPT plugins and GPT Actions
ENCODINGS = ("gzip", "deflate")  # what is asked for, and all that is read

_CHUNK = 2**20  # bytes that are unpacked at once
_MEDIA = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "model/",
    "haptics/",
)  # RFC 6838, 4.2: no text, whatever is in them
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # WHATWG's MIME Sniffing, 3: binary data bytes


@dataclass
class Answer:
    """What a server sent: at most `limit` bytes, and whether that was all."""

    status: int
    content: bytes
    media_type: str
    url: str
    is_cut: bool = False  # there is more than the limit
    length: int | None = None  # total bytes, if the server reports it
    charset: str = ""  # as its Content-Type says
    broken: str = ""  # why it ended before its end
    refused: str = ""  # why its redirect was not followed
    headers: list[list[str]] = field(default_factory=list)


class Undecodable(Exception):
    """What was sent is not in the encoding that its header says."""


async def read_body(answer: Answer, response: httpx2.Response, limit: int, deadline: float | None) -> None:
    """Reads the body into `answer`: `limit` bytes at most, sent or unpacked, and until the loop's time `deadline`.

    What came before the connection broke, or before the time was over, stays. Raises `Undecodable`.
    """
    from kit.client.network import FAILURES

    names = [name.strip().lower() for name in response.headers.get("content-encoding", "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > 1 or not set(names) <= set(ENCODINGS):
        raise Undecodable(
            f"it is packed as {', '.join(names)!r:.100}, and only one of {', '.join(ENCODINGS)} was asked for"
        )
    length = response.headers.get("content-length", "")
    answer.length = int(length) if re.fullmatch("[0-9]{1,18}", length) and not names else None
    unpack = _Unpacked(names[0]) if names else None
    content, received = bytearray(), 0
    try:
        async with asyncio.timeout_at(deadline):
            async for sent in response.aiter_raw():
                received += len(sent)
                for part in unpack.parts(sent) if unpack else (sent,):
                    content += part
                    if len(content) > limit:
                        break
                if len(content) > limit:
                    answer.is_cut = True
                    return
                if received > limit + _CHUNK:  # gzip may hold nothing, at any length
                    answer.broken = f"more than {limit:,} bytes of {names[0]} were sent for it"
                    return
        if unpack and not unpack.is_whole and received:
            answer.broken = f"the {names[0]} in it is cut off"
    except TimeoutError:
        answer.broken = "the time was over"
    except FAILURES as error:
        answer.broken = str(error).rstrip(".")[:200] or type(error).__name__
    finally:
        answer.content = bytes(content[:limit])


class _Unpacked:
    """The bytes in a stream of gzip or deflate. `is_whole`: it has come to its end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # with the header of gzip or of zlib
        self._started = False

    @property
    def is_whole(self) -> bool:
        return self._stream.eof

    def parts(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds, in pieces. Raises `Undecodable`."""
        while data:
            try:
                part = self._stream.decompress(data, _CHUNK)
            except zlib.error as error:
                if self._started or self._name != "deflate":
                    raise Undecodable(f"it is no {self._name} ({error})") from None
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # some send it without a header
                self._started = True
                continue
            self._started = True
            data = self._stream.unconsumed_tail
            if self._stream.eof and self._stream.unused_data.startswith(
                b"\x1f\x8b"
            ):  # RFC 1952, 2.2: another member
                data = self._stream.unused_data
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
            if part:
                yield part


def known_charset(name: str | None) -> str:
    """A charset that there is, or an empty text: some write `binary`, or what Python has no text in (`hex`)."""
    try:
        b"a".decode(name or "binary")  # of no bytes the codec is not looked for
    except (LookupError, ValueError):
        return ""
    return name or ""


def data_of(answer: Answer) -> Any:
    """The answer's body: JSON parsed, JSON lines as a list, text as it is, anything else described; cut where too long."""
    kind = essence(answer.media_type)
    if answer.refused:
        return {"error": f"{answer.refused} It was not followed."}
    if not answer.content and not answer.broken:
        return [] if is_lines(kind) and answer.status != 204 else None
    if not is_text(kind, answer):
        size = answer.length or len(answer.content)
        came = f", cut off after {len(answer.content):,}: {answer.broken}" if answer.broken else ""
        return f"[{kind}, {size:,} bytes{came}: not text]"
    text = decoded(answer.content, answer.charset)
    if answer.is_cut or answer.broken or len(text) > MAX_RESPONSE:
        return f"{text[:MAX_RESPONSE]}\n{_note(answer, text)}"
    if is_lines(kind):
        try:
            return [read_json(line) for line in re.split("[\n\r\x1e]", text) if line.strip()]
        except Unreadable:
            return text
    if "json" in kind or not kind or text.lstrip()[:1] in ("{", "["):
        try:
            data = read_json(text)
        except Unreadable:
            return text
        return _reason(data) if kind == "application/problem+json" else data
    return text


def _reason(data: Any) -> Any:
    """A problem (RFC 9457) without what says no more than the status does, and the id that differs each time."""
    if not isinstance(data, dict) or data.get("type", "about:blank") != "about:blank":
        return data
    return {key: value for key, value in data.items() if key not in ("type", "title", "status", "request_id")}


def _note(answer: Answer, text: str) -> str:
    if answer.broken and not answer.is_cut and len(text) <= MAX_RESPONSE:
        of = f" of {answer.length:,}" if answer.length else ""
        return f"[cut off: {len(answer.content):,}{of} bytes came, then {answer.broken}]"
    total = f"{answer.length:,} bytes" if answer.is_cut and answer.length else f"{len(text):,} characters"
    more = "more than " if (answer.is_cut and not answer.length) or answer.broken else ""
    return f"[cut: the first {MAX_RESPONSE:,} characters of {more}{total}]"


def is_text(essence: str, answer: Answer) -> bool:
    """By the type where it says so: text/*, a charset, a suffix as in image/svg+xml; else by what is in it."""
    if essence.startswith("text/") or answer.charset or re.search(r"(?:/|\+)(?:json|xml|yaml)$", essence):
        return True
    if is_lines(essence) or answer.content.startswith(_MARKS):
        return True
    if essence.startswith(_MEDIA) or _BINARY.search(answer.content):
        return False
    reader = codecs.getincrementaldecoder("utf-8")()  # a character that is cut in two at the end is none
    try:
        reader.decode(answer.content)
    except UnicodeDecodeError:
        return not essence
    return True


def cut(text: str) -> str:
    """A text for a model, not longer than ChatGPT's limit; what says that it was cut before stays at its end."""
    if len(text) <= MAX_RESPONSE:
        return text
    note = (
        text[text.rfind("\n[cut") :] if text.endswith("]") and text.rfind("\n[cut") >= len(text) - 500 else ""
    )
    note = note or f"\n[cut: the first {MAX_RESPONSE:,} of {len(text):,} characters]"
    return text[: MAX_RESPONSE - len(note)] + note
