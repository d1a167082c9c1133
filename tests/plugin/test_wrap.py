"""`Plugin.wrap`: a plugin of an existing app, which is not touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

import kit

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")


@pytest.fixture
def app() -> FastAPI:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("start")
        yield {"db": "open"}
        events.append("stop")

    app = FastAPI(title="Pet Store", description="Keeps pets.", version="3.1", lifespan=lifespan)
    app.state.events = events

    @app.get("/pets/{pet_id}")
    def get_pet(pet_id: int, request: Request) -> dict[str, object]:
        return {"id": pet_id, "db": request.state.db, "url": str(request.url_for("get_pet", pet_id=pet_id))}

    router = APIRouter(prefix="/toys")

    @router.get("/{toy}")
    def get_pet(toy: str) -> str:  # the same name in another router
        return toy

    app.include_router(router)
    return app


def test_the_operations_are_the_apps(app: FastAPI) -> None:
    before = str(app.openapi())
    routes = list(app.routes)
    plugin = kit.Plugin.wrap(app)
    assert plugin.manifest.name_for_model == "pet_store"
    assert plugin.manifest.description_for_model == "Keeps pets."
    assert list(plugin.spec.operations) == ["get_pet", "get_pet_get_toys_toy"]
    with TestClient(plugin, base_url="http://here") as client:
        assert client.get("/pets/7").json() == {"id": 7, "db": "open", "url": "http://here/pets/7"}
        assert client.get("/toys/ball").json() == "ball"
        assert client.get("/.well-known/ai-plugin.json").json()["name_for_human"] == "Pet Store"
        assert client.get("/.well-known/openapi.json").json()["servers"] == [{"url": "http://here"}]
        assert client.get("/openapi.json").json()["info"]["title"] == "Pet Store"
        assert client.get("/nowhere").status_code == 404
        assert client.post("/pets/7").status_code == 405
    assert app.state.events == ["start", "stop"]
    assert str(app.openapi()) == before
    assert app.routes == routes


def test_more_operations_can_be_added(app: FastAPI) -> None:
    plugin = kit.Plugin.wrap(app, "pets", description_for_model="Plugin for pets.")

    @plugin.get("/count")
    def count_pets() -> int:
        return 3

    assert list(plugin.spec.operations) == ["get_pet", "get_pet_get_toys_toy", "count_pets"]
    with TestClient(plugin) as client:
        assert client.get("/count").json() == 3

    @app.get("/late")
    def late() -> str:
        return "x"

    assert "late" in plugin.spec.operations


def test_an_app_is_served_and_installed_as_it_is(app: FastAPI) -> None:
    with kit.serve(app) as server:
        plugin = kit.install(server.url)
        assert plugin.call("get_pet", pet_id=3).data["db"] == "open"
