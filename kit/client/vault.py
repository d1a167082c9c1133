"""Tokens in the system's keyring, where someone asked for that; never in a file in clear."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from kit.errors import SettingsError
from kit.openapi.documents import read_json
from kit.openapi.values import mapping

SERVICE = "notebook-plugin-kit"


def save(origin: str, secret: dict[str, Any]) -> None:
    """Keeps a secret for the plugin at `origin`. Raises `SettingsError` without a keyring that encrypts."""
    from keyring.errors import KeyringError

    try:
        _keyring().set_password(SERVICE, origin, json.dumps(secret))
    except KeyringError as error:
        raise _refusal(f"did not take the token of {origin}: {error}") from None


def load(origin: str) -> dict[str, Any]:
    """What is kept for the plugin at `origin`, or {}. Raises `SettingsError` as `save`."""
    from keyring.errors import KeyringError

    try:
        kept = _keyring().get_password(SERVICE, origin)
    except KeyringError as error:
        raise _refusal(f"did not give the token of {origin}: {error}") from None
    try:
        return dict(mapping(read_json(kept or "{}")))
    except ValueError:
        return {}  # another program's, or cut off


def delete(origin: str) -> None:
    """Forgets what is kept for the plugin at `origin`."""
    from keyring.errors import KeyringError

    with contextlib.suppress(KeyringError):  # there is nothing, which is what is wanted
        _keyring().delete_password(SERVICE, origin)


def _keyring() -> Any:
    try:
        import keyring
        from keyring.core import recommended
    except ModuleNotFoundError:
        raise SettingsError(
            "To keep a token, the system's keyring is needed.", "pip install keyring", setting="keep"
        ) from None
    chosen = keyring.get_keyring()
    if not recommended(chosen):  # a file in clear, or none at all
        raise _refusal("is none that encrypts")
    return chosen


def _refusal(why: str) -> SettingsError:
    return SettingsError(
        f"The system's keyring {why}.", "`python -m keyring diagnose` says more; without keep=True it is not needed.", setting="keep"
    )  # fmt: skip
