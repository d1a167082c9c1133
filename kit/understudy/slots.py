"""What a parameter of a tool takes: read once from its name, type, format, enum and description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kit.understudy.words import CLASSES, OPERATION_VERBS, PARAMETERS, SYNONYMS, identifier_words, stems
from kit.words import FUNCTION, stem

TEXTS = ("text", "query", "person", "place", "name", "id")  # kinds whose values are words
_EXAMPLE = re.compile(
    r"(?:such as|e\.?g\.?:?|for example:?|for instance|like|example:?|ex:)\s*,?\s*[\"'`(]?([\w][\w .:/-]*?)[\"'`)]?(?:[,.;)]|\s+or\s|$)",
    re.IGNORECASE,
)
_DEFAULT = re.compile(
    r"\bdefaults?\b|\boptional\b|if (?:omitted|not (?:given|provided|specified))", re.IGNORECASE
)
_DATE_FORM = re.compile(
    r"(?<![A-Za-z])(?:YYYY|DD|MM|mm|dd|yyyy)[-/. ](?:MM|DD|mm|dd)(?:[-/. ](?:YYYY|DD|yyyy|dd))?(?![A-Za-z])"
)
# What a schema's form says, else a parameter's name, else its description; the first that fits.
_FORMATS = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "email": "email",
    "uri": "url",
    "url": "url",
    "uuid": "uuid",
}
_DESCRIBED = (
    ("datetime", r"date(?: and |-|/)?time|timestamp|yyyy-mm-ddt?\s?hh"),
    ("date", r"yyyy|dd/mm|mm/dd|\biso date"),
    ("time", r"hh:mm"),
)  # fmt: skip
_NAMED = (
    ("date", stems("birthday deadline date")), ("time", stems("time")), ("email", stems("email mail")),
    ("url", stems("url uri link website webpage")), ("uuid", stems("uuid")), ("phone", stems("phone telephone mobile fax")),
)  # fmt: skip
BEGINNING = 5  # letters in which two words for one thing agree
MAX_LENGTH = 1024  # characters of a description that are read, as many as OpenAI took


@dataclass
class Slot:
    """One parameter. `kind` is what its value looks like in a sentence."""

    name: str
    schema: Mapping[str, Any]
    required: bool
    definitions: Mapping[str, Any] = field(default_factory=dict)  # what its references refer to
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.schema = _plain(followed(self.schema, self.definitions), self.definitions)
        self.words = [w for w in identifier_words(self.name) if w] or [self.name.lower()]
        self.stems = {stem(w) for w in self.words}
        self.description: str = self.schema.get("description", "")[:MAX_LENGTH]
        self.described = frozenset(content_stems(self.description))
        self.type = _type(self.schema)
        self.kind = self._kind()

    def _kind(self) -> str:
        if self.enum:
            return "enum"
        if self.type in ("boolean", "object", "array", "integer", "number"):
            return {"integer": "number"}.get(self.type, self.type)
        text, last = self.description.lower(), stem(self.words[-1])
        if found := _FORMATS.get(self.schema.get("format", "")):
            return found
        if found := next((kind for kind, pattern in _DESCRIBED if re.search(pattern, text)), ""):
            return found
        if found := next((kind for kind, named in _NAMED if last in named), ""):
            return found
        is_prose = self.stems & (
            PARAMETERS["text"] | PARAMETERS["query"] | PARAMETERS["person"] | PARAMETERS["place"]
        )
        if last in PARAMETERS["id"] or any(
            _is_code(s) or (("0" in s or s.isupper()) and not is_prose) for s in self.shapes
        ):
            return "id"
        named = ("query", "person", "place", "text")
        if found := next((kind for kind in named if last in PARAMETERS[kind]), ""):
            return found
        head = self.stems | stems(" ".join(re.findall(r"[a-z]+", text.split(" of ")[0])))
        return next(
            (kind for kind in ("person", "place", "query", "text") if head & PARAMETERS[kind]), "name"
        )

    @cached_property
    def enum(self) -> list[Any]:
        """The allowed values, without null; a constant is an enum of one."""
        if "const" in self.schema:
            return [self.schema["const"]]
        return [value for value in self.schema.get("enum", ()) if value is not None]

    @cached_property
    def shapes(self) -> set[str]:
        """The shapes of the examples in the description and schema: `P100` is A0, `L-2041` A-0."""
        in_schema = self.schema.get("example"), *self.schema.get("examples", ())
        examples = [
            *_EXAMPLE.findall(self.description),
            *(str(e) for e in in_schema if isinstance(e, str | int)),
        ]
        return {shape(example.strip()) for example in examples if 0 < len(example.strip()) <= 30}

    @cached_property
    def has_default(self) -> bool:
        """Whether it can be left out though it is required: its schema or its description names a default."""
        return "default" in self.schema or bool(_DEFAULT.search(self.description))

    @cached_property
    def date_form(self) -> str:
        """The form of a date that the description asks for, as strftime's; ISO's if it asks for none."""
        form = _DATE_FORM.search(self.description)
        text = re.sub("yyyy", "%Y", form[0], flags=re.IGNORECASE) if form else "%Y-%m-%d"
        return re.sub("mm", "%m", re.sub("dd", "%d", text, flags=re.IGNORECASE), flags=re.IGNORECASE)

    @cached_property
    def roles(self) -> list[str]:
        """What its name says of its place among others: source, target, maximum, minimum, count, index, money, year."""
        text = self.description.lower()
        last = stem(self.words[-1])
        roles = [role for role in ("source", "target", "maximum", "minimum", "count", "money", "year", "ratio")
                 if self.stems & PARAMETERS[role]]  # fmt: skip
        if last in PARAMETERS["id"] or text.startswith(
            ("number of the", "id of", "the number of the", "the id")
        ):
            roles.append("index")
        if "count" not in roles and ("how many" in text or text.startswith(("number of ", "the number of "))):
            roles.append("count")
        if "ratio" not in roles and re.search(r"percent|\bas a (?:decimal|fraction)|decimal form", text):
            roles.append("ratio")
        return roles or ["plain"]

    @cached_property
    def is_decimal_ratio(self) -> bool:
        """Whether 5 % is 0.05 for it."""
        return bool(re.search(r"decimal|fraction|\b0\.\d", self.description.lower()))

    @cached_property
    def members(self) -> frozenset[str]:
        """The words that may be its values, if its name says of what kind they are: languages, currencies, colours."""
        return frozenset().union(*(words for name, words in CLASSES.items() if stem(name) in self.stems))

    @cached_property
    def item(self) -> Slot:
        """What the items of a list are."""
        schema = {"description": self.description, **self.schema.get("items", {})}
        return Slot(self.name, schema, self.required, self.definitions)


def shape(text: str) -> str:
    """`P100` as A0, `L-2041` as A-0, `AAPL` as A, `shoe size` as `a`, `San Francisco, CA` as `Aa, A`."""
    form = re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "0", re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", text))))
    return re.sub(r"(\w+)(?: \1)+", r"\1", form)


def _is_code(form: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]*[0-9A-Z][\w-]*0[\w-]*|[A-Za-z_-]*0[\w-]*", form))


def content_stems(text: str) -> list[str]:
    """The stems of the words of a text that carry its content."""
    words = re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", text)
    return [stem(word) for word in words if word.lower() not in FUNCTION]


class ToolReading:
    """A function tool as the understudy reads it: the words that ask for it, and its slots."""

    def __init__(self, tool: Mapping[str, Any], level: int = 0) -> None:
        function = tool.get("function", tool)
        self.name: str = function["name"]
        self.level = level  # how deep in objects of objects
        self.description: str = (function.get("description") or "")[:MAX_LENGTH]
        parameters = _clean(function.get("parameters"))
        definitions = {**parameters.get("$defs", {}), **parameters.get("definitions", {})}
        required = parameters.get("required", ())
        properties = parameters.get("properties", {})
        # OpenAI's strict mode: an optional argument is required, and null means that it is left out.
        self.nullable = [
            name for name, schema in properties.items() if name in required and _nullable(schema, definitions)
        ]
        self.slots = [
            Slot(name, schema, name in required and name not in self.nullable, definitions)
            for name, schema in properties.items()
        ]
        self.name_stems = [stem(w) for w in identifier_words(self.name)]
        self.described = content_stems(re.sub(r"(?<=\w)'s\b", "", self.description))
        # `order.track`, described as `Track an order`, tracks: what is described first is the verb
        named = [stem(word) for word in re.findall(r"[A-Za-z]+", self.description)[:1]] + self.name_stems[:2]
        self.verb = next((OPERATION_VERBS[word] for word in named if word in OPERATION_VERBS), "")
        # word -> weight: how much a word of the sentence counts that is in the name, the description, a parameter
        self.lexicon: dict[str, float] = {}
        for weight, words in (
            (3.0, self.name_stems),
            (2.0, self.described[:8]),
            (1.0, self.described),
            *((1.0, [*slot.stems, *content_stems(" ".join(map(str, slot.enum)))]) for slot in self.slots),
            *((0.5, slot.described) for slot in self.slots),
        ):
            self._learn(words, weight)
        # The names of the thing itself: beside a value, but not part of it.
        self.nouns = {
            w for w in (*self.name_stems, *self.described) if w not in OPERATION_VERBS and len(w) > 1
        }

    @cached_property
    def content(self) -> set[str]:
        """What its description says, but for the verb."""
        return set(self.described[:12]) - OPERATION_VERBS.keys()

    @cached_property
    def related(self) -> set[str]:
        """Words for the same things as its own."""
        return {other for word in self.lexicon for other in SYNONYMS.get(word, ())} - self.lexicon.keys()

    @cached_property
    def beginnings(self) -> set[str]:
        """How its words begin: `gravitational` is near `gravity`."""
        return {word[:BEGINNING] for word in self.lexicon if len(word) >= BEGINNING}

    def is_near(self, word: str) -> bool:
        """Whether a stem that is not its own is near one of its own."""
        return word in self.related or (len(word) >= BEGINNING and word[:BEGINNING] in self.beginnings)

    def _learn(self, words: Iterable[str], weight: float) -> None:
        for word in words:
            if word not in FUNCTION and len(word) > 1:
                self.lexicon[word] = max(self.lexicon.get(word, 0.0), weight)


def read_tools(tools: Sequence[Mapping[str, Any]]) -> list[ToolReading]:
    """The readings of all tools. The examples for a parameter count for parameters of that name in all of them."""
    readings = [ToolReading(tool) for tool in tools]
    shapes: dict[str, set[str]] = {}
    for slot in (slot for reading in readings for slot in reading.slots):
        slot.shapes = shapes.setdefault(slot.name, slot.shapes)
        slot.shapes |= Slot.shapes.func(slot)  # type: ignore[attr-defined]
    return readings


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A choice of schemas as the first of them that is not null."""
    for option in _options(schema, definitions):
        if option.get("type") not in (None, "null"):
            return {**option, **{k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}}
    return schema


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), None)
    return str(kind or ("array" if "items" in schema else "object" if "properties" in schema else "string"))


def _nullable(schema: Any, definitions: Mapping[str, Any]) -> bool:
    schema = followed(schema, definitions)
    if isinstance(schema.get("type"), list):
        return "null" in schema["type"]
    return any(option.get("type") == "null" for option in _options(schema, definitions))


# What of JSON Schema is read here, and its types: anything else in its place is left out, as a model would not mind it.
_KEYWORDS: dict[str, type | tuple[type, ...]] = {
    "$ref": str, "$defs": Mapping, "definitions": Mapping, "type": (str, list), "properties": Mapping, "required": list,
    "anyOf": list, "oneOf": list, "items": Mapping, "enum": list, "examples": list, "description": str, "format": str,
}  # fmt: skip


def _clean(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    return {key: value for key, value in schema.items() if isinstance(value, _KEYWORDS.get(key, object))}


def followed(schema: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to, in steps that lead anywhere."""
    read = _clean(schema)
    seen: set[str] = set()
    while "$ref" in read:
        name = str(read.pop("$ref")).rsplit("/", 1)[-1]
        if name in definitions and name not in seen:
            seen.add(name)
            read = {**_clean(definitions[name]), **read}
    return read


def _options(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield followed(option, definitions)
