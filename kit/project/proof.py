"""The proof of an export: the notebook's plugin and the exported app, both served, asked the same questions.

Each runs in a process, a folder and a database of its own, so that nobody's data is touched.
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

from kit.client.discovery import credential
from kit.errors import ExportError
from kit.manifest import MANIFEST_PATH, SPEC_PATH, Manifest
from kit.markup import code, columns, escape, table
from kit.openapi.spec import Spec
from kit.openapi.values import pointer_token
from kit.project import child
from kit.tools.tool import Tool, make_tools

CONSEQUENTIAL = "x-openai-isConsequential"
BASE = "http://localhost:8000"  # the address that the exported documents name
START_TIMEOUT = 60.0  # seconds until the first answer: a large package may take long to import
ANSWER_TIMEOUT = 10.0  # seconds for each operation
MAX_BODY = 1_000_000  # bytes of an answer that are compared
# Settings of the environment that would make an answer depend on this machine.
_UNSET = (
    "PUBLIC_URL", "ALLOWED_HOSTS", "FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY", "LOG_FORMAT", "MAX_BODY_BYTES",
    "REQUEST_TIMEOUT", "MPLBACKEND",
)  # fmt: skip
_RESERVED = "/?#[]@!$&'()*+,;=:%~"  # what a URL may hold as it is
_STRINGS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:34:56Z",
    "time": "12:34:56",
    "email": "sam@example.com",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "duration": "P1D",
}


@dataclass(kw_only=True, eq=False, repr=False)
class SideError(ExportError):
    """One of the two does not serve. `module`, `file` or `key` is what it did not find, where that is the reason."""

    module: str | None = None
    file: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Answer:
    """What one side answered. `status` 0: nothing came within 10 s, or the connection broke."""

    status: int
    media_type: str
    body: bytes
    is_whole: bool = True

    def __str__(self) -> str:
        size = f"{len(self.body):,} bytes{'' if self.is_whole else ' so far'}" if self.body else "empty"
        return f"{self.status}, {size}" if self.status else self.body.decode()


@dataclass(frozen=True)
class Row:
    """One question to both. `differs` says how the answers differ; empty: they are the same.

    `note` tells of an operation that answers anew each time, as a clock does: status and kind are compared.
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
    """The notebook's plugin beside the exported app. `rows` are the questions, `skipped` the operations not called."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all answers were the same."""
        return not self.differences

    @property
    def differences(self) -> list[Row]:
        return [row for row in self.rows if row.differs]

    @property
    def _sentence(self) -> str:
        many, changing = len(self.differences), sum(bool(row.note) for row in self.rows)
        said = (
            f"{many} of {len(self.rows)} answers differ"
            if many
            else f"{len(self.rows)} answers, all the same"
        )
        if changing and not many:
            said = (
                f"{len(self.rows)} answers, the same but for {changing} that the notebook changes by itself"
            )
        more = (
            f"; not called, since they may change something: {', '.join(self.skipped)}"
            if self.skipped
            else ""
        )
        if any(row.notebook.startswith("401") for row in self.rows):
            more += "; with a token, what was refused with status 401 could be compared further"
        if failed := [row.what for row in self.rows if row.notebook.startswith("5")]:
            more += f"; an error of the notebook's own: {', '.join(failed)}"
        return f"{said}{more}."

    def __repr__(self) -> str:
        rows = [(it.what, it.notebook, it.export, it.verdict) for it in self.rows]
        return f"{columns([('', 'notebook', 'export', ''), *rows], '  ')}\n{self._sentence}"

    def _repr_html_(self) -> str:
        rows = [
            (code(it.what), *(escape(text) for text in (it.notebook, it.export, it.verdict)))
            for it in self.rows
        ]
        return table(("asked", "notebook", "export", ""), rows) + escape(self._sentence)


class Side:
    """One of the two: a process of `kit.project.child` that serves. `facts` are its first line."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process, self._errors = process, errors
        timer = threading.Timer(START_TIMEOUT, process.kill)
        timer.start()
        line = process.stdout.readline() if process.stdout else ""  # empty: the process has ended
        timer.cancel()
        self.facts: dict[str, Any] = json.loads(line) if line else {}

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None, limit: float = ANSWER_TIMEOUT) -> Answer:  # fmt: skip
        """Asks once; `limit` is in seconds."""
        end = time.monotonic() + limit
        connection = http.client.HTTPConnection("127.0.0.1", self.facts["port"], timeout=limit)
        try:
            connection.request(method, url, headers={"Host": BASE.partition("//")[2], **(headers or {})})
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
        """Its manifest or spec. Raises `SideError` with what the process wrote if its lifespan failed."""
        answer = self.ask("GET", path, limit=START_TIMEOUT)
        if answer.status == 200:
            return answer
        if self._process.poll() is None and answer.status:
            raise SideError(f"{path} is answered with status {answer.status}.", f"It wrote: {self.words}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        raise SideError(self.words or f"There was no answer within {START_TIMEOUT:.0f} s.")

    @property
    def words(self) -> str:
        """The last line that the process wrote, which is an exception's message."""
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = [line for line in lines if line and not line.startswith((" ", "ERROR:"))]
        return (told or lines or [""])[-1]


def notebook_side(path: str, name: str | None, scratch: Path) -> AbstractContextManager[Side]:
    """The notebook's plugin, served from its copy in `scratch`. Raises `SideError` if it does not load."""
    return _side(path, [sys.executable, "-m", "kit.project.child", "notebook", path, name or ""], scratch)


def export_side(folder: Path, site: list[Path], scratch: Path) -> AbstractContextManager[Side]:
    """The exported app, served from `folder` by a Python that has only the packages in `site`.

    On `-I -S`: of all that is installed here it sees what its requirements lead to, and a package left out of them
    is missing. Raises `SideError` if it does not load.
    """
    python = [sys.executable, "-I", "-S", "-B", str(Path(child.__file__))]
    return _side("app.py", [*python, "export", str(folder), *map(str, site)], scratch)


def compare(
    notebook: Side, export: Side, again: Callable[[], AbstractContextManager[Side]], token: str | None = None
) -> Parity:
    """Asks both for manifest, spec, and every operation that changes nothing, with the token where one is given.

    An answer may be another each time, or after each start: the notebook itself is asked a second time then,
    and served a second time, which `again` does.
    """
    parity = Parity()
    documents = []
    for what, path in (("manifest", MANIFEST_PATH), ("spec", SPEC_PATH)):
        mine, theirs = notebook.document(path), export.document(path)
        documents.append(mine.body)
        parity.rows.append(Row(what, str(mine), str(theirs), _documents_differ(mine, theirs)))
    spec, asked = Spec(json.loads(documents[1])), []
    known = [credential(Manifest.read(json.loads(documents[0])), spec, token)] if token else []
    for name, tool in make_tools(spec).items():
        if tool.operation.method not in ("GET", "HEAD") or tool.operation.raw.get(CONSEQUENTIAL) is True:
            parity.skipped.append(name)
            continue
        request = tool.request(_arguments(tool))
        asked.append((request.method, quote(request.url, safe=_RESERVED), dict([*known, *request.headers])))
    answers = []
    for question in asked:
        with ThreadPoolExecutor(2) as pool:  # at one moment: what tells the time tells the same
            both = [pool.submit(side.ask, *question) for side in (notebook, export)]
            answers.append([each.result() for each in both])
    fresh = None
    with contextlib.ExitStack() as stack:
        for question, (mine, theirs) in zip(asked, answers, strict=True):
            differs, note = _differ(mine, theirs), ""
            if differs == "body":
                if _differ(mine, notebook.ask(*question)) == "body":
                    differs, note = "", "another each time, alike in status and kind"
                else:
                    fresh = fresh or stack.enter_context(again())
                    if _differ(mine, fresh.ask(*question)) == "body":
                        differs, note = "", "another after each start, alike in status and kind"
            parity.rows.append(Row(f"{question[0]} {question[1]}", str(mine), str(theirs), differs, note))
    return parity


@contextlib.contextmanager
def _side(what: str, command: list[str], scratch: Path) -> Iterator[Side]:
    scratch.mkdir(parents=True, exist_ok=True)
    given = {key: value for key, value in os.environ.items() if key not in _UNSET}
    given = {key: value for key, value in given.items() if not key.startswith("JPY_")}
    given["DATABASE_URL"] = f"sqlite:///{(scratch / 'proof.db').as_posix()}"
    errors = scratch / "stderr.txt"
    with errors.open("w") as sink:
        process = subprocess.Popen(
            command, cwd=scratch, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink, text=True
        )  # fmt: skip
    try:
        side = Side(process, errors)
        if "port" not in side.facts:
            why = side.words or f"it took longer than {START_TIMEOUT:.0f} s, or a cell ends the process"
            problem = f"{what} did not get as far as to serve: {why}."
            raise SideError(**{"problem": problem, "remedy": "Fix the cell.", **side.facts})
        yield side
    finally:
        process.kill()
        process.communicate()


def _documents_differ(mine: Answer, theirs: Answer) -> str:
    if mine.body == theirs.body:
        return ""
    return _first_difference(json.loads(mine.body), json.loads(theirs.body)) or "the order of its keys"


def _first_difference(mine: Any, theirs: Any, place: str = "") -> str:
    """Where two JSON values first differ, as a path; empty if they are equal."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in [*mine, *(key for key in theirs if key not in mine)]:
            if key not in theirs or key not in mine:
                return f"{place}/{pointer_token(key)} is {'missing' if key in mine else 'new'}"
            if found := _first_difference(mine[key], theirs[key], f"{place}/{pointer_token(key)}"):
                return found
        return ""
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        inner = (
            _first_difference(a, b, f"{place}/{n}") for n, (a, b) in enumerate(zip(mine, theirs, strict=True))
        )
        return next(filter(None, inner), "")
    return "" if mine == theirs else f"{place or 'the whole'} differs"


def _differ(mine: Answer, theirs: Answer) -> str:
    if mine.status != theirs.status:
        return "status"
    if mine.media_type != theirs.media_type:
        return "Content-Type"
    if mine.is_whole and theirs.is_whole:
        return "" if mine.body == theirs.body else "body"
    common = min(len(mine.body), len(theirs.body))
    return "" if mine.body[:common] == theirs.body[:common] else "body"


def _arguments(tool: Tool) -> dict[str, Any]:
    """Arguments made up by the tool's schema, the required ones alone. The same each time."""
    return {name: _value(it.schema, tool) for name, it in tool.arguments.items() if it.required}


def _value(schema: Any, tool: Tool, depth: int = 0) -> Any:
    if not isinstance(schema, Mapping) or depth > 8:
        return "a"
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if "$ref" in schema:
        return _value(
            tool.parameters.get("$defs", {}).get(schema["$ref"].rpartition("/")[2]), tool, depth + 1
        )
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _value(schema[key][0], tool, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(low, schema.get("maximum", low))
    if kind == "array":
        return [_value(schema.get("items"), tool, depth + 1)] * max(1, schema.get("minItems", 1))
    if kind == "object":
        wanted = schema.get("required", ())
        return {name: _value(schema.get("properties", {}).get(name), tool, depth + 1) for name in wanted}
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    text = _STRINGS.get(schema.get("format", ""), "a" * max(1, schema.get("minLength", 1)))
    return text[: schema.get("maxLength", len(text))]
