"""A plugin served like an exported project, compared with FastAPI with the same settings, and with its own floors."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from measures import HERE, Row, _hammer, row

PATH = "/items/3"
CONNECTIONS = 32
UVICORN = ["uvicorn", "--no-access-log", "--log-level", "warning", "--app-dir", str(HERE)]
# Two processes reach at least this share of one's rate, on two cores of which the client takes one.
FLOOR = 0.5


class Started:
    """A server with some workers. `seconds` is the time from its start to the first answer of an operation."""

    def __init__(self, module: list[str], workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", *module, "--port", str(port)]
        command += ["--workers", str(workers)] if workers > 1 else []
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                urllib.request.urlopen(self.url + PATH, timeout=10).read()
                break
            except OSError:
                time.sleep(0.002)
        self.seconds = time.perf_counter() - start
        time.sleep(0.5 * (workers - 1))  # the other workers

    def megabytes(self) -> float:
        """Resident memory of the only worker."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def rate(self) -> float:
        """Requests per second, counted by wrk if it is installed, else by a client in Python."""
        if shutil.which("wrk") is None:
            return asyncio.run(_hammer(self.url, PATH, 1, CONNECTIONS))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d2s", self.url + PATH]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Non-2xx" not in done.stdout, done.stdout
        return float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def both(workers: int = 1) -> Iterator[tuple[Started, Started]]:
    sides = (
        Started([*UVICORN, "--factory", f"servers:{app}"], workers) for app in ("kit_app", "fastapi_app")
    )
    with contextlib.ExitStack() as stack:
        kit, bare = (stack.enter_context(contextlib.closing(side)) for side in sides)
        yield kit, bare


def exported() -> list[Row]:
    """Throughput with 1, 2 and 4 workers, memory and start-up."""
    client = "wrk" if shutil.which("wrk") else "a client in Python"
    rows = []
    for workers in (1, 2, 4):
        with both(workers) as (kit, bare):
            kit.rate(), bare.rate()
            pairs = [_in_turn(number, kit.rate, bare.rate) for number in range(12 if workers == 1 else 6)]
        what = f"uvicorn, {workers} worker{'s' if workers > 1 else ''}, {client} / FastAPI"
        aim = "0.97x or more" if workers == 1 else "-"
        rows.append(row(what, [a for a, _ in pairs], [b for _, b in pairs], aim, "/s", 1))
    starts, memory = [], []
    for _ in range(7):
        with both() as (kit, bare):
            starts.append((kit.seconds, bare.seconds))
            memory.append((kit.megabytes(), bare.megabytes()))
    rows.append(row("uvicorn: start to first answer / FastAPI", *_columns(starts), "-"))
    rows.append(row("uvicorn: memory / FastAPI", *_columns(memory), "-", "MB", 1))
    return rows


def floors() -> list[Row]:
    """Several processes compared with one of the same server: shows a fault of uvicorn's that FastAPI has too."""
    client = "wrk" if shutil.which("wrk") else "a client in Python"
    rows = []
    for what, module in (
        ("kit serve", ["kit", "serve", str(HERE / "app.py")]),
        ("uvicorn app:plugin", [*UVICORN, "app:plugin"]),
    ):
        with contextlib.closing(Started(module, 1)) as one, contextlib.closing(Started(module, 2)) as two:
            one.rate(), two.rate()
            pairs = [_in_turn(number, two.rate, one.rate) for number in range(6)]
        ratio = statistics.median(a / b for a, b in pairs)
        aim = f"{FLOOR}x or more: {'OK' if ratio >= FLOOR else 'BELOW'}"
        rows.append(row(f"{what}, {client}: 2 processes / 1", *_columns(pairs), aim, "/s", 1))
    return rows


def _in_turn(number: int, a: Callable[[], float], b: Callable[[], float]) -> tuple[float, float]:
    """Both, in alternating order: a machine that gets faster favours neither."""
    if number % 2:
        second = b()
        return a(), second
    return a(), b()


def _columns(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [a for a, _ in pairs], [b for _, b in pairs]
