"""Hosts' own readers that are packages of npm: installed once into a cache outside the clone, and run with node."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

# KIT_NPM names another folder, for a machine that keeps its caches
CACHE = Path(os.environ.get("KIT_NPM") or Path(tempfile.gettempdir()) / f"kit-npm-{os.getuid()}")
SECONDS = 120  # an install that has not ended by then is taken for an absent registry


def node_package(name: str, version: str) -> Path:
    """The folder of the npm package `name` in exactly that version, installed without its scripts if it is not there.

    Skips the test, with the reason, where node, npm or the registry is absent. The first install takes 15 s with an
    empty cache of npm and 2 s with a filled one; workers that install at the same time do not meet.
    """
    if missing := [program for program in ("node", "npm") if shutil.which(program) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed: {name} needs it")
    home = CACHE / f"{re.sub('[^a-z0-9.-]', '_', name)}-{version}"
    if not home.is_dir() and (reason := _install(name, version, home)):
        pytest.skip(f"npm could not install {name}@{version}: {reason}")
    return home / "node_modules" / name


def node(package: Path, code: str, given: Any = None) -> Any:
    """What the JavaScript `code` answers: the body of an async function of `pkg`, the package, and `given`, which are JSON."""
    script = (
        "const fs = require('fs'); const pkg = require(process.argv[1]);"
        "const given = JSON.parse(fs.readFileSync(0, 'utf8'));"
        f"(async () => {{ {code} }})().then(it => process.stdout.write('\\n' + JSON.stringify(it ?? null)),"
        " error => { console.error(error); process.exitCode = 1; });"
    )
    process = subprocess.run(
        ["node", "-e", script, str(package)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.rpartition("\n")[2])  # a package may print before


@functools.cache
def _install(name: str, version: str, home: Path) -> str:
    """Why it could not be installed, or nothing. Its folder appears when it is whole."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "made"
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefer-offline")
        command = ["npm", "install", *options, "--fetch-retries=0", "--prefix", made, f"{name}@{version}"]
        made.mkdir()
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return f"no answer within {SECONDS} s"
        if process.returncode:
            return " ".join(process.stderr.split())[:300] or f"status {process.returncode}"
        try:
            made.rename(home)
        except OSError:
            if not home.is_dir():  # else another worker was faster
                raise
    return ""
