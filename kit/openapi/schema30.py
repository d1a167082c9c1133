"""Schemas as OpenAPI 3.0 has them: `nullable`, bounds that are exclusive by a boolean, `enum` for `const`.

Each that is referred to is lowered once, the innermost first. It is shared where it is written out, never changed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from kit.openapi import forms, repairs
from kit.openapi.spec import Problem, Spec
from kit.openapi.values import as_list, mapping, unique
from kit.openapi.walk import innermost_first, references

DEFS = "#/components/schemas/"

_KEPT = (
    "title", "multipleOf", "maximum", "minimum", "maxLength", "minLength", "pattern", "maxItems", "minItems",
    "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type", "description", "format", "default",
    "readOnly", "writeOnly", "deprecated", "example", "nullable",
)  # fmt: skip
# Rules of JSON Schema that 3.0 has not. The others that it has not (`$comment`, `$id`) say nothing about a value.
_LOST = (
    "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "if", "then", "else", "contains",
    "minContains", "maxContains", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "contentSchema",
)  # fmt: skip
_OF_TYPE = {
    "array": ("items", "maxItems", "minItems", "uniqueItems"),
    "object": ("properties", "required", "additionalProperties", "maxProperties", "minProperties"),
    "string": ("pattern", "maxLength", "minLength", "format"),
    "number": ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
}
_OF_TYPE["integer"] = _OF_TYPE["number"]
_NULL = {"enum": [None], "nullable": True}  # the value null alone


class Lowering:
    """Lowers the schemas of one document. `kept` are those that stay by name under `components`.

    One of more than `most` schemas is not written out, and one that leads back to itself is not. `total` is how
    many schemas there are in all that was lowered.
    """

    def __init__(self, spec: Spec, most: int) -> None:
        self.spec = spec
        self.most = most
        self.kept: dict[str, Any] = {}
        self.problems: dict[Problem, None] = {}
        self.total = 0
        self._names: dict[str, str] = {}  # of what is kept, by reference
        self._known: dict[str, tuple[dict[str, Any], int]] = {}  # (schema, its size), by reference
        self._size = 0
        self._pointer = ""

    def lower(self, schema: Any, pointer: str) -> dict[str, Any]:
        """A schema of the document at `pointer`, and all that it refers to."""
        self._prepare(schema)
        lowered, size = self._finish(schema, pointer)
        self.total += size
        return lowered

    def problem(self, pointer: str, message: str) -> None:
        self.problems[pointer, message] = None

    # -- references -----------------------------------------------------------

    def _prepare(self, schema: Any) -> None:
        """Lowers what `schema` refers to, the innermost first."""
        for ref, is_whole in innermost_first(schema, self.spec.lookup, self._known):
            if is_whole:
                self._define(ref)
            else:
                self._name(ref)  # it leads back to itself

    def _define(self, ref: str) -> None:
        target = self.spec.lookup(ref)
        if target is None:
            self.problem(ref, f"$ref {ref!r} leads nowhere: anything is allowed there")
            self._known[ref] = {}, 1
            return
        lowered, size = self._finish(target, ref[1:])
        if size > self.most or ref in self._names:
            name = self._name(ref)
            self.kept[name] = lowered
            self.total += size
            lowered, size = {"$ref": DEFS + name}, 1
        self._known[ref] = lowered, size

    def _name(self, ref: str) -> str:
        if ref not in self._names:
            base = re.sub(r"[^A-Za-z0-9_.-]", "_", ref.rsplit("/", 1)[-1])[:100] or "schema"
            self._names[ref] = unique(base, set(self._names.values()) | self.kept.keys())
        return self._names[ref]

    def _reference(self, ref: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if ref in self._known:
            target, size = self._known[ref]
            self._size += size
        else:  # one that leads back to here
            target = {"$ref": DEFS + self._name(ref)}
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        beside = {} if self.spec.version in ("2.0", "3.0") or not rest else self._lower(rest)
        return _joined(target, beside) if beside else target

    # -- one schema -----------------------------------------------------------

    def _finish(self, schema: Any, pointer: str) -> tuple[dict[str, Any], int]:
        self._size, self._pointer = 0, pointer
        lowered = self._lower(schema)
        return lowered, self._size

    def _lower(self, schema: Any) -> dict[str, Any]:
        self._size += 1
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping):
            return {}
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema["$ref"], schema)
        out = {key: schema[key] for key in _KEPT if key in schema}
        out |= extensions(schema)
        repairs.fix_type(out.pop("type", None), out, self.spec.version, self._problem)
        lost = [key for key in _LOST if key in schema and schema[key] not in (True, {}, [])]
        if lost:
            self._problem(f"OpenAPI 3.0 has no {', '.join(lost)}: left out")
        for key in ("allOf", "anyOf", "oneOf"):
            if as_list(schema.get(key)):
                out[key] = [self._lower(part) for part in schema[key]]
        if isinstance(schema.get("properties"), Mapping):
            out["properties"] = {str(name): self._lower(item) for name, item in schema["properties"].items()}
        if "additionalProperties" in schema:
            more = schema["additionalProperties"]
            out["additionalProperties"] = more if isinstance(more, bool) else self._lower(more)
        if isinstance(schema.get("not"), Mapping | bool):
            out["not"] = self._lower(schema["not"])
        if not isinstance(out.get("required", []), list) or out.get("required") == []:
            del out["required"]  # 3.0 takes no empty list, and a boolean is a slip
        self._values(schema, out)
        self._bounds(schema, out)
        self._items(schema, out)
        self._discriminator(schema, out)
        return _without_null(_typed(out))

    def _values(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        if "const" in schema:
            out["enum"] = [schema["const"]]
        if not as_list(out.get("enum")):
            out.pop("enum", None)
        if "example" not in out and as_list(schema.get("examples")):
            out["example"] = schema["examples"][0]
        if out.get("default", 0) is None:
            del out["default"]  # to leave it out says the same
        if schema.get("x-nullable") is True:  # Swagger 2.0
            out["nullable"] = True
        repairs.fix_values(out, self._problem)
        encoding, kind = schema.get("contentEncoding"), schema.get("contentMediaType")
        if encoding == "base64":
            out["format"] = "byte"
        elif isinstance(encoding, str):
            self._problem(f"OpenAPI 3.0 has no contentEncoding {encoding!r}: left out")
        elif isinstance(kind, str) and "json" in kind:
            self._problem(f"OpenAPI 3.0 has no contentMediaType {kind!r} for a text: left out")
        elif isinstance(kind, str):
            out["format"] = "binary"

    def _bounds(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        for bound, stricter in (("Minimum", max), ("Maximum", min)):
            key, exclusive = bound.lower(), schema.get(f"exclusive{bound}")
            if isinstance(exclusive, bool):  # 3.0's own form
                out |= {f"exclusive{bound}": exclusive}
            elif isinstance(exclusive, int | float) and math.isfinite(exclusive):
                own = out.get(key)
                if not isinstance(own, int | float) or stricter(own, exclusive) == exclusive:
                    out |= {key: exclusive, f"exclusive{bound}": True}

    def _items(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        rest = schema.get("items")
        first = as_list(rest) or as_list(schema.get("prefixItems"))
        if first:
            self._problem("OpenAPI 3.0 has no tuples (prefixItems): any item may be at any place")
            rest = schema.get("additionalItems") if isinstance(rest, list) else rest
            if rest is False:
                out["maxItems"] = min(len(first), out.get("maxItems", len(first)))
            parts = [self._lower(part) for part in [*first, *([rest] if isinstance(rest, Mapping) else [])]]
            parts = [part for number, part in enumerate(parts) if part not in parts[:number]]
            out["items"] = parts[0] if len(parts) == 1 else {"anyOf": parts}
        elif isinstance(rest, Mapping | bool):
            out["items"] = self._lower(rest)
        elif out.get("type") == "array" or "array" in as_list(out.get("type")):
            out["items"] = {}  # required there

    def _discriminator(self, schema: Mapping[str, Any], out: dict[str, Any]) -> None:
        """Says in each alternative by which value it is chosen: names of schemas mean nothing once written out."""
        declared = mapping(schema.get("discriminator"))
        name, names = declared.get("propertyName"), mapping(declared.get("mapping"))
        key = "oneOf" if "oneOf" in out else "anyOf"
        if not isinstance(name, str):
            return
        if key not in out:
            self._problem(
                f"the discriminator {name!r} names other schemas, which OpenAPI 3.0 here has not: left out"
            )
            return
        for number, part in enumerate(schema[key]):
            ref = mapping(part).get("$ref")
            if not isinstance(ref, str):
                continue
            values = [str(value) for value, to in names.items() if to in (ref, ref.rsplit("/", 1)[-1])]
            own = forms.members(part, name, self._follow)
            if not any("enum" in form or "const" in form for form in forms.forms(own, self._follow)):
                choice = {"type": "string", "enum": values or [ref.rsplit("/", 1)[-1]]}
                chosen = {"type": "object", "properties": {name: choice}, "required": [name]}
                out[key][number] = {"allOf": [out[key][number], chosen]}

    def _follow(self, schema: Any) -> Any:
        return self.spec.lookup(schema["$ref"]) if isinstance(schema.get("$ref"), str) else schema

    def _problem(self, message: str) -> None:
        self.problem(self._pointer, message)


def extensions(node: Mapping[str, Any]) -> dict[str, Any]:
    """The `x-` keys of a node, without those that refer to other parts of the document, which are not there."""
    own = {str(key): value for key, value in node.items() if str(key).startswith("x-")}
    return {key: value for key, value in own.items() if not any(references(value))}


def _joined(schema: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
    """A schema with what is written beside its reference."""
    if "$ref" not in schema and not (schema.keys() & beside.keys()) - {
        "description",
        "title",
        "default",
        "example",
    }:
        return {**schema, **beside}
    return {"allOf": [schema], **beside} if "allOf" not in beside else {"allOf": [schema, beside]}


def _typed(out: dict[str, Any]) -> dict[str, Any]:
    """Lists of types as alternatives, and the type that values have anyway."""
    kind = out.get("type")
    if isinstance(kind, list):
        kinds = [word for word in kind if word != "null"]
        out = {key: value for key, value in out.items() if key != "type"}
        if len(kinds) < len(kind):
            out["nullable"] = True
        if not kinds:
            return {**out, **_NULL}
        if len(kinds) == 1:
            return {**out, "type": kinds[0]}
        own = {key for word in kinds for key in _OF_TYPE.get(word, ())}
        parts = [
            {"type": word} | {key: out[key] for key in _OF_TYPE.get(word, ()) if key in out} for word in kinds
        ]
        rest = {key: value for key, value in out.items() if key not in own}
        return {**rest, "anyOf": parts} if "anyOf" not in rest else {"allOf": [{"anyOf": parts}], **rest}
    if kind == "null":
        return {**{key: value for key, value in out.items() if key != "type"}, **_NULL}
    if kind is None and "enum" in out:
        kinds = [
            *forms.kinds(
                {"enum": [value for value in out["enum"] if value is not None]}, lambda schema: schema
            )
        ]
        if len(kinds) == 1:
            out = {**out, "type": kinds[0]}
    if None in as_list(out.get("enum")):
        out = {**out, "nullable": True}
    return out


def _without_null(out: dict[str, Any]) -> dict[str, Any]:
    """Alternatives without null, which `nullable` says; one that is left takes their place."""
    for key in ("anyOf", "oneOf", "allOf"):
        parts = as_list(out.get(key))
        rest = [part for part in parts if part.get("enum") != [None]]
        if not rest or (len(rest) == len(parts) and len(parts) > 1):
            continue
        others = {name: value for name, value in out.items() if name != key}
        if len(rest) < len(parts):
            others["nullable"] = True
        out = _joined(rest[0], others) if len(rest) == 1 else {**others, key: rest}
    return out
