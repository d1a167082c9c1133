"""The options of `kit serve`, for both of its commands: that of the whole kit, and that of the part that an export carries."""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    """`variable` is the environment variable that holds the default."""

    help: str
    variable: str | None = None


PORT = Option("The port; 0 takes any free one.", "PORT")
HOST = Option("127.0.0.1 for this machine only; 0.0.0.0 for everyone.")
UDS = Option(
    "Serve on a Unix socket at this path instead, for a proxy that runs as its owner or in its group."
)
ROOT_PATH = Option("The prefix of its paths behind a proxy, such as /todo.", "ROOT_PATH")
WORKERS = Option("Processes that serve it on one port.", "WEB_CONCURRENCY")
