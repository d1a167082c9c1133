"""An answer as MCP's content: its text, and pictures, sounds and files as what they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from kit.client.answers import cut
from kit.client.files import MAX_FILES, RESPONSE, File, listed
from kit.hosts.mcp import RESULT, UNEXPECTED, Declared
from kit.tools.misfits import explain, validator

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from kit.client.installed import CallResult

# What the models of OpenAI and Anthropic look at: over another picture their APIs refuse the whole conversation
# (developers.openai.com/api/docs/guides/images-vision, platform.claude.com/docs/en/build-with-claude/vision).
_SEEN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_BYTES = "application/octet-stream"
# The version of the protocol that first had this kind of content; an older client refuses the whole result.
_SINCE = {"audio": "2025-03-26", "resource_link": "2025-06-18"}


def tool_result(result: CallResult, declared: Declared | None, version: str) -> CallToolResult:
    """The result of `tools/call`, with what the answer holds besides text as content of its own.

    `version` is that of the protocol, which must have such content.
    """
    from mcp.types import CallToolResult, TextContent
    from mcp.types.version import is_version_at_least

    data = _outlined(result.data)
    text = result.for_model() if data is result.data else cut(json.dumps(data, ensure_ascii=False))
    content: list[Any] = [TextContent(type="text", text=text)]
    if not result.ok:
        return CallToolResult(content=content, is_error=True)
    blocks = filter(None, (_block(file, result) for file in result.files))
    content += [it for it in blocks if is_version_at_least(version, _SINCE.get(it.type, version))]
    structured, misfit = _structured(declared, data)
    if misfit:
        note = (
            f"The call succeeded. Its answer, above, differs from what {result.operation} declares: {misfit}"
        )
        content.append(TextContent(type="text", text=note))
    if structured is None:
        return CallToolResult(content=content)
    return CallToolResult(content=content, structured_content=structured)


def _outlined(data: Any) -> Any:
    """The data without the bytes of the files in it, which no model reads."""
    if not isinstance(data, Mapping) or not isinstance(entries := data.get(RESPONSE), list):
        return data

    def outlined(entry: Any) -> Any:
        file = None if isinstance(entry, str) else listed(entry)
        return {**entry, "content": f"[{len(file.content):,} bytes: attached]"} if file else entry

    return {**data, RESPONSE: [*map(outlined, entries[:MAX_FILES]), *entries[MAX_FILES:]]}


def _block(file: File, result: CallResult) -> Any:
    """A file as content of a result; None for a picture that is in the text already, such as SVG.

    A file that no model looks at or listens to is a link if its operation only reads: the client asks for it by
    `resources/read`, if at all. So is what was too large. What cannot be asked for again is embedded.
    """
    from mcp.types import (
        AudioContent,
        BlobResourceContents,
        EmbeddedResource,
        ImageContent,
        ResourceLink,
        TextResourceContents,
    )

    kind, blob = file.media_type, base64.b64encode(file.content).decode()
    if file.content and kind in _SEEN:
        return ImageContent(type="image", data=blob, mime_type=kind)
    if file.content and kind.startswith("audio/"):
        return AudioContent(type="audio", data=blob, mime_type=kind)
    if isinstance(result.data, str) and result.data.encode() == file.content:
        return None
    is_answer = file.url == result.url
    if file.url and (result.method == "GET" or not is_answer):
        name = file.name or urlsplit(file.url).path.rpartition("/")[2] or result.operation
        return ResourceLink(
            type="resource_link", uri=file.url, name=name, mime_type=kind or None, size=file.size
        )
    if not file.content:
        return None  # the text says how large it was
    uri = f"attachment:{quote(file.name or result.operation)}"
    if kind.startswith("text/"):
        text = file.content.decode(errors="replace")
        return EmbeddedResource(
            type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text)
        )
    contents = BlobResourceContents(uri=uri, mime_type=kind or _BYTES, blob=blob)
    return EmbeddedResource(type="resource", resource=contents)


def _structured(declared: Declared | None, data: Any) -> tuple[Any, str]:
    """The structuredContent of an answer, or None, and how it differs from what is declared."""
    from jsonschema.exceptions import best_match

    if declared is None:
        return (data if isinstance(data, dict) else None), ""
    content = {RESULT: data} if declared.is_wrapped else data
    error = best_match(validator(declared.schema).iter_errors(content))
    if error is None:
        return content, ""
    return {UNEXPECTED: data}, f"{error.json_path}: {explain(error)}"
