"""MCP Inspector, the protocol's own checker, on what a served plugin lists."""

from __future__ import annotations

import os
import subprocess
from typing import Annotated, Any

import pytest
from fastapi import Body
from npm import node_package
from pydantic import BaseModel

import kit


class Part(BaseModel):
    name: str
    anything: Any = None
    more: dict[str, Any] = {}
    inner: Part | None = None


@pytest.mark.skipif(os.environ.get("KIT_INTEROP") != "1", reason="installs MCP Inspector: set KIT_INTEROP=1")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_mcp_inspector_has_no_warning(todo: kit.Plugin, era: str) -> None:
    @todo.post("/parts")
    def parts(
        part: Part, note: Annotated[Any, Body()], more: Annotated[dict[str, Any], Body()]
    ) -> list[Part]:
        return [part]

    inspector = node_package("@modelcontextprotocol/inspector", "2.12.0") / "clients/launcher/build/index.js"
    with kit.serve(todo) as server:
        where = ["--cli", f"{server.url}/mcp", "--transport", "http", "--protocol-era", era]
        command = [
            "node",
            inspector,
            *where,
            "--connect-timeout",
            "60000",
            "--method",
            "tools/list",
            "--strict",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"add_todo"' in done.stdout
