"""What is believed of what proxies say, and what becomes of it in the scope of a request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

import kit
from kit.plugin import outside
from kit.plugin.proxies import Proxies, read

NEAR, INNER, CLIENT = "10.0.0.9", "10.0.0.1", "203.0.113.7"
TRUSTED = "10.0.0.0/8, 2001:db8:1::/48"
MANIFEST = "/.well-known/ai-plugin.json"


def said(trusted: str = TRUSTED, /, **headers: str) -> tuple[str, str, str]:
    """Client, scheme and host by these headers of a trusted proxy."""
    named = {name.replace("_", "-").lower().encode(): [value] for name, value in headers.items()}
    found = read(named, Proxies(trusted))
    return found.client[0] if found.client else "", found.scheme, found.host


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # one proxy, and what its client has written to the left of what the proxy says
        ({"X_Forwarded_For": CLIENT, "X_Forwarded_Proto": "https"}, (CLIENT, "https", "")),
        (
            {"X_Forwarded_For": f"1.1.1.1, {CLIENT}", "X_Forwarded_Proto": "http, https", "X_Forwarded_Host": "evil.example, a.example"},
            (CLIENT, "https", "a.example"),
        ),
        # two, each of which adds; and two of which the inner one sets, or passes on
        (
            {"X_Forwarded_For": f"1.1.1.1, {CLIENT}, {INNER}", "X_Forwarded_Proto": "http, https, http", "X_Forwarded_Host": "evil.example, a.example, inner"},
            (CLIENT, "https", "a.example"),
        ),
        ({"X_Forwarded_For": f"{CLIENT}, {INNER}", "X_Forwarded_Proto": "https"}, (CLIENT, "https", "")),
        # everyone in the list is a proxy: the request began with the first
        ({"X_Forwarded_For": f"{NEAR}, {INNER}"}, (NEAR, "", "")),
        # nobody says who the client is: only the nearest proxy's word is known to be its own
        ({"X_Forwarded_Proto": "https, http", "X_Forwarded_Host": "evil.example, b.example"}, ("", "http", "b.example")),
        # forms of an address
        ({"X_Forwarded_For": "203.0.113.7:4711"}, (CLIENT, "", "")),
        ({"X_Forwarded_For": "[2001:db8::7]:4711"}, ("2001:db8::7", "", "")),
        ({"X_Forwarded_For": "2001:db8::7, 2001:db8:1::1"}, ("2001:db8::7", "", "")),
        ({"X_Forwarded_For": "<script>"}, ("", "", "")),
        ({"X_Forwarded_Proto": "javascript", "X_Forwarded_Host": "a.example/<script>"}, ("", "", "")),
        ({"X_Forwarded_Proto": "WSS"}, ("", "https", "")),
        # ports: 80 beside https is that of a proxy within
        ({"X_Forwarded_Host": "a.example", "X_Forwarded_Port": "8443"}, ("", "", "a.example:8443")),
        ({"X_Forwarded_Host": "a.example:444", "X_Forwarded_Port": "8443"}, ("", "", "a.example:444")),
        ({"X_Forwarded_Host": "[2001:db8::1]", "X_Forwarded_Port": "8443"}, ("", "", "[2001:db8::1]:8443")),
        ({"X_Forwarded_Host": "a.example", "X_Forwarded_Port": "80", "X_Forwarded_Proto": "https"}, ("", "https", "a.example")),
        ({"X_Forwarded_Host": "a.example:99999"}, ("", "", "")),
        # RFC 7239, with its own examples
        ({"Forwarded": "for=192.0.2.60;proto=http;by=203.0.113.43"}, ("192.0.2.60", "http", "")),
        ({"Forwarded": 'For="[2001:db8:cafe::17]:4711"'}, ("2001:db8:cafe::17", "", "")),
        ({"Forwarded": "for=192.0.2.43, for=198.51.100.17"}, ("198.51.100.17", "", "")),
        ({"Forwarded": "for=_gazonk"}, ("_gazonk", "", "")),
        ({"Forwarded": "for=unknown;host=a.example"}, ("unknown", "", "a.example")),
        (
            {"Forwarded": f'for=1.1.1.1;host=evil.example, for={CLIENT};proto=https;host="a.example:8443", for="{INNER}:80";proto=http'},
            (CLIENT, "https", "a.example:8443"),
        ),
        # the outer one says less than the inner one, which has passed it on
        ({"Forwarded": f"for={CLIENT}, for={INNER};proto=https;host=a.example"}, (CLIENT, "https", "a.example")),
        ({"Forwarded": 'for=192.0.2.1;ext="a;b,c\\"=d" ; host = x'}, ("", "", "")),
        ({"Forwarded": 'for=192.0.2.1;ext="a;b,c\\"=d";host=a.example'}, ("192.0.2.1", "", "a.example")),
        ({"Forwarded": "for=192.0.2.1;;"}, ("", "", "")),
        # a client writes the one, its proxy the other
        ({"X_Forwarded_For": CLIENT, "X_Forwarded_Proto": "https", "Forwarded": "for=1.1.1.1;proto=http;host=evil.example"}, (CLIENT, "https", "")),
    ],
)  # fmt: skip
def test_entries_are_read_from_the_right_up_to_the_first_stranger(
    headers: dict[str, str], expected: tuple[str, str, str]
) -> None:
    assert said(**headers) == expected


def test_where_every_proxy_is_trusted_the_first_entry_counts() -> None:
    headers = {"X_Forwarded_For": f"{CLIENT}, 1.2.3.4", "X_Forwarded_Proto": "https, http"}
    assert said("*", **headers)[:2] == (CLIENT, "https")
    assert said("*", Forwarded=f"for={CLIENT};proto=https, for=1.2.3.4;proto=http")[:2] == (CLIENT, "https")


@pytest.mark.parametrize(
    ("client", "trusted"),
    [("10.3.2.1", True), ("::ffff:10.3.2.1", True), ("2001:db8:1:2::3", True), ("11.0.0.1", False), ("127.0.0.1", False),
     ("2001:db8:2::1", False), ("a name", False)],
)  # fmt: skip
def test_a_proxy_is_trusted_by_its_address_or_network(client: str, trusted: bool) -> None:
    assert (client in Proxies(TRUSTED)) == trusted
    assert client in Proxies("*")


@pytest.fixture(autouse=True)
def _not_warned() -> Iterator[None]:
    outside._warned.clear()
    yield
    outside._warned.clear()


def make(app: Any = None, **options: Any) -> kit.Plugin:
    plugin = (
        kit.Plugin("todo", description_for_model="Todos.", **options)
        if app is None
        else kit.Plugin.wrap(app, **options)
    )
    routes = plugin if app is None else app

    @routes.get("/todos")
    def list_todos(request: Request) -> dict[str, Any]:
        client, url_for = request.client, request.url_for("get_todo", number=1)
        return {
            "client": client and client.host,
            "url": str(request.url),
            "one": str(url_for),
            "path": request.scope["path"],
        }

    @routes.get("/todos/{number}")
    def get_todo(number: int) -> int:
        return number

    @routes.get("/lists/")
    def lists() -> str:
        return "lists"

    return plugin


def through(plugin: Any, client: tuple[str, int] | None = ("127.0.0.1", 4711)) -> TestClient:
    return TestClient(plugin, base_url="http://inner:8000", client=client, follow_redirects=False)  # type: ignore[arg-type]


HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example", "X-Forwarded-For": CLIENT}


def test_a_trusted_proxys_word_is_in_the_request() -> None:
    client = through(make())
    answer = client.get("/todos", headers=HTTPS).json()
    assert answer == {
        "client": CLIENT,
        "url": "https://a.example/todos",
        "one": "https://a.example/todos/1",
        "path": "/todos",
    }
    assert client.get("/lists", headers=HTTPS).headers["location"] == "https://a.example/lists/"


@pytest.mark.parametrize(
    "header", [*HTTPS.items(), ("Forwarded", "proto=https"), ("X-Forwarded-Prefix", "/x")]
)
def test_a_strangers_word_changes_nothing_and_is_told_of_once(
    header: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    client = through(make(), (NEAR, 4711))
    with caplog.at_level(logging.WARNING, "uvicorn.error"):
        for _ in range(3):
            answer = client.get("/todos", headers=dict([header])).json()
            assert answer["url"] == "http://inner:8000/todos"
            assert answer["client"] == NEAR
    (record,) = caplog.records
    assert header[0] in record.getMessage()
    assert f"FORWARDED_ALLOW_IPS={NEAR}" in record.getMessage()


def test_nobody_is_warned_of_where_nothing_would_change(caplog: pytest.LogCaptureFixture) -> None:
    client = through(make(), (NEAR, 4711))
    client.get("/todos", headers={"X-Forwarded-Proto": "http", "X-Forwarded-Host": "inner:8000"})
    through(make()).get("/todos", headers=HTTPS)
    through(make(), None).get("/todos", headers=HTTPS)
    assert not caplog.records


def test_who_connects_to_a_unix_socket_is_trusted() -> None:
    assert through(make(), None).get("/todos", headers=HTTPS).json()["one"] == "https://a.example/todos/1"


def test_the_setting_replaces_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", TRUSTED)
    assert through(make(), (NEAR, 1)).get("/todos", headers=HTTPS).json()["client"] == CLIENT
    assert through(make()).get("/todos", headers=HTTPS).json()["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("FORWARDED_ALLOW_IPS", "10.0.0.1, proxy"), ("FORWARDED_ALLOW_IPS", "10.0.0.0/99"), ("ROOT_PATH", "todo"),
     ("ROOT_PATH", "https://a.example/todo"), ("METRICS_PORT", "on")],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(kit.KitError, match=name):
        make()


# -- a prefix -------------------------------------------------------------------------

WAYS: dict[str, tuple[dict[str, str], dict[str, str], dict[str, Any]]] = {
    "ROOT_PATH": ({"ROOT_PATH": "/{}/"}, {}, {}),
    "a header": ({}, {"X-Forwarded-Prefix": "/{}"}, {}),
    "PUBLIC_URL": ({"PUBLIC_URL": "https://a.example/{}"}, {}, {}),
    "public_url": ({}, {}, {"public_url": "https://a.example/{}/"}),
}


@pytest.mark.parametrize("prefix", ["v1", "v1/x", "todos", "a%20b"])
@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_paths_with_the_prefix_and_without_it_are_the_same(
    way: str, is_wrapped: bool, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, headers, options = (
        {key: value.format(prefix) for key, value in each.items()} for each in WAYS[way]
    )
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    client = through(make(FastAPI(title="Todo") if is_wrapped else None, **options))
    base, headers = f"https://a.example/{prefix}", {**HTTPS, **headers}
    for path in ("", f"/{prefix}"):
        answer = client.get(f"{path}/todos/5", headers=headers)
        assert answer.json() == 5, (path, answer.text)
        assert client.get(f"{path}/lists", headers=headers).headers["location"] == f"{base}/lists/"
        assert (
            client.get(f"{path}{MANIFEST}", headers=headers).json()["api"]["url"].startswith(f"{base}/.well")
        )
        assert client.get(f"{path}/health", headers=headers).json() == {"status": "ok"}
        assert client.get(f"{path}/no/such/path", headers=headers).status_code == 404
    listed = client.get("/todos", headers=headers).json()
    assert listed["one"] == f"{base}/todos/1"
    if not is_wrapped:
        assert "<html" in client.get(f"/{prefix}/", headers=headers).text


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_fastapis_own_root_path_is_a_prefix(is_wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_one() -> kit.Plugin:
        return make(FastAPI(title="Todo", root_path="/api")) if is_wrapped else make(root_path="/api")

    for path in ("", "/api"):
        client = through(make_one())
        assert client.get(f"{path}/todos", headers=HTTPS).json()["one"] == "https://a.example/api/todos/1"
        assert client.get(f"{path}/lists").headers["location"] == "http://inner:8000/api/lists/"
    monkeypatch.setenv("PUBLIC_URL", "https://b.example/other")
    client = through(make_one())
    assert client.get("/other/todos/5").json() == client.get("/todos/5").json() == 5
    assert client.get(MANIFEST).json()["legal_info_url"] == "https://b.example/other/legal"


def test_a_plugin_mounted_in_an_app_behind_a_proxy() -> None:
    app = FastAPI()
    app.mount("/plugins/todo", make())
    headers = {**HTTPS, "X-Forwarded-Prefix": "/v1"}
    manifest = through(app).get(f"/plugins/todo{MANIFEST}", headers=headers).json()
    assert manifest["legal_info_url"] == "https://a.example/v1/plugins/todo/legal"
    moved = through(app).get("/plugins/todo/lists", headers=headers).headers["location"]
    assert moved == "https://a.example/v1/plugins/todo/lists/"


def test_a_prefix_that_is_none_is_not_believed() -> None:
    for prefix in ("//evil.example", "/a b", "x", "/a%0Ab", "https://evil.example"):
        answer = through(make()).get("/todos", headers={**HTTPS, "X-Forwarded-Prefix": prefix}).json()
        assert answer["one"] == "https://a.example/todos/1"


def test_allowed_hosts_are_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://a.example")
    monkeypatch.setenv("ALLOWED_HOSTS", "b.example")
    client = through(make())
    assert client.get("/todos").status_code == 400
    assert client.get("/todos", headers={"Host": "b.example"}).json()["one"] == "https://a.example/todos/1"
