"""The `#| export` cells of a notebook as one Python file: `app.py`, formatted and its imports sorted by ruff.

The cells keep their order. The imports that come before any other code go to the top of the file.
"""

from __future__ import annotations

import ast
import re
import subprocess
import symtable
from collections.abc import Iterable
from itertools import takewhile

from kit.notebook.cells import SourceCell
from kit.notebook.source import Notebook

_DIRECTIVE = re.compile(r"^\s*#\s*\|")  # nbdev's and Quarto's


def app_source(notebook: Notebook, variable: str, is_plugin: bool, mcp: bool = False) -> str:
    """The text of `app.py`, whose `plugin` is the plugin or app that the notebook calls `variable`.

    With `mcp` it serves MCP too, on any server. The notebook must have passed its `check`. Raises `ExportError` if
    the notebook calls something else `plugin`.
    """
    end = "" if variable == "plugin" else f"plugin = {variable}"
    end = end if is_plugin else f"plugin = kit.Plugin.wrap({variable})"
    futures: set[str] = set()
    parts = [] if is_plugin else ["import kit"]
    parts += ["from kit.mcp.endpoint import add_mcp"] if mcp else []
    follows_import = True
    for cell in notebook.exported:
        if end and _defines(cell, "plugin"):
            raise notebook.refusal(
                f"{notebook.place(cell)} calls something `plugin`, which is what a server looks for.",
                f"Rename it, or give that name to {variable}.",
                cell=cell,
            )
        source = _without_futures(_without_directives(cell), futures)
        # A comment between two imports would move with the second one.
        imports, rest = _parted(source) if follows_import else ("", source)
        parts += [imports.strip()] if imports.strip() else []
        if rest.strip():
            heading = "" if notebook.is_plain else f"# Cell {cell.number}\n"
            parts.append(f"{heading}{rest.strip()}")
            last = ast.parse(rest).body[-1:]  # none in a cell with only a comment
            follows_import = any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in last)
    if end:
        parts.append(f"# `kit serve app.py` serves this\n{end}")
    if mcp:
        parts.append("# an MCP server at /mcp\nadd_mcp(plugin)")
    if futures:  # they must be first, and hold for the whole file
        parts.insert(0, f"from __future__ import {', '.join(sorted(futures))}")
    name = notebook.path.name.replace("\\", "/").replace('"', "'")
    parts.insert(0, f'"""The plugin of {name}, made by `kit export`: change it there and export again."""')
    return "\n\n\n".join(parts) + "\n"


def formatted(text: str, neighbours: Iterable[str] = ()) -> str | None:
    """Python with its imports sorted, formatted by ruff's defaults. None if ruff is not installed.

    `neighbours` are the modules beside it, whose imports come last.
    """
    try:
        from ruff import find_ruff_bin

        ruff = find_ruff_bin()
    except (ImportError, FileNotFoundError):
        return None
    # src=[]: what is first-party does not depend on the working directory.
    options = f"src=[]\nlint.isort.known-first-party={sorted(neighbours)}"
    ordered = _run(ruff, "check", text, "--select=I", "--fix", "--exit-zero", "--quiet", "--config", options)
    # Of `from fastapi import Path` and `from pathlib import Path` the later one counts: sorting must not swap them.
    return _run(ruff, "format", ordered if _imported(ordered) == _imported(text) else text)


def _run(ruff: str, verb: str, text: str, *options: str) -> str:
    command = [ruff, verb, "--isolated", "--no-cache", *options, "--stdin-filename", "app.py", "-"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()  # noqa: S603 - a list of arguments, no shell


def _imported(text: str) -> dict[str, tuple[str, str]]:
    """The names that a file's imports bind, each with the module and name that it refers to at the end."""
    return {
        alias.asname or alias.name: (getattr(statement, "module", None) or "", alias.name)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for alias in statement.names
    }


def _defines(cell: SourceCell, name: str) -> bool:
    symbols = symtable.symtable(cell.source, "cell", "exec").get_symbols()
    return any(
        symbol.get_name() == name and (symbol.is_assigned() or symbol.is_imported()) for symbol in symbols
    )


def _without_directives(cell: SourceCell) -> str:
    lines = re.split(r"\r\n|\r|\n", cell.source)  # as Python counts them: a form feed does not end a line
    code = next(
        (n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines)
    )
    return "\n".join([*(line for line in lines[:code] if not _DIRECTIVE.match(line)), *lines[code:]])


def _without_futures(source: str, futures: set[str]) -> str:
    """The source without its `from __future__` imports, whose names are added to `futures`."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            futures |= {alias.name for alias in statement.names}
            text = re.escape(ast.get_source_segment(source, statement) or "")
            source = re.sub(rf"{text}[ \t]*;?[ \t]*\n?", "", source, count=1)
    return source


def _parted(source: str) -> tuple[str, str]:
    """The imports that a cell begins with, and the rest, which keeps a comment above the imports."""
    lines, body = source.split("\n"), ast.parse(source).body
    imports = list(takewhile(lambda node: isinstance(node, ast.Import | ast.ImportFrom), body))
    while imports and body[len(imports) :] and body[len(imports)].lineno == imports[-1].end_lineno:
        imports.pop()  # `import os; os.chdir("data")` stays as it is
    if len(imports) == len(body):
        return source, ""
    first, last = (imports[0].lineno - 1, imports[-1].end_lineno) if imports else (0, 0)
    rest = "\n".join([*lines[:first], "\n".join(lines[last:]).lstrip("\n")])
    return "\n".join(lines[first:last]), rest
