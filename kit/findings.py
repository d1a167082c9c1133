"""`check`: what each host's documented rules say of a plugin, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One rule that one host has and the plugin breaks.

    `severity` is "error" where the host refuses or fails, "warning" where it degrades, cuts, or where
    no official text supports the limit (then `source` says so). `place` is a JSON pointer into the spec
    (`/paths/~1todos/post`), or into the manifest where it begins with `manifest`
    (`manifest/name_for_human`). `source` is the address of the text that has the rule. `function` is the
    name of the operation, where the finding is about one.
    """

    host: str
    severity: Literal["error", "warning"]
    place: str
    message: str
    remedy: str
    source: str
    function: str = ""
