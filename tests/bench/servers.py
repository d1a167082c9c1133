"""The servers of the benchmarks, each in a process of its own: `servers.py KIND` prints its base URL."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    id: int
    name: str


def add_operations(app: Any) -> Any:
    """The same operations for the kit and FastAPI: three simple ones with a model."""

    @app.get("/items/{item_id}", summary="Get an item")
    async def get_item(item_id: int) -> Item:
        return Item(id=item_id, name="thing")

    @app.post("/items", summary="Add an item")
    async def add_item(item: Item) -> Item:
        return item

    @app.delete("/items/{item_id}", summary="Delete an item")
    async def delete_item(item_id: int) -> list[Item]:
        return []

    return app


def add_many(app: Any) -> Any:
    """Thirty operations: ten times the same three."""
    for number in range(10):
        router = APIRouter(
            prefix=f"/group{number}", generate_unique_id_function=lambda r, n=number: f"{r.name}_{n}"
        )
        app.include_router(add_operations(router))
    return app


def kit_app() -> Any:
    """For `uvicorn --factory`: a plugin like an exported server's."""
    import kit

    return add_operations(kit.Plugin("bench", description_for_model="Plugin for benchmarks."))


def fastapi_app() -> Any:
    """The hand-written counterpart."""
    return add_operations(FastAPI(title="Bare"))


def main(kind: str) -> None:
    """Serves one of the kinds until the process is stopped."""
    import kit
    from kit import understudy
    from kit.demo import make_plugin
    from kit.server.thread import ServerThread
    from kit.sockets import listen

    if kind == "understudy":
        print(understudy.serve().base_url.removesuffix("/v1"), flush=True)
    elif kind.startswith("fastapi"):
        # the same uvicorn settings in the same kind of thread: only the app differs
        sock = listen("127.0.0.1", 0)
        port = sock.getsockname()[1]
        add = add_many if kind.endswith("many") else add_operations
        ServerThread(add(FastAPI(title="Bare")), sock).start()
        print(f"http://127.0.0.1:{port}", flush=True)
    else:
        plugin = kit.Plugin("bench", description_for_model="Plugin for benchmarks.")
        if kind.startswith("kit"):
            (add_many if kind.endswith("many") else add_operations)(plugin)
        elif kind == "todo":
            plugin = make_plugin()
        elif kind == "slow":

            @plugin.get("/wait/{n}")
            async def wait(n: int) -> int:
                await asyncio.sleep(0.1)
                return n

        print(kit.serve(plugin).url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
