"""The commands to talk to a model that uses plugins: `kit chat`, `chatgpt`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kit.cli.options import ClientId, Port, Token, auth, installed, say, wait

MODEL = "A model's name; ollama:NAME, lmstudio:, llamacpp:, vllm: and jan: take one of this machine."


def chat(
    urls: Annotated[list[str], typer.Argument(help="One or more plugins.", metavar="URL...")],
    model: Annotated[str | None, typer.Option(help=MODEL, envvar="OPENAI_MODEL")] = None,
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
    client_id: ClientId = None,
) -> None:
    """Talk to a model that may use the plugins. Enter an empty line or Ctrl+D to quit."""
    from kit.chat.conversation import Chat
    from kit.chat.live_reply import print_events
    from kit.errors import KitError

    given = auth(token, urls, client_id)
    plugins = [installed(url, given) for url in urls]
    conversation = Chat(*plugins, model=model, api=api, confirm=confirm, select=select, search=search)
    tools = [name for plugin in plugins for name in plugin.selected(select)]
    names = ", ".join(tools[:20]) + (f" and {len(tools) - 20:,} more" if len(tools) > 20 else "")
    say(f"It can call: {names}. Enter an empty line to quit.")
    while True:
        try:
            text = input("\nYou: ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not text:
            return
        try:
            reply = print_events(conversation.stream(text))
            say(f"  ({', '.join(filter(None, (reply.model, reply.spent)))})", file=sys.stderr)
        except KitError as error:
            print(f"kit: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("\n  (interrupted; the conversation goes on)")


def chatgpt(
    urls: Annotated[list[str] | None, typer.Argument(help="Plugins to install.", metavar="[URL]...")] = None,
    port: Port = 0,
    model: Annotated[str | None, typer.Option(help=MODEL, envvar="OPENAI_MODEL")] = None,
    api: Annotated[str, typer.Option(help="responses or chat.")] = "responses",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    token: Token = None,
) -> None:
    """Open the local ChatGPT: install plugins by URL, chat, and inspect every call."""
    import webbrowser

    from kit.web.page import chatgpt as open_page

    sources = urls or []
    with open_page(*sources, port=port, auth=auth(token, sources), model=model, api=api) as page:
        print(f"The local ChatGPT is at\n\n  {page.url}\n", flush=True)
        if browser:
            webbrowser.open(page.url)
        wait("Press Ctrl+C to stop it.")
