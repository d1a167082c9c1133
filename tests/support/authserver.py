"""A small real authorization server: OAuth 2.0 with a code, PKCE and refresh tokens, on a port of this machine.

It does what an author's own does, and can be told to misbehave: to deny, to mix up states, to give tokens that expire at
once. RFC 6749 and 7636; Authlib has the one computation.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from strangers import Stranger, manifest, openapi

from kit.server.thread import ServerThread
from kit.sockets import listen


class AuthServer:
    """Signs in `user`. Its addresses are `authorize_url` and `token_url`; `user_of(token)` says who calls."""

    def __init__(
        self, client_id: str = "kit", client_secret: str = "client-s3cret", user: str = "sam"
    ) -> None:
        self.client_id, self.client_secret, self.user = client_id, client_secret, user
        self.redirect_uris: set[str] | None = None  # registered; None: any of this machine
        self.asks = False  # a page with Allow and Deny, instead of allowing at once
        # how it misbehaves
        self.error = ""  # instead of a code
        self.state: str | None = None  # instead of the client's
        self.expires_in: int | None = 3600
        self.answers_form = False  # instead of JSON
        self.content_type = ""  # the only one that the token endpoint reads; "" is both
        self.token_answer: tuple[int, Any] | None = None  # instead of a token
        self.delay = 0.0  # seconds
        self.renews = True  # refresh tokens are accepted
        # what it knows
        self._codes: dict[str, dict[str, str]] = {}
        self._users: dict[str, tuple[str, float]] = {}  # user and end, by access token
        self._refresh: set[str] = set()
        self.requests: list[dict[str, str]] = []  # at the token endpoint
        sock = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self.authorize_url, self.token_url = f"{self.url}/authorize", f"{self.url}/token"
        self._thread = ServerThread(self._app(), sock)
        self._thread.start()

    def user_of(self, token: str) -> str | None:
        """Whose token it is; None for one that is unknown or has expired."""
        user, ends = self._users.get(token, (None, 0.0))
        return user if ends > time.time() else None

    def expire_all(self) -> None:
        """Ends every access token, before its time."""
        self._users.clear()

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/authorize")
        def authorize(request: Request) -> Response:
            query = dict(request.query_params)
            known = self.redirect_uris or {query.get("redirect_uri", "")}
            if query.get("client_id") != self.client_id or query.get("redirect_uri") not in known:
                return HTMLResponse("This client or its redirect_uri is not registered.", 400)
            if self.asks:
                answers = [f'<a href="/decide?{urlencode({**query, "allow": a})}">{w}</a>' for a, w in (("1", "Allow"), ("", "Deny"))]  # fmt: skip
                return HTMLResponse(f"<title>Sign in</title><h1>Hello {self.user}</h1>{' '.join(answers)}")
            return self._back(query, self.error)

        @app.get("/decide")
        def decide(request: Request) -> Response:
            query = dict(request.query_params)
            return self._back(query, "" if query.get("allow") else "access_denied")

        @app.post("/token")
        async def token(request: Request) -> Response:
            kind, body = request.headers.get("content-type", ""), (await request.body()).decode()
            sent = json.loads(body) if kind.startswith("application/json") else dict(parse_qsl(body))
            self.requests.append({"content_type": kind, **sent})
            await asyncio.sleep(self.delay)
            if self.token_answer:
                status, answer = self.token_answer
                return Response(answer, status) if isinstance(answer, str) else JSONResponse(answer, status)
            error = "invalid_request" if self.content_type not in ("", kind) else self._refusal(sent)
            if error:
                return JSONResponse({"error": error}, 400)
            return self._new_token()

        return app

    def _back(self, query: dict[str, str], error: str) -> Response:
        """Sends the browser back, with a code or an error."""
        answer = {"state": query.get("state", "") if self.state is None else self.state}
        if error:
            answer["error"] = error
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self._codes[answer["code"]] = query
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", 302)

    def _refusal(self, sent: dict[str, str]) -> str:
        """Why no token is given (RFC 6749, 5.2); "" if one is."""
        if (sent.get("client_id"), sent.get("client_secret")) != (self.client_id, self.client_secret):
            return "invalid_client"
        if sent.get("grant_type") == "refresh_token":
            known = sent.get("refresh_token") in self._refresh and self.renews
            self._refresh.discard(sent.get("refresh_token", ""))  # good for one use
            return "" if known else "invalid_grant"
        asked = self._codes.pop(sent.get("code", ""), None)  # a code is used once
        if asked is None or asked["redirect_uri"] != sent.get("redirect_uri"):
            return "invalid_grant"
        challenge = create_s256_code_challenge(sent.get("code_verifier", ""))
        return "" if asked.get("code_challenge") == challenge else "invalid_grant"

    def _new_token(self) -> Response:
        access, refresh = (f"{kind}-{secrets.token_urlsafe(16)}" for kind in ("access", "refresh"))
        ends = time.time() + (3600 if self.expires_in is None else self.expires_in)
        self._users[access] = self.user, ends
        self._refresh.add(refresh)
        answer: dict[str, Any] = {"access_token": access, "refresh_token": refresh, "token_type": "bearer"}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.answers_form:
            return Response(urlencode(answer), media_type="application/x-www-form-urlencoded")
        return JSONResponse(answer)

    def __enter__(self) -> AuthServer:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.stop()


def plugin_of(authorities: AuthServer, **auth: Any) -> Stranger:
    """A plugin whose users sign in at `authorities`."""

    async def things(scope: Any, body: bytes) -> Any:
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        user = authorities.user_of(token)
        return (
            (200, {}, [user]) if user else (401, {"www-authenticate": "Bearer"}, {"detail": f"no: {token}"})
        )

    about = {
        "type": "oauth",
        "client_url": authorities.authorize_url,
        "authorization_url": authorities.token_url,
        "scope": "read",
        "authorization_content_type": "application/json",
        **auth,
    }
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", auth=about)),
        "/o.json": (200, {}, openapi()),
        "/things": things,
    }
    return Stranger(pages)
