"""LangChain: one typed `StructuredTool` for each operation, for `create_agent` or `bind_tools`.

LangChain's own `AIPluginTool` hands the model the spec as text and lets it write the URLs itself.
Here the model fills in arguments, and the kit makes the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import KitError

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from kit.installed import InstalledPlugin


def make_tools(plugin: InstalledPlugin) -> list[StructuredTool]:
    """The tools of an installed plugin. An error of the plugin goes back to the model as its text."""
    try:
        from langchain_core.tools import StructuredTool
    except ImportError:
        raise KitError(
            "LangChain is not installed.",
            "Install it, then try again: pip install langchain langchain-openai",
        ) from None

    def one(name: str, description: str, schema: dict[str, Any]) -> StructuredTool:
        # The result goes to the model as text, and to the program as it is, in the message's artifact.
        def call(**arguments: Any) -> tuple[str, Any]:
            result = plugin.call(name, arguments)
            return result.for_model(), result

        async def acall(**arguments: Any) -> tuple[str, Any]:
            result = await plugin.acall(name, arguments)
            return result.for_model(), result

        return StructuredTool(
            name=name,
            description=description,
            args_schema=schema,
            func=call,
            coroutine=acall,
            response_format="content_and_artifact",
        )

    tools = (tool["function"] for tool in plugin.tools("chat"))
    return [one(tool["name"], tool.get("description") or tool["name"], tool["parameters"]) for tool in tools]
