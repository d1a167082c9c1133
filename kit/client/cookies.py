"""The cookie jar of one plugin. Python's, and it is given only cookies that it can keep and that HTTP can carry back."""

from __future__ import annotations

from datetime import UTC
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from http.cookiejar import CookieJar
from typing import Any

MAX_COOKIE = 4096  # bytes of one, and cookies that an answer sets: RFC 6265, 6.1
MAX_COOKIES = 50


class Jar(CookieJar):
    """Cookies go back to where RFC 6265 says: the host that set them, or those below the domain that it named."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Takes those of an answer; leaves out what would break the next request or Python's own reader."""
        values = response.info().get_all("Set-Cookie") or []
        answer: Any = _Answer(
            [_kept(value) for value in values[:MAX_COOKIES]]
        )  # all that the reader asks for
        super().extract_cookies(answer, request)


class _Answer:
    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            if value:
                self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message


def _kept(value: str) -> str:
    """A cookie as it was set or, if it cannot be kept, an empty text. A date that is none is left out."""
    if not value.isascii() or not value.isprintable() or len(value) > MAX_COOKIE:
        return ""
    pair, *attributes = value.split(";")
    kept = []
    for attribute in attributes:
        name, _, date = attribute.partition("=")
        if name.strip().lower() == "expires":
            try:
                moment = parsedate_to_datetime(date.strip()).astimezone(UTC)
            except (ValueError, TypeError, OverflowError):
                continue
            attribute = f" expires={format_datetime(moment, usegmt=True)}"
        kept.append(attribute)
    return ";".join([pair, *kept])
