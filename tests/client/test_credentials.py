"""Installing a plugin with auth: where a secret goes, whom it reaches, and signing in by OAuth."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import pytest
from authserver import AuthServer, plugin_of
from fastapi import Security
from fastapi.security import APIKeyHeader, APIKeyQuery
from strangers import Stranger, manifest, openapi

import kit
from kit.client import vault
from kit.client.proof import Proof, home

SECRET = "s3cret-of-sam-42"
OTHER = "0ther-s3cret-4711"
BEARER = {"type": "http", "scheme": "bearer"}
BASIC = {"type": "http", "scheme": "basic"}
HEADER = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
QUERY = {"type": "apiKey", "in": "query", "name": "appid"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "sid"}
OAUTH = {"type": "oauth2", "flows": {}}
MTLS = {"type": "mutualTLS"}


def with_security(schemes: dict[str, Any], security: Any = None, own: Any = None) -> dict[str, Any]:
    """A document whose root, and whose operation, have this `security`."""
    operation: dict[str, Any] = {"operationId": "list_things", "responses": {}}
    root = {} if security is None else {"security": security}
    return openapi(
        {"/things": {"get": operation if own is None else {**operation, "security": own}}},
        components={"securitySchemes": schemes},
        **root,
    )


def sent(document: dict[str, Any], auth: Any, **more: Any) -> tuple[str, dict[str, str], kit.InstalledPlugin]:
    """What a call sends: its target, those of its headers that prove who calls, and the plugin."""
    names = ("authorization", "x-api-key", "cookie", "x-more")
    with Stranger({"/openapi.json": (200, {}, document), "/things": (200, {}, [])}) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json", auth=auth, **more)
        result = plugin.call("list_things")
        _, target, headers, _ = stranger.requests[-1]
    for secret in (SECRET, OTHER):
        shown = repr(plugin) + plugin._repr_html_() + repr(result) + result._repr_html_() + result.url
        assert secret not in shown + repr(plugin.credentials) + repr(plugin.problems)
    return target, {name: headers[name] for name in names if name in headers}, plugin


# -- where it goes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schemes", "security", "own", "target", "headers"),
    [
        ({"k": QUERY}, [{"k": []}], None, f"/things?appid={SECRET}", {}),
        ({"o": OAUTH, "k": HEADER}, [{"k": []}], None, "/things", {"x-api-key": SECRET}),
        ({"b": BASIC, "k": HEADER}, [], [{"k": []}], "/things", {"x-api-key": SECRET}),
        ({"k": HEADER}, [{"k": []}], [], "/things", {}),
        ({"k": HEADER}, [], None, "/things", {}),
        ({"k": COOKIE}, [{"k": []}], None, "/things", {"cookie": f"sid={SECRET}"}),
        ({"o": OAUTH}, [{"o": ["read"]}], None, "/things", {"authorization": f"Bearer {SECRET}"}),
        ({"m": MTLS, "k": HEADER}, [{"m": []}, {"k": []}], None, "/things", {"x-api-key": SECRET}),
        ({"m": MTLS, "k": HEADER}, [{"m": [], "k": []}], None, "/things", {}),
        ({"k": HEADER}, [{}, {"k": []}], None, "/things", {"x-api-key": SECRET}),
        ({"k": HEADER}, [{"unknown": []}], None, "/things", {}),
        ({}, None, None, "/things", {"authorization": f"Bearer {SECRET}"}),
        ({}, [], None, "/things", {}),
        ({"k": HEADER}, None, None, "/things", {"x-api-key": SECRET}),
    ],
)
def test_security_decides(
    schemes: Any, security: Any, own: Any, target: str, headers: dict[str, str]
) -> None:
    assert sent(with_security(schemes, security, own), SECRET)[:2] == (target, headers)


def test_several_at_once_each_by_its_name() -> None:
    document = with_security({"k": HEADER, "q": QUERY, "c": COOKIE}, [{"k": [], "q": [], "c": []}])
    target, headers, _ = sent(document, {"k": SECRET, "q": OTHER, "c": "third/one"})
    assert (target, headers) == (f"/things?appid={OTHER}", {"x-api-key": SECRET, "cookie": "sid=third/one"})


def test_of_alternatives_the_one_for_which_there_is_a_secret() -> None:
    document = with_security({"b": BEARER, "k": HEADER}, [{"b": []}, {"k": []}])
    assert sent(document, {"k": SECRET})[1] == {"x-api-key": SECRET}
    _, headers, plugin = sent(document, {"typo": SECRET})
    assert headers == {}
    assert "'typo', which no operation asks for; there are: b, k" in str(plugin.problems)


def test_basic_is_encoded_once() -> None:
    encoded = base64.b64encode(f"me:{SECRET}".encode()).decode()
    for secret in (f"me:{SECRET}", encoded):
        assert sent(with_security({"b": BASIC}, [{"b": []}]), secret)[1] == {
            "authorization": f"Basic {encoded}"
        }


def test_headers_are_for_what_no_document_says() -> None:
    assert sent(openapi(), None, headers={"X-More": SECRET})[1] == {"x-more": SECRET}
    document = with_security({"b": BEARER}, [{"b": []}])
    assert sent(document, OTHER, headers={"authorization": f"Token {SECRET}"})[1] == {
        "authorization": f"Token {SECRET}"
    }
    with pytest.raises(kit.InstallError, match="not a header's name"):
        sent(openapi(), None, headers={"X More": SECRET})


def test_what_cannot_be_served_or_sent_is_said() -> None:
    _, _, plugin = sent(with_security({"m": MTLS}, [{"m": []}]), SECRET)
    assert ("/components/securitySchemes/m", "is mutualTLS, which the kit cannot serve: nothing is sent for it") in plugin.problems  # fmt: skip
    assert any(place == "auth" and "is not sent" in why for place, why in plugin.problems)
    pages = {"/.well-known/ai-plugin.json": (200, {}, manifest("/o.json")), "/o.json": (200, {}, openapi())}
    with Stranger({**pages, "/things": (200, {}, [])}) as stranger:  # its manifest says none
        plugin = kit.install(stranger.url, auth=SECRET)
        plugin.call("list_things")
        assert "authorization" not in stranger.requests[-1][2]
    assert any("neither manifest nor spec asks for one" in why for _, why in plugin.problems)


@pytest.mark.parametrize("wrong", ["", "a\nb", "\ud800", 5])
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(wrong: Any) -> None:
    with pytest.raises(kit.InstallError) as refused:
        sent(openapi(), wrong)
    assert "a\nb" not in str(refused.value)


def test_a_plugin_of_ones_own_with_fastapis_security() -> None:
    plugin = kit.Plugin("own", description_for_model="own")

    @plugin.get("/header")
    def header(key: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> bool:
        return key == SECRET

    @plugin.get("/query")
    def query(key: Annotated[str, Security(APIKeyQuery(name="key"))]) -> bool:
        return key == SECRET

    @plugin.get("/echo")
    def echo(key: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> str:
        return f"you sent {key}"

    inside = kit.install(plugin, auth=SECRET)
    with kit.serve(plugin) as server:
        served = kit.install(server, auth=SECRET)
        for installed in (inside, served):
            assert (installed.call("header").data, installed.call("query").data) == (True, True)
            assert installed.call("echo").data == "you sent ***"  # nor does a model read it


# -- whom it reaches ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "base", "is_vouched", "bound"),
    [
        ("https://a.example", "https://a.example/v1", False, "https://a.example:443"),
        ("https://a.example", "https://api.a.example", True, "https://api.a.example:443"),
        ("https://a.example", "https://api.a.example", False, ""),
        ("https://a.example", "https://evil.example", True, ""),
        ("https://a.example", "http://a.example", True, ""),
        ("https://a.example", "https://a.example:8443", False, ""),
        ("http://a.example", "https://a.example", False, "https://a.example:443"),
        ("http://localhost:1", "http://127.0.0.1:1", False, "http://localhost:1"),
        ("http://localhost:1", "http://localhost:2", True, ""),
    ],
)
def test_a_secret_is_for_the_origin_that_was_named(
    source: str, base: str, is_vouched: bool, bound: str
) -> None:
    assert home(source, base, is_vouched) == bound


@pytest.mark.parametrize("has_manifest", [True, False])
def test_another_port_of_this_machine_gets_nothing(has_manifest: bool) -> None:
    with Stranger({"/things": (200, {}, [])}) as other:
        spec = {**with_security({"b": BEARER}, [{"b": []}]), "servers": [{"url": other.url}]}
        pages: dict[str, Any] = {"/openapi.json": (200, {}, spec)}
        if has_manifest:
            auth = {"type": "user_http", "authorization_type": "bearer"}
            pages["/.well-known/ai-plugin.json"] = (200, {}, manifest("/openapi.json", auth=auth))
        with Stranger(pages) as stranger:
            plugin = kit.install(stranger.url, auth=SECRET, headers={"X-More": OTHER})
            meant = kit.install(stranger.url, auth=SECRET, base_url=other.url)
        plugin.call("list_things")
        assert not any({"authorization", "x-more"} & headers.keys() for _, _, headers, _ in other.requests)
        assert any(other.url in why and "base_url=" in why for _, why in plugin.problems)
        meant.call("list_things")
        assert other.requests[-1][2]["authorization"] == f"Bearer {SECRET}"


def test_a_redirect_to_elsewhere_gets_nothing_and_one_within_gets_it_once() -> None:
    proof = Proof("https://a.example:443", [("Authorization", SECRET)], [("key", SECRET)])
    assert proof.added_to("https://a.example/x?key=old&b=1") == f"https://a.example/x?b=1&key={SECRET}"
    assert not proof.belongs_to("http://a.example/x")
    pages: dict[str, Any] = {
        "/openapi.json": (200, {}, with_security({"k": QUERY}, [{"k": []}])),
        "/things": (307, {"location": f"/again?appid={SECRET}"}, ""),
        "/again": (200, {}, []),
    }
    with Stranger(pages) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json", auth=SECRET)
        plugin.call("list_things")
        assert stranger.requests[-1][1] == f"/again?appid={SECRET}"
        with Stranger({}) as other:
            pages["/things"] = (307, {"location": f"{other.url}/steal"}, "")
            assert plugin.call("list_things").status == 307
            assert other.requests == []


def test_errors_do_not_show_a_key_of_the_query() -> None:
    with Stranger({"/openapi.json": (200, {}, with_security({"k": QUERY}, [{"k": []}]))}) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json", auth=SECRET)
    result = plugin.call("list_things")  # nobody answers any more
    assert result.status is None
    assert SECRET not in result.url + json.dumps(result.data) + repr(result) + result._repr_html_()


# -- several plugins ------------------------------------------------------------------


@pytest.fixture
def two() -> Iterator[tuple[Stranger, Stranger]]:
    auth = {"type": "user_http", "authorization_type": "bearer"}

    def pages(name: str) -> dict[str, Any]:
        about = manifest("/o.json", auth=auth, name_for_model=name)
        return {"/.well-known/ai-plugin.json": (200, {}, about), "/o.json": (200, {}, openapi()), "/things": (200, {}, [])}  # fmt: skip

    with Stranger(pages("first")) as first, Stranger(pages("second")) as second:
        yield first, second


def test_each_plugin_of_a_chat_gets_its_own(two: tuple[Stranger, Stranger]) -> None:
    first, second = two
    with pytest.raises(kit.InstallError, match="each would get it"):
        kit.Chat(first.url, second.url, auth=SECRET, show=False)
    with pytest.raises(kit.InstallError, match="There is no plugin 'thrid'"):
        kit.Chat(first.url, second.url, auth={"thrid": SECRET}, show=False)
    chat = kit.Chat(first.url, second.url, auth={"first": SECRET, second.url: OTHER}, show=False)
    for plugin in chat.plugins:
        plugin.call("list_things")
    got = [one.requests[-1][2]["authorization"] for one in two]
    assert got == [f"Bearer {SECRET}", f"Bearer {OTHER}"]


def test_the_command_asks_whose_a_token_is(
    two: tuple[Stranger, Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kit.cli.options import auth

    urls = [one.url for one in two]
    assert auth([SECRET], urls[:1]) == SECRET
    assert auth(["YWJjZA=="], urls[:1]) == "YWJjZA=="
    assert auth(None, urls) is None
    for wrong in ([SECRET], [SECRET, OTHER], [f"first={SECRET}", OTHER]):
        with pytest.raises(kit.SettingsError, match="Whose is the value of --token"):
            auth(wrong, urls)
    assert auth([f"first={SECRET}", f"{urls[1]}={OTHER}"], urls) == {"first": SECRET, urls[1]: OTHER}
    plugin = kit.install(
        urls[0], auth=auth([f"second={SECRET}"], urls[:1]), ask=False
    )  # another's, in KIT_TOKEN
    plugin.call("list_things")
    assert "authorization" not in two[0].requests[-1][2]
    assert ("auth", "has nothing by the name 'first' or its address: nothing is sent") in plugin.problems


def test_a_token_is_asked_for_once(two: tuple[Stranger, Stranger], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or SECRET)
    plugin = kit.install(two[0].url)
    plugin.call("list_things")
    plugin.call("list_things")
    assert two[0].requests[-1][2]["authorization"] == f"Bearer {SECRET}"
    assert len(asked) == 1
    kit.install(two[0].url, ask=False)
    kit.check(two[0].url)
    assert len(asked) == 1
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert ("auth", "is user_http, and nothing was given: calls go without. Pass auth='...'") in kit.install(two[0].url).problems  # fmt: skip


# -- OAuth ----------------------------------------------------------------------------


@pytest.fixture
def authorities() -> Iterator[AuthServer]:
    with AuthServer() as running:
        yield running


@pytest.fixture
def guarded(authorities: AuthServer) -> Iterator[Stranger]:
    with plugin_of(authorities) as stranger:
        yield stranger


def browser(url: str) -> None:
    """What a browser does, without a person."""
    httpx2.get(url, follow_redirects=True)


def sign_in(**more: Any) -> kit.SignIn:
    return kit.SignIn("kit", "client-s3cret", **{"open": browser, "timeout": 20, **more})


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("answers_form", [False, True])
def test_the_whole_flow(
    authorities: AuthServer, content_type: str, answers_form: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    authorities.answers_form, authorities.content_type = answers_form, content_type
    with plugin_of(authorities, authorization_content_type=content_type) as stranger:
        plugin = kit.install(stranger.url, auth=sign_in())
        result = plugin.call("list_things")
    assert (result.status, result.data) == (200, ["sam"])
    (asked,) = authorities.requests
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert asked["grant_type"] == "authorization_code"
    session = plugin.credentials.sessions[0]
    said = repr(plugin) + repr(session) + repr(sign_in()) + repr(result) + "".join(capsys.readouterr())
    assert not any(secret in said for secret in session.texts())


def test_what_the_browser_is_sent_to(guarded: Stranger) -> None:
    opened: list[str] = []

    def look(url: str) -> None:
        opened.append(url)
        browser(url)

    kit.install(guarded.url, auth=sign_in(open=look, scope="write"))
    query = dict(httpx2.URL(opened[0]).params)
    assert (query["response_type"], query["client_id"], query["scope"]) == ("code", "kit", "write")
    assert query["code_challenge_method"] == "S256"
    assert len(query["state"]) >= 30
    assert len(query["code_challenge"]) == 43
    assert "client-s3cret" not in opened[0]


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"error": "access_denied"}, "was not allowed", "allow it"),
        ({"error": "server_error"}, "was refused: server_error", "registered"),
        ({"state": "of-another"}, "the state of another sign-in", "Sign in again"),
        (
            {"error": "access_denied", "state": ""},
            "the state of another|was not allowed|without a code",
            "Sign in again",
        ),
        ({"client_secret": "changed"}, "invalid_client", "client secret"),
        ({"token_answer": (200, {"token_type": "bearer"})}, "without an access_token", "author"),
        ({"token_answer": (200, {"access_token": "x", "token_type": "mac"})}, "of type mac", "author"),
        ({"token_answer": (200, {"error": "invalid_scope"})}, "invalid_scope", "scope="),
        ({"token_answer": (200, "<html>hi")}, "without an access_token", "author"),
        (
            {"token_answer": (400, {"error": "x", "error_description": "not client-s3cret"})},
            "x, not \\*\\*\\*",
            "again",
        ),
        ({"token_answer": (502, "<html>hi")}, "status 502", "Sign in again"),
        ({"token_answer": (200, "[" * 5000)}, "without an access_token", "author"),
    ],
)
def test_what_an_authorization_server_refuses_is_said(
    authorities: AuthServer, guarded: Stranger, changes: dict[str, Any], problem: str, remedy: str
) -> None:
    for name, value in changes.items():
        setattr(authorities, name, value)
    with pytest.raises(kit.SignInError, match=problem) as refused:
        kit.install(guarded.url, auth=sign_in())
    assert remedy in refused.value.remedy
    assert "client-s3cret" not in str(refused.value)


def test_nothing_waits_for_ever(
    authorities: AuthServer, guarded: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(kit.SignInError, match="Nobody signed in"):
        kit.install(guarded.url, auth=sign_in(open=lambda url: None, timeout=0.05))
    monkeypatch.setattr("kit.client.signin.FETCH_TIMEOUT", 0.05)
    authorities.delay = 1
    with pytest.raises(kit.SignInError, match="did not answer within"):
        kit.install(guarded.url, auth=sign_in())


def test_a_registered_redirect_uri_is_exact(authorities: AuthServer, guarded: Stranger) -> None:
    from kit.sockets import listen

    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    mine = f"http://localhost:{port}/my/callback"
    authorities.redirect_uris = {mine}
    kit.install(guarded.url, auth=sign_in(redirect_uri=mine))
    assert authorities.requests[-1]["redirect_uri"] == mine
    with pytest.raises(kit.SignInError, match="Nothing can listen at"):
        kit.install(guarded.url, auth=sign_in(redirect_uri="https://elsewhere.example/callback"))


def test_an_expired_token_is_refreshed(authorities: AuthServer, guarded: Stranger) -> None:
    plugin = kit.install(guarded.url, auth=sign_in())
    first = plugin.credentials.sessions[0].token
    authorities.expire_all()  # its time is not over: the answer 401 tells
    assert plugin.call("list_things").data == ["sam"]
    assert plugin.credentials.sessions[0].token != first
    assert [one["grant_type"] for one in authorities.requests] == ["authorization_code", "refresh_token"]
    authorities.expire_all()
    authorities.renews = False
    result = plugin.call("list_things")
    assert "has ended" in result.data["error"]
    assert "access-" not in json.dumps(result.data)
    assert plugin.credentials.has_ended


def test_calls_at_the_same_time_refresh_once(authorities: AuthServer, guarded: Stranger) -> None:
    plugin = kit.install(guarded.url, auth=sign_in())
    authorities.expire_all()

    async def together() -> list[kit.CallResult]:
        return await asyncio.gather(*(plugin.acall("list_things") for _ in range(5)))

    assert [result.data for result in asyncio.run(together())] == [["sam"]] * 5
    assert [one["grant_type"] for one in authorities.requests].count("refresh_token") == 1


def test_one_that_expires_at_once_is_refreshed_before_the_call(
    authorities: AuthServer, guarded: Stranger
) -> None:
    authorities.expires_in = 0
    plugin = kit.install(guarded.url, auth=sign_in())
    authorities.expires_in = None
    assert plugin.call("list_things").data == ["sam"]
    assert [path for _, path, _, _ in guarded.requests].count("/things") == 1


def test_a_code_is_used_once(guarded: Stranger) -> None:
    from kit import loop
    from kit.client.discovery import endpoints_of
    from kit.client.signin import Authorization

    endpoints = endpoints_of(kit.install(guarded.url, ask=False))
    attempt = Authorization(sign_in(), endpoints, "http://127.0.0.1:1/callback")
    back = httpx2.get(attempt.url).headers["location"]
    loop.run(attempt.finish(back))
    with pytest.raises(kit.SignInError, match="a second time"):
        loop.run(attempt.finish(back))


def test_without_a_manifest_the_spec_says_where_to_sign_in(authorities: AuthServer) -> None:
    flow = {
        "authorizationUrl": authorities.authorize_url,
        "tokenUrl": authorities.token_url,
        "scopes": {"a": ""},
    }
    scheme = {"type": "oauth2", "flows": {"authorizationCode": flow}}
    _, headers, plugin = sent(with_security({"o": scheme}, [{"o": ["a"]}]), sign_in())
    assert headers["authorization"] == f"Bearer {plugin.credentials.sessions[0].token['access_token']}"
    assert authorities.requests[0]["content_type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ({"client_url": "javascript:alert(1)"}, "not an http"),
        ({"client_url": ""}, "does not say where"),
        ({"authorization_url": "http://public.example/token"}, "without https"),
    ],
)
def test_addresses_for_signing_in_are_checked(authorities: AuthServer, auth: Any, problem: str) -> None:
    with plugin_of(authorities, **auth) as stranger, pytest.raises(kit.InstallError, match=problem):
        kit.install(stranger.url, auth=sign_in())


def test_a_public_plugins_token_endpoint_is_not_in_a_private_network(authorities: AuthServer) -> None:
    from kit import loop
    from kit.addresses import Root
    from kit.client.signin import Authorization, Endpoints

    root = Root.of("https://plugin.example.com")
    endpoints = Endpoints(
        authorities.authorize_url, authorities.token_url, "", "application/json", root, "Public"
    )
    attempt = Authorization(sign_in(), endpoints, "http://127.0.0.1:1/callback")
    with pytest.raises(kit.SignInError, match="private network"):
        loop.run(attempt.finish(httpx2.get(attempt.url).headers["location"]))
    assert authorities.requests == []


# -- keeping it -----------------------------------------------------------------------


class InMemory:
    """A keyring of the system, for one test."""

    priority = 5

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, name: str, secret: str) -> None:
        self.kept[service, name] = secret

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        self.kept.pop((service, name), None)


def test_a_sign_in_is_kept_in_the_systems_keyring_where_asked_for(
    authorities: AuthServer, guarded: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(kit.SettingsError, match="keyring is none that encrypts"):
        kit.install(guarded.url, auth=sign_in(), keep=True)
    kept = InMemory()
    monkeypatch.setattr("keyring.get_keyring", lambda: kept)
    before = len(authorities.requests)
    kit.install(guarded.url, auth=sign_in(), keep=True)
    again = kit.install(guarded.url, auth=sign_in(open=lambda url: pytest.fail("asked again")), keep=True)
    assert again.call("list_things").data == ["sam"]
    assert len(authorities.requests) == before + 1
    authorities.expire_all()
    assert again.call("list_things").data == ["sam"]
    assert vault.load(again.credentials.origin)["access_token"] == again.credentials.sessions[0].token["access_token"]  # fmt: skip
    again.forget()
    assert kept.kept == {}
    assert again.call("list_things").status == 401
