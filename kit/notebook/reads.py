"""Where code reads the environment: `os.environ["X"]`, `os.getenv("X", "default")`, by whatever name, and its own helpers."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kit.notebook.modules import Code, is_main
from kit.notebook.setting import Setting

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # what a shell can set
_CAUGHT = re.compile(r"\b(KeyError|LookupError|Exception|BaseException)\b")
_MISSES = ("get", "setdefault", "pop")  # methods of os.environ that take a default
MAX_NAMES = 50  # of one read, in a loop
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SEQUENCES = (ast.Tuple, ast.List, ast.Set)


@dataclass(frozen=True)
class _Read:
    """One read, as it is written. `key` gives the name, `default` is None where there is none."""

    key: ast.expr
    default: ast.expr | None = None
    needs: bool = False


@dataclass(frozen=True)
class _Helper:
    """A function that reads the variable whose name it is passed."""

    at: int
    parameter: str
    default_at: int | None  # of the parameter that is the default
    default_parameter: str
    default: ast.expr | None  # of that parameter, or the one that is written in the function
    needs: bool


def reads_of(modules: Sequence[Sequence[Code]]) -> list[Setting]:
    """What modules that import each other read, each given in its pieces, in the order in which it stands there."""
    known = [(codes, _Words(codes)) for codes in modules if codes]
    helpers = {codes[0].module: words.helpers for codes, words in known}
    found: list[Setting] = []
    for codes, words in known:
        words.learn(helpers)
        for code in codes:
            reader = _Reader(code, words)
            for statement in code.tree.body:
                reader.visit(statement)
            found += reader.found
    return found


class _Words:
    """What the names of a module mean: `os.environ`, `os.getenv`, constants, and functions that read a variable."""

    def __init__(self, codes: Sequence[Code]) -> None:
        self.environs, self.getters = {"os.environ"}, {"os.getenv"}
        self.helpers: dict[str, _Helper] = {}
        self.values: dict[str, set[str]] = {}
        nodes = [node for code in codes for node in ast.walk(code.tree)]
        self._imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        for imported in self._imports:
            self._import(imported)
        assigned = [(name, it.value) for it in nodes if isinstance(it, ast.Assign) for name in _targets(it)]
        assigned += [
            (it.target.id, it.value)
            for it in nodes
            if isinstance(it, ast.AnnAssign | ast.NamedExpr) and isinstance(it.target, ast.Name) and it.value
        ]
        for name, value in assigned:
            self._assign(name, value)
        for name, values in _literals(nodes, assigned):
            self.values.setdefault(name, set()).update(values)
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                self._help(node)

    def learn(self, helpers: Mapping[str, dict[str, _Helper]]) -> None:
        """Adds the functions that it imports from modules of these names."""
        for node in self._imports:
            for alias in node.names:
                name = alias.asname or alias.name
                module = node.module if isinstance(node, ast.ImportFrom) else alias.name
                theirs = helpers.get((module or "").rpartition(".")[2], {})
                if isinstance(node, ast.Import):
                    self.helpers |= {f"{name}.{key}": it for key, it in theirs.items()}
                elif alias.name in theirs:
                    self.helpers[name] = theirs[alias.name]
                elif alias.name in helpers:  # from pack import module
                    self.helpers |= {f"{name}.{key}": it for key, it in helpers[alias.name].items()}

    def read(self, node: ast.AST) -> _Read | None:
        """The read that this node is, without a helper."""
        match node:
            case ast.Subscript(value=source, slice=key, ctx=ast.Load()) if self.is_environ(source):
                return _Read(key, needs=True)
            case ast.Call(func=ast.Attribute(value=source, attr=method)) if (
                self.is_environ(source) and method in _MISSES
            ):
                given = _arguments(node, "key", "default")
                return _Read(given[0], given[1], method == "pop" and given[1] is None) if given[0] else None
            case ast.Call(func=ast.Name() | ast.Attribute()) if ast.unparse(node.func) in self.getters:
                given = _arguments(node, "key", "default")
                return _Read(given[0], given[1]) if given[0] else None
        return None

    def is_environ(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in self.environs

    def names(self, key: ast.AST) -> set[str]:
        """The names that an expression can be, none if that is not known."""
        match key:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.Name(id=name):
                return self.values.get(name, set())
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                parts = [self.names(left), self.names(right)]
            case ast.JoinedStr(values=values):
                parts = [self.names(it.value if isinstance(it, ast.FormattedValue) else it) for it in values]
            case _:
                return set()
        return {"".join(each) for each in itertools.islice(itertools.product(*parts), MAX_NAMES)}

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name
            if isinstance(node, ast.Import) and alias.name == "os":
                self.environs.add(f"{name}.environ")
                self.getters.add(f"{name}.getenv")
            elif isinstance(node, ast.ImportFrom) and node.module == "os":
                self.environs |= {name} if alias.name == "environ" else set()
                self.getters |= {name} if alias.name == "getenv" else set()
                if alias.name == "*":
                    self.environs, self.getters = self.environs | {"environ"}, self.getters | {"getenv"}

    def _assign(self, name: str, value: ast.expr) -> None:
        if not isinstance(value, ast.Name | ast.Attribute):
            return
        is_get = isinstance(value, ast.Attribute) and value.attr == "get" and self.is_environ(value.value)
        if is_get or ast.unparse(value) in self.getters:
            self.getters.add(name)
        elif self.is_environ(value):
            self.environs.add(name)

    def _help(self, function: ast.FunctionDef) -> None:
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [it.arg for it in parameters]
        defaults: dict[str, ast.expr | None] = dict(
            zip(reversed(names[: len(names) - len(function.args.kwonlyargs)]), reversed(function.args.defaults), strict=False)
        )  # fmt: skip
        defaults |= {it.arg: value for it, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)}  # fmt: skip
        refuses = any(isinstance(node, ast.Raise) or _is_exit(node) for node in ast.walk(function))
        for node in ast.walk(function):
            read = self.read(node)
            if read is None or not isinstance(read.key, ast.Name) or read.key.id not in names:
                continue
            given = read.default.id if isinstance(read.default, ast.Name) else ""
            own = defaults.get(given) if given in names else read.default
            at = names.index(given) if given in names else None
            needs = read.needs or (refuses and read.default is None) or (refuses and at is not None)
            self.helpers[function.name] = _Helper(
                names.index(read.key.id), read.key.id, at, given, own, needs
            )
            return

    def helped(self, node: ast.Call) -> _Read | None:
        """The read that a call of a helper is."""
        name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
        if (helper := self.helpers.get(name)) is None:
            return None
        keywords = {it.arg: it.value for it in node.keywords if it.arg}
        key = node.args[helper.at] if len(node.args) > helper.at else keywords.get(helper.parameter)
        default = keywords.get(helper.default_parameter)
        if helper.default_at is not None and len(node.args) > helper.default_at:
            default = node.args[helper.default_at]
        if key is None:
            return None
        return _Read(key, default or helper.default, helper.needs and default is None)


class _Reader(ast.NodeVisitor):
    """Walks one piece of code, knowing what runs when it is imported, and what only under a condition."""

    def __init__(self, code: Code, words: _Words) -> None:
        self.found: list[Setting] = []
        self._code, self._words = code, words
        self._is_certain = self._at_import = True
        self._parameters: frozenset[str] = frozenset()  # of the functions around
        self._checked: set[str] = set()  # the variables whose absence raises
        self._tested: set[str] = set()  # and those that the code asks for first
        guards = [guard for guard in ast.walk(code.tree) if isinstance(guard, ast.If | ast.Assert)]
        for guard in guards:
            self._look_at(guard)

    def visit(self, node: ast.AST) -> None:
        read = self._words.read(node) or (self._words.helped(node) if isinstance(node, ast.Call) else None)
        if read:
            self._add(node, read)
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node)

    def visit_If(self, node: ast.If) -> None:
        if not is_main(node) and not ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self.visit(node.test)
            self._under(False, [*node.body, *node.orelse])

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._under(False, [node.body, node.orelse])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._under(False, node.values[1:])

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._under(False, [*node.body, *node.orelse])

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._under(isinstance(node.iter, _SEQUENCES) and bool(node.iter.elts), [*node.body, *node.orelse])

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._under(False, node.cases)

    def visit_Try(self, node: ast.Try) -> None:
        caught = [ast.unparse(it.type) if it.type else "Exception" for it in node.handlers]
        self._under(not any(_CAUGHT.search(it) for it in caught), node.body)
        self._under(False, [*node.handlers, *node.orelse])
        self._under(True, node.finalbody)

    def visit_With(self, node: ast.With) -> None:
        items = " ".join(ast.unparse(item) for item in node.items)
        for item in node.items:
            self.visit(item)
        self._under(not ("suppress(" in items and _CAUGHT.search(items)), node.body)

    def _under(self, is_certain: bool, nodes: Sequence[ast.AST]) -> None:
        before = self._is_certain
        self._is_certain = before and is_certain
        for node in nodes:
            self.visit(node)
        self._is_certain = before

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        body = node.body if isinstance(node.body, list) else [node.body]
        inner = {id(statement) for statement in body}
        for child in ast.iter_child_nodes(node):  # decorators and defaults run with the module
            if id(child) not in inner:
                self.visit(child)
        before = self._at_import, self._parameters
        self._at_import = False
        self._parameters |= {it.arg for it in ast.walk(node.args) if isinstance(it, ast.arg)}
        for statement in body:
            self.visit(statement)
        self._at_import, self._parameters = before

    def _add(self, node: ast.AST, read: _Read) -> None:
        if any(isinstance(it, ast.Name) and it.id in self._parameters for it in ast.walk(read.key)):
            return  # each call says which one
        place = self._code.place(getattr(node, "lineno", 1))
        for name in sorted(self._words.names(read.key)):
            if not _NAME.fullmatch(name):
                continue
            is_asked = name in self._tested and not self._at_import
            is_needed = (read.needs and self._is_certain and not is_asked) or name in self._checked
            self.found.append(
                Setting(name, place, is_needed, is_needed and self._at_import, plain(read.default))
            )

    def _look_at(self, guard: ast.If | ast.Assert) -> None:
        """Notes the variables that a condition asks for, and those without which it raises when it is imported."""
        for node in ast.walk(guard.test):
            if isinstance(node, ast.Compare) and self._words.is_environ(node.comparators[0]):
                self._tested |= self._words.names(node.left)
        is_top = guard in self._code.tree.body
        if not is_top or (isinstance(guard, ast.If) and not _refuses(guard.body)):
            return
        test = guard.test
        absent = _absences(ast.UnaryOp(ast.Not(), test) if isinstance(guard, ast.Assert) else test)
        for each in absent:
            if isinstance(each, ast.Name):
                self._checked |= self._read_into(each.id)
            elif (read := self._words.read(each)) and read.default is None:
                self._checked |= self._words.names(read.key)
            elif isinstance(each, ast.Compare) and self._words.is_environ(each.comparators[0]):
                self._checked |= self._words.names(each.left)

    def _read_into(self, name: str) -> set[str]:
        """The variables that the module's name holds the values of."""
        return {
            variable
            for statement in self._code.tree.body
            if isinstance(statement, ast.Assign) and name in _targets(statement)
            if (read := self._words.read(statement.value)) and read.default is None
            for variable in self._words.names(read.key)
        }


def plain(value: ast.expr | None) -> str:
    """A default as a variable would hold it, "" if it is none or not written out."""
    if not isinstance(value, ast.Constant) or value.value is None or isinstance(value.value, bytes):
        return ""
    text = str(value.value).lower() if isinstance(value.value, bool) else str(value.value)
    return text if text.isprintable() and text == text.strip() else ""


def _arguments(call: ast.Call, *names: str) -> list[ast.expr | None]:
    keywords = {it.arg: it.value for it in call.keywords}
    return [call.args[at] if len(call.args) > at else keywords.get(name) for at, name in enumerate(names)]


def _targets(node: ast.Assign) -> list[str]:
    return [it.id for it in node.targets if isinstance(it, ast.Name)]


def _literals(
    nodes: Sequence[ast.AST], assigned: Sequence[tuple[str, ast.expr]]
) -> Iterator[tuple[str, set[str]]]:
    """The texts that names stand for: constants, and what loops over literals give them."""
    sequences = {name: value for name, value in assigned if isinstance(value, _SEQUENCES)}
    for name, value in assigned:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield name, {value.value}
    for node in nodes:
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
            source = sequences.get(node.iter.id) if isinstance(node.iter, ast.Name) else node.iter
            items = source.elts if isinstance(source, _SEQUENCES) else ()
            yield (
                node.target.id,
                {it.value for it in items if isinstance(it, ast.Constant) and isinstance(it.value, str)},
            )


def _refuses(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(it, ast.Raise) or (isinstance(it, ast.Expr) and _is_exit(it.value)) for it in body)


def _is_exit(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit", "quit", "os._exit")


def _absences(test: ast.expr) -> Iterator[ast.expr]:
    """What is absent if this condition holds: `not A or B is None or "C" not in os.environ`."""
    match test:
        case ast.BoolOp(op=ast.Or(), values=values):
            for value in values:
                yield from _absences(value)
        case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=ast.And(), values=values)):
            for value in values:
                yield from _absences(ast.UnaryOp(ast.Not(), value))
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[ast.IsNot()], left=left)):
            yield left
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[ast.In()]) as compare):
            yield compare
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Compare(ops=[ast.Is() | ast.Eq()], left=left, comparators=[ast.Constant(value=None | "")]):
            yield left
        case ast.Compare(ops=[ast.NotIn()]):
            yield test
