"""LangChain: one typed `StructuredTool` for each operation, for `create_agent` or `bind_tools`.

LangChain's own `AIPluginTool` hands the model the spec as text and lets it write the URLs itself.
Here the model fills in arguments, and the kit makes the request.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kit.errors import KitError
from kit.hosts.findings import Finding
from kit.openapi.values import unique

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

    reserved = reserved_names()

    def one(name: str, description: str, schema: dict[str, Any]) -> StructuredTool:
        schema, own = _renamed(schema, reserved)

        # The model receives the result as text, the program as an object in the message's artifact.
        def call(**arguments: Any) -> tuple[str, Any]:
            result = plugin.call(name, {own.get(key, key): value for key, value in arguments.items()})
            return result.for_model(with_fault=True), result

        async def acall(**arguments: Any) -> tuple[str, Any]:
            result = await plugin.acall(name, {own.get(key, key): value for key, value in arguments.items()})
            return result.for_model(with_fault=True), result

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


def reserved_names() -> frozenset[str]:
    """The names that LangChain passes to a tool itself: an argument of such a name would be lost, or raise."""
    from langchain_core.tools import FILTERED_ARGS, StructuredTool

    # `run` passes the arguments on to `_run`, or `_arun`, as keywords beside its own
    own = (StructuredTool._run, StructuredTool._arun)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {
        p.name for method in own for p in inspect.signature(method).parameters.values() if p.kind not in kinds
    }
    return frozenset(named | {*FILTERED_ARGS})


def _renamed(schema: dict[str, Any], reserved: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """A tool's parameters without names that are reserved, and the plugin's own names of those."""
    properties: dict[str, Any] = schema["properties"]
    names: dict[str, str] = {}
    for name in properties:
        if name in reserved:
            names[name] = unique(f"{name}_value", {*properties, *names.values(), *reserved})
    if not names:
        return schema, {}
    renamed = {names.get(name, name): it for name, it in properties.items()}
    required = [names.get(name, name) for name in schema.get("required", [])]
    return {**schema, "properties": renamed, "required": required}, {new: old for old, new in names.items()}
