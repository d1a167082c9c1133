"""The settings of classes of pydantic_settings, by its own rules: prefix, aliases, nested models, files.

docs.pydantic.dev, "Settings Management". The first name that is looked up is the setting's, the others do as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kit.notebook.modules import Code, run_on_import
from kit.notebook.reads import plain
from kit.notebook.setting import Setting

_OPTIONS = ("env_prefix", "env_nested_delimiter", "case_sensitive", "env_file", "populate_by_name")
_DEFAULTS = ("default", "default_factory")


@dataclass
class _Class:
    """A class of the code. `options` are those of its own `model_config`, `fields` those that it adds."""

    code: Code
    bases: list[str]
    options: dict[str, ast.expr] = field(default_factory=dict)
    fields: dict[str, ast.AnnAssign] = field(default_factory=dict)
    has_sources: bool = False  # its values may come from elsewhere


def fields_of(codes: Sequence[Code]) -> list[Setting]:
    """The settings of all classes that are made from `BaseSettings`, in this code."""
    roots, classes = {"pydantic_settings.BaseSettings"}, dict[str, _Class]()
    calls: list[tuple[ast.Call, bool]] = []
    for code in codes:
        top = {id(node) for statement in code.tree.body for node in run_on_import(statement)}
        for node in ast.walk(code.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                roots |= _roots(node)
            elif isinstance(node, ast.ClassDef):
                classes[node.name] = _class(code, node)
            elif isinstance(node, ast.Call):
                calls.append((node, id(node) in top))
    found: list[Setting] = []
    for name in classes:
        line = _ancestors(name, classes)
        if not any(base in roots for each in line for base in each.bases):
            continue
        made = [(call, is_top) for call, is_top in calls if ast.unparse(call.func).rpartition(".")[2] == name]
        given = {it.arg for call, _ in made for it in call.keywords}
        # only a class that is made reads anything; a base of others is not made
        if made:
            found += _settings(line, classes, given, any(is_top for _, is_top in made))
    return found


def _settings(
    line: Sequence[_Class], classes: dict[str, _Class], given: set[str | None], at_import: bool
) -> Iterator[Setting]:
    """The settings of one class. `line` is itself and its bases, the nearest first."""
    options = {key: value for each in reversed(line) for key, value in each.options.items()}
    fields = {key: (each.code, it) for each in reversed(line) for key, it in each.fields.items()}
    prefix, delimiter = _text(options.get("env_prefix")), _text(options.get("env_nested_delimiter"))
    ignores_case = _text(options.get("case_sensitive")) != "True"
    files = _texts(options.get("env_file"))
    is_open = any(each.has_sources for each in line) or None in given
    for name, (code, node) in fields.items():
        names = _names(name, node, prefix)
        names = [it.upper() for it in names] if ignores_case else names
        default, has_default = _default(node)
        nested = _nested(node, classes) if delimiter and not has_default else None
        is_needed = not has_default and not is_open and name not in given and not given.intersection(names)
        if nested:
            inner = {key: it for each in reversed(nested) for key, it in each.fields.items()}
            for key, part in inner.items():
                text, has_one = _default(part)
                whole = f"{names[0]}{delimiter}{key}"
                yield Setting(
                    whole.upper() if ignores_case else whole,
                    nested[0].code.place(part.lineno),
                    is_needed and not has_one,
                    at_import and is_needed and not has_one,
                    text,
                    tuple(names),  # the whole as JSON
                    ignores_case,
                    files,
                )
            continue
        yield Setting(
            names[0],
            code.place(node.lineno),
            is_needed,
            is_needed and at_import,
            default,
            tuple(names[1:]),
            ignores_case,
            files,
        )


def _class(code: Code, node: ast.ClassDef) -> _Class:
    made = _Class(code, [ast.unparse(base) for base in node.bases])
    made.options = {it.arg: it.value for it in node.keywords if it.arg in _OPTIONS}
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                if name == "model_config":
                    made.options |= _options(statement.value)
                elif "ClassVar" not in ast.unparse(statement.annotation):
                    made.fields[name] = statement
            case ast.Assign(targets=[ast.Name(id="model_config")], value=value):
                made.options |= _options(value)
            case ast.ClassDef(name="Config", body=body):  # as Pydantic 1 had it, which 2 still reads
                made.options |= {
                    it.targets[0].id: it.value
                    for it in body
                    if isinstance(it, ast.Assign) and isinstance(it.targets[0], ast.Name)
                }
            case ast.FunctionDef(name="settings_customise_sources"):
                made.has_sources = True
    return made


def _options(value: ast.expr | None) -> dict[str, ast.expr]:
    match value:
        case ast.Call(keywords=keywords):
            return {it.arg: it.value for it in keywords if it.arg}
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {_text(key): it for key, it in pairs if isinstance(key, ast.Constant)}
    return {}


def _roots(node: ast.Import | ast.ImportFrom) -> set[str]:
    """What `BaseSettings` is called after this import."""
    if isinstance(node, ast.Import):
        return {f"{it.asname or it.name}.BaseSettings" for it in node.names if it.name == "pydantic_settings"}
    if node.module != "pydantic_settings":
        return set()
    return {it.asname or "BaseSettings" for it in node.names if it.name in ("BaseSettings", "*")}


def _ancestors(name: str, classes: dict[str, _Class]) -> list[_Class]:
    """A class and its bases in this code, the nearest first."""
    line, waiting, seen = list[_Class](), [name], set[str]()
    while waiting:
        current = waiting.pop(0)
        if current in seen or current not in classes:
            continue
        seen.add(current)
        line.append(classes[current])
        waiting += [base.rpartition(".")[2] for base in classes[current].bases]
    return line


def _names(name: str, node: ast.AnnAssign, prefix: str) -> list[str]:
    """The names of the environment that a field is looked up by: its alias as it is, else the prefix and its own."""
    call = _field(node)
    alias = next((_keyword(call, key) for key in ("validation_alias", "alias") if _keyword(call, key)), None)
    match alias:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Call(args=args):  # AliasChoices("A", "B"), AliasPath("A", 0)
            choices = args if ast.unparse(alias.func).endswith("AliasChoices") else args[:1]
            parts = [it.args[0] if isinstance(it, ast.Call) and it.args else it for it in choices]
            if names := [
                it.value for it in parts if isinstance(it, ast.Constant) and isinstance(it.value, str)
            ]:
                return names
    return [f"{prefix}{name}"]


def _default(node: ast.AnnAssign) -> tuple[str, bool]:
    """The default of a field as a text, and whether it has one."""
    call = _field(node)
    own = node.value
    if call is None:
        return plain(own), own is not None
    for key in _DEFAULTS:
        if (value := _keyword(call, key)) is not None:
            return (plain(value) if key == "default" else ""), not _is_ellipsis(value)
    if own is call:
        first = call.args[0] if call.args else None
        return plain(first), first is not None and not _is_ellipsis(first)
    return plain(own), own is not None  # Annotated[str, Field(...)] = "default"


def _field(node: ast.AnnAssign) -> ast.Call | None:
    """The `Field(...)` of a field: its value, or in `Annotated`."""
    candidates: list[ast.AST] = [node.value] if node.value else []
    if isinstance(node.annotation, ast.Subscript) and ast.unparse(node.annotation.value).endswith(
        "Annotated"
    ):
        candidates += getattr(node.annotation.slice, "elts", [])
    calls = (it for it in candidates if isinstance(it, ast.Call))
    return next((it for it in calls if ast.unparse(it.func).rpartition(".")[2] == "Field"), None)


def _nested(node: ast.AnnAssign, classes: dict[str, _Class]) -> list[_Class] | None:
    name = ast.unparse(node.annotation).rpartition(".")[2].strip("'\"")
    line = _ancestors(name, classes)
    return line if any(each.fields for each in line) else None


def _keyword(call: ast.Call | None, name: str) -> ast.expr | None:
    return next((it.value for it in call.keywords if it.arg == name), None) if call else None


def _is_ellipsis(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def _text(value: ast.expr | None) -> str:
    return str(value.value) if isinstance(value, ast.Constant) and value.value is not None else ""


def _texts(value: ast.expr | None) -> tuple[str, ...]:
    items = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
    return tuple(text for it in items if (text := _text(it)))
