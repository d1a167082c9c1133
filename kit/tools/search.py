"""Tool search, for more tools than fit a model's context: namespaces that the model searches.

The Responses API takes `tool_search`: functions in a namespace marked `defer_loading` stay out of the
context until the model looks for them (developers.openai.com/api/docs/guides/tools-tool-search).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.tools.tool import Tool, legal_name

IN_NAMESPACE = 9  # "fewer than 10 functions per namespace": the guide to tool search
CONTEXT = 128_000  # tokens: the smallest context among the models that take tools in 2026
MANY_TOKENS = CONTEXT // 4  # for tools alone


def searchable(tools: Mapping[str, Tool], about: str) -> list[dict[str, Any]]:
    """The tools in namespaces of at most nine, deferred, and the `tool_search` that finds them.

    `tools` is by the names to use, `about` describes the plugin in a few words. They are grouped by their
    first tag, else by the first word of the path.
    """
    groups: dict[str, list[tuple[str, Tool]]] = {}
    for name, tool in tools.items():
        groups.setdefault(tool.operation.subject, []).append((name, tool))
    namespaces: dict[str, dict[str, Any]] = {}
    for subject, members in groups.items():
        for start in range(0, len(members), IN_NAMESPACE):
            part = members[start : start + IN_NAMESPACE]
            name = legal_name(subject, namespaces)
            names = ", ".join(tool_name for tool_name, _ in part)
            functions = [{**tool.render(), "name": own, "defer_loading": True} for own, tool in part]
            namespaces[name] = {
                "type": "namespace",
                "name": name,
                "description": f"{about}: {subject}. Has {names}.",
                "tools": functions,
            }
    return [*namespaces.values(), {"type": "tool_search"}]
