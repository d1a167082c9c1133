"""Shared by several commands: arguments and options, installing a plugin, waiting for Ctrl+C."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from kit.visible import visible

if TYPE_CHECKING:
    from kit.client.installed import InstalledPlugin

Url = Annotated[
    str,
    typer.Argument(
        help="A base URL (localhost:3333), a manifest's or a spec's URL, a file, or a NOTEBOOK.ipynb.",
        metavar="URL",
    ),
]
FollowRefs = Annotated[
    bool, typer.Option("--follow-refs", help="Fetch the other documents that the spec refers to.")
]
Token = Annotated[
    str | None, typer.Option(help="The plugin's token, sent as its manifest says.", envvar="KIT_TOKEN")
]
Port = Annotated[int, typer.Option(help="The port; 0 takes any free one.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help="127.0.0.1 for this machine only; 0.0.0.0 for everyone.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the document itself.")]


def installed(url: str, token: str | None, follow_refs: bool = False) -> InstalledPlugin:
    """The plugin at a `Url`; one in a notebook or a Python file need not be served."""
    from kit.client.discovery import install

    source: Any = url
    if re.search(r"\.(ipynb|py)(:\w+)?$", url) and "://" not in url:
        from kit.notebook.target import Target

        source = Target(url).plugin()
    return install(source, token=token, follow_refs=follow_refs)


def say(value: object, file: TextIO | None = None) -> None:
    """Prints what holds texts of others, of which none acts on the terminal."""
    print(visible(str(value)), file=file, flush=True)


def wait(message: str) -> None:
    """Prints a message and waits for Ctrl+C."""
    print(message, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print()
