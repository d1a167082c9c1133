"""Some of a plugin's tools: by name, tag, method, pattern, or by the words of a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from kit.errors import KitError
from kit.openapi.spec import METHODS
from kit.tools.tool import Tool
from kit.words import FUNCTION, did_you_mean, nearness, stem

NEAREST = 10  # tools for a sentence: hosts say that with more a model chooses worse
_WEIGHTS = {"name": 3.0, "tags": 2.0, "path": 1.5, "summary": 2.0, "description": 1.0}


def select(
    tools: Mapping[str, Tool], selection: str | Iterable[str], plugin: str = "the plugin"
) -> dict[str, Tool]:
    """The selected tools, in the order of the document; those for a sentence, the nearest first.

    Each part of `selection` is the name of an operation or a tag (`add_todo`, `todos`), a method (`GET`), a glob
    for a name, a path or both together (`list_*`, `/users/*`, `GET /users/*`), or a sentence. Raises `KitError`
    for one that matches nothing.
    """
    selected: dict[str, Tool] = {}
    for part in [selection] if isinstance(selection, str) else selection:
        matching = _matching(tools, part.strip())
        if not matching:
            known = sorted({tag for tool in tools.values() for tag in tool.operation.tags} | tools.keys())
            hint = did_you_mean(part, known)
            raise KitError(
                f"Nothing in {plugin} matches {part!r}.",
                f"{hint}Use a name, a tag, a method (GET), a glob (list_*, /users/*) or a sentence. "
                f"There are: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}.",
            )
        selected |= matching
    return selected


def _matching(tools: Mapping[str, Tool], text: str) -> dict[str, Tool]:
    for fits in (
        lambda tool: text in (tool.name, tool.operation.id),
        lambda tool: text in tool.operation.tags,
        lambda tool: text.lower() in METHODS and text.upper() == tool.operation.method,
        lambda tool: any(fnmatchcase(name, text) for name in _names(tool)),
        lambda tool: text.lower() in map(str.lower, (tool.name, tool.operation.id, *tool.operation.tags)),
    ):
        matching = {name: tool for name, tool in tools.items() if fits(tool)}
        if matching:
            return matching
    # what looks like a name or a path but matches none is a typo, not a sentence
    return {} if re.fullmatch(r"\S*[_/*?]\S*", text) else nearest(tools, text)


def _names(tool: Tool) -> tuple[str, ...]:
    operation = tool.operation
    return tool.name, operation.id, operation.path, f"{operation.method} {operation.path}"


def nearest(tools: Mapping[str, Tool], sentence: str, count: int = NEAREST) -> dict[str, Tool]:
    """The tools whose words are nearest to those of a sentence (BM25F), at most `count`, the best first."""
    near = nearness(set(_stems(sentence)), [_lexicon(tool) for tool in tools.values()])
    scores = dict(zip(tools, near, strict=True))
    best = sorted((name for name in tools if scores[name] > 0), key=lambda name: -scores[name])
    return {name: tools[name] for name in best[:count]}


def likeness(tool: Tool, other: Tool) -> float:
    """How many of the words of two descriptions are the same, 0 to 1; 0 where one has fewer than three."""
    words, others = ({stem(it) for it in re.findall(r"\w+", t.description.lower())} for t in (tool, other))
    return len(words & others) / len(words | others) if min(len(words), len(others)) >= 3 else 0.0


def says_nothing(tool: Tool) -> bool:
    """Whether its name, summary and description are at most a verb, which says nothing about a subject."""
    operation = tool.operation
    words = _stems(f"{operation.id} {operation.summary} {operation.description[:1000]}")
    return not any(len(word) > 1 and word not in _VERBS for word in words)


# What an operation is called when nobody named its subject.
_VERBS = {
    stem(verb)
    for verb in "add create delete do execute fetch get handle list post process put remove run set update".split()
}


def _lexicon(tool: Tool) -> Counter[str]:
    operation = tool.operation
    texts = {
        "name": operation.id,
        "tags": " ".join(operation.tags),
        "path": operation.path,
        "summary": operation.summary,
        "description": operation.description[:1000],
    }
    lexicon: Counter[str] = Counter()
    for part, text in texts.items():
        for word in _stems(text):
            lexicon[word] += _WEIGHTS[part]  # type: ignore[assignment]
    return lexicon


def _stems(text: str) -> list[str]:
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text))
    return [stem(word.lower()) for word in words if word.lower() not in FUNCTION]
