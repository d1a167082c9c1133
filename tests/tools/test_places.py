"""Each value arrives as it was given: in a path, a query, a header and a cookie."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from fastapi import Cookie, Header

import kit
from kit.openapi.operation import FRAMING_HEADERS
from kit.openapi.spec import Spec
from kit.tools.tool import Tool, make_tools


def tool(*parameters: Any, path: str = "/x", **more: Any) -> Tool:
    operation = {"operationId": "x", "parameters": list(parameters), "responses": {}}
    info = {"title": "T", "version": "1"}
    return make_tools(Spec({"openapi": "3.1.0", "info": info, "paths": {path: {"post": operation}}, **more}))[
        "x"
    ]


def parameter(name: str, place: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema or {"type": "string"},
        **more,
    }


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/a b/{id}", "/a%20b/1"),
        ("/ü/{id}", "/%C3%BC/1"),
        ("/a%20b/{id}", "/a%20b/1"),
        ("/100%/{id}", "/100%25/1"),
        ("/x:go/{id}(a='b')", "/x:go/1(a='b')"),
        ('/"<>\\^`|/{id}', "/%22%3C%3E%5C%5E%60%7C/1"),
        ("/x/{id}?do=go on", "/x/1?do=go%20on"),
    ],
)
def test_the_words_of_a_path_are_escaped(path: str, url: str) -> None:
    assert tool(parameter("id", "path"), path=path).request({"id": "1"}).url == url


@pytest.mark.parametrize("value", ["a;b c", 'say "x"', "ü€", "a\\b", "50%", "%41", "a,b", "a=b/c?d"])
def test_a_cookie_is_escaped_as_a_url_is(value: str) -> None:
    request = tool(parameter("c", "cookie"), parameter("d", "cookie")).request({"c": value, "d": "1"})
    ((name, line),) = request.headers
    first, last = line.split("; ")
    assert (name, last) == ("Cookie", "d=1")
    assert unquote(first.removeprefix("c=")) == value
    assert first.isascii()
    assert not set(first) & set(' ",;\\')


def test_a_cookie_as_it_is_keeps_its_percent_signs_and_adds_no_other_cookie() -> None:
    raw = parameter("c", "cookie", style="cookie")
    assert tool(raw).request({"c": "a%20b"}).headers == [("Cookie", "c=a%20b")]
    assert tool(raw).request({"c": "a; admin=1"}).headers == [("Cookie", "c=a%3B%20admin=1")]
    keys = parameter("c", "cookie", {"type": "object"}, explode=True)
    assert tool(keys).request({"c": {"a; b=": "1"}}).headers == [("Cookie", "a%3B%20b%3D=1")]


@pytest.mark.parametrize(
    "value", ["a#b", "&admin=1", "a+b", "100%", "%26x=1", "a/b:c?d@e!f", "[1]", "a=b", "a b"]
)
def test_allow_reserved_loses_and_adds_nothing(value: str) -> None:
    url = (
        tool(parameter("q", "query", allowReserved=True), parameter("r", "query"))
        .request({"q": value, "r": "1"})
        .url
    )
    parts = urlsplit(url)
    assert parse_qsl(parts.query) == [("q", value), ("r", "1")]
    assert parts.fragment == ""


def test_a_whole_number_is_written_as_one_where_it_is_an_integer() -> None:
    integer = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    places = [parameter("p", "path", {"allOf": [{"type": "integer"}]}), parameter("q", "query", integer), parameter("h", "header", {"type": "array", "items": integer}), parameter("n", "query", {"type": "number"})]  # fmt: skip
    request = tool(*places, path="/x/{p}").request({"p": 3.0, "q": 3.0, "h": [1.0, 2.0], "n": 3.0})
    assert request.url == "/x/3?q=3&n=3.0"
    assert request.headers == [("h", "1,2")]


def test_a_whole_number_in_a_body_too() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "l": {"type": "array", "items": {"enum": [1, 2]}}, "f": {"type": "number"}}}  # fmt: skip
    operation = {"operationId": "x", "requestBody": {"content": {"application/json": {"schema": schema}}}, "responses": {}}  # fmt: skip
    document = {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "paths": {"/x": {"post": operation}},
    }
    request = make_tools(Spec(document))["x"].request({"n": 3.0, "l": [1.0], "f": 3.0})
    assert request.body == b'{"n": 3, "l": [1], "f": 3.0}'


def test_headers_and_cookies_arrive_at_fastapi() -> None:
    plugin = kit.Plugin("places", description_for_model="Places.")

    @plugin.get("/x")
    def x(
        x_tags: Annotated[list[str], Header()], n: int, session: Annotated[str | None, Cookie()] = None
    ) -> list[Any]:
        return [x_tags, n, session]

    installed = kit.install(plugin)
    assert installed.call("x", {"x-tags": ["a", "b,c"], "n": 3.0, "session": "a=b/c"}).data == [
        ["a", "b,c"],
        3,
        "a=b/c",
    ]


def test_elsewhere_a_list_in_a_header_is_one_line_as_openapi_says() -> None:
    items = parameter("X-Tags", "header", {"type": "array", "items": {"type": "string"}})
    assert tool(items).request({"X-Tags": ["a", "b"]}).headers == [("X-Tags", "a,b")]


@pytest.mark.parametrize("name", ["Host", "Content-Length", "transfer-encoding", "Connection"])
def test_a_header_that_frames_the_request_is_never_sent_as_given(name: str) -> None:
    assert name.lower() in FRAMING_HEADERS
    one = tool(parameter(name, "header", required=True))
    assert one.arguments == {}
    (problem,) = [message for _, message in one.operation.spec.problems if name in message]
    assert "never sent as given" in problem
