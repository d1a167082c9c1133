"""Which of the tools a sentence asks for, if any."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit.understudy.candidates import Finder
from kit.understudy.context import Context, is_negated
from kit.understudy.filling import Filling, fillings
from kit.understudy.sentence import Sentence
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.weights import Weights, learned
from kit.understudy.words import CREATIVE, OPERATION_VERBS, QUESTION, SMALL_TALK, VERBS
from kit.words import FUNCTION, PRONOUNS, nearness

SHORTLIST = 8  # tools whose arguments are tried; the words of the others fit less
FILLINGS = 4  # assignments of arguments that are weighed for each of them
DOUBT = 0.5  # a tool that changes something is asked about if all else is likelier than it
MOST = 300.0  # what a float's exponent takes
REMEMBERED = (
    "person",
    "place",
    "id",
    "name",
    "email",
)  # kinds of argument that hold for the next request too
_ABOUT_ME = re.compile(
    r"\b(?:who|what|how) (?:are|can|is) you\b|\bwhat(?:'s| is) your (?:name|favou?rite)|\bhow(?:'s| is) it going"
    r"|\bare you (?:a|an|real|human|there|sure|ok)\b|\bnice to (?:meet|see|talk to) you"
    r"|\bhow(?:'s| is| was) your (?:day|morning|afternoon|evening|weekend)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^\W*(?:please\s+)?(?:can|could|would|will)\s+(?:you|we|i|someone)\b(?!\s+(?:tell|show|say|list|find|check))",
    re.IGNORECASE,
)
_CHANGES = ("create", "update", "delete")


Settled = Callable[[Slot], bool]


def _never(slot: Slot) -> bool:
    return False


@dataclass
class Choice:
    """A tool for a sentence, with its arguments. `score` is what counts for it, against calling nothing."""

    tool: ToolReading
    filling: Filling
    score: float = 0.0
    share: float = 1.0  # how likely the tool is, of all that could be meant: 0 to 1

    @property
    def is_doubtful(self) -> bool:
        """Whether to ask before it is called: it changes something, and little speaks for it."""
        return self.tool.verb in _CHANGES and self.share < DOUBT


def choose(
    sentence: Sentence,
    tools: Sequence[ToolReading],
    is_settled: Settled = _never,
    weights: tuple[Weights, Weights] | None = None,
) -> Choice | None:
    """The tool that the sentence asks for; None for small talk and everything that fits no tool.

    `is_settled` says which arguments the conversation has settled already.
    """
    if is_small_talk(sentence):
        return None
    best = rank(sentence, tools, is_settled, weights)[:1]
    return best[0] if best and best[0].score > 0 else None


def rank(
    sentence: Sentence,
    tools: Sequence[ToolReading],
    is_settled: Settled = _never,
    weights: tuple[Weights, Weights] | None = None,
) -> list[Choice]:
    """The tools by how well they fit, best first. One that changes something is none for a question."""
    for_arguments, for_tools = weights or learned()
    options = [
        (choice, for_tools.sum(names))
        for choice, names in considered(sentence, tools, for_arguments, is_settled)
    ]
    none = next(score for choice, score in options if choice is None)
    odds = [(choice, math.exp(min(score - none, MOST))) for choice, score in options]
    must_not_change = is_question(sentence) or is_refusal(sentence)
    ranked = []
    for choice, score in options:
        if choice is None or (must_not_change and choice.tool.verb in _CHANGES):
            continue
        own = sum(odd for other, odd in odds if other and other.tool is choice.tool)
        ranked.append(Choice(choice.tool, choice.filling, score - none, own / sum(odd for _, odd in odds)))
    return sorted(ranked, key=lambda choice: -choice.score)


def considered(
    sentence: Sentence, tools: Sequence[ToolReading], weights: Weights, is_settled: Settled = _never
) -> list[tuple[Choice | None, list[str]]]:
    """The likeliest tools with their arguments, and none at all (None), each with its features."""
    finder = Finder(sentence, weights)
    view = _View(finder.context, tools)
    order = sorted(range(len(tools)), key=lambda n: -view.near[n])[:SHORTLIST]
    choices = [
        (n, Choice(tools[n], filling)) for n in order for filling in fillings(finder, tools[n], FILLINGS)
    ]
    found: list[tuple[Choice | None, list[str]]] = [
        (choice, view.features(n, choice, choices, is_settled)) for n, choice in choices
    ]
    return [*found, (None, view.none_features())]


class _View:
    """A sentence beside all tools: what of its words is in which."""

    def __init__(self, context: Context, tools: Sequence[ToolReading]) -> None:
        self.context, self.sentence = context, context.sentence
        self.content = [
            i
            for i, t in enumerate(context.tokens)
            if t.is_word and t.low not in FUNCTION and i not in context.taken
        ]
        self.stems = stems = {context.tokens[i].stem for i in self.content}
        self.near = nearness(
            stems, [{**{stem: 0.4 for stem in stems if tool.is_near(stem)}, **tool.lexicon} for tool in tools]
        )
        self.best, self.second = (*sorted(self.near, reverse=True), 0.0, 0.0)[:2]
        self.question = is_question(self.sentence)
        self.verbs = {kind for i in context.commands for kind in VERBS.get(context.tokens[i].stem, ())}
        self.size = len(tools)
        self.owners = {s: [n for n, tool in enumerate(tools) if s in tool.name_stems] for s in stems}

    def features(
        self, n: int, choice: Choice, others: Sequence[tuple[int, Choice]], is_settled: Settled
    ) -> list[str]:
        tool, filling, tokens = choice.tool, choice.filling, self.context.tokens
        rest = [i for i in self.content if not filling.mask >> i & 1]
        explained = [i for i in rest if tokens[i].stem in tool.lexicon]
        related = [i for i in rest if i not in explained and tool.is_near(tokens[i].stem)]
        lost = [i for i in rest if i not in explained and i not in related and tokens[i].stem not in VERBS]
        named = {tokens[i].stem for i in explained} & set(tool.name_stems)
        nouns = named - OPERATION_VERBS.keys()
        own_nouns = set(tool.name_stems) - OPERATION_VERBS.keys()
        missing = [s for s in filling.missing if not is_settled(s)]
        values = [v for v in self.sentence.values if not filling.mask >> v.first & 1]
        said = sum(bool(slot.stems & self.stems) for slot in tool.slots)
        best_own = max(other.filling.score for m, other in others if m == n)
        best_fill = max(other.filling.score for _, other in others)
        return [
            *_reached("near", self.near[n], (0.1, 1, 2, 3, 5, 8)),
            *_reached("near.behind", self.best - self.near[n], (0.1, 0.5, 1, 2, 3, 5, 8)),
            *_reached(
                "near.ahead",
                self.near[n] - self.second if self.near[n] == self.best else 0,
                (0.1, 0.5, 1, 2, 3, 5),
            ),
            f"named={_share(len(nouns), len(own_nouns))}",
            *_reached("said.name", len(own_nouns & self.stems) / max(1, len(own_nouns)), (0.3, 0.5, 0.7, 1)),
            *_reached("said.described", len(self.stems & tool.content), (1, 2, 3, 4, 6)),
            *_reached(
                "said.share",
                len(self.stems & tool.content) / max(1, len(tool.content)),
                (0.15, 0.3, 0.5, 0.7),
            ),
            *_reached("said.parameters", said, (1, 2, 3)),
            *_reached("said.parameters.share", said / max(1, len(tool.slots)), (0.3, 0.6, 1)),
            *_reached(
                "said.words", sum(tool.lexicon.get(stem, 0.0) for stem in self.stems), (1, 3, 5, 8, 12, 17)
            ),
            f"explained={_share(len(explained), len(rest))}",
            f"explained.n={min(len(explained), 4)}",
            f"related.n={min(len(related), 3)}",
            f"support={min(len(explained), 2)}{min(len(related), 1)}{tool.verb in self.verbs}",
            f"support.none={bool(explained or related)}|filled={min(len(filling.chosen), 3)}",
            f"order={_order([c.first for c in filling.chosen.values()])}",
            *_reached("fill.own_behind", best_own - filling.score, (0.1, 0.5, 1, 2, 4)),
            *_reached("lost", len(lost), (1, 2, 3, 4, 6)),
            f"lost={_share(len(lost), len(self.content))}",
            f"missing={min(len(missing), 3)}",
            f"missing.share={_share(len(missing), sum(s.required for s in tool.slots))}",
            f"values.lost={min(len(values), 3)}",
            f"filled={min(len(filling.chosen), 4)}",
            *_reached("fill", filling.score, (0.5, 1, 2, 4, 6, 9, 13, 20)),
            *_reached("fill.each", filling.score / max(1, len(filling.chosen)), (1, 2, 3, 4, 6)),
            *_reached("fill.behind", best_fill - filling.score, (0.5, 1, 2, 4, 7, 12)),
            f"unique={min(len(self.unique(n, rest)), 2)}",
            f"unique.other={min(len({w for m in range(self.size) if m != n for w in self.unique(m, rest)}), 2)}",
            *self._verb_features(tool),
        ]

    def unique(self, n: int, rest: Sequence[int]) -> set[str]:
        """The words of the sentence that are in the name of the n-th tool and of no other."""
        return {stem for i in rest if self.owners.get(stem := self.context.tokens[i].stem) == [n]}

    def _verb_features(self, tool: ToolReading) -> list[str]:
        wants = "same" if tool.verb in self.verbs else "other" if self.verbs else "none"
        name = tool.name_stems[0] if tool.name_stems else ""
        said = any(self.context.tokens[i].stem == name for i in self.context.commands)
        found = [
            f"verb={wants}|{tool.verb or 'none'}",
            *(f"verb.{verb}|{tool.verb or 'none'}" for verb in sorted(self.verbs)),
        ]
        found += [f"question={self.question}|{tool.verb or 'none'}", f"verb.said={said}"]
        if any(is_negated(self.context, i) for i in self.context.commands):
            found.append(f"negated|{tool.verb or 'none'}")
        return found

    def none_features(self) -> list[str]:
        tokens = [t for t in self.context.tokens if t.is_word]
        stems = {t.stem for t in tokens}
        first = tokens[0].low if tokens else ""
        return [
            "none",
            f"none.words={min(len(tokens) // 4, 4)}",
            f"none.content={min(len(self.content), 4)}",
            f"none.question={self.question}",
            f"none.first={first if first in FUNCTION | QUESTION else 'other'}",
            f"none.values={bool(self.sentence.values)}",
            f"none.tools={'one' if self.size == 1 else 'few' if self.size < 8 else 'many'}",
            *["none.creative"] * bool(stems & CREATIVE),
            *["none.small_talk"] * any(t.low in SMALL_TALK for t in tokens),
            *["none.about_me"] * any(t.low in ("i", "my", "me") for t in tokens),
            *["none.pronouns"] * all(t.low in PRONOUNS | FUNCTION for t in tokens),
            *["none.negated"] * any(is_negated(self.context, i) for i in self.context.commands),
        ]


def _order(starts: list[int]) -> str:
    """Whether the arguments stand in the order in which the tool declares them."""
    pairs = [a < b for a, b in itertools.pairwise(starts)]
    return "-" if not pairs else "all" if all(pairs) else "some" if any(pairs) else "none"


def _step(share: float) -> str:
    return "1" if share >= 0.999 else str(int(share * 5) / 5)


def _share(part: int, whole: int) -> str:
    return "-" if not whole else _step(part / whole)


def _reached(name: str, number: float, edges: Sequence[float]) -> list[str]:
    """The edges that a number reaches: what each counts adds up, so that more counts more."""
    return [f"{name}>={edge}" for edge in edges if number >= edge]


def is_small_talk(sentence: Sentence) -> bool:
    """Greetings, thanks and the like, and nothing else."""
    quoted = any(value.kind == "quote" for value in sentence.values)
    if not quoted and _ABOUT_ME.search(sentence.text):
        return True
    words = {t.low for t in sentence.tokens if t.is_word}
    return words <= SMALL_TALK | FUNCTION and bool(words & SMALL_TALK)


def is_question(sentence: Sentence) -> bool:
    """Whether it asks what is, rather than for something to be done: `can you add ...?` does not."""
    words = [t.low for t in sentence.tokens if t.is_word]
    if not words or _REQUEST.match(sentence.text):
        return False
    return words[0] in QUESTION or sentence.text.rstrip().endswith("?")


def is_refusal(sentence: Sentence) -> bool:
    """Whether all that it says to do is not to be done: `don't clear the list`."""
    context = Context(sentence)
    return bool(context.commands) and all(is_negated(context, i) for i in context.commands)
