"""The settings of a plugin: the environment variables that its code reads, found without running it.

A setting is needed if the code reads it without a default and under no condition, when it is imported or in a
request: `os.environ["NAME"]`, a field of `BaseSettings` without a value, a name that is checked and refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from kit.errors import SettingsError
from kit.notebook.fields import fields_of
from kit.notebook.modules import Code, code_with_modules
from kit.notebook.reads import reads_of
from kit.notebook.setting import Setting
from kit.notebook.source import Notebook

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*=(?P<value>.*)", re.ASCII)


def settings_of(codes: Iterable[Code]) -> list[Setting]:
    """The settings that the code reads, by name. One that is read at several places is needed if one of them needs it."""
    codes = list(codes)
    cells, modules = [it for it in codes if it.cell], [it for it in codes if not it.cell]
    found: dict[str, Setting] = {}
    # a cell uses what another one imported
    for setting in [*reads_of([cells, *([it] for it in modules)]), *fields_of(codes)]:
        found[setting.name] = found[setting.name].joined(setting) if setting.name in found else setting
    return [found[name] for name in sorted(found)]


def missing(settings: Iterable[Setting], folder: Path | None = None) -> list[Setting]:
    """The needed ones that are not set, or empty. `folder` is where the process runs, if pydantic_settings has its files there."""
    return [it for it in settings if it.is_needed and not _is_set(it, folder)]


def require_settings(notebook: Notebook) -> None:
    """Raises `SettingsError`, naming all settings that the plugin needs and that are not set, each with its place."""
    notebook.check()
    lacking = missing(settings_of(code_with_modules(notebook)), Path.cwd())
    if not lacking:
        return
    names = [it.name for it in lacking]
    listed = "; ".join(f"{it.name} ({it.place[0].lower()}{it.place[1:]})" for it in lacking)
    raise SettingsError(
        f"{notebook.path.name} needs {'a setting that is' if len(names) == 1 else 'settings that are'} not set: {listed}.",
        f"Set {'it' if len(names) == 1 else 'them'} in the environment, or in a file that --env-file names.",
        setting=", ".join(names),
    )


def read_file(path: str | Path) -> dict[str, str]:
    """The variables of a file of lines NAME=VALUE, as `docker run --env-file` reads it: nothing is expanded.

    Quotes around a value are left out, though Docker keeps them. Raises `SettingsError` for a line of another form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "it is not UTF-8"
        remedy = (
            "Make it: cp .env.example .env" if isinstance(error, FileNotFoundError) else "Check the path."
        )
        raise SettingsError(f"{path} cannot be read: {why}.", remedy, setting="--env-file") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        if not (match := _LINE.fullmatch(text)):  # it is not shown: it may be a secret
            problem = f"{path}, line {number}, is not NAME=VALUE."
            raise SettingsError(problem, "Correct it, or begin it with #.", setting="--env-file")
        value = match["value"].strip()
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[match["name"]] = value[1:-1] if is_quoted else value
    return found


def load_file(path: str | Path) -> None:
    """Sets the variables of such a file that the environment does not have: the environment wins."""
    for name, value in read_file(path).items():
        os.environ.setdefault(name, value)


def _is_set(setting: Setting, folder: Path | None) -> bool:
    """Whether one of its names has a value, in the environment or in a file that pydantic_settings reads."""
    flags = re.IGNORECASE if setting.ignores_case else re.NOFLAG
    form = re.compile("|".join(map(re.escape, setting.names)), flags)
    if any(value.strip() and form.fullmatch(name) for name, value in os.environ.items()):
        return True
    line = re.compile(rf"^\s*(?:export\s+)?(?:{form.pattern})\s*=[ \t]*\S", flags | re.MULTILINE)
    files = (folder / file for file in setting.files if folder is not None)
    return any(line.search(file.read_text(errors="replace")) for file in files if file.is_file())
