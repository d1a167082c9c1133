"""A stranger's JSON or YAML text as a mapping, bounded in size, depth and growth.

JSON goes through the standard library, YAML through ryaml (YAML 1.2, as OpenAPI wants it: dates and `no`
stay text), which reads Plaid's 3 MB in a tenth of the time of PyYAML's C loader. What ryaml refuses though
ChatGPT took it (a key given twice, merge keys) PyYAML reads.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

from kit.errors import SpecError

MAX_LENGTH = 32_000_000  # characters; the largest public spec has 7 million
MAX_DEPTH = 100  # levels; the deepest of 850 real documents has 32
# Values in a document with its YAML aliases written out. Stripe's, 2.5 MB, has 94,000 that hold others.
MAX_VALUES = 3_000_000

NO_SPEC = "An OpenAPI document is a JSON or YAML mapping with 'openapi' and 'paths'. Is the address right?"

# YAML allows none of these; a text that was encoded twice is full of them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")


def parse(text: str | bytes, source: str = "the document") -> dict[str, Any]:
    """The mapping that a JSON or YAML text holds. Raises `SpecError` with the reason if it holds none.

    What JSON cannot say (NaN, infinity, half a character) is null or `?`.
    """
    if isinstance(text, bytes):
        text = _decoded(text)
    if len(text) > MAX_LENGTH:
        raise SpecError(
            f"{source} has {len(text):,} characters, and {MAX_LENGTH:,} is the most that is read.",
            "Give a part of it.",
            source=source,
        )
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise SpecError(f"{source} is empty.", NO_SPEC, source=source)
    if re.match(r"<[!?A-Za-z]", text):
        raise SpecError(
            f"{source} is an HTML or XML page, not JSON or YAML: {text[:60]!r}.", NO_SPEC, source=source
        )
    try:
        data = json.loads(text, parse_constant=lambda name: None)
        if _LONE_SURROGATE.search(text):
            data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise _too_deep(source) from None
    except ValueError:
        data = _parse_yaml(text, source)
    if not isinstance(data, dict):
        kind = {"list": "a list", "str": "plain text"}.get(type(data).__name__, repr(data))
        raise SpecError(f"{source} holds {kind}, not a mapping.", NO_SPEC, source=source)
    _bound(data, source)
    return data


def _decoded(content: bytes) -> str:
    """UTF-8 by default; UTF-16 and UTF-32 where a byte order mark says so."""
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def _parse_yaml(text: str, source: str) -> Any:
    ryaml: Any = importlib.import_module("ryaml")  # its types do not name what it exports
    text = _CONTROL.sub(" ", text)
    try:
        # A merge key is none of YAML 1.2, but people write it; ryaml takes it for a key like another.
        if not re.search(r"^\s*(?:- )?<<\s*:", text, re.MULTILINE):
            return ryaml.loads(text)
    except (ryaml.InvalidYamlError, ValueError, TypeError) as error:
        if "recursion limit" in str(error):
            raise _too_deep(source) from None
        if "repetition limit" in str(error):
            raise _too_much(source) from None
    return _parse_slowly(text, source)


def _parse_slowly(text: str, source: str) -> Any:
    import yaml

    try:
        # PyYAML builds what is nested by calling itself in C: too deep a text would end the process.
        depth = 0
        for event in yaml.parse(text, getattr(yaml, "CLoader", yaml.Loader)):
            opens, closes = yaml.CollectionStartEvent, yaml.CollectionEndEvent
            depth += isinstance(event, opens) - isinstance(event, closes)
            if depth > MAX_DEPTH:
                raise _too_deep(source)
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise SpecError(
            f"{source} is neither JSON nor YAML: {' '.join(str(error).split())}.", NO_SPEC, source=source
        ) from None
    except (ValueError, TypeError, RecursionError) as error:  # a list as a key, a number out of bounds
        raise SpecError(f"{source} cannot be read as YAML: {error}.", NO_SPEC, source=source) from None


def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """YAML as JSON has it: dates stay text, and only true and false are booleans."""

    Loader.yaml_implicit_resolvers = {
        first: [
            (tag, regexp) for tag, regexp in resolvers if tag.rsplit(":", 1)[1] not in ("timestamp", "bool")
        ]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tfTF"
    )
    return Loader


def _bound(data: Any, source: str) -> None:
    """Refuses what is nested too deeply, or grows out of hand when its aliases are written out."""
    level, depth, count = [data], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep(source)
        level = [item for node in level for item in _items(node) if isinstance(item, dict | list) and item]
        count += sum(map(len, level))
        if count > MAX_VALUES:
            raise _too_much(source)


def _items(node: dict[Any, Any] | list[Any]) -> Iterator[Any]:
    return iter(node.values() if isinstance(node, dict) else node)


def _too_deep(source: str) -> SpecError:
    return SpecError(
        f"{source} is nested too deeply to be read: more than {MAX_DEPTH} levels.", NO_SPEC, source=source
    )


def _too_much(source: str) -> SpecError:
    return SpecError(
        f"{source} grows out of hand when its aliases are written out: more than {MAX_VALUES:,} values.",
        "Write what repeats once under 'components', and refer to it with $ref.",
        source=source,
    )
