"""A sentence with what its spans have in common: where it says what to do, and what each word is to its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from kit.understudy.sentence import Sentence
from kit.understudy.slots import ToolReading
from kit.understudy.words import MODALS, NEGATIONS, QUESTION, VERBS
from kit.words import DETERMINERS, FUNCTION, words

STOPS = frozenset(".;!?\n")
_CLOSED = (
    FUNCTION
    | MODALS
    | QUESTION
    | NEGATIONS
    | words("called named titled saying says about regarding per x by vs versus then")
)
_POLITE = words("please kindly hi hello hey ok okay now just rather also then and so i you we can could would will 'd like to want need "
                "have let me us 's help go ahead")  # fmt: skip
_DENYING = words("don't do not never doesn't didn't n't no")


class Context:
    """A sentence, with what the features of its spans have in common computed once."""

    def __init__(self, sentence: Sentence) -> None:
        self.sentence = sentence
        self.tokens = sentence.tokens
        self.taken = sentence.taken
        self.size = len(sentence.tokens)

    @cached_property
    def commands(self) -> set[int]:
        """Where a clause begins with a verb: `add`, `could you show`, `I'd like to book`."""
        starts: set[int] = set()
        is_open = True
        for i, token in enumerate(self.tokens):
            if token.text[0] in ".;!?,:\n" or token.low in ("then", "and"):
                is_open = True
            elif i in self.taken:
                is_open = False
            elif is_open and self._is_verb(i):
                starts.add(i)
                is_open = False
            elif token.low not in _POLITE and token.low not in _DENYING:
                is_open = False
        return starts

    def _is_verb(self, i: int) -> bool:
        """Whether a word that may begin a clause says what to do: a verb, or what has an object right after it."""
        token = self.tokens[i]
        if i and self.tokens[i - 1].low in DETERMINERS:
            return False
        following = self.tokens[i + 1].low if i + 1 < self.size else ""
        has_object = following in DETERMINERS or following in ("me", "us", "it")
        return token.stem in VERBS or (token.low not in FUNCTION | QUESTION and token.is_word and has_object)

    @cached_property
    def symbols(self) -> list[str]:
        """What a token is to its neighbours: itself if it is a function word, else its class; the edges at the end."""
        return [self._symbol(i) for i in range(self.size)] + ["</s>", "<s>"]

    def _symbol(self, i: int) -> str:
        token = self.tokens[i]
        if i in self.taken:
            return f"<{self.taken[i].kind}>"
        if i in self.commands:
            return "<command>"
        if token.low in _CLOSED or not token.is_word:
            return token.low
        if token.stem in VERBS:
            return "<verb>"
        return "<Cap>" if token.text[0].isupper() and i else "<word>"

    @cached_property
    def capitals(self) -> list[bool]:
        return [
            token.text[0].isupper() and (i > 0 or token.text.isupper()) for i, token in enumerate(self.tokens)
        ]

    @cached_property
    def quotes(self) -> set[int]:
        """The tokens that are quotes."""
        return {i for i, value in self.taken.items() if value.kind == "quote"}

    def neighbour(self, i: int, reading: ToolReading) -> str:
        """What a token beside a run is to a tool: its own word, or content that nothing explains."""
        if not 0 <= i < self.size:
            return "edge"
        token = self.tokens[i]
        if i in self.taken:
            return "value"
        if not token.is_word or token.low in _CLOSED:
            return "closed"
        if i in self.commands:
            return "command"
        return "own" if token.stem in reading.lexicon else "content"

    def before(self, first: int) -> tuple[str, str]:
        """The two symbols before a span, determiners left out."""
        symbols, i = self.symbols, first - 1
        if i >= 0 and self.tokens[i].low in DETERMINERS and symbols[i] != "<command>":
            i -= 1
        return symbols[i] if i >= 0 else "<s>", symbols[i - 1] if i > 0 else "<s>"

    def left(self, first: int, kind: str = "") -> Iterator[tuple[int, str]]:
        """(distance, stem) of the words before a span, up to the end of its sentence or another value of its kind."""
        distance = 0
        for i in range(first - 1, max(-1, first - 7), -1):
            value = self.taken.get(i)
            if self.tokens[i].text in STOPS or (value and value.kind == kind):
                return
            if self.tokens[i].low not in DETERMINERS and self.tokens[i].is_word:
                distance += 1
                yield distance, self.tokens[i].stem

    def right(self, last: int, kind: str = "") -> Iterator[tuple[int, str]]:
        distance = 0
        for i in range(last, min(self.size, last + 4)):
            value = self.taken.get(i)
            if self.tokens[i].text in STOPS or self.tokens[i].text == "," or (value and value.kind == kind):
                return
            if self.tokens[i].low not in DETERMINERS and self.tokens[i].is_word:
                distance += 1
                yield distance, self.tokens[i].stem

    def start_features(self, kind: str, i: int) -> list[str]:
        """Of a run of words that begins at `i`."""
        one, two = self.before(i)
        first = self.symbols[i]
        return [f"L1={one}", f"{kind}.L1={one}", f"L2={two}|{one}", f"F={first}", f"{kind}.F={first}"]

    def end_features(self, kind: str, j: int) -> list[str]:
        """Of a run of words that ends before `j`."""
        following, last = self.symbols[j if j < self.size else -2], self.symbols[j - 1]
        return [f"R1={following}", f"{kind}.R1={following}", f"Z={last}", f"{kind}.Z={last}"]

    def inner_features(self, kind: str, i: int, j: int) -> list[str]:
        """Of the words of a run."""
        size = j - i
        length = str(size) if size < 4 else "4-6" if size < 7 else "7+"
        capitals = sum(self.capitals[i:j])
        edges = [self.tokens[i].low in _CLOSED, self.tokens[j - 1].low in _CLOSED]
        inside = self.symbols[i + 1 : j - 1]
        found = [
            f"{kind}.size={length}",
            f"{kind}.caps={'all' if capitals == size else 'some' if capitals else 'none'}",
            f"caps={'all' if capitals == size else 'some' if capitals else 'none'}|{length}",
        ]
        if any(edges):
            found += [f"closed={edges}", f"{kind}.closed={edges}"]
        if capitals and not all(self.capitals[k] or self.symbols[k] in _CLOSED for k in range(i, j)):
            found.append(f"{kind}.mixed")
        for mark in (
            ",",
            "and",
            "or",
            ":",
            "<command>",
            "<quote>",
            "that",
            "to",
            "for",
            "in",
            "on",
            "of",
            "at",
            "with",
            "from",
        ):
            if mark in inside:
                found.append(f"inside={mark}")
                found.append(f"{kind}.inside={mark}")
        if any(k in self.taken and self.taken[k].kind in ("date", "time", "number") for k in range(i, j)):
            found.append(f"{kind}.inside.value")
        # a capitalised neighbour belongs to the name
        if i and self.capitals[i - 1] and self.capitals[i] and i - 1 not in self.commands:
            found.append("cut.left")
        if j < self.size and self.capitals[j] and self.capitals[j - 1]:
            found.append("cut.right")
        return found


def is_negated(context: Context, i: int) -> bool:
    """Whether one of the two words before a token denies it."""
    before = [token.low for token in context.tokens[max(0, i - 2) : i]]
    return any(word in NEGATIONS or word.endswith("n't") for word in before)
