"""Executes the notebooks and keeps their outputs: `python tests/notebooks.py` after changing any of them.

What differs from run to run is fixed, so that executing again changes nothing: ports, times,
execution metadata. `--check` writes nothing, shows what differs, and exits with 1 if an output in the repository is stale.

`--record` writes what a model answers to the tapes in tests/tapes instead, from which nbmake runs the notebooks. The model
is the understudy in a process of its own: a server that is asked with a key.
"""

from __future__ import annotations

import difflib
import os
import re
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
TAPES = Path(__file__).parent / "tapes"
LONGEST = 400  # characters shown of a line that differs
TIMES = re.compile(r"\b(\d+ ms|\d+\.\d s)\b")
FIXED: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"(127\.0\.0\.1|localhost)(:|%3A)\d{4,5}"), r"\1\g<2>3333"),
    (re.compile(r"token=[\w-]{22}"), "token=123"),
    (re.compile(r"(?<=[;,\w]) (\d+ ms|\d+\.\d s)\b"), " 1 ms"),  # in a sentence; a column keeps its width:
    (
        re.compile(r" *\b(\d+ ms|\d+\.\d s)\b"),
        lambda match: "1 ms".rjust(len(match[0]) if match[0][0] == " " else 0),
    ),
    (
        re.compile(r"(?<=data:image/svg\+xml,)[^\"]*"),
        lambda match: quote(TIMES.sub("1 ms", unquote(match[0])), safe="/:=,;()"),
    ),
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{32}\b"), "0" * 32),  # a request's id
]


def execute(path: Path) -> Any:
    """The notebook, run in a kernel of its own, its outputs fixed."""
    notebook = nbformat.read(path, as_version=4)
    outputs = {cell.id: cell.get("outputs") for cell in notebook.cells}
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # What is measured differs each time: the outputs that are there stay.
            kept = outputs.get(cell.id) if "measured" in cell.metadata.get("tags", []) else None
            cell.outputs = kept or [_fixed(output) for output in _merged(cell.outputs)]
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def _merged(outputs: list[Any]) -> list[Any]:
    """Neighbouring pieces of one stream as one: how they are cut is chance."""
    merged: list[Any] = []
    for output in outputs:
        same = merged and output.output_type == "stream" and merged[-1].get("name") == output.name
        if same:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _fixed(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, word in FIXED:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, list):
        return [_fixed(item) for item in value]
    if isinstance(value, dict):
        return nbformat.NotebookNode({key: _fixed(item) for key, item in value.items()})
    return value


def record(paths: list[Path]) -> None:
    """Executes notebooks with a model that wants a key, and keeps its answers on tapes, on which the key is not."""
    planted = {
        "OPENAI_API_KEY": f"sk-{secrets.token_hex(20)}",
        "OPENAI_ORG_ID": f"org-{secrets.token_hex(12)}",
    }
    command = [sys.executable, "-m", "kit", "understudy", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        try:
            assert model.stdout
            url = next(word for line in model.stdout for word in re.findall(r"http://\S+/v1", line))
            os.environ |= {**planted, "OPENAI_BASE_URL": url, "KIT_TAPES": str(TAPES), "KIT_RECORD": "all"}
            for path in paths:
                os.environ["JPY_SESSION_NAME"] = str(path)  # by which the tape is named
                execute(path)
        finally:
            model.terminate()
    for tape in TAPES.glob("*.yaml"):
        assert not [it for it in planted.values() if it in tape.read_text()], f"{tape} has the key"


def main() -> int:
    """Executes all notebooks, or those that the command line names."""
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        os.environ.pop(name, None)
    os.environ["KIT_STRICT"] = "1"  # a chat whose call fails, or that calls nothing unexpectedly, is an error
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    paths = [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb"))
    if "--record" in sys.argv:
        record(paths)
        return 0
    stale = []
    with ThreadPoolExecutor(2) as pool:
        executed = pool.map(execute, paths)  # in this order: 08 tells that 04 has left a database
    for path, notebook in zip(paths, executed, strict=True):
        before = path.read_text()
        after = nbformat.writes(notebook) + "\n"
        if before != after:
            stale.append(path.name)
        if "--check" in sys.argv:
            for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0):
                print(line[:LONGEST])
        else:
            path.write_text(after)
        print(f"{path.name}: {'changed' if before != after else 'as it was'}")
    if stale and "--check" in sys.argv:
        print(f"Stale: {', '.join(stale)}. Run `python tests/notebooks.py` and look at the difference.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
