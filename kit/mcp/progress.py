"""What a client is told while a call takes its time, if it wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kit.markup import short
from kit.mcp.callers import Note

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext

EVERY = 1.0  # seconds: "implementations should rate limit"; MCP, basic/utilities/progress
MAX_LINE = 200  # characters of a message


@asynccontextmanager
async def progress(context: ServerRequestContext[Any, Any], operation: str) -> AsyncIterator[Note]:
    """Reports each second how long the call in the block has taken, if the client sent a progressToken.

    Of an answer that comes in lines the message is the last one, which the block gives to what it gets.
    """
    said = f"{operation} has not answered yet"

    def note(line: str) -> None:
        nonlocal said
        said = short(line, MAX_LINE)

    async def report() -> None:
        for second in range(1, 2**31):
            await asyncio.sleep(EVERY)
            await context.session.report_progress(second * EVERY, message=said)

    reporting = None
    if (context.meta or {}).get("progress_token") is not None:
        reporting = asyncio.ensure_future(report())
    try:
        yield note
    finally:
        if reporting is not None:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
