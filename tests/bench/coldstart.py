"""Cold starts on Lambda: the export against a bare handler and against FastAPI with Mangum, side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lambdas import Function, build, runtime_site
from measures import Row

import kit

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_operations.ipynb"
ROUNDS = 7
HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n"
FASTAPI = """
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()
todos: dict[str, list[str]] = {}


class NewTodo(BaseModel):
    text: str


@app.post("/users/{username}/todos")
def add_todo(username: str, new: NewTodo) -> list[str]:
    todos.setdefault(username, []).append(new.text)
    return todos[username]


@app.get("/users/{username}/todos")
def list_todos(username: str) -> list[str]:
    return todos.get(username, [])


@app.delete("/users/{username}/todos/{number}")
def delete_todo(username: str, number: int) -> str:
    return todos[username].pop(number - 1)


handler = Mangum(app)
"""
CELLS = [
    """#| export
import kit
from pydantic import BaseModel

todo = kit.Plugin("todo", description_for_model="Keeps the TODO list of each user.")
todos: dict[str, list[str]] = {}


class NewTodo(BaseModel):
    text: str


@todo.post("/users/{username}/todos")
def add_todo(username: str, new: NewTodo) -> list[str]:
    todos.setdefault(username, []).append(new.text)
    return todos[username]


@todo.get("/users/{username}/todos")
def list_todos(username: str) -> list[str]:
    return todos.get(username, [])


@todo.delete("/users/{username}/todos/{number}")
def delete_todo(username: str, number: int) -> str:
    return todos[username].pop(number - 1)
"""
]


def coldstart() -> list[Row]:
    """Milliseconds from the start of the runtime to the first answer, the fastest of seven."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        notebook = home / "todo.ipynb"
        cells = [{"cell_type": "code", "source": cell} for cell in CELLS]
        notebook.write_text(json.dumps({"cells": cells}))
        kit.export(notebook, home / "memory")
        kit.export(NOTEBOOK, home / "database")
        memory = build(home / "memory", home / "memory-built")
        database = build(home / "database", home / "database-built")
        for name, text in (("bare.py", HANDLER), ("plain.py", FASTAPI)):
            (memory / name).write_text(text)
        compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        subprocess.run([*compiled, memory / "bare.py", memory / "plain.py"], check=True)
        site = runtime_site(home / "site")
        sqlite = {"DATABASE_URL": f"sqlite:///{home / 'data.db'}"}
        todos, manifest = "/users/sam/todos", "/.well-known/ai-plugin.json"
        cases: list[tuple[str, Callable[[], Function], str]] = [
            ("bare handler", lambda: Function(memory, "bare.handler", {}, site), todos),
            ("FastAPI and Mangum", lambda: Function(memory, "plain.handler", {}, site), todos),
            ("manifest", lambda: Function(memory, "lambda_handler.handler", {}, site), manifest),
            ("operation", lambda: Function(memory, "lambda_handler.handler", {}, site), todos),
            ("database", lambda: Function(database, "lambda_handler.handler", sqlite, site), todos),
        ]
        times: dict[str, list[float]] = {name: [] for name, _, _ in cases}
        for _ in range(ROUNDS):  # in turn: other load on the machine affects all of them alike
            for name, start, path in cases:
                began = time.perf_counter()
                with start() as function:
                    status, _ = function.ask("GET", path)
                    times[name].append((time.perf_counter() - began) * 1000)
                    assert status == 200, name
        fastest = {name: f"{min(ms):.0f}" for name, ms in times.items()}

        def row(what: str, name: str, peer: str, aim: str) -> Row:
            ratio = f"{min(times[name]) / min(times[peer]):.2f}"
            return (f"Lambda, {what}: ms", fastest[name], f"{fastest[peer]} ({peer})", ratio, aim)

        return [
            row("first manifest", "manifest", "bare handler", "80 ms"),
            row("first operation", "operation", "FastAPI and Mangum", "1.3 or less"),
            row("first operation, with SQLModel", "database", "FastAPI and Mangum", ""),
        ]
