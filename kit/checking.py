"""`check` and `render`: a plugin against the rules of the hosts, and in the form that each of them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from kit import hosts
from kit.client.discovery import install
from kit.description import Description
from kit.hosts.findings import Findings
from kit.server.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from kit.plugin.app import Plugin, Served


def check(
    source: str | Path | Plugin | Served | Description, *only: str, token: str | None = None
) -> Findings:
    """Checks a plugin against the rules of every host, or of those named in `only`.

    `source` is whatever `install` takes, or an installed plugin. Besides the hosts, "documents" stands for
    what was fixed in the manifest and the spec. Raises `KitError` for an unknown host, and as `install`.
    """
    for name in only:
        hosts.rules(name)  # refuses an unknown one before anything is fetched
    return hosts.check_description(_description(source, token), *only)


def render(source: str | Path | Plugin | Served | Description, host: str, **options: Any) -> Any:
    """What a host needs from a plugin, in its own form: "chatgpt", "actions", "copilot", "openai", "agent_plugin", ...

    `source` is whatever `install` takes, or an installed plugin. A plugin of this process has the address
    of its `public_url`, else of its server. Raises as `check`.
    """
    return hosts.find(host).render(_description(source), **options)


def _description(source: str | Path | Plugin | Served | Description, token: str | None = None) -> Description:
    if isinstance(source, Description):
        return source
    if isinstance(source, FastAPI):  # its addresses are those of its server
        source = serving(source) or source
    return install(source, token=token, ask=False)
