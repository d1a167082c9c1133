"""Tapes in notebooks: `%load_ext kit`, `%%record`, and one tape for each notebook in the folder that KIT_TAPES names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kit import jupyter
from kit.evals.tape import Tape, record


def load(shell: Any) -> None:
    """Adds `%%record [FILE]` to a notebook and, where KIT_TAPES names a folder, uses the notebook's tape in every cell."""
    open_tapes: dict[Path, Tape] = {}

    def run(line: str, cell: str) -> None:
        """%%record [FILE]: run the cell with a tape, the notebook's own if no file is named."""
        path = Path(line.strip() or f"{tape_folder() / notebook_name(cell)}.yaml")
        if path not in open_tapes:
            open_tapes[path] = record(path)
        with open_tapes[path]:  # one tape for several cells: those that come later add to it
            shell.run_cell(cell).raise_error()

    shell.register_magic_function(run, magic_kind="cell", magic_name="record")
    if os.environ.get("KIT_TAPES"):
        record(tape_folder() / f"{notebook_name()}.yaml").__enter__()  # for as long as the kernel lives


def tape_folder() -> Path:
    """Where the tapes of notebooks are: KIT_TAPES, else `tapes` beside them."""
    return Path(os.environ.get("KIT_TAPES") or "tapes")


def notebook_name(source: str = "") -> str:
    """The name of the running notebook: as Jupyter says, else that of the file here which holds the running cell."""
    session = os.environ.get("JPY_SESSION_NAME")
    if session:
        return Path(session).stem
    cell = jupyter.running_cell()
    wanted = (source or (cell.source if cell else "")).strip()
    for file in sorted(Path().glob("*.ipynb")):
        try:
            cells = json.loads(file.read_text(encoding="utf-8")).get("cells", [])
            if wanted and any(wanted in "".join(it.get("source", "")) for it in cells):
                return file.stem
        except (OSError, ValueError, AttributeError):
            continue  # another program's file: it is not this notebook
    return "notebook"
