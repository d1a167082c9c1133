"""MCP's authorization: the official client finds where to sign in, signs in, and calls; and JWTs of all kinds."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authorization import AuthorizationServer, authorization_server
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from test_mcp import ERAS, each_era, post

import kit
from kit.mcp.stdio import entry

PUBLIC = "https://todo.example"


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server("todo.read") as running:
        yield running


def oauth(issuer: AuthorizationServer, **options: Any) -> kit.OAuth:
    return kit.OAuth(
        f"{issuer.issuer}/authorize", f"{issuer.issuer}/token", "todo.read", issuer=issuer.issuer, **options
    )


def guarded(auth: Any) -> kit.Plugin:
    plugin = kit.Plugin("todo", description_for_model="Keeps todos.", auth=auth)

    @plugin.get("/me")
    def me(user: kit.User) -> dict[str, str]:
        """Says who calls."""
        return {"user": user}

    return plugin


class Memory(TokenStorage):
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def sign_in(url: str) -> OAuthClientProvider:
    """The official client's own OAuth, whose browser is one request."""
    answers: list[str] = []

    async def browse(address: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            answers.append((await http.get(address)).headers["location"])

    async def callback() -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(answers[-1]).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0])

    about = {"redirect_uris": ["http://127.0.0.1:9/callback"], "client_name": "test"}
    return OAuthClientProvider(url, OAuthClientMetadata.model_validate(about), Memory(), browse, callback)


@each_era
def test_the_official_client_signs_in_and_calls(issuer: AuthorizationServer, era: str) -> None:
    plugin = guarded(kit.NoAuth())

    async def work(url: str) -> Any:
        async with (
            httpx2.AsyncClient(auth=sign_in(url), trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http), mode=era) as client,
        ):
            assert client.protocol_version == ERAS[era]
            return await client.call_tool("me", {})

    with kit.serve(plugin) as server:
        plugin.auth = oauth(issuer, verify=kit.JWTVerifier(issuer.issuer, server.url, scopes="todo.read"))
        result = asyncio.run(work(f"{server.url}/mcp"))
        assert result.structured_content == {"user": "sam"}
        claims = json.loads(base64.urlsafe_b64decode(issuer.tokens[-1].split(".")[1] + "=="))
        assert claims["aud"] == f"{server.url}/mcp"  # the client asked for a token for this server alone


def test_a_stranger_is_told_where_to_sign_in(issuer: AuthorizationServer) -> None:
    plugin = guarded(oauth(issuer, verify=kit.JWTVerifier(issuer.issuer, PUBLIC)))
    with kit.serve(plugin) as server:
        refused = post(f"{server.url}/mcp")
        metadata = f"{server.url}/.well-known/oauth-protected-resource/mcp"
        assert refused.status_code == 401
        assert f'resource_metadata="{metadata}"' in refused.headers["www-authenticate"]
        assert 'scope="todo.read"' in refused.headers["www-authenticate"]
        for address, resource in (
            (metadata, f"{server.url}/mcp"),
            (metadata.removesuffix("/mcp"), server.url),
        ):
            document = httpx2.get(address, trust_env=False).json()
            assert document["resource"] == resource  # RFC 9728, section 3.3: the one that was asked about
            assert document["authorization_servers"] == [issuer.issuer]
            assert document["scopes_supported"] == ["todo.read"]
        wrong = post(f"{server.url}/mcp", {"Authorization": f"Bearer {issuer.token('https://else.example')}"})
        assert wrong.status_code == 401
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        right = post(f"{server.url}/mcp", {"Authorization": f"Bearer {issuer.token(PUBLIC)}"})
        assert right.status_code == 200


def test_the_metadata_follows_the_public_address_and_the_auth(issuer: AuthorizationServer) -> None:
    plugin = guarded(oauth(issuer, verify=str.strip))
    client = TestClient(plugin)
    path = "/.well-known/oauth-protected-resource"
    plugin.public_url = PUBLIC
    assert client.get(path).json()["resource"] == PUBLIC
    assert f"{PUBLIC}{path}" in client.get("/me").headers["www-authenticate"]
    plugin.auth = kit.OAuth(f"{PUBLIC}/login", f"{PUBLIC}/token", verify=str.strip)
    assert client.get(path).json()["authorization_servers"] == [PUBLIC]
    plugin.auth = kit.ServiceHttp(tokens="abc")
    assert client.get(path).status_code == 401
    assert "resource_metadata" not in client.get("/me").headers["www-authenticate"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"audience": [PUBLIC, "https://else.example"]}, 200),
        ({"audience": f"{PUBLIC}/"}, 200),
        ({"audience": f"{PUBLIC}/mcp"}, 200),
        ({"audience": "https://else.example"}, 401),
        ({"audience": f"{PUBLIC}.else.example"}, 401),
        ({"aud": None}, 401),
        ({"iss": "https://else.example"}, 401),
        ({"iss": None}, 401),
        ({"exp": int(time.time()) - 5}, 401),
        ({"exp": None}, 401),
        ({"nbf": int(time.time()) + 86_400}, 401),  # from when the tests were collected
        ({"iat": int(time.time()) + 60}, 200),
        ({"sub": None}, 401),
        ({"sub": {}}, 401),
        ({"scope": "else"}, 403),
        ({"key": ECKey.generate_key("P-256", private=True)}, 401),
    ],
)
def test_a_jwt_is_checked_whole(issuer: AuthorizationServer, change: dict[str, Any], status: int) -> None:
    verify = kit.JWTVerifier(issuer.issuer, PUBLIC, jwks_url=f"{issuer.issuer}/keys", scopes=["todo.read"])
    client = TestClient(guarded(oauth(issuer, verify=verify)))
    options = dict(change)
    token = issuer.token(options.pop("audience", PUBLIC), **options)
    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"user": "sam"}
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_algorithms_that_anyone_can_use_are_refused(issuer: AuthorizationServer) -> None:
    verify = kit.JWTVerifier(issuer.issuer, PUBLIC)
    _, claims, signature = issuer.token(PUBLIC).split(".")
    for header in (
        {"alg": "none"},
        {"alg": "HS256", "kid": issuer.key.kid},
        {"alg": "ES256", "crit": ["x"]},
        {},
    ):
        for end in ("", signature):
            assert verify(f"{encoded(header)}.{claims}.{end}") is None
    for text in ("", ".", "..", "a.b.c", "é.é.é", "\udc80", "x" * 300_000, f"{claims}.{claims}"):
        assert verify(text) is None


def test_new_keys_are_fetched_and_made_up_ones_fetch_nothing(
    issuer: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kit.plugin import jwt

    verify = kit.JWTVerifier(issuer.issuer, PUBLIC)
    assert verify(issuer.token(PUBLIC)) == "sam"
    issuer.asked.clear()
    made_up = ECKey.generate_key("P-256", private=True)
    for _ in range(3):
        assert verify(issuer.token(PUBLIC, key=made_up)) is None
    assert issuer.asked == []
    monkeypatch.setattr(issuer, "key", ECKey.generate_key("P-256", {"kid": "second"}, private=True))
    assert verify(issuer.token(PUBLIC)) is None
    monkeypatch.setattr(jwt, "COOLDOWN", -1.0)
    assert verify(issuer.token(PUBLIC)) == "sam"
    assert issuer.asked == ["/keys"]


def test_an_issuer_that_cannot_be_used(issuer: AuthorizationServer, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(kit.AuthError, match="has no audience"):
        kit.JWTVerifier(issuer.issuer, [])
    for url in ("http://login.example.com", "file:///keys", "login"):
        with pytest.raises(kit.AuthError, match="not an https address"):
            kit.JWTVerifier(url, PUBLIC)
    away = kit.JWTVerifier("http://127.0.0.1:9", PUBLIC)
    token = issuer.token(PUBLIC)
    answer = TestClient(guarded(oauth(issuer, verify=away))).get(
        "/me", headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (500, "The credential could not be checked.")
    assert "The keys of http://127.0.0.1:9 were not found" in caplog.text
    assert token not in caplog.text


def test_a_token_of_the_service_by_mcp() -> None:
    plugin = guarded(kit.ServiceHttp(tokens={"ada": "abc"}))

    async def call(url: str) -> Any:
        headers = {"Authorization": "Bearer abc"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await client.call_tool("me", {})

    with kit.serve(plugin) as server:
        for headers in ({}, {"Authorization": "Bearer abd"}):
            assert post(f"{server.url}/mcp", headers).status_code == 401
        assert asyncio.run(call(f"{server.url}/mcp")).structured_content == {"user": "ada"}


def test_the_entry_of_mcp_clients_says_what_to_send() -> None:
    for auth, headers in (
        (kit.NoAuth(), None),
        (kit.OAuth("https://a.example/c", "https://a.example/t"), None),
        (kit.ServiceHttp(), {"Authorization": "Bearer YOUR_TOKEN"}),
        (kit.UserHttp("basic"), {"Authorization": "Basic BASE64_OF_USER_AND_PASSWORD"}),
    ):
        (made,) = entry("bank", "", "http://127.0.0.1:1/mcp", auth=auth)["mcpServers"].values()
        assert made.get("headers") == headers
