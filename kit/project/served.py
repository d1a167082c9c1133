"""An exported project, run here as it would be where it is deployed: by `kit serve`, or by Lambda's handler."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from kit.errors import ExportError
from kit.markup import box, code, escape, link

START = 60.0  # seconds until it answers
END = 50.0  # seconds that it has to finish what it has begun: more than any operation may take
# What AWS sends for a request to a function's URL (docs.aws.amazon.com, "Invoking Lambda function URLs")
_INVOKE = """
import json, sys, lambda_handler

print(json.dumps(lambda_handler.handler(json.load(sys.stdin), None)))
"""


class ExportedServer:
    """`kit serve app.py` in processes of its own, until `.stop()` or the end of a `with` block.

    Raises `ExportError`, with what it wrote, if it does not answer within a minute.
    """

    def __init__(self, folder: Path, workers: int = 1, port: int = 0) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "kit", "serve", "app.py"]
        command += ["--port", str(port), "--workers", str(workers)]
        descriptor, name = tempfile.mkstemp(prefix="kit-served-")
        self._log = Path(name)
        with open(descriptor, "w") as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)  # noqa: S603 - a list of arguments, no shell
        self.url = ""  # where programs on this machine reach it, without a trailing slash
        self._wait()

    @property
    def workers(self) -> list[int]:
        """The ids of the processes that answer."""
        import psutil  # comes with ipykernel

        found = []
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.Error):  # it has died
                if "spawn_main" in " ".join(child.cmdline()):  # what watches over shared locks is no worker
                    found.append(child.pid)
        return found or [self._process.pid]

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """SIGTERM, as a platform sends it: what has begun is answered. A second call does nothing."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.unlink(missing_ok=True)

    def _wait(self) -> None:
        end = time.monotonic() + START
        while time.monotonic() < end and self.is_running:
            try:
                words = self._log.read_text(encoding="utf-8").split()
                if url := next((word for word in words if word.startswith("http://")), ""):
                    urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 - an address of ours
                    self.url = url
                    return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)
        wrote = self._log.read_text(encoding="utf-8").strip()
        self.stop()
        raise ExportError(f"{self.folder} is not served:\n{wrote}", "Fix what its output says.")

    def __enter__(self) -> ExportedServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if not self.is_running:
            return f"{self.folder.as_posix()} was served, and has stopped"
        count = len(self.workers)
        return (
            f"{self.folder.as_posix()} is served at {self.url} by {count} process{'' if count == 1 else 'es'}"
        )

    def _repr_html_(self) -> str:
        text = repr(self)
        where = self.url if self.is_running else ""
        return box(escape(text).replace(escape(where), link(where)) if where else escape(text))


class LambdaAnswer:
    """What `lambda_handler.handler` returned. `seconds` are those of the whole process: a cold start."""

    def __init__(self, data: dict[str, Any], seconds: float) -> None:
        self.status = int(data["statusCode"])
        self.body = str(data.get("body", ""))
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:200]}{'…' if len(self.body) > 200 else ''}"

    def _repr_html_(self) -> str:
        return box(f"{self.status} {code(self.body[:200])}{'…' if len(self.body) > 200 else ''}")


def invoke(folder: Path, method: str, path: str) -> LambdaAnswer:
    """Calls `lambda_handler.py` of an export as Lambda does for a request to the function's URL, in a process of its own."""
    http = {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
    context = {"domainName": "abc.lambda-url.on.aws", "stage": "$default", "http": http}
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "requestContext": context,
        "headers": {},
    }
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
        [sys.executable, "-c", _INVOKE],
        cwd=folder,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    if done.returncode:
        raise ExportError(
            f"lambda_handler.py of {folder} fails: {done.stderr.strip().splitlines()[-1:] or ''}",
            "Lambda would answer 502.",
        )
    return LambdaAnswer(json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start)
