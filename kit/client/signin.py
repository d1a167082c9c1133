"""Signing in by OAuth 2.0: the authorization code with state and PKCE, its exchange for a token, and refreshing.

As ChatGPT did it for plugins (platform.openai.com/docs/plugins/authentication, 2023): the user is sent to the manifest's
`client_url`, and the code is exchanged at its `authorization_url`, as JSON or as a form. RFC 6749, 7636 and 9700.
Authlib makes state, challenge and requests; the kit's own transport sends them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kit import loop
from kit.addresses import Root, joined
from kit.client.answers import Answer
from kit.client.transport import FETCH_TIMEOUT, Transport
from kit.errors import InstallError, SignInError
from kit.manifest import Manifest
from kit.openapi.documents import read_json
from kit.openapi.spec import Spec
from kit.openapi.values import mapping, text
from kit.redaction import HIDDEN

MAX_ANSWER = 100_000  # bytes of a token's answer
SIGN_IN_TIMEOUT = 300.0  # seconds that the user has
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(eq=False)
class SignIn:
    """How to sign in at a plugin whose auth is OAuth: `kit.install(url, auth=kit.SignIn("id", "secret"))`.

    `client_id` and `client_secret` are what the plugin's author gave you when you registered `redirect_uri`. Without
    one it is `http://127.0.0.1:PORT/callback` with any free port (RFC 8252). `scope` replaces the manifest's.
    `open` is given the address for the browser; by default that is printed, and opened. `timeout` is in seconds.
    """

    client_id: str
    client_secret: str = field(default="", repr=False)
    scope: str | None = field(default=None, kw_only=True)
    redirect_uri: str | None = field(default=None, kw_only=True)
    open: Callable[[str], Any] | None = field(default=None, kw_only=True, repr=False)
    timeout: float = field(default=SIGN_IN_TIMEOUT, kw_only=True)


@dataclass(frozen=True)
class Endpoints:
    """Where to sign in at one plugin. `root` is the plugin's own address, `name` what it is called."""

    authorization: str
    token: str
    scope: str
    content_type: str
    root: Root
    name: str

    @classmethod
    def of(cls, manifest: Manifest, spec: Spec, base_url: str, root: Root) -> Endpoints:
        """What the manifest says, else the spec's first flow with a code. Raises `SignInError` if neither does."""
        auth: Any = manifest.auth
        name = manifest.name_for_human or manifest.name_for_model
        if auth.type == "oauth":
            made = cls(auth.client_url, auth.authorization_url, auth.scope, auth.authorization_content_type, root, name)  # fmt: skip
        else:
            flow = next(_flows(spec), {})
            urls = [joined(base_url + "/", text(flow.get(key))) if flow.get(key) else "" for key in ("authorizationUrl", "tokenUrl")]  # fmt: skip
            made = cls(urls[0], urls[1], " ".join(map(str, mapping(flow.get("scopes")))), FORM, root, name)
        if not made.authorization or not made.token:
            raise SignInError(
                f"{name} does not say where to sign in.",
                "Its manifest needs an auth of type oauth, or its spec a flow authorizationCode. "
                "If you have a token, pass it: auth='...'.",
                source=base_url,
            )
        made._check()
        return made

    def _check(self) -> None:
        from authlib.common.security import is_secure_transport

        Root.of(self.authorization)  # http(s) and nothing else: the browser will be sent there
        if not is_secure_transport(self.token) and not (self.root.is_own and Root.of(self.token).is_own):
            raise SignInError(
                f"The token of {self.name} would come from {self.token}, without https.",
                "Its author must make authorization_url an https address.",
                source=self.token,
            )

    def transport(self) -> Transport:
        """Its own, without the plugin's cookies. What a public plugin names may not be in a private network."""
        return Transport(Root.of(self.token) if self.root.is_own else self.root)


def _flows(spec: Spec) -> Iterator[dict[str, Any]]:
    for scheme in spec.security_schemes.values():
        flow = mapping(mapping(scheme.get("flows")).get("authorizationCode"))
        if scheme.get("type") == "oauth2" and flow:
            yield dict(flow)


class Authorization:
    """One attempt to sign in: `url` is where the browser goes, `finish` takes what it comes back with, once."""

    def __init__(self, sign_in: SignIn, endpoints: Endpoints, redirect_uri: str) -> None:
        from authlib.common.security import generate_token
        from authlib.oauth2.client import OAuth2Client

        self.sign_in, self.endpoints, self.redirect_uri = sign_in, endpoints, redirect_uri
        self._verifier = generate_token(64)  # RFC 7636, 4.1: 43 to 128 characters
        scope = endpoints.scope if sign_in.scope is None else sign_in.scope
        client = OAuth2Client(
            None, sign_in.client_id, scope=scope, redirect_uri=redirect_uri, code_challenge_method="S256"
        )
        self.url: str
        self.state: str
        self.url, self.state = client.create_authorization_url(
            endpoints.authorization, code_verifier=self._verifier
        )
        self._is_used = False

    async def finish(self, callback: str) -> Session:
        """The session for the address that the browser came back to. Raises `SignInError`."""
        from authlib.oauth2.base import OAuth2Error
        from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response

        answer = dict(parse_qsl(urlsplit(callback).query))
        if self._is_used:
            raise self._error("has answered a second time", "Sign in again, from the beginning.")
        self._is_used = True
        if answer.get("error") and answer.get("state", self.state) == self.state:
            raise self._refusal(answer)
        try:
            code = parse_authorization_code_response(callback, self.state)["code"]
        except OAuth2Error as error:
            told = {
                "missing_code": "came back without a code",
                "mismatching_state": "came back with the state of another sign-in, which may be a forgery",
            }
            raise self._error(
                told.get(str(error.error), f"answered {error.error}"), "Sign in again, from the beginning."
            ) from None
        session = Session(self.sign_in, self.endpoints)
        await session.fetch(
            "authorization_code", code=code, redirect_uri=self.redirect_uri, code_verifier=self._verifier
        )
        return session

    def _refusal(self, answer: dict[str, str]) -> SignInError:
        """What the authorization server says instead of a code (RFC 6749, 4.1.2.1)."""
        why = answer.get("error_description") or ""
        if answer["error"] == "access_denied":
            return self._error(
                f"was not allowed: {why[:300] or 'access was denied'}", "Sign in again and allow it."
            )
        said = f"{answer['error']}{f', {why}' if why else ''}"
        return self._error(f"was refused: {said:.300}", f"Are the client id and {self.redirect_uri} registered there?")  # fmt: skip

    def _error(self, what: str, remedy: str) -> SignInError:
        return SignInError(f"Signing in at {self.endpoints.name} {what}.", remedy, source=self.endpoints.authorization)  # fmt: skip


class Session:
    """What signing in gave: an access token, refreshed when it has expired. It never shows."""

    def __init__(self, sign_in: SignIn, endpoints: Endpoints, token: dict[str, Any] | None = None) -> None:
        self.sign_in, self.endpoints = sign_in, endpoints
        self._token = self._read(token) if token else {}
        self._refreshing: asyncio.Task[bool] | None = None
        self.on_change: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<signed in at {self.endpoints.name}>" if self._token else "<signed out>"

    def __reduce__(self) -> Any:
        raise TypeError("a sign-in is not pickled: it would be written in clear")

    def texts(self) -> list[str]:
        """The secrets, for those who hide them."""
        named = [self._token.get(name) for name in ("access_token", "refresh_token")]
        return [
            secret for secret in [*named, self.sign_in.client_secret] if isinstance(secret, str) and secret
        ]

    @property
    def token(self) -> dict[str, Any]:
        """What the token endpoint answered, and `expires_at` in seconds."""
        return dict(self._token)

    async def access_token(self) -> str:
        """The token for a call. Raises `SignInError` if it has expired and cannot be refreshed."""
        if self._token and self._token["expires_at"] and self._token["expires_at"] <= time.time():
            await self.refresh()
        if not self._token:
            raise self._error("has ended", "Sign in again.")
        return str(self._token["access_token"])

    async def refresh(self) -> bool:
        """Gets a new token; whether there is one. Several callers wait for one request, since a refresh token may
        be good for one use only. Raises `SignInError` if it is refused: then the session has ended.
        """
        return await loop.arun(self._refreshed())

    async def _refreshed(self) -> bool:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self._refresh())
        return await asyncio.shield(self._refreshing)

    async def _refresh(self) -> bool:
        refresh = self._token.get("refresh_token")
        if not refresh:
            return False
        try:
            await self.fetch("refresh_token", refresh_token=refresh)
        except SignInError as error:
            self._token = {}
            raise self._error(f"has ended: {error.problem}", "Sign in again.") from None
        return True

    async def fetch(self, grant: str, **facts: str) -> None:
        """Asks the token endpoint (RFC 6749, 4.1.3 and 6); its answer becomes the token. Raises `SignInError`."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        endpoints, sign_in = self.endpoints, self.sign_in
        # ChatGPT sent id and secret in the body.
        auth = ClientAuth(sign_in.client_id, sign_in.client_secret, "client_secret_post" if sign_in.client_secret else "none")  # fmt: skip
        _, _, body = auth.prepare("POST", endpoints.token, {}, prepare_token_request(grant, **facts))
        if endpoints.content_type.startswith(JSON):
            body = json.dumps(dict(parse_qsl(body)))
        headers = [("Accept", JSON), ("Content-Type", endpoints.content_type)]
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                answer = await loop.arun(
                    endpoints.transport().send(
                        "POST", endpoints.token, headers=headers, content=body.encode(), limit=MAX_ANSWER,
                        follow=False,
                    )
                )  # fmt: skip
        except TimeoutError:
            raise self._error(f"{endpoints.token} did not answer within {FETCH_TIMEOUT:.0f} s", "Is it busy or stuck? Sign in again.") from None  # fmt: skip
        except InstallError as error:
            raise SignInError(error.problem, error.remedy, source=endpoints.token) from None
        token = _read_answer(answer)
        if answer.status != 200 or token.get("error"):
            secrets = [
                sign_in.client_secret,
                *(value for name, value in facts.items() if name != "redirect_uri"),
            ]
            raise self._error(f"{endpoints.token} refused: {_told(answer, token, secrets)}", _REMEDIES.get(str(token.get("error")), "Sign in again."))  # fmt: skip
        # RFC 6749, 6: without a new refresh token the old one goes on
        self._token = {"refresh_token": self._token.get("refresh_token"), **self._read(token)}
        if self.on_change:
            self.on_change()

    def _read(self, token: dict[str, Any]) -> dict[str, Any]:
        """A token's answer, checked. Raises `SignInError` for one that is no bearer token."""
        access, kind = token.get("access_token"), str(token.get("token_type") or "bearer")
        if not isinstance(access, str) or not access.isprintable() or not access.strip():
            raise self._error(f"{self.endpoints.token} answered without an access_token", "Its author must mend it.")  # fmt: skip
        if kind.lower() != "bearer":
            raise self._error(f"{self.endpoints.token} gave a token of type {kind:.40}, and only bearer can be sent", "Its author must mend it.")  # fmt: skip
        expires = token.get("expires_at")
        if expires is None:
            seconds = _number(token.get("expires_in"))
            expires = time.time() + seconds if seconds is not None else None
        kept = {"access_token": access.strip(), "expires_at": expires}
        return {
            **kept,
            **({"refresh_token": token["refresh_token"]} if text(token.get("refresh_token")) else {}),
        }

    def forget(self) -> None:
        """Drops the tokens."""
        self._token = {}

    def _error(self, what: str, remedy: str) -> SignInError:
        if what.startswith("has "):
            what = f"The sign-in at {self.endpoints.name} {what.rstrip('.')}."
            return SignInError(what, remedy, source=self.endpoints.authorization)
        return SignInError(f"Signing in at {self.endpoints.name} failed: {what.rstrip('.')}.", remedy, source=self.endpoints.token)  # fmt: skip


# RFC 6749, 5.2
_REMEDIES = {
    "invalid_client": "Check the client id and the client secret.",
    "unauthorized_client": "This client id may not sign in with a code: ask the plugin's author.",
    "invalid_grant": "The code or the sign-in is no longer good. Sign in again.",
    "unsupported_grant_type": "Its author must mend it.",
    "invalid_scope": "Ask for another scope: kit.SignIn(..., scope='...').",
}


def _read_answer(answer: Answer) -> dict[str, Any]:
    """JSON or, as some servers answer, a form."""
    content = answer.content.decode("utf-8", errors="replace")
    try:
        value = read_json(content)
    except ValueError:
        value = dict(parse_qsl(content)) if FORM in answer.media_type or "access_token=" in content else {}
    return value if isinstance(value, dict) else {}


def _told(answer: Answer, token: dict[str, Any], secrets: list[str]) -> str:
    """The server's own words, without the secrets that it repeats of what was sent."""
    error, why = text(token.get("error")), text(token.get("error_description"))
    said = f"{error or f'status {answer.status}'}{f', {why}' if why else ''}"
    for secret in filter(None, secrets):
        said = said.replace(secret, HIDDEN)
    return said[:300]


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
