"""Untrusted JSON or YAML text as a mapping, bounded in size, depth and growth.

JSON goes through the standard library, YAML through ryaml (YAML 1.2, as OpenAPI requires: dates and `no`
stay text), which reads Plaid's 3 MB in a tenth of the time of PyYAML's C loader. PyYAML reads what ryaml
refuses although ChatGPT took it: repeated keys and merge keys.

Each reader has its own limits and messages, which change between versions. So what is too deep, too large
or cut off is detected here, in the text and where the reader stopped, and reported in one sentence.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

from kit.errors import SpecError
from kit.visible import encodable

MAX_LENGTH = 32_000_000  # characters; the largest public spec has 7 million
MAX_DEPTH = 100  # levels; the deepest of 850 real documents has 32
# Values in a document with its YAML aliases expanded. Stripe's, 2.5 MB, has 94,000 that hold others.
MAX_VALUES = 3_000_000

NO_SPEC = "An OpenAPI document is a JSON or YAML mapping with 'openapi' and 'paths'. Is the address right?"

# YAML allows none of these; a text that was encoded twice is full of them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_CONTAINERS = (dict, list)
_TOO_DEEP = f"is nested too deeply to be read: more than {MAX_DEPTH} levels"
_OPEN_STRING = re.compile(r'"(?:[^"\\]|\\.)*\\?\Z', re.DOTALL)
_STRING_OR_BRACKET = re.compile(
    r"""(?<![^\s,:\[{])(?:"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z))|[\[\]{}]""", re.DOTALL
)


class Unreadable(ValueError):
    """Why a text cannot be read, worded to follow its name. `position` is how far the reader got."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position


def read_json(text: str | bytes, *, is_bounded: bool = True, **options: Any) -> Any:
    """What a JSON text holds: the one way in for JSON of strangers, models and users. Raises nothing but `Unreadable`.

    As `json.loads`, no deeper than 100 levels unless the caller checks that, and with no half of a character in its
    texts and names, so that whatever it gives can be sent on.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        value = json.loads(text, **options)
        if is_bounded and any(depth > MAX_DEPTH for depth, _ in _levels(value)):
            raise Unreadable(_TOO_DEEP)
        return encodable(value) if _SURROGATE.search(text) else value
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not valid JSON: {_stopped(error.doc, error.pos)}", error.pos) from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not text in UTF-8, from byte {error.start:,} on") from None
    except RecursionError:
        raise Unreadable(_TOO_DEEP) from None
    except Unreadable:
        raise
    except ValueError:  # more than 4,300 digits, Python's limit
        raise Unreadable("has a number with too many digits to be read", 0) from None


def read_values(value: Any) -> Any:
    """The same for what comes as Python's values, such as a call's arguments. Raises `Unreadable`."""
    if any(depth > MAX_DEPTH for depth, _ in _levels(value)):
        raise Unreadable(_TOO_DEEP)
    return encodable(value)


def _stopped(text: str, position: int) -> str:
    """Where a reader stopped, and what is there, in the same words for each reader."""
    if not text[position:].strip() or _OPEN_STRING.match(text, position):
        position = len(text.rstrip())
        what = "it is cut off at"
    else:
        what = "it goes wrong at"
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    there = text[position : position + 40].partition("\n")[0].strip()
    return f"{what} line {line:,}, column {column:,}{f', {there!r}' if there else ''}"


def parse(text: str | bytes, source: str = "the document") -> dict[str, Any]:
    """The mapping that a JSON or YAML text holds. Raises `SpecError` with the reason if it holds none.

    What JSON cannot express (NaN, infinity) becomes null, half a character a replacement character.
    """
    if isinstance(text, bytes):
        text = decoded(text)
    if len(text) > MAX_LENGTH:
        raise SpecError(
            f"{source} has {len(text):,} characters, and the limit is {MAX_LENGTH:,}.",
            "Use a part of it.",
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
        data = read_json(text, is_bounded=False, parse_constant=lambda name: None)
    except Unreadable as error:
        if error.position is None:
            raise SpecError(f"{source} {error}.", NO_SPEC, source=source) from None
        data = _parse_yaml(text, source, error.position)
    _bound(data, source)
    if not isinstance(data, dict):
        kind = {"list": "a list", "str": "plain text"}.get(type(data).__name__, repr(data))
        raise SpecError(f"{source} holds {kind}, not a mapping.", NO_SPEC, source=source)
    return data


def decoded(content: bytes, charset: str = "") -> str:
    """The text in some bytes: as a byte order mark says, or `charset`, or as JSON can be told apart (RFC 4627, 3).

    Else it is UTF-8, as it is if the charset is not known. What is no character in it becomes a replacement character.
    """
    by_mark = json.detect_encoding(content)
    has_mark = content.startswith(
        (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    )
    if charset and not has_mark:
        with contextlib.suppress(LookupError, ValueError):
            return str(encodable(content.decode(charset, errors="replace")))
    return content.decode(by_mark, errors="replace")


def _parse_yaml(text: str, source: str, position: int) -> Any:
    """`position` is how far the text could be read as JSON."""
    ryaml: Any = importlib.import_module("ryaml")  # its types do not name what it exports
    text = _CONTROL.sub(" ", text)
    # YAML 1.2 has no merge keys, but people write them; to ryaml they are keys like any other. And the time
    # that ryaml takes grows with the square of the open brackets: 20,000 of them cost 5 s.
    if _brackets(text)[0] <= MAX_DEPTH and not re.search(r"^\s*(?:- )?<<\s*:", text, re.MULTILINE):
        with contextlib.suppress(ryaml.InvalidYamlError, ValueError, TypeError):
            return ryaml.loads(text)
    return _parse_with_pyyaml(text, source, position)


def _parse_with_pyyaml(text: str, source: str, position: int) -> Any:
    import yaml

    depth, read = 0, 0
    documents = 0
    try:
        # PyYAML recurses in C: a text nested too deeply would crash the process.
        for event in yaml.parse(text, getattr(yaml, "CLoader", yaml.Loader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _too_deep(source)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise SpecError(f"{source} holds more than one document.", NO_SPEC, source=source)
            read = getattr(event.end_mark, "index", 0)
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        stop = mark.index if mark else getattr(error, "position", 0)
        # It looks up to 1,024 characters ahead for the end of a key: what is there may be too deep.
        if depth + _brackets(text[read:stop])[1] > MAX_DEPTH:
            raise _too_deep(source) from None
        where = _stopped(text, max(stop, position))
        raise SpecError(f"{source} is neither JSON nor YAML: {where}.", NO_SPEC, source=source) from None
    except (ValueError, TypeError):
        raise SpecError(
            f"{source} has a key or a number that JSON does not allow.", NO_SPEC, source=source
        ) from None
    except RecursionError:
        raise _too_deep(source) from None


def _brackets(text: str) -> tuple[int, int]:
    """How many brackets are open at most, and at the end of a text; those in quotes do not count."""
    most = now = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            now += 1
            most = max(most, now)
        elif match[0] in "]}":
            now = max(0, now - 1)
    return most, now


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
    """Refuses what is nested too deeply, or grows too large when its aliases are expanded."""
    for depth, count in _levels(data):
        if depth > MAX_DEPTH:
            raise _too_deep(source)
        if count > MAX_VALUES:
            raise SpecError(
                f"{source} grows too large when its aliases are expanded: more than {MAX_VALUES:,} values.",
                "Write what repeats once under 'components', and refer to it with $ref.",
                source=source,
            )


def _levels(data: Any) -> Iterator[tuple[int, int]]:
    """For each level of nesting: its number, and how many values there are down to it."""
    level, depth, count = [data] if isinstance(data, _CONTAINERS) else [], 0, 0
    while level:
        depth += 1
        yield depth, count
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, _CONTAINERS) and item
        ]
        count += sum(map(len, level))


def _too_deep(source: str) -> SpecError:
    return SpecError(f"{source} {_TOO_DEEP}.", NO_SPEC, source=source)
