"""A notebook as the source of a plugin: `load` runs the cells that begin with `#| export`, and only those.

The marker is nbdev's. Everything else in the notebook is exploration, and stays out.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import linecache
import sys
from pathlib import Path
from types import ModuleType

from kit import jupyter
from kit.errors import ExportError, KitError, NotebookError
from kit.notebook.cells import PLAIN, SourceCell, read_cells
from kit.notebook.names import MAGIC, TOO_DEEP, UNREADABLE, defines_unseen, loosely_defined, names_of

_FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_PREDEFINED = {*dir(builtins), "__name__", "__file__", "__doc__", "__builtins__", "__annotations__"}
# Only Jupyter defines these; an exported cell must import them or do without.
_JUPYTER_NAMES = {"display", "get_ipython", "In", "Out"}


class Notebook:
    """The code cells of a `.ipynb` or `.py` file. Raises `NotebookError` for one that is neither."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cells = read_cells(self.path)

    @property
    def is_plain(self) -> bool:
        """Whether it is a Python file without cells."""
        return [cell.number for cell in self.cells] == [PLAIN]

    @property
    def has_marks(self) -> bool:
        """Whether only some of it is the plugin."""
        return self.path.suffix == ".ipynb" or not all(cell.is_exported for cell in self.cells)

    def place(self, cell: SourceCell) -> str:
        """Where a cell is, at the beginning of a sentence."""
        return str(self.path) if self.is_plain else f"C{str(cell)[1:]} of {self.path}"

    @property
    def exported(self) -> list[SourceCell]:
        """The cells that are the plugin."""
        return [cell for cell in self.cells if cell.is_exported]

    def check(self) -> None:
        """Raises `NotebookError` for what cannot run without the notebook; runs nothing."""
        if not self.exported:
            raise self.error(
                f"No cell of {self.path} is marked as part of the plugin.",
                "Write `#| export` as the first line of each cell that is.",
            )
        parsed = [(cell, self._parsed(cell)) for cell in self.exported]
        if self.is_plain:
            return  # a name may come from anywhere, and no cell is left out
        defined = {name for _, (_, names, _) in parsed for name in names}
        is_dynamic = any(defines_unseen(tree) for _, (tree, _, _) in parsed)
        for cell, (_, _, used) in parsed:
            for name in sorted(used - defined - _PREDEFINED):
                origin = next((other for other in self.cells if name in loosely_defined(other.source)), None)
                if origin is not None or not is_dynamic:
                    raise self._missing_name(cell, name, origin)

    def run(self, name: str) -> ModuleType:
        """Runs the exported cells, in order, in a new module of that name, and returns it."""
        self.check()
        module = ModuleType(name, f"The exported cells of {self.path.name}.")
        module.__file__ = str(self.path)
        folder = str(self.path.resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)  # cells may import modules beside the notebook
        earlier = sys.modules.get(name)
        sys.modules[name] = module  # Pydantic looks annotations up there
        try:
            flags = 0
            for cell in self.exported:
                flags = self._run(cell, module, flags)
        except BaseException:
            del sys.modules[name]
            if earlier is not None:
                sys.modules[name] = earlier
            raise
        return module

    def _run(self, cell: SourceCell, module: ModuleType, flags: int) -> int:
        place = str(self.path.absolute()) if self.is_plain else f"{self.path.name}, {cell}"
        if not self.is_plain:
            linecache.cache[place] = (len(cell.source), None, cell.source.splitlines(keepends=True), place)
        # A cell inherits the futures of the cells before it, not those of this module.
        code = compile(cell.source, place, "exec", flags=flags, dont_inherit=True)
        try:
            with jupyter.loading_cell(self.path.name, cell.number, cell.source):
                exec(code, module.__dict__)  # noqa: S102 - what the author wrote is to run
        except KitError as error:
            raise self.error(
                f"{self.place(cell)} does not work: {error.problem}", error.remedy, cell=cell
            ) from error
        except NameError as error:
            later = [
                c for c in self.exported if c.number > cell.number and error.name in loosely_defined(c.source)
            ]
            if not later:
                raise self._cell_failed(cell, error, place) from error
            raise self.error(
                f"{self.place(cell)} uses {error.name!r}, which {later[0]} defines later.",
                "Move that cell up: the cells run from top to bottom.",
                cell=cell,
            ) from None
        except (Exception, SystemExit) as error:
            raise self._cell_failed(cell, error, place) from error
        return int(flags | (code.co_flags & _FUTURES))

    def _parsed(self, cell: SourceCell) -> tuple[ast.Module, set[str], set[str]]:
        for line in cell.source.splitlines():
            if line.lstrip().startswith("%%"):
                raise self._magic(cell, line)
            if line.strip() and not line.lstrip().startswith("#"):
                break
        try:
            tree = ast.parse(cell.source)
            compile(tree, str(self.path), "exec", dont_inherit=True)
            return tree, *names_of(cell.source, tree)
        except UNREADABLE as error:
            if not isinstance(error, SyntaxError):
                why = "is too deep" if isinstance(error, TOO_DEEP) else str(error)
                raise self.error(
                    f"{self.place(cell)} cannot be read by Python: {why}.",
                    "Split what is long into several statements; remove characters that are not text.",
                    cell=cell,
                ) from None
            lines = cell.source.splitlines() or [""]
            line = lines[min(error.lineno or 1, len(lines)) - 1]
            if MAGIC.match(line):
                raise self._magic(cell, line) from None
            remedy = "Fix the cell."
            if "outside function" in str(error.msg) and "await" in line:
                remedy = "A notebook awaits at the top of a cell; a server cannot. Put it in a function."
            raise self.error(
                f"{self.place(cell)} is not Python: {error.msg}, in line {error.lineno}: {line.strip()}",
                remedy,
                cell=cell,
            ) from None

    def _magic(self, cell: SourceCell, line: str) -> NotebookError:
        return self.error(
            f"{self.place(cell)} uses a magic, which only Jupyter understands: {line.strip()}",
            "Move that line to a cell without `#| export`.",
            cell=cell,
        )

    def _missing_name(self, cell: SourceCell, name: str, origin: SourceCell | None) -> NotebookError:
        if origin is not None:
            why, remedy = (
                f"which {origin} defines and which is not marked",
                f"Write `#| export` at the top of cell {origin.number}.",
            )
        elif name in _JUPYTER_NAMES:
            why, remedy = "which only Jupyter defines", "Move that line to a cell without `#| export`."
        else:
            why, remedy = "which no cell defines", "Define or import it in a cell marked `#| export`."
        return self.error(f"{self.place(cell)} needs {name!r}, {why}.", remedy, cell=cell)

    def _cell_failed(self, cell: SourceCell, error: BaseException, place: str) -> NotebookError:
        trace, number = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == place:
                number = trace.tb_lineno
            trace = trace.tb_next
        where = f", in line {number}: {cell.source.splitlines()[number - 1].strip()}" if number else ""
        remedy = "Fix the cell, or remove the marker if it is not part of the plugin."
        if isinstance(error, ModuleNotFoundError):
            remedy = f"Install the package that provides {error.name!r} in this environment."
        elif isinstance(error, FileNotFoundError):
            remedy = f"A relative path starts from the folder that the process was started in: {Path.cwd()}."
        return self.error(
            f"{self.place(cell)} raised {type(error).__name__}: {_message(error)}{where}",
            remedy,
            cell=cell,
        )

    def refusal(self, problem: str, remedy: str, cell: SourceCell | None = None) -> ExportError:
        """An error of the export that names the notebook."""
        return ExportError(
            problem, remedy, notebook=str(self.path), cell=cell.number or None if cell else None
        )

    def error(self, problem: str, remedy: str, cell: SourceCell | None = None) -> NotebookError:
        """An error about this notebook."""
        return NotebookError(
            problem, remedy, notebook=str(self.path), cell=cell.number or None if cell else None
        )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the error is the user's own class
        return "(its text cannot be shown)"
