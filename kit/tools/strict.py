"""OpenAI's strict mode: which schemas it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# https://platform.openai.com/docs/guides/structured-outputs: what the strict subset does not support.
_NOT_STRICT = {
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
    "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains",
    "minContains", "maxContains", "prefixItems", "uniqueItems", "minProperties", "maxProperties", "default",
    "minLength", "maxLength",
}  # fmt: skip
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema as it is: every object closed, all required."""
    waiting, count = [(schema, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > 10 or count > 5000 or not isinstance(node, Mapping) or _NOT_STRICT & node.keys():
            return False
        if not node.keys() & {"type", "anyOf", "enum", "const", "$ref"} or ("$ref" in node and len(node) > 1):
            return False
        if node.get("format", "date") not in FORMATS:
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
