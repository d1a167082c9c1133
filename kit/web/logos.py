"""The logos of the page's plugins, each at an address of its own, so that a browser reads it once and keeps it."""

from __future__ import annotations

import hashlib

from starlette.responses import PlainTextResponse, Response

LOGOS = "static/logos"  # below what needs no token: the element of a picture cannot send one
MOST = 500  # logos: that of a plugin whose author works on it may change often

_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",  # the address is that of these bytes
    # Opened as a page of its own, a stranger's drawing runs nothing and belongs to nobody.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}


class Logos:
    """Pictures by the hash of their bytes."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[bytes, str]] = {}

    def keep(self, content: bytes, media_type: str) -> str:
        """Keeps a picture; returns its address, relative to the page."""
        name = hashlib.sha256(media_type.encode() + b"\0" + content).hexdigest()[:32]
        self._all[name] = self._all.pop(name, (content, media_type))
        while len(self._all) > MOST:
            del self._all[next(iter(self._all))]
        return f"{LOGOS}/{name}"

    def answer(self, name: str) -> Response:
        """The picture of an address."""
        if name not in self._all:
            return PlainTextResponse("Not found", 404)
        content, media_type = self._all[name]
        return Response(content, media_type=media_type, headers=_HEADERS)
