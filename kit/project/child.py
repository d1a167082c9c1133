"""One of the two processes of an export's proof: it serves the notebook's plugin, or the exported app.

Run by its path, since the exported app's process sees only what the export's requirements lead to. Its first line
of output is JSON: the port and what the plugin is called, or the error that keeps it from serving. After that each line
of input is answered by one of output: `report` by what it looked for and reached since, `close` closes it, `modules` by
what it has imported.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import site
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from kit.auth import Auth
    from kit.notebook.source import Notebook

# `-P -S` leaves only the standard library; the kit and the plugin are imported later, from the folders passed in.


def main(kind: str, *arguments: str) -> None:
    """`notebook PATH NAME`, or `export FOLDER PACKAGES...`: a folder with app.py, and where its packages are."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a cell may print
    orders, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)  # a cell may read
    os.close(empty)
    started = threading.Event()
    watch = Watch()
    threading.Thread(target=_obey, args=(orders, out, watch, started), daemon=True).start()
    try:
        app, facts = _notebook(*arguments) if kind == "notebook" else _export(*arguments)
        from kit.sockets import listen

        listening = listen("127.0.0.1", 0)
        watch.port = listening.getsockname()[1]
        facts["port"] = watch.port
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({**_facts(error), "missing": watch.report()["missing"]}), file=out, flush=True)
        sys.exit(1)
    print(json.dumps(facts), file=out, flush=True)
    started.set()
    import uvicorn

    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def _obey(orders: int, out: TextIO, watch: Watch, started: threading.Event) -> None:
    """Answers the process that started this one, and ends with it: then its end of our input closes."""
    waiting = b""
    while part := os.read(orders, 1024):
        *lines, waiting = (waiting + part).split(b"\n")
        for order in lines:
            started.wait()
            watch.is_closed |= order == b"close"
            answer: Any = [*sys.modules] if order == b"modules" else watch.report()
            print(json.dumps(answer), file=out, flush=True)
    end_group(os.getpid())
    os._exit(1)


class Watch:
    """What the process looks for and does not find, and what it connects to; closed, it connects to nothing.

    Once operations that change something are called, nothing must leave the process: what they change elsewhere would
    be real. Raised from an audit hook, which sees the connections of Python's own sockets (docs.python.org, "Audit
    events table").
    """

    def __init__(self) -> None:
        self.port = 0
        self.is_closed = False
        self._noted: dict[str, list[str]] = {"missing": [], "reached": [], "refused": []}
        sys.meta_path.append(self)  # asked after all others
        sys.addaudithook(self._audit)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Of the import system: nothing else has found this module."""
        self._noted["missing"].append(name)

    def report(self) -> dict[str, list[str]]:
        """What was noted since the last report, and the `held` connections, which it has open to others."""
        noted = {key: list(dict.fromkeys(values)) for key, values in self._noted.items()}
        for values in self._noted.values():
            values.clear()
        return {**noted, "held": self._held()}

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
        elif event == "socket.getaddrinfo":
            address = arguments[:2]
        else:
            return
        host, port = (*address, "")[:2] if isinstance(address, tuple) else (address, "")
        host = host.decode() if isinstance(host, bytes) else str(host or "")
        is_here = host in ("127.0.0.1", "::1", "localhost", "")
        # looked up only; a part of itself; Windows makes a loop's own pair of sockets so
        if is_here and (event == "socket.getaddrinfo" or port == self.port or os.name == "nt"):
            return
        place = f"{host}:{port}" if port not in ("", None) else host
        self._noted["refused" if self.is_closed else "reached"].append(place)
        if self.is_closed:
            raise ConnectionRefusedError(f"kit export lets nothing out to {place} while it tries operations")

    def _held(self) -> list[str]:
        """The other ends of its open connections, those of libraries in C too, without those to itself."""
        held = []
        for number in range(3, 256 if os.name != "nt" else 0):
            try:
                with socket.socket(fileno=os.dup(number)) as copy:
                    peer, own = copy.getpeername(), copy.getsockname()
            except OSError:  # no socket, or a listening one
                continue
            ports = {it[1] for it in (peer, own) if isinstance(it, tuple)}
            if peer and self.port not in ports:
                held.append(str(peer[0]) + f":{peer[1]}" if isinstance(peer, tuple) else str(peer))
        return held


def _sockets(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """The paths of the WebSocket routes, those of mounted apps too."""
    from fastapi.routing import iter_route_contexts
    from starlette.routing import Mount, WebSocketRoute

    for context in iter_route_contexts(list(routes)):
        route = context.original_route
        if isinstance(route, WebSocketRoute):
            yield f"{prefix}{context.path}"
        elif isinstance(route, Mount):
            yield from _sockets(route.routes or (), f"{prefix}{route.path}")


def end_group(pid: int) -> None:
    """Kills this process and, if it leads a group, all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    else:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)  # Windows: it ends at once


def _notebook(path: str, name: str) -> tuple[Any, dict[str, Any]]:
    from kit.notebook.loading import plugin_of
    from kit.notebook.source import Notebook
    from kit.plugin.guard import require_protection
    from kit.plugin.memory import in_memory

    notebook = Notebook(path)
    variable, plugin, is_plugin = plugin_of(notebook, name or None, "app")
    require_protection(plugin)
    manifest = plugin.manifest
    names = {"model": manifest.name_for_model, "title": manifest.name_for_human}
    names["memory"] = "; ".join(in_memory(plugin))
    token = _token(notebook, manifest.auth)  # through a pipe, to the process that started this one
    apps = [app for app in (plugin, plugin._wrapped) if app is not None]
    sockets = [path for app in apps for path in _sockets(app.routes)]
    facts = {"variable": variable, "is_plugin": is_plugin, "token": token, "sockets": sockets}
    return plugin, {**facts, **names}


def _token(notebook: Notebook, auth: Auth) -> str:
    """A token of the plugin that is in the environment, "" if there is none. Refuses one that is in the code itself."""
    from kit.auth import NoAuth

    if isinstance(auth, NoAuth) or not auth.has_tokens:
        return ""
    for cell in notebook.exported:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and auth.accepts(node.value):
                # without the first line of the cell, which may be the one
                where = str(notebook.path) if notebook.is_plain else f"Cell {cell.number} of {notebook.path}"
                raise notebook.refusal(
                    f"{where}, line {node.lineno}, has a token of the plugin in it.",
                    "Read it from os.environ: the export must not contain it.",
                    cell=cell,
                )
    parts = (part for value in os.environ.values() for part in (value, *re.split(r"[\s,;]+", value)))
    return next((part for part in parts if part and auth.accepts(part)), "")


def _export(folder: str, *packages: str) -> tuple[Any, dict[str, Any]]:
    sys.path.insert(0, folder)
    for directory in packages:
        site.addsitedir(directory)
    os.chdir(folder)
    import uvicorn  # noqa: F401  a missing package is reported before the port

    from kit.notebook.target import Target

    return Target("app.py").plugin(), {}  # as `kit serve app.py` does


def _facts(error: Exception) -> dict[str, Any]:
    """An error, and its cause: the missing module, file or key."""
    cause = error.__cause__ or error
    return {
        "problem": getattr(error, "problem", f"{type(error).__name__}: {error}"),
        "remedy": getattr(error, "remedy", ""),
        "cell": getattr(error, "cell", None),
        "module": cause.name if isinstance(cause, ImportError) else None,
        "file": str(cause.filename) if isinstance(cause, FileNotFoundError) else None,
        "key": str(cause.args[0]) if isinstance(cause, KeyError) and cause.args else None,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
