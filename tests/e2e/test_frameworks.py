"""Other frameworks with their own libraries: their model client uses the understudy, their tools the served plugin.

What conflicts with the others gets its own environment: `KIT_INTEROP=1 pytest tests/e2e/test_frameworks.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from environments import environment

import kit
from kit.understudy import Understudy

ASK = "Add 'buy milk' to sam's list"


def todos(server: kit.Server) -> Any:
    return kit.install(server).call("list_todos", username="sam").data


def test_the_agents_sdk_by_mcp(server: kit.Server, understudy: Understudy) -> None:
    agents = pytest.importorskip("agents")
    pytest.importorskip("mcp")
    import openai
    from agents.mcp import MCPServerStreamableHttp

    agents.set_tracing_disabled(True)

    async def run() -> str:
        async with (
            openai.AsyncOpenAI(base_url=understudy.base_url, api_key="none") as client,
            MCPServerStreamableHttp(params={"url": f"{server.url}/mcp"}) as tools,
        ):
            model = agents.OpenAIResponsesModel(model="gpt-5", openai_client=client)
            agent = agents.Agent(name="Assistant", model=model, mcp_servers=[tools])
            return str((await agents.Runner.run(agent, ASK)).final_output)

    assert "buy milk" in asyncio.run(run())
    assert todos(server) == ["buy milk"]


def test_pydantic_ai_with_the_tools(server: kit.Server, understudy: Understudy) -> None:
    pydantic_ai = pytest.importorskip("pydantic_ai")
    import openai
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    plugin = kit.install(server)

    def make(tool: dict[str, Any]) -> Any:
        async def call(**arguments: Any) -> str:
            return (await plugin.acall(tool["name"], arguments)).for_model()

        words, schema = tool["description"], tool["parameters"]
        return pydantic_ai.Tool.from_schema(call, tool["name"], words, schema)

    async def run(kind: Any) -> str:
        async with openai.AsyncOpenAI(base_url=understudy.base_url, api_key="none") as client:
            model = kind("gpt-5", provider=OpenAIProvider(openai_client=client))
            agent = pydantic_ai.Agent(model, tools=[make(tool) for tool in plugin.tools()])
            return str((await agent.run(ASK)).output)

    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        assert "buy milk" in asyncio.run(run(kind))
    assert todos(server) == ["buy milk", "buy milk"]


def test_pydantic_ai_by_mcp(server: kit.Server, understudy: Understudy) -> None:
    pydantic_ai = pytest.importorskip("pydantic_ai")
    import openai

    mcp = pytest.importorskip("pydantic_ai.mcp")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def run() -> str:
        async with openai.AsyncOpenAI(base_url=understudy.base_url, api_key="none") as client:
            model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(openai_client=client))
            agent = pydantic_ai.Agent(model, toolsets=[mcp.MCPToolset(f"{server.url}/mcp")])
            return str((await agent.run(ASK)).output)

    assert "buy milk" in asyncio.run(run())
    assert todos(server) == ["buy milk"]


def test_fastmcps_client(server: kit.Server) -> None:
    fastmcp = pytest.importorskip("fastmcp")

    async def run() -> tuple[list[str], Any]:
        async with fastmcp.Client(f"{server.url}/mcp") as client:
            names = [tool.name for tool in await client.list_tools()]
            answer = await client.call_tool("add_todo", {"username": "sam", "todo": "buy milk"})
            return names, answer.structured_content

    names, content = asyncio.run(run())
    assert names == ["add_todo", "list_todos", "delete_todo"]
    assert content == {"result": ["buy milk"]}
    assert todos(server) == ["buy milk"]


SEMANTIC_KERNEL = """
import asyncio, sys
from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.connectors.openapi_plugin import OpenAPIFunctionExecutionParameters
from semantic_kernel.contents import ChatHistory

async def main():
    spec, base_url, ask, plugin_url = sys.argv[1:]
    kernel = Kernel()
    # It allows plain http only to the URLs listed here.
    allowed = OpenAPIFunctionExecutionParameters(server_url_validation_allowed_base_urls=[plugin_url])
    plugin = kernel.add_plugin_from_openapi("todo", openapi_document_path=spec, execution_settings=allowed)
    print(sorted(plugin.functions))
    model = OpenAIChatCompletion(ai_model_id="gpt-5", async_client=AsyncOpenAI(base_url=base_url, api_key="none"))
    history = ChatHistory()
    history.add_user_message(ask)
    settings = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
    print(await model.get_chat_message_content(history, settings, kernel=kernel))

asyncio.run(main())
"""


@pytest.mark.skipif(os.environ.get("KIT_INTEROP") != "1", reason="makes a venv of 300 MB: set KIT_INTEROP=1")
def test_semantic_kernels_openapi_plugin(server: kit.Server, understudy: Understudy, tmp_path: Path) -> None:
    """It needs versions that conflict with the others', and an OpenAPI 3.0 spec in a file."""
    clashing = "mcp openapi-core openapi-spec-validator openapi-schema-validator jsonschema-path pathable referencing werkzeug"
    python = environment(tmp_path / "venv", "semantic-kernel==1.45.0", *clashing.split())
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(kit.install(server).spec.document))
    command = [python, "-c", SEMANTIC_KERNEL, str(spec), understudy.base_url, ASK, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['add_todo', 'delete_todo', 'list_todos']")
    assert "buy milk" in done.stdout
    assert todos(server) == ["buy milk"]
