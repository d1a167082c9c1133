"""A sentence as the understudy reads it: its words, and the values in it.

Values have a form of their own: quotes, dates, times, numbers, addresses, codes. Every other argument is a
run of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kit.understudy.words import IDIOMS, MONTHS, NUMBERS, ORDINALS
from kit.words import stem

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"

# In this order: what an earlier form has matched, a later one leaves alone.
_FORMS = [
    ("quote", r'"([^"]+)"|“([^”]+)”|«([^»]+)»|`([^`]+)`|‘([^’]+)’|(?<![\w])\'([^\'\n]+(?:\'\w[^\'\n]*)*)\'(?!\w)'),
    ("url", r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]|\bwww\.[^\s<>\"']+[^\s<>\"'.,;:!?)]"),
    ("email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("uuid", r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    ("datetime", r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?\b"),
    ("date", r"\b\d{4}-\d{1,2}-\d{1,2}\b"),
    ("date", rf"\b(?:{_MONTH})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})\.?,? \d{{4}}\b"),
    ("date", r"\b\d{1,2}[./]\d{1,2}[./]\d{4}\b"),
    ("time", r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\b\.?)?|\b(?:1[0-2]|[1-9])\s?[ap]\.?m\b\.?"),
    ("phone", r"\+\d[\d ()/-]{6,}\d|\b\d{3}[-.]\d{4}\b|\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b"),
    ("code", r"#?\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\b"),
    ("code", r"\b\d+(?:-\d+)+\b"),
    ("number", rf"[-−](?:{_NUMBER})(?![\w-])|[$€£¥]\s?(?:{_NUMBER})|(?<![\w.])(?:{_NUMBER})(?![\w])\s?%?"),
]  # fmt: skip
_PATTERNS = [(kind, re.compile(form, re.IGNORECASE)) for kind, form in _FORMS]
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)", re.IGNORECASE)
_UNIT_TAIL = re.compile(
    r"(\d+(?:\.\d+)?)(kg|g|km|m|cm|mm|mi|lb|lbs|ml|l|h|hr|hrs|min|mins|s|c|f|k|usd|eur|gbp|x)", re.IGNORECASE
)
_WORD = re.compile(
    r"(?:[A-Z]\.)+(?=\s+[A-Z])|\b(?:[Mm]rs?|[Mm]s|[Dd]r|[Pp]rof|St)\.(?=\s)|[^\W_]+(?:[-'’&.][^\W_]+)*|[^\w\s]|_+",
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

    @property
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
        if first >= last:
            return ""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end]

    @cached_property
    def taken(self) -> dict[int, Value]:
        """The value that covers a token, by the token's index; inside quotes too."""
        return {i: value for value in self.values for i in range(value.first, value.last)}

    def kind_at(self, i: int) -> str:
        """The kind of the value that covers the token at `i`, or an empty text."""
        return self.taken[i].kind if i in self.taken else ""


def read(text: str) -> Sentence:
    """Cuts a text into tokens and finds the values in it."""
    spans: list[tuple[int, int, str, Any, str]] = []
    covered = bytearray(len(text))
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span()
            while end > start and text[end - 1].isspace():
                end -= 1
            if any(covered[start:end]):
                continue
            if (value := _value(kind, text[start:end], match)) is not None:
                spans.append((start, end, *value))
                covered[start:end] = b"1" * (end - start)
    spans.sort()
    tokens: list[Token] = []
    values: list[Value] = []
    at = 0
    for start, end, kind, data, unit in spans:
        tokens += _tokens(text, at, start)
        first = len(tokens)
        # A quote is one token: an "add" inside it is not a command.
        tokens.append(Token(text[start:end], start, end))
        values.append(Value(kind, data, first, first + 1, unit))
        at = end
    tokens += _tokens(text, at, len(text))
    sentence = Sentence(text, tokens, values)
    sentence.values += _number_words(sentence)
    sentence.values.sort(key=lambda v: v.first)
    return sentence


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


def _value(kind: str, text: str, match: re.Match[str]) -> tuple[str, Any, str] | None:
    if kind == "quote":
        inner = next(group for group in match.groups() if group)
        return (kind, inner.strip(), "") if inner.strip() else None
    if kind == "date":
        date = parse_date(text)
        return (kind, date, "") if date else None
    if kind == "datetime":
        return kind, text.replace(" ", "T"), ""
    if kind == "time":
        time = parse_time(text)
        return (kind, time, "") if time else None
    if kind == "code":
        ordinal = _ORDINAL.fullmatch(text)
        if ordinal:
            return "number", int(ordinal[1]), "th"
        counted = re.fullmatch(r"(\d+)-([A-Za-z]{3,})", text)
        if counted:
            return "number", int(counted[1]), stem(counted[2])
        glued = _UNIT_TAIL.fullmatch(text)
        if glued and glued[2].lower() != "k":
            return "number", _number(glued[1]), glued[2].lower()
        if glued and text[-1] in "kK":
            return "number", _number(glued[1]) * 1000, ""
        return kind, text.lstrip("#"), ""
    if kind == "number":
        unit = next((sign for sign in "$€£¥%" if sign in text), "")
        return kind, _number(re.sub(r"[$€£¥%,\s]", "", text).replace("−", "-")), unit
    return kind, text, ""


def _number(text: str) -> int | float:
    number = float(text) if "." in text else int(text)
    return number if number < math.inf else int(text.partition(".")[0])


def parse_date(text: str) -> str | None:
    """A date in one of the written forms, as YYYY-MM-DD; None if it is not a date."""
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    month = next((MONTHS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in MONTHS), None)
    if month is not None and len(numbers) == 2:
        year, day = numbers[1], numbers[0]
    elif len(numbers) == 3 and numbers[0] > 31:
        year, month, day = numbers
    elif len(numbers) == 3:
        # 03/04/2026: with dots the day comes first, with slashes the American month.
        month, day = (numbers[1], numbers[0]) if "." in text or numbers[0] > 12 else (numbers[0], numbers[1])
        year = numbers[2]
    else:
        return None
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def parse_time(text: str) -> str | None:
    """A time of day as HH:MM, or HH:MM:SS if it has seconds."""
    numbers = re.findall(r"\d+", text)
    hour = int(numbers[0])
    half = re.search(r"([ap])\.?m", text, re.IGNORECASE)
    if half:
        hour = hour % 12 + (12 if half[1].lower() == "p" else 0)
    return ":".join([f"{hour:02d}", *(numbers[1:] or ["00"])])


def _number_words(sentence: Sentence) -> list[Value]:
    """`twenty-five`, `two hundred`, `a dozen`, `the third`."""
    values = []
    i = 0
    taken = sentence.taken
    tokens = sentence.tokens
    while i < len(tokens):
        if i in taken or not tokens[i].is_word:
            i += 1
            continue
        if tokens[i].low in ORDINALS:
            values.append(Value("number", ORDINALS[tokens[i].low], i, i + 1, "th"))
            i += 1
            continue
        total, j = 0, i
        current: int | None = None
        while j < len(tokens) and j not in taken:
            parts = tokens[j].low.split("-")
            if not all(part in NUMBERS for part in parts):
                # `three-bedroom`: the number is attached to its unit, and the token stays whole.
                if j == i and len(parts) > 1 and parts[0] in NUMBERS:
                    values.append(Value("number", NUMBERS[parts[0]], j, j + 1, stem(parts[1])))
                break
            for part in parts:
                number = NUMBERS[part]
                if number >= 100:
                    current = (current or 1) * number
                    if number >= 1000:
                        total, current = total + current, 0
                else:
                    current = (current or 0) + number
            j += 1
        if current is not None and not (j == i + 1 and tokens[i].low == "one" and not _counts(sentence, i)):
            values.append(Value("number", total + current, i, j))
        i = max(j, i + 1)
    return values


def _counts(sentence: Sentence, i: int) -> bool:
    """Whether the `one` at i is a number, not a pronoun."""
    following = sentence.tokens[i + 1] if i + 1 < len(sentence.tokens) else None
    before = sentence.tokens[i - 1].low if i else ""
    after = sentence.tokens[i + 2] if i + 2 < len(sentence.tokens) else None
    if following and following.low == "more":
        return bool(after and after.is_word and after.low not in ("time", "thing", "please"))
    return bool(following and following.is_word and following.low not in ("of", "that", "is", "for")) and before not in (
        "the", "that", "this", "which", "no", "any", "another", "new", "every", "each",
    )  # fmt: skip
