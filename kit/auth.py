"""The four kinds of auth of a plugin: what its manifest says of each, and whether a credential is right.

`tokens` and `verify` are no fields: they are in no document, text, comparison or pickle. Of a token only a keyed
digest is kept.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import inspect
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field, fields
from typing import Any, ClassVar, Literal

from kit.addresses import is_url
from kit.errors import AuthError
from kit.redaction import HIDDEN

Tokens = str | Iterable[str] | Mapping[str, str]
# Takes a credential as it was sent, `basic` decoded to `user:password`; returns who it is. Falsy: nobody.
Verify = Callable[[str], Any | Awaitable[Any]]
SERVICE = "service"  # who calls with a token that has no name

_NOT_GIVEN: Any = object()
_KEY = secrets.token_bytes(32)  # of the digests: new in each process


@dataclass(frozen=True)
class NoAuth:
    """Anyone may call. The only kind that ChatGPT accepted on localhost."""

    instructions: str = field(default="", kw_only=True)

    type: ClassVar[str] = "none"


class _Checked:
    """What the three kinds that ask for a credential have in common. Immutable, so a copy is the same object."""

    type: ClassVar[str]
    name: ClassVar[str]  # of its scheme in the spec
    _verify: Verify | None
    _digests: dict[bytes, str]

    def _set(self, tokens: Any, verify: Any) -> None:
        kind = type(self).__name__
        if verify is not _NOT_GIVEN and not callable(verify):
            problem = f"verify of kit.{kind} is {type(verify).__name__}, not a function."
            raise AuthError(problem, "Pass a function that takes the token and returns who it is.")
        if tokens is not _NOT_GIVEN and verify is not _NOT_GIVEN:
            raise AuthError(f"kit.{kind} has both tokens and verify.", "Pass one of them.")
        named = {} if tokens is _NOT_GIVEN else _named(tokens, kind)
        digests = {_digest(form): who for token, who in named.items() for form in self._forms(token, kind)}
        object.__setattr__(self, "_verify", None if verify is _NOT_GIVEN else verify)
        object.__setattr__(self, "_digests", digests)

    @property
    def is_basic(self) -> bool:
        """Whether the credential is `user:password`, and not a bearer token."""
        return getattr(self, "authorization_type", "bearer") == "basic"

    @property
    def is_checked(self) -> bool:
        """Whether it has tokens or a `verify` by which credentials are checked."""
        return self.has_tokens or getattr(self, "_verify", None) is not None

    @property
    def has_tokens(self) -> bool:
        """Whether it checks by tokens of its own, and not by `verify`."""
        return bool(getattr(self, "_digests", None))

    def accepts(self, text: str) -> bool:
        """Whether `text` is one of its tokens; False for a kind that has none."""
        return self.owner(text.encode("utf-8", "surrogatepass")) is not None

    def owner(self, sent: bytes) -> str | None:
        """The name of the token that was sent, None if it is none. All are compared, each in constant time."""
        forms = [_digest(form) for form in (sent, self._decoded(sent)) if form is not None]
        owner = None
        for digest, who in getattr(self, "_digests", {}).items():
            for form in forms:
                if hmac.compare_digest(digest, form):
                    owner = who
        return owner

    async def identify(self, sent: bytes) -> Any:
        """Who sent this credential; None for nobody. `verify` may raise anything."""
        if self.has_tokens:
            return self.owner(sent)
        if (verify := getattr(self, "_verify", None)) is None:
            return None
        decoded = self._decoded(sent)
        credential = _text(sent if decoded is None else decoded)
        if inspect.iscoroutinefunction(verify) or inspect.iscoroutinefunction(type(verify).__call__):
            who = verify(credential)
        else:  # it may wait for a database
            from starlette.concurrency import run_in_threadpool

            who = await run_in_threadpool(verify, credential)
        return (await who if inspect.isawaitable(who) else who) or None

    def redacted(self, text: str, sent: bytes) -> str:
        """`text` without a credential that was sent, in any of its forms."""
        decoded = self._decoded(sent) or sent
        for form in (sent, decoded, decoded.partition(b":")[2]):
            text = text.replace(_text(form), HIDDEN) if form else text
        return text

    def scheme(self) -> dict[str, Any]:
        """Its security scheme in an OpenAPI document."""
        return {"type": "http", "scheme": "basic" if self.is_basic else "bearer"}

    def _decoded(self, sent: bytes) -> bytes | None:
        """`user:password` of a basic credential; None if it is not in the form of RFC 7617."""
        if not self.is_basic:
            return None
        try:
            decoded = base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            return None
        return decoded if b":" in decoded else None

    def _forms(self, token: str, kind: str) -> list[bytes]:
        """A token as it may be sent."""
        sent = token.encode()
        if self.is_basic:
            return [sent if (decoded := self._decoded(sent)) is None else decoded]
        if not re.fullmatch(r"[!-~]+", token):
            raise AuthError(
                f"A token of kit.{kind} has a space or a character that `Authorization` cannot carry.",
                "Use letters, digits and -._~+/= (RFC 6750). If it was read from a file, strip its line break.",
            )
        return [sent]

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # One that was pickled accepts nobody, and `kit.serve` refuses it.
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


@dataclass(frozen=True)
class UserHttp(_Checked):
    """Each user pastes a token of their own when installing; it goes into `Authorization`.

    `verify(token)` returns whose it is, the user's name or any true value, and something falsy for nobody's (status
    401); it may be `async`. It raises `kit.Forbidden` for a user who is known and may not call (403).
    """

    authorization_type: Literal["bearer", "basic"] = "bearer"
    instructions: str = field(default="", kw_only=True)
    verify: InitVar[Verify] = field(default=_NOT_GIVEN, kw_only=True)

    type: ClassVar[str] = "user_http"
    name: ClassVar[str] = "user_http"

    def __post_init__(self, verify: Any) -> None:
        self._set(_NOT_GIVEN, verify)


@dataclass(frozen=True)
class ServiceHttp(_Checked):
    """Tokens of the service, which the host sends in `Authorization`.

    `tokens` is one, several, or `{name: token}`: read them from `os.environ`. For `basic` each is `user:password`,
    or its base64 form. Instead of them, `verify` as in `UserHttp`. `verification_tokens` is what the host hands out
    to prove that the manifest is yours, such as `{"openai": "..."}`. It is public, unlike the tokens. Raises
    `AuthError` for tokens that could not protect.
    """

    authorization_type: Literal["bearer", "basic"] = "bearer"
    verification_tokens: Mapping[str, str] = field(default_factory=dict)
    instructions: str = field(default="", kw_only=True)
    tokens: InitVar[Tokens] = field(default=_NOT_GIVEN, kw_only=True)
    verify: InitVar[Verify] = field(default=_NOT_GIVEN, kw_only=True)

    type: ClassVar[str] = "service_http"
    name: ClassVar[str] = "service_http"

    def __post_init__(self, tokens: Any, verify: Any) -> None:
        self._set(tokens, verify)


@dataclass(frozen=True)
class OAuth(_Checked):
    """The user signs in. `client_url` is where they are sent.

    `authorization_url` is, despite its name, where the code is exchanged for a token. `issuer` is the authorization
    server that MCP clients are pointed to, by default the origin of `authorization_url`. `verify` is as in `UserHttp`;
    for tokens that are JWTs, `kit.JWTVerifier(...)`.
    """

    client_url: str
    authorization_url: str
    scope: str = ""
    authorization_content_type: str = "application/json"
    verification_tokens: Mapping[str, str] = field(default_factory=dict)
    instructions: str = field(default="", kw_only=True)
    issuer: str = field(default="", kw_only=True)
    verify: InitVar[Verify] = field(default=_NOT_GIVEN, kw_only=True)

    type: ClassVar[str] = "oauth"
    name: ClassVar[str] = "oauth"

    def __post_init__(self, verify: Any) -> None:
        self._set(_NOT_GIVEN, verify)

    def scheme(self) -> dict[str, Any]:
        """Its security scheme in an OpenAPI document."""
        scopes = {scope: scope for scope in self.scope.split()}
        flow = {"authorizationUrl": self.client_url, "tokenUrl": self.authorization_url, "scopes": scopes}
        return {"type": "oauth2", "flows": {"authorizationCode": flow}}


Auth = NoAuth | UserHttp | ServiceHttp | OAuth
KINDS: dict[str, type[Any]] = {kind.type: kind for kind in (NoAuth, UserHttp, ServiceHttp, OAuth)}
_NOT_IN_MANIFEST = {"issuer"}  # version 1 does not know it


def manifest_fields(kind: type[Any]) -> list[str]:
    """The names of the fields that the manifest has for this kind of auth, beside `type`."""
    return [each.name for each in fields(kind) if each.name not in _NOT_IN_MANIFEST]


def violations(auth: Auth) -> list[tuple[str, str]]:
    """Every documented rule that the fields break, as (field, message)."""
    found: list[tuple[str, str]] = []
    kind = getattr(auth, "authorization_type", "bearer")
    if kind not in ("bearer", "basic"):
        found.append(("authorization_type", f"must be 'bearer' or 'basic', not {kind!r}"))
    if isinstance(auth, OAuth):
        for name in ("client_url", "authorization_url", "issuer"):
            value = getattr(auth, name)
            if not isinstance(value, str):
                found.append((name, f"must be text, not {value!r:.60}"))
            elif not is_url(value) and (value or name != "issuer"):
                found.append((name, f"is not a URL: {value!r}; write https://..."))
        allowed = ("application/json", "application/x-www-form-urlencoded")
        if auth.authorization_content_type not in allowed:
            found.append(("authorization_content_type", f"must be one of {' or '.join(allowed)}"))
    return found


def _named(tokens: Any, kind: str) -> dict[str, str]:
    """Each token, and the name of its owner. Never shows one: whoever reads the error may be anyone."""
    if isinstance(tokens, Mapping):
        pairs = [(token, str(name)) for name, token in tokens.items()]
    elif isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
        pairs = [(tokens, SERVICE)]
    else:
        pairs = [(token, SERVICE) for token in tokens]
    if not pairs:
        raise AuthError(f"kit.{kind} has no tokens.", _SET_THEM)
    for token, _ in pairs:
        if token is None or token == "":
            raise AuthError(f"A token of kit.{kind} is {'None' if token is None else 'empty'}.", _SET_THEM)
        if not isinstance(token, str):
            problem = f"A token of kit.{kind} is {type(token).__name__}, not text."
            raise AuthError(problem, "Pass a text, several, or {name: token}.")
        if token != token.strip() or not token.isprintable():
            what = (
                "is only whitespace"
                if not token.strip()
                else "has whitespace or a control character around it"
            )
            raise AuthError(
                f"A token of kit.{kind} {what}.", "If it was read from a file, strip its line break."
            )
    owners: dict[str, str] = {}
    for token, name in pairs:
        if owners.setdefault(token, name) != name:
            problem = f"Two names have the same token in kit.{kind}: {owners[token]!r} and {name!r}."
            raise AuthError(problem, "Give each its own.")
    return owners


_SET_THEM = (
    "If it comes from os.environ, the variable is not set: set it before you start this. "
    "A new token: python -c 'import secrets; print(secrets.token_urlsafe(32))'."
)


def _digest(token: bytes) -> bytes:
    return hmac.digest(_KEY, token, "sha256")


def _text(sent: bytes) -> str:
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return sent.decode("latin-1")  # as RFC 7617 had it
