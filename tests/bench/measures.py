"""The measurements. The kit and its peer take turns, so that a slower machine slows both."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = tuple[str, str, str, str, str]

for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
    os.environ.pop(name, None)


def row(
    what: str, kit: list[float], peer: list[float], aim: str, unit: str = "ms", factor: float = 1000
) -> Row:
    """Medians of both, and the median of the ratios of neighbours."""
    ratio = statistics.median(a / b for a, b in zip(kit, peer, strict=True))
    a, b = statistics.median(kit) * factor, statistics.median(peer) * factor
    return (what, f"{a:,.1f} {unit}", f"{b:,.1f} {unit}", f"{ratio:.2f}x", aim)


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def imports() -> list[Row]:
    """Whole processes: both include the interpreter's own start."""

    def run(module: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))

    run("kit"), run("fastapi")
    pairs = [(run("kit"), run("fastapi")) for _ in range(9)]
    plugin = [(run("kit.plugin.app"), run("fastapi")) for _ in range(9)]
    return [
        row("import kit / import fastapi", [a for a, _ in pairs], [b for _, b in pairs], "1.15x at most"),
        row("the same with kit.Plugin used", [a for a, _ in plugin], [b for _, b in plugin], "-"),
    ]


def launches() -> list[Row]:
    """From the call to the first answer of status 200, and from stop to the end."""
    import httpx2

    import kit
    from kit.demo import make_plugin

    client = httpx2.Client()
    logging.getLogger("httpx").setLevel(logging.ERROR)
    plugin = make_plugin()

    def ours() -> tuple[float, float]:
        start = time.perf_counter()
        server = kit.serve(plugin)
        assert client.get(server.manifest_url).status_code == 200
        middle = time.perf_counter()
        server.stop()
        return middle - start, time.perf_counter() - middle

    ours()
    if importlib.util.find_spec("gradio") is None:
        runs = [ours() for _ in range(20)]
        first, stop = (statistics.median(run[i] for run in runs) * 1000 for i in (0, 1))
        return [
            ("serve to first 200 / gradio launch", f"{first:.1f} ms", "not installed", "-", "10 ms"),
            ("stop / gradio close", f"{stop:.1f} ms", "not installed", "-", "150 ms"),
        ]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    def theirs() -> tuple[float, float]:
        demo = gradio.Interface(lambda text: text, "text", "text")
        start = time.perf_counter()
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
        assert client.get(url).status_code == 200
        middle = time.perf_counter()
        demo.close(verbose=False)
        return middle - start, time.perf_counter() - middle

    theirs()
    pairs = [(ours(), theirs()) for _ in range(11)]
    return [
        row(
            "serve to first 200 / gradio launch", [a[0] for a, _ in pairs], [b[0] for _, b in pairs], "10 ms"
        ),
        row("stop / gradio close", [a[1] for a, _ in pairs], [b[1] for _, b in pairs], "150 ms"),
    ]


# -- servers in processes of their own ----------------------------------------------


@contextlib.contextmanager
def process(kind: str) -> Iterator[str]:
    """One of the servers of `servers.py`; gives its base URL."""
    running = subprocess.Popen(
        [sys.executable, str(HERE / "servers.py"), kind], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
    finally:
        running.terminate()
        running.wait()


async def _hammer(url: str, path: str, seconds: float, connections: int = 8) -> float:
    """Requests per second over keep-alive connections."""
    host, port = url.removeprefix("http://").split(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    end = time.perf_counter() + seconds
    count = 0

    async def one() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return count / seconds


def throughput() -> list[Row]:
    """One core for the server, one for the client; each pair one after the other."""
    rows = []
    documents = {"manifest": "/.well-known/ai-plugin.json", "spec": "/.well-known/openapi.json"}
    for size in ("", "-many"):
        with process(f"kit{size}") as kit, process(f"fastapi{size}") as bare:

            def rates(ours: str, theirs: str, rounds: int) -> tuple[list[float], list[float]]:
                a, b = [], []
                for _ in range(rounds):
                    a.append(asyncio.run(_hammer(kit, ours, 0.7)))
                    b.append(asyncio.run(_hammer(bare, theirs, 0.7)))
                return a[1:], b[1:]

            if not size:
                rows.append(
                    row(
                        "an operation / bare FastAPI",
                        *rates("/items/3", "/items/3", 25),
                        "0.97x or more",
                        "/s",
                        1,
                    )
                )
            for name, path in documents.items():
                what = f"{name} / FastAPI's /openapi.json, {30 if size else 3} operations"
                rows.append(row(what, *rates(path, "/openapi.json", 5), "3x", "/s", 1))
    return rows


def turns() -> list[Row]:
    """One turn with one call, against the understudy and a plugin in processes of their own."""
    import openai

    import kit

    ask = "show the todos of sam"
    with process("understudy") as understudy, process("todo") as todo:
        base_url = f"{understudy}/v1"
        plugin = kit.install(todo)
        tools = plugin.tools()
        client = openai.AsyncOpenAI(base_url=base_url, api_key="none")

        def ours() -> None:
            assert kit.Chat(plugin, client=client, model="m", show=False)(ask).calls[0].status == 200

        peers: dict[str, Callable[[], None]] = {
            "hand-written loop": _hand_written(base_url, todo, tools, ask)
        }
        if importlib.util.find_spec("agents"):
            peers["openai-agents"] = _agents(base_url, todo, tools, ask)
        if importlib.util.find_spec("langchain"):
            peers["LangChain create_agent"] = _langchain(base_url, todo, tools, ask)
        rows = []
        for name, theirs in peers.items():
            ours(), theirs(), ours(), theirs()
            pairs = [(timed(ours), timed(theirs)) for _ in range(25)]
            aim = "1.25x at most" if name.startswith("hand") else "-"
            rows.append(
                row(f"a chat turn with a call / {name}", [a for a, _ in pairs], [b for _, b in pairs], aim)
            )
        return rows


def _hand_written(base_url: str, todo: str, tools: list[dict[str, Any]], ask: str) -> Callable[[], None]:
    """The loop without the kit: no streaming, no checks, one known operation."""
    import httpx2
    import openai

    client = openai.OpenAI(base_url=base_url, api_key="none")
    http = httpx2.Client(base_url=todo)

    def run() -> None:
        items: list[Any] = [{"role": "user", "content": ask}]
        while True:
            response = client.responses.create(model="m", input=items, tools=tools)  # type: ignore[call-overload]
            items += [item.to_dict(exclude_none=True) for item in response.output]
            calls = [item for item in response.output if item.type == "function_call"]
            if not calls:
                return
            for call in calls:
                answer = http.get(f"/users/{json.loads(call.arguments)['username']}/todos")
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": answer.text})

    return run


def _agents(base_url: str, todo: str, tools: list[dict[str, Any]], ask: str) -> Callable[[], None]:
    import agents
    import httpx2
    import openai

    agents.set_tracing_disabled(True)
    loop = asyncio.new_event_loop()
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none")
    http = httpx2.AsyncClient(base_url=todo)

    async def invoke(context: Any, arguments: str) -> str:
        return (await http.get(f"/users/{json.loads(arguments)['username']}/todos")).text

    functions = [
        agents.FunctionTool(
            name=tool["name"],
            description=tool["description"],
            params_json_schema=tool["parameters"],
            on_invoke_tool=invoke,
            strict_json_schema=tool["strict"],
        )
        for tool in tools
    ]
    model = agents.OpenAIResponsesModel(model="m", openai_client=client)
    agent = agents.Agent(name="Assistant", model=model, tools=functions)
    return lambda: loop.run_until_complete(agents.Runner.run(agent, ask)) and None


def _langchain(base_url: str, todo: str, tools: list[dict[str, Any]], ask: str) -> Callable[[], None]:
    import httpx2
    from langchain.agents import create_agent
    from langchain_core.tools import StructuredTool
    from langchain_openai import ChatOpenAI

    http = httpx2.Client(base_url=todo)

    def call(**arguments: Any) -> str:
        return http.get(f"/users/{arguments['username']}/todos").text

    functions = [
        StructuredTool.from_function(
            func=call, name=tool["name"], description=tool["description"], args_schema=tool["parameters"]
        )
        for tool in tools
    ]
    model = ChatOpenAI(model="m", base_url=base_url, api_key="none", use_responses_api=True)  # type: ignore[arg-type]
    agent = create_agent(model, functions)
    return lambda: agent.invoke({"messages": [("user", ask)]}) and None


def parallel() -> list[Row]:
    """Eight calls of 100 ms each in one turn, against one after the other."""
    import kit
    from kit.client.installed import CallResult

    with process("slow") as slow:
        plugin = kit.install(slow)

        def together() -> None:
            async def run() -> list[CallResult]:
                return await asyncio.gather(*(plugin.acall("wait", n=n) for n in range(8)))

            assert all(result.ok for result in asyncio.run(run()))

        def alone() -> None:
            for n in range(8):
                assert plugin.call("wait", n=n).ok

        together()
        pairs = [(timed(together), timed(alone)) for _ in range(5)]
    return [
        row("8 parallel calls of 100 ms / in turn", [a for a, _ in pairs], [b for _, b in pairs], "150 ms")
    ]
