"""Pictures, sounds and files in the answers of a plugin, as MCP's clients get them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from eras import each_era, talk
from fastapi import Response
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

import kit

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.fixture(scope="module")
def plugin() -> kit.Plugin:
    plugin = kit.Plugin("media", description_for_model="Files.", auth=kit.ServiceHttp(tokens="sesame"))

    @plugin.get("/chart", response_class=Response)
    def chart() -> Response:
        return Response(PNG, media_type="image/png")

    @plugin.get("/svg")
    def drawing() -> Response:
        return Response(SVG, media_type="image/svg+xml")

    @plugin.get("/tiff")
    def scan() -> Response:
        return Response(b"II*\0", media_type="image/tiff")

    @plugin.get("/sound")
    def sound() -> Response:
        return Response(b"RIFF\0\0", media_type="audio/wav")

    @plugin.get("/reports/{name}")
    def report(name: str, page: int = 1) -> Response:
        return Response(b"%PDF\0" + f"{name} {page}".encode(), media_type="application/pdf")

    @plugin.post("/archive")
    def archive() -> Response:
        return Response(b"PK\0\0", media_type="application/zip")

    @plugin.get("/large")
    def large() -> Response:
        return Response(PNG + bytes(400_000), media_type="image/png")

    @plugin.get("/several")
    def several() -> dict[str, list[Any]]:
        picture = {"name": "a.png", "mime_type": "image/png", "content": base64.b64encode(PNG).decode()}
        table = {"name": "b c.csv", "mime_type": "text/csv", "content": base64.b64encode(b"a,b").decode()}
        broken = {"name": "d", "mime_type": "image/png", "content": "?"}
        return {"openaiFileResponse": [picture, "https://example.com/x.pdf", table, broken]}

    return plugin


@pytest.fixture(scope="module")
def url(plugin: kit.Plugin) -> Iterator[str]:
    with kit.serve(plugin) as server:
        yield server.url


@pytest.fixture(scope="module")
def installed(plugin: kit.Plugin) -> kit.InstalledPlugin:
    return kit.install(plugin, auth="sesame")


@asynccontextmanager
async def with_token(url: str) -> AsyncIterator[Any]:
    headers = {"Authorization": "Bearer sesame"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as client,
        streamable_http_client(f"{url}/mcp", http_client=client) as streams,
    ):
        yield streams


@each_era
def test_each_is_content_of_its_own_kind(url: str, era: str) -> None:
    names = ["chart", "drawing", "scan", "sound", "archive", "large", "several"]

    async def work(client: Client) -> dict[str, Any]:
        await client.list_tools()  # so that the client checks each result against its outputSchema
        return {name: await client.call_tool(name, {}) for name in names}

    found = talk(with_token(url), era, work)
    kinds = {name: [part.type for part in result.content] for name, result in found.items()}
    assert kinds == {
        "chart": ["text", "image"],
        "drawing": ["text"],  # a model reads it, and no model looks at it
        "scan": ["text", "resource_link"],  # the models' APIs refuse such a picture
        "sound": ["text", "audio"],
        "archive": ["text", "resource"],  # a link would run the operation again
        "large": ["text", "resource_link"],
        "several": ["text", "image", "resource_link", "resource"],
    }
    assert not any(result.is_error for result in found.values())
    picture, sound = found["chart"].content[1], found["sound"].content[1]
    assert (base64.b64decode(picture.data), picture.mime_type) == (PNG, "image/png")
    assert (base64.b64decode(sound.data), sound.mime_type) == (b"RIFF\0\0", "audio/wav")
    assert found["drawing"].content[0].text == SVG
    assert found["large"].content[1].size == len(PNG) + 400_000
    assert base64.b64decode(found["archive"].content[1].resource.blob) == b"PK\0\0"
    _, first, link, table = found["several"].content
    assert base64.b64decode(first.data) == PNG
    assert (str(link.uri), link.name) == ("https://example.com/x.pdf", "x.pdf")
    assert (str(table.resource.uri), table.resource.text) == ("attachment:b%20c.csv", "a,b")
    listed = found["several"].structured_content["openaiFileResponse"]
    assert listed[0] == {"name": "a.png", "mime_type": "image/png", "content": "[70 bytes: attached]"}
    assert listed[3]["content"] == "?"


@pytest.mark.parametrize(
    ("version", "kinds"),
    [
        ("2024-11-05", {"chart": "image", "sound": "", "report": ""}),
        ("2025-03-26", {"chart": "image", "sound": "audio", "report": ""}),
        ("2025-06-18", {"chart": "image", "sound": "audio", "report": "resource_link"}),
    ],
)
def test_an_older_client_gets_what_its_version_has(url: str, version: str, kinds: dict[str, str]) -> None:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": "Bearer sesame",
        "MCP-Protocol-Version": version,
    }
    for name, kind in kinds.items():
        arguments = {"name": "a"} if name == "report" else {}
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }
        answer = httpx2.post(f"{url}/mcp", json=body, headers=headers, trust_env=False, timeout=50)
        content = answer.json()["result"]["content"]
        assert [part["type"] for part in content] == list(filter(None, ["text", kind]))


@each_era
def test_a_link_is_read_through_the_server_and_leads_nowhere_else(url: str, era: str) -> None:
    async def work(client: Client) -> Any:
        result = await client.call_tool("report", {"name": "a b", "page": 2})
        read = await client.read_resource(result.content[1].uri)
        assert (await client.list_resources()).resources == []
        refused = []
        for uri in (
            "file:///etc/passwd",
            "https://example.com/x.pdf",
            f"{url}/archive",  # POST
            f"{url}/reports/../archive",
            f"{url}/reports/%2e%2e",
            f"{url}/reports/a/b",
            f"{url}/reports/a?page=two",
        ):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            refused.append(str(caught.value))
        return result.content[1], read.contents, refused

    link, (content,), refused = talk(with_token(url), era, work)
    assert (str(link.uri), link.name) == (f"{url}/reports/a%20b?page=2", "a b")
    assert (link.mime_type, content.mime_type) == ("application/pdf", "application/pdf")
    assert base64.b64decode(content.blob) == b"%PDF\0a b 2"
    assert all("is no resource of this server" in words for words in refused[:-1])
    assert refused[-1].endswith("was not read: 422.")


def test_a_picture_shows_beneath_its_call(installed: kit.InstalledPlugin) -> None:
    picture, drawing, sound = (installed.call(name) for name in ("chart", "drawing", "sound"))
    (file,) = picture.files
    assert (file.media_type, file.content) == ("image/png", PNG)
    address = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert f'<img src="{address}" alt="chart, image/png, 70 bytes"' in picture._repr_html_()
    encoded = base64.b64encode(SVG.encode()).decode()
    html = drawing._repr_html_()
    assert f'<img src="data:image/svg+xml;base64,{encoded}"' in html  # where no script runs
    assert "<script" not in html
    assert '<audio controls src="data:audio/wav;base64,' in sound._repr_html_()
    assert installed.call("large").files[0].content == b""
    assert "<img" not in installed.call("large")._repr_html_()
    assert [file.name for file in installed.call("several").files] == ["a.png", "", "b c.csv"]


def test_a_media_type_is_no_html() -> None:
    plugin = kit.Plugin("evil", description_for_model="Evil.")

    @plugin.get("/evil")
    def evil() -> Response:
        return Response(b"\0", media_type='image/x"><script>')

    assert "<script" not in kit.install(plugin).call("evil")._repr_html_()
