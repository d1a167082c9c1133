"""A real OAuth 2.1 authorization server for MCP clients: mcp's own endpoints, and access tokens that joserfc signs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kit.server.thread import ServerThread
from kit.sockets import listen


class AuthorizationServer(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Registers every client and signs in sam at once. `tokens` are those that it gave out, `asked` the paths."""

    def __init__(self, issuer: str, scopes: list[str]) -> None:
        self.issuer, self.scopes = issuer, scopes
        self.key = ECKey.generate_key("P-256", {"kid": uuid4().hex, "use": "sig"}, private=True)
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: list[str] = []
        self.asked: list[str] = []

    def token(self, audience: str | list[str], key: ECKey | None = None, **claims: Any) -> str:
        """An access token for sam, with other claims or signed by another key if asked to."""
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": "sam", "aud": audience, "iat": now, "exp": now + 600}
        given = {**usual, "scope": " ".join(self.scopes), **claims}
        header = {"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt"}
        return jwt.encode(header, {k: v for k, v in given.items() if v is not None}, key or self.key)

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = uuid4().hex
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=str(client.client_id),
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        granted = " ".join(authorization_code.scopes)
        token = self.token(authorization_code.resource or "nobody", scope=granted)
        self.tokens.append(token)
        return OAuthToken(access_token=token, token_type="Bearer", expires_in=600, scope=granted)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return None

    def app(self) -> Starlette:
        issuer = AuthSettings.model_validate(
            {"issuer_url": self.issuer, "resource_server_url": None}
        ).issuer_url
        options = ClientRegistrationOptions(
            enabled=True, valid_scopes=self.scopes, default_scopes=self.scopes
        )
        routes = create_auth_routes(self, issuer, client_registration_options=options)

        async def configuration(request: Request) -> JSONResponse:
            return JSONResponse({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"})

        async def keys(request: Request) -> JSONResponse:
            self.asked.append(request.url.path)
            return JSONResponse({"keys": [self.key.as_dict(private=False)]})

        own = [Route("/.well-known/openid-configuration", configuration), Route("/keys", keys)]
        return Starlette(routes=[*routes, *own])


@contextlib.contextmanager
def authorization_server(*scopes: str) -> Iterator[AuthorizationServer]:
    """One that runs on a free port of this machine."""
    sock = listen("127.0.0.1", 0)
    server = AuthorizationServer(f"http://127.0.0.1:{sock.getsockname()[1]}", list(scopes))
    thread = ServerThread(server.app(), sock)
    thread.start()
    try:
        yield server
    finally:
        thread.stop()
