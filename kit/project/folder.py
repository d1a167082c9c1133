"""`new`: a folder with a notebook that is a working plugin, and everything else a project needs."""

from __future__ import annotations

import itertools
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ProjectError
from kit.markup import code, columns, escape, table
from kit.project.scratch import scratch_folder, uninterrupted
from kit.project.wheel import is_ours, tutorial_files, tutorial_folder, write_wheel

MAX_NAME = 50  # characters, since it becomes name_for_model
TEMPLATE = Path(__file__).parent / "templates" / "new"
# What each file is for, in the order in which a person would read them.
FILES = {
    "plugin.ipynb": "the plugin: its cells marked `#| export`, and others to look around in",
    "cases.yaml": "what users say, and what should be called",
    "tests/test_plugin.py": "asks every case, and looks at what was called",
    "conftest.py": "the settings of the tests: no key, and red when a call fails",
    "README.md": "how to set it up, test it and serve it",
    "requirements.txt": "what it needs",
    "pyproject.toml": "its name, and the settings of pytest, ruff and mypy",
    "wheels": "the kit itself, since it is in no package index",
    ".github/workflows/ci.yml": "lint, types, tests and the hosts' rules, at every push to GitHub",
    ".gitignore": "what git leaves alone",
}
_MARK = r"^[ \t]*\{\{%s\}\}[ \t]*(?:\n|\Z)"
# What a hosting site offers to put into a new repository.
_ABOUT = re.compile(
    r"\.|(README|LICEN[CS]E|COPYING|NOTICE|SECURITY|CONTRIBUTING|CODE_OF_CONDUCT|CHANGELOG)(\.\w+)?$",
    re.IGNORECASE,
)
_SECTION = re.compile(
    _MARK % r"(?P<kind>[#^])(?P<name>[A-Z_]+)" + "(?P<lines>.*?)" + _MARK % "/(?P=name)",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class TestRun:
    """A run of a project's tests. `output` is everything pytest printed."""

    __test__ = False  # or pytest would collect it as a test

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
    """A project's folder. `files` are the paths in it that `new` writes, and what each is for.

    `kept` are those that were there before, and that `new` left as they are; `notes` are sentences for its user to read.
    """

    def __init__(self, path: str | Path, kept: Iterable[str] = ()) -> None:
        self.path = Path(path)
        self.kept = sorted(kept)
        self.notes: list[str] = []
        if not (self.path / "plugin.ipynb").is_file():
            raise ProjectError(
                f"{self.path} is not a project: it has no plugin.ipynb.",
                "Make one with kit.new(NAME).",
                folder=str(self.path),
            )

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def files(self) -> dict[str, str]:
        """The files that exist, and what each is for."""
        return {name: purpose for name, purpose in FILES.items() if (self.path / name).exists()}

    def test(self) -> TestRun:
        """Runs the project's tests with this Python, in a process of their own."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "PYTEST_", "KIT_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider"],
            cwd=self.path,
            env={**clean, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return TestRun(done.returncode == 0, done.stdout)

    def __repr__(self) -> str:
        files = [(name, self._purpose(name)) for name in self.files]
        return f"{self.path}\n{columns(files, '  ')}"

    def _repr_html_(self) -> str:
        rows = [(code(name), escape(self._purpose(name))) for name in self.files]
        return table((code(f"{self.path.as_posix()}/"), "what it is for"), rows)

    def _purpose(self, name: str) -> str:
        return f"yours, kept as it was; else {FILES[name]}" if name in self.kept else FILES[name]


def new(name: str | Path, folder: str | Path = ".") -> Project:
    """Makes the folder `name` in `folder`, with a plugin that works and tests that pass.

    With "." as `name` it fills `folder` itself, such as a clone that has no more than a README, a LICENSE and hidden files:
    those stay as they are, and the project is called as the folder is, as far as a plugin can be. Raises `ProjectError` for a
    name that cannot be used, and for a folder or file that already exists: it is never touched. If anything fails,
    nothing is written.
    """
    if os.path.normpath(str(name) or "-") == os.curdir:
        return _fill(Path(folder))
    target = Path(folder) / name
    _check_name(target.name)
    parent = target.parent
    if not parent.is_dir():
        raise _no_folder(parent)
    if target.exists() or target.is_symlink():
        raise _already_exists(target)
    with scratch_folder(f".{target.name}-", parent) as directory:
        scratch = directory / target.name
        _write(scratch, target.name)
        scratch.rename(target)
    return Project(target)


def _fill(folder: Path) -> Project:
    """Makes an empty clone, or any folder with as little in it, a project."""
    if not folder.is_dir():
        raise _no_folder(folder)
    if others := strangers_in(folder):
        is_project = "plugin.ipynb" in others
        problem = "is a project already" if is_project else f"has files already: {', '.join(others[:3])}"
        raise ProjectError(
            f"{folder.resolve()} {problem}{', ...' if len(others) > 3 and not is_project else ''}. Nothing was written.",
            "Choose a new folder: kit.new(NAME), in a terminal kit new NAME.",
            folder=str(folder),
        )
    called = folder.resolve().name
    name = _valid(called) if _problem_with(called) else called
    with scratch_folder(f".{name}-", folder) as directory:
        scratch = directory / name
        _write(scratch, name)
        files = sorted(it.relative_to(scratch).as_posix() for it in scratch.rglob("*") if it.is_file())
        kept = [it for it in files if os.path.lexists(folder / it)]
        with uninterrupted():
            _move(scratch, folder, [it for it in files if it not in kept])
    project = Project(folder, kept)
    if ".gitignore" in kept and (lines := _lacking(folder, files)):
        project.notes.append(f"Add these lines to your .gitignore: {'  '.join(lines)}")
    return project


def _lacking(folder: Path, files: list[str]) -> list[str]:
    """What a .gitignore lacks for git to take these files, such as wheels, and to leave an environment and settings alone."""
    names = [*files, *(private := (".venv/", ".env"))]
    if (git := shutil.which("git")) is None:
        return []
    command = [git, "check-ignore", "--no-index", "--", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603 - no shell
    if done.returncode > 1:  # no repository
        return []
    ignored = set(done.stdout.splitlines())
    tops = dict.fromkeys(f"/{name.partition('/')[0]}" for name in files if name in ignored and "/" in name)
    return [
        *(line for top in tops for line in (f"!{top}/", f"!{top}/**")),
        *(name for name in private if name not in ignored),
    ]


def _move(source: Path, folder: Path, names: list[str]) -> None:
    """Moves files from one folder into another, all of them or none."""
    moved: list[Path] = []
    try:
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            moved.append((source / name).rename(target))
    except OSError as error:
        for target in moved:
            target.unlink()
        raise ProjectError(
            f"{folder} cannot be written: {error}.",
            "Make it writable, or choose another.",
            folder=str(folder),
        ) from None


def _no_folder(folder: Path) -> ProjectError:
    return ProjectError(f"There is no folder {folder}.", "Create it, or choose another.", folder=str(folder))


def _already_exists(target: Path) -> ProjectError:
    opening = ""
    if (target / "plugin.ipynb").is_file():
        opening = f", or open this one: kit.Project({str(target)!r})"
    elif target.is_dir() and not strangers_in(target):
        opening = f", or fill this one: kit.new('.', {str(target)!r}), in a terminal `kit new .` inside it"
    return ProjectError(
        f"{target} already exists, and was not changed.",
        f"Choose another name, such as {_unused(target)!r}{opening}.",
        folder=str(target),
    )


def copy_tutorial(folder: str | Path = "kit-tutorial") -> Path:
    """Copies the tutorial's notebooks into `folder`; files that already exist stay as they are."""
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ProjectError(f"{target} is a file.", "Choose a folder for the tutorial.", folder=str(target))
    for name in tutorial_files():
        file = target / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tutorial_folder() / name, file)
    return target


def _write(folder: Path, name: str) -> None:
    (folder / "wheels").mkdir(parents=True)
    values = {
        "NAME": name,
        "MODEL": name.replace("-", "_"),
        "HOST": name.replace("_", "-").lower().strip("-"),
        "TITLE": re.sub(r"[-_]+", " ", name).strip().capitalize(),
        "WHEEL": write_wheel(folder / "wheels").name,
    }
    files = rendered(TEMPLATE, values)
    files["plugin.ipynb"] = _notebook(files.pop("plugin.ipynb.txt"))
    write_files(folder, {name: text.encode() for name, text in files.items()})


def rendered(template: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The files of a folder of templates, by their final names, filled in with the values: see `filled`."""
    files = {}
    for source in sorted(template.rglob("*")):
        if is_ours(source, template):
            # Dot-files and code are named so that no tool takes the template for the real thing.
            name = source.relative_to(template).as_posix().replace("dot_", ".").removesuffix(".template")
            files[name] = filled(source.read_text(encoding="utf-8"), values)
    return files


def filled(text: str, values: Mapping[str, str]) -> str:
    """A template with each `{{NAME}}` replaced by its value, and with its sections kept or left out, as in Mustache.

    The lines between `{{#NAME}}` and `{{/NAME}}` are kept if the value is not empty, those between `{{^NAME}}` and
    `{{/NAME}}` if it is; each mark stands on a line of its own. Sections hold others, of other names. Raises
    `KeyError` for a name without a value, and for a mark without its other half.
    """
    return re.sub(r"\{\{([#^/]?[A-Z_]+)\}\}", lambda match: values[match[1]], _chosen(text, values))


def _chosen(text: str, values: Mapping[str, str]) -> str:
    def kept(section: re.Match[str]) -> str:
        wanted = bool(values[section["name"]]) == (section["kind"] == "#")
        return _chosen(section["lines"], values) if wanted else ""

    return _SECTION.sub(kept, text)


def strangers_in(folder: Path) -> list[str]:
    """What is in a folder beside that which an empty clone and an editor have: README, LICENSE, hidden files, an environment."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [it.name for it in found if not _ABOUT.match(it.name) and not (it / "pyvenv.cfg").is_file()]


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by their names relative to `folder`, and the folders that they need."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _notebook(text: str) -> str:
    """A notebook from a text of cells, each below a line `--- markdown` or `--- code`."""
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
    if problem := _problem_with(name):
        raise ProjectError(problem, f"Use {_valid(name)!r}, for example.", folder=name)


def _problem_with(name: str) -> str:
    """Why it cannot be the name; empty if it can."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        return f"{name!r} is not a valid name: use letters, digits, _ and -, starting with a letter."
    if len(name) > MAX_NAME:
        return f"The name has {len(name)} characters; the limit is {MAX_NAME}."
    return (
        f"{name!r} cannot be the name: a module or keyword of Python's is called that."
        if _is_taken(name)
        else ""
    )


def _is_taken(name: str) -> bool:
    module = name.lower().replace("-", "_")
    # sys.stdlib_module_names lacks `test`; True, False and None are keywords only when capitalized.
    names = {*sys.stdlib_module_names, "test", "kit", *(word.lower() for word in keyword.kwlist)}
    return module in names


def _valid(name: str) -> str:
    """A valid name like this one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    valid = "_".join(re.findall(r"[a-z0-9]+", plain)).lstrip("0123456789_") or "my_plugin"
    valid = valid[:MAX_NAME].rstrip("_")
    return f"{valid}_plugin" if _is_taken(valid) else valid


def _unused(target: Path) -> str:
    names = (f"{target.name[: MAX_NAME - len(str(n))]}{n}" for n in itertools.count(2))
    return next(name for name in names if not os.path.lexists(target.parent / name))
