"""Connections that their clients cannot hold for ever, nor fill: limits on what comes before an operation sees it.

uvicorn's own, for httptools, are the five seconds that a kept-alive connection may be idle. A client that sends
nothing, or a byte now and then, it keeps for ever; headers it takes in as long as they come, in quadratic time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import IntEnum
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kit.plugin.limits import detail, too_much
from kit.plugin.problems import MEDIA_TYPE, Problem, body_of, id_of
from kit.plugin.settings import Settings


class Waits(IntEnum):
    """What a connection waits for; the first are closed first where there are too many."""

    REQUEST = 0  # for headers, the first or the next
    BODY = 1
    READER = 2  # for its client to take the answer
    OPERATION = 3


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits. `look`, called about every second, ends it if its client takes too long."""

    limits: Settings  # of the class that `limited` makes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread = 0  # bytes since the parser had complete headers or a part of a body
        self._count = 0  # of requests whose headers are complete
        self._is_in_body = self._is_refused = False
        self._stage: tuple[int, ...] = ()  # what it waited for when it was last looked at
        self.since = time.monotonic()  # when that began

    # -- what asyncio and the parser call -------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return  # read, so that the client sees the answer instead of a reset
        self._unread += len(data)
        super().data_received(data)
        most = self.limits.max_header_bytes
        # The part itself may have been the end of an earlier request.
        if most and self._unread - len(data) > most:
            self.refuse(431, *(too_much(0, self._unread, 0, most) or ()))

    def on_headers_complete(self) -> None:
        self._unread, self._is_in_body = 0, True
        self._count += 1
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread, self._is_in_body = 0, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, msg)

    # -- limits ---------------------------------------------------------------

    @property
    def waits_for(self) -> Waits:
        if self.transport.is_closing() or self.flow.write_paused:
            return Waits.READER
        if self._is_in_body and not self.flow.read_paused:
            return Waits.BODY
        return Waits.REQUEST if self.cycle is None or self.cycle.response_complete else Waits.OPERATION

    def look(self, now: float) -> None:
        """Ends the connection if it has waited too long for its client."""
        waits, seconds, sent = self.waits_for, self.limits.header_timeout, 0
        if waits is Waits.READER:
            seconds, sent = self.limits.request_timeout, self.transport.get_write_buffer_size()
        elif waits is Waits.OPERATION or (waits is Waits.BODY and not self.cycle.response_complete):
            seconds = 0  # that is the limit of the operation, `Timeout`
        stage = (waits, self._count, sent)
        if stage != self._stage:
            self._stage, self.since = stage, now
        elif seconds and now - self.since >= seconds:
            self.end()

    def end(self) -> None:
        """Closes it; with 408 if headers have begun to arrive (RFC 9110, 15.5.9)."""
        if self.waits_for is Waits.REQUEST and self._unread and not self._is_refused:
            self.refuse(408, "The headers of the request did not arrive in time.", "HEADER_TIMEOUT")
        else:
            self.transport.abort()

    def refuse(self, status: int, words: str, variable: str = "") -> None:
        """Answers without the operation, and closes the connection."""
        known = id_of(())
        body = body_of(status, detail(words, variable) if variable else words, known)
        head = [
            b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
            *(b"%s: %s" % pair for pair in self.server_state.default_headers if pair[0] != b"connection"),
            b"content-type: %s" % MEDIA_TYPE.encode(),
            b"content-length: %d" % len(body),
            b"cache-control: no-store",
            b"connection: close",
            b"x-request-id: %s" % known.encode(),
        ]
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:  # it would cut into an answer
            self.transport.close()
            return
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.write_eof()
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def be_busy(self) -> None:
        """Answers its request with 503: there is no room for one more connection."""
        self.app = _busy


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    words = detail("This server has as many connections as it may.", "MAX_CONNECTIONS")
    await Problem(503, words, {"connection": "close"})(scope, receive, send)


def limited(settings: Settings) -> type[Connection]:
    """The protocol for a server with these limits."""
    return type("LimitedConnection", (Connection,), {"limits": settings})


def sweep(connections: Iterable[Any]) -> None:
    """Ends the connections that have waited too long for their clients."""
    now = time.monotonic()
    for each in list(connections):
        if isinstance(each, Connection):  # not a WebSocket
            each.look(now)


def make_room(connections: Iterable[Any]) -> bool:
    """Ends the connection that has waited longest for its client. False if all of them are at work."""
    waiting = [it for it in connections if isinstance(it, Connection) and it.waits_for is not Waits.OPERATION]
    if not waiting:
        return False
    longest = min(waiting, key=lambda each: (each.waits_for, each.since))
    longest.connections.discard(longest)
    longest.transport.abort()
    return True
