"""The commands for an author: `kit new`, `export`, `lab`, `demo`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from typing import Annotated

import typer

from kit.cli.options import Port, Token, wait
from kit.errors import KitError


def new(
    name: Annotated[str, typer.Argument(help="The folder to make: letters, digits, _ and -.")],
) -> None:
    """Make a project of your own: a notebook that is a working plugin, tests, and what CI needs."""
    from kit.project.folder import new as make

    project = make(name)
    print(f"Made {project}\n\nNext:\n  cd {name}\n  pytest\n  kit serve plugin.ipynb")


def export(
    notebook: Annotated[
        str, typer.Argument(help="NOTEBOOK.ipynb; with :NAME where there are several plugins.")
    ],
    folder: Annotated[str, typer.Argument(help="The folder to make, or one that was made so.")],
    include: Annotated[
        list[str] | None, typer.Option(help="A file beside the notebook to take along; may be repeated.")
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="Serve MCP too: it takes the whole kit.")] = False,
    token: Token = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that you changed since.")] = False,
) -> None:
    """Make a server of a notebook, and prove that it answers the same. Status 1 if it does not."""
    from kit.notebook.target import Target
    from kit.project.export import export as make

    source, taken = Target(notebook), include or ()
    made = make(
        source.path, folder, name=source.name or None, include=taken, mcp=mcp, token=token, force=force
    )
    print(made)
    if not made.ok:
        raise typer.Exit(1)


def lab(
    folder: Annotated[str, typer.Argument(help="Where the tutorial is copied to.")] = "kit-tutorial",
    port: Annotated[int | None, typer.Option(help="JupyterLab's port.", min=1, max=65535)] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on a copy of the tutorial. What is there already stays as it is."""
    from kit.project.folder import copy_tutorial

    if importlib.util.find_spec("jupyterlab") is None:
        raise KitError(
            "JupyterLab is not installed.",
            "Install what the tutorial uses: pip install jupyterlab ipykernel langchain langchain-openai sqlmodel",
        )
    place = copy_tutorial(folder)
    print(f"The tutorial is in {place}. Ctrl+C twice ends JupyterLab.", flush=True)
    options = [f"--port={port}"] if port else []
    options += [] if browser else ["--no-browser"]
    # In a container everyone is root; Jupyter would refuse, though it binds this machine alone.
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [sys.executable, "-m", "jupyterlab", "00_start_here.ipynb", *options]
    with contextlib.suppress(KeyboardInterrupt):
        raise typer.Exit(subprocess.run(command, cwd=place).returncode)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
    port: Port = 0,
) -> None:
    """Start a TODO plugin, install it by its URL, and hold a short conversation with it."""
    from kit.chat.conversation import Chat
    from kit.chat.live_reply import print_events
    from kit.client.discovery import install
    from kit.demo import SENTENCES, make_plugin
    from kit.server.server import serve

    with serve(make_plugin(), port) as server:
        print(f"The TODO plugin is served. Its manifest: {server.manifest_url}")
        plugin = install(server.url)
        print(f"Installed by that URL, as ChatGPT did:\n\n{plugin}\n")
        chat = Chat(plugin)
        for sentence in SENTENCES:
            print(f"\nYou: {sentence}")
            print_events(chat.stream(sentence))
        failed = [call for call in server.calls if call.status >= 400]
        print(f"\n{len(server.calls)} requests reached the plugin, {len(failed)} of them failed.")
        if failed:
            raise typer.Exit(1)
        if keep:
            wait(f"The server goes on at {server.url}. Ctrl+C ends it.")
