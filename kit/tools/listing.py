"""`Tools`: a list of tools as a request takes it, and how it is shown."""

from __future__ import annotations

from typing import Any

from kit.markup import code, columns, details, escape, pre, short, table

PAGE = 50  # tools that a view shows whole


class Tools(list[dict[str, Any]]):
    """A list of tools with a readable view; otherwise a plain list."""

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for tool in self:
            if "tools" in tool:
                names = [function["name"] for function in tool["tools"]]
                rows.append((tool["name"], ", ".join(names), f"{tool['type']}: {tool['description']}"))
                continue
            function = tool.get("function", tool)
            if "name" not in function:
                rows.append((tool["type"], "", "lets the model search for the functions it needs"))
                continue
            parameters = function.get("parameters") or {}
            required = parameters.get("required", [])
            names = [name if name in required else f"{name}?" for name in parameters.get("properties", {})]
            rows.append((function["name"], ", ".join(names), function.get("description", "")))
        return rows

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"{len(self)} tools\n{columns(self._rows(), '  ')}")

    def _repr_html_(self) -> str:
        rows = self._rows()
        first = [
            (code(name), escape(arguments), escape(short(description, 200)), details("JSON", pre(tool)))
            for (name, arguments, description), tool in zip(rows[:PAGE], self, strict=False)
        ]
        rest = [(code(name), escape(short(description))) for name, _, description in rows[PAGE:]]
        return table(("tool", "arguments", "description", ""), first) + (
            details(f"{len(rest):,} more", table(("tool", "description"), rest)) if rest else ""
        )
