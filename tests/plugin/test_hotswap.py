"""Running a cell again replaces its operation in place, live; a cell that fails leaves the old one."""

from __future__ import annotations

import threading
import types
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

import kit

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

BASE = """
import kit
from typing import Annotated, Literal
from enum import Enum
from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel
todo = kit.Plugin("todo", description_for_model="Plugin for todos.")
"""


class Cells:
    """Runs code the way cells do: one after the other, in one namespace."""

    def __init__(self) -> None:
        self.module = types.ModuleType("cells")
        self.names: dict[str, Any] = self.module.__dict__
        self.names["__name__"] = "__main__"
        self.run(BASE)

    def run(self, code: str) -> None:
        exec(compile(code, "<cell>", "exec", dont_inherit=True), self.names)

    @property
    def client(self) -> TestClient:
        return TestClient(self.names["todo"])

    @property
    def paths(self) -> dict[str, list[str]]:
        return {path: list(item) for path, item in self.names["todo"].openapi()["paths"].items()}


@pytest.fixture
def cells() -> Cells:
    return Cells()


def test_a_cell_that_runs_again_replaces_its_operation(cells: Cells) -> None:
    cells.run("@todo.get('/a')\ndef first() -> int: return 1")
    cells.run("@todo.get('/b')\ndef second() -> int: return 2")
    cells.run("@todo.get('/a', summary='New')\ndef first() -> str: return 'one'")
    assert cells.client.get("/a").json() == "one"
    assert cells.paths == {"/a": ["get"], "/b": ["get"]}
    assert list(cells.paths) == ["/a", "/b"]
    assert cells.names["todo"].openapi()["paths"]["/a"]["get"]["summary"] == "New"


@pytest.mark.parametrize(
    "broken",
    [
        "raise RuntimeError('before')\n@todo.get('/a')\ndef first() -> str: return 'new'",
        "@todo.get('/a')\ndef first(x: Missing) -> str: return 'new'",
        "@todo.get('/a')\ndef first(x: 'Missing') -> str: return 'new'",
        "@todo.get('/a')\ndef first() -> 'list[Missing]': return 'new'",
        "@todo.get('/a')\ndef first(x: object()) -> str: return 'new'",
        "@todo.get('/a', status_code=204)\ndef first() -> str: return 'new'",
        "class Half(BaseModel):\n    x: 'Missing'\n@todo.post('/a')\ndef first(half: Half) -> str: return 'new'",
        "def dep(x: 'Missing'): pass\n@todo.get('/a')\ndef first(x: Annotated[int, Depends(dep)]) -> str: return 'new'",
        "@todo.get('/a')\ndef other() -> str: return 'new'",
    ],
)
def test_a_cell_that_fails_leaves_the_old_one_serving(cells: Cells, broken: str) -> None:
    cells.run("@todo.get('/a')\ndef first() -> str: return 'old'")
    before = cells.names["todo"].openapi()
    with pytest.raises(Exception, match=r"."):
        cells.run(broken)
    assert cells.client.get("/a").json() == "old"
    assert cells.names["todo"].openapi()["paths"] == before["paths"]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_an_annotation_that_cannot_be_resolved_is_named(cells: Cells, future: str) -> None:
    with pytest.raises(kit.OperationError) as caught:
        cells.run(f"{future}@todo.post('/a')\ndef add(new: 'NewTodo') -> str: return 'x'")
    assert "add: the parameter 'new' names 'NewTodo', which is not defined" in str(caught.value)
    with pytest.raises(kit.OperationError, match=r"what it returns names 'Later'"):
        cells.run("@todo.post('/a')\ndef add() -> 'Later': return 'x'")
    with pytest.raises(kit.OperationError, match=r"the model Half names 'Later'"):
        cells.run(
            "class Half(BaseModel):\n    x: 'Later'\n@todo.post('/a')\ndef add(half: Half) -> str: return 'x'"
        )
    assert cells.paths == {}


def test_text_annotations_are_resolved(cells: Cells) -> None:
    cells.run("class New(BaseModel):\n    text: str")
    cells.run(
        "from __future__ import annotations\n@todo.post('/a')\n"
        "def add(new: New, more: list[New] | None = None) -> list[New]: return [new]"
    )
    assert cells.client.post("/a", json={"new": {"text": "x"}}).json() == [{"text": "x"}]


def test_a_redefined_model_reaches_its_operations(cells: Cells) -> None:
    cells.run("class New(BaseModel):\n    text: str")
    cells.run("class Page(BaseModel):\n    items: list[New] = []")
    cells.run(
        "@todo.post('/a')\ndef add(new: New) -> New: return new\n"
        "@todo.post('/b', response_model=list[New])\n"
        "def many(news: Annotated[list[New], Body()]) -> list[New]: return news\n"
        "@todo.get('/c')\ndef page() -> Page | None: return Page(items=[New(**{k: 'x' for k in New.model_fields})])"
    )
    assert cells.client.post("/a", json={"text": "x"}).status_code == 200
    cells.run("class New(BaseModel):\n    text: str\n    due: str")
    assert cells.client.post("/a", json={"text": "x"}).status_code == 422
    assert cells.client.post("/a", json={"text": "x", "due": "y"}).json() == {"text": "x", "due": "y"}
    assert cells.client.post("/b", json=[{"text": "x", "due": "y"}]).json() == [{"text": "x", "due": "y"}]
    assert cells.client.get("/c").json() == {"items": [{"text": "x", "due": "x"}]}
    schemas = cells.names["todo"].openapi()["components"]["schemas"]
    assert list(schemas["New"]["properties"]) == ["text", "due"]
    assert not [name for name in schemas if "__" in name]


def test_a_redefined_enum_and_dependency_model(cells: Cells) -> None:
    cells.run("class Colour(str, Enum):\n    red = 'red'")
    cells.run("def chosen(colour: Colour) -> Colour: return colour")
    cells.run("@todo.get('/a')\ndef paint(colour: Annotated[Colour, Depends(chosen)]) -> str: return colour")
    assert cells.client.get("/a?colour=blue").status_code == 422
    cells.run("class Colour(str, Enum):\n    red = 'red'\n    blue = 'blue'")
    assert cells.client.get("/a?colour=blue").json() == "blue"


def test_a_redefined_model_that_cannot_be_taken_leaves_the_old_one(
    cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.run("class New(BaseModel):\n    text: str")
    cells.run("@todo.post('/a')\ndef add(new: New) -> New: return new")
    cells.run("class New(BaseModel):\n    later: 'Later'")
    assert cells.client.post("/a", json={"text": "x"}).json() == {"text": "x"}
    assert "add keeps the earlier New" in capsys.readouterr().err


def test_operations_of_routers_are_replaced_too(cells: Cells) -> None:
    cells.run("router = APIRouter(prefix='/r')\ntodo.include_router(router)")
    cells.run("class New(BaseModel):\n    text: str")
    cells.run("@router.post('/a')\ndef add(new: New) -> int: return 1")
    cells.run("@router.post('/a')\ndef add(new: New) -> int: return 2")
    assert cells.client.post("/r/a", json={"text": "x"}).json() == 2
    assert cells.paths == {"/r/a": ["post"]}
    cells.run("class New(BaseModel):\n    other: str")
    assert cells.client.post("/r/a", json={"text": "x"}).status_code == 422


def test_a_router_cell_that_runs_again(cells: Cells) -> None:
    code = "router = APIRouter()\n@router.get('/a')\ndef find() -> int: return {0}\ntodo.include_router(router, prefix='/r')"
    cells.run(code.format(1))
    cells.run(code.format(2))
    assert cells.client.get("/r/a").json() == 2
    assert cells.paths == {"/r/a": ["get"]}
    cells.run("todo.include_router(router, prefix='/r')")
    assert cells.paths == {"/r/a": ["get"]}


def test_remove_and_rename(cells: Cells) -> None:
    cells.run("@todo.get('/a')\ndef first() -> int: return 1\n@todo.get('/b')\ndef second() -> int: return 2")
    todo = cells.names["todo"]
    todo.rename("first", "one")
    assert list(todo.spec.operations) == ["one", "second"]
    assert cells.client.get("/a").json() == 1
    with pytest.raises(kit.OperationClash, match="second"):
        todo.rename("one", "second")
    todo.remove("one")
    assert cells.client.get("/a").status_code == 404
    assert cells.paths == {"/b": ["get"]}
    with pytest.raises(kit.OperationError, match=r"There are: second\."):
        todo.remove("one")
    cells.run("@todo.get('/a')\ndef first() -> int: return 3")
    assert cells.client.get("/a").json() == 3


def test_no_request_is_lost_while_operations_change(cells: Cells) -> None:
    cells.run("@todo.get('/a')\ndef first() -> int: return 0")
    statuses: list[int] = []
    stop = threading.Event()

    def hammer(url: str) -> None:
        with httpx2.Client() as client:
            while not stop.is_set():
                statuses.append(client.get(f"{url}/a").status_code)

    with kit.serve(cells.names["todo"]) as server:
        threads = [threading.Thread(target=hammer, args=(server.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        number = 0
        while len(statuses) < 300:
            number += 1
            cells.run(f"@todo.get('/a')\ndef first() -> int: return {number}")
            cells.run(f"@todo.get('/b')\ndef second() -> int: return {number}")
            if number % 10 == 0:
                cells.names["todo"].remove("second")
        stop.set()
        for thread in threads:
            thread.join()
        assert httpx2.get(f"{server.url}/a").json() == number
    assert number > 20
    assert set(statuses) == {200}


def test_a_router_made_elsewhere_stays_usable() -> None:
    router = APIRouter()
    plugin = kit.Plugin("todo", description_for_model="x")
    plugin.include_router(router)

    @router.get("/late")
    def late() -> str:
        return "yes"

    assert TestClient(plugin).get("/late").json() == "yes"


def test_what_others_set_on_a_route_outlives_a_redefined_model(cells: Cells) -> None:
    cells.run("class New(BaseModel):\n    text: str")
    cells.run("@todo.post('/a')\ndef add(new: New) -> str: return new.text")

    def route() -> Any:
        return next(each for each in cells.names["todo"].router.routes if getattr(each, "name", "") == "add")

    before = route()
    before.label = "mine"
    cells.run("class New(BaseModel):\n    text: str\n    more: int = 0")
    assert list(cells.names["todo"].openapi()["components"]["schemas"]["New"]["properties"]) == [
        "text",
        "more",
    ]
    assert route() is not before
    assert route().label == "mine"


FACTORY = """
from __future__ import annotations
def register(plugin, function): return plugin.post("/items")(function)
def make():
    class Item(BaseModel): name: str
    def direct(item: Item) -> list[Item]: return [item]
    def nested():
        def deeper(item: Item) -> list[Item]: return [item]
        return deeper
    plugin = kit.Plugin("shop", description_for_model="Plugin of a shop.")
    register(plugin, FUNCTION)
    return plugin
"""


@pytest.mark.parametrize("function", ["direct", "nested()"])
def test_the_names_of_a_factory_are_found_through_a_helper(cells: Cells, function: str) -> None:
    """The code that registers the function does not know its names, and the one that defines it may have returned."""
    cells.run(FACTORY.replace("FUNCTION", function) + "made = make()")
    assert TestClient(cells.names["made"]).post("/items", json={"name": "x"}).json() == [{"name": "x"}]
    with pytest.raises(kit.OperationError, match="names 'Item', which is not defined"):
        cells.run(FACTORY.replace("FUNCTION", function).replace("class Item", "class Other") + "make()")


def test_a_router_of_a_class_of_its_own_is_followed_too(cells: Cells) -> None:
    cells.run(
        "class Mine(APIRouter):\n    def get(self, path, **more): return super().get('/mine' + path, **more)\n"
        "router = Mine()\ntodo.include_router(router)"
    )
    cells.run("@router.get('/a')\ndef find() -> int: return 1")
    cells.run("@router.get('/a')\ndef find() -> int: return 2")
    assert cells.client.get("/mine/a").json() == 2
    assert cells.names["router"].__class__.__name__ == "Mine"
    assert isinstance(cells.names["router"], cells.names["Mine"])
