"""`constraints.txt`: what the README's commands install, one version of everything."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import ROOT

LINES = (ROOT / "constraints.txt").read_text().splitlines()
PYTHONS = ("3.11.7", "3.12.1", "3.13.0")


def pinned(python: str) -> dict[str, str]:
    """The versions for this Python on Linux."""
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    return {
        it.name: str(it.specifier)[2:]
        for it in map(Requirement, LINES)
        if it.marker is None or it.marker.evaluate(environment)
    }


def test_it_contains_only_names_and_versions() -> None:
    for line in LINES:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; [\w.<>=!'() -]+)?", line), line
    assert "notebook-plugin-kit" not in {Requirement(line).name for line in LINES}


def test_each_python_has_one_version_of_everything_that_any_extra_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    named = [Requirement(it) for it in [*project["dependencies"], *(it for extra in extras for it in extra)]]
    for python in PYTHONS:
        versions = pinned(python)
        for requirement in named:
            if (name := canonicalize_name(requirement.name)) != project["name"]:
                assert requirement.specifier.contains(versions.get(name, "")), (
                    f"{requirement}: run .ci/constraints"
                )


def test_every_command_that_installs_the_kit_uses_it() -> None:
    for file in ("README.md", ".ci/run"):
        for line in (ROOT / file).read_text().splitlines():
            if re.search(r"pip\b.* install\b.* -e ", line):
                assert " -c constraints.txt " in line, f"{file}: {line}"
