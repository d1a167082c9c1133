"""One of the two processes of an export's proof: it serves the notebook's plugin, or the exported app.

Run by its path, since the exported app's process sees only what the export's requirements lead to. Its first line
of output is JSON: the port and what the plugin is called, or the error that keeps it from serving.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import site
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.auth import Auth
    from kit.notebook.source import Notebook

# `-I -S` leaves only the standard library; the kit and the plugin are imported later, from the folders passed in.


def main(kind: str, *arguments: str) -> None:
    """`notebook PATH NAME`, or `export FOLDER PACKAGES...`: a folder with app.py, and where its packages are."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a cell may print
    _end_with_parent()
    try:
        app, facts = _notebook(*arguments) if kind == "notebook" else _export(*arguments)
        from kit.sockets import listen

        listening = listen("127.0.0.1", 0)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps(_facts(error)), file=out, flush=True)
        sys.exit(1)
    print(json.dumps({"port": listening.getsockname()[1], **facts}), file=out, flush=True)
    import uvicorn

    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, killed or not: then its end of our stdin closes."""
    parent, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)  # a cell may read
    os.close(empty)

    def wait() -> None:
        while os.read(parent, 1):
            pass
        end_group(os.getpid())
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


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
    return plugin, {"variable": variable, "is_plugin": is_plugin, "token": token, **names}


def _token(notebook: Notebook, auth: Auth) -> str:
    """A token of the plugin that is in the environment, "" if there is none. Refuses one that is in the code itself."""
    from kit.auth import NoAuth

    if isinstance(auth, NoAuth) or not auth.has_tokens:
        return ""
    for cell in notebook.exported:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and auth.accepts(node.value):
                raise notebook.refusal(
                    f"{str(cell).capitalize()}, line {node.lineno} has a token of the plugin in it.",
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
