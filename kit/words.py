"""English words without a model file: their stems, those that carry no content, and what a misspelt one may mean."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from difflib import get_close_matches
from functools import lru_cache

_IRREGULAR = {
    "bought": "buy", "sold": "sell", "sent": "send", "found": "find", "gave": "give", "given": "give",
    "ran": "run", "went": "go", "gone": "go", "goes": "go", "made": "make", "wrote": "write", "written": "write", "paid": "pay",
    "left": "leave", "lost": "lose", "met": "meet", "said": "say", "took": "take", "taken": "take", "told": "tell",
    "spent": "spend", "drank": "drink", "ate": "eat", "eaten": "eat", "slept": "sleep", "swam": "swim", "did": "do",
    "done": "do", "has": "have", "had": "have", "men": "man", "women": "woman", "people": "person", "children": "child",
    "news": "news", "status": "status", "address": "address", "addresses": "address", "bus": "bus", "buses": "bus",
    "gas": "gas", "series": "series", "analysis": "analysis", "lives": "live", "leaves": "leave", "movies": "movie",
    "cookies": "cookie", "ties": "tie", "pies": "pie", "expenses": "expense", "prices": "price", "houses": "house",
    "courses": "course", "exercises": "exercise", "purchases": "purchase", "dying": "die", "rose": "rise",
}  # fmt: skip
_KEPT = frozenset(
    "evening morning thing something anything nothing everything red bed need "
    "feed speed seed king ring spring string wing wedding building ceiling hundred".split()
)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without the endings that number, tense and person give it."""
    word = word.lower()
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    elif len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and re.search(r"(s|x|z|ch|sh)es$", word):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if (
            word not in _KEPT
            and word.endswith(ending)
            and len(word) - len(ending) >= 3
            and re.search(r"[aeiouy]", word[: -len(ending)])
        ):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


DETERMINERS = words(
    "a an the this that these those my your his her its our their some any all every each another new"
)
PRONOUNS = words(
    "i me you he him she it we us they them myself yourself mine yours hers ours theirs this that these those "
    "something anything everything nothing someone anyone everyone somebody anybody everybody nobody one ones "
    "there here who what which"
)
PREPOSITIONS = words(
    "for in at to from of on by with near around about into onto under below over above as between until till "
    "since before after during within without through via against towards toward beside behind across along "
    "inside outside off out up regarding concerning than per like"
)
# Words that carry no content of a request: they are never looked up and never a value by themselves.
FUNCTION = DETERMINERS | PRONOUNS | PREPOSITIONS | words(
    "and or but so then also too if when where why how because while whether not no yes n't don't doesn't didn't "
    "isn't aren't can't couldn't won't wouldn't is are was were be been being am do does did doing done have has "
    "had having will would shall should can could may might must ought 's 'm 're 've 'd 'll s t m re ve d ll "
    "please just really very quite right now currently still already again soon later maybe perhaps only even "
    "hi hello hey ok okay thanks thank well oh um ah yeah sure let lets kindly actually basically exactly "
    "want wants wanted need needs like likes love wish hope think know try trying going gonna able "
    "go come get gets got getting give gives gave tell tells told help make makes there's here's it's that's what's "
    "more most many much few less least other such same own long far often ever never always "
    "today tomorrow tonight yesterday whenever wherever anymore away back good great nice best better fine whether"
)  # fmt: skip


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the nearest of the `known` words, and a space after it; nothing if none is near."""
    near = get_close_matches(word, list(known), 1)
    return f"Did you mean {near[0]!r}? " if near else ""


def with_article(noun: str) -> str:
    """A noun behind `a` or `an`."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def nearness(words: Set[str], lexicons: Sequence[Mapping[str, float]]) -> list[float]:
    """How near texts are to some words (BM25, with the weights of a text's words in the place of their number)."""
    sizes = [sum(lexicon.values()) for lexicon in lexicons]
    average = sum(sizes) / max(1, len(sizes)) or 1
    known = Counter(word for lexicon in lexicons for word in words if word in lexicon)
    rarity = {word: math.log(1 + (len(lexicons) - n + 0.5) / (n + 0.5)) for word, n in known.items()}
    return [
        sum(
            rarity[word] * lexicon[word] * 2.2 / (lexicon[word] + 1.2 * (0.5 + 0.5 * size / average))
            for word in rarity
            if word in lexicon
        )
        for lexicon, size in zip(lexicons, sizes, strict=True)
    ]
