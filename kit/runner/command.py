"""A plugin in production: one process or several that serve it on one port until SIGTERM or Ctrl+C.

`kit serve` runs this. `main` is the whole command where only the part of the kit that an export carries is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import logging.config
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import uvicorn
from uvicorn.config import LOGGING_CONFIG, STARTUP_FAILURE

from kit import sockets
from kit.addresses import checked
from kit.errors import KitError, ServeError, SettingsError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.notebook.environment import load_file
from kit.notebook.target import Target
from kit.plugin.guard import require_protection
from kit.plugin.settings import Settings, from_environment
from kit.runner import metrics, options
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
    *,
    uds: str | None = None,
    root_path: str | None = None,
) -> None:
    """Serves a target (see `kit.notebook.target`) from `count` processes, and prints its address; `port` 0 takes any free one.

    `uds` is the path of a Unix socket, instead of `host` and `port`; `root_path` the prefix behind a proxy. `public_url`
    is the https address at which the internet reaches it, or a tunnel that makes one. `extend`, a module-level function,
    is called with the plugin in each process before it serves; `notes` returns what one should know about a plugin at a
    public address, and is called only for one process. Raises `KitError` for what cannot be served.
    """
    Target(target).require_settings()  # reports them, or a missing file, before anything starts
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as opened:
        # Now, not only once uvicorn runs: the first process of a container has no default handler.
        signal.signal(signal.SIGTERM, _exit)
        if root_path is not None:
            os.environ["ROOT_PATH"] = root_path
        sock = opened.enter_context(sockets.listen_unix(uds) if uds else sockets.listen(host, port))
        opened.callback(sockets.withdraw, sock)
        url, public = sockets.url(sock), ""
        if public_url:
            if not isinstance(public_url, str):
                if uds:
                    raise ServeError("A tunnel needs a port.", "Leave out --uds, or give the address itself.")
                public_url = opened.enter_context(public_url(sock.getsockname()[1]))
            public = checked(public_url)
            os.environ["PUBLIC_URL"] = public
        settings = from_environment()
        forget = None
        if settings.metrics_port:
            where = "127.0.0.1" if uds else host
            forget = opened.enter_context(metrics.serving(where, settings.metrics_port, count))
        if count > 1:
            print(f"{count} workers serve {target} at {public or url}", flush=True)
            os.environ["WEB_CONCURRENCY"] = str(count)
            supervise(partial(_worker, target, extend), sock, count, forget)
            return

        plugin, config, settings = _load(target, extend)
        lines = [
            f"{plugin.manifest.name_for_human} is served at {url}",
            f"manifest  {url}{MANIFEST_PATH}",
            f"spec      {url}{SPEC_PATH}",
        ]
        if public:
            lines += [f"public    {public}", *(notes(plugin, public) if notes else [])]
        announcement = "\n  ".join(lines) + "\nPress Ctrl+C to stop."
        try:
            GracefulServer(config, sock, settings, on_start=lambda: print(announcement, flush=True)).run()
        except SystemExit as error:
            if error.code == STARTUP_FAILURE:
                raise ServeError(
                    "The plugin did not start: its lifespan failed.", "The reason is above."
                ) from None
            raise


def _load(target: str, extend: Extend | None) -> tuple[Plugin, uvicorn.Config, Settings]:
    # Before the plugin is made: its settings may turn these lines into JSON.
    logging.config.dictConfig(LOGGING_CONFIG)
    plugin = Target(target).plugin()
    require_protection(plugin)
    if extend:
        extend(plugin)
    settings = from_environment()
    limit = settings.shutdown_timeout or None
    # Windows' default loop cannot watch the listening socket.
    loop = "asyncio:SelectorEventLoop" if sys.platform == "win32" else "auto"
    app = metrics.Metrics(plugin) if settings.metrics_port else plugin
    config = uvicorn.Config(
        app, loop=loop, log_config=None, access_log=False, timeout_graceful_shutdown=limit  # type: ignore[arg-type]
    )  # fmt: skip
    return plugin, config, settings


def _worker(target: str, extend: Extend | None, sock: socket.socket) -> GracefulServer:
    """What each of several processes runs."""
    _, config, settings = _load(target, extend)
    return GracefulServer(config, sock, settings, is_sole=False)


def _exit(*_: object) -> NoReturn:
    raise KeyboardInterrupt  # SystemExit would be the plugin's own, which is an error


def main(arguments: list[str] | None = None) -> None:
    """The command `kit serve`. Exit status: 0 for success, 1 for an error (with the reason), 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    early = argparse.ArgumentParser(prog="kit serve", add_help=False, allow_abbrev=False)
    early.add_argument(
        "--env-file",
        metavar="FILE",
        type=_file,
        help="lines NAME=VALUE, such as .env; the environment wins",
    )
    early.parse_known_args(arguments)  # before the defaults of other options, which are variables too
    parser = argparse.ArgumentParser(
        parents=[early],
        prog="kit serve",
        description="Serve a plugin, or any FastAPI app. SIGTERM loses no request.",
        epilog="Settings are environment variables: see .env.example.",
    )
    parser.add_argument(
        "target", metavar="TARGET", help="FILE.py or MODULE; with :NAME where there are several plugins"
    )
    parser.add_argument("--host", default="127.0.0.1", help=options.HOST.help)
    _add(parser, "--port", options.PORT, "0", _number(0, 65535))
    parser.add_argument("--uds", metavar="PATH", help=options.UDS.help)
    _add(parser, "--root-path", options.ROOT_PATH, None, str)
    _add(parser, "--workers", options.WORKERS, "1", _number(1))
    from kit import __version__

    parser.add_argument("--version", action="version", version=f"kit {__version__} (the part that serves)")
    command, *rest = arguments or [""]
    if command not in ("serve", "-h", "--help", "--version"):
        problem = f"{command!r} is not in this part of the kit" if command else "a command is missing"
        parser.error(f"{problem}: use `kit serve TARGET`, or install the whole kit for the others")
    given = parser.parse_args(rest if command == "serve" else [command])
    try:
        run(given.target, given.port, given.host, given.workers, uds=given.uds, root_path=given.root_path)
    except KitError as error:
        sys.exit(f"kit: {' '.join(str(error).split())}")


def _file(path: str) -> str:
    try:
        load_file(path)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(f"{error.problem} {error.remedy}") from None
    return path


def _add(
    parser: argparse.ArgumentParser, flag: str, option: options.Option, default: str | None, kind: Any
) -> None:
    """An option whose default an environment variable may hold; an empty one counts as none."""
    words = f"{option.help.removesuffix('.')} (default: {option.variable}, else {default or 'none'})"
    default = os.environ.get(option.variable or "") or default
    parser.add_argument(flag, default=default, type=kind, help=words)


def _number(least: int, most: int = sys.maxsize) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            upper = f" to {most}" if most < sys.maxsize else " up"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least}{upper}")
        return int(text)

    return number
