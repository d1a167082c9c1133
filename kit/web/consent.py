"""Consent: the operations that a model may call without a question, since the user said so.

It is given to an operation at its address: not to a name, which another plugin can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kit.client.installed import InstalledPlugin
from kit.redaction import hide, hide_given
from kit.tools.tool import Tool


@dataclass(frozen=True, order=True)
class Consent:
    """What was allowed: an operation, its method and its whole address, with the names of path parameters."""

    operation: str
    method: str
    address: str

    @classmethod
    def to(cls, plugin: InstalledPlugin, tool: Tool) -> Consent:
        """The consent that a call of this operation needs."""
        operation = tool.operation
        return cls(operation.id, operation.method, plugin.base_of(tool) + operation.path)

    def summary(self) -> dict[str, str]:
        """For the page."""
        return {**asdict(self), "address": hide(self.address)}


def request_of(plugin: InstalledPlugin, tool: Tool, arguments: Any) -> dict[str, str]:
    """The method and the address of a call that is not made yet; the path as it is declared if the arguments do not fit."""
    where = Consent.to(plugin, tool)
    address = where.address
    if isinstance(arguments, Mapping):
        fitted = tool.coerced(dict(arguments))
        if not tool.problems(fitted):
            address = plugin.base_of(tool) + tool.request(fitted).url
        address = hide_given(address, fitted)
    return {"method": where.method, "url": address}
