"""A plugin in production: one process or several that serve it on one port until SIGTERM or Ctrl+C.

`kit serve` is this. `main` is the whole command where only the part of the kit is installed that an export
carries.
"""

from __future__ import annotations

import argparse
import contextlib
import logging.config
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import uvicorn
from uvicorn.config import LOGGING_CONFIG, STARTUP_FAILURE

from kit import sockets
from kit.addresses import checked
from kit.errors import KitError, ServeError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.notebook.target import Target
from kit.plugin.memory import is_first_worker
from kit.plugin.settings import from_environment
from kit.runner.graceful import GracefulServer
from kit.runner.supervisor import supervise

if TYPE_CHECKING:
    from kit.plugin.app import Plugin
    from kit.sockets import Tunnel

Extend = Callable[["Plugin"], None]
Notes = Callable[["Plugin", str], list[str]]


def run(
    target: str,
    port: int = 0,
    host: str = "127.0.0.1",
    count: int = 1,
    public_url: str | Tunnel | None = None,
    extend: Extend | None = None,
    notes: Notes | None = None,
) -> None:
    """Serves a target (see `kit.notebook.target`) from `count` processes, and tells where; `port` 0 takes any free one.

    `public_url` is the https address at which the world reaches it, or a tunnel that makes one. `extend`, a function
    of a module, is called with the plugin in each process before it serves; `notes` gives what one should know of a
    plugin at a public address, and is asked if there is one process. Raises `KitError` for what cannot be served.
    """
    Target(target)  # a file that is missing is told before anything starts
    # From here on, not only once uvicorn runs: the first process of a container has no default for it.
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as opened:
        sock = opened.enter_context(sockets.listen(host, port))
        url, public = sockets.url(sock), ""
        if public_url:
            if not isinstance(public_url, str):
                public_url = opened.enter_context(public_url(sock.getsockname()[1]))
            public = checked(public_url)
            os.environ["PUBLIC_URL"] = public
        if count > 1:
            print(f"{count} workers serve {target} at {public or url}", flush=True)
            os.environ["WEB_CONCURRENCY"] = str(count)
            supervise(partial(_work, target, extend), sock, count)
            return

        def told(plugin: Plugin) -> str:
            lines = [
                f"{plugin.manifest.name_for_human} is served at {url}",
                f"manifest  {url}{MANIFEST_PATH}",
                f"spec      {url}{SPEC_PATH}",
            ]
            if public:
                lines += [f"public    {public}", *(notes(plugin, public) if notes else [])]
            return "\n  ".join(lines) + "\nCtrl+C ends it."

        run_here(target, sock, told, extend)


def run_here(
    target: str, sock: socket.socket, told: Callable[[Plugin], str], extend: Extend | None = None
) -> None:
    """Serves a target from this process, and prints what `told` says of it once it answers."""
    plugin, config = _prepare(target, extend)
    words = told(plugin)
    try:
        GracefulServer(config, sock, on_start=lambda: print(words, flush=True)).run()
    except SystemExit as ended:
        if ended.code == STARTUP_FAILURE:
            raise ServeError(
                "The plugin did not start: its lifespan failed.", "The reason is above."
            ) from None
        raise


def _prepare(target: str, extend: Extend | None) -> tuple[Plugin, uvicorn.Config]:
    # Before the plugin is made, which may want these lines as JSON.
    logging.config.dictConfig(LOGGING_CONFIG)
    plugin = Target(target).plugin()
    if extend:
        extend(plugin)
    limit = from_environment().shutdown_timeout or None
    return plugin, uvicorn.Config(
        plugin, log_config=None, access_log=False, timeout_graceful_shutdown=limit  # type: ignore[arg-type]
    )  # fmt: skip


def _work(target: str, extend: Extend | None, sock: socket.socket) -> None:
    """What each of several processes does. Ends with the status that tells the supervisor to give up."""
    try:
        _, config = _prepare(target, extend)
    except Exception as error:
        if is_first_worker():  # all that start together fail alike
            print(f"kit: {error}" if isinstance(error, KitError) else traceback.format_exc(), file=sys.stderr)
        sys.exit(STARTUP_FAILURE)
    GracefulServer(config, sock, is_sole=False).run()


def _end(*_: object) -> NoReturn:
    sys.exit()


def main(arguments: list[str] | None = None) -> None:
    """The command `kit serve`. Exit status: 0 all well, 1 it did not work (with the reason), 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="kit serve",
        description="Serve a plugin, or any FastAPI app. SIGTERM loses no request.",
        epilog="The settings are environment variables: .env.example has them.",
    )
    parser.add_argument(
        "target", metavar="TARGET", help="FILE.py or MODULE; with :NAME where there are several plugins"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="127.0.0.1 is this machine alone; 0.0.0.0 is everybody"
    )
    parser.add_argument(
        "--port", default=0, type=_number(0, 65535), help="0, as unless given, takes any free port"
    )
    parser.add_argument(
        "--workers",
        default=os.environ.get("WEB_CONCURRENCY") or "1",
        type=_number(1),
        help="processes that serve it on one port; WEB_CONCURRENCY unless given, else 1",
    )
    command, *given = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command not in ("serve", "-h", "--help"):
        wanted = f"has no {command!r}" if command else "is told what to serve"
        parser.error(
            f"this part of the kit {wanted}: it is `kit serve TARGET`, and the whole kit has the rest"
        )
    asked = parser.parse_args(given if command == "serve" else [command])
    try:
        run(asked.target, asked.port, asked.host, asked.workers)
    except KitError as error:
        sys.exit(f"kit: {' '.join(str(error).split())}")


def _number(least: int, most: int = sys.maxsize) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            to = f" to {most}" if most < sys.maxsize else " on"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least}{to}")
        return int(text)

    return number
