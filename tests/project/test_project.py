"""`kit new`: a project that works at once; names, folders, the wheel it carries; `kit lab`'s copy."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kit
from kit.project import folder as projects
from kit.project.steps import next_steps
from kit.project.wheel import tutorial_files, tutorial_folder, write_serving_wheel, write_wheel

COMMAND = [sys.executable, "-m", "kit"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> kit.Project:
    return kit.new("my-weather", tmp_path_factory.mktemp("projects"))


def test_its_own_tests_pass_at_once(made: kit.Project) -> None:
    run = made.test()
    assert run.passed, run.output
    assert "plugin.ipynb" in repr(run)
    assert repr(run).endswith("passed")
    assert " in " not in repr(run).splitlines()[-1]  # the same each time


def test_its_tests_notice_a_mistake(tmp_path: Path) -> None:
    project = kit.new("broken", tmp_path)
    notebook = project.path / "plugin.ipynb"
    notebook.write_text(notebook.read_text().replace("def get_forecast", "def get_tides"))
    run = project.test()
    assert not run.passed
    assert "get_tides" in repr(run)


def test_it_is_complete_and_says_what_is_what(made: kit.Project) -> None:
    assert set(made.files) == set(projects.FILES)
    for name in ("plugin.ipynb", "requirements.txt", "wheels"):
        assert name in repr(made)
        assert name in made._repr_html_()
    for path in made.path.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            text = path.read_text()
            assert not re.search(r"\{\{[A-Z]+\}\}|/(home|root|tmp|Users)/", text), path
    assert kit.load(made.path / "plugin.ipynb").manifest.name_for_model == "my_weather"
    wheel = next((made.path / "wheels").iterdir())
    assert f"./wheels/{wheel.name}[lab]" in (made.path / "requirements.txt").read_text()


def test_it_is_tidy(made: kit.Project) -> None:
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", str(made.path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_it_can_be_served(made: kit.Project) -> None:
    with kit.serve(kit.load(made.path / "plugin.ipynb")) as server:
        installed = kit.install(server.url)
        assert sorted(installed.tool_names) == ["find_warmest_cities", "get_forecast"]
        assert installed.problems == []


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Weather Station", "weather_station"), ("2fast", "fast"), ("wetter für alle", "wetter_fur_alle"), ("", "my_plugin"),
        (".hidden", "hidden"), ("a/../..", "my_plugin"), ("-x", "x"), ("x.y", "x_y"), ("json", "json_plugin"), ("class", "class_plugin"),
        ("kit", "kit_plugin"), ("test", "test_plugin"), ("None", "none_plugin"), ("class!", "class_plugin"),
        ("x" * 51, f"{'x' * 50!r}"),
    ],
)  # fmt: skip
def test_bad_names(tmp_path: Path, name: str, better: str) -> None:
    with pytest.raises(kit.KitError) as caught:
        kit.new(name, tmp_path / "in") if name == "a/../.." else kit.new(name, tmp_path)
    assert better in str(caught.value) or name in ("a/../..", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["weather", "Weather2", "my-plugin", "a", "x" * 50])
def test_good_names(tmp_path: Path, name: str) -> None:
    project = kit.new(name, tmp_path)
    assert project.name == name
    assert kit.load(project.path / "plugin.ipynb").manifest.name_for_model == name.replace("-", "_")


def test_what_exists_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("weather", "file", "link"):
        with pytest.raises(kit.KitError, match=rf"{name} already exists, and was not changed.\n.*'{name}2'"):
            kit.new(name, tmp_path)
    assert list((tmp_path / "weather").iterdir()) == []
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(kit.KitError, match="There is no folder"):
        kit.new("weather", tmp_path / "nowhere")
    with pytest.raises(kit.KitError, match=r"has no plugin\.ipynb"):
        kit.Project(tmp_path / "weather")


def test_the_proposed_name_is_valid(tmp_path: Path) -> None:
    for name in ("x" * 50, "weather"):
        (tmp_path / name).write_text("")
        with pytest.raises(kit.KitError) as caught:
            kit.new(name, tmp_path)
        assert "kit.Project" not in str(caught.value)  # a file is not a project to open
        proposed = re.search(r"such as '([^']+)'", str(caught.value))
        assert proposed
        assert kit.new(proposed[1], tmp_path).name == proposed[1]
    with pytest.raises(kit.KitError, match=r"open this one: kit\.Project"):
        kit.new("weather2", tmp_path)


@pytest.mark.parametrize(
    ("sentence", "operation", "arguments"),
    [
        ("What will the weather be in Paris tomorrow?", "get_forecast", {"city": "Paris", "day": "tomorrow"}),
        ("Tomorrow's weather for Lima", "get_forecast", {"city": "Lima", "day": "tomorrow"}),
        ("Will it rain in Berlin today?", "get_forecast", {"city": "Berlin", "day": "today"}),
        ("How warm is it in Tokyo?", "get_forecast", {"city": "Tokyo"}),
        ("Do I need an umbrella in Berlin?", "get_forecast", {"city": "Berlin"}),
        ("Give me the forecast for Oslo", "get_forecast", {"city": "Oslo"}),
        ("Which city is the warmest?", "find_warmest_cities", {}),
        ("Show me the five warmest cities", "find_warmest_cities", {"count": 5}),
        ("Which cities are there?", "find_warmest_cities", {}),
    ],
)
def test_plain_sentences_reach_it(
    made: kit.Project, sentence: str, operation: str, arguments: dict[str, object]
) -> None:
    reply = kit.Chat(kit.load(made.path / "plugin.ipynb"), show=False)(sentence)
    (call,) = reply.calls
    assert (call.operation, call.arguments, call.status) == (operation, arguments, 200)
    assert call.data.get("day", "today") == arguments.get("day", "today")
    if "are there" in sentence:
        assert len(call.data) == 6


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(projects, "_notebook", fail)
    with pytest.raises(OSError, match="disk full"):
        kit.new("weather", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_on_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "new", "weather"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "kit serve plugin.ipynb" in done.stdout
    again = subprocess.run([*COMMAND, "new", "weather"], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1
    assert "already exists" in again.stderr


def test_an_empty_clone_is_filled_and_what_is_in_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "2 Weather-Stations!"
    (clone / ".git").mkdir(parents=True)
    (clone / "env").mkdir()
    (clone / "env" / "pyvenv.cfg").write_text("")
    mine = {"README.md": "# Mine\n", "LICENSE.txt": "free\n", ".gitignore": "*.pyc\n"}
    for name, text in mine.items():
        (clone / name).write_text(text)
    monkeypatch.chdir(clone)
    project = kit.new(".")
    assert project.name == "2 Weather-Stations!"
    assert project.kept == [".gitignore", "README.md"]
    assert "README.md                 yours, kept as it was" in repr(project)
    assert {name: (clone / name).read_text() for name in mine} == mine
    assert kit.load(project.path / "plugin.ipynb").manifest.name_for_model == "weather_stations"
    assert set(project.files) == set(projects.FILES)
    assert not list(clone.glob(".weather*"))  # nothing of the writing
    with pytest.raises(kit.KitError, match="is a project already"):
        kit.new(".")


def test_a_gitignore_that_would_lose_files_is_told(tmp_path: Path) -> None:
    """GitHub's own for Python leaves out `wheels/`: without them the CI could install nothing."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    ignore = tmp_path / ".gitignore"
    ignore.write_text("__pycache__/\nwheels/\n*.whl\n.env\n")
    (note,) = kit.new(".", tmp_path).notes
    assert note == "Add these lines to your .gitignore: !/wheels/  !/wheels/**  .venv/"
    assert ignore.read_text() == "__pycache__/\nwheels/\n*.whl\n.env\n"
    ignore.write_text(ignore.read_text() + note.partition(": ")[2].replace("  ", "\n") + "\n")
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert ".whl\n" in listed


@pytest.mark.parametrize("there", ["src/main.py", "data.csv", "pyproject.toml", "tests/test_a.py"])
def test_a_folder_with_more_than_an_empty_clone_is_refused(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(
        kit.KitError, match=rf"has files already: {there.partition('/')[0]}\. Nothing was written"
    ):
        kit.new(".", tmp_path)
    assert [it for it in tmp_path.rglob("*") if it.is_file()] == [tmp_path / there]


def test_a_folder_that_cannot_be_filled_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".github").write_text("a file where a folder must be")
    with pytest.raises(kit.KitError, match="cannot be written"):
        kit.new(".", tmp_path)
    assert [it.name for it in tmp_path.rglob("*") if it.is_file()] == [".github"]
    with pytest.raises(kit.KitError, match="There is no folder"):
        kit.new(".", tmp_path / "nowhere")


def test_the_next_steps_name_what_the_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of environment: with pip, of uv, with the system's pip only, with nothing."""

    def programs(*names: str) -> None:
        place = tmp_path / "-".join(names or ("none",))
        place.mkdir()
        for name in names:
            (place / name).write_text("#!/bin/sh\n")
            (place / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(place))

    def steps(has_pip: bool) -> list[str]:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: has_pip or None)
        return next_steps(tmp_path / "my project")[1:-3]

    python = shlex.quote(sys.executable)
    programs()
    bare, filled = steps(True)
    assert (bare, filled) == (
        f"{python} -m venv --without-pip .venv",
        f"{python} -m pip --python .venv install -q -r requirements.txt",
    )
    assert steps(False) == [
        f"{python} -m venv .venv",
        ".venv/bin/python -m pip install -q -r requirements.txt",
    ]
    programs("pip3")
    assert steps(False) == [bare, "pip3 --python .venv install -q -r requirements.txt"]
    programs("uv", "pip")
    assert steps(False) == [
        f"uv venv -q --python {python} .venv",
        "uv pip install -q -r requirements.txt --python .venv",
    ]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert steps(True)[0] == "python3 -m venv --without-pip .venv"
    assert next_steps(tmp_path / "my project")[0] == f"cd {shlex.quote(str(tmp_path / 'my project'))}"
    monkeypatch.chdir(tmp_path)
    assert next_steps(Path("."))[0] == "python3 -m venv --without-pip .venv"


def test_the_version(tmp_path: Path) -> None:
    """Of the kit, and of the part of it that an exported server has."""
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True)
    assert done.stdout == f"kit {kit.__version__}\n"
    with zipfile.ZipFile(write_serving_wheel(tmp_path)) as wheel:
        wheel.extractall(tmp_path)
    served = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*COMMAND, "--version"], cwd=tmp_path, env=served, capture_output=True, text=True)
    assert done.stdout == f"kit {kit.__version__} (the part that serves)\n", done.stderr


def test_the_wheel_works_alone_and_is_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    wheel = write_wheel(tmp_path / "a")
    assert wheel.read_bytes() == write_wheel(tmp_path / "b").read_bytes()
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
        assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
        for name in (
            "kit/py.typed",
            "kit/project/templates/new/plugin.ipynb.txt",
            "kit/tutorial/00_start_here.ipynb",
        ):
            assert name in names
    target = tmp_path / "target"
    # the README's environments have no pip of their own; the Python that made them has
    pip = (
        sys.executable
        if importlib.util.find_spec("pip")
        else getattr(sys, "_base_executable", sys.executable)
    )
    done = subprocess.run(
        [pip, "-m", "pip", "--python", sys.executable, "install", "-q", "--no-deps", "--no-index", "--target", target, wheel],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = "import kit; print(kit.__file__); from kit.project.wheel import write_wheel, tutorial_folder; print(tutorial_folder())"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(target)},
    )
    assert shown.stdout.splitlines() == [
        str(target / "kit" / "__init__.py"),
        str(target / "kit" / "tutorial"),
    ]


def test_what_is_not_the_kits_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, notebooks = tmp_path / "checkout" / "kit", tmp_path / "checkout" / "notebooks"
    shutil.copytree(Path(kit.__file__).parent, package, ignore=shutil.ignore_patterns("tutorial"))
    shutil.copytree(tutorial_folder() / "images", notebooks / "images")
    shutil.copy(tutorial_folder() / "00_start_here.ipynb", notebooks)
    monkeypatch.setattr("kit.project.wheel.PACKAGE", package)
    monkeypatch.setattr(projects, "TEMPLATE", package / "project" / "templates" / "new")
    before = write_wheel(tmp_path).read_bytes()
    # what JupyterLab, macOS and a person leave there
    (notebooks / "images" / ".ipynb_checkpoints").mkdir()
    (notebooks / "Untitled.ipynb").write_text("mine")
    (package / "project" / "templates" / "new" / ".DS_Store").write_bytes(b"\xff")
    assert write_wheel(tmp_path).read_bytes() == before
    with zipfile.ZipFile(write_wheel(tmp_path)) as wheel:
        assert {entry.external_attr >> 16 for entry in wheel.infolist()} == {0o100644}
    folder = projects.copy_tutorial(tmp_path / "lab")
    assert sorted(path.name for path in folder.iterdir()) == ["00_start_here.ipynb", "images"]
    assert not (kit.new("weather", tmp_path).path / ".DS_Store").exists()


def test_the_tutorial_is_copied_and_nothing_overwritten(tmp_path: Path) -> None:
    folder = projects.copy_tutorial(tmp_path / "lab")
    assert sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) == tutorial_files()
    mine = folder / "00_start_here.ipynb"
    mine.write_text("mine")
    (folder / "02_plugin_manifest.ipynb").unlink()
    projects.copy_tutorial(folder)
    assert mine.read_text() == "mine"
    assert json.loads((folder / "02_plugin_manifest.ipynb").read_text())["nbformat"] == 4
    (tmp_path / "file").write_text("")
    with pytest.raises(kit.KitError, match="is a file"):
        projects.copy_tutorial(tmp_path / "file")


def test_lab_without_jupyterlab_says_what_to_install(tmp_path: Path) -> None:
    blocked = "import sys, importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'jupyterlab' else f(n, *a)\n"
    code = blocked + "sys.argv = ['kit', 'lab']\nfrom kit.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "extra `tutorial`" in done.stderr
    assert list(tmp_path.iterdir()) == []
