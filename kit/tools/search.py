"""Tool search, for more tools than a model's context takes: namespaces that the model looks into.

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

    `tools` is by the names they shall have, `about` the plugin in a few words. They are grouped by their
    first tag, else by the first word of the path.
    """
    groups: dict[str, list[tuple[str, Tool]]] = {}
    for name, tool in tools.items():
        groups.setdefault(tool.operation.subject, []).append((name, tool))
    namespaces: dict[str, dict[str, Any]] = {}
    for subject, members in groups.items():
        parts = [members[i : i + IN_NAMESPACE] for i in range(0, len(members), IN_NAMESPACE)]
        for part in parts:
            name = legal_name(subject, namespaces)
            said = ", ".join(tool_name for tool_name, _ in part)
            functions = [{**tool.render(), "name": own, "defer_loading": True} for own, tool in part]
            namespaces[name] = {
                "type": "namespace",
                "name": name,
                "description": f"{about}: {subject}. Has {said}.",
                "tools": functions,
            }
    return [*namespaces.values(), {"type": "tool_search"}]
