"""The command `kit connect`."""

from __future__ import annotations

from typing import Annotated

import typer

from kit.cli.options import Token, say
from kit.cli.options import auth as given


def connect(
    host: Annotated[
        str,
        typer.Argument(
            help="codex, claude, gemini, open-webui, librechat, vscode, cursor, goose or lmstudio.",
            metavar="HOST",
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            help="What `kit install` takes, or a NOTEBOOK.ipynb or FILE.py.", metavar="URL_OR_FILE"
        ),
    ],
    write: Annotated[
        bool, typer.Option("--write", help="Write it, then ask the host whether it is connected.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take it out again, and nothing else.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over another entry of that name.")
    ] = False,
    project: Annotated[bool, typer.Option("--project", help="For the current folder only.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Its name in the host; the plugin's own by default.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Where the host is: Open WebUI's address, or its file.")
    ] = None,
    token: Token = None,
) -> None:
    """Connect a plugin to a host on this machine: shows what is written, writes it, asks the host. Status 1 if it is not connected."""
    from kit.connections.connect import connect as run

    connection = run(
        source,
        host,
        write=write,
        undo=undo,
        replace=replace,
        project=project,
        name=name,
        at=at,
        auth=given(token, [source]),
    )
    say(connection)
    if write and connection.connected is False:
        raise typer.Exit(1)
