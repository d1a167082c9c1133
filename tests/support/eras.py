"""MCP's official client in both eras of the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28"}

each_era = pytest.mark.parametrize("era", ERAS)


def talk(server: Any, era: str, work: Any, **callbacks: Any) -> Any:
    """The result of `work(client)`, with a client of that era connected to `server`."""

    async def run() -> Any:
        async with Client(server, mode=era, **callbacks) as client:
            assert client.protocol_version == ERAS[era]
            return await work(client)

    return asyncio.run(run())


def calls(*each: tuple[str, dict[str, Any]]) -> Any:
    async def work(client: Client) -> list[Any]:
        return [await client.call_tool(name, arguments) for name, arguments in each]

    return work
