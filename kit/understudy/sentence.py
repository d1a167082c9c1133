"""A sentence as the understudy reads it: its words, and the values in it.

Values have a form of their own: quotes, dates, times, numbers, addresses, codes. Every other argument is a
run of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from kit.understudy.dates import dates, times
from kit.understudy.words import IDIOMS, NUMBERS, ORDINALS
from kit.words import stem

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_BEFORE_DATES = [
    ("quote", r'"([^"]+)"|“([^”]+)”|«([^»]+)»|`([^`]+)`|‘([^’]+)’|(?<![\w])\'([^\'\n]+(?:\'\w[^\'\n]*)*)\'(?!\w)'),
    ("url", r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]|\bwww\.[^\s<>\"']+[^\s<>\"'.,;:!?)]"),
    ("email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("uuid", r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    ("datetime", r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?\b"),
]  # fmt: skip
_AFTER_TIMES = [
    ("path", r"(?<!\S)(?:~|\.{1,2})?/[\w.*-][\w./*-]*[\w*]|(?<!\S)\*\.\w+"),
    ("phone", r"\+\d[\d ()/-]{6,}\d|\b\d{3}[-.]\d{4}\b|\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b"),
    ("number", r"(?<![\w.,])[€]?\s?\d+,\d{2}(?![\w,]|\.\d)"),  # `3,80`
    ("code", r"#?\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\b"),
    ("code", r"\b\d+(?:-\d+){2,}\b"),
    ("number", rf"(?<![\w)])[-−](?:{_NUMBER})(?![\w-])|[$€£¥]\s?(?:{_NUMBER})|(?<![\w.])(?:{_NUMBER})(?![\w])\s?%?"),
]  # fmt: skip
_FORMS = {kind: re.compile(form, re.IGNORECASE) for kind, form in _BEFORE_DATES}
_LATER_FORMS = [(kind, re.compile(form, re.IGNORECASE)) for kind, form in _AFTER_TIMES]
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)", re.IGNORECASE)
_UNIT_TAIL = re.compile(
    r"(\d+(?:\.\d+)?)(kg|g|km|m|cm|mm|mi|lb|lbs|ml|l|h|hr|hrs|min|mins|s|c|f|k|usd|eur|gbp|x|w|kw|kwh|gb|mb|tb|mph)",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"\n|(?:[A-Z]\.){2,}|(?:[A-Z]\.)+(?=\s+[A-Z])|\b(?:[Mm]rs?|[Mm]s|[Dd]r|[Pp]rof|St)\.(?=\s)|[^\W_]+(?:[-'’&._][^\W_]+)*|[^\w\s]|_+",
    re.UNICODE,
)
_IDIOM = re.compile(rf"\b(?:{'|'.join(map(re.escape, IDIOMS))})\b", re.IGNORECASE)
_CLITIC = re.compile(r"(?<=\w)['’](?:s|m|re|ve|d|ll)$", re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """One word or punctuation mark of the text, at text[start:end]."""

    text: str
    start: int
    end: int

    @cached_property
    def low(self) -> str:
        low = self.text.lower().replace("’", "'")
        return IDIOMS.get(low, low)

    @cached_property
    def stem(self) -> str:
        return stem(self.low)

    @cached_property
    def is_word(self) -> bool:
        return self.text[0].isalnum()


@dataclass(frozen=True)
class Value:
    """A value of a known form, over the tokens first..last (exclusive). `unit` is $, % or a word attached to it."""

    kind: str
    value: Any
    first: int
    last: int
    unit: str = ""


@dataclass
class Sentence:
    """A text with its tokens and values."""

    text: str
    tokens: list[Token] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def words(self, first: int, last: int) -> str:
        """The text of the tokens first..last, as it was written."""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end] if first < last else ""

    @cached_property
    def taken(self) -> dict[int, Value]:
        """The value that covers a token, by the token's index; inside quotes too."""
        return {i: value for value in self.values for i in range(value.first, value.last)}


def read(text: str, now: datetime | None = None) -> Sentence:
    """Cuts a text into tokens and finds the values in it; dates are counted from `now`, today if it is not given."""
    spans: list[tuple[int, int, str, Any, str]] = []
    covered = bytearray(len(text))

    def keep(start: int, end: int, kind: str, value: Any, unit: str = "") -> None:
        if value is not None and not any(covered[start:end]):
            spans.append((start, end, kind, value, unit))
            covered[start:end] = b"1" * (end - start)

    for kind, pattern in _FORMS.items():
        for match in pattern.finditer(text):
            quoted = next((group for group in match.groups() if group), match[0]).strip()
            keep(*match.span(), kind, quoted.replace(" ", "T") if kind == "datetime" else quoted or None)
    for start, end, day in dates(text, now or datetime.now()):
        keep(start, end, "date", day)
    for start, end, time in times(text):
        keep(start, end, "time", time)
    for kind, pattern in _LATER_FORMS:
        for match in pattern.finditer(text):
            found = match[0].rstrip()
            keep(match.start(), match.start() + len(found), *_value(kind, found))
    spans.sort()
    tokens: list[Token] = []
    values: list[Value] = []
    at = 0
    for start, end, kind, data, unit in spans:
        tokens += _tokens(text, at, start)
        first = len(tokens)
        # A quote is one token: an "add" inside it is not a command. So is a value of one word.
        tokens += (
            [Token(text[start:end], start, end)] if kind not in ("date", "time") else _words(text, start, end)
        )
        values.append(Value(kind, data, first, len(tokens), unit))
        at = end
    tokens += _tokens(text, at, len(text))
    sentence = Sentence(text, tokens, values)
    sentence.values = [_scaled(value, tokens) for value in values]
    numbers = [*_number_words(sentence), *_numbers_inside(sentence)]
    return Sentence(text, tokens, sorted([*sentence.values, *numbers], key=lambda v: (v.first, -v.last)))


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    for idiom in _IDIOM.finditer(text, start, end):
        yield from _words(text, start, idiom.start())
        yield Token(idiom[0], *idiom.span())
        start = idiom.end()
    yield from _words(text, start, end)


def _words(text: str, start: int, end: int) -> Iterator[Token]:
    for match in _WORD.finditer(text, start, end):
        first, last = match.span()
        if clitic := _CLITIC.search(text[first:last]):
            cut = first + clitic.start()
            yield from (Token(text[first:cut], first, cut), Token(text[cut:last], cut, last))
        else:
            yield Token(text[first:last], first, last)


def _value(kind: str, text: str) -> tuple[str, Any, str]:
    if kind == "number" and re.search(r"\d,\d\d$|\d,\d\d\D", text):
        text = text.replace(",", ".")  # `23,40 EUR`
    if kind == "number":
        unit = next((sign for sign in "$€£¥%" if sign in text), "")
        return kind, _number(re.sub(r"[$€£¥%,\s]", "", text).replace("−", "-")), unit
    if kind != "code":
        return kind, text, ""
    if ordinal := _ORDINAL.fullmatch(text):
        return "number", int(ordinal[1]), "th"
    if counted := re.fullmatch(r"(\d+)-([A-Za-z]{3,})", text):
        return "number", int(counted[1]), stem(counted[2])
    if glued := _UNIT_TAIL.fullmatch(text):
        if glued[2].lower() == "k":
            return "number", _number(glued[1]) * 1000, ""
        return "number", _number(glued[1]), glued[2].lower()
    return kind, text.lstrip("#"), ""


def _number(text: str) -> int | float:
    number = float(text) if "." in text else int(text)
    return number if number < math.inf else int(text.partition(".")[0])


def _scaled(value: Value, tokens: list[Token]) -> Value:
    """`1.5 million` as one value."""
    following = tokens[value.last].low if value.last < len(tokens) else ""
    if value.kind != "number" or following not in ("thousand", "million", "billion") or value.unit == "%":
        return value
    number = value.value * NUMBERS[following]
    return Value(
        value.kind, int(number) if number == int(number) else number, value.first, value.last + 1, value.unit
    )


def _number_words(sentence: Sentence) -> Iterator[Value]:
    """`twenty-five`, `two hundred`, `a dozen`, `the third`."""
    i, taken, tokens = 0, sentence.taken, sentence.tokens
    while i < len(tokens):
        first, parts = i, tokens[i].low.split("-")
        i += 1
        if first in taken or not tokens[first].is_word:
            continue
        if tokens[first].low in ORDINALS:
            yield Value("number", ORDINALS[tokens[first].low], first, i, "th")
        elif parts[0] in NUMBERS and len(parts) > 1 and parts[1] not in NUMBERS:
            # `three-bedroom`: the number is attached to its unit, and the token stays whole.
            yield Value("number", NUMBERS[parts[0]], first, i, stem(parts[1]))
        elif parts[0] in NUMBERS:
            said = []
            while all(part in NUMBERS for part in parts):
                said += parts
                parts = tokens[i].low.split("-") if i < len(tokens) and i not in taken else [""]
                i += 1
            i -= 1
            if said != ["one"] or _counts(sentence, first):
                yield Value("number", _sum(said), first, i)


def _numbers_inside(sentence: Sentence) -> Iterator[Value]:
    """`in 10 years`, `at 5`: a date or a time, or a number with a word before it."""
    for value in sentence.values:
        for i in range(value.first, value.last) if value.kind in ("date", "time") else ():
            low = sentence.tokens[i].low
            if (
                value.last - value.first <= 3
                and (low.isdigit() or low in NUMBERS)
                and re.match(r"in|at|\w+$|\d+ ", sentence.words(value.first, value.last).lower())
            ):
                yield Value("number", NUMBERS.get(low) if low in NUMBERS else int(low), i, i + 1)


def _sum(said: list[str]) -> int:
    total = current = 0
    for part in said:
        number = NUMBERS[part]
        current = max(current, 1) * number if number >= 100 else current + number
        if number >= 1000:
            total, current = total + current, 0
    return total + current


def _counts(sentence: Sentence, i: int) -> bool:
    """Whether the `one` at i is a number, not a pronoun."""
    before = sentence.tokens[i - 1].low if i else ""
    after = sentence.tokens[i + 1] if i + 1 < len(sentence.tokens) else None
    return bool(after and after.is_word and after.low not in ("of", "that", "is", "for", "more", "with", "in", "by")) and (
        before not in ("the", "that", "this", "which", "no", "any", "another", "new", "every", "each", "first", "last")
    )  # fmt: skip
