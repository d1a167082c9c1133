"""What a body is called that is one value, such as a list: the name of the argument in the function that takes it.

An object's properties are arguments themselves. Of any other body OpenAPI 3 has no name, Swagger 2.0 has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.openapi.values import mapping, text

NAME = "x-body-name"  # of a requestBody: Connexion's, and what swagger2openapi can write
_NAME_OF_GENERATOR = "x-codegen-request-body-name"  # of an operation: OpenAPI Generator's


def name(operation: Mapping[str, Any], body: Mapping[str, Any], schema: Any, *, is_fastapi: bool) -> str:
    """The name of a body with this schema, or "" if the document has none.

    `is_fastapi` tells that FastAPI wrote the document, whose titles are the names of arguments.
    """
    said = text(body.get(NAME)) or text(operation.get(_NAME_OF_GENERATOR))
    return said or (by_title(schema) if is_fastapi else "")


def by_title(schema: Any) -> str:
    """The name from which FastAPI made the title of a schema: `new_tasks` of "New Tasks"."""
    return "_".join(text(mapping(schema).get("title")).lower().split())


def is_object(schema: Any) -> bool:
    """Whether a schema, its reference followed, is an object whose properties are all that it may have."""
    node = mapping(schema)
    return bool(node.get("properties")) and not node.get("additionalProperties")
