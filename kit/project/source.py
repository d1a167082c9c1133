"""The `#| export` cells of a notebook as one file of Python: `app.py`, its imports sorted and itself formatted by ruff.

The cells follow one another as they ran. Those imports that come before any other code are the top of the file.
"""

from __future__ import annotations

import ast
import re
import subprocess
import symtable
from collections.abc import Iterable
from itertools import takewhile

from kit.notebook.source import Notebook, SourceCell

_DIRECTIVE = re.compile(r"^\s*#\s*\|")  # nbdev's and Quarto's words to the notebook


def app_source(notebook: Notebook, variable: str, is_plugin: bool, mcp: bool = False) -> str:
    """The text of `app.py`, whose `plugin` is the plugin or app that the notebook calls `variable`.

    With `mcp` it serves MCP, whatever the server. The notebook must have passed its `check`. Raises `ExportError` where it calls something else `plugin`.
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
                f"{str(cell).capitalize()} of {notebook.path} calls something `plugin`, which is what a server looks for.",
                f"Give it another name, or call {variable} so.",
                cell=cell,
            )
        source = _without_futures(_without_directives(cell), futures)
        # A comment between two imports would move with the second one.
        imports, rest = _parted(source) if follows_import else ("", source)
        parts += [imports.strip()] if imports.strip() else []
        if rest.strip():
            parts.append(f"# Cell {cell.number}\n{rest.strip()}")
            last = ast.parse(rest).body[-1:]  # none in a cell that only has a comment
            follows_import = any(isinstance(it, ast.Import | ast.ImportFrom) for it in last)
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
    """Python as ruff sorts its imports and formats it, by its defaults. None where ruff is not installed.

    `neighbours` are the modules beside it, whose imports come last.
    """
    try:
        from ruff import find_ruff_bin

        ruff = find_ruff_bin()
    except (ImportError, FileNotFoundError):
        return None
    # Not by what happens to lie in the folder that this runs in.
    options = f"src=[]\nlint.isort.known-first-party={sorted(neighbours)}"
    ordered = _run(ruff, "check", text, "--select=I", "--fix", "--exit-zero", "--quiet", "--config", options)
    # Of `from fastapi import Path` and `from pathlib import Path` the later one counts, whichever sorts first.
    return _run(ruff, "format", ordered if _imported(ordered) == _imported(text) else text)


def _run(ruff: str, verb: str, text: str, *options: str) -> str:
    command = [ruff, verb, "--isolated", "--no-cache", *options, "--stdin-filename", "app.py", "-"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()


def _imported(text: str) -> dict[str, tuple[str, str]]:
    """The names that a file's imports bind, each with what it is in the end."""
    imports = [it for it in ast.parse(text).body if isinstance(it, ast.Import | ast.ImportFrom)]
    return {
        alias.asname or alias.name: (getattr(statement, "module", None) or "", alias.name)
        for statement in imports
        for alias in statement.names
    }


def _defines(cell: SourceCell, name: str) -> bool:
    symbols = symtable.symtable(cell.source, "cell", "exec").get_symbols()
    return any(it.get_name() == name and (it.is_assigned() or it.is_imported()) for it in symbols)


def _without_directives(cell: SourceCell) -> str:
    lines = re.split(r"\r\n|\r|\n", cell.source)  # as Python counts them: a form feed ends none
    code = next(
        (n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines)
    )
    return "\n".join([*(line for line in lines[:code] if not _DIRECTIVE.match(line)), *lines[code:]])


def _without_futures(source: str, futures: set[str]) -> str:
    """The source without its `from __future__` imports, whose names are added to `futures`."""
    for it in ast.parse(source).body:
        if isinstance(it, ast.ImportFrom) and it.module == "__future__":
            futures |= {alias.name for alias in it.names}
            text = re.escape(ast.get_source_segment(source, it) or "")
            source = re.sub(rf"{text}[ \t]*;?[ \t]*\n?", "", source, count=1)
    return source


def _parted(source: str) -> tuple[str, str]:
    """The imports that a cell begins with, and the rest of it, with a comment that is on top of both."""
    lines, body = source.split("\n"), ast.parse(source).body
    imports = list(takewhile(lambda it: isinstance(it, ast.Import | ast.ImportFrom), body))
    while imports and body[len(imports) :] and body[len(imports)].lineno == imports[-1].end_lineno:
        imports.pop()  # `import os; os.chdir("data")` stays as it is
    if len(imports) == len(body):
        return source, ""
    first, last = (imports[0].lineno - 1, imports[-1].end_lineno) if imports else (0, 0)
    rest = "\n".join([*lines[:first], "\n".join(lines[last:]).lstrip("\n")])
    return "\n".join(lines[first:last]), rest
