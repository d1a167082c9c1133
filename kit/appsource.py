"""The `#| export` cells of a notebook as one file of Python: `app.py`, its imports on top, formatted by ruff.

An import stays in its place where moving it could change what the code does.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kit.notebook import Notebook, SourceCell

WIDTH = 88  # characters, ruff's and black's own default: a longer import is broken into lines
_DIRECTIVE = re.compile(r"^\s*#\s*\|")  # nbdev's and Quarto's words to the notebook
# What may run between two imports without a later one noticing it.
_HARMLESS_CALLS = ("logging", "print")


@dataclass(frozen=True)
class _Import:
    """One import that goes to the top. `text` is kept word for word where a comment belongs to it."""

    module: str
    names: tuple[tuple[str, str | None], ...]  # empty: `import module`
    alias: str | None = None
    text: str = ""


def app_source(
    notebook: Notebook, variable: str, is_plugin: bool, neighbours: Iterable[str] = (), mcp: bool = False
) -> str:
    """The text of `app.py`, whose `plugin` is the plugin or app that the notebook calls `variable`.

    `neighbours` are the modules beside the notebook; with `mcp` it serves MCP, whatever the server. The notebook must have passed its `check`. Raises
    `NotebookError` where it calls something else `plugin`.
    """
    cells = [(cell, ast.parse(cell.source)) for cell in notebook.exported]
    lifted = _lifted(cells)
    taken = {id(statement) for statement, _ in lifted}
    said = {
        one
        for it, found in lifted
        if found.text and isinstance(it, ast.Import | ast.ImportFrom)
        for one in _split(it, "")
    }
    imports = {found for _, found in lifted} - said  # those with a comment say it already
    end = ""
    if mcp:
        imports.add(_Import("kit", ()))
    if not is_plugin:
        imports.add(_Import("kit", ()))
        end = f"plugin = kit.Plugin.wrap({variable})"
    elif variable != "plugin":
        end = f"plugin = {variable}"
    for cell, tree in cells if end else ():
        if "plugin" in _bindings([tree]):
            raise notebook.refusal(
                f"{str(cell).capitalize()} of {notebook.path} calls something `plugin`, which is what a server looks for.",
                f"Give it another name, or call {variable} so.",
                cell=cell,
            )
    name = notebook.path.name.replace("\\", "/").replace('"', "'")
    parts = [f'"""The plugin of {name}, made by `kit export`: change it there and export again."""']
    top = _imports(imports, set(neighbours))
    bodies = [(cell, _without(cell, tree, taken)) for cell, tree in cells]
    parts += [f"# Cell {cell.number}\n{body}" for cell, body in bodies if body]
    if end:
        parts.append(f"# `kit serve app.py` serves this\n{end}")
    if mcp:
        parts.append("# an MCP server at /mcp\nkit.endpoint.add_mcp(plugin)")
    head = f"{parts[0]}\n\n{top}" if top else parts[0]
    text = "\n\n\n".join([head, *parts[1:]]) + "\n"
    first = next(
        (it for it in ast.parse(text).body[1:] if not isinstance(it, ast.Import | ast.ImportFrom)), None
    )
    # isort: two blank lines between imports and a function or class, one before anything else.
    is_block = isinstance(first, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return text if is_block or not top else text.replace(f"{head}\n\n\n", f"{head}\n\n", 1)


def formatted(text: str) -> str | None:
    """Python as ruff formats it, by its defaults, which are black's too. None where ruff is not installed."""
    try:
        from ruff import find_ruff_bin

        command = [find_ruff_bin(), "format", "--isolated", "--no-cache", "--stdin-filename", "app.py", "-"]
    except (ImportError, FileNotFoundError):
        return None
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()


def _lifted(cells: list[tuple[SourceCell, ast.Module]]) -> list[tuple[ast.stmt, _Import]]:
    bound = _bindings(tree for _, tree in cells)
    imported = {name for name, sources in bound.items() if any(source != "" for source in sources)}
    found: list[tuple[ast.stmt, _Import]] = []
    is_late = False  # after what a later import might notice
    for cell, tree in cells:
        lines = _lines(cell)
        alone = _alone(tree)
        for statement in tree.body:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                is_late = is_late or _is_noticed(statement, imported)
                continue
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                found.append((statement, _future(statement)))
                continue
            is_late = is_late or any(alias.name == "*" for alias in statement.names)
            contested = any(len(bound[name]) > 1 for name, _ in _binds(statement))
            if is_late or contested or statement not in alone:
                continue
            text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
            kept = text.strip() if "#" in text else ""
            found += [(statement, one) for one in _split(statement, kept)]
    there = {one for _, one in found}
    # Said again where it could not be moved: it is on top already.
    again = [it for _, tree in cells for it in _alone(tree) if isinstance(it, ast.Import | ast.ImportFrom)]
    return found + [(it, one) for it in again if there.issuperset(_split(it, "")) for one in _split(it, "")]


def _split(statement: ast.Import | ast.ImportFrom, text: str) -> Iterator[_Import]:
    if isinstance(statement, ast.ImportFrom):
        names = tuple((alias.name, alias.asname) for alias in statement.names)
        yield _Import("." * statement.level + (statement.module or ""), names, text=text)
    elif text:
        yield _Import(statement.names[0].name, (), text=text)
    else:
        for alias in statement.names:
            yield _Import(alias.name, (), alias.asname)


def _future(statement: ast.ImportFrom) -> _Import:
    return _Import("__future__", tuple((alias.name, alias.asname) for alias in statement.names))


def _alone(tree: ast.Module) -> list[ast.stmt]:
    """The statements that share no line with another one."""
    spans = [(it.lineno, it.end_lineno or it.lineno, it) for it in tree.body]
    return [
        it
        for first, last, it in spans
        if not any(other is not it and start <= last and first <= end for start, end, other in spans)
    ]


def _is_noticed(statement: ast.stmt, imported: set[str]) -> bool:
    """Whether a later import may depend on it: `sys.path.append(...)`, `os.environ["X"] = ...`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        root = _root(statement.value.func)
        return root in imported and root not in _HARMLESS_CALLS
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    return any(not isinstance(target, ast.Name) and _root(target) in imported for target in targets)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _bindings(trees: Iterable[ast.Module]) -> dict[str, set[str]]:
    """Each name of the module, with what binds it: the source of an import, or "" for anything else."""
    bound: dict[str, set[str]] = {}
    for tree in trees:
        for node in _of_module(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name, source in _binds(node):
                    bound.setdefault(name, set()).add(source)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                bound.setdefault(node.id, set()).add("")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound.setdefault(node.name, set()).add("")
    return bound


def _of_module(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported, those of functions and classes left out."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _binds(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            source = f"{'.' * statement.level}{statement.module or ''}:{alias.name}"
            yield alias.asname or alias.name, source
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            root = alias.name.partition(".")[0]  # `import a.b` and `import a.c` both bind a
            yield root, root


def _without(cell: SourceCell, tree: ast.Module, taken: set[int]) -> str:
    """The cell's source without the imports that went to the top, and without its directives."""
    lines: list[str | None] = list(_lines(cell))
    for number, text in enumerate(_lines(cell)):
        if text.strip() and not text.lstrip().startswith("#"):
            break
        if _DIRECTIVE.match(text):
            lines[number] = None
    for statement in tree.body:
        if id(statement) in taken:
            for number in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                lines[number] = None
    kept: list[str] = []
    for number, line in enumerate(lines):
        if line is None:
            continue
        # The blank lines after something that went away go with it.
        if not line.strip() and number and lines[number - 1] is None and (not kept or not kept[-1].strip()):
            lines[number] = None
            continue
        kept.append(line)
    return "\n".join(kept).strip("\n").rstrip()


def _lines(cell: SourceCell) -> list[str]:
    """Its lines as Python counts them: a form feed ends none."""
    return re.split(r"\r\n|\r|\n", cell.source)


def _imports(found: set[_Import], neighbours: set[str]) -> str:
    """The imports in groups as isort makes them: future, standard library, packages, neighbours."""
    groups: list[list[str]] = [[], [], [], []]
    joined: dict[str, set[tuple[str, str | None]]] = {}
    rows: list[tuple[str, bool, str]] = []  # module, is it `from`, text
    for it in found:
        if it.text:
            rows.append((it.module, it.text.startswith("from"), it.text))
        elif it.names:
            joined.setdefault(it.module, set()).update(it.names)
        else:
            rows.append((it.module, False, f"import {it.module}" + (f" as {it.alias}" if it.alias else "")))
    rows += [(module, True, _from(module, names)) for module, names in joined.items()]
    for module, _, text in sorted(rows, key=lambda row: (row[1], row[0].lower(), row[0], row[2])):
        root = module.partition(".")[0]
        if module == "__future__":
            groups[0].append(text)
        elif not root or root in neighbours:
            groups[3].append(text)
        else:
            groups[1 if root in sys.stdlib_module_names else 2].append(text)
    return "\n\n".join("\n".join(group) for group in groups if group)


def _from(module: str, names: set[tuple[str, str | None]]) -> str:
    # `from x import a as b` stands alone, as isort has it.
    lines = [
        f"from {module} import {name} as {alias}"
        for name, alias in sorted(names, key=str)
        if alias and alias != name
    ]
    plain = sorted((name for name, alias in names if not alias or alias == name), key=_member)
    if plain:
        line = f"from {module} import {', '.join(plain)}"
        if len(line) > WIDTH:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in plain) + ")"
        lines.insert(0, line)
    return "\n".join(lines)


def _member(name: str) -> tuple[int, str, str]:
    """Isort's order: constants, classes, then the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name
