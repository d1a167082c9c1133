"""The proof of an export: the notebook's plugin and the exported app, both served, get the same requests.

Each runs with its own process, folder and database, so that no real data is touched.
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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kit.client.credentials import Credentials
from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH, Manifest
from kit.markup import code, columns, escape, table
from kit.openapi.spec import Spec
from kit.openapi.values import pointer_token
from kit.project import child
from kit.project.scratch import uninterrupted
from kit.tools.examples import example_arguments
from kit.tools.tool import make_tools

CONSEQUENTIAL = "x-openai-isConsequential"
BASE = "http://localhost:8000"  # the address in the exported documents
_SAME = {"Host": BASE.partition("//")[2], "X-Request-ID": "proof"}  # an error has the id of its request
START_TIMEOUT = 60.0  # seconds until the first answer: importing a large package can take long
ANSWER_TIMEOUT = 10.0  # seconds for each operation
MAX_BODY = 1_000_000  # bytes of an answer that are compared
# Environment variables that would make an answer depend on this machine.
_UNSET = (
    "PUBLIC_URL", "ROOT_PATH", "METRICS_PORT", "ALLOWED_HOSTS", "FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY", "LOG_FORMAT", "MAX_BODY_BYTES",
    "REQUEST_TIMEOUT", "MPLBACKEND",
)  # fmt: skip
_RESERVED = "/?#[]@!$&'()*+,;=:%~"  # what a URL may hold as it is


@dataclass(kw_only=True, eq=False, repr=False)
class ProcessError(ExportError):
    """One of the two does not serve. `module`, `file` or `key` is what it did not find, if that is the reason.

    `is_late`: it took longer than it may.
    """

    module: str | None = None
    file: str | None = None
    key: str | None = None
    is_late: bool = False


@dataclass(frozen=True)
class Answer:
    """What one process answered. `status` 0: no answer within 10 s, or the connection broke."""

    status: int
    media_type: str
    body: bytes
    is_whole: bool = True

    def __str__(self) -> str:
        size = f"{len(self.body):,} bytes{'' if self.is_whole else ' so far'}" if self.body else "empty"
        return f"{self.status}, {size}" if self.status else self.body.decode()


@dataclass(frozen=True)
class Row:
    """One request to both. `differs` says how the answers differ; empty if they are the same.

    `note` marks an operation whose answer is never the same, such as a clock's: only status and type are compared.
    """

    what: str
    notebook: str
    export: str
    differs: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        return f"differs: {self.differs}" if self.differs else self.note or "same"


@dataclass
class Parity:
    """The notebook's plugin beside the exported app. `rows` are the requests, `skipped` the operations not called."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all answers are the same."""
        return not self.differences

    @property
    def differences(self) -> list[Row]:
        return [row for row in self.rows if row.differs]

    @property
    def _sentence(self) -> str:
        count, changing = len(self.rows), sum(bool(row.note) for row in self.rows)
        if self.differences:
            text = f"{len(self.differences)} of {count} answers differ"
        elif changing:
            text = f"{count} answers, the same except for {changing} that the notebook itself changes"
        else:
            text = f"{count} answers, all the same"
        if self.skipped:
            text += f"; not called, since they may change something: {', '.join(self.skipped)}"
        if any(row.notebook.startswith("401") for row in self.rows):
            text += "; with a token, what was refused with status 401 could be compared further"
        if failed := [row.what for row in self.rows if row.notebook.startswith("5")]:
            text += f"; the notebook itself fails at: {', '.join(failed)}"
        return f"{text}."

    def __repr__(self) -> str:
        rows = [(row.what, row.notebook, row.export, row.verdict) for row in self.rows]
        return f"{columns([('', 'notebook', 'export', ''), *rows], '  ')}\n{self._sentence}"

    def _repr_html_(self) -> str:
        rows = [
            (code(row.what), *(escape(text) for text in (row.notebook, row.export, row.verdict)))
            for row in self.rows
        ]
        return table(("asked", "notebook", "export", ""), rows) + escape(self._sentence)


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

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None, limit: float = ANSWER_TIMEOUT) -> Answer:  # fmt: skip
        """The answer to one request; `limit` is in seconds."""
        end = time.monotonic() + limit
        connection = http.client.HTTPConnection("127.0.0.1", self.facts["port"], timeout=limit)
        try:
            connection.request(method, url, headers={**_SAME, **(headers or {})})
            response = connection.getresponse()
            kind, body = response.headers.get("content-type", ""), b""
            while part := response.read1(65536):
                body += part
                if len(body) > MAX_BODY or time.monotonic() > end or kind.startswith("text/event-stream"):
                    return Answer(response.status, kind, body, False)  # it may never end
            return Answer(response.status, kind, body)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, "", f"no answer ({type(error).__name__})".encode())
        finally:
            connection.close()

    def document(self, path: str) -> Answer:
        """Its manifest or spec. Raises `ProcessError` with what the process wrote if its lifespan failed."""
        answer = self.ask("GET", path, limit=self._start_timeout)
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

    With `-I -S` it sees only what its requirements lead to, so a package missing from them is noticed. Raises
    `ProcessError` if it does not load.
    """
    python = [sys.executable, "-I", "-S", "-B", str(Path(child.__file__))]
    return _serve("app.py", [*python, "export", str(folder), *map(str, site)], scratch, start_timeout)


def compare(
    notebook: PluginProcess,
    export: PluginProcess,
    restart: Callable[[], AbstractContextManager[PluginProcess]],
    token: str | None = None,
) -> Parity:
    """Asks both for manifest, spec, and every operation that changes nothing, with the token if there is one.

    An answer may differ each time, or after each start: if the answers differ, the notebook itself is asked again,
    and then, served anew by `restart`, once more.
    """
    parity = Parity()
    documents = []
    for what, path in (("manifest", MANIFEST_PATH), ("spec", SPEC_PATH)):
        expected, actual = notebook.document(path), export.document(path)
        documents.append(json.loads(expected.body))
        parity.rows.append(Row(what, str(expected), str(actual), _documents_differ(expected, actual)))
    spec, requests = Spec(documents[1]), []
    credentials = Credentials(spec, Manifest.read(documents[0]), token or None)
    for name, tool in make_tools(spec).items():
        if tool.operation.method not in ("GET", "HEAD") or tool.operation.raw.get(CONSEQUENTIAL) is True:
            parity.skipped.append(name)
            continue
        request = tool.request(example_arguments(tool))
        proof = credentials.placed(tool.operation)
        url = quote(proof.added_to(request.url), safe=_RESERVED)
        requests.append((request.method, url, dict(proof.joined_with(request.headers))))
    answers = []
    for each in requests:
        with ThreadPoolExecutor(2) as pool:  # at the same moment: an answer with the time in it is the same
            futures = [pool.submit(process.ask, *each) for process in (notebook, export)]
            try:
                answers.append([future.result() for future in futures])
            except BaseException:  # Ctrl+C, SIGTERM: the answers are not waited for
                notebook.end()
                export.end()
                raise
    restarted = None
    with contextlib.ExitStack() as stack:
        for each, (expected, actual) in zip(requests, answers, strict=True):
            differs, note = _differ(expected, actual), ""
            if differs == "body":
                if _differ(expected, notebook.ask(*each)) == "body":
                    differs, note = "", "new each time, the same status and type"
                else:
                    restarted = restarted or stack.enter_context(restart())
                    if _differ(expected, restarted.ask(*each)) == "body":
                        differs, note = "", "new after each start, the same status and type"
            parity.rows.append(Row(f"{each[0]} {each[1]}", str(expected), str(actual), differs, note))
    return parity


@contextlib.contextmanager
def _serve(what: str, command: list[str], scratch: Path, start_timeout: float) -> Iterator[PluginProcess]:
    scratch.mkdir(parents=True, exist_ok=True)
    kept = {
        key: value for key, value in os.environ.items() if key not in _UNSET and not key.startswith("JPY_")
    }
    environment = {**kept, "DATABASE_URL": f"sqlite:///{(scratch / 'proof.db').as_posix()}"}
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


def _documents_differ(expected: Answer, actual: Answer) -> str:
    if expected.body == actual.body:
        return ""
    return _first_difference(json.loads(expected.body), json.loads(actual.body)) or "the order of its keys"


def _first_difference(expected: Any, actual: Any, path: str = "") -> str:
    """Where two JSON values first differ, as a path; empty if they are equal."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in {**expected, **actual}:
            if key not in actual or key not in expected:
                return f"{path}/{pointer_token(key)} is {'missing' if key in expected else 'new'}"
            inner = _first_difference(expected[key], actual[key], f"{path}/{pointer_token(key)}")
            if inner:
                return inner
        return ""
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return next(filter(None, (_first_difference(a, b, f"{path}/{n}") for n, (a, b) in pairs)), "")
    return "" if expected == actual else f"{path or 'the whole'} differs"


def _differ(expected: Answer, actual: Answer) -> str:
    if expected.status != actual.status:
        return "status"
    if expected.media_type != actual.media_type:
        return "Content-Type"
    if expected.is_whole and actual.is_whole:
        return "" if expected.body == actual.body else "body"
    common = min(len(expected.body), len(actual.body))
    return "" if expected.body[:common] == actual.body[:common] else "body"
