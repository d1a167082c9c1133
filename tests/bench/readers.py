"""Libraries that read an OpenAPI document into tools, each in its own process: `readers.py NAME FILE` prints JSON.

It runs in the environment of a peer, where the kit is not installed: imports happen only when needed.
A reader is created, which imports its library; it then reads a file and returns how many operations became tools.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Reader = Callable[[Path], int]

# Read before the clock starts, so that late imports have happened.
WARM = {
    "openapi": "3.1.0",
    "info": {"title": "Warm", "version": "1"},
    "servers": [{"url": "https://example.com"}],
    "paths": {"/": {"get": {"operationId": "get", "responses": {"200": {"description": "OK"}}}}},
}


def kit() -> Reader:
    import kit

    return lambda file: len(kit.install(file).tools())


def fastmcp() -> Reader:
    import httpx2
    from fastmcp import FastMCP

    def read(file: Path) -> int:
        client = httpx2.AsyncClient(base_url="https://example.com")
        server = FastMCP.from_openapi(_parsed(file), client=client)
        return len(asyncio.run(server.list_tools()))

    return read


def fastapi_mcp() -> Reader:
    # what FastApiMCP calls with its app's document, the only one that it takes
    from fastapi_mcp.openapi.convert import convert_openapi_to_mcp_tools

    return lambda file: len(convert_openapi_to_mcp_tools(_parsed(file))[0])


def langchain() -> Reader:
    from langchain_classic.chains.openai_functions.openapi import openapi_spec_to_openai_fn
    from langchain_community.utilities.openapi import OpenAPISpec

    return lambda file: len(openapi_spec_to_openai_fn(OpenAPISpec.from_file(file))[0])


def semantic_kernel() -> Reader:
    from semantic_kernel import Kernel

    def read(file: Path) -> int:
        plugin = Kernel().add_plugin_from_openapi("plugin", openapi_document_path=str(file))
        return len(plugin.functions)

    return read


READERS: dict[str, Callable[[], Reader]] = {
    "kit": kit,
    "fastmcp": fastmcp,
    "fastapi-mcp": fastapi_mcp,
    "langchain": langchain,
    "semantic-kernel": semantic_kernel,
}
DISTRIBUTIONS = {  # their versions are shown
    "fastmcp": "fastmcp",
    "fastapi-mcp": "fastapi-mcp",
    "langchain": "langchain-community",
    "semantic-kernel": "semantic-kernel",
}


def _parsed(file: Path) -> Any:
    """The document as a mapping, for readers that parse neither JSON nor YAML."""
    if file.suffix == ".json":
        return json.loads(file.read_bytes())
    import yaml

    return yaml.load(file.read_bytes(), yaml.CSafeLoader)


def peak() -> float:
    """The peak memory of this process, in MB."""
    try:
        # On Linux ru_maxrss starts at the memory of the parent process.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main(name: str, file: Path) -> dict[str, Any]:
    """The time and memory of one reader for one file."""
    warnings.simplefilter("ignore")
    logging.disable()
    read = READERS[name]()
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML too; with the comment it is only YAML
        warm = Path(folder) / f"warm{file.suffix}"
        warm.write_text(("" if file.suffix == ".json" else "# YAML\n") + json.dumps(WARM))
        assert read(warm) == 1
    before = peak()
    start = time.perf_counter()
    operations = read(file)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": peak(), "before": before, "operations": operations}


if __name__ == "__main__":
    name, result = sys.argv[1], dict[str, Any]()
    try:
        if name in DISTRIBUTIONS:
            result["version"] = importlib.metadata.version(DISTRIBUTIONS[name])
        result |= main(name, Path(sys.argv[2]))
    except Exception as error:  # a document that it cannot read is a result too
        result["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    print(json.dumps(result))
