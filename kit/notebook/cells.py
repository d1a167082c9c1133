"""The code cells of a file: of a notebook, of Python with cells (Jupytext's, marimo's), or of plain Python, which is one cell.

In a notebook the cells that begin with `#| export` are the plugin. In a Python file without any such line all of it is.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit.errors import NotebookError
from kit.notebook.names import UNREADABLE
from kit.openapi.documents import read_json

_MARKER = re.compile(r"^\s*#\s*\|\s*exporti?s?\b")  # nbdev's
# Jupytext's formats (jupytext.readthedocs.io, "Formats"): percent, which VS Code and Spyder have too, and light
_PERCENT = re.compile(r"^# ?%%(?P<about>.*)$", re.MULTILINE)
_LIGHT = re.compile(r"^# [+-](?P<about>[ \t].*|)$", re.MULTILINE)
_IS_LIGHT = re.compile(r"^# \+(?:\s|$)", re.MULTILINE)
_NO_CODE = re.compile(r"\[(?:markdown|md|raw)\]")
PLAIN = 0  # the number of what is no cell
_MARIMO = re.compile(r"^app = marimo\.App\(", re.MULTILINE)


@dataclass
class SourceCell:
    """One code cell. `number` counts all cells of the file from 1, as JupyterLab's status bar does."""

    number: int
    source: str
    is_exported: bool

    @property
    def first_line(self) -> str:
        """The first line of code, which identifies the cell."""
        lines = (line.strip() for line in self.source.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")

    def __str__(self) -> str:
        return f"cell {self.number} ({self.first_line[:60]!r})"


def read_cells(path: Path) -> list[SourceCell]:
    """The code cells of a `.ipynb` or `.py` file. Raises `NotebookError` for a file that is neither."""
    try:
        data = path.read_bytes()
    except OSError as error:
        siblings = sorted(file.name for file in path.parent.glob(f"*{path.suffix}"))[:9]
        raise _error(
            path,
            f"{path} cannot be read: {error.strerror}.",
            f"Beside it: {', '.join(siblings)}." if siblings else "Check the path.",
        ) from None
    if path.suffix != ".py":
        return _of_notebook(path, data)
    cells = _of_python(path, _decoded(path, data))
    if not any(cell.is_exported for cell in cells):
        cells = [replace(cell, is_exported=True) for cell in cells]
    return cells


def has_cells(path: Path) -> bool:
    """Whether a Python file is a notebook: its cells run one by one, and its marked ones are the plugin."""
    text = _decoded(path, path.read_bytes())
    return any(form.search(text) for form in (_MARIMO, _PERCENT, _IS_LIGHT))


def _of_notebook(path: Path, data: bytes) -> list[SourceCell]:
    try:
        document = read_json(data)
    except ValueError as error:
        problem = f"{path} is not a notebook: it {error}."
        raise _error(path, problem, "Open it in Jupyter and save it again.") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        old = isinstance(document, dict) and "worksheets" in document
        problem = f"{path} is {'a notebook of format 3' if old else 'not a notebook: it has no cells'}."
        raise _error(path, problem, "Open it in Jupyter and save it again: that writes format 4.")
    return [
        SourceCell(number, source, _is_marked(source))
        for number, cell in enumerate(cells, 1)
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
        for source in [_text(cell.get("source"))]
    ]


def _of_python(path: Path, text: str) -> list[SourceCell]:
    if _MARIMO.search(text):
        sources = enumerate(_of_marimo(path, text), 1)
    elif form := next((it for it in (_PERCENT, _IS_LIGHT) if it.search(text)), None):
        sources = enumerate(_split(text, _PERCENT if form is _PERCENT else _LIGHT), 1)
    else:
        sources = enumerate([_without_main(text)], PLAIN)
    return [
        SourceCell(number, source, _is_marked(source))
        for number, source in sources
        if source.strip() or number == PLAIN
    ]


def _split(text: str, form: re.Pattern[str]) -> Iterator[str]:
    """The text between two lines that begin a cell; "" where there is no code."""
    about, start = "", 0
    for match in form.finditer(text):
        yield "" if _NO_CODE.search(about) else text[start : match.start()]
        about, start = match["about"], match.end()
    yield "" if _NO_CODE.search(about) else text[start:]


def _without_main(text: str) -> str:
    """The text with what runs only as a script blanked, so that all lines keep their numbers."""
    try:
        body = ast.parse(text).body
    except UNREADABLE:
        return text  # said where it is run
    lines = text.splitlines(keepends=True)
    for node in body:
        if isinstance(node, ast.If) and "__name__" in (test := ast.unparse(node.test)) and "__main__" in test:
            lines[node.lineno - 1 : node.end_lineno] = ["\n"] * (
                (node.end_lineno or node.lineno) - node.lineno + 1
            )
    return "".join(lines)


# -- marimo ---------------------------------------------------------------------------


def _of_marimo(path: Path, text: str) -> list[str]:
    """The cells of a marimo notebook, in the order in which they need each other: what a function takes, another returns."""
    try:
        tree = ast.parse(text)
    except UNREADABLE as error:
        why = getattr(error, "msg", None) or str(error)
        raise _error(path, f"{path} is not Python: {why}.", "Fix the file.") from None
    waiting = [cell for node in tree.body if (cell := _marimo_cell(text, node))]
    defined: set[str] = set()
    known = {name for _, _, names in waiting for name in names}
    cells = []
    while waiting:
        ready = next((cell for cell in waiting if cell[1] & known <= defined), None)
        if ready is None:
            names = ", ".join(sorted({name for _, needs, _ in waiting for name in needs & known - defined}))
            raise _error(
                path, f"The cells of {path} need each other in a circle: {names}.", "Open it in marimo."
            )
        waiting.remove(ready)
        cells.append(ready[0])
        defined |= ready[2]
    return cells


def _marimo_cell(text: str, node: ast.stmt) -> tuple[str, set[str], set[str]] | None:
    """The source of a cell, the names it takes, and those it defines; None for what is no cell."""
    lines = text.splitlines(keepends=True)
    if isinstance(node, ast.With) and ast.unparse(node.items[0].context_expr).startswith("app.setup"):
        return _dedented(lines, node.body), set(), {name for part in node.body for name in _bound(part)}
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    kind = next((ast.unparse(it).partition("(")[0] for it in node.decorator_list), "")
    if kind in ("app.function", "app.class_definition"):
        return "".join(lines[node.lineno - 1 : node.end_lineno]), set(), {node.name}
    if kind != "app.cell" or isinstance(node, ast.ClassDef):
        return None
    body, returned = node.body, set()
    if isinstance(body[-1], ast.Return):
        value = body[-1].value
        returned = {it.id for it in ast.walk(value) if isinstance(it, ast.Name)} if value else set()
        body = body[:-1]
    return _dedented(lines, body), {it.arg for it in node.args.args}, returned


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(it.asname or it.name).partition(".")[0] for it in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {it.id for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}


def _dedented(lines: list[str], body: list[ast.stmt]) -> str:
    """The lines of a block, with the comments above its first statement, and without its indent."""
    if not body:
        return ""
    first = min([body[0].lineno, *(it.lineno for it in getattr(body[0], "decorator_list", []))])
    start = first - 1
    while start > 0 and lines[start - 1].strip().startswith("#"):
        start -= 1
    indent = body[0].col_offset
    return "".join(
        line[indent:] if not line[:indent].strip() else line for line in lines[start : body[-1].end_lineno]
    )


# -- texts ----------------------------------------------------------------------------


def _decoded(path: Path, data: bytes) -> str:
    """Python as Python decodes it, by the coding line or as UTF-8."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding).read().removeprefix("\ufeff")
    except (SyntaxError, UnicodeDecodeError) as error:
        raise _error(path, f"{path} is not Python: {error}.", "Save it as UTF-8.") from None


def _text(source: Any) -> str:
    """The source of a cell, which nbformat keeps as a text or as lines, without a byte order mark."""
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str)).removeprefix("\ufeff")


def _is_marked(source: str) -> bool:
    """Whether the marker stands among the lines before the first line of code."""
    for line in source.splitlines():
        if _MARKER.match(line):
            return True
        if line.strip() and not line.lstrip().startswith(("#", "%%")):
            return False
    return False


def _error(path: Path, problem: str, remedy: str) -> NotebookError:
    return NotebookError(problem, remedy, notebook=str(path), cell=None)
