"""The commands that measure: `kit eval`, and `kit stubs` for an author's own tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.options import Token, Url, installed


def evaluate(
    url: Url,
    cases: Annotated[str, typer.Argument(help="A .yaml, .json or .csv file of cases.", metavar="CASES")],
    model: Annotated[list[str] | None, typer.Option(help="A model's name; may be repeated.")] = None,
    n: Annotated[int, typer.Option("-n", help="How often each case is asked.", min=1)] = 1,
    dry: Annotated[
        bool, typer.Option("--dry", help="Send no call: the spec's examples are the answers.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="Another version of the plugin, to compare with: the earlier one.", metavar="URL"),
    ] = None,
    save: Annotated[
        list[Path] | None, typer.Option(help="Write the result: .json, .csv, .xml (JUnit); may be repeated.")
    ] = None,
    at_least: Annotated[float, typer.Option(help="The share that must be right.", min=0, max=1)] = 1.0,
    token: Token = None,
) -> None:
    """Ask a model every case, and say how often it called what it should. Status 1 for less than --at-least."""
    from kit.evals.compare import compare
    from kit.evals.run import evaluate as run

    plugin = installed(url, token)
    result = run(plugin, cases, models=model, n=n, dry=dry)
    print(result)
    for file in save or []:
        result.save(file)
    if against is not None:
        before = run(installed(against, token), cases, models=model, n=n, dry=dry)
        print(f"\n{compare(before, result)}")
    if result.accuracy < at_least:
        sys.exit(1)


def cases(
    url: Url,
    file: Annotated[
        Path | None, typer.Argument(help="Where to write them; without it they are printed.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 10,
    token: Token = None,
) -> None:
    """Draft cases for a plugin: a model writes them or, without one, a template does. Correct them."""
    from kit.evals.drafts import cases as draft

    drafted = draft(installed(url, token), n)
    print(drafted.save(file) if file else drafted)


def stubs(
    url: Url,
    file: Annotated[
        Path | None, typer.Argument(help="The .pyi file; without it the text is printed.")
    ] = None,
    token: Token = None,
) -> None:
    """Write the operations of a plugin as a typed class, for an editor: `todo: Todo = plugin.operations`."""
    from kit.client.operations import stub

    text = stub(installed(url, token))
    if file:
        file.write_text(text, encoding="utf-8")
        print(file)
    else:
        print(text, end="")
