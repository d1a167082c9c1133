"""The proof of an export: the notebook's plugin and the exported app get the same requests, in the same order.

First what changes nothing, as often as the notebook shows it. Then, with both cut off from the network, everything in
the order in which the notebook shows it; what has not succeeded by then is asked with examples and made-up values.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from kit.client.credentials import Credentials
from kit.manifest import MANIFEST_PATH, SPEC_PATH, Manifest
from kit.notebook.source import Notebook
from kit.openapi.spec import Spec
from kit.project.answers import Answer, differences, first_difference, leaves, within
from kit.project.parity import ERROR, NOTHING, SUCCESS, Parity, Row
from kit.project.proof import PluginProcess
from kit.project.questions import Question, Questions
from kit.project.shown import Shown, openings
from kit.tools.tool import make_tools

MOST = 200  # requests of a proof
REPLAYS = 3  # of the notebook itself, to see which answers are never the same
SHORTEST = 6  # characters of a text that is looked for in later requests: an id, not a word
_ORDER = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE")  # made before it is read, deleted last

Restart = Callable[[], AbstractContextManager[PluginProcess]]


@dataclass
class Asked:
    """One question, and how both answered. `varying` is what of the answer is new each time.

    `reached` are the places that either connected to, `missing` the modules that the export looked for in vain;
    `is_secret` says whether a token was sent.
    """

    question: Question
    expected: Answer
    actual: Answer
    reached: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    is_secret: bool = False
    varying: set[str] = field(default_factory=set)

    @property
    def differs(self) -> list[str]:
        """Where the answers differ that should not."""
        return [it for it in differences(self.expected, self.actual) if not within(it, self.varying)]


class Replay:
    """One proof: `run` asks both, and gives what was found. `asked` are the requests in their order.

    `shared` are the settings by which the plugin changes what is not the proof's own: then nothing is changed.
    """

    def __init__(
        self,
        notebook: PluginProcess,
        export: PluginProcess,
        token: str | None = None,
        shared: Iterable[str] = (),
    ) -> None:
        self._notebook, self._export, self._shared = notebook, export, [*shared]
        self.parity = Parity()
        self.asked: list[Asked] = []
        self._closed_at: int | None = None  # how many were asked before nothing could leave the processes
        self._reached: set[str] = set()  # operations that connect to something
        self._slow: set[str] = set()  # operations that did not answer
        self._carried: dict[str, str] = {}
        documents = [self._document(*it) for it in (("manifest", MANIFEST_PATH), ("spec", SPEC_PATH))]
        spec = Spec(documents[1])
        self._credentials = Credentials(spec, Manifest.read(documents[0]), token or None)
        self.questions = Questions(make_tools(spec))

    def run(self, source: Notebook, restart: Restart) -> Parity:
        """Asks everything. `restart` serves the notebook's plugin anew, to see which answers are never the same."""
        self._export.report()  # what it looked for when it was loaded
        self._notebook.report()
        sockets = self._notebook.facts.get("sockets", [])
        if sockets and not find_spec("websockets"):
            self.parity.notes.append(
                "Its WebSockets need a library that is not installed: pip install websockets."
            )
            sockets = []
        self._all(source, sockets)
        if self._changing(sockets) and self._close():
            self._all(source, sockets)
        self._vary(restart)
        self._summarize()
        self._find_hidden()
        return self.parity

    @property
    def failing(self) -> int:
        """How many answers of the export differ, or are errors."""
        return sum(bool(it.differs) or not it.actual.is_success for it in self.asked)

    # -- asking ---------------------------------------------------------------------

    def _all(self, source: Notebook, sockets: list[str]) -> None:
        """What the notebook shows, then the examples of all, then made-up calls of what has not succeeded."""
        # while nothing is changed, the ids that a later call needs are not known
        fills = self._closed_at is not None or not self._changing(sockets)
        Shown(source, self.questions, sockets, self.ask, fills).ask()
        names = sorted(self.questions.tools, key=self._rank)
        for name in names:
            for question in self.questions.examples(name):
                self.ask(question)
        for name in names:
            if not self._succeeded(name):
                for question in self.questions.made(name, self._known(name)):
                    answer = self.ask(question)
                    if answer is None or answer.is_success:
                        break
        for question in openings(sockets, {it.question.url for it in self.asked}):
            self.ask(question)

    def _rank(self, name: str) -> tuple[int, int]:
        operation = self.questions.tools[name].operation
        return _ORDER.index(operation.method) if operation.method in _ORDER else 2, len(operation.path)

    def ask(self, question: Question) -> Answer | None:
        """The notebook's answer; None if it is not asked now."""
        is_closed = self._closed_at is not None
        earlier = next((it.expected for it in self.asked if it.question == question), None)
        if question.changes and not is_closed:
            return None
        is_cut_off = is_closed and not question.changes and question.operation in self._reached
        has_changed = any(it.question.changes for it in self.asked)
        is_known = earlier is not None and not question.changes and not has_changed
        if is_known or is_cut_off or question.operation in self._slow or len(self.asked) >= MOST:
            return earlier
        return self._ask(question).expected

    def _ask(self, question: Question) -> Asked:
        sent, is_secret = self._signed(question)
        other = _exchanged(sent, self._carried)
        answers: list[Answer] = []
        # at the same moment: an answer with the time in it is the same; SIGTERM waits for neither
        asking = threading.Thread(target=lambda: answers.append(self._export.ask(other)), daemon=True)
        asking.start()
        expected = self._notebook.ask(sent)
        asking.join()
        (actual,) = answers
        reports = [process.report() for process in (self._notebook, self._export)]
        reached = [place for it in reports for key in ("reached", "refused") for place in it.get(key, ())]
        asked = Asked(question, expected, actual, reached, reports[1].get("missing", []), is_secret)
        self.asked.append(asked)
        self._carried.update(_pairs(expected, actual))
        if question.operation:
            self._reached |= {question.operation} if reached else set()
            self._slow |= set() if expected.status else {question.operation}
        return asked

    def _signed(self, question: Question) -> tuple[Question, bool]:
        """The question with the token, and whether there is one for it."""
        if question.operation not in self.questions.tools:
            return question, False
        proof = self._credentials.placed(self.questions.tools[question.operation].operation)
        headers = tuple(proof.joined_with(question.headers))
        url = proof.added_to(question.url)
        return replace(question, url=url, headers=headers), bool(proof.headers or proof.query)

    def _changing(self, sockets: list[str]) -> bool:
        kinds = (
            self.questions.is_changing(name, it.operation.method) for name, it in self.questions.tools.items()
        )
        return any(kinds) or bool(sockets)

    def _close(self) -> bool:
        """Cuts both off from the network. False if either could change something by an open connection."""
        held = {place for it in (self._notebook, self._export) for place in it.report().get("held", ())}
        if held or self._shared:
            places = ", ".join([*self._shared, *sorted(held)])
            self.parity.notes.append(
                f"What changes something was not called: the plugin is connected to {places}, which is not the proof's own."
            )
            return False
        self._notebook.report("close")
        self._export.report("close")
        self._closed_at = len(self.asked)
        return True

    def _known(self, name: str) -> dict[str, Any]:
        """Values of an operation's path that earlier answers have: the id of what was made or listed above it."""
        tool = self.questions.tools[name]
        found: dict[str, Any] = {}
        for key, argument in tool.arguments.items():
            if argument.parameter is None or argument.parameter.location != "path":
                continue
            above = tool.operation.path.partition(f"/{{{argument.parameter.name}}}")[0]
            for asked in self.asked:
                operation = self.questions.tools.get(asked.question.operation)
                if operation and operation.operation.path == above and asked.expected.is_success:
                    data = asked.expected.data
                    data = data[0] if isinstance(data, list) and data else data
                    for member in (key, "id", key.rpartition("_")[2]):
                        if isinstance(data, dict) and isinstance(data.get(member), str | int):
                            found.setdefault(key, data[member])
        return found

    def _succeeded(self, name: str) -> bool:
        return any(it.expected.is_success for it in self.asked if it.question.operation == name)

    # -- what is never the same -------------------------------------------------------

    def _vary(self, restart: Restart) -> None:
        """Asks the notebook itself again, served anew with a database of its own, as long as anything differs."""
        for _ in range(REPLAYS):
            numbers = [number for number, it in enumerate(self.asked) if it.differs]
            if not numbers:
                return
            with restart() as again:
                self._again(again, self.asked[: numbers[-1] + 1])

    def _again(self, again: PluginProcess, asked: list[Asked]) -> None:
        carried: dict[str, str] = {}
        for number, it in enumerate(asked):
            if number == self._closed_at:
                again.report("close")
            answer = again.ask(_exchanged(self._signed(it.question)[0], carried))
            it.varying |= {*differences(it.expected, answer)}
            carried.update(_pairs(it.expected, answer))

    # -- what was found ----------------------------------------------------------------

    def _document(self, what: str, path: str) -> Any:
        expected, actual = self._notebook.document(path), self._export.document(path)
        differs = ""
        if expected.body != actual.body:
            differs = first_difference(expected.data, actual.data) or "the order of its keys"
        self.parity.rows.append(Row(what, str(expected), str(actual), differs))
        return json.loads(expected.body)

    def _summarize(self) -> None:
        for it in self.asked:
            note, differs = "", [where or "body" for where in it.differs]
            if it.varying and differences(it.expected, it.actual):
                where = ", ".join(sorted(it.varying - {""})[:3])
                note = f"new each time: {where}" if where else "new each time, the same status and type"
            texts = [f"{where} of the body" if where.startswith("/") else where for where in differs[:1]]
            question = it.question
            self.parity.rows.append(
                Row(
                    str(question), str(it.expected), str(it.actual), "".join(texts), "" if texts else note,
                    question.operation, question.source,
                )
            )  # fmt: skip
        for name in self.questions.tools:
            answers = [it.expected for it in self.asked if it.question.operation == name]
            is_proved = any(answer.is_success for answer in answers)
            self.parity.operations[name] = SUCCESS if is_proved else ERROR if answers else NOTHING
        for it in self.asked:
            name = it.question.operation
            if it.reached and self.parity.operations.get(name) != SUCCESS and it.question.changes:
                places = ", ".join(dict.fromkeys(it.reached))
                note = f"{name} was not let out to {places}: in the proof, what may change something reaches nothing."
                self.parity.notes += [] if note in self.parity.notes else [note]

    def _find_hidden(self) -> None:
        """The modules that explain a failing answer: the notebook's side has imported what the export's did not find."""
        failing = [it for it in self.asked if it.missing and (it.differs or not it.actual.is_success)]
        modules = {*self._notebook.report("modules")} if failing else set()
        for it in failing:
            for module in modules.intersection(it.missing):
                self.parity.hidden.setdefault(module, it.question.operation or str(it.question))


def _pairs(expected: Answer, actual: Answer) -> Iterator[tuple[str, str]]:
    """The texts in one answer that the other has another text in the place of."""
    if expected.body == actual.body:
        return
    others = dict(leaves(actual.data))
    for pointer, value in leaves(expected.data):
        other = others.get(pointer)
        if not isinstance(value, str) or not isinstance(other, str) or value == other:
            continue
        if min(len(value), len(other)) >= SHORTEST:
            yield value, other


def _exchanged(question: Question, texts: Mapping[str, str]) -> Question:
    """The question with each of these texts replaced by the other: an id is another one in each process."""
    url, body = question.url, question.body
    for text, other in sorted(texts.items(), key=lambda it: -len(it[0])):
        url = url.replace(text, other)
        body = body.replace(text.encode(), other.encode())
    return replace(question, url=url, body=body)
