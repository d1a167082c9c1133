"""`JWTVerifier`: a `verify` for access tokens that an authorization server has signed (RFC 9068).

joserfc checks the signature and the claims. It is imported, and the server's keys are fetched, at the first request.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kit.addresses import LOCAL_NAMES, is_url
from kit.errors import AuthError, Forbidden
from kit.plugin.wellknown import MCP_PATH

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

_log = logging.getLogger("uvicorn.error")
# Asymmetric only: the keys are public, so that with a symmetric algorithm anyone could sign (RFC 8725, 3.1).
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
LIFESPAN = 300.0  # seconds that fetched keys are used: PyJWT's PyJWKClient
COOLDOWN = 30.0  # seconds between two tries: PyJWT again. Made-up tokens must not cost a fetch each
TIMEOUT = 10.0  # seconds for one document
MAX_DOCUMENT = 1_000_000  # bytes


class JWTVerifier:
    """Checks JSON Web Tokens of one issuer, for `kit.OAuth(..., verify=...)`. Returns the claim `user_claim`.

    `issuer` is the address that the tokens have as `iss`. `audience` is what they must have been issued for: the
    plugin's public address, which stands for its `/mcp` too, or several. `jwks_url` is where the issuer's public keys
    are; without it, the issuer's own metadata tells. A token that lacks one of the `scopes` gets 403. Raises
    `AuthError` for an issuer that is not https, except on this machine, and where joserfc is not installed.
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Iterable[str],
        *,
        jwks_url: str = "",
        scopes: str | Iterable[str] = (),
        user_claim: str = "sub",
    ) -> None:
        audiences = [audience] if isinstance(audience, str) else list(audience)
        if not audiences or not all(isinstance(it, str) and it.strip() for it in audiences):
            raise AuthError(
                "JWTVerifier has no audience: it would accept tokens that were issued for other services.",
                "Pass the plugin's public address, which the authorization server writes into `aud`.",
            )
        for url in filter(None, (issuer, jwks_url)):
            _check_address(url)
        if not issuer:
            raise AuthError(
                "JWTVerifier has no issuer.",
                "Pass the `iss` of the tokens, such as https://login.example.com",
            )
        try:
            import joserfc  # noqa: F401
        except ImportError:
            raise AuthError(
                "JWTVerifier needs joserfc, which is not installed.", "pip install 'joserfc>=1.6,<2'"
            ) from None
        self.issuer = issuer
        self.scopes = scopes.split() if isinstance(scopes, str) else list(scopes)
        self.user_claim = user_claim
        bare = [it.rstrip("/") for it in audiences]
        self.audiences = [form for it in bare for form in (it, f"{it}/", it + MCP_PATH)]
        self._jwks_url = jwks_url
        self._keys: KeySet | None = None
        self._fetched = 0.0  # by time.monotonic
        self._tried: float | None = None
        self._lock = threading.Lock()

    def __call__(self, token: str) -> str | None:
        """The user of a token; None for one that is not valid. Raises `Forbidden` if it lacks a scope."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            decoded = self._decoded(token)
            claims: dict[str, Any] = {
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "values": self.audiences},
                "exp": {"essential": True},
                self.user_claim: {"essential": True},
            }
            # not iat, which decides nothing (RFC 7519, 4.1.6) and is ahead of this clock if the issuer's is
            jwt.JWTClaimsRegistry(**claims).validate({**decoded.claims, "iat": 0})
        except (JoseError, ValueError, UnicodeError):
            return None
        given = decoded.claims.get("scope", decoded.claims.get("scp", ""))
        given = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        if missing := [scope for scope in self.scopes if scope not in given]:
            raise Forbidden(f"The token does not allow {' '.join(missing)}.")
        return str(decoded.claims[self.user_claim])

    def _decoded(self, token: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError

        try:
            # a function: what is no JWT at all fetches nothing
            return jwt.decode(token, lambda _: self._key_set(LIFESPAN), algorithms=ALGORITHMS)
        except (BadSignatureError, InvalidKeyIdError) as error:  # the issuer may have new keys
            before = self._keys
            keys = self._key_set(COOLDOWN)
            if keys is before:
                raise
            try:
                return jwt.decode(token, keys, algorithms=ALGORITHMS)
            except JoseError:
                raise error from None

    def _key_set(self, age: float) -> KeySet:
        """The issuer's keys, at most `age` seconds old if the issuer answers. Raises `AuthError` if it never has."""
        with self._lock:
            now = time.monotonic()
            is_due = self._keys is None or now - self._fetched > age
            if is_due and (self._tried is None or now - self._tried > COOLDOWN):
                self._tried = now
                try:
                    self._keys, self._fetched = self._load(), now
                except Exception as error:  # whatever the issuer answers: the earlier keys stay in use
                    _log.error("The keys of %s cannot be fetched: %s", self.issuer, error)
            if self._keys is None:
                problem = f"The keys of {self.issuer} were not found: the log says why."
                raise AuthError(problem, "Pass jwks_url= of JWTVerifier, if the issuer does not announce it.")
            return self._keys

    def _load(self) -> KeySet:
        from joserfc.jwk import KeySet

        document = _fetched(self._jwks_url or self._announced())
        # not those of symmetric algorithms
        keys = [each for each in document["keys"] if each.get("kty") in ("RSA", "EC", "OKP")]
        return KeySet.import_key_set({"keys": keys})

    def _announced(self) -> str:
        """`jwks_uri` of the issuer's metadata: RFC 8414, else OpenID Connect Discovery."""
        parts = urlsplit(self.issuer)
        path = parts.path.rstrip("/")
        origin = f"{parts.scheme}://{parts.netloc}"
        errors = []
        for url in (
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        ):
            try:
                document = _fetched(url)
            except (OSError, ValueError) as error:
                errors.append(f"{url}: {error}")
                continue
            if document.get("issuer") != self.issuer:
                errors.append(f"{url} is of another issuer")
            elif isinstance(document.get("jwks_uri"), str):
                _check_address(document["jwks_uri"])
                return str(document["jwks_uri"])
            else:
                errors.append(f"{url} has no jwks_uri")
        raise ValueError("; ".join(errors))


def _check_address(url: str) -> None:
    if not is_url(url) or (urlsplit(url).scheme != "https" and urlsplit(url).hostname not in LOCAL_NAMES):
        raise AuthError(
            f"{url!r} is not an https address.", "The issuer and its keys must be at https addresses."
        )


def _fetched(url: str) -> dict[str, Any]:
    """A JSON object. The standard library's client, since an exported server has no other; redirects are refused."""
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the address is checked: https, or this machine
    with urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT) as answer:
        body = answer.read(MAX_DOCUMENT + 1)
    if len(body) > MAX_DOCUMENT:
        raise ValueError(f"{url} is longer than {MAX_DOCUMENT:,} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{url} is no JSON object")
    return document
