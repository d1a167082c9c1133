"""The two processes of an export's proof: the notebook's plugin and the exported app, both served.

Each has its own folder and database, so that no real data is touched.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ExportError
from kit.project import child
from kit.project.answers import Answer
from kit.project.questions import WEBSOCKET, Question
from kit.project.scratch import uninterrupted

if TYPE_CHECKING:
    from websockets.sync.connection import Connection

BASE = "http://localhost:8000"  # the address in the exported documents
_SAME = {"Host": BASE.partition("//")[2], "X-Request-ID": "proof"}  # an error has the id of its request
START_TIMEOUT = 60.0  # seconds until the first answer: importing a large package can take long
ANSWER_TIMEOUT = 30.0  # seconds until an operation answers: it may import a large package first
BODY_TIME = 5.0  # seconds of an answer that does not end
STREAM_TIME = 1.0  # seconds of a stream of events, which may never end
MESSAGE_TIME = 0.3  # seconds without a message of a WebSocket
MAX_BODY = 1_000_000  # bytes of an answer that are compared
# Environment variables that would make an answer depend on this machine.
_UNSET = (
    "PUBLIC_URL", "ROOT_PATH", "METRICS_PORT", "ALLOWED_HOSTS", "FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY", "LOG_FORMAT", "MAX_BODY_BYTES",
    "REQUEST_TIMEOUT", "MPLBACKEND",
)  # fmt: skip


@dataclass(kw_only=True, eq=False, repr=False)
class ProcessError(ExportError):
    """One of the two does not serve. `module`, `file` or `key` is what it did not find, if that is the reason.

    `missing` are all modules that it looked for and did not find; `is_late`: it took longer than it may.
    """

    module: str | None = None
    missing: list[str] | None = None
    file: str | None = None
    key: str | None = None
    is_late: bool = False


class PluginProcess:
    """One of the two: a process of `kit.project.child` that serves. `facts` are its first line of output.

    Raises `ProcessError` if it does not, or takes longer than `start_timeout` seconds.
    """

    def __init__(self, what: str, process: subprocess.Popen[str], errors: Path, start_timeout: float) -> None:
        self._what, self._process, self._errors, self._start_timeout = what, process, errors, start_timeout
        self._is_late = False
        timer = threading.Timer(start_timeout, self._end_late)
        timer.start()
        try:
            line = process.stdout.readline() if process.stdout else ""  # empty: the process has ended
        finally:
            timer.cancel()
        self.facts: dict[str, Any] = json.loads(line) if line else {}
        if "port" not in self.facts:
            if self._is_late:
                raise self._late()
            why = self.message or "a cell ends the process"
            facts = {"problem": f"{what} could not be served: {why}.", "remedy": "Fix the cell."}
            raise ProcessError(**{**facts, **self.facts})

    def end(self) -> None:
        """Ends it, and what it has started in turn."""
        child.end_group(self._process.pid)

    def _end_late(self) -> None:
        self._is_late = True
        self.end()

    def _late(self) -> ProcessError:
        wrote = f" The last line that it wrote: {self.message}" if self.message else ""
        return ProcessError(
            f"{self._what} could not be served: it took longer than {self._start_timeout:g} s to start.{wrote}",
            "If it needs longer, say so with start_timeout=SECONDS (--start-timeout SECONDS).",
            is_late=True,
        )

    def ask(self, question: Question, limit: float = ANSWER_TIMEOUT) -> Answer:
        """The answer to one request; `limit` is in seconds."""
        if question.method == WEBSOCKET:
            return self._converse(question)
        connection = http.client.HTTPConnection("127.0.0.1", self.facts["port"], timeout=limit)
        headers = {**dict(question.headers), **_SAME}
        try:
            connection.request(question.method, question.url, question.body or None, headers)
            response = connection.getresponse()
            kind, location = (response.headers.get(name, "") for name in ("content-type", "location"))
            known, body = (response.status, kind), b""
            is_stream = kind.startswith("text/event-stream")
            end = time.monotonic() + (STREAM_TIME if is_stream else BODY_TIME)
            while part := response.read1(65536):
                body += part
                if len(body) > MAX_BODY or time.monotonic() > end:
                    return Answer(*known, body, False, location)  # it may never end
            return Answer(*known, body, True, location)
        except (OSError, ValueError, http.client.HTTPException) as error:  # no header holds such a value
            return Answer(0, "", f"no answer ({type(error).__name__})".encode())
        finally:
            connection.close()

    def _converse(self, question: Question) -> Answer:
        """What a WebSocket answers: each message that is sent is followed by what comes within a moment."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        heard: list[str] = []
        url = f"ws://127.0.0.1:{self.facts['port']}{question.url}"
        headers = [it for it in (*question.headers, *_SAME.items()) if it[0] != "Host"]
        try:
            with connect(url, additional_headers=headers, open_timeout=ANSWER_TIMEOUT, proxy=None) as socket:
                try:
                    for message in ("", *question.messages):
                        if message:
                            socket.send(message)
                        heard += _heard(socket)
                except WebSocketException:
                    heard.append(f"closed with {socket.close_code}")
        except InvalidStatus as error:
            return Answer(error.response.status_code, "", b"")
        except (OSError, WebSocketException) as error:
            return Answer(0, "", f"no answer ({type(error).__name__})".encode())
        return Answer(101, "text/plain", "\n".join(heard).encode())

    def report(self, order: str = "report") -> Any:
        """What the process says of itself: `Watch` in `kit.project.child` has it."""
        if self._process.stdin is None or self._process.stdout is None or self._process.poll() is not None:
            return {}
        timer = threading.Timer(self._start_timeout, self.end)
        timer.start()
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{order}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        timer.cancel()
        return json.loads(line) if line else {}

    def document(self, path: str) -> Answer:
        """Its manifest or spec. Raises `ProcessError` with what the process wrote if its lifespan failed."""
        answer = self.ask(Question("", "GET", path), self._start_timeout)
        if answer.status == 200:
            return answer
        if self._process.poll() is None and answer.status:
            raise ProcessError(
                f"{path} is answered with status {answer.status}.", f"It wrote: {self.message}"
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.returncode is None:
            raise self._late()
        raise ProcessError(self.message or f"It ended with status {self._process.returncode}.")

    @property
    def message(self) -> str:
        """The last line that the process wrote, which is an exception's message."""
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        lines = [line.removeprefix("  ") for line in lines]  # the log indents a traceback
        messages = [line for line in lines if line and not line.startswith((" ", "ERROR:"))]
        return (messages or lines or [""])[-1]


def serve_notebook(
    path: str, name: str | None, scratch: Path, start_timeout: float
) -> AbstractContextManager[PluginProcess]:
    """The notebook's plugin, served from its copy in `scratch`. Raises `ProcessError` if it does not load."""
    command = [sys.executable, "-m", "kit.project.child", "notebook", path, name or ""]
    return _serve(path, command, scratch, start_timeout)


def serve_export(
    folder: Path, site: list[Path], scratch: Path, start_timeout: float
) -> AbstractContextManager[PluginProcess]:
    """The exported app, served from `folder` by a Python that has only the packages in `site`.

    With `-S`, and without the variables that Python itself reads, it sees only what its requirements lead to, so a package
    missing from them is noticed. Raises `ProcessError` if it does not load.
    """
    python = [sys.executable, "-P", "-s", "-S", "-B", str(Path(child.__file__))]
    command = [*python, "export", str(folder), *map(str, site)]
    return _serve("app.py", command, scratch, start_timeout, "PYTHON")


@contextlib.contextmanager
def _serve(
    what: str, command: list[str], scratch: Path, start_timeout: float, *left_out: str
) -> Iterator[PluginProcess]:
    """Serves until the block ends. What begins with one of `left_out` is left out of the environment."""
    scratch.mkdir(parents=True, exist_ok=True)
    own = ("JPY_", *left_out)
    kept = {key: value for key, value in os.environ.items() if key not in _UNSET and not key.startswith(own)}
    database = f"sqlite:///{(scratch / 'proof.db').as_posix()}"
    # a set has the same order in each process
    environment = {**kept, "DATABASE_URL": database, "PYTHONHASHSEED": "0"}
    errors = scratch / "stderr.txt"
    with errors.open("w") as sink:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            command, cwd=scratch, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True,
            start_new_session=True,  # what the plugin starts in turn ends with it
        )  # fmt: skip
    try:
        yield PluginProcess(what, process, errors, start_timeout)
    finally:
        with uninterrupted():
            child.end_group(process.pid)
            process.communicate()


def _heard(socket: Connection) -> Iterator[str]:
    """The messages that come within a moment, at most 20."""
    for _ in range(20):
        try:
            message = socket.recv(timeout=MESSAGE_TIME)
        except TimeoutError:
            return
        yield message if isinstance(message, str) else message.hex()
