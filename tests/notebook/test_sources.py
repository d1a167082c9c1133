"""What a plugin may be written in besides a notebook: Jupytext's formats, marimo, plain Python, modules, projects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_notebook import ADD, PLUGIN, write

import kit
from kit.notebook.target import Target, is_target

CODE = """
import kit

todo = kit.Plugin("todo", description_for_model="Keeps a list.")


@todo.get("/number", summary="A number")
def number() -> int:
    return {}
"""
PERCENT = f"""# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # A title: 1 / 0

# %%
#| export
{CODE.format(1)}
# %% trying it
1 / 0
"""
LIGHT = f"""# Some text

# +
#| export
{CODE.format(1)}
# -

1 / 0
"""
PLAIN = CODE.format(1) + '\n\nif __name__ == "__main__":\n    kit.serve(todo)\n'
FACTORY = "import fastapi\n\n\ndef create_app() -> fastapi.FastAPI:\n    app = fastapi.FastAPI()\n\n    @app.get('/number')\n    def number() -> int:\n        return 1\n\n    return app\n"
MARIMO = """import marimo

__generated_with = "0.14.0"
app = marimo.App(width="medium")

with app.setup:
    import kit


@app.cell
def _(todo):
    # the operation
    @todo.get("/number", summary="A number")
    def number() -> int:
        return 1
    return


@app.cell
def _():
    todo = kit.Plugin("todo", description_for_model="Keeps a list.")
    return (todo,)


if __name__ == "__main__":
    app.run()
"""
SOURCES = {"percent": PERCENT, "light": LIGHT, "plain": PLAIN, "factory": FACTORY, "marimo": MARIMO}


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if not name.startswith(("kit.", "fastapi", "starlette")):
            del sys.modules[name]


@pytest.mark.parametrize("form", SOURCES)
def test_each_form_is_loaded(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"{form}.py"
    path.write_text(SOURCES[form])
    plugin = kit.load(f"{path}:create_app" if form == "factory" else path)
    assert kit.install(plugin).call("number").data == 1
    assert len(kit.check(plugin).of("documents")) == 0 or form == "factory"


@pytest.mark.parametrize("form", ["percent", "plain", "factory", "marimo"])
def test_each_form_is_exported(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"{form}.py"
    path.write_text(SOURCES[form])
    export = kit.export(f"{path}:create_app" if form == "factory" else path, tmp_path / "out")
    assert export.ok, export
    text = (tmp_path / "out" / "app.py").read_text()
    assert "kit.serve" not in text
    assert "1 / 0" not in text


def test_a_project_and_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "plugin.ipynb", PLUGIN, ADD)
    (tmp_path / "some_module.py").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    assert kit.load(tmp_path).manifest.name_for_model == "todo"
    assert kit.load("some_module:todo").manifest.name_for_model == "todo"
    assert all(map(is_target, (str(tmp_path), "some_module", "some_module:todo", "x.py:create_app")))
    assert not any(map(is_target, ("localhost", "some_module.com", "https://x.example/a.py", "nowhere")))


MISTAKES = {
    "empty.py": ("", r"empty\.py defines no plugin"),
    "broken.py": ("def f(:\n", r"broken\.py is not Python: invalid syntax, in line 1"),
    "raises.py": ("x = 1\n1 / 0\n", r"raises\.py raised ZeroDivisionError: division by zero, in line 2: 1 / 0"),
    "exits.py": ("import sys\nsys.exit(3)\n", r"exits\.py raised SystemExit: 3, in line 2"),
    "factory.py": (FACTORY, r"defines no plugin, but create_app\(\) may make one\.\nName it: factory\.py:create_app"),
    "latin.py": ("é", r"latin\.py is not Python"),
    "circle.py": (
        "import marimo\napp = marimo.App()\n@app.cell\ndef _(a):\n    b = a\n    return (b,)\n@app.cell\ndef _(b):\n    a = b\n    return (a,)\n",
        r"need each other in a circle: a, b"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_loaded_says_why(tmp_path: Path, name: str) -> None:
    text, words = MISTAKES[name]
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(kit.KitError, match=words):
        kit.load(tmp_path / name)


def test_a_function_that_makes_no_app(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(
        "def make() -> int:\n    return 1\ndef fails():\n    raise ValueError('no')\n"
    )
    for name, words in (
        ("make", r"make\(\) returns int, not an app"),
        ("fails", r"fails\(\) raised ValueError: no"),
    ):
        with pytest.raises(kit.KitError, match=words):
            kit.load(f"{tmp_path / 'f.py'}:{name}")


def test_a_module_beside_it_is_read_again(tmp_path: Path) -> None:
    import threading

    (tmp_path / "read_again.py").write_text("N = 1\n")
    path = tmp_path / "plugin.py"
    path.write_text("from read_again import N\n" + CODE.format("N"))
    target, stop = Target(path), threading.Event()
    with kit.serve(target.plugin()) as server:
        plugin, messages = kit.install(server), target.follow(server, stop)
        (tmp_path / "read_again.py").write_text("N = 22\n")
        assert next(messages) == "read_again.py has changed: the new version is served."
        assert plugin.call("number").data == 22
        (tmp_path / "read_again.py").write_text("import sys\nsys.exit()\n")
        assert "the previous version is still served" in next(messages)
        assert plugin.call("number").data == 22
        stop.set()
