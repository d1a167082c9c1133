"""The names that a cell defines and those it needs, from its code, without running it."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator

MAGIC = re.compile(r"^\s*(%{1,2}\w|!|\?|[\w.]+\?{1,2}\s*$)|^\s*[\w, ]+=\s*(%\w|!)")
# What Python raises for an expression that is too deep: SystemError is a fault of 3.11's, which comes now and then.
TOO_DEEP = (RecursionError, MemoryError, SystemError)
UNREADABLE = (SyntaxError, ValueError, *TOO_DEEP)  # a source may hold NUL and half a character, too
_TYPE_PARAMETERS = ("TypeVar", "ParamSpec", "TypeVarTuple")  # nodes of Python 3.12's `def f[T]`


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def names_of(source: str, tree: ast.AST) -> tuple[set[str], set[str]]:
    """The module-level names that a cell defines, and those that it uses, inside functions too."""
    top = symtable.symtable(source, "cell", "exec")
    defined, used = set(), set()
    for table in _tables(top):
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if (symbol.is_assigned() or symbol.is_imported()) and (
                table is top or symbol.is_declared_global()
            ):
                defined.add(name)
            if symbol.is_referenced() and (table is top or symbol.is_global()):
                used.add(name)
    # Under `from __future__ import annotations` the symbol table leaves these out; FastAPI reads them.
    type_parameters = {node.name for node in ast.walk(tree) if type(node).__name__ in _TYPE_PARAMETERS}  # type: ignore[attr-defined]
    for function in getattr(tree, "body", ()):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
            for annotation in (function.returns, *(parameter.annotation for parameter in parameters)):
                if annotation is not None:
                    used |= {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)} - type_parameters
    return defined, used


def defines_unseen(tree: ast.AST) -> bool:
    """Whether it may define names that its code does not show: by a star import, exec, globals()."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.Name) and node.id in ("exec", "globals", "vars", "locals"):
            return True
    return False


def loosely_defined(source: str) -> set[str]:
    """The names that a cell defines, ignoring its magics; none if the rest is not Python."""
    source = "\n".join("pass" if MAGIC.match(line) else line for line in source.splitlines())
    try:
        return names_of(source, ast.parse(source))[0]
    except UNREADABLE:
        return set()
