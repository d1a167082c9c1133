"""Shared by several commands: arguments and options, installing a plugin, waiting for Ctrl+C."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from kit.errors import SettingsError
from kit.runner import options
from kit.visible import visible

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
ClientId = Annotated[
    list[str] | None,
    typer.Option(
        help="Sign in by OAuth in the browser, as this client; its secret is KIT_CLIENT_SECRET, or asked for.",
        envvar="KIT_CLIENT_ID",
        metavar="[NAME=]ID",
    ),
]
Port = Annotated[int, typer.Option(help="The port; 0 takes any free one.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help=options.HOST.help)]


def _loaded(path: str | None) -> str | None:
    if path:
        from kit.notebook.environment import load_file

        load_file(path)
    return path


EnvFile = Annotated[
    str | None,
    typer.Option(
        help="A file of lines NAME=VALUE, such as .env. The environment wins over it.",
        metavar="FILE",
        callback=_loaded,
        is_eager=True,  # the defaults of other options are variables too
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the document itself.")]


def auth(tokens: list[str] | None, urls: list[str], client_ids: list[str] | None = None) -> Auth | None:
    """What `--token` and `--client-id` give to the plugins at `urls`: the only one's, or each its own by name.

    The secret of a client id is read from KIT_CLIENT_SECRET, or asked for: a command line is seen by others.
    Raises `SettingsError` for one that several would get.
    """
    from kit.client.credentials import Named
    from kit.client.signin import SignIn

    named, plain = _by_name(tokens, urls, "--token")
    ids, plain_id = _by_name(client_ids, urls, "--client-id")
    secret = os.environ.get("KIT_CLIENT_SECRET", "")
    if (ids or plain_id) and not secret and sys.stdin is not None and sys.stdin.isatty():
        secret = getpass("The client secret (not shown; Enter for none): ").strip()
    if plain_id:
        return SignIn(plain_id, secret)
    return plain or Named({**named, **{label: SignIn(id, secret) for label, id in ids.items()}}) or None


def _by_name(texts: list[str] | None, urls: list[str], option: str) -> tuple[dict[str, str], str]:
    """The values of NAME=VALUE by their names, and the one that has no name."""
    named, plain = {}, []
    for text in texts or []:
        label = next((url for url in urls if text.startswith(f"{url}=")), text.partition("=")[0])
        value = text[len(label) + 1 :]
        if value.strip("="):
            named[label] = value
        else:  # the = at the end of a token belongs to it
            plain.append(text)
    if plain and (len(urls) != 1 or len(plain) > 1):
        raise SettingsError(
            f"Whose is the value of {option}? There are {len(plain)} without a name, and {len(urls)} plugins.",
            f"Write {option} NAME=VALUE or URL=VALUE, once for each plugin; in its variable with spaces between.",
            setting=option,
        )
    return named, plain[0] if plain else ""


def installed(
    url: str,
    tokens: Auth | list[str] | None,
    follow_refs: bool = False,
    ask: bool = True,
    client_ids: list[str] | None = None,
) -> InstalledPlugin:
    """The plugin at a `Url`; one in a notebook or a Python file need not be served."""
    from kit.client.discovery import install
    from kit.notebook.target import Target, is_target

    source: Any = Target(url).plugin() if is_target(url) else url
    secret = auth(tokens, [url], client_ids) if tokens is None or isinstance(tokens, list) else tokens
    return install(source, auth=secret, follow_refs=follow_refs, ask=ask)


def say(value: object, file: TextIO | None = None) -> None:
    """Prints what holds texts of others, of which none acts on the terminal."""
    print(visible(str(value)), file=file, flush=True)


def wait(message: str) -> None:
    """Prints a message and waits for Ctrl+C."""
    print(message, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print()
