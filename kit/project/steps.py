"""What to type next in a new project: with the programs that this machine has, by the names that its shell finds."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = ".venv"


def next_steps(folder: Path) -> list[str]:
    """Lines for a shell in the current folder, which set the project in `folder` up, test it, open it and serve it.

    The project gets an environment of its own, as its README says: nothing is installed into the reader's.
    """
    programs = Path(ENVIRONMENT, "Scripts" if os.name == "nt" else "bin")
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {_quoted(str(folder))}"]
    return [
        *enter,
        *_set_up(programs),
        f"{programs / 'pytest'}",
        f"{programs / 'jupyter'} lab plugin.ipynb",
        f"{programs / 'kit'} serve plugin.ipynb",
    ]


def _set_up(programs: Path) -> list[str]:
    python, what = _python(), "install -q -r requirements.txt"
    bare, filled = f"{python} -m venv --without-pip {ENVIRONMENT}", f"--python {ENVIRONMENT} {what}"
    if importlib.util.find_spec("pip"):
        return [bare, f"{python} -m pip {filled}"]
    if shutil.which("uv"):
        return [f"uv venv -q --python {python} {ENVIRONMENT}", f"uv pip {what} --python {ENVIRONMENT}"]
    if pip := next(filter(shutil.which, ("pip3", "pip")), ""):
        return [bare, f"{pip} {filled}"]
    return [f"{python} -m venv {ENVIRONMENT}", f"{programs / 'python'} -m pip {what}"]


def _python() -> str:
    """This Python as the shell calls it. Its links are not followed: an environment's lead out of it."""
    here = Path(sys.executable).parent
    found = {name: shutil.which(name) for name in ("python3", "python")}
    return next((name for name, path in found.items() if path and Path(path).parent == here), _quoted(sys.executable))  # fmt: skip


def _quoted(text: str) -> str:
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)
