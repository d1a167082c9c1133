"""Tapes in notebooks: `%load_ext kit`, `%%record`, and one tape for each notebook in the folder that KIT_TAPES names."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kit import jupyter
from kit.chat import client
from kit.evals.tape import Tape, record


def load(shell: Any) -> None:
    """Adds `%%record [FILE]` to a notebook and, where KIT_TAPES names a folder, uses the notebook's tape in every cell."""
    open_tapes: dict[Path, Tape] = {}

    def run(line: str, cell: str) -> None:
        """%%record [FILE]: run the cell with a tape, the notebook's own if no file is named."""
        path = Path(line.strip() or f"{tape_folder() / notebook_name(cell)}.yaml")
        if path not in open_tapes:
            open_tapes[path] = record(path)
        tape = open_tapes[path]  # one for several cells: those that come later add to it
        with nullcontext() if tape is client.tape else tape:
            shell.run_cell(cell).raise_error()

    shell.register_magic_function(run, magic_kind="cell", magic_name="record")
    if os.environ.get("KIT_TAPES"):
        path = tape_folder() / f"{notebook_name()}.yaml"
        open_tapes[path] = record(path)
        open_tapes[path].yields = True
        open_tapes[path].__enter__()  # for as long as the kernel lives


def tape_folder() -> Path:
    """Where the tapes of notebooks are: KIT_TAPES, else `tapes` beside them."""
    return Path(os.environ.get("KIT_TAPES") or "tapes")


def notebook_name(source: str = "") -> str:
    """The name of the running notebook: as Jupyter, VS Code or pytest say, else that of the file here with this cell."""
    shell = jupyter.shell()
    said = os.environ.get("JPY_SESSION_NAME") or (shell and shell.user_ns.get("__vsc_ipynb_file__"))
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]  # of nbmake
    if said or test.endswith(".ipynb"):
        return Path(said or test).stem
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
