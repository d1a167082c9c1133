"""The calls that a notebook itself shows: in its code, its kept outputs, its tapes and cases, and the tests beside it.

They are read, not run: a cell may do anything, and take any time.
"""

from __future__ import annotations

import ast
import contextlib
import json
import mimetypes
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kit.errors import CaseError
from kit.evals import cases
from kit.matching import is_matcher
from kit.notebook.cells import SourceCell
from kit.notebook.names import UNREADABLE
from kit.notebook.source import Notebook
from kit.openapi.values import mapping
from kit.project.answers import Answer
from kit.project.questions import WEBSOCKET, Question, Questions
from kit.project.reader import HOLE, UNKNOWN, File, Reader, is_known

_HERE = "\1"  # in a URL, in the place of a server's own address
_LOCAL = re.compile(
    r"^(?:(?:https?|wss?)://(?:127\.0\.0\.1|localhost|testserver|\[::1\])(?::(?:\d+|\0))?|[\0\1])?(?=/)"
)
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_PARTS = ("params", "json", "data", "files", "content", "headers")  # of a request of httpx or requests
_CONNECTS = ("connect", "websocket_connect", "create_connection", "ws_connect")
_OUTPUT = re.compile(
    r"^\s*([A-Za-z_]\w*)\((.*)\) -> (?:\d{3}|no answer)\b", re.MULTILINE
)  # as `CallResult` shows itself
_MAGIC = re.compile(r"^([ \t]*)[%!?].*$", re.MULTILINE)
_CASES = ("cases.yaml", "cases.json", "cases.csv", "tests/cases.yaml")

Ask = Callable[[Question], Answer | None]


class Result:
    """What a call was answered; None if it was not made."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer


class Socket:
    """A WebSocket that the code opens, and the texts that it sends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: list[str] = []


class Shown(Reader):
    """Asks each call that the notebook shows, in order, by `ask`, whose answers later calls may need.

    `sockets` are the paths of the plugin's WebSockets.
    """

    def __init__(
        self, notebook: Notebook, questions: Questions, sockets: list[str], ask: Ask, fills: bool = True
    ) -> None:
        super().__init__(notebook.path.resolve().parent)
        self._fills = fills
        self._notebook, self._questions, self._ask = notebook, questions, ask
        self._paths = sockets
        self._sockets: list[Socket] = []
        self._source = ""
        self._outputs: list[
            tuple[str, dict[str, Any]]
        ] = []  # of the cell, as far as its code has not made them

    def ask(self) -> None:
        """Asks all of them: the cells', those of the tests beside the notebook, then those of its cases."""
        outputs = _outputs(self._notebook.path)
        for cell in self._notebook.cells:
            self._cell(cell, outputs.get(cell.number, ""))
        for file in [*sorted(self.folder.glob("tests/test_*.py")), *sorted(self.folder.glob("test_*.py"))]:
            self._source = file.relative_to(self.folder).as_posix()
            self._text(file.read_text(encoding="utf-8", errors="replace"))
        for name in _CASES:
            if (self.folder / name).is_file():
                self._evaluated(name, name)
        for socket in self._sockets:
            self._ask(_opening(socket.url, self._source, tuple(socket.sent)))

    def _cell(self, cell: SourceCell, output: str) -> None:
        if cell.is_exported:  # only for its values: what it defines is what is called
            self.read(it for it in _parsed(cell.source) if isinstance(it, ast.Assign | ast.AnnAssign))
            return
        self._source = f"cell {cell.number}"
        self._outputs = [*self._of_output(output)]
        self._text(cell.source)
        for name, arguments in self._outputs:
            self._called(name, arguments)
        self._outputs = []

    def _text(self, text: str) -> None:
        self.read(_parsed(text))

    def _of_output(self, output: str) -> Iterator[tuple[str, dict[str, Any]]]:
        constants = {"true": True, "false": False, "null": None, **self.names}
        for match in _OUTPUT.finditer(output):
            if match[1] not in self._questions.tools:
                continue
            reader = Reader(self.folder)
            reader.names = constants
            for statement in _parsed(f"f({match[2]})"):
                if isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call):
                    given = {it.arg: reader.value(it.value) for it in call.keywords if it.arg}
                    if is_known(given) and "…" not in match[2]:
                        yield match[1], given

    # -- what is of interest in code ------------------------------------------------

    def member(self, value: Any, name: str) -> Any:
        if isinstance(value, Result):
            return _member(value.answer, name)
        if name in ("url", "base_url", "ws_url") and value is UNKNOWN:
            return _HERE
        return UNKNOWN

    def call(self, node: ast.Call, arguments: list[Any], named: dict[str, Any]) -> Any:
        function = node.func
        if not isinstance(function, ast.Attribute):
            last = function.id if isinstance(function, ast.Name) else ""
            return self._connected(arguments) if last in _CONNECTS else ...
        held, name = self.value(function.value), function.attr
        first: Any = arguments[0] if arguments else UNKNOWN
        if isinstance(held, Result):
            return held if name in ("expect", "raise_for_status") else _member(held.answer, name)
        if isinstance(held, Socket):
            return self._sent(held, name, first)
        is_operation = isinstance(first, str) and first in self._questions.tools
        if name in ("call", "acall") and is_operation:
            rest = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], dict) else {}
            return self._called(first, {**rest, **named})
        if name == "expect" and is_operation:
            return self._expected(first, named)
        if name in self._questions.tools and ast.unparse(function.value).endswith(".operations"):
            return self._called(name, named)
        if name == "evaluate" and len(arguments) > 1:
            return self._evaluated(arguments[1], self._source)
        if name == "record" and isinstance(first, str):
            return self._taped(self.folder / first)
        if name in _CONNECTS:
            return self._connected(arguments)
        return self._requested(name, held, arguments, named)

    def _called(self, name: str, arguments: Mapping[str, Any]) -> Result:
        """Asks an operation; where the reader `fills`, what is unknown of a required argument is made up."""
        known = {key: _plain(value) for key, value in arguments.items() if is_known(value)}
        if (name, known) in self._outputs:
            self._outputs.remove((name, known))
        if known.keys() == arguments.keys():
            question = self._questions.of_arguments(name, known, self._source)
            return Result(self._ask(question) if question else None)
        answer: Answer | None = None
        for question in self._questions.made(name, known, self._source) if self._fills else ():
            answer = self._ask(question)
            if answer is None or answer.is_success:
                break
        return Result(answer)

    def _expected(self, name: str, arguments: Mapping[str, Any]) -> Result:
        """A call that a conversation makes: as its output shows it, else as the code expects it."""
        shown = next((it for it in self._outputs if it[0] == name), None)
        return self._called(*shown) if shown else self._called(name, _literal(arguments))

    def _requested(self, method: str, held: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        """A request of httpx, requests or a test client."""
        if method == "request" and len(arguments) > 1 and isinstance(arguments[0], str):
            method, arguments = arguments[0].lower(), arguments[1:]
        url = arguments[0] if arguments else named.get("url")
        if method not in _METHODS or held is not UNKNOWN or not isinstance(url, str):
            return ...
        base, path = _LOCAL.match(url), _LOCAL.sub("", url)
        if base is None or HOLE in path:
            return ...
        operation = self._questions.answering(method.upper(), path)
        if not operation and base[0] != _HERE:
            return ...  # of another server, for all that is known
        if len(arguments) > 1:
            named = {**named, "params" if method == "get" else "data": arguments[1]}
        parts = {key: _part(key, named[key]) for key in _PARTS if key in named}
        if any(not is_known(value) for key, value in parts.items() if key != "files"):
            parts = {key: value for key, value in parts.items() if is_known(value)}
        if not is_known(parts.get("files")):
            return self._called(operation, {"": UNKNOWN}) if operation else Result(None)
        try:
            question = self._questions.of_request(method.upper(), path, self._source, **parts)
        except (TypeError, ValueError, AttributeError):
            return Result(None)  # as httpx refuses it
        return Result(self._ask(question) if not _is_own(path) else None)

    def _evaluated(self, given: Any, source: str) -> Any:
        """Asks what the cases expect to be called."""
        if isinstance(given, str):
            given = self.folder / given
        try:
            read = cases.read(given) if given is not UNKNOWN else []
        except (CaseError, OSError):
            return UNKNOWN  # said where they are asked
        before, self._source = self._source, source
        for case in read:
            for turn in case.turns:
                for call in turn.calls or ():
                    if call.operation in self._questions.tools:
                        self._called(call.operation, _literal(call.arguments))
        self._source = before
        return UNKNOWN

    def _taped(self, path: Path) -> Any:
        """Asks the calls that a model made on a tape."""
        try:
            recorded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return UNKNOWN
        seen: list[tuple[str, Any]] = []
        for name, text in _functions(recorded):
            arguments = _json(text)
            if (
                name in self._questions.tools
                and isinstance(arguments, dict)
                and (name, arguments) not in seen
            ):
                seen.append((name, arguments))  # a later request repeats the calls of earlier turns
                self._called(name, arguments)
        return UNKNOWN

    def _connected(self, arguments: list[Any]) -> Any:
        url = next((it for it in arguments if isinstance(it, str)), "")
        path = _LOCAL.sub("", url).replace(HOLE, "a")
        if not any(_fits(each, path) for each in self._paths):
            return ...
        self._sockets.append(Socket(path))
        return self._sockets[-1]

    def _sent(self, socket: Socket, name: str, value: Any) -> Any:
        if name.startswith("send") and is_known(value):
            socket.sent.append(value if isinstance(value, str) else json.dumps(_plain(value), default=str))
        return socket if name == "__enter__" else UNKNOWN


def openings(paths: list[str], asked: set[str]) -> Iterator[Question]:
    """A question for each WebSocket whose path none of the `asked` URLs has."""
    for path in paths:
        if not any(_fits(path, url) for url in asked):
            url = re.sub(r"\{[^{}]*:(?:int|float)\}", "1", path)
            # a text that is JSON too
            yield _opening(re.sub(r"\{[^{}]*\}", "a", url), "its path", ('"a"',))


def _opening(url: str, source: str, messages: tuple[str, ...]) -> Question:
    return Question("", WEBSOCKET, url, changes=True, source=source, messages=messages)


def _fits(template: str, url: str) -> bool:
    pattern = re.sub(r"\\\{[^{}]*\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, url.partition("?")[0]) is not None


def _member(answer: Answer | None, name: str) -> Any:
    if answer is None:
        return UNKNOWN
    if name in ("data", "json"):
        return (
            answer.body.decode(errors="replace")
            if isinstance(answer.data, list) and answer.media_type.startswith("text")
            else answer.data
        )
    texts = {"text": answer.body.decode(errors="replace"), "content": answer.body}
    return {**texts, "status": answer.status, "status_code": answer.status, "ok": answer.is_success}.get(
        name, UNKNOWN
    )


def _literal(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What is expected of arguments as arguments: of a matcher, one value that it takes if it names some."""
    made: dict[str, Any] = {}
    for key, value in arguments.items():
        if is_matcher(value):
            one = value.get("one_of") or [value.get("approximately", value.get("set", UNKNOWN))]
            value = one[0] if isinstance(one, list | tuple) else UNKNOWN
        made[key] = value if isinstance(value, str | int | float | list | tuple | dict | None) else UNKNOWN
    return made


def _part(key: str, value: Any) -> Any:
    """A part of a request of httpx; of files, each with its name and media type."""
    if key == "headers":
        return {k: v for k, v in mapping(value).items() if isinstance(v, str) and HOLE not in v}
    if key == "files" and isinstance(value, dict):
        return {field: _upload(field, it) for field, it in value.items()}
    if key == "files" and isinstance(value, list):
        return [
            (it[0], _upload(it[0], it[1])) if isinstance(it, tuple) and len(it) == 2 else it for it in value
        ]
    return value


def _upload(field: str, value: Any) -> Any:
    if isinstance(value, File | bytes):
        name = getattr(value, "name", field)
        return (name, bytes(value), mimetypes.guess_type(name)[0] or "application/octet-stream")
    return value


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, File) else value


def _is_own(path: str) -> bool:
    """Whether it is a document of the kit's, which is compared anyway."""
    return path.startswith("/.well-known/")


def _functions(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("name"), str) and isinstance(node.get("arguments"), str):
            yield node["name"], node["arguments"]
        node = [*node.values()]
    for item in node if isinstance(node, list) else ():
        yield from _functions(item)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _parsed(text: str) -> list[ast.stmt]:
    """The statements of a cell without its magics; none of one that is not Python."""
    for source in (text, _MAGIC.sub(r"\1pass", text)):
        with contextlib.suppress(*UNREADABLE):
            return ast.parse(source).body
    return []


def _outputs(path: Path) -> dict[int, str]:
    """The kept texts of a notebook's cells, by the numbers of the cells."""
    if path.suffix != ".ipynb":
        return {}
    found = {}
    for number, cell in enumerate(json.loads(path.read_bytes())["cells"], 1):
        shown = [it for it in mapping(cell).get("outputs") or () if isinstance(it, dict)]
        texts = [it.get("text") or mapping(it.get("data")).get("text/plain") or "" for it in shown]
        found[number] = "\n".join(it if isinstance(it, str) else "".join(map(str, it)) for it in texts)
    return found
