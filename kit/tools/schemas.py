"""OpenAPI's schemas as the JSON Schema (2020-12) that a model is given.

A small schema that others refer to is written out where they do; a large one, or one that refers to
itself, is kept in `$defs`. Each is converted once for the whole document and shared by all tools, so a
converted schema is never changed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.markup import short
from kit.openapi import forms, repairs
from kit.openapi.spec import Spec
from kit.openapi.values import mapping, unique
from kit.openapi.walk import innermost_first, references
from kit.tools import patterns
from kit.tools.inheritance import Families

MAX_DEPTH = 30  # of an allOf inside an allOf; what is deeper stays as it is
HEAVY = 100_000  # schemas for one value, beyond which nothing that visits each is done
MOST = 10**9
INLINE = 100  # the most schemas within one that is written out where it is referred to

_ONE = ("not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_ALTERNATIVES = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref"}
_NAMED = ("properties", "patternProperties", "dependentSchemas")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


# The keywords that matter to a model or to a validator of arguments, and what they may hold.
# Everything else (xml, example, discriminator, x-..., misspellings) is dropped.
_PLAIN: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("minContains", "maxContains"), _is_count),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(("title", "description", "format", "contentMediaType", "contentEncoding"), lambda v: isinstance(v, str)),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), lambda v: isinstance(v, bool)),
    "enum": lambda value: isinstance(value, list) and bool(value) and _is_json(value),
    **dict.fromkeys(("default", "const"), _is_json),
    "examples": lambda value: isinstance(value, list) and _is_json(value),
    "dependentRequired": lambda value: isinstance(value, Mapping)
    and all(isinstance(names, list) and all(isinstance(n, str) for n in names) for names in value.values()),
}  # fmt: skip
# Keywords beside a $ref count in 3.1 and 3.2. In 3.0 and 2.0 they must be ignored, but descriptions do no
# harm.
_DESCRIBING = ("description", "title", "default", "examples", "deprecated")


@dataclass
class Converted:
    """A schema as JSON Schema. `needs` are the names that it refers to in `$defs`."""

    schema: dict[str, Any] = field(default_factory=dict)
    size: int = 1  # schemas within it
    weight: int = 1  # see `Converter.weight`
    needs: set[str] = field(default_factory=set)
    name: str = ""  # in `$defs`; empty where it is written out


class Converter:
    """Converts the schemas of one document.

    References point into `defs`, where the host's documents keep shared schemas. With `inline=0`, nothing that
    the document refers to is written out. `hidden` are the properties that are left out: "readOnly" ones of
    requests, "writeOnly" ones of responses, or none ("").
    """

    def __init__(
        self, spec: Spec, defs: str = "#/$defs/", inline: int = INLINE, hidden: str = "readOnly"
    ) -> None:
        self.spec = spec
        self.defs = defs
        self.inline = inline
        self.hidden = hidden
        self._families = Families(spec, is_strict=hidden != "writeOnly")
        self._modern = spec.version not in ("2.0", "3.0")
        self._known: dict[str, Converted] = {}  # by reference
        self._by_name: dict[str, Converted] = {}
        self._places: dict[str, Converted] = {}  # by reference, those of `_by_name`
        self._lengths: dict[str, int] = {}  # of definitions as JSON
        self._sound: dict[int, tuple[Any, Converted]] = {}  # by identity, those with nothing to note
        self._now = Converted()  # what is being converted
        self._has_problems = False
        self._pointer = ""

    def convert(self, schema: Any, pointer: str = "") -> Converted:
        """`schema` as JSON Schema. Anything unusable becomes `{}`, which allows anything.

        `pointer` is its place, for reporting problems.
        """
        known = self._sound.get(id(schema))  # operations share their parameters
        if known is not None and known[0] is schema:
            return known[1]
        self._prepare(schema)
        self._has_problems = False
        converted = self._finish(schema, pointer)
        if not self._has_problems:
            self._sound[id(schema)] = schema, converted
        return converted

    def opened(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A converted schema, or the one in `$defs` if it is nothing but a reference."""
        seen = set()
        while set(schema) == {"$ref"} and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            schema = self._by_name[schema["$ref"].removeprefix(self.defs)].schema
        return {} if set(schema) == {"$ref"} else schema  # a circle of references means nothing

    def followed(self, schema: Any) -> Any:
        """What a converted schema's `$ref` leads to in `$defs`; the schema itself without one."""
        named = self._by_name.get(str(mapping(schema).get("$ref")).removeprefix(self.defs))
        return named.schema if named else schema

    def weight(self, schema: dict[str, Any]) -> int:
        """How many schemas one value is checked against, in alternatives of alternatives: up to a billion.

        What is within properties and items does not count: the value decides how much of that is visited.
        """
        total = 1
        if not schema.keys() & _ALTERNATIVES:
            return total
        for key in ("allOf", "anyOf", "oneOf", "not", "if", "then", "else"):
            parts = schema.get(key, ())
            total += sum(map(self.weight, parts if isinstance(parts, list | tuple) else (parts,)))
        if "$ref" in schema:
            total += self._by_name[schema["$ref"].removeprefix(self.defs)].weight
        return min(MOST, total)

    def definitions(self, needs: Iterable[str]) -> dict[str, dict[str, Any]]:
        """All that schemas with these `needs` refer to, directly or not, by name."""
        schemas: dict[str, dict[str, Any]] = {}
        waiting = sorted(needs, reverse=True)
        while waiting:
            name = waiting.pop()
            if name not in schemas:
                schemas[name] = self._by_name[name].schema
                waiting += sorted(self._by_name[name].needs, reverse=True)
        return schemas

    def names_in(self, schema: dict[str, Any]) -> Iterator[str]:
        """The names in `$defs` that a converted schema refers to itself."""
        return (name for ref in references(schema) if (name := ref.removeprefix(self.defs)) in self._by_name)

    def characters(self, names: Iterable[str]) -> int:
        """The length of these definitions as JSON."""
        for name in names:
            if name not in self._lengths:
                self._lengths[name] = len(json.dumps(self._by_name[name].schema)) + len(name)
        return sum(self._lengths[name] for name in names)

    @property
    def names(self) -> Iterable[str]:
        """The names of everything in `$defs`."""
        return self._by_name

    # -- references -----------------------------------------------------------

    def _prepare(self, schema: Any) -> None:
        """Converts what `schema` refers to, the innermost first."""
        for ref, is_whole in innermost_first(schema, self._families.target, self._known):
            if is_whole:
                self._define(ref)
            else:
                self._place(ref)  # it leads back to itself

    def _define(self, ref: str) -> None:
        target = self._families.target(ref)
        if target is None:
            return
        converted = self._finish(target, ref[1:])
        if converted.size > self.inline or ref in self._places:
            named = self._place(ref)
            named.schema, named.size, named.needs = converted.schema, converted.size, converted.needs
            named.weight = self.weight(converted.schema)
            converted = named
        self._known[ref] = converted

    def _place(self, ref: str) -> Converted:
        """The entry in `$defs` for a reference, whose schema may follow later."""
        if ref not in self._places:
            base = re.sub(r"[^A-Za-z0-9_.-]", "_", ref.rsplit("/", 1)[-1])[:100] or "schema"
            name = unique(base, self._by_name)
            self._by_name[name] = self._places[ref] = Converted(name=name)
        return self._places[ref]

    def _reference(self, ref: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        target = self._known.get(ref) or self._places.get(ref)
        if target is None:
            self._has_problems = True
            self.spec.dangling(self._pointer, ref)
            return {}
        if target.name:
            self._now.needs.add(target.name)
            out = {"$ref": f"{self.defs}{target.name}"}
        else:
            self._now.needs |= target.needs
            self._now.size += target.size
            out = target.schema
        beside = {
            key: value
            for key, value in schema.items()
            if key != "$ref" and (self._modern or key in _DESCRIBING)
        }
        if not beside:
            return out
        beside = self._convert(beside)
        if beside.keys() & out.keys() <= set(_DESCRIBING):
            return {**out, **beside}
        return {"allOf": [out, beside]}

    # -- one schema -----------------------------------------------------------

    def _finish(self, schema: Any, pointer: str) -> Converted:
        self._now, self._pointer = Converted(), pointer
        self._now.schema = self._convert(schema)
        return self._now

    def _convert(self, schema: Any) -> dict[str, Any]:
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping):
            return {}
        self._now.size += 1
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema["$ref"], schema)
        schema, flaw = self._families.joined(schema)
        if flaw:
            self._problem(flaw)
        out: dict[str, Any] = {}
        for key, value in schema.items():
            if self.hidden and key in ("readOnly", "writeOnly"):
                continue  # of no use to a model or to a validator of arguments
            if key == "pattern":
                pattern = self._pattern(value)
                out |= {key: pattern} if pattern is not None else {}
            elif key not in _PLAIN:
                self._convert_within(key, value, out)
            elif _PLAIN[key](value):
                out[key] = value
            elif not (key in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool)):
                self._problem(f"{key} is {short(repr(value))}, which is not allowed: left out")
        return self._fixed(schema, out)

    def _convert_within(self, key: str, value: Any, out: dict[str, Any]) -> None:
        """Puts a keyword that holds schemas into `out`, and ignores all others."""
        if key == "items" and isinstance(value, list) and value:
            key = "prefixItems"  # a tuple, as JSON Schema had it before 2020
        if key in _MANY:
            if isinstance(value, list) and value:
                out[key] = [self._convert(item) for item in value]
        elif key in _NAMED:
            named = ((str(name), item) for name, item in mapping(value).items() if not self._is_hidden(item))
            if key == "patternProperties":
                named = ((p, item) for name, item in named if (p := self._pattern(name)) is not None)
            out[key] = {name: self._convert(item) for name, item in named}
        elif key == "items" or (key in _ONE and isinstance(value, Mapping | bool)):
            out[key] = self._convert(value)
        elif key == "additionalProperties":
            out[key] = value if isinstance(value, bool) else self._convert(value)

    def _fixed(self, schema: Mapping[str, Any], out: dict[str, Any]) -> dict[str, Any]:
        """Rewrites what OpenAPI 3.0, or the habits of authors, express differently from JSON Schema."""
        for bound in ("Minimum", "Maximum"):
            # 3.0 has a boolean beside minimum; 2020-12 has the number itself.
            if schema.get(f"exclusive{bound}") is True and bound.lower() in out:
                out[f"exclusive{bound}"] = out.pop(bound.lower())
        self._fix_required(schema, out)
        repairs.fix_type(schema.get("type"), out, self.spec.version, self._problem)
        if "type" not in out and not out.keys() & {"allOf", "anyOf", "oneOf", "enum", "const", "not", "if"}:
            # Without a type these allow any text or number, too: their author means an object, a list.
            out |= {"type": "object"} if "properties" in out else {"type": "array"} if "items" in out else {}
        if out.get("type") == "array" and not out.keys() & {"items", "prefixItems"}:
            out["items"] = {}  # OpenAI refuses an array without items
        repairs.fix_values(out, self._problem)
        if "discriminator" in schema:
            self._discriminate(schema, out)
        is_nullable = schema.get("nullable") is True or schema.get("x-nullable") is True
        if is_nullable and "null" not in forms.kinds(out, self.followed):
            if isinstance(out.get("type"), str):
                out["type"] = [out["type"], "null"]
            elif out:
                out = {"anyOf": [out, {"type": "null"}]}
        if "title" in out and "properties" not in out:
            del out["title"]  # FastAPI titles every field with its own name
        return out

    def _fix_required(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        required = schema.get("required")
        properties = mapping(schema.get("properties"))
        hidden = {name for name, item in properties.items() if self._is_hidden(item)}
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        for name, item in properties.items():
            if isinstance(item, Mapping) and isinstance(item.get("required"), bool):
                self._problem(
                    f"required is set at the property {name!r}, not in its object's list: read anyway"
                )
                names += [str(name)] if item["required"] else []
        names = [name for name in dict.fromkeys(names) if name not in hidden]
        if names:
            out["required"] = names

    def _discriminate(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        """Adds to each alternative which values of the discriminating property choose it."""
        discriminator = mapping(schema["discriminator"])
        name, names = discriminator.get("propertyName"), mapping(discriminator.get("mapping"))
        key = "oneOf" if "oneOf" in out else "anyOf"
        if not isinstance(name, str) or key not in out:
            return
        for number, alternative in enumerate(schema[key]):
            ref = mapping(alternative).get("$ref")
            if not isinstance(ref, str):
                continue
            short_name = ref.rsplit("/", 1)[-1]
            values = [str(value) for value, to in names.items() if to in (ref, short_name)] or [short_name]
            own = mapping(mapping(self.opened(out[key][number]).get("properties")).get(name))
            allowed = own.get("enum", [own["const"]] if "const" in own else values)
            if not set(map(str, allowed)) & set(values):
                continue  # the author means the values that the property itself has
            told, choice = self.opened(out[key][number]), {name: {"enum": values}}
            if told.get("additionalProperties") is False and name not in told.get("properties", {}):
                own = {"properties": {**told.get("properties", {}), **choice}}  # else nothing would fit
                out[key][number] = {**told, **own, "required": [*told.get("required", []), name]}
            else:
                out[key][number] = {"allOf": [out[key][number], {"properties": choice, "required": [name]}]}

    def _is_hidden(self, schema: Any) -> bool:
        """Whether a property exists only in the other direction: in responses, or in requests."""
        return isinstance(schema, Mapping) and (
            schema.get(self.hidden) is True
            or (
                isinstance(schema.get("$ref"), str)
                and self.spec.resolve(schema, self._pointer).get(self.hidden) is True
            )
        )

    def _pattern(self, value: Any) -> str | None:
        pattern, note = patterns.read(value)
        if note:
            self._problem(f"the pattern {short(repr(value))} {note}")
        return pattern

    def _problem(self, message: str) -> None:
        self._has_problems = True
        self.spec.problem(self._pointer, message)


def merged(schema: dict[str, Any], converter: Converter, depth: int = 0) -> dict[str, Any]:
    """An `allOf` of plain objects as the one object that it means; anything else as it is."""
    schema = converter.opened(schema)
    if "allOf" not in schema or depth > MAX_DEPTH or converter.weight(schema) > HEAVY:
        return schema
    own = {key: value for key, value in schema.items() if key != "allOf"}
    parts = [*(merged(part, converter, depth + 1) for part in schema["allOf"]), own]
    plain = {"type", "properties", "required", "description", "title", "examples", "deprecated"}
    if not all(part.get("type", "object") == "object" and part.keys() <= plain for part in parts):
        return schema
    out: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in parts:
        for name, item in part.get("properties", {}).items():
            other = out["properties"].get(name, item)
            out["properties"][name] = item if item == other else {"allOf": [other, item]}
        out["required"] = list(dict.fromkeys([*out["required"], *part.get("required", [])]))
        out |= {key: value for key, value in part.items() if key not in ("properties", "required", "type")}
    return out
