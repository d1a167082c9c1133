"""`kit export`: notebooks of many kinds become projects that answer the same, by `kit serve` and by plain uvicorn."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from test_notebook import ADD, PLUGIN, write

import kit
from kit.notebook.source import Notebook
from kit.notebook.target import Target
from kit.project import export as exporting
from kit.project.source import app_source, formatted
from kit.project.update import RECORD

LIST = "#| export\n@todo.get('/todos')\ndef list_todos() -> list[str]:\n    return todos"
SHOP = (
    "#| export\nfrom __future__ import annotations\nimport os\nfrom contextlib import asynccontextmanager\n"
    "import helper, pack.inner\nfrom fastapi import APIRouter, Depends, Header, HTTPException, Query\n"
    "from pydantic import BaseModel, EmailStr, Field\nfrom typing import *\nimport kit as k",
    "#| export\nprint('printed by a cell')\nTOKEN = os.environ['SHOP_TOKEN']\nstarted = []\n@asynccontextmanager\n"
    "async def lifespan(app):\n    started.append(1)\n    yield\n",
    "#| export\nshop = k.Plugin('shop', description_for_model='Sells.', lifespan=lifespan)\n"
    "router = APIRouter(prefix='/items', tags=['items'])",
    "%matplotlib inline\n!ls",
    "#| export\nclass Item(BaseModel):\n    name: str = Field(min_length=2)\n    mail: EmailStr = 'a@example.com'\n\n"
    "from fastapi.security import HTTPBearer\ndef check(key=Depends(HTTPBearer(auto_error=False))) -> str:\n"
    "    if key is None or key.credentials != TOKEN:\n        raise HTTPException(401)\n    return key.credentials",
    "#| export\n@router.get('/{item_id}')\nasync def get_item(item_id: int, size: int = 3) -> Item:\n"
    "    return Item(name=helper.word() * (item_id + pack.inner.ONE))\n\n@router.get('/')\n"
    "def search(q: Annotated[str, Query(min_length=4)], tags: list[str] = Query(...)) -> list[Item]:\n"
    "    return [Item(name=q + tags[0])]",
    "#| export\n@shop.get('/private', dependencies=[Depends(check)])\ndef private() -> int:\n    return len(started)\n"
    "shop.include_router(router)",
    "#| export\nimport time, uuid\n@shop.get('/clock')\ndef clock() -> dict[str, str]:\n"
    "    return {'id': str(uuid.uuid4()), 'at': str(time.time())}",
)
DATABASE = (
    "#| export\nimport kit\nfrom sqlmodel import Field, SQLModel, select\n\nclass Todo(SQLModel, table=True):\n"
    "    id: int | None = Field(default=None, primary_key=True)\n    text: str",
    "#| export\ndb = kit.database('sqlite:///todo.db').create(Todo)\n"
    "plugin = kit.Plugin('todo', description_for_model='Keeps todos.')",
    "#| export\n@plugin.get('/todos')\ndef list_todos() -> list[Todo]:\n    with db.read() as session:\n"
    "        return session.exec(select(Todo)).all()\n\n@plugin.post('/todos')\ndef add_todo(text: str) -> Todo:\n"
    "    with db.write() as session:\n        todo = Todo(text=text)\n        session.add(todo)\n    return todo",
)
APP = (
    "#| export\nfrom fastapi import FastAPI\napp = FastAPI(title='An App', description='It counts.')",
    "#| export\n@app.get('/one')\ndef one() -> int:\n    return 1",
)
STREAM = (
    "#| export\nimport asyncio\nfrom fastapi.responses import StreamingResponse\n"
    "import kit\nticker = kit.Plugin('ticker', description_for_model='Ticks forever.')",
    "#| export\n@ticker.get('/ticks')\nasync def ticks():\n    async def forever():\n        while True:\n"
    "            yield 'data: tick\\n\\n'\n            await asyncio.sleep(0.1)\n"
    "    return StreamingResponse(forever(), media_type='text/event-stream')",
    "#| export\n@ticker.get('/model')\ndef model() -> str:\n    return kit.understudy.MODEL",
)


def lay(folder: Path) -> None:
    """Writes files beside a notebook."""
    (folder / "helper.py").write_text("import base\n\n\ndef word():\n    return base.WORD\n")
    (folder / "base.py").write_text("WORD = 'ab'\n")
    (folder / "unused.py").write_text("")
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text("")
    (folder / "pack" / "inner.py").write_text("from .other import ONE\n")
    (folder / "pack" / "other.py").write_text("ONE = 1\n")


@contextlib.contextmanager
def served(folder: Path, **settings: str) -> Iterator[Any]:
    """The exported folder served by plain uvicorn: gives a function that sends requests."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    (wheel,) = (folder / "wheels").iterdir()
    unpacked = folder.parent / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    environment = {**os.environ, "PYTHONPATH": str(unpacked), **settings}
    if "DATABASE_URL" not in settings:
        environment.pop("DATABASE_URL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:plugin", "--port", str(port)],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )

    def ask(method: str, path: str, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, headers={"Host": "localhost:8000", **headers})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        is_json = answer.headers.get_content_subtype() == "json"
        return answer.status, json.loads(body) if is_json and body else body

    assert process.stderr is not None
    log: list[str] = []
    for line in process.stderr:
        log.append(line)
        if "http://" in line:
            break
    else:
        pytest.fail("".join(log))
    try:
        yield ask
    finally:
        process.terminate()
        process.communicate()


def test_a_notebook_becomes_a_server(tmp_path: Path) -> None:
    made = kit.export(
        write(tmp_path / "my todo.ipynb", PLUGIN, ADD, LIST, "kit.serve(todo)"), tmp_path / "build" / "todo"
    )
    assert made.ok
    asked = ["manifest", "spec", "GET /todos", "POST /todos?text=a"]
    assert [row.what for row in made.parity.rows] == asked
    assert made.parity.operations == {"add_todo": "a success", "list_todos": "a success"}
    assert made.parity.skipped == []
    with served(made.path) as ask:
        assert ask("POST", "/todos?text=milk") == (200, ["milk"])
        assert ask("GET", "/todos") == (200, ["milk"])
        assert ask("GET", "/.well-known/openapi.json")[1] == json.loads(
            (made.path / "openapi.json").read_text()
        )
        assert ask("GET", "/.well-known/ai-plugin.json")[1] == json.loads(
            (made.path / "ai-plugin.json").read_text()
        )
        assert ask("POST", "/mcp")[0] == 404  # it was not asked for
    with kit.serve(Target(str(made.path / "app.py")).plugin()) as server:
        assert kit.install(server).tool_names == ["add_todo", "list_todos"]


def test_app_py_is_the_cells_with_imports_on_top(tmp_path: Path) -> None:
    path = write(
        tmp_path / "todo.ipynb",
        "#| export\n#| echo: false\nimport kit, json  # both\nfrom typing import (\n    Any,\n    Annotated,\n)\n\n"
        "todo = kit.Plugin(\"todo\", description_for_model=\"Keeps todos.\")",
        "1 + 1",
        "#| export\n# a note\nfrom __future__ import annotations\nfrom typing import Any\nimport kit\n\n\n"
        "@todo.get(\"/a\")\ndef a() -> list[Any]:\n    text = \"\"\"one\n\n   \nimport two\"\"\"\n    return [text, json.dumps(1)]",
        "#| export\nfrom datetime import time\nimport helper",
        "#| export\nimport os; os.environ.setdefault(\"A\", \"1\")\nimport math\n\n\n@todo.get(\"/b\")\ndef b() -> float:\n    return math.pi",
        "#| export\nimport time\ntry:\n    import tomllib\nexcept ImportError:\n    tomllib = None",
    )  # fmt: skip
    (tmp_path / "helper.py").write_text("")
    made = kit.export(path, tmp_path / "out")
    assert made.ok, made
    assert (made.path / "app.py").read_text() == (
        '"""The plugin of todo.ipynb, made by `kit export`: change it there and export again."""\n\n'
        "from __future__ import annotations\n\n"
        "import json\nfrom typing import (\n    Annotated,\n    Any,\n)\n\n"
        "import kit  # both\n\n"
        '# Cell 1\ntodo = kit.Plugin("todo", description_for_model="Keeps todos.")\n\n\n'
        "# Cell 3\n# a note\nfrom typing import Any\n\nimport kit\n\n\n"  # it stays in its cell
        '@todo.get("/a")\ndef a() -> list[Any]:\n    text = """one\n\n   \nimport two"""\n'
        "    return [text, json.dumps(1)]\n\n\n"
        "# Cell 4\nfrom datetime import time\nimport helper\n\n\n"
        '# Cell 5\nimport os\n\nos.environ.setdefault("A", "1")\nimport math\n\n\n'
        '@todo.get("/b")\ndef b() -> float:\n    return math.pi\n\n\n'
        "# Cell 6\nimport time\n\ntry:\n    import tomllib\nexcept ImportError:\n    tomllib = None\n\n\n"
        "# `kit serve app.py` serves this\nplugin = todo\n"
    )


def test_cells_that_only_import_are_one_block(tmp_path: Path) -> None:
    path = write(
        tmp_path / "todo.ipynb",
        "#| export\nimport os  # for the settings\nimport kit",
        "#| export\nfrom __future__ import annotations; import json\nimport helper\nimport kit",
        "#| export\n# The model\nfrom datetime import date\n\nclass Item:\n    day: date",
        "#| export\n# nothing yet",
    )
    assert formatted(app_source(Notebook(path), "plugin", True), {"helper"}) == (
        '"""The plugin of todo.ipynb, made by `kit export`: change it there and export again."""\n\n'
        "from __future__ import annotations\n\n"
        "import json\nimport os  # for the settings\nfrom datetime import date\n\nimport kit\n\nimport helper\n\n\n"
        "# Cell 3\n# The model\nclass Item:\n    day: date\n\n\n# Cell 4\n# nothing yet\n"
    )


def test_sorting_does_not_change_which_import_counts() -> None:
    text = "from pathlib import Path\nfrom fastapi import Path\n"
    swapped = "from fastapi import Path\nfrom pathlib import Path\n"
    assert formatted(text) == text.replace("\n", "\n\n", 1)
    assert formatted(swapped) == swapped


def test_imports_are_sorted_as_ruff_has_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "todo.ipynb",
        "#| export\nfrom typing import Any, TYPE_CHECKING, cast\nimport json as j, os.path\nimport kit",
        "#| export\nfrom fastapi import HTTPException as Problem, Depends, APIRouter, BackgroundTasks, Request, Response, Cookie\n"
        "from helper import word as w, word\nimport asyncio\nfrom collections import abc\nfrom fastapi import Body",
        "#| export\ntodo = kit.Plugin(\"todo\", description_for_model=\"Keeps todos.\")",
    )  # fmt: skip
    lay(tmp_path)
    made = kit.export(path, tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "I,E,F", "--ignore", "F401",
         "--config", "src=['.']", "app.py"],
        cwd=made.path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + (made.path / "app.py").read_text()


def test_it_is_formatted_where_ruff_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "#| export\nNAMES = {'a':1,\n 'b':2}; X=( 'it is', NAMES )\nclass A: pass\ndef f( x ): return 'x'*x  # twice\n"
    cell += "import os\nNAME, KEY = os.getenv('NAME', 'sam'), os.environ.get('KEY')"
    path = write(tmp_path / "todo.ipynb", PLUGIN, cell)
    made = kit.export(path, tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--check", "."],
        cwd=made.path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "# twice" in (made.path / "app.py").read_text()
    assert "# KEY=\n\n# Cell 2 reads it.\n# NAME=sam\n" in (made.path / ".env.example").read_text()
    assert not made.notes
    monkeypatch.setitem(sys.modules, "ruff", None)
    plain = kit.export(path, tmp_path / "plain")
    assert "X=( 'it is', NAMES )" in (plain.path / "app.py").read_text()
    assert "ruff" in plain.notes[0]


def test_routers_models_tokens_lifespan_and_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "a-token-of-the-shop")
    lay(tmp_path)
    made = kit.export(write(tmp_path / "shop.ipynb", *SHOP), tmp_path / "out")
    assert made.ok, made
    clock = next(row for row in made.parity.rows if "clock" in row.what)
    assert clock.note.startswith("new each time")
    assert {"helper.py", "base.py", "pack/__init__.py", "pack/inner.py", "pack/other.py"} <= set(made.files)
    assert "unused.py" not in made.files
    assert "# Cell 2 reads it.\nSHOP_TOKEN=\n" in (made.path / ".env.example").read_text()
    assert next(row for row in made.parity.rows if "private" in row.what).export.startswith("401")
    assert "with a token" in repr(made)
    known = kit.export(tmp_path / "shop.ipynb", tmp_path / "out", token="a-token-of-the-shop")
    assert known.ok, known
    assert next(row for row in known.parity.rows if "private" in row.what).export == "200, 1 bytes"
    assert not [it for it in made.path.rglob("*") if it.is_file() and b"a-token-of" in it.read_bytes()]
    with served(made.path, SHOP_TOKEN="another-token") as ask:
        assert ask("GET", "/items/1") == (200, {"name": "abab", "mail": "a@example.com"})
        assert ask("GET", "/private")[0] == 401
        assert ask("GET", "/private", Authorization="Bearer another-token") == (200, 1)


def test_a_database_of_its_own_and_of_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path / "todo.ipynb", *DATABASE)
    (tmp_path / "todo.db").write_text("not a database: the proof must not open it")
    made = kit.export(path, tmp_path / "out")
    assert made.ok, made
    assert made.notes == ["Cell 2, line 2 names todo.db: its data stays here, the server starts with none."]
    needed = (made.path / "requirements.txt").read_text()
    assert re.search(r"^sqlmodel==\S+$", needed, re.MULTILINE)
    assert re.search(r"^psycopg\[binary\]", needed, re.MULTILINE)
    assert "DATABASE_URL" in (made.path / ".env.example").read_text()
    with served(made.path, DATABASE_URL=f"sqlite:///{tmp_path}/other.db") as ask:
        assert ask("POST", "/todos?text=milk") == (200, {"id": 1, "text": "milk"})
        assert ask("GET", "/todos") == (200, [{"id": 1, "text": "milk"}])
    assert (tmp_path / "other.db").exists()
    assert "not a database" in (tmp_path / "todo.db").read_text()


def test_an_app_that_is_not_a_plugin_is_wrapped(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "app.ipynb", *APP), tmp_path / "out")
    assert made.ok, made
    with served(made.path) as ask:
        assert ask("GET", "/one") == (200, 1)
        assert ask("GET", "/.well-known/ai-plugin.json")[1]["name_for_human"] == "An App"


def test_a_stream_without_end_and_the_whole_kit(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "ticker.ipynb", *STREAM), tmp_path / "out")
    assert made.ok, made
    assert next(row for row in made.parity.rows if row.operation == "ticks").export.endswith("so far")
    (wheel,) = (made.path / "wheels").iterdir()
    assert "serving" not in wheel.name


def test_mcp_on_request(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, LIST), tmp_path / "out", mcp=True)
    assert made.ok
    assert re.search(
        r"^\./wheels/\S+\.whl\[mcp\]$", (made.path / "requirements.txt").read_text(), re.MULTILINE
    )
    assert (made.path / "app.py").read_text().endswith("\nadd_mcp(plugin)\n")
    with served(made.path) as ask:
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        status, _ = ask("POST", "/mcp", **headers)
        assert status == 400  # it is there, and rejects an empty message


def test_one_of_several_plugins(tmp_path: Path) -> None:
    other = PLUGIN.replace("todo", "other").replace("import kit\n", "")
    path = write(tmp_path / "two.ipynb", PLUGIN, other)
    manifest = kit.export(path, tmp_path / "a", name="other").path / "ai-plugin.json"
    assert json.loads(manifest.read_text())["name_for_model"] == "other"
    with pytest.raises(kit.NotebookError, match=r"two\.ipynb has 2 plugins: todo in cell 1, other in cell 2"):
        kit.export(path, tmp_path / "b")


def test_the_same_notebook_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST)
    first, second = kit.export(path, tmp_path / "a").path, kit.export(path, tmp_path / "b").path
    files = sorted(it.relative_to(first) for it in first.rglob("*") if it.is_file())
    assert files == sorted(it.relative_to(second) for it in second.rglob("*") if it.is_file())
    assert [it for it in files if (first / it).read_bytes() != (second / it).read_bytes()] == []


def test_nothing_of_this_machine_is_in_it(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST), tmp_path / "out")
    texts = {it: it.read_bytes() for it in made.path.rglob("*") if it.is_file() and it.suffix != ".whl"}
    (wheel,) = (made.path / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        texts |= {Path(name): archive.read(name) for name in archive.namelist()}
        assert not any("chat" in name or "understudy" in name for name in archive.namelist())
    places = [str(tmp_path), str(ROOT), sys.prefix, str(Path.home()) + "/"]
    for file, content in texts.items():
        assert not [place for place in places if place.encode() in content], file
        assert not re.search(rb"\{\{[A-Z]+\}\}", content), file


def test_again_updates_and_keeps_what_its_user_changed(tmp_path: Path) -> None:
    path, out = write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST), tmp_path / "out"
    first = kit.export(path, out)
    assert set(first.files.values()) == {"written"}
    assert [note.partition(".")[0] for note in first.notes] == ["In memory: todos, a list"]
    assert set(kit.export(path, out).files.values()) == {"unchanged"}

    (out / "app.py").write_text((out / "app.py").read_text().replace("return todos", "return list(todos)"))
    (out / "README.md").unlink()
    (out / "mine.txt").write_text("mine")
    again = kit.export(path, out)
    assert again.ok
    assert (again.files["app.py"], again.files["README.md"]) == (
        "kept with your changes",
        "written again: it was missing",
    )
    assert "list(todos)" in (out / "app.py").read_text()
    assert not (out / "app.py.new").exists()

    more = "#| export\n@todo.get('/more')\ndef more() -> int:\n    return 1"
    changed = kit.export(write(path, PLUGIN, ADD, LIST, more), out)
    assert not changed.ok  # the changed app.py does not have the new operation
    assert [row.what for row in changed.parity.differences] == ["spec", "GET /more"]
    assert "app.py.new" in repr(changed)
    assert "def more" in (out / "app.py.new").read_text()
    assert "list(todos)" in (out / "app.py").read_text()
    assert changed.files["openapi.json"] == "updated"

    assert kit.export(path, out, force=True).files["app.py"] == "your changes were overwritten"
    assert "list(todos)" not in (out / "app.py").read_text()
    assert not (out / "app.py.new").exists()
    assert (out / "mine.txt").read_text() == "mine"


def test_what_is_no_longer_needed_is_removed(tmp_path: Path) -> None:
    lay(tmp_path)
    path, out = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport base, pack.inner"), tmp_path / "out"
    kit.export(path, out)
    (out / "base.py").write_text("WORD = 'mine'\n")
    made = kit.export(write(path, PLUGIN), out)
    assert made.files["pack/inner.py"] == "removed: no longer needed"
    assert not (out / "pack" / "inner.py").exists()
    assert (out / "base.py").exists()
    assert "base.py: kept with your changes, though no longer needed." in made.notes


def test_a_requirement_left_out_is_noticed(tmp_path: Path) -> None:
    path, out = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport sqlmodel"), tmp_path / "out"
    pytest.importorskip("sqlmodel")
    kit.export(path, out)
    needed = out / "requirements.txt"
    text = "".join(line for line in needed.read_text().splitlines(True) if not line.startswith("sqlmodel"))
    needed.write_text(text)
    before = {it: it.read_bytes() for it in out.rglob("*") if it.is_file()}
    with pytest.raises(
        kit.KitError, match=r"requirements alone: .*\bsqlmodel\b.*\nYou changed requirements\.txt"
    ):
        kit.export(path, out)
    assert {it: it.read_bytes() for it in out.rglob("*") if it.is_file()} == before


@pytest.mark.parametrize("content", ["a file", ".", "{}"])
def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path, out = write(tmp_path / "todo.ipynb", PLUGIN), tmp_path / "out"
    if content == "a file":
        out.write_text(content)
    else:
        out.mkdir()
        (out / ("mine.txt" if content == "." else RECORD)).write_text(content)
    with pytest.raises(kit.KitError, match=r"is a file|no export wrote: mine\.txt|cannot be read"):
        kit.export(path, out, force=True)
    assert len(list(out.iterdir()) if out.is_dir() else [1]) == 1


def test_an_empty_clone_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "out" / ".git").mkdir(parents=True)
    assert kit.export(write(tmp_path / "todo.ipynb", PLUGIN), tmp_path / "out").ok


def test_its_own_tests_pass_and_notice_a_mistake(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST), tmp_path / "out")

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        return subprocess.run(command, cwd=made.path, env=clean, capture_output=True, text=True)

    done = run()
    assert "4 passed" in done.stdout, done.stdout
    app = made.path / "app.py"
    app.write_text(app.read_text().replace("return todos", "return 1 / 0"))
    done = run()
    assert "2 failed, 2 passed" in done.stdout, done.stdout


def test_it_shows_itself(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST), tmp_path / "out")
    for name in ("app.py", "requirements.txt"):
        assert f"<code>{name}</code>" in made._repr_html_()
        assert name in repr(made)
    assert "4 answers, all the same; 2 of 2 operations proved by a success." in repr(made)
    assert "<style" not in made._repr_html_()
    assert "<script" not in made._repr_html_()
    described = {it for it in exporting.FILES if (made.path / it).exists()}
    folders = {it.partition("/")[0] if it.startswith(("wheels", ".github")) else it for it in made.files}
    assert folders - described <= {".gitignore", ".dockerignore"}


def test_the_command(tmp_path: Path) -> None:
    path = write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST)
    command = [sys.executable, "-m", "kit", "export", f"{path}:todo", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "all the same" in done.stdout
    app = tmp_path / "out" / "app.py"
    app.write_text(app.read_text() + "\n\n@todo.get('/more')\ndef more() -> int:\n    return 1\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "app.py: kept with your changes." in done.stdout
    assert "differs: /paths/~1more is new" in done.stdout


def test_in_an_empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what pip installs from requirements.txt and nothing else. Skipped without a package index."""
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, ADD, LIST), tmp_path / "out")
    monkeypatch.delenv("PYTHONPATH", raising=False)  # only what is installed
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    # the README's environments have no pip of their own; the Python that made them has
    maker = (
        sys.executable if importlib.util.find_spec("pip") else str(Path(sys.base_prefix, "bin", "python3"))
    )
    pip = [maker, "-m", "pip", "--python", str(python), "install", "-q", "--disable-pip-version-check"]
    probe = subprocess.run([*pip, "--dry-run", "typing-extensions"], capture_output=True)
    if probe.returncode:
        pytest.skip("no package index can be reached from here")
    done = subprocess.run([*pip, "-r", "requirements.txt"], cwd=made.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [str(python), "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"],
        capture_output=True, text=True,
    ).stdout.lower().split()  # fmt: skip
    assert {"openai", "typer", "httpx2", "jsonschema"}.isdisjoint(listed)
    # the script in its README, and the module in its Dockerfile
    for command in ([str(python.with_name("kit"))], [str(python), "-m", "kit"]):
        two_processes_serve(command, made.path)
    bare = [str(python), "-m", "uvicorn", "app:plugin", "--port", "0"]
    with subprocess.Popen(bare, cwd=made.path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("http://127.0.0.1:" in line for line in process.stderr)
        process.terminate()


def two_processes_serve(command: list[str], folder: Path) -> None:
    serving = [*command, "serve", "app.py", "--workers", "2"]
    with subprocess.Popen(serving, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = re.fullmatch(r"2 workers serve app\.py at (http://127\.0\.0\.1:(\d+))\n", line)
            assert url, line
            installed = kit.install(url[1])
            assert installed.problems == []
            assert installed.call("add_todo", text="milk").data == ["milk"]
            for page in ("/", "/legal", "/logo.svg", "/.well-known/openapi.yaml", "/docs"):
                connection = http.client.HTTPConnection("127.0.0.1", int(url[2]), timeout=20)
                connection.request("GET", page)
                assert connection.getresponse().status == 200, page
                connection.close()
        finally:
            process.terminate()
        assert process.wait(30) == 0
