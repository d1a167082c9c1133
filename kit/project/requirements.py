"""What an exported app needs: the packages that provide its imports, each in the version installed here."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ExportError
from kit.project.wheel import DISTRIBUTION

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# What opens PostgreSQL for these, though nothing imports it; and what Lambda needs, which `build.py` adds.
DATABASES = ("sqlmodel", "sqlalchemy")
POSTGRESQL, MIGRATIONS, LAMBDA = "psycopg[binary]", "alembic", "mangum"

# What a module imports though its package's requirements do not say so.
_EXTRAS = {"templating": "jinja2", "middleware.sessions": "itsdangerous", "testclient": "httpx2"}


def is_installed(module: str) -> bool:
    """Whether the module's package is part of Python or installed here."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root in _by_module():
        return True
    try:
        return find_spec(root) is not None
    except (ImportError, ValueError):
        return False


class Requirements:
    """What an app that imports these modules needs. `wheel` is the kit's, `extra` one of its extras.

    `own` are lines of its user's; what they name is left out, and what that needs in turn is part of it. Raises `ExportError` for a package that no other machine could install.
    """

    def __init__(
        self,
        modules: Iterable[str],
        wheel: Path,
        has_database: bool = False,
        extra: str = "",
        own: Iterable[str] = (),
        has_tables: bool = False,
    ) -> None:
        from packaging.requirements import Requirement

        direct = {name for module in sorted(set(modules)) for name in _owners(module)}
        serving = _needs_of(wheel, extra)
        more = [POSTGRESQL] if has_database and not direct.isdisjoint(DATABASES) else []
        more += [MIGRATIONS] if has_tables else []
        imported = [Requirement(name) for name in sorted(direct - {_key(it.name) for it in serving})]
        imported += [Requirement(name) for name in more if _key(Requirement(name).name) not in direct]
        chosen = [it for line in own if (it := _read(line))]
        self._installed = dict(sorted(_closure([*serving, *imported, *chosen]).items()))
        theirs = {_key(it.name) for it in chosen}
        direct_ones = [it for it in (*serving, *imported) if _key(it.name) not in theirs]
        named = {*theirs, *(_key(it.name) for it in direct_ones)}
        rest = [Requirement(name) for name in self._installed if name not in named]
        self._lines = [
            "# the kit, which is in no package index",
            f"./wheels/{wheel.name}" + (f"[{extra}]" if extra else ""),
            "# what app.py imports, and what serves it",
            *sorted(self._pinned(it) for it in direct_ones),
            "# what those need in turn, in the versions installed at the time of the export",
            *(self._pinned(it) for it in rest),
        ]

    @property
    def text(self) -> str:
        """The text of requirements.txt."""
        return "\n".join(self._lines) + "\n"

    def _pinned(self, requirement: Requirement) -> str:
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        installed = self._installed.get(_key(requirement.name))
        if installed is None:
            return _kit_requirement(requirement)
        origin = _origin(installed)
        if "vcs_info" in origin:
            vcs = origin["vcs_info"]
            return f"{_key(requirement.name)}{extras} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
        # An index does not have a local version such as 2.9.0+cpu.
        return f"{_key(requirement.name)}{extras}=={installed.version.partition('+')[0]}"


def pinned(name: str) -> str:
    """A package of the kit's own extras in the version installed here, else within the bounds that the kit sets."""
    from packaging.requirements import Requirement

    with contextlib.suppress(metadata.PackageNotFoundError):
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    return _kit_requirement(Requirement(name))


def distributions_of(text: str, wheel: Path) -> list[Distribution]:
    """The distributions installed here that pip would install for a requirements.txt with this text."""
    own = re.search(rf"^\./wheels/{re.escape(wheel.name)}(?:\[(\w+)\])?\s*$", text, re.MULTILINE)
    requirements = _needs_of(wheel, own[1] or "") if own else []
    requirements += [it for line in text.splitlines() if (it := _read(line))]
    return list(_closure(requirements).values())


def unproved(text: str, known: Container[str]) -> list[str]:
    """A sentence for each line of a requirements.txt that the proof could not follow; the `known` lines are skipped."""
    notes = []
    for number, line in enumerate(text.splitlines(), 1):
        if line in known or not line.strip() or line.lstrip().startswith("#"):
            continue
        where, requirement = f"requirements.txt, line {number}", _read(line)
        if requirement is None:  # it may be an index with a password: it is not shown
            if not re.search(rf"^\s*\./wheels/{DISTRIBUTION.replace('-', '_')}-", line):
                notes.append(f"{where}: only pip can follow it; the proof ran without it.")
            continue
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            notes.append(f"{where}: {requirement.name} is not installed here; the proof ran without it.")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            notes.append(f"{where}: {requirement.name} {version} is installed here; the proof ran with that.")
    return notes


def _read(line: str) -> Requirement | None:
    """A line of a requirements.txt; None for a comment, an option, the path of a wheel."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(re.split(r"\s(?:#|--|\\$)", line.strip())[0])
    except InvalidRequirement:
        return None


def link(distributions: Iterable[Distribution], folder: Path) -> None:
    """Fills a folder with links to where these distributions are installed, and nothing else."""
    owners = Counter(
        top
        for distribution in metadata.distributions()
        for top in {file.partition("/")[0] for file in _files(distribution) if ".." not in file.split("/")}
    )
    for distribution in distributions:
        files = _files(distribution)
        if not files:
            raise ExportError(
                f"{distribution.name} does not list its files, so the export cannot be tested.",
                "Install it with pip, in a virtual environment.",
            )
        own = [file for file in files if {"..", "__pycache__"}.isdisjoint(file.split("/"))]
        # Several distributions share a namespace package: each links its own files.
        tops = {file: file.partition("/")[0] for file in own}
        for part in dict.fromkeys(top if owners[top] <= 1 else file for file, top in tops.items()):
            target, source = folder / part, Path(str(distribution.locate_file(part)))
            if not os.path.lexists(target) and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(source, target)


def _files(distribution: Distribution) -> list[str]:
    """Like `distribution.files`, without a path object for each: an environment has 70,000 files."""
    if (record := distribution.read_text("RECORD")) is None:
        return [file.as_posix() for file in distribution.files or ()]
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:  # Windows allows links only in developer mode
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


@lru_cache(maxsize=1)
def _by_module() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _owners(module: str) -> Iterator[str]:
    """The distributions that provide a module: all that share its root, or the one that has its file."""
    root, _, inner = module.partition(".")
    if root in ("fastapi", "starlette") and inner in _EXTRAS:
        yield from _owners(_EXTRAS[inner])
    if root == "kit" or root in sys.stdlib_module_names:
        return
    names = sorted({_key(name) for name in _by_module().get(root, ())})
    if len(names) > 1:
        path = module.replace(".", "/")
        files = {f"{path}.py", f"{path}/__init__.py"}
        exact = [n for n in names if files & {f.as_posix() for f in metadata.distribution(n).files or ()}]
        names = exact or ([] if inner else names)
    for name in names:
        _check_origin(metadata.distribution(name))
        yield name


def _check_origin(distribution: Distribution) -> None:
    # conda records the folder that it built a package in
    is_conda = (distribution.read_text("INSTALLER") or "").strip() == "conda"
    if str(_origin(distribution).get("url", "")).startswith("file:") and not is_conda:
        raise ExportError(
            f"{distribution.name} is installed from a folder of this machine: no other machine could install it.",
            "Put its modules beside the notebook, or install it from a package index or a git URL.",
        )


def _origin(distribution: Distribution) -> dict[str, Any]:
    """Where it was installed from, if not from an index (PEP 610)."""
    return dict(json.loads(distribution.read_text("direct_url.json") or "{}"))


def _needs_of(wheel: Path, extra: str) -> list[Requirement]:
    """What the kit's wheel needs with one of its extras, by its own metadata."""
    from packaging.metadata import parse_email
    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        raw, _ = parse_email(archive.read(name))
    return [
        it
        for it in map(Requirement, raw.get("requires_dist", []))
        if it.marker is None or any(it.marker.evaluate({"extra": name}) for name in ("", extra))
    ]


def _closure(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """The installed distributions that the requirements lead to, without the kit."""
    from packaging.requirements import Requirement

    installed: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(it, extra) for it in requirements for extra in ("", *it.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = _key(requirement.name)
        if (name, extra) in seen or name == DISTRIBUTION:
            continue
        seen.add((name, extra))
        try:
            installed[name] = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        for text in installed[name].requires or ():
            inner = Requirement(text)
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                waiting += [(inner, inner_extra) for inner_extra in ("", *inner.extras)]
    return installed


def _kit_requirement(requirement: Requirement) -> str:
    """A requirement that is not installed here, with the bounds of the kit's own extra."""
    from packaging.requirements import Requirement as Parsed

    for text in metadata.requires(DISTRIBUTION) or ():
        parsed = Parsed(text)
        if _key(parsed.name) == _key(requirement.name):
            parsed.marker = None
            return str(parsed)
    return str(requirement)


def _key(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
