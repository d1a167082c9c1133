"""Requests that no operation can take: 422 with FastAPI's list, 405 with every method; an author's handler comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from sqlmodel import Field, SQLModel

import kit

JSON = {"content-type": "application/json"}


def plugin(**options: Any) -> kit.Plugin:
    made = kit.Plugin("todo", description_for_model="Keeps todos.", **options)
    router = APIRouter(prefix="/lists")

    @router.get("/{name}")
    def read(name: str) -> str:
        return name

    @router.put("/{name}")
    def write(name: str, items: list[str]) -> str:
        return name

    @router.delete("/{name}/items")
    def clear(name: str) -> str:
        return name

    made.include_router(router)
    return made


def test_allow_has_every_method_of_the_path() -> None:
    answer = TestClient(plugin()).patch("/lists/a")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT")
    assert answer.json()["detail"] == "Method Not Allowed"


@pytest.mark.parametrize("content", [b"\xff\xfe\xfd", b"[" * 100_000, b"{"], ids=["bytes", "deep", "cut off"])
def test_a_body_that_cannot_be_read_is_422(content: bytes) -> None:
    answer = TestClient(plugin()).put("/lists/a", content=content, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


def test_a_handler_of_the_authors_comes_first() -> None:
    async def own(request: Any, error: Any) -> PlainTextResponse:
        return PlainTextResponse("mine", 418)

    client = TestClient(plugin(exception_handlers={400: own, 405: own}))
    assert client.patch("/lists/a").text == "mine"
    assert client.put("/lists/a", content=b"\xff", headers=JSON).text == "mine"


def test_a_value_that_the_database_cannot_hold_is_422(tmp_path: Path) -> None:
    class Row(SQLModel, table=True):
        __tablename__ = "misfit_rows"
        number: int = Field(primary_key=True)

    data = kit.database(f"sqlite:///{tmp_path / 'a.db'}").create(Row)
    made = plugin()

    @made.get("/rows/{number}")
    def find(number: int) -> bool:
        with data.read() as session:
            return session.get(Row, number) is not None

    client = TestClient(made)
    assert client.get("/rows/1").json() is False
    answer = client.get(f"/rows/{2**70}")
    assert answer.status_code == 422
    assert "cannot hold a value" in answer.json()["detail"][0]["msg"]
    with pytest.raises(kit.DatabaseMisfit, match="too large"), data.read() as session:
        session.get(Row, 2**70)
