"""The `kit` command: the kit's functions for a shell.

It prints text or JSON and exits with status 0 for success, 1 for an error (with the reason), 2 for wrong usage. A
command imports what it needs when it runs, so that `kit --help` is fast.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from kit.cli import author, connect, evals, plugins, serve, talk
from kit.errors import KitError

# in the order of `kit --help`: that in which a plugin is made and used
COMMANDS = (
    author.new,
    author.export,
    plugins.install,
    plugins.manifest,
    plugins.spec,
    plugins.check,
    plugins.render,
    plugins.call,
    talk.chat,
    evals.evaluate,
    evals.cases,
    evals.stubs,
    author.demo,
    author.lab,
    serve.serve,
    serve.mcp,
    connect.connect,
    talk.chatgpt,
    serve.understudy,
)

_NAMES: dict[Callable[..., None], str] = {evals.evaluate: "eval"}  # a builtin's name is none for a function


def main() -> None:
    """Runs the command; a `KitError` becomes its message and status 1."""
    app = typer.Typer(
        name="kit",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for command in COMMANDS:
        app.command(_NAMES.get(command))(command)
    # A terminal that has not every character, or input that is not its encoding, ends no command with a traceback.
    for stream, errors in (
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
        (sys.stdin, "replace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    try:
        app()
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        sys.exit(1)


def _version(is_asked: bool) -> None:
    if is_asked:
        from kit import __version__

        print(f"kit {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the kit's version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Write an AI plugin in a notebook, serve it, and let a model use it."""
