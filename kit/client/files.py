"""The files in an answer: a picture, a sound, a document, and how they are shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from kit.addresses import is_url
from kit.client.answers import MAX_RESPONSE, Answer, is_text
from kit.markup import escape
from kit.openapi.values import essence

# GPT Actions: an answer may have these, as URLs or {"name", "mime_type", "content"} with the content in Base64
# (platform.openai.com/docs/actions/sending-files)
RESPONSE = "openaiFileResponse"
MAX_FILES = 10  # of one answer
MAX_FILE = 10_000_000  # bytes of one of them

_TYPE = re.compile(r"(image|audio)/[\w.+-]+", re.ASCII)


@dataclass(frozen=True)
class File:
    """A file that is an answer, or in one. `content` is empty if it was too large, or only its `url` was named."""

    media_type: str  # without parameters, in lower case; empty if unknown
    content: bytes = b""
    name: str = ""
    url: str = ""
    size: int | None = None  # bytes of the whole, if that is known

    @property
    def data_url(self) -> str:
        """A picture or a sound as a `data:` URL, else an empty text.

        In an `<img>` or `<audio>` nothing of it is run: a script in SVG neither (SVG Integration, 2.6).
        """
        if not self.content or not _TYPE.fullmatch(self.media_type):
            return ""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"

    @property
    def alt(self) -> str:
        """What stands for it where it cannot be seen: its kind, its name and how large it is."""
        size = len(self.content) or self.size
        words = [self.name, self.media_type, f"{size:,} bytes" if size else ""]
        return ", ".join(filter(None, words))


def files_of(answer: Answer, data: Any) -> list[File]:
    """The files of a successful answer whose `data` is given: the answer itself, or those that it lists.

    A picture that is text, such as SVG, is a file too: of the text in which secrets are hidden.
    """
    kind = essence(answer.media_type)
    if not 200 <= answer.status < 300 or answer.refused or answer.broken:
        return []
    if isinstance(data, Mapping) and isinstance(entries := data.get(RESPONSE), list):
        return [file for entry in entries[:MAX_FILES] if (file := listed(entry))]
    if answer.content and not is_text(kind, answer):
        name = unquote(urlsplit(answer.url).path.rstrip("/").rpartition("/")[2])
        content = b"" if answer.is_cut else answer.content
        return [File(kind, content, name, answer.url, answer.length or len(content) or None)]
    if kind.startswith("image/") and isinstance(data, str) and not answer.is_cut and len(data) < MAX_RESPONSE:
        return [File(kind, data.encode())]
    return []


def listed(entry: Any) -> File | None:
    """One file of `openaiFileResponse`; None for what is none."""
    if isinstance(entry, str):
        return File("", url=entry) if is_url(entry) else None
    try:
        kind, content = essence(entry["mime_type"]), base64.b64decode(entry["content"], validate=True)
    except (KeyError, TypeError, ValueError):
        return None
    return File(kind, content, str(entry.get("name", ""))) if content else None


def shown(files: Iterable[File]) -> str:
    """The pictures and sounds among them as HTML."""
    parts = []
    for file in files:
        url, alt = file.data_url, escape(file.alt)
        if url.startswith("data:image/"):
            parts.append(f'<div><img src="{url}" alt="{alt}" style="max-width:100%;max-height:30em"></div>')
        elif url:
            parts.append(f'<div><audio controls src="{url}" aria-label="{alt}"></audio></div>')
    return "".join(parts)
