"""Arguments generated from the JSON Schema of a tool: anything the schema allows, including awkward values."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import rstr
from jsonschema import Draft202012Validator

FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:34:56Z",
    "time": "12:34:56Z",
    "email": "sam@example.com",
    "idn-email": "sam@example.com",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.com/a?b=c",
    "url": "https://example.com/a?b=c",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "aGk=",
    "duration": "P1D",
    "binary": "bytes",
}
WORDS = ("milk", "a b", "été", "x/y", "50%", "a&b=c", "q?#", "日本", "+1", "tr_ue", "0x1", "'\"", "a.b")


class NoValue(Exception):
    """The generator found no value for a schema, which may still have one."""


def arguments(schema: Mapping[str, Any], seed: int) -> Any:
    """Arguments that satisfy the schema. Raises `NoValue` if twenty tries found none."""
    rng = random.Random(seed)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for _ in range(20):
        value = Generator(schema.get("$defs", {}), rng).value(schema)
        if validator.is_valid(value):
            return value
    raise NoValue(next(validator.iter_errors(value)).message[:200])


class Generator:
    def __init__(self, defs: Mapping[str, Any], rng: random.Random) -> None:
        self.defs, self.rng = defs, rng
        self.left = 300  # values until everything optional is left out

    def value(self, schema: Any, depth: int = 0) -> Any:
        self.left -= 1
        if depth > 40:
            raise NoValue("too deep")
        if not isinstance(schema, Mapping) or not schema:
            return self.rng.choice(["any", 7])
        if "$ref" in schema:
            target = self.defs[schema["$ref"].removeprefix("#/$defs/")]
            return self.value({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        if "allOf" in schema:
            return self.value(self._merged(schema), depth + 1)
        for key in ("oneOf", "anyOf"):
            if key in schema:
                rest = {k: v for k, v in schema.items() if k != key}
                choice = self.rng.choice(
                    schema[key] if depth < 6 else sorted(schema[key], key=lambda s: len(str(s)))[:1]
                )
                return self.value(
                    {"allOf": [rest, choice]} if rest.keys() - {"description", "title"} else choice, depth + 1
                )
        kinds = schema.get("type", "object" if "properties" in schema or "required" in schema else "string")
        kind = self.rng.choice(kinds) if isinstance(kinds, list) else kinds
        return getattr(self, f"_{kind}")(schema, depth)

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            while isinstance(part, Mapping) and "$ref" in part:
                part = {
                    **self.defs[part["$ref"].removeprefix("#/$defs/")],
                    **{k: v for k, v in part.items() if k != "$ref"},
                }
            part = self._merged(part) if "allOf" in part else part
            for key, value in part.items():
                if key == "properties":
                    both = dict(out.get(key, {}))
                    for name, item in value.items():
                        both[name] = {"allOf": [both[name], item]} if name in both else item
                    out[key] = both
                elif key == "required":
                    out[key] = [*out.get(key, []), *value]
                elif key == "enum" and key in out:
                    out[key] = [v for v in out[key] if v in value] or value
                elif key in ("oneOf", "anyOf") and key in out:
                    out.setdefault("oneOf" if key == "anyOf" else "anyOf", value)
                elif key in ("minLength", "minItems", "minimum", "minProperties"):
                    out[key] = max(value, out.get(key, value))
                else:
                    out.setdefault(key, value)
        return out

    def _null(self, schema: Any, depth: int) -> None:
        return None

    def _boolean(self, schema: Any, depth: int) -> bool:
        return self.rng.random() < 0.5

    def _integer(self, schema: Any, depth: int) -> int:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -5) + ("exclusiveMinimum" in schema))
        high = schema.get(
            "maximum", schema.get("exclusiveMaximum", max(low, 0) + 100) - ("exclusiveMaximum" in schema)
        )
        low, high = int(-(-low // 1)), int(high // 1)
        step = schema.get("multipleOf", 1)
        value = self.rng.randint(low, max(low, high))
        return int(value // step * step) if value // step * step >= low else int(-(-low // step) * step)

    def _number(self, schema: Any, depth: int) -> float:
        if "multipleOf" in schema:
            return self._integer(schema, depth)
        low = schema.get("minimum", schema.get("exclusiveMinimum", -5))
        high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) + 100))
        return self.rng.choice([low + (high - low) / 2, low + (high - low) / 4])

    def _string(self, schema: Any, depth: int) -> str:
        if "pattern" in schema:
            for _ in range(30):
                value = rstr.Rstr(self.rng).xeger(re.sub(r"\.([*+])", r"[a-z0-9]\1", schema["pattern"]))
                if schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
                    break
            return value
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        low, high = schema.get("minLength", 0), schema.get("maxLength", 10**6)
        value = self.rng.choice(WORDS)
        if low == 0 and self.rng.random() < 0.05:
            value = ""
        while len(value) < low:
            value += self.rng.choice("abc déf")
        return value[:high]

    def _array(self, schema: Any, depth: int) -> list[Any]:
        low, high = schema.get("minItems", 0), schema.get("maxItems", 10**6)
        count = min(high, max(low, 0 if self.left < 0 else self.rng.choice([0, 1, 2])))
        fixed = schema.get("prefixItems", [])[:count] if "prefixItems" in schema else []
        items = [self.value(item, depth + 1) for item in fixed]
        schemas = schema.get("items", {})
        for _ in range(50):
            if len(items) >= count:
                break
            item = self.value(schemas, depth + 1)
            if not schema.get("uniqueItems") or item not in items:
                items.append(item)
        return items

    def _object(self, schema: Any, depth: int) -> dict[str, Any]:
        required, properties = schema.get("required", []), schema.get("properties", {})
        values = {}
        for name, item in properties.items():
            likely = 0.0 if self.left < 0 or depth > 8 else 0.5 if depth < 3 else 0.2
            if name in required or self.rng.random() < likely:
                try:
                    values[name] = self.value(item, depth + 1)
                except NoValue:
                    if name in required:
                        raise
        extra = schema.get("additionalProperties", True)
        for name in required:
            if name not in values:
                values[name] = self.value(extra if isinstance(extra, Mapping) else {}, depth + 1)
        missing = schema.get("minProperties", 0) - len(values)
        if (
            isinstance(extra, Mapping)
            and extra
            and not missing > 0
            and self.left > 0
            and self.rng.random() < 0.5
        ):
            missing = 1
        for name in [*(n for n in properties if n not in values), *(f"key{n}" for n in range(9))][
            : max(0, missing)
        ]:
            values[name] = self.value(
                properties.get(name, extra if isinstance(extra, Mapping) else {}), depth + 1
            )
        return values
