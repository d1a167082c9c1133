"""The operations of an installed plugin as methods, with signatures that an editor completes; and as a stub file."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.client.installed import CallResult, InstalledPlugin
    from kit.tools.tool import Tool

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
}


class Operations:
    """`plugin.operations.add_todo(username="sam", text="buy milk")` is `plugin.call("add_todo", ...)`."""

    def __init__(self, plugin: InstalledPlugin) -> None:
        self._plugin = plugin

    def __getattr__(self, name: str) -> Callable[..., CallResult]:
        if name.startswith("__"):
            raise AttributeError(name)
        tool = self._plugin.tool(name)

        def operation(**arguments: Any) -> CallResult:
            return self._plugin.call(name, arguments)

        operation.__name__ = operation.__qualname__ = name
        operation.__doc__ = tool.description
        operation.__signature__ = _signature(tool)  # type: ignore[attr-defined]
        return operation

    def __dir__(self) -> list[str]:
        return [name for name in self._plugin.tool_names if name.isidentifier()]

    def __repr__(self) -> str:
        tools = self._plugin.by_name.items()
        return "\n".join(f"{name}{_signature(tool)}" for name, tool in tools)


def stub(plugin: InstalledPlugin) -> str:
    """The text of a `.pyi` file: a class with a method for each operation, for type checkers and editors."""
    name = "".join(word.title() for word in plugin.name.split("_")) or "Plugin"
    lines = ["from typing import Any, Literal", "", "from kit import CallResult", "", f"class {name}:"]
    for tool_name, tool in plugin.by_name.items():
        if not tool_name.isidentifier() or keyword.iskeyword(tool_name):
            lines.append(f"    # {tool_name} is no name of Python: plugin.call({tool_name!r}, ...)")
            continue
        parameters = [
            str(it) for it in _signature(tool).parameters.values() if it.kind is Parameter.KEYWORD_ONLY
        ]
        other = [it for it in tool.arguments if not _is_name(it)]
        parameters += ["**arguments: Any"] if other else []
        listed = "".join(
            f", {it}" for it in (["*", *parameters] if parameters and parameters[0][0] != "*" else parameters)
        )
        lines.append(f"    def {tool_name}(self{listed}) -> CallResult:")
        words = textwrap.indent(tool.description.replace("\\", "\\\\").replace('"""', "'''"), " " * 8).strip()
        lines.append(f'        """{words or tool_name}"""')
    return "\n".join(lines if plugin.by_name else [*lines, "    pass"]) + "\n"


def _signature(tool: Tool) -> Signature:
    definitions = tool.parameters.get("$defs", {})
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if it.required else ...,
            annotation=_Written(annotation(it.schema, definitions)),
        )
        for name, it in tool.arguments.items()
        if _is_name(name)
    ]
    return Signature(parameters, return_annotation=_Written("CallResult"))


class _Written(str):
    """An annotation that is shown as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def annotation(schema: Any, definitions: Mapping[str, Any], depth: int = 0) -> str:
    """The type of Python for a JSON Schema, as it is written in code."""
    if not isinstance(schema, Mapping) or depth > 4:
        return "Any"
    if "$ref" in schema:
        return annotation(definitions.get(str(schema["$ref"]).rpartition("/")[2]), definitions, depth + 1)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            parts = [annotation(part, definitions, depth + 1) for part in schema[key]]
            return "Any" if "Any" in parts else " | ".join(dict.fromkeys(parts)) or "Any"
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return " | ".join(_TYPES.get(kind, "Any") for kind in kinds) or "Any"
    if kinds == "array":
        return f"list[{annotation(schema.get('items'), definitions, depth + 1)}]"
    return _TYPES.get(str(kinds), "Any")
