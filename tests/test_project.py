"""`kit new`: a project that works at once; names, folders, the wheel it brings along; `kit lab`'s copy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kit
from kit import project as projects
from kit.wheels import tutorial_files, write_wheel

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
        ("Weather Station", "weather_station"), ("2fast", "fast"), ("wetter für alle", "wetter_f_r_alle"), ("", "my_plugin"),
        (".hidden", "hidden"), ("a/../..", "my_plugin"), ("-x", "x"), ("x.y", "x_y"), ("json", "json_plugin"), ("class", "class_plugin"),
        ("kit", "kit_plugin"), ("x" * 51, "Cut 1"),
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


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("weather", "file", "link"):
        with pytest.raises(kit.KitError, match=rf"{name} is there already, and stays as it is.\n.*'{name}2'"):
            kit.new(name, tmp_path)
    assert list((tmp_path / "weather").iterdir()) == []
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(kit.KitError, match="There is no folder"):
        kit.new("weather", tmp_path / "nowhere")
    with pytest.raises(kit.KitError, match=r"has no plugin\.ipynb"):
        kit.Project(tmp_path / "weather")


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
    assert "is there already" in again.stderr


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
            "kit/templates/new/plugin.ipynb.txt",
            "kit/tutorial/00_start_here.ipynb",
        ):
            assert name in names
    target = tmp_path / "target"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = "import kit; print(kit.__file__); from kit.wheels import write_wheel, tutorial_folder; print(tutorial_folder())"
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
    assert "pip install 'notebook-plugin-kit[tutorial]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
