"""A plugin's file served by a process of its own, in each of the ways to run it in production."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

ROADS = {
    "uvicorn": ["uvicorn", "app:plugin"],
    "uvicorn, asyncio": ["uvicorn", "app:plugin", "--loop", "asyncio", "--http", "h11"],
    "uvicorn, 2 workers": ["uvicorn", "app:plugin", "--workers", "2"],
    "kit": ["kit", "serve", "app.py"],
    "kit, 2 workers": ["kit", "serve", "app.py", "--workers", "2"],
}


class Running:
    """A server in a process of its own. `log` is everything that it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status after that signal."""
        self.process.send_signal(how)
        return self.process.wait(60)


@contextmanager
def running(folder: Path, code: str, *command: str, **variables: str) -> Iterator[Running]:
    """`python -m COMMAND` in a folder with `code` as its app.py, once it answers: at its port, or at the socket of `--uds`."""
    (folder / "app.py").write_text(code)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    environment = {
        key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "LOG_FORMAT")
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", str(port)],
            cwd=folder,
            env={**environment, **variables},
            stdout=output,
            stderr=output,
        )
    server = Running(process, port, log)
    uds = str(folder / command[command.index("--uds") + 1]) if "--uds" in command else None
    try:
        while True:
            try:
                if uds:
                    with socket.socket(socket.AF_UNIX) as probe:
                        probe.connect(uds)
                with httpx2.Client(transport=httpx2.HTTPTransport(uds=uds), timeout=60) as client:
                    client.get(f"{server.url}/health").raise_for_status()
                break
            except (httpx2.TransportError, OSError):
                assert process.poll() is None, server.log
                time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
