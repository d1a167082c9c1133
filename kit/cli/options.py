"""Shared by several commands: arguments and options, installing a plugin, waiting for Ctrl+C."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.errors import SettingsError

if TYPE_CHECKING:
    from kit.client.credentials import Auth
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
    list[str] | None,
    typer.Option(
        help="The plugin's token, sent as its documents say; NAME=TOKEN or URL=TOKEN where there are several.",
        envvar="KIT_TOKEN",
        metavar="[NAME=]TOKEN",
    ),
]
Port = Annotated[int, typer.Option(help="The port; 0 takes any free one.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help="127.0.0.1 for this machine only; 0.0.0.0 for everyone.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the document itself.")]


def auth(tokens: list[str] | None, urls: list[str]) -> Auth | None:
    """What `--token` and KIT_TOKEN give to the plugins at `urls`: a text for the only one, or each its own by name.

    Raises `SettingsError` for a token that several would get.
    """
    from kit.client.credentials import Named

    named, plain = Named(), []
    for text in tokens or []:
        label = next((url for url in urls if text.startswith(f"{url}=")), text.partition("=")[0])
        token = text[len(label) + 1 :]
        if token.strip("="):
            named[label] = token
        else:  # the = at the end of a token belongs to it
            plain.append(text)
    if plain and (len(urls) != 1 or len(plain) > 1):
        raise SettingsError(
            f"Whose is the token? It would go to each of {len(urls)} plugins."
            if len(urls) > 1
            else "A token needs the name of its plugin.",
            "Write NAME=TOKEN or URL=TOKEN, once for each plugin; in KIT_TOKEN with spaces between.",
            setting="--token",
        )
    return plain[0] if plain else named or None


def installed(
    url: str, tokens: Auth | list[str] | None, follow_refs: bool = False, ask: bool = True
) -> InstalledPlugin:
    """The plugin at a `Url`; one in a notebook or a Python file need not be served."""
    from kit.client.discovery import install

    source: Any = url
    if re.search(r"\.(ipynb|py)(:\w+)?$", url) and "://" not in url:
        from kit.notebook.target import Target

        source = Target(url).plugin()
    secret = auth(tokens, [url]) if isinstance(tokens, list) else tokens
    return install(source, auth=secret, follow_refs=follow_refs, ask=ask)


def wait(message: str) -> None:
    """Prints a message and waits for Ctrl+C."""
    print(message, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print()
