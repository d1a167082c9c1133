"""`Case`: what a user says, over one or several turns, and what should happen. Read from files, tables and Python.

- say: Add 'buy milk' to sam's list
  calls: {add_todo: {username: sam, text: {regex: milk}}}
- say: Hello, how are you?
  calls: none
- turns:
  - {say: What is on sam's list?, calls: list_todos, mentions: milk}
  - {say: Delete the second one, calls: {delete_todo: {number: 2}}}
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kit.errors import CaseError
from kit.markup import code, columns, escape, short, table
from kit.matching import plain, shown
from kit.words import did_you_mean

Cases = "str | Path | Iterable[Any] | Any"
_TURN = ("say", "calls", "mentions", "status")
_CASE = (*_TURN, "turns", "name", "also")


@dataclass(frozen=True)
class Expected:
    """A call that should be made. Arguments that are not named may have any value, or be left out."""

    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operation}({', '.join(f'{k}={shown(v)}' for k, v in self.arguments.items())})"


@dataclass(frozen=True)
class Turn:
    """One sentence, and what should follow.

    `calls` in any order (empty: no call; None: whatever), `mentions` in the answer, whatever their case. Calls must
    succeed, unless `status` is what one is answered.
    """

    say: str
    calls: tuple[Expected, ...] | None = None
    mentions: tuple[str, ...] = ()
    status: int | None = None

    def __str__(self) -> str:
        calls = "" if self.calls is None else " -> " + (", ".join(map(str, self.calls)) or "no call")
        return f"{self.say}{calls}"


@dataclass(frozen=True)
class Case:
    """A conversation of one or several turns. Operations in `also` may be called besides, such as to look something up."""

    turns: tuple[Turn, ...]
    name: str = ""
    also: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name or short(" / ".join(turn.say for turn in self.turns), 100)

    def __str__(self) -> str:
        return self.name or " / ".join(map(str, self.turns))

    def as_data(self) -> dict[str, Any]:
        """The case as it is written in a file."""
        turns = [_turn_data(turn) for turn in self.turns]
        data: dict[str, Any] = {"name": self.name} if self.name else {}
        data |= turns[0] if len(turns) == 1 else {"turns": turns}
        return {**data, "also": list(self.also)} if self.also else data


class CaseList(list[Case]):
    """Cases, shown as a table; `save` writes them to a YAML, JSON or CSV file."""

    def save(self, file: str | Path) -> Path:
        """Writes the cases, in the format of the file's ending."""
        path, data = Path(file), [case.as_data() for case in self]
        if path.suffix == ".csv":
            rows = [{key: _cell(value) for key, value in case.items()} for case in data]
            out = io.StringIO()
            writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
            text = out.getvalue()
        elif path.suffix == ".json":
            text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        else:
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
        path.write_text(text, encoding="utf-8")
        return path

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (turn.say, "anything" if turn.calls is None else ", ".join(map(str, turn.calls)) or "no call")
            for case in self
            for turn in case.turns
        ]

    def __repr__(self) -> str:
        return columns(self._rows()) if self else "no cases"

    def _repr_html_(self) -> str:
        return table(
            ("a user says", "and this is called"), [(escape(say), code(what)) for say, what in self._rows()]
        )


def read(source: Any) -> CaseList:
    """Cases from a YAML, JSON or CSV file, a DataFrame, or a list of mappings, `Case`s or (sentence, calls) pairs.

    Raises `CaseError`, which names the case and the place.
    """
    where = "cases"
    if isinstance(source, str | Path):
        where, source = Path(source).name, _file(Path(source))
    elif hasattr(source, "to_dict") and hasattr(source, "columns"):  # a DataFrame: no need to import pandas
        source = [_row(row) for row in source.to_dict("records")]
    if isinstance(source, Mapping) and "cases" in source:
        source = source["cases"]
    elif isinstance(source, Mapping) and not source.keys() & {*_CASE}:  # {sentence: calls}
        source = list(source.items())
    if isinstance(source, Mapping | str) or not isinstance(source, Iterable):
        raise CaseError(f"{where} holds {short(source, 60)}, not a list of cases.", _FORM)
    cases = CaseList(
        item if isinstance(item, Case) else _case(item, f"{where}, case {number}")
        for number, item in enumerate(source, 1)
    )
    if not cases:
        raise CaseError(f"{where} holds no case.", _FORM)
    return cases


_FORM = (
    "Write a list, each with what a user says and what should be called: `- {say: ..., calls: OPERATION}`."
)


def expected(value: Any, where: str = "calls") -> tuple[Expected, ...]:
    """The calls that are written as a name, {name: arguments}, a list of those, or none."""
    if value is None or value == "none" or (isinstance(value, list | tuple | dict) and not value):
        return ()
    if isinstance(value, Expected):
        return (value,)
    if isinstance(value, str):
        return (Expected(value),)
    if isinstance(value, Mapping):
        return tuple(
            Expected(str(name), _arguments(given, f"{where}, {name}")) for name, given in value.items()
        )
    if isinstance(value, list | tuple):
        return tuple(call for item in value for call in expected(item, where))
    raise CaseError(
        f"{where} is {short(value, 60)}.",
        "Write an operation's name, {name: arguments}, a list of them, or none.",
    )


def _arguments(given: Any, where: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise CaseError(f"The arguments of {where} are {short(given, 60)}.", "Write them as {name: value}.")
    return {str(name): plain(value) for name, value in given.items()}


def _case(item: Any, where: str) -> Case:
    if isinstance(item, tuple | list) and len(item) == 2:
        item = {"say": item[0], "calls": item[1]}
    if not isinstance(item, Mapping):
        raise CaseError(f"{where} is {short(item, 60)}, not a mapping.", _FORM)
    _known(item, _CASE, where)
    name = str(item.get("name") or "")
    where = f"{where} ({name})" if name else where
    if "turns" in item and item.keys() & {*_TURN}:
        raise CaseError(
            f"{where} has turns and, beside them, {_TURN}.", "Write either one turn or `turns`.", case=name
        )
    turns = item.get("turns", [item])
    if not isinstance(turns, list | tuple) or not turns:
        raise CaseError(
            f"{where}: turns is {short(turns, 60)}.", "Write a list of turns, each with `say`.", case=name
        )
    also = _texts(item.get("also"), f"{where}, also")
    read = tuple(
        turn
        for n, given in enumerate(turns, 1)
        for turn in _turns(given, where if given is item else f"{where}, turn {n}")
    )
    if all(turn.calls is None and not turn.mentions for turn in read):
        raise CaseError(
            f"{where} says nothing about what should happen: {short(read[0].say, 60)!r}.",
            "Add `calls: OPERATION`, `calls: none`, or `mentions: TEXT`.",
            case=name,
        )
    return Case(read, name, also)


def _turns(given: Any, where: str) -> Iterator[Turn]:
    """One turn or, where several sentences are said, one for each: what should happen follows the last."""
    if not isinstance(given, Mapping):
        raise CaseError(f"{where} is {short(given, 60)}, not a mapping.", "Write {say: ..., calls: ...}.")
    if "turns" not in given and "say" in given and "name" not in given and "also" not in given:
        _known(given, _TURN, where)
    said = given.get("say")
    sentences: list[Any] = list(said) if isinstance(said, list | tuple) else [said]
    if not sentences or not all(isinstance(text, str) and text.strip() for text in sentences):
        raise CaseError(f"{where}: say is {short(said, 60)}.", "Write what a user says, as text.")
    calls = expected(given["calls"], f"{where}: calls") if "calls" in given else None
    for text in sentences[:-1]:
        yield Turn(text)
    status = given.get("status")
    if status is not None and not str(status).isdigit():
        raise CaseError(f"{where}: status is {short(status, 60)}.", "Write a number, such as 404.")
    mentions = _texts(given.get("mentions"), f"{where}, mentions")
    yield Turn(sentences[-1], calls, mentions, None if status is None else int(status))


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str | int | float) else value
    if not isinstance(texts, list | tuple):
        raise CaseError(f"{where} is {short(value, 60)}.", "Write a text or a list of texts.")
    return tuple(map(str, texts))


def _known(item: Mapping[Any, Any], keys: tuple[str, ...], where: str) -> None:
    for key in item:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            raise CaseError(
                f"{where} has {str(key)!r}, which is no part of a case.",
                f"{hint}There are: {', '.join(keys)}.",
            )


def _file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CaseError(
            f"{path} cannot be read: {why}.", "Check the path: cases are a .yaml, .json or .csv file."
        ) from None
    try:
        if path.suffix == ".csv":
            return [_row(row) for row in csv.DictReader(io.StringIO(text))]
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        json.dumps(data, default=str)  # YAML can write a list that contains itself
        return data
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise CaseError(
            f"{path} is not {path.suffix[1:].upper() or 'YAML'}: {short(str(error), 200)}", _FORM
        ) from None


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a table: empty cells say nothing, and what is not a plain word is JSON or YAML."""
    found = {}
    for key, value in row.items():
        if value is None or value != value or value == "":
            continue
        is_written = isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and key != "say"
        found[str(key)] = yaml.safe_load(value) if is_written else value
    return found


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _turn_data(turn: Turn) -> dict[str, Any]:
    data: dict[str, Any] = {"say": turn.say}
    if turn.calls is not None:
        calls: Any = [
            {call.operation: dict(call.arguments)} if call.arguments else call.operation
            for call in turn.calls
        ]
        data["calls"] = (calls[0] if len(calls) == 1 else calls) or "none"
    if turn.mentions:
        data["mentions"] = list(turn.mentions)
    if turn.status is not None:
        data["status"] = turn.status
    return data
