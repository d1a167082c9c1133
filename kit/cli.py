"""The `kit` command. Exit status: 0 all well, 1 it did not work (with the reason), 2 wrong usage."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.errors import KitError

if TYPE_CHECKING:
    from kit.installed import InstalledPlugin
    from kit.server import Server

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
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
    port: Port = 0,
) -> None:
    """Start a TODO plugin, install it by its URL, and hold a short conversation with it."""
    from kit.chat import Chat, print_events
    from kit.demo import SENTENCES, make_plugin
    from kit.discovery import install
    from kit.server import serve

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
            _wait(f"The server goes on at {server.url}. Ctrl+C ends it.")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The folder to make: letters, digits, _ and -.")],
) -> None:
    """Make a project of your own: a notebook that is a working plugin, tests, and what CI needs."""
    from kit.project import new as make

    project = make(name)
    print(f"Made {project}\n\nNext:\n  cd {name}\n  pytest\n  kit serve plugin.ipynb")


@app.command()
def lab(
    folder: Annotated[str, typer.Argument(help="Where the tutorial is copied to.")] = "kit-tutorial",
    port: Annotated[int | None, typer.Option(help="JupyterLab's port.", min=1, max=65535)] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on a copy of the tutorial. What is there already stays as it is."""
    from kit.project import copy_tutorial

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


@app.command()
def serve(
    target: Annotated[
        str,
        typer.Argument(help="NOTEBOOK.ipynb, FILE.py or MODULE; with :NAME where there are several plugins."),
    ],
    port: Port = 0,
    host: Host = "127.0.0.1",
    public_url: Annotated[
        str | None, typer.Option(help="Its https address in the world; or cloudflared or ngrok: a tunnel.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Serve anew when the file changes.")] = False,
    workers: Annotated[
        int, typer.Option(help="Processes that serve it on one port.", envvar="WEB_CONCURRENCY", min=1)
    ] = 1,
) -> None:
    """Serve a plugin, or any FastAPI app, from a notebook, a file or a module. SIGTERM loses no request."""
    from kit.server import serve as start
    from kit.targets import Target
    from kit.tunnels import BY_NAME

    source = Target(target)
    public: Any = BY_NAME.get(public_url or "", public_url)
    if workers > 1:
        if reload:
            raise KitError("--reload serves from one process.", "Leave out --workers, or --reload.")
        _serve_workers(target, port, host, public, workers)
        return
    with start(source.plugin(), port, host=host, public_url=public) as server:
        print(f"{server.plugin.manifest.name_for_human} is served at {server.url}")
        print(f"  manifest  {server.manifest_url}\n  spec      {server.spec_url}")
        if server.public_url:
            print("\n  ".join([f"  public    {server.public_url}", *server.notes]))
        if not reload:
            _wait("Ctrl+C ends it.", server)
            return
        print(f"It follows {source.where}. Ctrl+C ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            for news in source.follow(server, threading.Event()):
                print(news, flush=True)


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
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that you changed since.")] = False,
) -> None:
    """Make a server of a notebook, and prove that it answers the same. Status 1 if it does not."""
    from kit.exported import export as make
    from kit.targets import Target

    source = Target(notebook)
    made = make(source.path, folder, name=source.name or None, include=include or (), mcp=mcp, force=force)
    print(made)
    if not made.ok:
        raise typer.Exit(1)


@app.command()
def install(url: Url, token: Token = None, follow_refs: FollowRefs = False) -> None:
    """Install a plugin as ChatGPT did, and show what it found."""
    print(_install(url, token, follow_refs))


@app.command()
def manifest(url: Url, as_json: AsJson = False) -> None:
    """Show the manifest of a plugin."""
    plugin = _install(url, None)
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
    from kit.display import spec_text

    plugin = _install(url, None, follow_refs)
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

    from kit.findings import check as find

    findings = find(_install(url, token), *(host or []))
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
    made = module.render(_install(url, None))
    if not isinstance(made, dict | list) or (made and not isinstance(next(iter(made)), str | dict)):
        raise KitError(f"What {module.TITLE} takes are objects of Python, no files.", f"Use kit.install(url).render({host!r}).")  # fmt: skip
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
    plugin = _install(url, token)
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
def mcp(
    source: Annotated[
        str,
        typer.Argument(help="What `kit install` takes, or what `kit serve` takes.", metavar="URL_OR_FILE"),
    ],
    http: Annotated[bool, typer.Option("--http", help="Serve over HTTP, not on stdin and stdout.")] = False,
    port: Port = 0,
    host: Host = "127.0.0.1",
    config: Annotated[bool, typer.Option("--config", help="Print the entry for mcp.json, and end.")] = False,
    token: Token = None,
) -> None:
    """Serve any plugin as an MCP server, to Claude, Cursor, VS Code and others."""
    from kit import endpoint
    from kit.discovery import install as discover
    from kit.hosts.mcp import import_package
    from kit.server import ServerThread, listen
    from kit.server import serve as start
    from kit.targets import Target, is_target

    def load() -> InstalledPlugin:
        plugin = discover(Target(source).plugin()) if is_target(source) else _install(source, token)
        _tell(plugin)
        return plugin

    if config:
        if http and not port:
            raise KitError("Without --port the server has another address each time.", "Give --port N.")
        with contextlib.redirect_stdout(sys.stderr):
            plugin = load()
        url = f"http://{host}:{port}{endpoint.PATH}" if http else None
        print(json.dumps(endpoint.entry(plugin.name, source, url, bool(token)), indent=2))
        return
    import_package()
    if not http:
        endpoint.serve_stdio(load)
    elif is_target(source):
        with start(Target(source).plugin(), port, host=host) as server:
            _tell(discover(server))
            _tell_address(server.plugin.manifest.name_for_model, server.url)
    else:
        plugin, sock = load(), listen(host, port)
        thread = ServerThread(endpoint.make_app(plugin), sock)
        thread.start()
        _tell_address(plugin.name, f"http://{host}:{sock.getsockname()[1]}")
        thread.stop()


def _tell(plugin: InstalledPlugin) -> None:
    """What is served, for a person: on stderr, since stdout may be the protocol's."""
    names = ", ".join(plugin.tool_names) or "none"
    problems = f"; {len(plugin.problems)} problems (`kit install` lists them)" if plugin.problems else ""
    words = f"kit: {plugin.manifest.name_for_human}, {len(plugin.tool_names)} tools: {names:.300}{problems}"
    print(words, file=sys.stderr, flush=True)


def _tell_address(name: str, base: str) -> None:
    from kit.endpoint import PATH, entry

    text = json.dumps(entry(name, "", base + PATH))
    print(f"kit: MCP at {base}{PATH}\nmcp.json of Claude and Cursor: {text}", file=sys.stderr)
    print("In that of VS Code, mcpServers is named servers. Ctrl+C ends it.", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


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
    from kit.chat import Chat, print_events
    from kit.errors import ChatError

    plugins = [_install(url, token) for url in urls]
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


@app.command()
def chatgpt(
    urls: Annotated[list[str] | None, typer.Argument(help="Plugins to install.", metavar="[URL]...")] = None,
    port: Port = 0,
    model: Annotated[str | None, typer.Option(help="A model's name.", envvar="OPENAI_MODEL")] = None,
    api: Annotated[str, typer.Option(help="responses or chat.")] = "responses",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    token: Token = None,
) -> None:
    """Open the local ChatGPT: install plugins by their URL, talk, and look into every call."""
    import webbrowser

    from kit.server import serve as start
    from kit.targets import Target, is_target
    from kit.web.page import chatgpt as open_page

    with contextlib.ExitStack() as served:
        sources: list[Any] = [
            served.enter_context(start(Target(url).plugin())) if is_target(url) else url for url in urls or []
        ]
        with open_page(*sources, port=port, token=token, model=model, api=api) as page:
            print(f"The local ChatGPT is at\n\n  {page.url}\n", flush=True)
            if browser:
                webbrowser.open(page.url)
            _wait("Ctrl+C ends it.")


@app.command()
def understudy(port: Port = 0, host: Host = "127.0.0.1") -> None:
    """Run the stand-in for a model alone, for any OpenAI client. It needs no key."""
    from kit import understudy as stand_in

    with stand_in.serve(port, host) as running:
        print(f"The understudy ({stand_in.MODEL}) answers at\n\n  {running.base_url}\n")
        print(f"  OPENAI_BASE_URL={running.base_url} OPENAI_API_KEY=none")
        _wait("It is no language model. Ctrl+C ends it.")


def _install(url: str, token: str | None, follow_refs: bool = False) -> InstalledPlugin:
    from kit.discovery import install

    source: Any = url
    if re.search(r"\.(ipynb|py)(:\w+)?$", url) and "://" not in url:
        from kit.targets import Target

        source = Target(url).plugin()
    return install(source, token=token, follow_refs=follow_refs)


def _wait(words: str, server: Server | None = None) -> None:
    """Until Ctrl+C; or until SIGTERM, after which the requests under way are finished."""
    told = threading.Event()
    if server is not None:
        signal.signal(signal.SIGTERM, lambda *_: told.set())
    print(words, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        told.wait()
        if server is not None:
            from kit.settings import from_environment

            server.stop(from_environment().shutdown_timeout)
    print()


def _serve_workers(target: str, port: int, host: str, public: Any, count: int) -> None:
    from kit.server import listen
    from kit.tunnels import checked
    from kit.workers import run

    sock = listen(host, port)
    port = sock.getsockname()[1]
    with contextlib.ExitStack() as tunnel:
        if public:
            public = checked(public if isinstance(public, str) else tunnel.enter_context(public(port)))
            os.environ["PUBLIC_URL"] = public
        address = f"[{host}]" if ":" in host else host
        print(f"{count} workers serve {target} at {public or f'http://{address}:{port}'}", flush=True)
        run(target, sock, count)


def _value(schema: Any, text: str) -> Any:
    """A value of the command line: text where the operation wants text, else JSON."""
    kinds = schema.get("type", "")
    if kinds == "string" or (isinstance(kinds, list) and "string" in kinds):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
