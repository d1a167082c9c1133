"""Databases that cannot be used now: the log names each once, not for every request that fails because of it."""

from __future__ import annotations

import logging

from kit.errors import DatabaseAway

_away: set[str] = set()  # the URLs, without passwords
_log = logging.getLogger("uvicorn.error")


def tell(error: DatabaseAway) -> None:
    """Logs that a database is away, unless that is known."""
    if error.database not in _away:
        _away.add(error.database)
        _log.error("%s\nUntil then what needs it is answered 503; this is logged once.", error)


def over(database: str) -> None:
    """Logs that a database is there again, if it was away."""
    if database in _away:
        _away.discard(database)
        _log.info("%s can be used again.", database)


def any_known() -> bool:
    """Whether a database is known to be away."""
    return bool(_away)
