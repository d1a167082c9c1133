"""What a parameter of a tool takes: read once from its name, type, format, enum and description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kit.understudy.words import OPERATION_VERBS, SYNONYMS, identifier_words, stems
from kit.words import FUNCTION, stem

_ID_WORDS = stems(
    "id ids idx index code sku symbol ticker number no num ref reference isbn iban uid guid pk serial position"
)
_PERSON = stems(
    "user username person owner assignee author customer guest member patient contact employee student friend player attendee host recipient tenant client caller sender member who buyer passenger rider reporter name_of_user colleague artist singer actor director writer"
)
_PLACE = stems(
    "city town location place country region state address near area airport street venue district postcode zip station_name village neighborhood neighbourhood destination origin stop station platform terminal"
)
_TEXT = stems(
    "text content body message note description comment todo task item reminder problem question review reason work purpose wish detail details fact value summary answer feedback issue sentence phrase remark notes bug"
)
_QUERY = stems("query q search keyword keywords term terms topic about phrase text_query ingredient")
_BY_NAME = {"query": _QUERY, "person": _PERSON, "place": _PLACE, "text": _TEXT}
_BY_DESCRIPTION = {"person": _PERSON, "place": _PLACE, "query": _QUERY, "text": _TEXT}
_MAX = stems("max maximum upper most limit under below cheaper budget highest ceiling")
_FROM = stems("from source src start begin beginning since origin departure first earliest after checkin")
_TO = stems("to target dst dest destination end until till through last latest before arrival checkout")
_COUNT = stems("quantity count amount limit qty size number how many times copies seats guests people party")
_MONEY = stems("price cost amount budget salary fee total money payment value spend income")
_EXAMPLE = re.compile(
    r"(?:such as|e\.?g\.?:?|for example:?|for instance|like|example:?|ex:)\s*,?\s*[\"'`(]?([\w][\w .:/-]*?)[\"'`)]?(?:[,.;)]|\s+or\s|$)",
    re.IGNORECASE,
)

_WORD = re.compile("[A-Za-z-]+")
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
        self.schema = followed(self.schema, self.definitions)
        self.words = [w for w in identifier_words(self.name) if w] or [self.name.lower()]
        self.stems = {stem(w) for w in self.words}
        self.description = self.schema.get("description", "")[:MAX_LENGTH]
        self.described = set(_content_stems(self.description))
        self.type = self._type()
        self.kind = self._kind_by_schema() or self._kind_by_form() or self._kind_by_words()

    def _type(self) -> str:
        kind = self.schema.get("type")
        for option in _options(self.schema, self.definitions):
            if option.get("type") not in (None, "null"):
                merged = {k: v for k, v in self.schema.items() if k not in ("anyOf", "oneOf")}
                self.schema = {**option, **merged}
                kind = option.get("type")
                break
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), None)
        if kind is None:
            kind = (
                "array" if "items" in self.schema else "object" if "properties" in self.schema else "string"
            )
        return str(kind)

    def _kind_by_schema(self) -> str:
        if self.enum:
            return "enum"
        if self.type in ("boolean", "object", "array"):
            return self.type
        return "number" if self.type in ("integer", "number") else ""

    def _kind_by_form(self) -> str:
        """The kind if values have a form of their own; empty if they are words."""
        form, text, last = self.schema.get("format", ""), self.description.lower(), stem(self.words[-1])
        if form == "date-time" or "date and time" in text or "iso datetime" in text:
            return "datetime"
        if (
            form == "date"
            or last == stem("date")
            or "yyyy-mm-dd" in text
            or self.stems & stems("birthday deadline")
        ):
            return "date"
        if form == "time" or "hh:mm" in text or last == stem("time"):
            return "time"
        if form == "email" or "email" in self.stems or last == "mail":
            return "email"
        if form in ("uri", "url") or self.stems & stems("url uri link website webpage"):
            return "url"
        if form == "uuid" or last == "uuid":
            return "uuid"
        if self.stems & stems("phone telephone mobile fax"):
            return "phone"
        if last == "day" and "day" in text and not self.shapes and not re.search(r"week|monday", text):
            return "date"
        is_prose = self.stems & (_TEXT | _QUERY | _PERSON | _PLACE)
        if last in _ID_WORDS or any(
            _is_code(s) or (("0" in s or s.isupper()) and not is_prose) for s in self.shapes
        ):
            return "id"
        return ""

    def _kind_by_words(self) -> str:
        last = stem(self.words[-1])
        for kind, named in _BY_NAME.items():
            if last in named:
                return kind
        if last in ("from", "to"):
            return "place"
        if last in ("label", "category", "kind", "color", "colour"):
            return "name"
        head = {stem(w) for w in re.findall(r"[a-z]+", self.description.lower().split(" of ")[0])}
        return next((kind for kind, named in _BY_DESCRIPTION.items() if (self.stems | head) & named), "name")

    @cached_property
    def enum(self) -> list[Any]:
        """The allowed values, without null; a constant is an enum of one."""
        if "const" in self.schema:
            return [self.schema["const"]]
        return [value for value in self.schema.get("enum", ()) if value is not None]

    @cached_property
    def members(self) -> frozenset[str]:
        """The stems of the words of the allowed values."""
        return frozenset(stem(word) for member in self.enum for word in _WORD.findall(str(member)))

    @cached_property
    def shapes(self) -> set[str]:
        """The shapes of the examples in the description and schema: `P100` is A0, `L-2041` A-0."""
        examples = [m.strip() for m in _EXAMPLE.findall(self.description)]
        in_schema = self.schema.get("example"), *self.schema.get("examples", ())
        examples += [str(example) for example in in_schema if isinstance(example, str | int)]
        return {shape(example) for example in examples if 0 < len(example) <= 30}

    @cached_property
    def is_maximum(self) -> bool:
        named = self.stems & _MAX or self.described & {"maximum", "most", "under"}
        return bool(named) and not self._is_named_minimum

    @cached_property
    def is_minimum(self) -> bool:
        return self._is_named_minimum or (self.kind == "number" and bool(self.stems & {"lower", "abov"}))

    @property
    def _is_named_minimum(self) -> bool:
        return bool(self.stems & {"min", "minimum"} or self.described & {"minimum", "least"})

    @cached_property
    def is_source(self) -> bool:
        """The first of a pair: from, start, source."""
        return bool(self.stems & _FROM)

    @cached_property
    def is_target(self) -> bool:
        """The second of a pair: to, end, target."""
        return not self.is_source and bool(self.stems & _TO)

    @cached_property
    def is_count(self) -> bool:
        text = self.description.lower()
        return bool(self.stems & _COUNT) or "how many" in text or text.startswith("number of")

    @cached_property
    def is_index(self) -> bool:
        """A number that identifies a thing, rather than counts things."""
        text = self.description.lower()
        return (
            stem(self.words[-1]) in {"id", "idx", "index", "number", "no", "num", "position", "pk"}
            or "the id" in text
            or text.startswith(("number of the", "id of", "the number of the"))
        )

    @cached_property
    def is_money(self) -> bool:
        pattern = r"price|dollar|euro|cost|amount of money|\busd\b|\$|currency"
        return bool(self.stems & _MONEY or re.search(pattern, self.description.lower()))

    @cached_property
    def is_year(self) -> bool:
        return bool((self.stems | self.described) & stems("year vintage"))

    @cached_property
    def item(self) -> Slot:
        """What the items of a list are."""
        schema = {"description": self.description, **self.schema.get("items", {})}
        return Slot(self.name, schema, self.required, self.definitions)


def shape(text: str) -> str:
    """`P100` as A0, `L-2041` as A-0, `AAPL` as A, `shoe size` as `a a`."""
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "0", re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", text))))


def _is_code(form: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]*[0-9A-Z][\w-]*0[\w-]*|[A-Za-z_-]*0[\w-]*", form))


def _content_stems(text: str) -> list[str]:
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
            Slot(
                name,
                schema,
                name in required and name not in self.nullable,
                definitions,
            )
            for name, schema in properties.items()
        ]
        self.name_stems = [stem(w) for w in identifier_words(self.name)]
        text = re.sub(r"[A-Za-z]+'s", lambda m: m[0][:-2], self.description)
        self.described = _content_stems(text)
        self.verb = self._verb()
        # word -> weight: how strongly the word in a sentence asks for this tool
        self.lexicon: dict[str, float] = {}
        for slot in self.slots:
            self._learn(slot.described, 0.5)
            self._learn(slot.stems, 0.8)
            for value in slot.enum:
                self._learn(map(stem, re.findall(r"[A-Za-z]+", str(value))), 0.8)
        self._learn(self.described, 1.0)
        first_sentence = re.split(r"[.:(]", text)[0]
        self._learn(map(stem, re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", first_sentence)), 1.3)
        self._learn(self.name_stems, 1.6)
        self.related: dict[str, float] = {}
        for word, weight in self.lexicon.items():
            for other in SYNONYMS.get(word, ()):
                if other not in self.lexicon:
                    self.related[other] = max(self.related.get(other, 0.0), 0.55 * weight)
        # The names of the thing itself: beside a value, but not part of it.
        self.nouns = {
            w for w in [*self.name_stems, *self.described] if w not in OPERATION_VERBS and len(w) > 1
        }

    def weight(self, word: str) -> float:
        """How strongly a stem asks for this tool; 0 if it has nothing to do with it."""
        return self.lexicon.get(word) or self.related.get(word, 0.0)

    def _learn(self, words: Iterable[str], weight: float) -> None:
        for word in words:
            if word not in FUNCTION and len(word) > 1:
                self.lexicon[word] = max(self.lexicon.get(word, 0.0), weight)

    def _verb(self) -> str:
        named = [*self.name_stems[:2], *self.described[:1]]
        return next((OPERATION_VERBS[word] for word in named if word in OPERATION_VERBS), "")


def read_tools(tools: Sequence[Mapping[str, Any]]) -> list[ToolReading]:
    """The readings of all tools. The examples for a parameter count for parameters of that name in all of them."""
    readings = [ToolReading(tool) for tool in tools]
    shapes: dict[str, set[str]] = {}
    for reading in readings:
        for slot in reading.slots:
            shapes.setdefault(slot.name, set()).update(slot.shapes)
    for reading in readings:
        for slot in reading.slots:
            slot.shapes = shapes[slot.name]
    return readings


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
