"""Which of the tools a sentence asks for, if any."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kit.understudy.clauses import commands
from kit.understudy.filling import MISSING, Filling, fill
from kit.understudy.sentence import Sentence, Token
from kit.understudy.slots import ToolReading
from kit.understudy.words import OPERATION_VERBS, QUESTION, SMALL_TALK, VERBS, stems
from kit.words import DETERMINERS, FUNCTION

SHORTLIST = 12  # tools whose arguments are tried; the words of the others fit less
REMEMBERED = (
    "person",
    "place",
    "id",
    "name",
    "email",
)  # kinds of argument that hold for the next request too
EVIDENCE = 0.8  # what a tool needs before it is called at all
SOME_EVIDENCE, GOOD_SCORE = 0.5, 2.3  # or these two
_DELETING = ("get rid of", "take out", "cross off", "no longer need", "don 't need", "don't need", "scratch ")
_FINISHING = ("finished", "is done", "completed", "complete ")
_CREATIVE = stems("poem haiku story joke riddle essay limerick sonnet lyrics fact tips explain")
_ABOUT_ME = re.compile(
    r"\b(?:who|what|how) (?:are|can|is) you\b|\bwhat(?:'s| is) your (?:name|favou?rite)|\bhow(?:'s| is) it going"
    r"|\bare you (?:a|an|real|human|there|sure|ok)\b|\bnice to (?:meet|see|talk to) you"
    r"|\bhow(?:'s| is| was) your (?:day|morning|afternoon|evening|weekend)",
    re.IGNORECASE,
)


@dataclass
class Choice:
    """A tool for a sentence, with its arguments."""

    tool: ToolReading
    filling: Filling
    score: float
    evidence: float


def choose(sentence: Sentence, tools: Sequence[ToolReading], known: Iterable[str] = ()) -> Choice | None:
    """The tool that the sentence asks for; None for small talk and everything that fits no tool.

    `known` are the names of arguments that the conversation has already settled.
    """
    if is_small_talk(sentence) or _is_creative(sentence, tools):
        return None
    return next((choice for choice in rank(sentence, tools, known) if _is_meant(choice)), None)


def _is_meant(choice: Choice) -> bool:
    """Whether there is enough evidence for the tool: its words, or arguments that leave nothing unexplained."""
    whole = not choice.filling.missing and len(choice.filling.arguments) > 1
    return (
        choice.evidence >= EVIDENCE
        or (choice.evidence >= SOME_EVIDENCE and choice.score >= GOOD_SCORE)
        or (whole and choice.score >= GOOD_SCORE + 0.2)
    )


def _is_creative(sentence: Sentence, tools: Sequence[ToolReading]) -> bool:
    """Whether it asks for what only a language model can do, unless a tool is about just that."""
    words = {t.stem for t in sentence.tokens} & _CREATIVE
    return bool(words) and not any(word in tool.lexicon for word in words for tool in tools)


def rank(sentence: Sentence, tools: Sequence[ToolReading], known: Iterable[str] = ()) -> list[Choice]:
    """The tools by how well they fit, best first."""
    known = set(known)
    words = [t for i, t in enumerate(sentence.tokens) if i not in sentence.taken and t.is_word]
    rarity = _rarity({t.stem for t in words}, tools)
    verbs = _verbs(sentence)
    unique = _unique(words, tools)

    def fit(tool: ToolReading) -> float:
        lexical = sum(_match(t.stem, t.low, tool) * rarity.get(t.stem, 1.0) for t in words)
        return lexical + _verb_score(verbs, tool)

    ranked = []
    for tool in sorted(tools, key=fit, reverse=True)[:SHORTLIST]:
        filling = fill(sentence, tool)
        word_score, outside = _words_score(sentence, tool, filling, rarity)
        if unique.get(id(tool), set()) - OPERATION_VERBS.keys():
            word_score += 0.6
        verb = _verb_score(verbs, tool)
        settled = sum(slot.kind in REMEMBERED and slot.name in known for slot in filling.missing)
        missing = len(filling.missing) - settled
        score = filling.score + MISSING * settled + word_score + verb
        evidence = outside + filling.strong + 0.9 * filling.shaped - 0.4 * missing
        if verb < 0:
            evidence -= 0.4  # a question, and a tool that changes something
        if verb > 0.8 and not missing:
            changes = tool.verb != "read" and filling.best > 0.75
            evidence += 0.6 if changes and (not filling.left_over or len(filling.arguments) > 1) else 0.2
        if filling.strong and not missing and not filling.left_over:
            evidence += 0.35
        ranked.append(Choice(tool, filling, score, evidence))
    ranked.sort(key=lambda c: -c.score)
    return ranked


def _words_score(
    sentence: Sentence, tool: ToolReading, filling: Filling, rarity: dict[str, float]
) -> tuple[float, float]:
    """What the words count for the tool: for its rank, and as evidence that it is meant at all."""
    score = evidence = 0.0
    seen: set[str] = set()
    at = commands(sentence)
    for i, token in enumerate(sentence.tokens):
        weight = _match(token.stem, token.low, tool) if token.is_word else 0.0
        if not weight or i in sentence.taken or token.stem in seen:
            continue
        seen.add(token.stem)
        inside = filling.mask >> i & 1
        noun = i and (sentence.tokens[i - 1].low in DETERMINERS or sentence.tokens[i - 1].low == "'s")
        is_verb = token.stem in OPERATION_VERBS and not noun
        own = is_verb and i in at and token.stem == tool.name_stems[0]
        score += (
            weight
            * rarity.get(token.stem, 1.0)
            * (0.35 if inside else 0.5 if is_verb and len(tool.name_stems) > 1 else 1.0)
        )
        if not inside:
            # `add` and `get` fit everything, unless the verb is the tool's whole name
            whole = not is_verb or (own and len(tool.name_stems) == 1)
            evidence += weight * (1.0 if whole else 0.5 if own else 0.35)
    return score, evidence


def is_small_talk(sentence: Sentence) -> bool:
    """Greetings, thanks and the like, and nothing else."""
    if _ABOUT_ME.search(sentence.text):
        return True
    words = {t.low for t in sentence.tokens if t.is_word}
    return words <= SMALL_TALK | FUNCTION and bool(words & SMALL_TALK)


def _match(word: str, low: str, tool: ToolReading) -> float:
    if low in FUNCTION and word not in tool.name_stems:
        return 0.0
    return tool.weight(word)


def _unique(words: Sequence[Token], tools: Sequence[ToolReading]) -> dict[int, set[str]]:
    """The words of the sentence that are in the name of one tool and of no other, by the tool's id()."""
    unique: dict[int, set[str]] = {}
    for word in {t.stem for t in words if t.low not in FUNCTION}:
        named = [tool for tool in tools if word in tool.name_stems]
        if len(named) == 1:
            unique.setdefault(id(named[0]), set()).add(word)
    return unique


def _rarity(words: set[str], tools: Sequence[ToolReading]) -> dict[str, float]:
    """A word that only some of the tools have distinguishes them; one they all have does not."""
    count, rarity = len(tools), dict.fromkeys(words, 1.0)
    for word in words:
        if known := sum(word in tool.lexicon for tool in tools):
            share = math.log(1 + (count - known + 0.5) / (known + 0.5)) / math.log(1 + (count + 0.5) / 0.5)
            rarity[word] = 0.5 + share
    return rarity


def _verbs(sentence: Sentence) -> dict[str, float]:
    """What the sentence wants done: class of verb -> weight."""
    verbs: dict[str, float] = {}
    at = commands(sentence)
    for i, token in enumerate(sentence.tokens):
        if i in sentence.taken or not token.is_word:
            continue
        for kind in VERBS.get(token.stem, ()):
            weight = 1.0 if i in at else 0.45 if token.low not in FUNCTION else 0.0
            verbs[kind] = max(verbs.get(kind, 0.0), weight)
    text = " ".join(t.low for t in sentence.tokens)
    if any(phrase in text for phrase in _DELETING):
        verbs["delete"] = 1.2
    if any(phrase in text for phrase in _FINISHING):
        verbs["update"] = max(verbs.get("update", 0), 0.6)
        verbs["delete"] = max(verbs.get("delete", 0), 0.4)
    first = next((t.low for t in sentence.tokens if t.is_word), "")
    if first in QUESTION or sentence.text.rstrip().endswith("?"):
        second = sentence.tokens[1].low if len(sentence.tokens) > 1 else ""
        if first not in ("can", "could", "would", "will") or second not in ("you", "i", "we"):
            verbs["read"] = max(verbs.get("read", 0.0), 0.7)
    return verbs


def _verb_score(verbs: dict[str, float], tool: ToolReading) -> float:
    if not verbs or not tool.verb:
        return 0.0
    own = verbs.get(tool.verb, 0.0)
    other = max((weight for kind, weight in verbs.items() if kind != tool.verb), default=0.0)
    return 1.6 * own - 0.9 * max(0.0, other - own)
