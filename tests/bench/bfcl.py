"""How often the understudy is right on the Berkeley Function Calling Leaderboard, which it was not learned from.

    pip download --no-deps bfcl-eval && python tests/bench/bfcl.py bfcl_eval-*.whl

Prints a table: the share of right operations, that of calls with all arguments right as the set's own answers say,
and, where no function fits, the share rightly without a call. Nothing is judged here.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import datetime
from typing import Any
from zipfile import ZipFile

from kit.understudy.dialogue import respond
from kit.understudy.memory import Entry
from kit.understudy.slots import read_tools

SETS = ("multiple", "live_multiple", "simple_python", "live_simple", "irrelevance", "live_irrelevance")
NOW = datetime(2026, 1, 1, 10)
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string", "list": "array"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", help="the package bfcl-eval, as pip downloads it")
    parser.add_argument("sets", nargs="*", default=SETS)
    options = parser.parse_args()
    print("| set | sentences | right operation | and all arguments | rightly no call | ms each |")
    print("|---|---|---|---|---|---|")
    with ZipFile(options.wheel) as wheel:
        for name in options.sets:
            print(measured(wheel, name))
            sys.stdout.flush()


def measured(wheel: ZipFile, name: str) -> str:
    """One row of the table."""
    questions = _lines(wheel, f"bfcl_eval/data/BFCL_v4_{name}.json")
    answers = {} if "irrelevance" in name else {
        answer["id"]: answer["ground_truth"]
        for answer in _lines(wheel, f"bfcl_eval/data/possible_answer/BFCL_v4_{name}.json")
    }  # fmt: skip
    operation = whole = silent = 0
    start = time.perf_counter()
    for question in questions:
        tools = read_tools([_tool(function) for function in question["function"]])
        text = "\n".join(
            message["content"] for message in question["question"][0] if message["role"] == "user"
        )
        calls = respond([Entry("user", text)], tools, now=NOW).calls
        silent += not calls
        if answers and calls:
            ((right, allowed),) = answers[question["id"]][0].items()
            operation += calls[0].name == right
            whole += len(calls) == 1 and calls[0].name == right and _fits(calls[0].arguments, allowed)
    each = 1000 * (time.perf_counter() - start) / len(questions)
    shares = [f"{100 * n / len(questions):.1f} %" for n in (operation, whole, silent)]
    shown = [*shares[:2], ""] if answers else ["", "", shares[2]]
    return f"| {name} | {len(questions)} | {' | '.join(shown)} | {each:.0f} |"


def _lines(wheel: ZipFile, path: str) -> list[Any]:
    return [json.loads(line) for line in wheel.read(path).decode().splitlines() if line.strip()]


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {**function, "parameters": _schema(function["parameters"])}}


def _schema(schema: Any) -> Any:
    """The set's names of types as JSON Schema's."""
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _TYPES.get(value, value) if key == "type" and isinstance(value, str) else _schema(value)
        for key, value in schema.items()
    }


def _fits(given: Any, allowed: dict[str, list[Any]]) -> bool:
    """Whether each argument is one of those allowed; one that may be empty may be left out."""
    if given.keys() - allowed.keys():
        return False
    return all(
        any(_same(given[name], value) for value in values) if name in given else "" in values
        for name, values in allowed.items()
    )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return _fits(a, {key: value if isinstance(value, list) else [value] for key, value in b.items()})
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) < 1e-9 * max(1, abs(a))
    return isinstance(a, str) and isinstance(b, str) and _plain(a) == _plain(b)


def _plain(text: str) -> str:
    """As the leaderboard compares texts: without case, spaces and these marks."""
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


if __name__ == "__main__":
    main()
