"""A body that is one value, such as a list: it has the name of the function's argument, for everyone who calls it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict, Field, RootModel

import kit
from kit.openapi.spec import Spec
from kit.tools.tool import Tool, make_tools


class Task(BaseModel):
    text: str


class Tasks(RootModel[list[Task]]):
    pass


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    text: str


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


def many() -> kit.Plugin:
    plugin = kit.Plugin("many", description_for_model="Takes bodies of every kind.")

    @plugin.post("/plain")
    def plain(tasks: list[str]) -> Any:
        return tasks

    @plugin.post("/titled")
    def titled(tasks: Annotated[list[Task], Body(title="All of them, please!")]) -> Any:
        return tasks

    @plugin.post("/capitals")
    def capitals(newTasks: list[Task]) -> Any:
        return newTasks

    @plugin.post("/embedded")
    def embedded(tasks: Annotated[list[Task], Body(embed=True)]) -> Any:
        return tasks

    @plugin.post("/scalar")
    def scalar(text: Annotated[str, Body()]) -> Any:
        return text

    @plugin.post("/either")
    def either(animal: Annotated[Cat | Dog, Field(discriminator="kind")]) -> Any:
        return animal

    @plugin.post("/maybe")
    def maybe(task: Task | None = None) -> Any:
        return task

    @plugin.post("/root")
    def root(every: Tasks) -> Any:
        return every

    @plugin.post("/opened")
    def opened(thing: Open) -> Any:
        return thing

    @plugin.post("/counts")
    def counts(counts: dict[str, int]) -> Any:
        return counts

    @plugin.post("/clash/{tasks}")
    def clash(tasks: str, items: Annotated[list[str], Body(alias="tasks")]) -> Any:
        return [tasks, *items]

    @plugin.post("/raw")
    def raw(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Any:
        return data.decode()

    return plugin


ONE = [{"text": "a"}]
CALLS: dict[str, tuple[dict[str, Any], Any]] = {
    "plain": ({"tasks": ["a", "b"]}, ["a", "b"]),
    "titled": ({"tasks": ONE}, ONE),
    "capitals": ({"newTasks": ONE}, ONE),
    "embedded": ({"tasks": ONE}, ONE),
    "scalar": ({"text": "a"}, "a"),
    "either": ({"animal": {"kind": "cat", "lives": 9}}, {"kind": "cat", "lives": 9}),
    "maybe": ({"task": {"text": "a"}}, {"text": "a"}),
    "root": ({"every": ONE}, ONE),
    "opened": ({"thing": {"text": "a", "more": 1}}, {"text": "a", "more": 1}),
    "counts": ({"counts": {"a": 1}}, {"a": 1}),
    "clash": ({"tasks": "p", "tasks_body": ["a"]}, ["p", "a"]),
    "raw": ({"data": b"abc"}, "abc"),
}


def test_a_body_that_is_one_value_has_the_arguments_name() -> None:
    plugin = kit.install(many())
    assert {name: list(tool.arguments) for name, tool in plugin.by_name.items()} == {
        name: list(arguments) for name, (arguments, _) in CALLS.items()
    }
    for name, (arguments, answer) in CALLS.items():
        assert (plugin.call(name, arguments).data, name) == (answer, name)


def test_the_name_is_written_only_where_the_title_does_not_tell_it() -> None:
    paths = many().openapi()["paths"]
    written = {path: item["post"]["requestBody"].get("x-body-name") for path, item in paths.items()}
    assert {path: name for path, name in written.items() if name} == {
        "/titled": "tasks",
        "/capitals": "newTasks",
        "/root": "every",
        "/opened": "thing",
    }


def test_every_road_to_the_plugin_has_the_name() -> None:
    plugin = kit.install(many())
    assert plugin.tools(select=["plain"])[0]["parameters"]["required"] == ["tasks"]
    assert plugin.operations.plain(tasks=["a"]).data == ["a"]
    assert "plain(*, tasks: list[str])" in repr(plugin.operations)
    (tool,) = [tool for tool in kit.render(plugin, "mcp")["tools"] if tool["name"] == "plain"]
    assert list(tool["inputSchema"]["properties"]) == ["tasks"]
    (chain,) = [tool for tool in plugin.langchain() if tool.name == "plain"]
    assert list(chain.args) == ["tasks"]
    assert "tasks" in plugin.spec.operations["plain"]._repr_html_()
    lowered = make_tools(Spec(kit.render(plugin, "openapi30")))
    assert {name: list(tool.arguments) for name, tool in lowered.items()} == {
        name: (["text"] if name == "maybe" else list(it)) for name, (it, _) in CALLS.items()
    }


def test_what_belongs_in_the_body_may_be_called_body_or_stand_beside_it() -> None:
    plugin = kit.install(many())
    assert plugin.call("plain", body=["a"]).data == ["a"]
    assert plugin.call("clash", tasks="p", body=["a"]).data == ["p", "a"]
    assert plugin.call("opened", text="a").data == {"text": "a"}
    assert plugin.call("either", kind="dog").data == {"kind": "dog"}
    wrong = plugin.tool("plain").problems({"things": ["a"]})
    assert wrong == ["things: there is no such argument; there are: tasks", "tasks: is required and missing"]


def test_a_wrapped_app_and_a_strangers_fastapi_say_it_too() -> None:
    app = FastAPI()

    @app.post("/bulk")
    def bulk(new_tasks: list[str], dry: bool = False) -> Any:
        return new_tasks

    plain = make_tools(Spec(app.openapi()))
    assert list(next(iter(plain.values())).arguments) == ["dry", "new_tasks"]
    wrapped = kit.install(kit.Plugin.wrap(app, "wrapped", description_for_model="W."))
    assert wrapped.call("bulk", new_tasks=["a"]).data == ["a"]


LIST = {"type": "array", "items": {"type": "string"}}


def stranger(operation: dict[str, Any], version: str = "3.1.0") -> Tool:
    start = {"swagger": "2.0"} if version == "2.0" else {"openapi": version}
    answered = {"operationId": "x", "responses": {"200": {"description": ""}}, **operation}
    document = {**start, "info": {"title": "T", "version": "1"}, "paths": {"/x": {"post": answered}}}
    (tool,) = make_tools(Spec(document)).values()
    return tool


def content(**schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {**LIST, **schema}}}}


@pytest.mark.parametrize(
    ("operation", "version", "name"),
    [
        ({"requestBody": content()}, "3.1.0", "body"),
        ({"requestBody": content(title="A list of things")}, "3.1.0", "body"),  # not FastAPI: any words
        ({"requestBody": {**content(), "x-body-name": "things"}}, "3.0.3", "things"),
        ({"requestBody": content(), "x-codegen-request-body-name": "things"}, "3.0.3", "things"),
        ({"requestBody": {**content(), "x-body-name": "всё"}}, "3.0.3", "body"),
        ({"requestBody": {**content(), "x-body-name": ["odd"]}}, "3.0.3", "body"),
        ({"parameters": [{"in": "body", "name": "things", "schema": LIST}]}, "2.0", "things"),
    ],
)
def test_a_strangers_body_keeps_a_sensible_name(operation: dict[str, Any], version: str, name: str) -> None:
    tool = stranger(operation, version)
    assert list(tool.arguments) == [name]
    assert json.loads(tool.request({name: ["a"]}).body or b"") == ["a"]
