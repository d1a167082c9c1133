"""The `kit` command: each of the kit's verbs for a shell.

It takes what a person types, and gives text or JSON and an exit status: 0 all well, 1 it did not work (with the
reason), 2 wrong usage. A command imports what it needs when it runs, so that `kit --help` costs little.
"""

from __future__ import annotations

import sys

import typer

from kit.cli import author, plugins, serve, talk
from kit.errors import KitError

# in the order in which a plugin is made and used; `kit --help` has it
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
    author.demo,
    author.lab,
    serve.serve,
    serve.mcp,
    talk.chatgpt,
    serve.understudy,
)


def main() -> None:
    """Runs the command; a `KitError` becomes its message and status 1."""
    app = typer.Typer(
        name="kit",
        help="Write an AI plugin in a notebook, serve it, and let a model use it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for command in COMMANDS:
        app.command()(command)
    try:
        app()
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        sys.exit(1)
