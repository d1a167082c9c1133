"""Whether a notebook can be exported, and what it takes along: the modules beside it, packages, settings.

Read off the code, without running it. What cannot be exported is a `NotebookError` that names the cell.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ExportError
from kit.names import HOME_OF
from kit.notebook.source import Notebook, SourceCell
from kit.project import leaks
from kit.project.requirements import imports_of, is_installed
from kit.project.wheel import SERVING

# What belongs to the notebook that tries a plugin out, not to the server.
_NOTEBOOKS = {"kit": ("serve", "chatgpt", "watch"), "uvicorn": ("run",)}
_DATA = (".db", ".sqlite", ".sqlite3")  # a database: its place is DATABASE_URL
_PRIVATE = (*_DATA, ".pem", ".key", ".p12", ".env")
_REMEDY = "Move that line to a cell without `#| export`."


@dataclass(frozen=True)
class Code:
    """One piece of Python that goes into the export: a cell, or a module beside the notebook."""

    source: str
    tree: ast.Module
    cell: SourceCell | None = None
    file: str = ""  # relative to the notebook

    def place(self, line: int) -> str:
        return f"{f'Cell {self.cell.number}' if self.cell else self.file}, line {line}"


class Exportable:
    """What an export of this notebook consists of. `reserved` are the names of files that the export writes.

    Raises `NotebookError`, naming the cell, for a magic, a name of an unmarked cell, a missing import, a secret,
    a path of this machine, and a server that the cell itself would start.
    """

    def __init__(self, notebook: Notebook, include: Iterable[str] = (), reserved: Iterable[str] = ()) -> None:
        notebook.check()
        self.notebook = notebook
        self.folder = notebook.path.resolve().parent
        self._reserved = set(reserved)
        self.files = {
            name: data for given in include for name, data in self._included(given)
        }  # by relative name
        self.code = [Code(cell.source, ast.parse(cell.source), cell) for cell in notebook.exported]
        self.modules: set[str] = set()  # what is imported from packages
        for code in self.code:  # grows: a module beside the notebook imports others
            self._follow(code)
        for code in self.code:
            self._check(code)
        self.neighbours = {name.partition("/")[0].removesuffix(".py") for name in self.files}

    @property
    def uses_whole_kit(self) -> bool:
        """Whether the code uses more of the kit than a server needs: a plugin that itself installs another."""
        homes = {HOME_OF.get(name, name).partition(".")[0] for name in self._kits_names()}
        return not homes.issubset({"__version__", *SERVING})

    @property
    def has_database(self) -> bool:
        """Whether it uses `kit.database`."""
        return any(HOME_OF.get(name, name) == "plugin.databases" for name in self._kits_names())

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that the code reads, each with the place of its first reading."""
        found: dict[str, str] = {}
        for code in self.code:
            for node in ast.walk(code.tree):
                if (name := _variable(node)) and name != "DATABASE_URL":
                    found.setdefault(name, code.place(getattr(node, "lineno", 1)))
        return dict(sorted(found.items()))

    @property
    def needed_variables(self) -> set[str]:
        """Those of them that it cannot do without: os.environ["X"]."""
        nodes = (node for code in self.code for node in ast.walk(code.tree))
        return {_variable(node) for node in nodes if isinstance(node, ast.Subscript)} - {""}

    @property
    def left_behind(self) -> list[str]:
        """A sentence for each file beside the notebook that the code names and that does not come along."""
        told = {}
        for code in self.code:
            for node in ast.walk(code.tree):
                text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                text = text.removeprefix("sqlite:///")
                if isinstance(node, ast.Call) and (folder := _folder_opened(node)):
                    text = folder if (self.folder / folder).is_dir() else ""
                elif not _is_name_of_file(text) or not (self.folder / text).is_file():
                    continue
                if not text or any(name == text or name.startswith(f"{text}/") for name in self.files):
                    continue
                place = code.place(getattr(node, "lineno", 1))
                if Path(text).suffix in _DATA:
                    told[text] = f"{place} names {text}: its data stays here, the server starts with none."
                else:
                    told[text] = (
                        f"{place} names {text}, which stays behind. {including(text)} takes it along."
                    )
        return list(told.values())

    def _included(self, given: str) -> Iterator[tuple[str, bytes]]:
        place = (self.folder / given).resolve()
        files = [place] if place.is_file() else self._inside(place)
        if not files or not place.is_relative_to(self.folder):
            raise self.notebook.refusal(
                f"There is no file {given} beside {self.notebook.path}.",
                "Give the names in include= relative to the notebook.",
            )
        for file in files:
            name = file.relative_to(self.folder).as_posix()
            yield name, self._harmless(name, file.read_bytes())

    def _inside(self, package: Path) -> list[Path]:
        """The files of a folder, caches and what is private left out."""
        found = (path for path in sorted(package.rglob("*")) if path.is_file())
        return [
            path
            for path in found
            if not any(
                part.startswith(".") or part == "__pycache__" for part in path.relative_to(package).parts
            )
            and path.suffix not in (".pyc", *_PRIVATE)
        ]

    def _harmless(self, name: str, data: bytes) -> bytes:
        """The content of a file that goes along as it is."""
        if name in self._reserved:
            raise self.notebook.refusal(
                f"{name} beside the notebook has the name of a file that the export makes.", "Rename it."
            )
        text = data.decode("utf-8", errors="replace")
        found = leaks.form_in(text)
        if found or Path(name).suffix in _PRIVATE:
            where = f", line {found[0]}" if found else ""
            raise self.notebook.refusal(
                f"{name}{where} looks like a secret.", "Leave it out, and read it from os.environ."
            )
        return data

    def _follow(self, code: Code) -> None:
        """Takes along the modules that this code imports from beside the notebook."""
        for module, line, is_optional in imports_of(code.tree):
            parts = module.split(".")
            if parts[0] in sys.stdlib_module_names or parts[0] == "kit":
                continue
            found = self._neighbour(parts)
            for name in found:
                if name not in self.files:
                    data = self._harmless(name, (self.folder / name).read_bytes())
                    self.files[name] = data
                    if name.endswith(".py"):
                        self.code.append(self._parsed(name, data))
            if found or (is_optional and "." in module):
                self.modules |= set() if found else {module}
            elif is_installed(module):
                self.modules.add(module)
            elif not is_optional:
                raise self._error(
                    code,
                    line,
                    f"imports {parts[0]!r}, which is not installed",
                    f"Install what brings {parts[0]!r} into this environment.",
                )

    def _neighbour(self, parts: list[str]) -> list[str]:
        """The files of a module beside the notebook: one, or a whole package."""
        package = self.folder / parts[0]
        if package.with_suffix(".py").is_file():
            return [f"{parts[0]}.py"]
        if not (package / "__init__.py").is_file() and not (
            package.is_dir() and self.folder.joinpath(*parts).with_suffix(".py").is_file()
        ):
            return []
        return [path.relative_to(self.folder).as_posix() for path in self._inside(package)]

    def _parsed(self, name: str, data: bytes) -> Code:
        try:
            return Code(data.decode(), ast.parse(data), file=name)
        except (SyntaxError, ValueError) as error:
            raise self.notebook.refusal(
                f"{name} beside the notebook is not Python: {error}.", "Fix it."
            ) from None

    def _check(self, code: Code) -> None:
        if found := leaks.secret_in(code.source):
            raise self._error(
                code,
                found[0],
                f"has what looks like a secret: {found[1]}",
                "Read it from os.environ. If it is not one, end the line with the comment `# public`.",
            )
        if found := leaks.path_in(code.source, self.folder, Path.cwd()):
            raise self._error(
                code,
                found[0],
                "names a folder of this machine",
                "Write a path relative to the app, or read it from os.environ.",
            )
        if code.cell is None:
            return
        for statement in code.tree.body:
            for node in _running(statement):
                if isinstance(node, ast.Call) and (called := self._starts(node)):
                    raise self._error(
                        code, node.lineno, f"calls {called}, which a server has no use for", _REMEDY
                    )

    def _starts(self, call: ast.Call) -> str:
        """`kit.serve` and its like, by whatever name the notebook has it."""
        for module, names in _NOTEBOOKS.items():
            for name in names:
                if ast.unparse(call.func) in self._aliases(module, name):
                    return f"{module}.{name}"
        return ""

    def _aliases(self, module: str, name: str) -> set[str]:
        found = set()
        for code in self.code:
            for node in ast.walk(code.tree):
                if isinstance(node, ast.Import):
                    found |= {f"{it.asname or it.name}.{name}" for it in node.names if it.name == module}
                elif isinstance(node, ast.ImportFrom) and node.module == module:
                    found |= {it.asname or it.name for it in node.names if it.name == name}
        return found

    def _kits_names(self) -> Iterator[str]:
        """The names of the kit that the code uses: `kit.NAME`, `from kit import NAME`, `from kit.NAME import`."""
        # A cell uses what another cell imported.
        called = {
            it.asname or "kit"
            for code in self.code
            for node in ast.walk(code.tree)
            if isinstance(node, ast.Import)
            for it in node.names
            if it.name.partition(".")[0] == "kit"
        }
        for code in self.code:
            body = [it for it in code.tree.body if not _is_main(it)]
            for node in ast.walk(ast.Module(body, [])):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if node.value.id in called:
                        yield node.attr
                elif isinstance(node, ast.ImportFrom) and node.module == "kit":
                    yield from (it.name for it in node.names)
                elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kit."):
                    yield str(node.module).removeprefix("kit.")
                elif isinstance(node, ast.Import):
                    yield from (
                        it.name.removeprefix("kit.") for it in node.names if it.name.startswith("kit.")
                    )

    def _error(self, code: Code, line: int, what: str, remedy: str) -> ExportError:
        text = "" if "secret" in what else f": {code.source.splitlines()[line - 1].strip()}"
        where = (
            f"Cell {code.cell.number} of {self.notebook.path}"
            if code.cell
            else f"{code.file} beside the notebook"
        )
        return self.notebook.refusal(f"{where}, line {line}, {what}{text}", remedy, cell=code.cell)


def including(name: str) -> str:
    """How a file beside the notebook comes along, in a cell and on the command line."""
    return f"include=[{name!r}] (--include {name})"


def _running(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported."""
    if _is_main(statement):
        return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _is_main(statement: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__":`, which no server runs."""
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _variable(node: ast.AST) -> str:
    """The name of the environment variable that this reads: os.environ["X"], os.environ.get("X"), os.getenv("X")."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        name, key = node.value, node.slice
    elif isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute | ast.Name):
        called = ast.unparse(node.func)
        if called.rpartition(".")[2] not in ("getenv",) and not called.endswith("environ.get"):
            return ""
        name, key = ast.Name("environ"), node.args[0]
    else:
        return ""
    is_environ = ast.unparse(name).rpartition(".")[2] == "environ"
    return key.value if is_environ and isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _folder_opened(call: ast.Call) -> str:
    """The folder beside the notebook that `StaticFiles(directory="static")` and its like name."""
    if ast.unparse(call.func).rpartition(".")[2] not in (
        "StaticFiles",
        "Jinja2Templates",
        "listdir",
        "scandir",
        "walk",
    ):
        return ""
    given = [*call.args, *(it.value for it in call.keywords if it.arg == "directory")]
    texts = (it.value for it in given if isinstance(it, ast.Constant) and isinstance(it.value, str))
    return next((text for text in texts if text and not text.startswith((".", "/", "~"))), "")


def _is_name_of_file(text: str) -> bool:
    is_plain = 0 < len(text) < 200 and "\n" not in text and not text.startswith(("/", "~"))
    return is_plain and ".." not in text and Path(text).suffix not in ("", ".py", ".ipynb")
