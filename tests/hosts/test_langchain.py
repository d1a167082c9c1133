"""LangChain: arguments whose names LangChain keeps for itself reach the plugin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.tools import FILTERED_ARGS
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import create_model

import kit
from kit.hosts.langchain import reserved_names

NAMES = (
    *sorted(reserved_names()), "args", "kwargs", "input", "name", "title", "description", "type", "state", "runtime",
    "store", "run_id", "tool_call_id", "tags", "cls", "properties", "config_value",
)  # fmt: skip


def test_langchains_own_names_are_those_of_its_signatures() -> None:
    assert reserved_names() >= {"self", "config", "run_manager", *FILTERED_ARGS}


@pytest.mark.parametrize("is_async", [False, True])
def test_every_argument_arrives_whatever_its_name(is_async: bool) -> None:
    plugin = kit.Plugin("names", description_for_model="Names.")
    fields: dict[str, Any] = dict.fromkeys(NAMES, (str, ...))
    model: Any = create_model("Names", **fields)

    @plugin.post("/names")
    def send(names: model) -> dict[str, str]:
        return dict(names.model_dump())

    (tool,) = kit.install(plugin).langchain()
    parameters = convert_to_openai_tool(tool)["function"]["parameters"]
    assert not reserved_names() & set(parameters["properties"])
    assert len(parameters["properties"]) == len(NAMES)
    assert parameters["required"] == list(parameters["properties"])
    given = {name: f"the {name}" for name in parameters["properties"]}
    call = {"type": "tool_call", "id": "1", "name": "send", "args": given}
    message = asyncio.run(tool.ainvoke(call)) if is_async else tool.invoke(call)
    sent = message.artifact.data
    assert set(sent) == set(NAMES)
    assert sent["config"] == "the config_value_2"  # config_value is an argument of the plugin's own
    assert sent["config_value"] == "the config_value"
    assert sent["self"] == "the self_value"
