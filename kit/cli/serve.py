"""The commands that serve something: `kit serve`, `mcp`, `understudy`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.options import EnvFile, Host, Port, Token, installed, say, wait
from kit.cli.options import auth as given
from kit.errors import SettingsError
from kit.runner import options

if TYPE_CHECKING:
    from kit.auth import Auth
    from kit.client.installed import InstalledPlugin


def serve(
    target: Annotated[
        str,
        typer.Argument(help="NOTEBOOK.ipynb, FILE.py or MODULE; with :NAME where there are several plugins."),
    ],
    port: Annotated[
        int, typer.Option(help=options.PORT.help, envvar=options.PORT.variable, min=0, max=65535)
    ] = 0,
    host: Host = "127.0.0.1",
    uds: Annotated[str | None, typer.Option(help=options.UDS.help, metavar="PATH")] = None,
    root_path: Annotated[
        str | None, typer.Option(help=options.ROOT_PATH.help, envvar=options.ROOT_PATH.variable)
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Its public https address; or the tunnel cloudflared or ngrok.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Serve the new version when the file changes.")
    ] = False,
    workers: Annotated[
        int, typer.Option(help=options.WORKERS.help, envvar=options.WORKERS.variable, min=1)
    ] = 1,
    env_file: EnvFile = None,
) -> None:
    """Serve a plugin, or any FastAPI app, from a notebook, a file or a module. SIGTERM loses no request."""
    from kit.mcp.endpoint import add_mcp
    from kit.notebook.target import Target
    from kit.plugin.settings import from_environment
    from kit.runner import command as runner
    from kit.server.server import notes
    from kit.server.server import serve as start
    from kit.server.tunnels import BY_NAME

    public: Any = BY_NAME.get(public_url or "", public_url)
    if not reload:
        runner.run(target, port, host, workers, public, add_mcp, notes, uds=uds, root_path=root_path)
        return
    if workers > 1 or uds:
        raise SettingsError(
            "--reload serves from one process, on a port.",
            f"Leave out {'--uds' if uds else '--workers'}, or --reload.",
            setting="--reload",
        )
    if root_path is not None:
        os.environ["ROOT_PATH"] = root_path
    source, stop = Target(target), threading.Event()
    source.require_settings()
    plugin = source.plugin()
    # Before it serves, so that SIGTERM works from the first request on.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with contextlib.suppress(KeyboardInterrupt), start(plugin, port, host=host, public_url=public) as server:
        say(f"{server.plugin.manifest.name_for_human} is served at {server.url}")
        print(f"  manifest  {server.manifest_url}\n  spec      {server.spec_url}")
        if server.public_url:
            print("\n  ".join([f"  public    {server.public_url}", *server.notes]))
        print(f"Changes to {source.where} are served. Press Ctrl+C to stop.", flush=True)
        for message in source.follow(server, stop):
            say(message)
        server.stop(from_environment().shutdown_timeout)


def mcp(
    source: Annotated[
        str,
        typer.Argument(help="What `kit install` takes, or what `kit serve` takes.", metavar="URL_OR_FILE"),
    ],
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP instead of stdin and stdout.")
    ] = False,
    port: Port = 0,
    host: Host = "127.0.0.1",
    config: Annotated[bool, typer.Option("--config", help="Print the entry for mcp.json, and exit.")] = False,
    token: Token = None,
) -> None:
    """Serve any plugin as an MCP server, to Claude, Cursor, VS Code and others."""
    from kit.mcp import endpoint, stdio
    from kit.mcp.server import import_package
    from kit.notebook.target import Target, is_target
    from kit.server.server import serve as start
    from kit.server.thread import ServerThread
    from kit.sockets import listen

    def load() -> InstalledPlugin:
        if is_target(source):  # a module too; it asks for its token as everybody does
            from kit.client.discovery import install

            plugin = install(Target(source).plugin(), auth=given(token, [source]))
        else:
            plugin = installed(source, token)
        _report(plugin)
        return plugin

    if config:
        if http and not port:
            raise SettingsError(
                "Without --port the server has another address each time.", "Add --port N.", setting="--port"
            )
        with contextlib.redirect_stdout(sys.stderr):
            plugin = load()
        url = f"http://{host}:{port}{endpoint.PATH}" if http else None
        auth = plugin.manifest.auth if is_target(source) else None
        print(json.dumps(stdio.entry(plugin.name, source, url, bool(token), auth), indent=2))
        return
    import_package()
    if not http:
        stdio.serve_stdio(load)
    elif is_target(source):
        from kit.client.discovery import install

        with start(Target(source).plugin(), port, host=host) as server:
            _report(install(server))
            manifest = server.plugin.manifest
            _report_address(manifest.name_for_model, server.url, manifest.auth)
    else:
        plugin, sock = load(), listen(host, port)
        thread = ServerThread(endpoint.make_app(plugin), sock)
        thread.start()
        _report_address(plugin.name, f"http://{host}:{sock.getsockname()[1]}")
        thread.stop()


def understudy(port: Port = 0, host: Host = "127.0.0.1") -> None:
    """Run only the understudy, the stand-in for a model, for any OpenAI client. No key needed."""
    from kit import understudy as stand_in

    with stand_in.serve(port, host) as running:
        print(f"The understudy ({stand_in.MODEL}) answers at\n\n  {running.base_url}\n")
        print(f"  OPENAI_BASE_URL={running.base_url} OPENAI_API_KEY=none")
        wait("It is not a language model. Press Ctrl+C to stop it.")


def _report(plugin: InstalledPlugin) -> None:
    """Prints what is served: on stderr, since stdout may carry the protocol."""
    names = ", ".join(plugin.tool_names) or "none"
    problems = f"; {len(plugin.problems)} problems (`kit install` lists them)" if plugin.problems else ""
    summary = f"kit: {plugin.manifest.name_for_human}, {len(plugin.tool_names)} tools: {names:.300}{problems}"
    say(summary, file=sys.stderr)


def _report_address(name: str, base: str, auth: Auth | None = None) -> None:
    from kit.mcp.endpoint import PATH
    from kit.mcp.stdio import entry

    text = json.dumps(entry(name, "", base + PATH, auth=auth))
    say(f"kit: MCP at {base}{PATH}\nmcp.json of Claude and Cursor: {text}", file=sys.stderr)
    print("In VS Code's, mcpServers is called servers. Press Ctrl+C to stop.", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
