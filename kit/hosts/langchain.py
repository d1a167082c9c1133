"""LangChain: one typed `StructuredTool` for each operation, for `create_agent` or `bind_tools`.

LangChain's own `AIPluginTool` hands the model the spec as text and lets it write the URLs itself.
Here the model fills in arguments, and the kit makes the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kit.errors import KitError
from kit.hosts.findings import Finding

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from kit.description import Description

TITLE = "LangChain"
FILE = ""
HOST = "langchain"
_AI_PLUGIN_TOOL = "https://github.com/langchain-ai/langchain-community (0.4: tools/plugin.py)"


@runtime_checkable
class Callable(Protocol):
    """A plugin that can be called: an installed one."""

    def tools(self, api: str = ...) -> list[dict[str, Any]]: ...

    def call(self, operation: str, arguments: Mapping[str, Any] | None = ..., /) -> Any: ...

    async def acall(self, operation: str, arguments: Mapping[str, Any] | None = ..., /) -> Any: ...


def render(plugin: Description) -> list[StructuredTool]:
    """The tools of an installed plugin."""
    if not isinstance(plugin, Callable):
        raise KitError("LangChain's tools call the plugin.", "Install it first: kit.install(...).")
    return make_tools(plugin)


def check(plugin: Description) -> Iterator[Finding]:
    """What `AIPluginTool`, LangChain's own reader of manifests, fails at."""
    for name in ("logo_url", "contact_email", "legal_info_url"):
        if not getattr(plugin.manifest, name):
            message = f"AIPluginTool refuses a manifest without {name}."
            remedy = "Write it, or use plugin.langchain(), which does not need it."
            yield Finding(HOST, "warning", f"manifest/{name}", message, remedy, _AI_PLUGIN_TOOL)
    if "://" not in plugin.manifest.api_url and "://" not in plugin.spec.source:
        message = "AIPluginTool cannot fetch a spec at a relative address."
        remedy = "Write it in full, or use plugin.langchain()."
        yield Finding(HOST, "warning", "manifest/api/url", message, remedy, _AI_PLUGIN_TOOL)


def make_tools(plugin: Callable) -> list[StructuredTool]:
    """The tools of an installed plugin. The model receives an error of the plugin as text."""
    try:
        from langchain_core.tools import StructuredTool
    except ImportError:
        raise KitError(
            "LangChain is not installed.",
            "Install it, then try again: pip install langchain langchain-openai",
        ) from None

    def one(name: str, description: str, schema: dict[str, Any]) -> StructuredTool:
        # The model receives the result as text, the program as an object in the message's artifact.
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
