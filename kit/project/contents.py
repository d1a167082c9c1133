"""Whether a notebook can be exported, and what goes with it: the modules beside it, packages, settings.

Read from the code, without running it. What cannot be exported is a `NotebookError` that names the cell.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from kit.errors import ExportError
from kit.names import HOME_OF
from kit.notebook.environment import settings_of
from kit.notebook.modules import (
    Code,
    code_of,
    code_with_modules,
    imports_of,
    is_main,
    neighbour,
    run_on_import,
)
from kit.notebook.setting import Setting
from kit.notebook.source import Notebook
from kit.project import leaks
from kit.project.requirements import is_installed
from kit.project.wheel import SERVING, is_ours

# What a notebook calls to try a plugin out, and a server must not.
_NOTEBOOK_ONLY = {"kit": ("serve", "chatgpt", "watch"), "uvicorn": ("run",)}
_DATA = (".db", ".sqlite", ".sqlite3")  # databases: on the server DATABASE_URL names one
_PRIVATE = (*_DATA, ".pem", ".key", ".p12", ".env")
_OPENERS = ("StaticFiles", "Jinja2Templates", "listdir", "scandir", "walk")


class Exportable:
    """What an export of this notebook consists of. `reserved` are the names of the files that the export writes.

    Raises `NotebookError`, naming the cell, for a magic, a name from an unmarked cell, a missing import, a secret,
    a path on this machine, and a server that the cell itself would start.
    """

    def __init__(self, notebook: Notebook, include: Iterable[str] = (), reserved: Iterable[str] = ()) -> None:
        notebook.check()
        self.notebook = notebook
        self.folder = notebook.path.resolve().parent
        self._reserved = set(reserved)
        # by relative name
        self.files = {name: data for path in include for name, data in self._included(path)}
        self.code = code_of(notebook)
        self.modules: set[str] = set()  # imported from packages
        for code in self.code:  # grows: a module beside the notebook imports others
            self._follow(code)
        for code in self.code:
            self._check(code)
        if any(HOME_OF.get(name, name) == "plugin.jwt" for name in self._kit_names()):
            self.modules.add("joserfc")
        if self.uses_database:
            self.modules.add("sqlmodel")
        self.neighbours = {name.partition("/")[0].removesuffix(".py") for name in self.files}

    @property
    def uses_whole_kit(self) -> bool:
        """Whether the code uses more of the kit than a server needs, such as a plugin that installs another."""
        homes = {HOME_OF.get(name, name).partition(".")[0] for name in self._kit_names()}
        return not homes.issubset({"__version__", *SERVING})

    @property
    def uses_database(self) -> bool:
        """Whether it uses `kit.database`, which without DATABASE_URL is a file of SQLite."""
        return any(HOME_OF.get(name, name) == "plugin.databases" for name in self._kit_names())

    @property
    def has_database(self) -> bool:
        """Whether DATABASE_URL says where its data is."""
        return self.uses_database or any("DATABASE_URL" in it.names for it in self.settings)

    @cached_property
    def settings(self) -> list[Setting]:
        """The environment variables that the code reads."""
        return settings_of(code_with_modules(self.notebook))

    @property
    def left_behind(self) -> list[str]:
        """A sentence for each file beside the notebook that the code names and the export leaves out."""
        notes = {}
        for code in self.code:
            for node in ast.walk(code.tree):
                text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                text = text.removeprefix("sqlite:///")
                if isinstance(node, ast.Call) and (folder := _folder_opened(node)):
                    text = folder if (self.folder / folder).is_dir() else ""
                elif not _is_file_name(text) or not (self.folder / text).is_file():
                    continue
                if not text or any(name == text or name.startswith(f"{text}/") for name in self.files):
                    continue
                place = code.place(getattr(node, "lineno", 1))
                if Path(text).suffix in _DATA:
                    notes[text] = f"{place} names {text}: its data stays here, the server starts with none."
                else:
                    notes[text] = f"{place} names {text}, which is left out. {including(text)} adds it."
        return list(notes.values())

    def _included(self, path: str) -> Iterator[tuple[str, bytes]]:
        source = (self.folder / path).resolve()
        files = [source] if source.is_file() else self._inside(source)
        if not files or not source.is_relative_to(self.folder):
            raise self.notebook.refusal(
                f"There is no file {path} beside {self.notebook.path}.",
                "Write the paths in include= relative to the notebook.",
            )
        for file in files:
            name = file.relative_to(self.folder).as_posix()
            yield name, self._checked(name, file.read_bytes())

    def _inside(self, package: Path) -> list[Path]:
        """The files of a folder, without caches and private ones."""
        return [
            path
            for path in sorted(package.rglob("*"))
            if is_ours(path, package) and path.suffix not in (".pyc", *_PRIVATE)
        ]

    def _checked(self, name: str, data: bytes) -> bytes:
        """The content of a file that is copied as it is."""
        if name in self._reserved:
            raise self.notebook.refusal(
                f"{name} beside the notebook has the name of a file that the export writes.", "Rename it."
            )
        leak = leaks.form_in(data.decode("utf-8", errors="replace"))
        if leak or Path(name).suffix in _PRIVATE:
            where = f", line {leak[0]}" if leak else ""
            raise self.notebook.refusal(
                f"{name}{where} looks like a secret.", "Leave it out, and read it from os.environ."
            )
        return data

    def _follow(self, code: Code) -> None:
        """Adds the modules that this code imports from beside the notebook."""
        for module, line, is_optional in imports_of(code.tree):
            parts = module.split(".")
            if parts[0] in sys.stdlib_module_names or parts[0] == "kit":
                continue
            neighbours = self._neighbour(parts)
            for name in neighbours:
                if name not in self.files:
                    data = self._checked(name, (self.folder / name).read_bytes())
                    self.files[name] = data
                    if name.endswith(".py"):
                        self.code.append(self._parsed(name, data))
            if neighbours:
                continue
            if (is_optional and "." in module) or is_installed(module):
                self.modules.add(module)
            elif not is_optional:
                problem = f"imports {parts[0]!r}, which is not installed"
                remedy = f"Install the package that provides {parts[0]!r} in this environment."
                raise self._error(code, line, problem, remedy)

    def _neighbour(self, parts: list[str]) -> list[str]:
        """The files of a module beside the notebook: one, or a whole package."""
        found = neighbour(self.folder, parts)
        files = [] if found is None else [found] if found.is_file() else self._inside(found)
        return [path.relative_to(self.folder).as_posix() for path in files]

    def _parsed(self, name: str, data: bytes) -> Code:
        try:
            return Code(data.decode(), ast.parse(data), file=name)
        except (SyntaxError, ValueError) as error:
            problem = f"{name} beside the notebook is not Python: {error}."
            raise self.notebook.refusal(problem, "Fix it.") from None

    def _check(self, code: Code) -> None:
        if leak := leaks.secret_in(code.source):
            remedy = "Read it from os.environ. If it is not one, end the line with the comment `# public`."
            raise self._error(code, leak[0], f"has what looks like a secret: {leak[1]}", remedy)
        if leak := leaks.path_in(code.source, self.folder, Path.cwd()):
            remedy = "Write a path relative to the app, or read it from os.environ."
            raise self._error(code, leak[0], "names a folder of this machine", remedy)
        if code.cell is None:
            return
        for statement in code.tree.body:
            for node in run_on_import(statement):
                if isinstance(node, ast.Call) and (function := self._notebook_only(node)):
                    problem = f"calls {function}, which a server has no use for"
                    remedy = "Move that line to a cell without `#| export`."
                    raise self._error(code, node.lineno, problem, remedy)

    def _notebook_only(self, call: ast.Call) -> str:
        """`kit.serve` and the like, whatever name the notebook calls it by."""
        for module, names in _NOTEBOOK_ONLY.items():
            for name in names:
                if ast.unparse(call.func) in self._aliases(module, name):
                    return f"{module}.{name}"
        return ""

    def _aliases(self, module: str, name: str) -> set[str]:
        aliases = set()
        for code in self.code:
            for node in ast.walk(code.tree):
                if isinstance(node, ast.Import):
                    aliases |= {f"{it.asname or it.name}.{name}" for it in node.names if it.name == module}
                elif isinstance(node, ast.ImportFrom) and node.module == module:
                    aliases |= {it.asname or it.name for it in node.names if it.name == name}
        return aliases

    def _kit_names(self) -> Iterator[str]:
        """The names of the kit that the code uses: `kit.NAME`, `from kit import NAME`, `from kit.NAME import`."""
        # A cell uses what another cell imported.
        aliases = {
            alias.asname or "kit"
            for code in self.code
            for node in ast.walk(code.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.partition(".")[0] == "kit"
        }
        for code in self.code:
            body = [statement for statement in code.tree.body if not is_main(statement)]
            for node in ast.walk(ast.Module(body, [])):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if node.value.id in aliases:
                        yield node.attr
                elif isinstance(node, ast.ImportFrom) and node.module == "kit":
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kit."):
                    yield str(node.module).removeprefix("kit.")
                elif isinstance(node, ast.Import):
                    names = (alias.name for alias in node.names)
                    yield from (name.removeprefix("kit.") for name in names if name.startswith("kit."))

    def _error(self, code: Code, line: int, problem: str, remedy: str) -> ExportError:
        text = "" if "secret" in problem else f": {code.source.splitlines()[line - 1].strip()}"
        cell = code.cell
        # not `place`: the first line of the cell may be the secret
        number = "" if self.notebook.is_plain or not cell else f"Cell {cell.number} of "
        where = f"{number}{self.notebook.path}" if cell else f"{code.file} beside the notebook"
        return self.notebook.refusal(f"{where}, line {line}, {problem}{text}", remedy, cell=cell)


def including(name: str) -> str:
    """How to include a file beside the notebook, in a cell and on the command line."""
    return f"include=[{name!r}] (--include {name})"


def _folder_opened(call: ast.Call) -> str:
    """The folder beside the notebook that `StaticFiles(directory="static")` and the like name."""
    if ast.unparse(call.func).rpartition(".")[2] not in _OPENERS:
        return ""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "directory")]
    texts = (it.value for it in arguments if isinstance(it, ast.Constant) and isinstance(it.value, str))
    return next((text for text in texts if text and not text.startswith((".", "/", "~"))), "")


def _is_file_name(text: str) -> bool:
    is_plain = 0 < len(text) < 200 and "\n" not in text and not text.startswith(("/", "~"))
    return is_plain and ".." not in text and Path(text).suffix not in ("", ".py", ".ipynb")
