"""Inheritance, which JSON Schema does not have: what `allOf` and `discriminator` mean together.

OpenAPI's own Pet example puts the discriminator on the base, and its subtypes say `allOf` of it. A value of the
base is then one of them, with its fields; JSON Schema alone knows the fields of the base. And an `allOf` of objects
that are each closed, as NSwag writes subtypes, means one closed object; by JSON Schema nothing fits it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kit.openapi.references import PLACE
from kit.openapi.spec import Spec
from kit.openapi.values import as_list, mapping, pointer_token

ALONE = "~itself"  # after a reference: the schema without its subtypes
MOST = 100  # subtypes of a base; of more, a model is told the base alone
MAX_PARTS = 100  # of an allOf, with those within them; one of more is left as it is
MAX_DEPTH = 30  # of an allOf inside an allOf

_TEXTS = ("title", "description", "deprecated", "readOnly", "writeOnly")
_CLOSED = ("additionalProperties", "unevaluatedProperties")
# What a part of an `allOf` may have and still be no more than an object's properties; and `x-...`.
_PLAIN = {
    "type", "properties", "required", "allOf", "discriminator", "nullable", "example", "examples", "xml",
    "externalDocs", "$ref", "$id", "$schema", *_TEXTS,
}  # fmt: skip


@dataclass
class _Object:
    """The parts of an `allOf` put together. `rest` are the parts that say more than properties."""

    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    rest: list[Mapping[str, Any]] = field(default_factory=list)
    closed: list[set[str]] = field(default_factory=list)  # the properties of each closed part
    parts: int = 0
    is_circular: bool = False

    @property
    def is_contradictory(self) -> bool:
        """Whether a closed part forbids what another has."""
        return any(self.properties.keys() - names for names in self.closed)

    def schema(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """It as one schema, with the texts of `own`."""
        out = {key: own[key] for key in (*_TEXTS, "nullable", "x-nullable") if key in own}
        out |= {"type": "object", "properties": self.properties, "required": self.required}
        if self.rest:
            out["allOf"] = self.rest
        elif self.closed:
            out["additionalProperties"] = False
        return out


class Families:
    """The bases of a document and their subtypes. `is_strict` is false for answers, which may be of any other subtype."""

    def __init__(self, spec: Spec, is_strict: bool = True) -> None:
        self.spec = spec
        self._is_strict = is_strict
        self._targets: dict[str, Any] = {}  # by reference
        self._known: dict[str, list[str]] = {}  # members, by the reference to their base

    def target(self, ref: str) -> Any:
        """What a reference leads to, a base as its subtypes and a subtype as one object; None if nowhere."""
        if ref not in self._targets:
            self._targets[ref] = self._target(ref)
        return self._targets[ref]

    def joined(self, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """An `allOf` whose parts are closed, or lead back to itself, as the object that it means; and what it was."""
        whole = self._object(schema) if self._is_suspect(schema) else _Object()
        if whole.parts > MAX_PARTS or not (whole.is_contradictory or whole.is_circular):
            return schema, ""
        flaw = "is part of itself" if whole.is_circular else "has closed parts, which together allow nothing"
        return whole.schema(schema), f"an allOf {flaw}: read as one object with the properties of all"

    def _target(self, ref: str) -> Any:
        schema = self.spec.lookup(ref.removesuffix(ALONE))
        name = self._names.get(id(schema))
        if name is None:
            return schema
        if ref.endswith(ALONE):
            return self._alone(name)
        members = self._members(name)
        if not members:
            is_subtype = any(self._members(parent) for parent in self._parents.get(name, ()))
            return self._alone(name) if is_subtype else schema
        words = ", ".join(repr(_word(member)) for member in members)
        if len(members) > MOST:
            self.spec.problem(name[1:], f"has more than {MOST} subtypes by allOf: they are not told")
            return self._alone(name, is_open=True)
        self.spec.problem(name[1:], f"has subtypes by allOf: read as one of {words}")
        if len(members) == 1:
            return self._alone(members[0])
        out = {key: schema[key] for key in (*_TEXTS, "nullable", "x-nullable") if key in schema}
        refs = (f"{member}{ALONE}" if self._members(member) else member for member in members)
        return {**out, "anyOf": [{"$ref": ref} for ref in refs]}

    # -- who inherits from whom -------------------------------------------------

    @cached_property
    def _names(self) -> dict[int, str]:
        """References to the named schemas, by the identity of these."""
        return {id(schema): ref for ref, schema in reversed(list(_named(self.spec.document)))}

    @cached_property
    def _parents(self) -> dict[str, list[str]]:
        parents: dict[str, list[str]] = {}
        for ref, schema in _named(self.spec.document):
            parts = _parts(schema)
            is_alias = schema.keys() <= {"allOf", "nullable", "x-nullable", *_TEXTS} and len(parts) == 1
            if is_alias and (schema.get("nullable") is True or schema.get("x-nullable") is True):
                continue
            found = [name for part in parts if (name := self._named(mapping(part).get("$ref")))]
            if found:
                parents[ref] = [name for name in dict.fromkeys(found) if name != ref]
        return parents

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for ref, parents in self._parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(ref)
        return children

    def _named(self, ref: Any) -> str | None:
        """The named schema that a reference leads to, by way of others too."""
        for _ in range(20):
            if not isinstance(ref, str):
                return None
            schema = self.spec.lookup(ref)
            name = self._names.get(id(schema))
            if name is None or not _is_reference(schema):
                return name
            ref = schema["$ref"]
        return None

    @cached_property
    def _suspects(self) -> set[str]:
        """The named schemas that are closed or part of themselves, and all that inherit from such."""
        waiting = {ref: len(parents) for ref, parents in self._parents.items()}
        sound = [parent for parent in self._children if parent not in waiting]
        for parent in sound:  # Kahn's algorithm: what is left inherits from a circle
            for other in self._children.get(parent, ()):
                waiting[other] -= 1
                if not waiting[other]:
                    sound.append(other)
        found = {ref for ref, number in waiting.items() if number}
        for ref, schema in _named(self.spec.document):
            parts = _parts(schema)
            if any(map(_is_closed, (schema, *parts))) or any(mapping(it).get("$ref") == ref for it in parts):
                found.add(ref)
        spread = list(found)
        for ref in spread:
            spread += [other for other in self._children.get(ref, ()) if other not in found]
            found.update(self._children.get(ref, ()))
        return found

    def _is_suspect(self, schema: Mapping[str, Any]) -> bool:
        """Whether a schema is worth the time to put its parts together."""
        if "allOf" not in schema:
            return False
        parts = _parts(schema)
        return any(map(_is_closed, (schema, *parts))) or any(
            self._named(mapping(part).get("$ref")) in self._suspects for part in parts
        )

    @cached_property
    def _bases(self) -> set[str]:
        """The named schemas that may have members: with a discriminator or alternatives, or under such a one."""
        found = {
            ref
            for ref, schema in _named(self.spec.document)
            if ref in self._children and ("discriminator" in schema or _alternatives(schema))
        }
        spread = list(found)
        for ref in spread:
            new = [other for other in self._children.get(ref, ()) if other not in found]
            found.update(new)
            spread += new
        return found

    def _closure(self, name: str, edges: Mapping[str, list[str]]) -> list[str]:
        """All that is reached by these edges, the nearest first, without `name` itself; little more than `MOST`."""
        found = {name: None}
        waiting = [name]
        for each in waiting:
            new = [other for other in edges.get(each, ()) if other not in found]
            found |= dict.fromkeys(new)
            waiting += new
            if len(found) > MOST + 1:
                break
        return list(found)[1:]

    def _members(self, name: str) -> list[str]:
        """What a value of a base may be: its subtypes, then itself if that is possible; nothing for other schemas."""
        if name not in self._children or name not in self._bases:
            return []
        if name not in self._known:
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: str) -> list[str]:
        subtypes, schema = self._closure(name, self._children), self.spec.lookup(name)
        listed = [self._named(mapping(it).get("$ref")) for it in _alternatives(schema)]
        if listed and not set(listed) & set(subtypes):
            return []  # it has its own alternatives
        key, _ = self._discriminator(name)
        if not key and not listed:
            return []
        is_concrete = not self._is_strict or (key and self._values(name))
        return [*subtypes, name] if is_concrete and not listed else subtypes

    def _discriminator(self, name: str) -> tuple[str, dict[str, Any]]:
        """The property that tells the subtypes apart, empty if there is none, and the mapping of its values."""
        key = ""
        values: dict[str, Any] = {}
        for each in (name, *self._closure(name, self._parents)):
            declared = mapping(self.spec.lookup(each)).get("discriminator")
            own = declared if isinstance(declared, str) else mapping(declared).get("propertyName")
            if isinstance(own, str) and own and key in ("", own):
                key = own
                values = {**mapping(mapping(declared).get("mapping")), **values}
        return key, values

    def _values(self, name: str) -> list[str]:
        """The values of the discriminator that mean exactly this schema."""
        key, declared = self._discriminator(name)
        meant = [str(value) for value, to in declared.items() if self._is_meant(to, name)]
        special = mapping(self.spec.lookup(name)).get("x-ms-discriminator-value")
        if not meant and isinstance(special, str):
            meant = [special]
        enum = self._enum(name, key)
        if meant:
            return [value for value in meant if value in enum] or meant
        own = self._enum(name, key, is_own=True)
        if name in self._parents and own:
            return own
        word = _plain(_word(name))
        named = [value for value in enum if _plain(value) == word]
        if named:
            return named
        if (
            name not in self._parents and name in self._children and (declared or enum)
        ):  # a base that no value names
            others = self._closure(name, self._children)
            taken = {value for other in others for value in self._values(other)}
            return [value for value in enum or map(str, declared) if value not in taken]
        return [] if enum else [_word(name)]

    def _is_meant(self, to: Any, name: str) -> bool:
        if isinstance(to, str) and "#" in to:
            return self._named(to[to.index("#") :]) == name
        return isinstance(to, str) and to.rsplit("/", 1)[-1].split(".json")[0].split(".y")[0] == _word(name)

    def _enum(self, name: str, key: str, is_own: bool = False) -> list[str]:
        schema = mapping(self.spec.lookup(name))
        parts = [schema, *(mapping(it) for it in _parts(schema) if "$ref" not in mapping(it))]
        properties = (
            [part.get("properties") for part in parts] if is_own else [self._object(schema).properties]
        )
        for declared in properties:
            node = self._resolved(mapping(declared).get(key))
            values = as_list(node.get("enum")) or ([node["const"]] if "const" in node else [])
            if values:
                return [str(value) for value in values]
        return []

    def _resolved(self, node: Any) -> Mapping[str, Any]:
        for _ in range(20):
            if not _is_reference(node):
                break
            node = self.spec.lookup(node["$ref"])
        return mapping(node)

    # -- one object of many parts -------------------------------------------------

    def _alone(self, name: str, is_open: bool = False) -> dict[str, Any]:
        """A named schema with what it inherits, as one object, whose discriminator has its own values only."""
        schema = mapping(self.spec.lookup(name))
        whole = self._object(schema)
        key, _ = self._discriminator(name)
        values = self._values(name) if key and not is_open else []
        is_free = not self._is_strict and name in self._children
        if values and not is_free:
            declared = self._resolved(whole.properties.get(key))
            kept = {it: declared[it] for it in ("type", "description") if it in declared}
            whole.properties[key] = {"type": "string", **kept, "enum": values}
            whole.required = list(dict.fromkeys([*whole.required, key]))
        if is_open or is_free:
            whole.closed = []
        return {it: value for it, value in whole.schema(schema).items() if "nullable" not in it}

    def _object(self, schema: Mapping[str, Any]) -> _Object:
        whole = _Object()
        self._collect(schema, whole, {})
        return whole

    def _collect(
        self, schema: Mapping[str, Any], whole: _Object, seen: dict[int, bool], depth: int = 0
    ) -> set[str]:
        """Adds a schema and what it inherits; returns the names of their properties."""
        names: set[str] = set()
        whole.parts += 1
        whole.is_circular |= seen.get(id(schema), False)  # it is being collected
        if id(schema) in seen or whole.parts > MAX_PARTS or depth > MAX_DEPTH:
            return names
        seen[id(schema)] = True
        for part in _parts(schema):
            target = self._resolved(part)
            if target or mapping(part):
                names |= self._collect(target, whole, seen, depth + 1)
        for name, item in mapping(schema.get("properties")).items():
            names.add(str(name))
            _add(whole.properties, str(name), item)
        required = [name for name in as_list(schema.get("required")) if isinstance(name, str)]
        whole.required = list(dict.fromkeys([*whole.required, *required]))
        if _is_closed(schema):
            whole.closed.append(names)
        rest = {
            key: value
            for key, value in schema.items()
            if not (
                key in _PLAIN or str(key).startswith("x-") or (key in _CLOSED and isinstance(value, bool))
            )
        }
        own = self._names.get(id(schema))
        if own in self._children:  # its alternatives are its subtypes
            for key in ("oneOf", "anyOf"):
                listed = {self._named(mapping(it).get("$ref")) for it in as_list(schema.get(key))}
                if listed & set(self._children[own]):
                    rest.pop(key, None)
        if rest:
            whole.rest.append(rest)
        seen[id(schema)] = False
        return names


def _named(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema with a name, by its reference; those of other documents that were fetched too."""
    others = [(f"#/{PLACE}/{number}", mapping(it)) for number, it in enumerate(as_list(document.get(PLACE)))]
    for base, part in (("#", document), *others):
        components = mapping(mapping(part).get("components"))
        for place, schemas in (
            ("components/schemas", components.get("schemas")),
            ("definitions", part.get("definitions")),
        ):
            for name, schema in mapping(schemas).items():
                if isinstance(schema, Mapping):
                    yield f"{base}/{place}/{pointer_token(name)}", schema
        if base != "#":
            yield base, part


def _parts(schema: Mapping[str, Any]) -> list[Any]:
    """What a schema is put together from: its `allOf`, and what it refers to beside properties of its own."""
    beside = isinstance(schema.get("$ref"), str) and not _is_reference(schema)
    return [*as_list(schema.get("allOf")), *([{"$ref": schema["$ref"]}] if beside else [])]


def _is_reference(schema: Any) -> bool:
    """Whether a schema is what it refers to, and adds no properties (which OpenAPI 3.1 allows)."""
    return isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str) and "properties" not in schema


def _is_closed(schema: Any) -> bool:
    return any(mapping(schema).get(key) is False for key in _CLOSED)


def _alternatives(schema: Any) -> list[Any]:
    return as_list(mapping(schema).get("oneOf")) or as_list(mapping(schema).get("anyOf"))


def _word(ref: str) -> str:
    return ref.rsplit("/", 1)[-1].replace("~1", "/").replace("~0", "~")


def _plain(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())


def _add(properties: dict[str, Any], name: str, item: Any) -> None:
    """Adds a property; where a subtype declares it again, both count."""
    earlier = properties.get(name, item)
    if earlier in (item, {}, True):
        properties[name] = item
    elif not {"$ref"} & (mapping(earlier).keys() | mapping(item).keys()) and all(
        earlier[key] == item[key] or key in _TEXTS for key in mapping(earlier).keys() & mapping(item).keys()
    ):
        properties[name] = {**earlier, **item}
    else:
        properties[name] = {"allOf": [earlier, item]}
