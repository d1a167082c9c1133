"""The commands for an author: `kit new`, `export`, `lab`, `demo`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from typing import Annotated

import typer

from kit.cli.options import Port, Token, auth, wait
from kit.errors import KitError


def new(
    name: Annotated[
        str,
        typer.Argument(
            help="The folder to create: letters, digits, _ and -; or . for the current one, such as an empty clone."
        ),
    ],
) -> None:
    """Create a project: a notebook that is a working plugin, tests, and a CI workflow."""
    from kit.project.folder import new as create
    from kit.project.scratch import unwind_when_ended
    from kit.project.steps import next_steps

    unwind_when_ended()
    project = create(name)
    print("\n".join([f"Created {project}", *project.notes, "", "Next:"]))
    print("\n".join(f"  {line}" for line in next_steps(project.path)))


def export(
    notebook: Annotated[
        str,
        typer.Argument(help="NOTEBOOK.ipynb, FILE.py or MODULE; with :NAME where there are several plugins."),
    ],
    folder: Annotated[str, typer.Argument(help="The folder to create, or one from an earlier export.")],
    include: Annotated[
        list[str] | None, typer.Option(help="A file beside the notebook to include; may be repeated.")
    ] = None,
    places: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="PLACES",
            help="Where it is to run, separated by commas: container, kubernetes, lambda (these by default), cloudrun, fly, "
            "render, spaces, azure, modal, vercel, systemd.",
        ),
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="Serve MCP too: this needs the whole kit.")] = False,
    token: Token = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite files that you have changed, and another plugin's export."),
    ] = False,
    start_timeout: Annotated[
        float | None, typer.Option(help="Seconds that the plugin may take to start; else 60.", min=1)
    ] = None,
) -> None:
    """Export a notebook as a server, and prove that it answers the same. Status 1 if it does not."""
    from kit.client.credentials import Named
    from kit.notebook.target import Target
    from kit.project.export import export as run
    from kit.project.scratch import unwind_when_ended

    unwind_when_ended()  # a CI job that is cancelled: what the export has started and written ends with it
    source, files = Target(notebook), include or ()
    given = auth(token, [notebook])
    if isinstance(given, Named):
        given = given.of(source.plugin().manifest.name_for_model, notebook)
    secret = given if isinstance(given, str) else None
    report = run(
        notebook,
        folder,
        include=files,
        for_=places,
        mcp=mcp,
        token=secret,
        force=force,
        start_timeout=start_timeout,
    )
    print(report)
    if not report.ok:
        raise typer.Exit(1)


def lab(
    folder: Annotated[str, typer.Argument(help="The folder to copy the tutorial into.")] = "kit-tutorial",
    port: Annotated[int | None, typer.Option(help="JupyterLab's port.", min=1, max=65535)] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on a copy of the tutorial. Files that exist are left unchanged."""
    from kit.project.folder import copy_tutorial

    if importlib.util.find_spec("jupyterlab") is None:
        raise KitError(
            "JupyterLab is not installed.",
            "Install the extra `tutorial`, in the clone: python3 -m pip --python .venv install -c constraints.txt -e '.[tutorial]'",
        )
    path = copy_tutorial(folder)
    print(f"The tutorial is in {path}. Press Ctrl+C twice to stop JupyterLab.", flush=True)
    options = [f"--port={port}"] if port else []
    options += [] if browser else ["--no-browser"]
    # In a container everyone is root, and Jupyter would refuse, though it listens on this machine only.
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    # the address that it prints too, for a browser on another machine
    options += ["--LabApp.default_url=/lab/tree/00_start_here.ipynb"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with contextlib.suppress(KeyboardInterrupt):
        raise typer.Exit(subprocess.run(command, cwd=path).returncode)  # noqa: S603 - a list of arguments, no shell


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
    port: Port = 0,
) -> None:
    """Serve a TODO plugin, install it by its URL, and have a short conversation with it."""
    from kit.chat.conversation import Chat
    from kit.chat.live_reply import print_events
    from kit.client.discovery import install
    from kit.demo import SENTENCES, make_plugin
    from kit.server.server import serve

    with serve(make_plugin(), port) as server:
        print(f"The TODO plugin is served. Its manifest: {server.manifest_url}")
        plugin = install(server.url)
        print(f"Installed from that URL, as ChatGPT did:\n\n{plugin}\n")
        chat = Chat(plugin)
        for sentence in SENTENCES:
            print(f"\nYou: {sentence}")
            print_events(chat.stream(sentence))
        failed = [call for call in server.calls if call.status >= 400]
        print(f"\n{len(server.calls)} requests reached the plugin; {len(failed)} failed.")
        if failed:
            raise typer.Exit(1)
        if keep:
            wait(f"The server keeps running at {server.url}. Press Ctrl+C to stop it.")
