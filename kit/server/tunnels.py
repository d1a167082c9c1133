"""Tunnels: a public https address for a server on this machine, for `kit.serve(plugin, public_url=...)`.

A tunnel is any function that takes a port and returns a context manager of the address. `cloudflared` and `ngrok`
run the programs of those names, which must be installed: nothing is downloaded.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from kit.errors import ServeError
from kit.redaction import hide
from kit.sockets import Tunnel

START_TIMEOUT = 30.0  # seconds until the program prints its address
STOP_TIMEOUT = 5.0  # seconds until it is killed


def cloudflared(port: int) -> AbstractContextManager[str]:
    """Cloudflare's quick tunnel: no account needed, another address each time.

    Raises `ServeError` if the program is missing or prints no address.
    """

    def address(line: str) -> str:
        # api.trycloudflare.com is where it requests a tunnel; it prints that name when this fails.
        match = re.search(r"https://(?!api\.)[a-z0-9-]+\.trycloudflare\.com", line)
        return match[0] if match else ""

    command = ["cloudflared", "tunnel", "--no-autoupdate", "--url", f"http://127.0.0.1:{port}"]
    return _running(command, address, "See developers.cloudflare.com/cloudflare-one, Downloads.")


def ngrok(port: int) -> AbstractContextManager[str]:
    """ngrok's tunnel: it needs an account, whose token is set once by `ngrok config add-authtoken`.

    Raises `ServeError` if the program is missing or prints no address.
    """

    def address(line: str) -> str:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and str(entry.get("url", "")).startswith("https://"):
                return str(entry["url"])
        return ""

    command = ["ngrok", "http", f"127.0.0.1:{port}", "--log", "stdout", "--log-format", "json"]
    return _running(command, address, "See ngrok.com/download.")


BY_NAME: dict[str, Tunnel] = {"cloudflared": cloudflared, "ngrok": ngrok}


@contextlib.contextmanager
def _running(command: list[str], address: Callable[[str], str], where: str) -> Iterator[str]:
    name = command[0]
    program = shutil.which(name)
    if program is None:
        raise ServeError(
            f"The program {name} is not on this machine.",
            f"Install it, or pass the address of your own tunnel as public_url. {where}",
        )
    process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt of a cell must not end it
    )
    output: deque[str] = deque(maxlen=8)
    urls: list[str] = []
    is_known = threading.Event()

    def read() -> None:  # to the end: a full pipe would stop the program
        assert process.stdout is not None  # noqa: S101 - for mypy: never false
        for line in process.stdout:
            output.append(line.strip())
            url = "" if urls else address(line)
            if url:
                urls.append(url)
                is_known.set()
        is_known.set()

    def end() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(STOP_TIMEOUT)
        if process.stdout is not None:
            process.stdout.close()

    reader = threading.Thread(target=read, name=f"kit-{name}", daemon=True)
    reader.start()
    atexit.register(end)
    try:
        in_time = is_known.wait(START_TIMEOUT)
        if not urls:
            state = "has ended" if in_time else f"printed no address within {START_TIMEOUT:.0f} s"
            printed = str(hide("\n".join(output))) or "nothing"
            raise ServeError(f"{name} {state}. It printed:\n{printed}", "Fix that and run this again.")
        yield urls[0].rstrip("/")
    finally:
        atexit.unregister(end)
        end()
