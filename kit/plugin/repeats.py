"""`Repeats`: an operation whose write met another one in PostgreSQL runs again, before anything of its answer is sent.

The first `write()` of an operation runs beside those of others. PostgreSQL refuses it if the outcome would depend on
them, and the operation runs again from its start, the last time alone. Whatever cannot run again writes alone at once: a second
`write()` of the operation, code that runs after the answer, a script. So no write is lost, and none is done twice.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.plugin import attempts, problems
from kit.plugin.attempts import Attempt

RUNS = 3  # of one operation, the last one alone
KEPT = 1_000_000  # bytes of a request's body that are kept for the next run; with more there is none


class Repeats:
    """Middleware, the innermost: runs the operation, again if it has to."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not attempts.is_used:
            await self.app(scope, receive, send)
            return
        untouched, request = dict(scope), _Request(receive)
        for run in range(1, RUNS + 1):
            attempt = request.attempt = Attempt(is_last=run == RUNS)
            if await self._ran(attempt, scope, request.receive, send):
                return
            scope.clear()
            scope.update(untouched)
            request.rewind()

    async def _ran(self, attempt: Attempt, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the run counts."""
        answer, token = _Answer(attempt, send), attempts.running.set(attempt)
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            if attempt.is_void:
                return False
            reason = attempt.unavailable
            if attempt.has_answered or reason is None or reason not in (error, error.__cause__):
                raise
            response = await problems.away(Request(scope), reason)
            await response(scope, receive, send)
            return True
        finally:
            attempts.running.reset(token)
        if attempt.is_void:
            return False
        await answer.release()
        return True


class _Request:
    """The messages of a request, kept so that they can be received again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self._position = self._size = 0
        self.attempt = Attempt(is_last=True)

    async def receive(self) -> Message:
        if self._position < len(self._messages):
            self._position += 1
            return self._messages[self._position - 1]
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > KEPT:
            self._messages.clear()
            self.attempt.is_last = True
        elif message["type"] == "http.request":
            self._messages.append(message)
            self._position += 1
        return message

    def rewind(self) -> None:
        self._position = 0


class _Answer:
    """Sends on what a run answers, but holds it while the run may be undone.

    That is an answer before its `write()` has ended (a dependency with `yield` commits after the answer), and the 500 of a
    wrapped app, which knows no error of the kit's.
    """

    def __init__(self, attempt: Attempt, send: Send) -> None:
        self._attempt = attempt
        self._send = send
        self._held: list[Message] = []
        self._is_withheld = False

    async def send(self, message: Message) -> None:
        attempt = self._attempt
        if not attempt.has_answered:
            if message["type"] == "http.response.start":
                self._is_withheld = message["status"] == 500 and attempt.unavailable is not None
            is_stream = message.get("more_body", False)
            if self._is_withheld or attempt.is_void or (attempt.open and not is_stream):
                self._held.append(message)
                return
            await self.release()
        await self._send(message)

    async def release(self) -> None:
        self._attempt.has_answered = True
        held, self._held = self._held, []
        for message in held:
            await self._send(message)
