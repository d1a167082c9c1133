"""OpenAPI's schemas, 3.0 and 3.1, as the JSON Schema (2020-12) that a model is given.

References are written out where they stand. What refers to itself, or would grow without end,
is kept once in `$defs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kit.spec import Spec

MAX_NODES = 2000  # schemas written out for one tool, before references go to $defs instead
MAX_DEPTH = 40  # levels, the same

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_ONE = (
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
# OpenAPI's own keywords: they say nothing that a model or a validator of arguments uses.
_DROPPED = (
    "nullable",
    "discriminator",
    "xml",
    "externalDocs",
    "example",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
)
# https://platform.openai.com/docs/guides/structured-outputs: what the strict subset does not know.
_NOT_STRICT = {
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
    "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains",
    "minContains", "maxContains", "prefixItems", "uniqueItems", "minProperties", "maxProperties", "default",
}  # fmt: skip
_STRICT_FORMATS = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
}


class Converter:
    """Converts the schemas of one tool; `defs` collects what they share."""

    def __init__(self, spec: Spec, pointer: str, budget: int = MAX_NODES) -> None:
        self.spec = spec
        self.pointer = pointer
        self.budget = budget
        self.defs: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._modern = not str(spec.document.get("openapi", "")).strip('"').startswith("3.0")

    def convert(self, schema: Any, stack: tuple[str, ...] = (), depth: int = 0) -> dict[str, Any]:
        """`schema` as JSON Schema. Anything unusable becomes `{}`: allowed to be anything."""
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping):
            return {}
        self.budget -= 1
        ref = schema.get("$ref")
        if isinstance(ref, str):
            return self._reference(ref, schema, stack, depth)
        out: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _DROPPED or not isinstance(key, str) or key.startswith("x-"):
                continue
            if key in _ONE and isinstance(value, Mapping | bool):
                out[key] = self.convert(value, stack, depth + 1)
            elif key in _MANY and isinstance(value, list):
                out[key] = [self.convert(item, stack, depth + 1) for item in value]
            elif key in _NAMED and isinstance(value, Mapping):
                out[key] = {
                    str(name): self.convert(item, stack, depth + 1)
                    for name, item in value.items()
                    if not self._is_read_only(item)
                }
            elif key == "items":
                out[key] = self.convert(value, stack, depth + 1) if isinstance(value, Mapping | bool) else {}
            elif key == "additionalProperties":
                out[key] = value if isinstance(value, bool) else self.convert(value, stack, depth + 1)
            elif key in ("definitions", "$defs"):
                continue  # reached through references, if at all
            else:
                out[key] = value
        return self._mended(schema, out)

    def _reference(
        self, ref: str, schema: Mapping[str, Any], stack: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        target = self.spec.lookup(ref)
        if target is None:
            self.spec.problem(self.pointer, f"$ref {ref!r} leads nowhere: anything is allowed there")
            return {}
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if ref in stack or ref in self._names or self.budget < 0 or depth > MAX_DEPTH:
            name = self._names.get(ref)
            if name is None:
                name = self._names[ref] = self._new_name(ref)
                self.defs[name] = {}  # a place, so that the schema can refer to itself
                self.defs[name] = self.convert(target, (ref,), 0)
            return {"$ref": f"#/$defs/{name}", **self.convert(beside, stack, depth + 1)}
        written = self.convert(target, (*stack, ref), depth + 1)
        return {**written, **self.convert(beside, stack, depth + 1)} if beside else written

    def _new_name(self, ref: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_.-]", "_", ref.rsplit("/", 1)[-1]) or "schema"
        name, number = base, 2
        while name in self.defs:
            name, number = f"{base}_{number}", number + 1
        return name

    def _is_read_only(self, schema: Any) -> bool:
        return isinstance(schema, Mapping) and schema.get("readOnly") is True

    def _mended(self, schema: Mapping[str, Any], out: dict[str, Any]) -> dict[str, Any]:
        """What OpenAPI 3.0, or its author's habit, writes differently from JSON Schema."""
        for bound in ("Minimum", "Maximum"):
            # 3.0 has a boolean beside minimum; 2020-12 has the number itself.
            exclusive = out.get(f"exclusive{bound}")
            if isinstance(exclusive, bool):
                del out[f"exclusive{bound}"]
                if exclusive and bound.lower() in out:
                    out[f"exclusive{bound}"] = out.pop(bound.lower())
        required = out.get("required")
        if "required" in out:
            properties = out.get("properties", {})
            names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
            hidden = {
                name for name, item in _mapping(schema.get("properties")).items() if self._is_read_only(item)
            }
            names = [name for name in dict.fromkeys(names) if name not in hidden]
            if names and (properties or not hidden):
                out["required"] = names
            else:
                del out["required"]
        self._mend_type(out)
        if schema.get("nullable") is True and not self._allows_null(out):
            if isinstance(out.get("type"), str):
                out["type"] = [out["type"], "null"]
                if isinstance(out.get("enum"), list):
                    out["enum"] = [*out["enum"], None]
            elif out:
                out = {"anyOf": [out, {"type": "null"}]}
        if "enum" in out and not (isinstance(out["enum"], list) and out["enum"]):
            del out["enum"]
        if "examples" in out and not isinstance(out["examples"], list):
            del out["examples"]
        if isinstance(out.get("title"), str) and "properties" not in out:
            del out["title"]  # FastAPI titles every field with its own name
        return out

    def _mend_type(self, out: dict[str, Any]) -> None:
        kind = out.get("type")
        if kind is None:
            return
        kinds = kind if isinstance(kind, list) else [kind]
        known = [k for k in kinds if k in TYPES]
        if len(known) == len(kinds) and kinds:
            return
        words = {"int": "integer", "int32": "integer", "int64": "integer", "long": "integer", "float": "number",
                 "double": "number", "decimal": "number", "bool": "boolean", "dict": "object", "map": "object",
                 "list": "array", "str": "string", "text": "string"}  # fmt: skip
        for k in kinds:
            if k in known:
                continue
            if k in ("date", "date-time", "datetime", "uuid", "email", "uri", "file"):
                out.setdefault("format", {"datetime": "date-time", "file": "binary"}.get(k, k))
            if isinstance(k, str):
                known.append(words.get(k.lower(), "string"))
            self.spec.problem(
                self.pointer,
                f"type {k!r} is none of JSON Schema's: read as {known[-1:] or 'anything'}",
            )
        if not known:
            del out["type"]
        else:
            out["type"] = known[0] if len(known) == 1 else list(dict.fromkeys(known))

    @staticmethod
    def _allows_null(schema: Mapping[str, Any]) -> bool:
        kind = schema.get("type")
        return kind == "null" or (isinstance(kind, list) and "null" in kind)


def merged(schema: dict[str, Any]) -> dict[str, Any]:
    """An `allOf` of plain objects as the one object that it means; anything else as it is."""
    parts = schema.get("allOf")
    if not parts:
        return schema
    parts = [merged(part) for part in parts]
    plain = {"type", "properties", "required", "description", "title", "additionalProperties"}
    if not all(part.get("type", "object") == "object" and part.keys() <= plain for part in parts):
        return schema
    own = {key: value for key, value in schema.items() if key != "allOf"}
    out: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in [*parts, own]:
        out["properties"].update(part.get("properties", {}))
        out["required"] += part.get("required", [])
        out |= {key: value for key, value in part.items() if key not in ("properties", "required", "type")}
    return out


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema as it is: every object closed, all required."""
    waiting, count = [(schema, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > 10 or count > 5000 or not isinstance(node, Mapping) or _NOT_STRICT & node.keys():
            return False
        if not node.keys() & {"type", "anyOf", "enum", "const", "$ref"}:
            return False
        if node.get("format", "date") not in _STRICT_FORMATS:
            return False
        kind = node.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if "object" in kinds:
            properties = node.get("properties")
            if not isinstance(properties, Mapping) or node.get("additionalProperties") is not False:
                return False
            if set(properties) != set(node.get("required", [])):
                return False
            waiting += [(item, depth + 1) for item in properties.values()]
        if "array" in kinds:
            waiting.append((node.get("items"), depth + 1))
        waiting += [(item, depth) for item in node.get("anyOf", [])]
        waiting += [(item, depth) for item in node.get("$defs", {}).values()]
    return True


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
