"""`kit.form` and `/docs` without a browser: what they are given, who may use them, what stays FastAPI's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import kit


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=60) as client:
        yield client


def data_of(page: str) -> Any:
    return json.loads(re.findall(r'<script type="application/json" id="about">(.*?)</script>', page)[0])


def call(http: httpx2.Client, form: kit.Form, **body: Any) -> Any:
    shown = data_of(http.get(form.url).text)
    base, _, query = form.url.partition("/form?")
    token = query.partition("token=")[2].partition("&")[0]
    answer = http.post(f"{base}/{shown['send']}", json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.json()


# -- a form in a cell -------------------------------------------------------------------------


def test_whatever_can_be_called_has_a_form(todo: kit.Plugin, http: httpx2.Client) -> None:
    with kit.serve(todo) as server:
        given = {"username": "sam", "todo": "buy milk"}
        for source in (todo, server, kit.install(server), kit.install(todo), server.url):
            form = kit.form(source, "add_todo", username="sam")
            about = data_of(http.get(form.url).text)
            assert about["values"] == {"username": "sam"}
            assert (about["method"], about["path"]) == ("POST", "/users/{username}/todos")
            assert call(http, form, arguments=given)["status"] == 200
        assert [it.status for it in server.calls if it.method == "POST"] == [200] * 4  # one needs no socket
        assert kit.form(server, "add_todo").url == kit.form(server, "add_todo").url
        with pytest.raises(kit.OperationError, match="add_tod"):
            todo.form("add_tod")
    assert call(http, todo.form("add_todo"), arguments=given)["status"] == 200  # in process, served no longer


def test_a_cell_that_runs_again_is_followed(http: httpx2.Client) -> None:
    plugin = kit.Plugin("changing", description_for_model="Changes.")

    @plugin.get("/words")
    def words(first: str) -> str:
        return first

    form = plugin.form("words")
    assert list(data_of(http.get(form.url).text)["schema"]["properties"]) == ["first"]

    @plugin.get("/words")
    def words(first: str, second: int = 2) -> str:
        return first * second

    assert list(data_of(http.get(form.url).text)["schema"]["properties"]) == ["first", "second"]
    assert call(http, form, arguments={"first": "a", "second": 3})["json"] == '"aaa"'


def test_who_may_use_a_form(todo: kit.Plugin, http: httpx2.Client) -> None:
    form = todo.form("list_todos")
    base = form.url.partition("/form?")[0]
    assert http.get(form.url.replace("token=", "token=x")).status_code == 403
    assert http.get(form.url, headers={"Host": "evil.example"}).status_code == 403
    assert "unsafe" not in http.get(form.url).headers["content-security-policy"]
    path = f"{base}/api/forms/todo/list_todos"
    assert http.post(path, json={"arguments": {}}).status_code == 401
    token = form.url.partition("token=")[2].partition("&")[0]
    mine = {"Authorization": f"Bearer {token}"}
    assert http.post(path, json={}, headers={**mine, "Origin": "https://evil.example"}).status_code == 403
    for body in ({}, {"arguments": 5}):
        assert http.post(path, json=body, headers=mine).json()["error"]
    gone = http.get(form.url.replace("plugin=todo", "plugin=gone"))
    assert gone.json()["remedy"] == "Run its cell again."


def test_what_does_not_fit_is_refused_and_sent_only_anyway(todo: kit.Plugin, http: httpx2.Client) -> None:
    form = todo.form("add_todo")
    refused = call(http, form, arguments={"username": "sam", "todo": 5})
    assert refused == {"problems": ["todo: must be a string, not 5"]}
    sent = call(http, form, arguments={"username": "sam", "todo": 5}, anyway=True)
    assert sent["status"] == 422
    assert json.loads(sent["json"])["detail"][0]["loc"] == ["body", "todo"]
    nothing = call(http, form, arguments={}, anyway=True)  # not even the name in the path
    assert nothing["status"] in (404, 422)
    assert call(http, form, arguments={"username": {"a": [None]}, "todo": None}, anyway=True)["status"] == 422


def test_a_form_in_a_cell_shows_a_sentence_when_it_is_opened_again(
    todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    form = todo.form("add_todo")
    form._ipython_display_()
    (output,) = shown
    assert re.search(
        r"<object [^>]*>The form of add_todo is served while .* run this cell", output["text/html"]
    )
    assert output["text/plain"] == form.url


# -- /docs ----------------------------------------------------------------------------------------


def plugin_with(**options: Any) -> TestClient:
    plugin = kit.Plugin("words", description_for_model="Has words.", **options)

    @plugin.get("/{name}")
    def word(name: str) -> str:
        return name

    return TestClient(plugin)


def test_docs_are_the_forms_and_need_no_network() -> None:
    page = plugin_with().get("/docs").text
    assert [it["operation"] for it in data_of(page)["operations"]] == ["word"]
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    policy = re.findall(r'content-security-policy" content="([^"]*)"', page)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert plugin_with().get("/redoc").json() == "redoc"  # an operation's own


def test_the_authors_own_settings_of_fastapi_stay() -> None:
    assert plugin_with(docs_url=None).get("/docs").json() == "docs"
    own = plugin_with(docs_url="/try", redoc_url="/read")
    assert "swagger-ui" in own.get("/try").text
    assert "redoc" in own.get("/read").text
    assert own.get("/docs").json() == "docs"
    assert "swagger-ui" in plugin_with(docs_url="/docs").get("/docs").text
    assert plugin_with(openapi_url=None).get("/docs").json() == "docs"


def test_a_page_of_the_authors_own_at_docs_stays() -> None:
    plugin = kit.Plugin("words", description_for_model="Has words.")

    @plugin.get("/docs", include_in_schema=False)
    def own() -> str:
        return "mine"

    assert TestClient(plugin).get("/docs").json() == "mine"


def test_a_wrapped_app_has_the_forms_where_it_had_its_page() -> None:
    for options, path in (({}, "/docs"), ({"docs_url": "/try"}, "/try"), ({"docs_url": None}, "")):
        app = FastAPI(title="Words", **options)
        app.get("/{name}")(lambda name: name)
        client = TestClient(kit.Plugin.wrap(app))
        if path:
            assert data_of(client.get(path).text)["path"] == path
        else:
            assert client.get("/docs").json() == "docs"
    assert (
        "swagger-ui" in TestClient(kit.Plugin.wrap(FastAPI(title="Words"), docs_url=None)).get("/docs").text
    )


def test_docs_says_what_has_changed_and_where_a_token_goes() -> None:
    plugin = kit.Plugin("safe", description_for_model="Safe.", auth=kit.ServiceHttp(tokens="s3cret"))
    client = TestClient(plugin)
    assert data_of(client.get("/docs").text)["operations"] == []

    @plugin.get("/first")
    def first() -> str:
        return "</script><script>"

    (operation,) = data_of(client.get("/docs").text)["operations"]
    assert operation["auth"] == [{"in": "header", "name": "Authorization", "scheme": "bearer"}]
    assert operation["wants"] == "Token"
    assert "s3cret" not in client.get("/docs").text
