"""The understudy and a served plugin, used by the libraries that people point at OpenAI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import kit
from kit.understudy import MODEL, Understudy

ASK = "Add 'buy milk' to sam's list"


def test_langchain(server: kit.Server, understudy: Understudy) -> None:
    messages = pytest.importorskip("langchain_core.messages")
    from langchain_openai import ChatOpenAI

    plugin = kit.install(server)
    for responses in (False, True):
        model = ChatOpenAI(
            model="gpt-5", base_url=understudy.base_url, api_key="none", use_responses_api=responses
        )  # type: ignore[arg-type]
        with_tools = model.bind_tools(plugin.tools("chat"))
        question = messages.HumanMessage(ASK)
        answer = with_tools.invoke([question])
        assert [(c["name"], c["args"]) for c in answer.tool_calls] == [
            ("add_todo", {"username": "sam", "todo": "buy milk"})
        ]
        call = answer.tool_calls[0]
        result = plugin.call(call["name"], call["args"])
        final = with_tools.invoke(
            [question, answer, messages.ToolMessage(result.for_model(), tool_call_id=call["id"])]
        )
        assert "buy milk" in final.text
        assert final.response_metadata["model_name"] == MODEL
        streamed = None
        for chunk in with_tools.stream([question]):
            streamed = chunk if streamed is None else streamed + chunk
        assert streamed is not None
        assert streamed.tool_calls[0]["args"] == {"username": "sam", "todo": "buy milk"}


def test_a_langchain_agent(server: kit.Server, understudy: Understudy) -> None:
    agents = pytest.importorskip("langchain.agents")
    from langchain_openai import ChatOpenAI

    plugin = kit.install(server)
    model = ChatOpenAI(model="gpt-5", base_url=understudy.base_url, api_key="none")  # type: ignore[arg-type]
    state = agents.create_agent(model, plugin.langchain()).invoke({"messages": [("user", ASK)]})
    assert "buy milk" in state["messages"][-1].text
    assert state["messages"][-2].artifact.status == 200
    assert plugin.call("list_todos", username="sam").data == ["buy milk"]


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_the_agents_sdk(server: kit.Server, understudy: Understudy, api: str) -> None:
    agents = pytest.importorskip("agents")
    import openai

    plugin = kit.install(server)
    agents.set_tracing_disabled(True)

    def make(tool: dict[str, Any]) -> Any:
        async def invoke(context: Any, arguments: str) -> str:
            return (await plugin.acall(tool["name"], json.loads(arguments))).for_model()

        return agents.FunctionTool(
            name=tool["name"],
            description=tool["description"],
            params_json_schema=tool["parameters"],
            on_invoke_tool=invoke,
            strict_json_schema=tool["strict"],
        )

    async def run() -> Any:
        async with openai.AsyncOpenAI(base_url=understudy.base_url, api_key="none") as client:
            kind = agents.OpenAIResponsesModel if api == "responses" else agents.OpenAIChatCompletionsModel
            agent = agents.Agent(
                name="Assistant",
                instructions="Use the tools.",
                model=kind(model="gpt-5", openai_client=client),
                tools=[make(tool) for tool in plugin.tools()],
            )
            first = await agents.Runner.run(agent, ASK)
            streamed = agents.Runner.run_streamed(
                agent, [*first.to_input_list(), {"role": "user", "content": "Show sam's list"}]
            )
            kinds = [event.type async for event in streamed.stream_events()]
            return first.final_output, streamed.final_output, kinds

    first, second, kinds = asyncio.run(run())
    assert "buy milk" in first
    assert "buy milk" in second
    assert "raw_response_event" in kinds


def test_langchain_tools_await_and_report_errors(server: kit.Server) -> None:
    pytest.importorskip("langchain_core")
    tools = {tool.name: tool for tool in kit.install(server).langchain()}
    assert "buy milk" in asyncio.run(tools["add_todo"].ainvoke({"username": "sam", "todo": "buy milk"}))
    assert "sam has no todo 9" in tools["delete_todo"].invoke({"username": "sam", "number": 9})
    assert "number" in tools["delete_todo"].invoke({"username": "sam"})
