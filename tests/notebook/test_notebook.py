"""A notebook is the source of a plugin: `#| export` cells loaded, served and reloaded; every error names its cell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from kernel import Kernel

import kit

PLUGIN = (
    "#| export\nimport kit\n\ntodo = kit.Plugin('todo', description_for_model='Keeps todos.')\ntodos = []"
)
ADD = "#| export\n@todo.post('/todos')\ndef add_todo(text: str) -> list[str]:\n    todos.append(text)\n    return todos"


def write(path: Path, *sources: str, markdown: tuple[int, ...] = ()) -> Path:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source.splitlines(keepends=True),
         "outputs": [], "execution_count": None}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def nb(tmp_path: Path) -> Callable[..., Path]:
    return lambda *sources: write(tmp_path / "my plugin.ipynb", *sources)


def test_only_the_marked_cells_run(nb: Callable[..., Path]) -> None:
    plugin = kit.load(nb("1 / 0", PLUGIN, "raise SystemExit", ADD, "%load_ext nothing", "add_todo('x')"))
    assert list(plugin.spec.operations) == ["add_todo"]
    assert kit.install(plugin).call("add_todo", text="buy milk").data == ["buy milk"]


@pytest.mark.parametrize(
    "marker", ["#| export", "#|export", "# | export", "#| exports", "#| export app", "\n# intro\n#| export"]
)
def test_the_markers_of_nbdev(nb: Callable[..., Path], marker: str) -> None:
    assert kit.load(nb(PLUGIN.replace("#| export", marker))).manifest.name_for_model == "todo"


def test_a_marker_later_in_a_cell_does_not_count(nb: Callable[..., Path]) -> None:
    with pytest.raises(kit.NotebookError, match=r"No cell of .* is marked"):
        kit.load(nb(PLUGIN.replace("#| export\n", "") + "\n#| export"))


def test_models_futures_and_modules_beside_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("GREETING = 'hello'\n")
    path = write(
        tmp_path / "shop.ipynb",
        "#| export\nfrom __future__ import annotations\nfrom beside_it import GREETING",
        "#| export\nfrom pydantic import BaseModel\nclass Item(BaseModel):\n    name: str\n    parts: list[Item] = []",
        PLUGIN,
        "#| export\n@todo.post('/items')\ndef add(item: Item) -> Item:\n    item.name += GREETING\n    return item",
    )
    plugin = kit.load(path)
    assert kit.install(plugin).call("add", name="x", parts=[{"name": "y"}]).data["name"] == "xhello"
    again = kit.load(path)
    assert again is not plugin
    assert kit.install(plugin).call("add", name="x").ok
    assert kit.install(again).call("add", name="x").ok


def test_tracebacks_show_the_cells_own_lines(nb: Callable[..., Path]) -> None:
    bad = "#| export\n@todo.get('/bad')\ndef bad() -> int:\n    return 1 / 0"
    plugin = kit.load(nb(PLUGIN, bad))
    import inspect
    import linecache

    function = next(route.endpoint for route in plugin.routes if getattr(route, "name", "") == "bad")
    assert inspect.getsource(function).startswith("@todo.get('/bad')")
    assert "my plugin.ipynb, cell 2" in function.__code__.co_filename
    assert linecache.getline(function.__code__.co_filename, 4).strip() == "return 1 / 0"


USES = "#| export\n@todo.get('/n')\ndef number() -> int:\n    return helper()"
MISTAKES: dict[str, tuple[tuple[str, ...], str, int | None]] = {
    "a line magic": ((PLUGIN, "#| export\nx = 1\n%matplotlib inline"), "Cell 2 .*uses a magic.*%matplotlib inline", 2),
    "a shell line": ((PLUGIN, "#| export\n!pip install x"), "Cell 2 .*magic.*!pip install x", 2),
    "a shell line assigned": ((PLUGIN, "#| export\nfiles = !ls"), "Cell 2 .*magic.*files = !ls", 2),
    "a question": ((PLUGIN, "#| export\nkit.serve?"), r"Cell 2 .*magic.*kit\.serve\?", 2),
    "a cell magic": ((PLUGIN, "#| export\n%%time\nx = 1"), "Cell 2 .*magic.*%%time", 2),
    "a cell magic first": ((PLUGIN, "%%time\n#| export\nx = 1"), "Cell 2 .*magic.*%%time", 2),
    "a syntax error": ((PLUGIN, "#| export\ndef broken(:\n    pass"), r"Cell 2 .*not Python.*line 2: def broken\(:", 2),
    "await on top": ((PLUGIN, "#| export\nawait something()"), "Cell 2 .*not Python.*Put it in a function", 2),
    "a name of an unmarked cell": (
        ("import kit", PLUGIN, "def helper():\n    return 1", USES),
        r"Cell 4 .*needs 'helper', which cell 3 \('def helper\(\):'\) defines and which is not marked.*at the top of cell 3",
        4,
    ),
    "a name of an unmarked cell with a magic": (
        (PLUGIN, "%time\nhelper = 3", USES), "Cell 3 .*needs 'helper', which cell 2", 3),
    "a model of an unmarked cell": (
        (PLUGIN, "class Item: ...", "#| export\n@todo.get('/i')\ndef i(item: Item) -> int: return 1"),
        "Cell 3 .*needs 'Item', which cell 2", 3),
    "a name of nowhere": ((PLUGIN, USES), "Cell 2 .*needs 'helper', which no cell defines", 2),
    "a name of Jupyter": ((PLUGIN, "#| export\ndisplay(todo)"), "Cell 2 .*needs 'display', which only Jupyter defines", 2),
    "cells out of order": ((ADD, PLUGIN), "Cell 1 .*uses 'todo', which cell 2 .*defines later.*Move that cell up", 1),
    "a cell that raises": (
        (PLUGIN, "#| export\nx = 1\ny = int('seven')"), r"Cell 2 .*raised ValueError: .*line 3: y = int\('seven'\)", 2),
    "a package that is not there": (("#| export\nimport no_such_thing",), "Cell 1 .*Install the package that provides 'no_such_thing'", 1),
    "a bad manifest": (("#| export\nimport kit\nx = kit.Plugin('a b')",), "Cell 1 .*does not work.*name_for_model", 1),
    "two functions of one name": (
        (PLUGIN, ADD, ADD.replace("/todos", "/more")), r"Cell 3 .*does not work.*add_todo.*cell 2 of my plugin\.ipynb", 3),
    "no plugin": (("#| export\nx = 1",), "define no plugin", None),
    "two plugins": (
        (PLUGIN, PLUGIN.replace("todo =", "other =").replace("'todo'", "'other'")),
        "has 2 plugins: todo in cell 1, other in cell 2.*Choose one: name='todo'", None),
    "nothing marked": (("x = 1",), "Write `#| export` as the first line", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_name_their_cell(nb: Callable[..., Path], kind: str) -> None:
    sources, words, cell = MISTAKES[kind]
    path = nb(*sources)
    before = set(sys.modules)
    with pytest.raises(kit.NotebookError) as caught:
        kit.load(path)
    assert re.search(words, str(caught.value), re.DOTALL), str(caught.value)
    assert caught.value.cell == cell
    assert caught.value.notebook == str(path)
    if kind not in ("no plugin", "two plugins"):
        assert not any(name.startswith("notebook_") for name in set(sys.modules) - before)


def test_names_defined_dynamically_are_not_an_error(nb: Callable[..., Path]) -> None:
    star = "#| export\nfrom math import *\n@todo.get('/s')\ndef s() -> float:\n    return floor(pi)"
    scopes = (
        "#| export\nclass A:\n    class B: ...\n    def f(self) -> B: return [x for x in self.g(__file__)]\n"
        "    def g(self, y): return (lambda z: (z, y, __class__, __name__))(1)\n"
        "try:\n    import json\nexcept ImportError as error:\n    print(error)\n"
        "def setter():\n    global made\n    made = 1\ndef getter(): return made\nfor i, (j, *k) in []: ...\n"
        "with open(__file__) as handle: w = (walrus := handle.name)\nprint(i if False else w, walrus)"
    )
    assert kit.load(nb(PLUGIN, star))
    assert kit.load(nb(PLUGIN, scopes))
    generic = "#| export\nfrom __future__ import annotations\ndef first[T](xs: list[T]) -> T: return xs[0]"
    if sys.version_info >= (3, 12):
        assert kit.load(nb(PLUGIN, generic))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not json", "is not a notebook: it is not valid JSON: it goes wrong at line 1, column 1"),
        ("[]", "it has no cells"),
        ('{"worksheets": []}', "format 3"),
        ('{"cells": [1, {"cell_type": "code"}], "nbformat": 4}', "No cell of"),
    ],
)
def test_files_that_are_not_notebooks(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text(content)
    with pytest.raises(kit.NotebookError, match=words):
        kit.load(path)
    with pytest.raises(kit.NotebookError, match=r"cannot be read: .*\nBeside it: x\.ipynb"):
        kit.load(tmp_path / "y.ipynb")


def test_choosing_among_plugins_and_wrapping_an_app(nb: Callable[..., Path]) -> None:
    other = PLUGIN.replace("todo =", "other =").replace("'todo'", "'other'")
    assert kit.load(nb(PLUGIN, other), "other").manifest.name_for_model == "other"
    with pytest.raises(kit.NotebookError, match=r"no plugin 'third'.\nThere are: todo, other"):
        kit.load(nb(PLUGIN, other), "third")
    app = "#| export\nfrom fastapi import FastAPI\napp = FastAPI(title='Plain')\n@app.get('/x')\ndef x() -> int:\n    return 1"
    assert kit.install(kit.load(nb(app))).call("x").data == 1


def test_outside_a_notebook_the_path_is_required() -> None:
    with pytest.raises(kit.NotebookError, match="This is not a notebook"):
        kit.load()


def run(kernel: Kernel, code: str) -> Any:
    done = kernel.run(code, code.partition("=")[0])
    assert done.error == "", done.error
    return done.text


def test_inside_a_kernel(kernel: Kernel, tmp_path: Path) -> None:
    path = write(tmp_path / "here.ipynb", PLUGIN, ADD)
    run(kernel, "import kit, os, httpx2")
    assert "Pass its name, as in kit.load('plugin.ipynb')" in kernel.run("kit.load()").error
    run(kernel, f"os.environ['JPY_SESSION_NAME'] = {str(path)!r}")
    output = run(kernel, "todo = kit.load()\nserver = kit.serve(todo)\nprint(kit.install(server).tool_names)")
    assert "unsaved changes" in output
    assert "['add_todo']" in output
    # loading again, in another cell, updates the operations of the running server
    run(kernel, "port = server.port")
    write(
        path, PLUGIN, ADD, "#| export\n@todo.get('/todos')\ndef list_todos() -> list[str]:\n    return todos"
    )
    output = run(kernel, "todo = kit.load()\nprint(kit.install(server).tool_names, server.port == port)")
    assert "['add_todo', 'list_todos'] True" in output
    assert kernel.run("get_ipython().user_ns['__vsc_ipynb_file__'] = 'gone.ipynb'\nkit.load()").error.count(
        "pass its new name"
    )
    # operations can be added to a loaded plugin, and a clash names the notebook's cell
    clash = "@todo.post('/x')\ndef add_todo() -> int:\n    return 1"
    assert "cell 2 of here.ipynb" in kernel.run(clash).error
    run(
        kernel,
        "@todo.get('/more')\ndef more() -> int:\n    return 1\nassert httpx2.get(server.url + '/more').json() == 1",
    )


def lines_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    output = ""
    watch = threading.Timer(60, process.kill)  # a missing line is a failure, not an endless wait
    watch.start()
    try:
        for line in process.stdout:
            output += line
            if words in line:
                return output
    finally:
        watch.cancel()
    raise AssertionError(output)


def test_serve_and_reload(tmp_path: Path) -> None:
    path = write(tmp_path / "plugin.ipynb", PLUGIN, ADD)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "kit", "serve", str(path), "--reload"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", lines_until(process, "Ctrl+C"))
        assert url
        address = url[0] + "/.well-known/openapi.json"
        write(path, PLUGIN, ADD.replace("add_todo", "add"))
        lines_until(process, "the new version is served")
        assert httpx2.get(address).json()["paths"]["/todos"]["post"]["operationId"] == "add"
        write(path, PLUGIN, "#| export\n1 / 0")
        assert "Cell 2" in lines_until(process, "raised ZeroDivisionError")
        assert httpx2.get(address).json()["paths"]["/todos"]["post"]["operationId"] == "add"
        path.write_text("half a file")
        lines_until(process, "is not a notebook")
        write(path, PLUGIN, ADD)
        lines_until(process, "the new version is served")
        assert httpx2.get(address).json()["paths"]["/todos"]["post"]["operationId"] == "add_todo"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]
