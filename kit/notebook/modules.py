"""The code of a plugin, read without running it: its exported cells, and the modules beside it that they import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from kit.notebook.cells import SourceCell
from kit.notebook.names import UNREADABLE
from kit.notebook.source import Notebook


@dataclass(frozen=True)
class Code:
    """One piece of Python: a cell, or a module beside the notebook."""

    source: str
    tree: ast.Module
    cell: SourceCell | None = None
    file: str = ""  # relative to the notebook

    @property
    def module(self) -> str:
        """The last part of its module's name."""
        path = Path(self.file)
        return path.parent.name if path.stem == "__init__" else path.stem

    def place(self, line: int) -> str:
        return f"{f'Cell {self.cell.number}' if self.cell and self.cell.number else self.file}, line {line}"


def code_of(notebook: Notebook) -> list[Code]:
    """The exported cells. The notebook must have passed its `check`."""
    file = notebook.path.name
    return [Code(cell.source, ast.parse(cell.source), cell, file) for cell in notebook.exported]


def code_with_modules(notebook: Notebook) -> list[Code]:
    """The exported cells, and the modules beside the notebook that they import, in turn. What is not Python is left out."""
    found, folder = code_of(notebook), notebook.path.resolve().parent
    seen: set[Path] = {notebook.path.resolve()}
    for code in found:  # grows
        for module in _imported(code):
            for path in _files(folder, module.split(".")):
                if path in seen:
                    continue
                seen.add(path)
                try:
                    source = path.read_text(encoding="utf-8")
                    tree = ast.parse(source)
                except (OSError, *UNREADABLE):
                    continue  # said where it is imported
                found.append(Code(source, tree, file=path.relative_to(folder).as_posix()))
    return found


def neighbour(folder: Path, parts: list[str]) -> Path | None:
    """What a module's name means in this folder: a file, or the folder of its package; None if nothing there is called so."""
    package = folder / parts[0]
    if package.with_suffix(".py").is_file():
        return package.with_suffix(".py")
    is_package = (package / "__init__.py").is_file()
    if is_package or (package.is_dir() and folder.joinpath(*parts).with_suffix(".py").is_file()):
        return package
    return None


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """Each module that the code imports, with its line, and whether the code works without it.

    `from a import b` gives `a` and `a.b`. Imports for type checkers only are left out.
    """
    skipped: set[int] = set()
    optional: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            skipped |= {id(inner) for part in node.body for inner in ast.walk(part)}
        elif _is_optional(node):
            optional |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in optional
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno, id(node) in optional
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, True


def run_on_import(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported."""
    if is_main(statement):
        return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def is_main(statement: ast.AST) -> bool:
    """Whether this is `if __name__ == "__main__":`, which no server runs."""
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _is_optional(node: ast.AST) -> TypeGuard[ast.Try | ast.With]:
    """Whether what is imported in it may be missing."""
    if isinstance(node, ast.With):
        return bool(re.search(r"suppress\(.*(Import|NotFound)Error", ast.unparse(node.items[0])))
    return isinstance(node, ast.Try) and any(_catches_import(handler) for handler in node.handlers)


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {ast.unparse(kind) for kind in getattr(handler.type, "elts", [handler.type])}
    return not names.isdisjoint({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _imported(code: Code) -> Iterator[str]:
    """The modules that it imports, those relative to its own package too."""
    yield from (module for module, _, _ in imports_of(code.tree))
    package = Path(code.file).parent.parts
    for node in ast.walk(code.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _files(folder: Path, parts: list[str]) -> Iterator[Path]:
    """The files of this folder that importing a module runs: its own, and those of the packages it is in."""
    path = folder
    for part in parts:
        path = path / part
        yield from (file for file in (path.with_name(f"{part}.py"), path / "__init__.py") if file.is_file())
