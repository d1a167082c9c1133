"""The commands that go on until they are ended: `kit demo`, `lab`, `serve`, `mcp`, `chatgpt`, `understudy`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli import Host, Port, Token, app, installed
from kit.errors import KitError, SettingsError

if TYPE_CHECKING:
    from kit.installed import InstalledPlugin


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
    port: Port = 0,
) -> None:
    """Start a TODO plugin, install it by its URL, and hold a short conversation with it."""
    from kit.chat import Chat
    from kit.demo import SENTENCES, make_plugin
    from kit.discovery import install
    from kit.live_reply import print_events
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
    from kit import runner
    from kit.server import serve as start
    from kit.settings import from_environment
    from kit.targets import Target
    from kit.tunnels import BY_NAME

    public: Any = BY_NAME.get(public_url or "", public_url)
    if not reload:
        runner.run(target, port, host, workers, public)
        return
    if workers > 1:
        raise SettingsError(
            "--reload serves from one process.", "Leave out --workers, or --reload.", setting="--reload"
        )
    source, told = Target(target), threading.Event()
    plugin = source.plugin()
    # Before it serves: whoever can ask it can also end it.
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    with (
        contextlib.suppress(KeyboardInterrupt),
        start(plugin, port, host=host, public_url=public) as server,
    ):
        print(f"{server.plugin.manifest.name_for_human} is served at {server.url}")
        print(f"  manifest  {server.manifest_url}\n  spec      {server.spec_url}")
        if server.public_url:
            print("\n  ".join([f"  public    {server.public_url}", *server.notes]))
        print(f"It follows {source.where}. Ctrl+C ends it.", flush=True)
        for news in source.follow(server, told):
            print(news, flush=True)
        server.stop(from_environment().shutdown_timeout)


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
    from kit.mcp_server import import_package
    from kit.server import ServerThread
    from kit.server import serve as start
    from kit.sockets import listen
    from kit.targets import Target, is_target

    def load() -> InstalledPlugin:
        plugin = discover(Target(source).plugin()) if is_target(source) else installed(source, token)
        _tell(plugin)
        return plugin

    if config:
        if http and not port:
            raise SettingsError(
                "Without --port the server has another address each time.", "Give --port N.", setting="--port"
            )
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


def _wait(words: str) -> None:
    """Until Ctrl+C."""
    print(words, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print()
