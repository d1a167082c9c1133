"""`check`: checks anything that can be installed against the hosts' rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from kit import hosts
from kit.discovery import install
from kit.findings import Findings
from kit.installed import InstalledPlugin
from kit.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from kit.plugin import Plugin
    from kit.server import Server


def check(
    source: str | Path | Plugin | Server | InstalledPlugin, *only: str, token: str | None = None
) -> Findings:
    """Checks a plugin against the rules of every host, or of those named in `only`.

    `source` is whatever `install` takes, or an installed plugin. Beside the hosts, "documents" stands for
    what was fixed in the manifest and the spec. Raises `KitError` for an unknown host, and what `install`
    raises where there is nothing to check.
    """
    for name in only:
        hosts.rules(name)  # an unknown one is refused before anything is fetched
    if isinstance(source, FastAPI):  # its addresses are those of its server
        source = serving(source) or source
    plugin = source if isinstance(source, InstalledPlugin) else install(source, token=token)
    return hosts.check_description(plugin, *only)
