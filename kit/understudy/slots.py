"""What a parameter of a tool wants: read once from its name, type, format, enum and description."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kit.understudy.words import OPERATION_VERBS, SYNONYMS, identifier_words
from kit.words import FUNCTION, stem, words

_ID_WORDS = words(
    "id ids idx index code sku symbol ticker number no num ref reference isbn iban key uid guid pk serial position"
)
_PERSON = words(
    "user username person owner assignee author customer guest member patient contact employee student friend player attendee host recipient tenant client caller sender member who buyer passenger rider reporter name_of_user colleague artist singer actor director writer"
)
_PLACE = words(
    "city town location place country region state address near area airport street venue district postcode zip station_name village neighborhood neighbourhood destination origin stop station platform terminal"
)
_TEXT = words(
    "text content body message note description comment todo task item reminder problem question review reason work purpose wish detail details fact value summary answer feedback issue sentence phrase remark notes bug"
)
_QUERY = words("query q search keyword keywords term terms topic about phrase text_query ingredient")
_MAX = words("max maximum upper most limit under below cheaper budget highest ceiling")
_MIN = words("min minimum lower least above lowest from floor")
_FROM = words("from source src start begin beginning since origin departure first earliest after checkin")
_TO = words("to target dst dest destination end until till through last latest before arrival checkout")
_EXAMPLE = re.compile(
    r"(?:such as|e\.?g\.?:?|for example:?|for instance|like|example:?|ex:)\s*,?\s*[\"'`(]?([\w][\w .:/-]*?)[\"'`)]?(?:[,.;)]|\s+or\s|$)",
    re.IGNORECASE,
)


@dataclass
class Slot:
    """One parameter. `kind` is what a value of it looks like in a sentence."""

    name: str
    schema: Mapping[str, Any]
    required: bool
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.words = [w for w in identifier_words(self.name) if w] or [self.name.lower()]
        self.stems = {stem(w) for w in self.words}
        self.description = str(self.schema.get("description") or "")
        said = [w.lower() for w in re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", self.description)]
        self.said = {stem(w) for w in said if w not in FUNCTION}
        self.type = self._type()
        self.kind = self._kind()

    def _type(self) -> str:
        kind = self.schema.get("type")
        for option in [*(self.schema.get("anyOf") or []), *(self.schema.get("oneOf") or [])]:
            if isinstance(option, Mapping) and option.get("type") not in (None, "null"):
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

    def _kind(self) -> str:
        if self.enum:
            return "enum"
        if self.type in ("boolean", "object", "array"):
            return self.type
        if self.type in ("integer", "number"):
            return "number"
        form = str(self.schema.get("format", ""))
        text = self.description.lower()
        last = stem(self.words[-1])
        if form in ("date-time",) or "date and time" in text or "iso datetime" in text:
            return "datetime"
        if form == "date" or last == "date" or "yyyy-mm-dd" in text or self.stems & {"birthday", "deadline"}:
            return "date"
        if form == "time" or "hh:mm" in text or (last == "time" and form != "date-time"):
            return "time"
        if form == "email" or "email" in self.stems or (last == "mail"):
            return "email"
        if form in ("uri", "url") or self.stems & {"url", "uri", "link", "website", "webpage"}:
            return "url"
        if form == "uuid" or last == "uuid":
            return "uuid"
        if self.stems & {"phone", "telephone", "mobile", "fax"}:
            return "phone"
        if last == "day" and "day" in text and not self.shapes and not re.search(r"week|monday", text):
            return "date"
        if last in {stem(w) for w in _ID_WORDS} and last != stem("key"):
            return "id"
        if any(re.fullmatch(r"[A-Za-z]*[0-9A-Z][\w-]*0[\w-]*|[A-Za-z_-]*0[\w-]*", s) for s in self.shapes):
            return "id"
        if (
            self.shapes
            and any(re.search(r"\d", shape) or shape.isupper() for shape in self.shapes)
            and not self._is_prose
        ):
            return "id"
        for kind, named in (("query", _QUERY), ("person", _PERSON), ("place", _PLACE), ("text", _TEXT)):
            if last in {stem(w) for w in named}:
                return kind
        if last in ("from", "to", "origin", "destination"):
            return "place"
        head = {stem(w) for w in re.findall(r"[a-z]+", text.split(" of ")[0])} if text else set()
        if last not in ("title", "name", "label", "category", "type", "kind", "genre", "color", "colour"):
            for kind, named in (
                ("person", _PERSON),
                ("place", _PLACE),
                ("query", _QUERY | {"keywords"}),
                ("text", _TEXT),
            ):
                if self.stems & {stem(w) for w in named} or head & {stem(w) for w in named}:
                    return kind
        elif last == "name" and (
            self.stems & {stem(w) for w in _PERSON}
            or self.said & {stem(w) for w in _PERSON - {"contact", "author"}}
        ):
            return "person"
        elif last == "name" and self.said & {stem(w) for w in _PLACE}:
            return "place"
        return "name"

    @property
    def _is_prose(self) -> bool:
        return self.stems & {stem(w) for w in _TEXT | _QUERY | _PERSON | _PLACE} != set()

    @cached_property
    def enum(self) -> list[Any]:
        """The allowed values, without null; a constant is an enum of one."""
        if "const" in self.schema:
            return [self.schema["const"]]
        values = self.schema.get("enum")
        return [v for v in values if v is not None] if isinstance(values, list) else []

    @cached_property
    def shapes(self) -> set[str]:
        """The shapes of the examples that the description gives: `P100` is A0, `L-2041` A-0."""
        examples = [m.strip() for m in _EXAMPLE.findall(self.description)]
        given = self.schema.get("example"), *(self.schema.get("examples") or [])
        examples += [str(g) for g in given if isinstance(g, str | int)]
        return {shape(example) for example in examples if 0 < len(example) <= 30}

    @cached_property
    def is_maximum(self) -> bool:
        return (
            bool(self.stems & {stem(w) for w in _MAX} or self.said & {"maximum", "most", "under"})
            and not self.is_minimum_word
        )

    @cached_property
    def is_minimum_word(self) -> bool:
        return bool(self.stems & {"min", "minimum"} or self.said & {"minimum", "least"})

    @cached_property
    def is_minimum(self) -> bool:
        return self.is_minimum_word or (self.kind == "number" and bool(self.stems & {"lower", "abov"}))

    @cached_property
    def is_source(self) -> bool:
        """The first of a pair: from, start, source."""
        return bool(self.stems & {stem(w) for w in _FROM})

    @cached_property
    def is_target(self) -> bool:
        """The second of a pair: to, end, target."""
        return not self.is_source and bool(self.stems & {stem(w) for w in _TO})

    @cached_property
    def is_count(self) -> bool:
        return bool(
            self.stems
            & {
                stem(w)
                for w in [
                    "quantity",
                    "count",
                    "amount",
                    "limit",
                    "qty",
                    "size",
                    "number",
                    "how",
                    "many",
                    "times",
                    "copies",
                    "seats",
                    "guests",
                    "people",
                    "party",
                ]
            }
            or "how many" in self.description.lower()
            or self.description.lower().startswith("number of")
        )

    @cached_property
    def is_index(self) -> bool:
        """A number that names a thing, rather than counts some."""
        last = stem(self.words[-1])
        return (
            last in {"id", "idx", "index", "number", "no", "num", "position", "pk"}
            or "the id" in self.description.lower()
            or self.description.lower().startswith(("number of the", "id of", "the number of the"))
        )

    @cached_property
    def is_money(self) -> bool:
        text = self.description.lower()
        return bool(
            self.stems
            & {
                stem(w)
                for w in [
                    "price",
                    "cost",
                    "amount",
                    "budget",
                    "salary",
                    "fee",
                    "total",
                    "money",
                    "payment",
                    "value",
                    "spend",
                    "income",
                ]
            }
        ) or bool(re.search(r"price|dollar|euro|cost|amount of money|\busd\b|\$|currency", text))

    @cached_property
    def is_year(self) -> bool:
        return bool((self.stems | self.said) & {stem(w) for w in ("year", "vintage")})

    @cached_property
    def item(self) -> Slot:
        """What the items of a list are."""
        items = self.schema.get("items")
        schema = dict(items) if isinstance(items, Mapping) else {}
        schema.setdefault("description", self.description)
        return Slot(self.name, schema, self.required)


def shape(text: str) -> str:
    """`P100` as A0, `L-2041` as A-0, `AAPL` as A, `shoe size` as `a a`."""
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "0", re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", text))))


class ToolReading:
    """A function tool as the understudy reads it: what words it answers to, and its slots."""

    def __init__(self, tool: Mapping[str, Any]) -> None:
        function = tool.get("function", tool)
        self.name: str = function["name"]
        self.description: str = str(function.get("description") or "")
        parameters = resolved(function.get("parameters") or {})
        required = parameters.get("required") or []
        properties = parameters.get("properties") or {}
        self.slots = [
            Slot(
                name,
                schema if isinstance(schema, Mapping) else {},
                name in required and not _nullable(schema),
            )
            for name, schema in properties.items()
        ]
        # OpenAI's strict mode: what may be left out is required, and null says that it was.
        self.nullable = [
            name for name, schema in properties.items() if name in required and _nullable(schema)
        ]
        self.name_stems = [stem(w) for w in identifier_words(self.name)]
        text = re.sub(r"[A-Za-z]+'s", lambda m: m[0][:-2], self.description)
        self.said = [
            stem(w) for w in re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", text) if w.lower() not in FUNCTION
        ]
        self.verb = self._verb()
        # word -> weight: how strongly the word in a sentence speaks for this tool
        self.lexicon: dict[str, float] = {}
        for slot in self.slots:
            for word in slot.said:
                self._learn(word, 0.5)
            for word in slot.stems:
                self._learn(word, 0.8)
            for value in slot.enum:
                for word in re.findall(r"[A-Za-z]+", str(value)):
                    self._learn(stem(word), 0.8)
        for word in self.said:
            self._learn(word, 1.0)
        first_sentence = re.split(r"[.:(]", text)[0]
        for word in re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", first_sentence):
            self._learn(stem(word), 1.3)
        for word in self.name_stems:
            self._learn(word, 1.6)
        self.related: dict[str, float] = {}
        for word, weight in self.lexicon.items():
            for other in SYNONYMS.get(word, ()):
                if other not in self.lexicon:
                    self.related[other] = max(self.related.get(other, 0.0), 0.55 * weight)
        # What names the thing itself: it stands beside a value, and is not part of it.
        self.nouns = {w for w in [*self.name_stems, *self.said] if w not in OPERATION_VERBS and len(w) > 1}

    def _learn(self, word: str, weight: float) -> None:
        if word not in FUNCTION and len(word) > 1:
            self.lexicon[word] = max(self.lexicon.get(word, 0.0), weight)

    def _verb(self) -> str:
        for word in self.name_stems[:2]:
            if word in OPERATION_VERBS:
                return OPERATION_VERBS[word]
        return OPERATION_VERBS.get(self.said[0], "") if self.said else ""


def read_tools(tools: Sequence[Mapping[str, Any]]) -> list[ToolReading]:
    """The readings of all tools. What one says of a parameter holds for its namesakes in the others."""
    readings = [ToolReading(tool) for tool in tools]
    shapes: dict[str, set[str]] = {}
    for reading in readings:
        for slot in reading.slots:
            shapes.setdefault(slot.name, set()).update(slot.shapes)
    for reading in readings:
        for slot in reading.slots:
            slot.shapes = shapes[slot.name]
    return readings


def _nullable(schema: Any) -> bool:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, list):
        return "null" in kind
    options = schema.get("anyOf") or [] if isinstance(schema, Mapping) else []
    return any(isinstance(option, Mapping) and option.get("type") == "null" for option in options)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameters schema with the references of its properties followed, one step."""
    defs = {**(schema.get("$defs") or {}), **(schema.get("definitions") or {})}
    if not defs:
        return schema

    def follow(node: Any, depth: int = 0) -> Any:
        if isinstance(node, Mapping) and isinstance(node.get("$ref"), str) and depth < 4:
            target = defs.get(node["$ref"].rsplit("/", 1)[-1], {})
            return follow({**target, **{k: v for k, v in node.items() if k != "$ref"}}, depth + 1)
        if isinstance(node, Mapping) and depth < 4:
            return {k: follow(v, depth + 1) for k, v in node.items() if k not in ("$defs", "definitions")} | (
                {"properties": {k: follow(v, depth + 1) for k, v in node["properties"].items()}}
                if isinstance(node.get("properties"), Mapping)
                else {}
            )
        if isinstance(node, list):
            return [follow(v, depth + 1) for v in node]
        return node

    result: Mapping[str, Any] = follow(schema)
    return result
