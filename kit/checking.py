"""`check` and `render`: anything that can be installed, by the rules of the hosts and in their forms."""

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

    `source` is whatever `install` takes, or an installed plugin. Beside the hosts, "documents" stands for
    what was fixed in the manifest and the spec. Raises `KitError` for an unknown host, and what `install`
    raises where there is nothing to check.
    """
    for name in only:
        hosts.rules(name)  # an unknown one is refused before anything is fetched
    return hosts.check_description(_described(source, token), *only)


def render(source: str | Path | Plugin | Served | Description, host: str, **options: Any) -> Any:
    """What a host needs of a plugin, in its own form: "chatgpt", "actions", "copilot", "openai", "agent_plugin", ...

    `source` is whatever `install` takes, or an installed plugin. The addresses of a plugin of this process are those
    of its `public_url`, else of the server that serves it. Raises as `check`.
    """
    form = hosts.find(host)
    return form.render(_described(source), **options)


def _described(source: str | Path | Plugin | Served | Description, token: str | None = None) -> Description:
    if isinstance(source, Description):
        return source
    if isinstance(source, FastAPI):  # its addresses are those of its server
        source = serving(source) or source
    return install(source, token=token)
