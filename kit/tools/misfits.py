"""What keeps a value from fitting a JSON Schema, in one sentence for a model that can correct it.

jsonschema says which rule is broken and where; its own wording changes between versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kit.markup import short
from kit.tools import patterns

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_LENGTH = 300  # characters of what is listed
MAX_FORMS = 3  # alternatives that are explained

_KINDS = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
# with the {limit} that the schema sets, also {raw} without quotes, and the actual {value}
_RULES = {
    "const": "must be {limit}, not {value}",
    "minimum": "must be at least {limit}, not {value}",
    "exclusiveMinimum": "must be more than {limit}, not {value}",
    "maximum": "must be at most {limit}, not {value}",
    "exclusiveMaximum": "must be less than {limit}, not {value}",
    "multipleOf": "must be a multiple of {limit}, not {value}",
    "pattern": "must match the pattern {raw}, unlike {value}",
    "format": "must be in the format {raw}, unlike {value}",
    "uniqueItems": "must not have the same item twice",
}
_PARTS = {
    "Length": ("character", "characters"),
    "Items": ("item", "items"),
    "Properties": ("property", "properties"),
}


def validator(schema: Mapping[str, Any]) -> Any:
    """jsonschema's validator (2020-12) for a schema, with patterns that are matched in linear time."""
    kind = _without_unevaluated() if _has_both(schema) else _linear()
    return kind(schema)


@cache
def _linear() -> Any:
    # With JupyterLab installed the import takes a second: a grammar for IRIs.
    from jsonschema import Draft202012Validator

    own = {"pattern": _pattern, "patternProperties": _named, "additionalProperties": _additional}
    return _extended(Draft202012Validator, own)


@cache
def _without_unevaluated() -> Any:
    return _extended(_linear(), {"unevaluatedProperties": lambda *_: iter(())})


def _extended(kind: Any, keywords: dict[str, Any]) -> Any:
    from jsonschema import validators

    extend: Any = validators.extend  # without types
    return extend(kind, keywords)


def _has_both(schema: Any) -> bool:
    """Whether unevaluatedProperties may have to look at patternProperties, which jsonschema does with `re`."""
    waiting, found = [schema], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            found |= node.keys() & {"unevaluatedProperties", "patternProperties"}
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return len(found) == 2


def _pattern(own: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    from jsonschema import ValidationError

    if isinstance(value, str) and patterns.matches(pattern, value) is False:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _named(own: Any, named: Mapping[str, Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    for pattern, each in named.items():
        for name, item in value.items() if isinstance(value, dict) else ():
            if patterns.matches(pattern, name):
                yield from own.descend(item, each, path=name, schema_path=pattern)


def _additional(own: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    from jsonschema import ValidationError

    extras = list(_extras(value, schema)) if isinstance(value, dict) else []
    if isinstance(allowed, Mapping):
        for name in extras:
            yield from own.descend(value[name], allowed, path=name)
    elif allowed is False and extras:
        yield ValidationError("additional properties are not allowed")


def _extras(value: Mapping[str, Any], schema: Any) -> Iterator[str]:
    """The properties that a schema does not name, neither themselves nor by a pattern."""
    known, named = schema.get("properties", {}), schema.get("patternProperties", {})
    return (n for n in value if n not in known and all(patterns.matches(p, n) is False for p in named))


def explain(error: ValidationError) -> str:
    """What is wrong with the value at an error's path. The caller names the path."""
    value: Any = error.instance
    limit: Any = error.validator_value
    schema: Any = error.schema
    rule = str(error.validator)
    if value in ("", []) and rule in ("minLength", "minItems", "pattern") and limit in (1, "."):
        return "must not be empty"
    if rule == "type":
        return _kinds([limit] if isinstance(limit, str) else limit, value)
    if rule in ("anyOf", "oneOf"):
        return _alternatives(error)
    if rule == "enum":
        return f"must be one of {_listed(limit)}, not {_shown(value)}"
    if rule == "required":
        return f"must have {_listed(name for name in limit if name not in value)}"
    if rule == "additionalProperties":
        known, extra = schema.get("properties", {}), _extras(value, schema)
        there = f"; there are: {_listed(known)}" if known else ""
        return f"must not have {_listed(extra)}{there}"
    if rule == "items" and limit is False:
        rule, limit = "maxItems", len(schema["prefixItems"])
    if rule[3:] in _PARTS:
        bound = "at least" if rule.startswith("min") else "at most"
        return f"must have {bound} {limit} {_PARTS[rule[3:]][limit != 1]}, not {len(value)}"
    if rule in _RULES:
        return _RULES[rule].format(limit=_shown(limit), raw=limit, value=_shown(value))
    return f"does not fit its schema: {short(error.message, MAX_LENGTH)}"


def _alternatives(error: ValidationError) -> str:
    """What the alternatives nearest to the value require: those of its type, and of its `const` or `enum`."""
    forms: dict[Any, list[ValidationError]] = {}
    for reason in error.context or ():
        forms.setdefault(reason.relative_schema_path[0], []).append(reason)
    if not forms:
        return "fits more than one alternative of its schema, and must fit only one"
    least = min(map(_distance, forms.values()))
    nearest = [reasons for reasons in forms.values() if _distance(reasons) == least]
    if least == 2:
        limits: list[Any] = [r.validator_value for form in nearest for r in form if _is_kind(r)]
        kinds = [kind for limit in limits for kind in ([limit] if isinstance(limit, str) else limit)]
        return _kinds(kinds, error.instance)
    located = (dict.fromkeys(map(_located, reasons[:MAX_FORMS])) for reasons in nearest)
    sentences = list(dict.fromkeys(map("; ".join, located)))
    more = f"; or one of {len(sentences) - MAX_FORMS} other forms" if len(sentences) > MAX_FORMS else ""
    return short("; or ".join(sentences[:MAX_FORMS]), 2 * MAX_LENGTH) + more


def _distance(reasons: list[ValidationError]) -> int:
    if any(map(_is_kind, reasons)):
        return 2
    return 1 if any(reason.validator in ("const", "enum") for reason in reasons) else 0


def _is_kind(reason: ValidationError) -> bool:
    return reason.validator == "type" and not reason.relative_path


def _located(reason: ValidationError) -> str:
    path = place(reason.relative_path).removeprefix(".")
    return f"{path}: {explain(reason)}" if path else explain(reason)


def place(path: Iterable[str | int]) -> str:
    """A path into a value, to follow its name: `.children[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _kinds(allowed: Iterable[str], value: Any) -> str:
    *others, last = dict.fromkeys(_KINDS.get(kind, kind) for kind in allowed)
    actual = (
        "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else _shown(value)
    )
    return f"must be {', '.join(others)}{' or ' if others else ''}{last}, not {actual}"


def _shown(value: Any) -> str:
    """As JSON, but a text in single quotes: the sentence itself goes into JSON, which would escape others."""
    return short(repr(value) if isinstance(value, str) else value)


def _listed(values: Iterable[Any]) -> str:
    return short(", ".join(map(_shown, values)), MAX_LENGTH)
