"""What hosts share: texts cut to their limits, the URL of the spec, the targets of references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kit.hosts.findings import Finding
from kit.openapi.values import mapping

if TYPE_CHECKING:
    from kit.description import Description
    from kit.openapi.spec import Spec

MAX_TEXT = 4000  # characters of any text: "SHOULD be limited to 4K", m365copilot-docs plugin-manifest-2.4.md
URL = re.compile(r"https?://[^\s/]\S*")


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """`text` in at most `limit` characters: whole words, then an ellipsis."""
    text = text.encode("utf-8", "replace").decode().strip()  # a lone surrogate cannot be sent
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    words = head.rsplit(None, 1)
    if not text[limit - 1].isspace() and len(words) == 2 and len(words[0]) > limit // 2:
        head = words[0]  # drops half a word, unless the text is one long word
    return head.rstrip() + "…"


def summaries(plugin: Description, most: int, limit: int = 200) -> list[str]:
    """What the first operations do, in their own words: at most `most` texts of one line."""
    operations = (plugin.tool(name).operation for name in plugin.tool_names)
    lines = (cut(" ".join(operation.summary.split()), limit) for operation in operations)
    return [*dict.fromkeys(line for line in lines if line)][:most]


def spec_url(plugin: Description) -> str:
    """The URL of the spec, else the name of its file, relative to the manifest."""
    for url in (plugin.spec.source, plugin.manifest.api_url):
        if URL.fullmatch(url):
            return url
    file = re.split(r"[/\\]", plugin.spec.source)[-1]
    return quote(file) if file.endswith((".json", ".yaml", ".yml")) else "openapi.json"


def followed(spec: Spec, node: Any) -> Mapping[str, Any]:
    """What a reference leads to, at most twenty steps away. Unlike `Spec.resolve` it notes nothing."""
    for _ in range(20):
        ref = mapping(node).get("$ref")
        if not isinstance(ref, str):
            break
        node = spec.lookup(ref)
    return mapping(node)


def texts_too_long(
    plugin: Description, host: str, operation_limit: int, parameter_limit: int, source: str
) -> Iterator[Finding]:
    """Findings for summaries and descriptions over a host's limit, in characters."""
    for name, tool in plugin.by_name.items():
        operation = tool.operation
        for key in ("summary", "description"):
            length = len(getattr(operation, key))
            if length > operation_limit:
                message = f"The {key} has {length:,} characters, the limit is {operation_limit}."
                remedy = f"Cut {length - operation_limit:,}: say what it does, and when to use it."
                yield Finding(host, "warning", f"{operation.pointer}/{key}", message, remedy, source, name)
        for parameter in operation.parameters:
            length = len(parameter.description)
            if length > parameter_limit:
                message = (
                    f"The description of {parameter.name!r} has {length:,} characters, the limit is "
                    f"{parameter_limit}."
                )
                remedy = f"Cut {length - parameter_limit:,}."
                yield Finding(
                    host, "warning", f"{operation.pointer}/parameters", message, remedy, source, name
                )
