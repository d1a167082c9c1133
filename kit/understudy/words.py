"""Words: how an identifier is split into them, and what little English the understudy knows.

What it knows is data, in `vocabulary.json`: the verbs of everyday requests in four classes, the words by which
parameters are named, groups of words that people use for the same thing. Nothing there names a plugin.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from kit.words import stem, words

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_COMPOUND = re.compile(
    r"([a-z]{3,})(name|code|number|zone)|(start|end|due|birth|from|to|check)(date|time|day|in|out)"
)
_VOCABULARY: dict[str, Any] = json.loads(files(__package__).joinpath("vocabulary.json").read_text("utf-8"))


@lru_cache(maxsize=5000)
def identifier_words(name: str) -> list[str]:
    """`getTodos_byUsername` as get, todos, by, user, name."""
    parts: list[str] = []
    for word in _SPLIT.findall(name):
        compound = _COMPOUND.fullmatch(word.lower())
        parts += [group for group in compound.groups() if group] if compound else [word.lower()]
    return parts


def stems(text: str) -> frozenset[str]:
    """The stems of the words of a text, to compare with the stems of a sentence."""
    return frozenset(stem(word) for word in text.split())


MODALS, QUESTION, TRAILING, SMALL_TALK, NEGATIONS = (
    words(_VOCABULARY[name]) for name in ("modals", "question", "trailing", "small_talk", "negations")
)
CREATIVE = stems(_VOCABULARY["creative"])
IDIOMS: dict[str, str] = _VOCABULARY["idioms"]  # several words that mean the same as one verb or noun
NUMBERS: dict[str, int] = _VOCABULARY["numbers"]
ORDINALS: dict[str, int] = _VOCABULARY["ordinals"]
PARAMETERS = {kind: stems(text) for kind, text in _VOCABULARY["parameters"].items()}
CLASSES = {name: words(text) for name, text in _VOCABULARY["classes"].items()}  # `language` -> its members
# the first words of a name or a description that say what an operation does: stem -> create, read, update, delete
OPERATION_VERBS = {
    stem(word): kind for kind, text in _VOCABULARY["operations"].items() for word in text.split()
}
VERBS: dict[str, frozenset[str]] = {}  # stem of a verb in a sentence -> what it may want done
for _class, _text in _VOCABULARY["verbs"].items():
    for _word in _text.split():
        VERBS[stem(_word)] = VERBS.get(stem(_word), frozenset()) | {_class}
SYNONYMS: dict[str, set[str]] = {}  # stem -> the stems of words for the same thing
for _line in _VOCABULARY["synonyms"]:
    _stems = stems(_line)
    for _stem in _stems:
        SYNONYMS.setdefault(_stem, set()).update(_stems - {_stem})
