"""The `kit` command. Exit status: 0 all well, 1 it did not work (with the reason), 2 wrong usage."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.documents import read_json
from kit.errors import KitError

if TYPE_CHECKING:
    from kit.installed import InstalledPlugin

app = typer.Typer(
    name="kit",
    help="Write an AI plugin in a notebook, serve it, and let a model use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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
    str | None, typer.Option(help="Goes into Authorization, as the manifest says.", envvar="KIT_TOKEN")
]
Port = Annotated[int, typer.Option(help="0 takes any free port.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; 0.0.0.0 is everybody.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the document itself.")]


def main() -> None:
    """Runs the command; a `KitError` becomes its message and status 1."""
    try:
        app()
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The folder to make: letters, digits, _ and -.")],
) -> None:
    """Make a project of your own: a notebook that is a working plugin, tests, and what CI needs."""
    from kit.project import new as make

    project = make(name)
    print(f"Made {project}\n\nNext:\n  cd {name}\n  pytest\n  kit serve plugin.ipynb")


@app.command()
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
    from kit.exporting import export as make
    from kit.targets import Target

    source, taken = Target(notebook), include or ()
    made = make(
        source.path, folder, name=source.name or None, include=taken, mcp=mcp, token=token, force=force
    )
    print(made)
    if not made.ok:
        raise typer.Exit(1)


@app.command()
def install(url: Url, token: Token = None, follow_refs: FollowRefs = False) -> None:
    """Install a plugin as ChatGPT did, and show what it found."""
    print(installed(url, token, follow_refs))


@app.command()
def manifest(url: Url, as_json: AsJson = False) -> None:
    """Show the manifest of a plugin."""
    plugin = installed(url, None)
    print(json.dumps(plugin.manifest.render(plugin.base_url), indent=2) if as_json else plugin.manifest)


@app.command()
def spec(
    url: Url,
    search: Annotated[
        str | None, typer.Argument(help="Only these: a name, tag, method, glob (/users/*) or sentence.")
    ] = None,
    as_json: AsJson = False,
    follow_refs: FollowRefs = False,
) -> None:
    """Show the operations of a plugin: as a list, or by subject where they are many."""
    from kit.spec_views import spec_text

    plugin = installed(url, None, follow_refs)
    if as_json:
        print(json.dumps(plugin.spec.document, indent=2, default=str))
    elif search is None:
        print(plugin.spec)
    else:
        wanted = plugin.selected(search)
        print(spec_text(plugin.spec, {name: tool.operation for name, tool in wanted.items()}))


@app.command()
def check(
    url: Url,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Only this host (chatgpt, actions, copilot, ...); may be repeated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning gives status 1 too.")] = False,
    as_json: AsJson = False,
    token: Token = None,
) -> None:
    """Hold a plugin against the documented rules of every host. Status 1 if one has an error."""
    from dataclasses import asdict

    from kit.checking import check as find

    findings = find(installed(url, token), *(host or []))
    print(json.dumps([asdict(it) for it in findings], indent=2, ensure_ascii=False) if as_json else findings)
    if not findings.ok or (strict and findings):
        raise typer.Exit(1)


@app.command()
def render(
    host: Annotated[str, typer.Argument(help="chatgpt, actions, copilot, openai, agent_plugin or mcp.")],
    url: Url,
    out: Annotated[str | None, typer.Option(help="The folder to write into, instead of printing.")] = None,
) -> None:
    """Write what a host needs of a plugin: its manifest, its OpenAPI document, its tools."""
    from pathlib import Path

    from kit import hosts

    module = hosts.find(host)
    if not module.FILE:
        raise KitError(f"What {module.TITLE} takes are objects of Python, not files.", f"Use kit.render(url, {host!r}).")  # fmt: skip
    made = module.render(installed(url, None))
    files = made if isinstance(made, dict) and "plugin.json" in made else {module.FILE: made}
    if out is None:
        print(json.dumps(made, indent=2, ensure_ascii=False))
        return
    for name in files:
        file = Path(out, name)
        if file.exists():
            raise KitError(
                f"{file} is there already.", "Give another folder with --out, or take it away first."
            )
    for name, content in files.items():
        file = Path(out, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        said = (
            content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        )
        file.write_text(said, encoding="utf-8")
        print(f"Wrote {file}")


@app.command()
def call(
    url: Url,
    operation: Annotated[str, typer.Argument(help="The operation's name.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE pairs; a value may be JSON.", metavar="[NAME=VALUE]..."),
    ] = None,
    token: Token = None,
) -> None:
    """Call one operation and print its answer."""
    plugin = installed(url, token)
    tool = plugin.tool(operation)
    given: dict[str, Any] = {}
    for pair in arguments or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        given[name] = _value(tool.arguments[name].schema if name in tool.arguments else {}, value)
    result = plugin.call(operation, given)
    print(
        result.data if isinstance(result.data, str) else json.dumps(result.data, indent=2, ensure_ascii=False)
    )
    if not result.ok:
        status = f"status {result.status}" if result.status is not None else "no answer"
        print(f"kit: {operation} did not work: {status}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def chat(
    urls: Annotated[list[str], typer.Argument(help="One or more plugins.", metavar="URL...")],
    model: Annotated[str | None, typer.Option(help="A model's name.", envvar="OPENAI_MODEL")] = None,
    api: Annotated[str, typer.Option(help="responses or chat.")] = "responses",
    select: Annotated[
        str | None, typer.Option(help="Only these tools: a name, tag, method, glob or sentence.")
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Let the model look for the tools it needs (tool_search).")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Ask before calls that may change something.")
    ] = False,
    token: Token = None,
) -> None:
    """Talk to a model that may use the plugins. An empty line or Ctrl+D ends it."""
    from kit.chat import Chat
    from kit.errors import ChatError
    from kit.live_reply import print_events

    plugins = [installed(url, token) for url in urls]
    conversation = Chat(*plugins, model=model, api=api, confirm=confirm, select=select, search=search)
    found = [name for plugin in plugins for name in plugin.selected(select)]
    names = ", ".join(found[:20]) + (f" and {len(found) - 20:,} more" if len(found) > 20 else "")
    print(f"It can call: {names}. An empty line ends the conversation.")
    while True:
        try:
            text = input("\nYou: ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not text:
            return
        try:
            print_events(conversation.stream(text))
        except ChatError as error:
            print(f"kit: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("\n  (interrupted; the conversation goes on)")


def installed(url: str, token: str | None, follow_refs: bool = False) -> InstalledPlugin:
    from kit.discovery import install

    source: Any = url
    if re.search(r"\.(ipynb|py)(:\w+)?$", url) and "://" not in url:
        from kit.targets import Target

        source = Target(url).plugin()
    return install(source, token=token, follow_refs=follow_refs)


def _value(schema: Any, text: str) -> Any:
    """A value of the command line: text where the operation wants text, else JSON."""
    kinds = schema.get("type", "")
    if kinds == "string" or (isinstance(kinds, list) and "string" in kinds):
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


import kit.serving  # noqa: E402, F401  # the commands that go on: they need what is above
