"""Asking the user for a token, once, when a plugin is installed; what is typed is not shown."""

from __future__ import annotations

import getpass
import sys

from kit import jupyter
from kit.manifest import Manifest

WHOSE = {"user_http": "Your token", "service_http": "The service's token"}


def token(manifest: Manifest) -> str:
    """The token that the user gives for a plugin; "" if there is nobody to ask, or nothing to ask for."""
    whose, name = WHOSE.get(manifest.auth.type), manifest.name_for_human or manifest.name_for_model
    if whose is None:
        return ""
    try:
        # by its module: a kernel puts its own there while a cell runs
        if jupyter.has_output() or (sys.stdin is not None and sys.stdin.isatty()):
            return getpass.getpass(f"{whose} for {name} (not shown; Enter for none): ").strip()
    except (NotImplementedError, EOFError):
        pass  # a notebook that runs without a frontend cannot ask
    return ""
