"""References to other documents: `bundle` puts what they lead to into one document.

The author of the document chooses what a `$ref` fetches. So nothing is fetched unless the user asks for it, and
then only from the plugin's own domain or, for a file, from the file's own folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urldefrag

from kit.addresses import joined
from kit.errors import KitError
from kit.openapi.documents import parse
from kit.openapi.spec import Problem

MAX_DOCUMENTS = 100
PLACE = "x-documents"  # the root's key that holds the others

Fetch = Callable[[str], Awaitable[bytes]]


async def bundle(document: Mapping[str, Any], url: str, fetch: Fetch) -> tuple[dict[str, Any], list[Problem]]:
    """The document with everything that it refers to inside, and what could not be fetched.

    `fetch` returns the bytes at an absolute address, or raises `KitError` with the reason.
    """
    numbers = {url: -1}  # of documents by address; the root has none
    problems: list[Problem] = []
    others: list[Any] = []
    root: dict[str, Any] = _moved(document, url, numbers)
    waiting = [address for address, number in numbers.items() if number >= 0]
    while waiting:
        address = waiting.pop(0)
        try:
            if len(others) == MAX_DOCUMENTS:
                raise KitError(f"more than {MAX_DOCUMENTS} documents")
            known = set(numbers)
            others.append(_moved(parse(await fetch(address), address), address, numbers))
            waiting += [new for new in numbers if new not in known]
        except KitError as error:
            others.append({})
            problems.append((address, f"is referred to, but cannot be fetched: {error.problem}"))
            if len(others) > MAX_DOCUMENTS:
                break
    return ({**root, PLACE: others} if others else root), problems


def _moved(node: Any, base: str, numbers: dict[str, int]) -> Any:
    """A copy of a part of the document at `base`, its references pointing into the bundle.

    Recursive: `parse` has bounded the depth.
    """
    if isinstance(node, list):
        return [_moved(item, base, numbers) for item in node]
    if not isinstance(node, Mapping):
        return node
    moved = {key: _moved(value, base, numbers) for key, value in node.items()}
    ref = node.get("$ref")
    if isinstance(ref, str):
        address, fragment = urldefrag(joined(base, ref) if not ref.startswith("#") else base + ref)
        number = numbers.setdefault(address, len(numbers) - 1)
        moved["$ref"] = f"#{fragment}" if number < 0 else f"#/{PLACE}/{number}{fragment}"
    return moved
