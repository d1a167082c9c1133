"""What code says itself is read without running it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from kit.project.reader import HOLE, UNKNOWN, Reader


def value(folder: Path, code: str) -> Any:
    reader = Reader(folder)
    reader.read(ast.parse(code).body)
    return reader.names.get("x", UNKNOWN)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a = 2\nx = [a, {'b': -a}]", [2, {"b": -2}]),
        ("a, b = 'milk', 3\nx = f'{a} {b:02d} {a!r}'", "milk 03 'milk'"),
        ("x = f'{server.url}/todos'", f"{HOLE}/todos"),
        ("x = server.url + '/todos'", f"{HOLE}/todos"),
        ("x = []\nfor n in range(3):\n    x = [*x, n]", [0, 1, 2]),
        ("x = {k: v.upper() for k, v in {'a': 'b'}.items()}", {"a": "B"}),
        ("from datetime import date\nx = date(2026, 1, 2).isoformat()", "2026-01-02"),
        ("import json\nx = json.dumps({'a': 1})", '{"a": 1}'),
        ("x = NewTodo(text='milk').model_dump()", {"text": "milk"}),
        ("x = open('a.txt').read()", "in a file"),
        ("from pathlib import Path\nx = Path('a.txt').read_bytes()", b"in a file"),
        ("x = open('missing').read()", UNKNOWN),
        ("x = client.list()", UNKNOWN),
        ("x = os.system('touch made')", UNKNOWN),
        ("x = 1 / 0", UNKNOWN),
        ("d = {}\nd['a'] = 1\nx = d", {"a": 1}),
        ("if 1 > 2:\n    x = 1\nelse:\n    x = 2", 2),
        ("def f(a):\n    x = 1", UNKNOWN),
        ("try:\n    x = 'a b'.split()\nexcept ValueError:\n    x = 2", ["a", "b"]),
    ],
)
def test_values(tmp_path: Path, code: str, expected: Any) -> None:
    (tmp_path / "a.txt").write_text("in a file")
    assert value(tmp_path, code) == expected
    assert [it.name for it in tmp_path.iterdir()] == ["a.txt"]
