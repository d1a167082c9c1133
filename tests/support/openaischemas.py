"""OpenAI's own description of its API, for what the kit sends and what the understudy answers."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import oracles


class OpenAISchemas:
    """Validates by the types of the package `openai`, and by OpenAI's API description if it is available."""

    def __init__(self, path: Path | None) -> None:
        self._registry: Any = None
        if path is None:
            return
        import yaml
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT202012

        # Parsing 3 MB of YAML takes seconds: done once for each version of the file.
        stat = path.stat()
        cache = (
            Path(tempfile.gettempdir())
            / f"openai-openapi-2-{os.getuid()}-{stat.st_size}-{int(stat.st_mtime)}.pickle"
        )
        if cache.exists():
            document = pickle.loads(cache.read_bytes())
        else:
            document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            _allow_null(document)
            cache.write_bytes(pickle.dumps(document))
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:openai", resource)

    def errors(self, component: str, value: Any) -> list[str]:
        """The errors of `value` as the component of that name."""
        from jsonschema import Draft202012Validator

        errors = oracles.errors(oracles.strict(oracles.OPENAI[component]), value)
        if self._registry is not None:
            reference = {"$ref": f"urn:openai#/components/schemas/{component}"}
            errors += oracles.errors(Draft202012Validator(reference, registry=self._registry), value)
        return errors


def _allow_null(document: Any) -> None:
    """The description is OpenAPI 3.1, but still uses `nullable` in some places, such as `finish_reason`."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            if node.get("nullable") is True and isinstance(node.get("type"), str):
                node["type"] = [node["type"], "null"]
                if "enum" in node:
                    node["enum"] = [*node["enum"], None]
