"""Variants of a plugin that change nothing: one that answers by the examples of its spec, one without descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from kit.client.installed import CallResult, InstalledPlugin
from kit.openapi.spec import Spec
from kit.tools.examples import example_answer
from kit.tools.tool import Tool

# Members that hold names of the author's, among which "description" may be one.
_NAMED = (
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "schemas",
    "parameters",
    "responses",
    "paths",
)
_WORDS = ("summary", "description", "title", "externalDocs", "tags")


class DryPlugin(InstalledPlugin):
    """A plugin whose calls are checked and answered, but never sent."""

    @classmethod
    def of(cls, plugin: InstalledPlugin) -> DryPlugin:
        """The same plugin, dry."""
        return cls(**{it.name: getattr(plugin, it.name) for it in fields(plugin) if it.init})

    async def invoke(self, tool: Tool, arguments: dict[str, Any], transport: Any = None) -> CallResult:
        """The result of a call as the spec describes it, with status 200; wrong arguments come back as always."""
        arguments = tool.coerced(arguments)
        result = CallResult(tool.operation.id, arguments, None, None, 0.0, tool.operation.method)
        result.plugin = self.manifest.name_for_human or self.name
        if problems := tool.problems(arguments):
            result.data = {"error": f"The arguments do not fit {tool.name}.", "problems": problems}
        else:
            result.status, result.data = 200, example_answer(tool)
        return result


def blanked(plugin: InstalledPlugin) -> InstalledPlugin:
    """The same plugin without a word of description: names, types and formats are left."""
    document = _without_words(plugin.spec.document)
    manifest = type(plugin.manifest).read(plugin.manifest.render(plugin.base_url))
    object.__setattr__(manifest, "description_for_model", "")  # an own manifest refuses an empty one
    return replace(plugin, manifest=manifest, spec=Spec(document, plugin.spec.source))


def _without_words(node: Any, is_named: bool = False) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _without_words(value, not is_named and key in _NAMED)
            for key, value in node.items()
            if is_named or key not in _WORDS or not isinstance(value, str | list | Mapping) or key == "info"
        }
    return [_without_words(item) for item in node] if isinstance(node, list) else node
