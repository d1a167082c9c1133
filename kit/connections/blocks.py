"""YAML changed in one place only, as Goose and LibreChat read it: an entry added to a mapping of the document, or taken out.

What is not the change stays as it is, byte by byte: comments, order, indentation.
"""

from __future__ import annotations

from typing import Any

import yaml


def read(text: str) -> Any:
    """The value of a text; None for one without any. Raises `ValueError` with the line, if it is no YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{place}{getattr(error, 'problem', None) or error}") from None


def added(text: str, key: str, name: str, entry: Any) -> str:
    """`text` with `entry` as the last of the mapping `key`, which is made if it is missing.

    Raises `ValueError` if that is no mapping in lines of its own, or has the name.
    """
    root = _root(text)
    pair = _pair(root, key)
    if pair is None:
        return f"{_closed(text)}{_written({key: {name: entry}}, '')}"
    holder, value = pair
    if _is_nothing(value):
        line = holder.start_mark.line
        lines = text.splitlines(keepends=True)
        head = _closed("".join(lines[: line + 1]))
        if value.start_mark.index < value.end_mark.index:  # `{}`, null or ~
            head = f"{text[: value.start_mark.index].rstrip()}{text[value.end_mark.index : len(''.join(lines[: line + 1]))]}"
        return f"{_closed(head)}{_written({name: entry}, '  ')}{''.join(lines[line + 1 :])}"
    if not isinstance(value, yaml.MappingNode) or value.flow_style:
        raise ValueError(f"{key} is no mapping in lines of its own")
    if _pair(value, name):
        raise ValueError(f"{key}.{name} is there already")
    lines = text.splitlines(keepends=True)
    line = _last_line(value) + 1
    indent = " " * value.value[0][0].start_mark.column
    return f"{_closed(''.join(lines[:line]))}{_written({name: entry}, indent)}{''.join(lines[line:])}"


def removed(text: str, key: str, name: str) -> str:
    """`text` without the entry; as it is if there is none. Raises `ValueError` if it has no lines of its own."""
    pair = _pair(_root(text), key)
    found = _pair(pair[1], name) if pair else None
    if pair is None or found is None:
        return text
    holder, value = found
    lines = text.splitlines(keepends=True)
    first, last = holder.start_mark.line, max(_last_line(value), holder.end_mark.line)
    if lines[first][: holder.start_mark.column].strip() or pair[1].flow_style:
        raise ValueError(f"{key}.{name} has no lines of its own")
    rest = "".join([*lines[:first], *lines[last + 1 :]])
    if len(pair[1].value) > 1:
        return rest
    end = pair[0].end_mark
    return f"{text[: end.index]}: {{}}{rest[end.index + 1 :]}"


def without_empty(text: str, key: str) -> str:
    """`text` without the mapping `key`, if it is empty and the last."""
    root = _root(text)
    pair = _pair(root, key)
    if pair is None or not _is_nothing(pair[1]):
        return text
    lines = text.splitlines(keepends=True)
    return "".join(lines[: pair[0].start_mark.line] + lines[pair[0].start_mark.line + 1 :])


def _root(text: str) -> yaml.MappingNode | None:
    read(text)  # composing alone takes unknown tags
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise ValueError("the document is no mapping in lines of its own")
    return node


def _pair(node: Any, name: str) -> tuple[Any, Any] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((pair for pair in pairs if pair[0].value == name), None)


def _is_nothing(node: Any) -> bool:
    is_null = node.tag == "tag:yaml.org,2002:null"
    return is_null or (isinstance(node, yaml.MappingNode) and not node.value)


def _last_line(node: Any) -> int:
    """The line of a value's last character. The marks of a block go on to what follows it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        holder, value = node.value[-1]
        return max(_last_line(value), int(holder.end_mark.line))
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    if node.start_mark.index == node.end_mark.index:  # nothing at all
        return -1
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _written(value: Any, indent: str) -> str:
    dumped = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
    return "".join(f"{indent}{line}\n" for line in dumped.splitlines())
