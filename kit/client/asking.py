"""Asking the user for a token, once, when a plugin is installed; what is typed is not shown."""

from __future__ import annotations

import sys
from getpass import getpass

from kit import jupyter
from kit.manifest import Auth, ServiceHttp, UserHttp


def token(name: str, auth: Auth) -> str:
    """The token that the user gives for the plugin `name`; "" if there is nobody to ask, or nothing to ask for."""
    if not isinstance(auth, UserHttp | ServiceHttp):
        return ""
    whose = "Your token" if isinstance(auth, UserHttp) else "The service's token"
    try:
        if jupyter.has_output() or (sys.stdin is not None and sys.stdin.isatty()):
            return getpass(f"{whose} for {name} (not shown; Enter for none): ").strip()
    except (NotImplementedError, EOFError):
        pass  # a notebook that runs without a frontend cannot ask
    return ""
