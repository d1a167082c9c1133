"""`new`: a folder with a notebook that is already a working plugin, and all that a project has around it."""

from __future__ import annotations

import itertools
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ProjectError
from kit.markup import code, columns, escape, table
from kit.project.wheel import is_ours, tutorial_files, tutorial_folder, write_wheel

MAX_NAME = 50  # characters, since it becomes name_for_model
TEMPLATE = Path(__file__).parent / "templates" / "new"
# What each file is for, in the order in which a person would look at them.
FILES = {
    "plugin.ipynb": "the plugin: its cells marked `#| export`, and others to look around in",
    "tests/test_plugin.py": "asks the plugin questions, and looks at what was called",
    "README.md": "how to set it up, test it and serve it",
    "requirements.txt": "what it needs",
    "pyproject.toml": "its name, and the settings of pytest and ruff",
    "wheels": "the kit itself, since it is in no package index",
    ".github/workflows/ci.yml": "the tests, run by GitHub at every push",
    ".gitignore": "what git leaves alone",
}


@dataclass
class TestRun:
    """A run of a project's tests. `output` is all that pytest printed."""

    __test__ = False  # pytest would take it for a test

    passed: bool
    output: str

    def __repr__(self) -> str:
        if not self.passed:
            return self.output
        lines = [line for line in self.output.splitlines() if "::" in line or line.startswith("=")]
        shown = [re.sub(r"\s*\[ *\d+%\]", "", line) for line in lines if "::" in line]
        summary = re.sub(r" in [\d.]+s.*", "", lines[-1].strip("= ")) if lines else ""
        return "\n".join([*shown, summary])


class Project:
    """A project's folder. `files` are the paths in it that `new` writes, with what each is for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "plugin.ipynb").is_file():
            raise ProjectError(
                f"{self.path} is not a project: it has no plugin.ipynb.",
                "kit.new(NAME) makes one.",
                folder=str(self.path),
            )

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def files(self) -> dict[str, str]:
        """What there is, and what it is for."""
        return {name: words for name, words in FILES.items() if (self.path / name).exists()}

    def test(self) -> TestRun:
        """Runs the project's tests with this Python, in a process of their own."""
        given = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "PYTEST_", "KIT_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider"],
            cwd=self.path,
            env={**given, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return TestRun(done.returncode == 0, done.stdout)

    def __repr__(self) -> str:
        rows = [(name, words) for name, words in self.files.items()]
        return f"{self.path}\n{columns(rows, '  ')}"

    def _repr_html_(self) -> str:
        rows = [(code(name), escape(words)) for name, words in self.files.items()]
        return table((code(f"{self.path.as_posix()}/"), "what it is for"), rows)


def new(name: str | Path, folder: str | Path = ".") -> Project:
    """Makes the folder `name` in `folder`, with a plugin that works and tests that pass.

    Raises `ProjectError` for a name that cannot be used, and for a folder or file that is there already: it is
    never touched. Made as a whole or not at all.
    """
    target = Path(folder) / name
    _check_name(target.name)
    parent = target.parent
    if not parent.is_dir():
        raise ProjectError(
            f"There is no folder {parent}.", "Make it first, or give another.", folder=str(parent)
        )
    if target.exists() or target.is_symlink():
        is_project = (target / "plugin.ipynb").is_file()
        raise ProjectError(
            f"{target} is there already, and stays as it is.",
            f"Choose another name, such as {_free(target)!r}"
            + (f", or open it: kit.Project({str(target)!r})." if is_project else "."),
            folder=str(target),
        )
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=parent) as place:
        made = Path(place) / target.name
        _write(made, target.name)
        made.rename(target)
    return Project(target)


def copy_tutorial(folder: str | Path = "kit-tutorial") -> Path:
    """Copies the tutorial's notebooks into `folder`, leaving what is there already as it is."""
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ProjectError(f"{target} is a file.", "Give a folder for the tutorial.", folder=str(target))
    for name in tutorial_files():
        file = target / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tutorial_folder() / name, file)
    return target


def _write(made: Path, name: str) -> None:
    (made / "wheels").mkdir(parents=True)
    words = {
        "NAME": name,
        "MODEL": name.replace("-", "_"),
        "TITLE": re.sub(r"[-_]+", " ", name).strip().capitalize(),
        "WHEEL": write_wheel(made / "wheels").name,
    }
    for place, text in rendered(TEMPLATE, words).items():
        file = made / place
        if place.endswith(".ipynb.txt"):
            file, text = file.with_suffix(""), _notebook(text)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def rendered(template: Path, words: dict[str, str]) -> dict[str, str]:
    """The files of a folder of templates, by their names in the end, with `{{WORD}}` replaced in each."""
    files = {}
    for source in sorted(template.rglob("*")):
        if is_ours(source, template):
            # Names of dot-files and code are spelt so that no tool takes the template for the real thing.
            name = source.relative_to(template).as_posix().replace("dot_", ".").removesuffix(".template")
            text = source.read_text(encoding="utf-8")
            files[name] = re.sub(r"\{\{([A-Z]+)\}\}", lambda match: words[match[1]], text)
    return files


def _notebook(text: str) -> str:
    """A notebook of cells that stand one after another, each beneath a line `--- markdown` or `--- code`."""
    cells = []
    for number, part in enumerate(re.split(r"^--- ", text, flags=re.MULTILINE)[1:], 1):
        kind, _, body = part.partition("\n")
        cell: dict[str, object] = {
            "cell_type": kind.strip(),
            "id": f"cell-{number:02d}",
            "metadata": {},
            "source": body.strip("\n").splitlines(keepends=True),
        }
        cells.append(cell if kind.strip() == "markdown" else {**cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ProjectError(
            f"{name!r} will not do as a name: it may have letters, digits, _ and -, a letter first.",
            f"{_better(name)!r} would do.",
            folder=name,
        )
    if len(name) > MAX_NAME:
        raise ProjectError(
            f"The name has {len(name)} characters, the limit is {MAX_NAME}.",
            f"{_better(name)!r} would do.",
            folder=name,
        )
    if _is_pythons(name):
        raise ProjectError(
            f"{name!r} will not do as a name: it is one of Python's own, and would hide that.",
            f"{_better(name)!r} would do.",
            folder=name,
        )


def _is_pythons(name: str) -> bool:
    module = name.lower().replace("-", "_")
    # sys.stdlib_module_names leaves `test` out, and True, False and None are keywords in capitals only.
    names = {*sys.stdlib_module_names, "test", "kit", *(word.lower() for word in keyword.kwlist)}
    return module in names


def _better(name: str) -> str:
    """A name like this one that would do."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    better = "_".join(re.findall(r"[a-z0-9]+", plain)).lstrip("0123456789_") or "my_plugin"
    better = better[:MAX_NAME].rstrip("_")
    return f"{better}_plugin" if _is_pythons(better) else better


def _free(target: Path) -> str:
    names = (f"{target.name[: MAX_NAME - len(str(n))]}{n}" for n in itertools.count(2))
    return next(name for name in names if not os.path.lexists(target.parent / name))
