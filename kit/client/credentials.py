"""What proves who calls: which secret goes where, for each operation, and to one origin only.

OpenAPI's `security` decides (spec.openapis.org/oas/v3.1.1, "Security Requirement Object"): that of the operation, else
the root's. Without either it is the manifest's `auth`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from kit.addresses import joined, origin
from kit.client import vault
from kit.client.proof import Proof
from kit.client.signin import Session, SignIn
from kit.errors import InstallError
from kit.manifest import Manifest
from kit.openapi.operation import Operation
from kit.openapi.spec import Problem, Spec, server_urls
from kit.openapi.values import mapping, pointer_token, text
from kit.redaction import HIDDEN, hide

# Secrets of fewer characters are not looked for in answers: half of all words would be hidden.
# NIST SP 800-63B, 5.1.1.1: a secret that a person chooses has at least 8.
SHORTEST = 8

Auth = str | SignIn | Session | Mapping[str, Any]
Scheme = Mapping[str, Any]
_BEARER: Scheme = {"type": "http", "scheme": "bearer"}


class Named(dict[str, Auth]):
    """Secrets for several plugins: each by its plugin's name or address, and none for any other plugin."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.used: set[str] = set()

    def of(self, name: str, *addresses: str) -> Auth | None:
        """The secret of the plugin of this name at one of these addresses."""
        for label, secret in self.items():
            if _is_label(label, name, addresses):
                self.used.add(label)
                return secret
        return None


def for_several(auth: Auth | None, count: int) -> Auth | None:
    """`auth` as it may be given to each of `count` plugins. Raises `InstallError` for one secret for all of them."""
    if auth is None or count == 1 or isinstance(auth, Named):
        return auth
    if not isinstance(auth, Mapping):
        raise InstallError(
            f"One token was given for {count} plugins, and each would get it.",
            'Say whose it is: auth={"NAME": "..."}, by the name or the address of its plugin.',
            source="auth",
        )
    return Named(auth)


def all_used(auth: Auth | None, names: list[str]) -> None:
    """Raises `InstallError` for a secret of a plugin that is not among them."""
    unused = auth.keys() - auth.used if isinstance(auth, Named) else set()
    if unused:
        raise InstallError(
            f"There is no plugin {min(unused)!r} to give its token to.",
            f"The plugins are: {', '.join(names) or 'none'}.",
            source="auth",
        )


class Credentials:
    """The secrets for one plugin. They never show; `notes` says which were not sent, and why.

    `auth` is one secret for whatever is asked for, or a mapping by the schemes' names; `headers` go with every call.
    `origin` is where both may go, as `addresses.origin` writes it; "" is nowhere.
    """

    def __init__(
        self,
        spec: Spec | None = None,
        manifest: Manifest | None = None,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        origin: str = "",
    ) -> None:
        self.origin = origin
        self._manifest = manifest
        self._schemes = spec.security_schemes if spec else {}
        self._declared = spec is not None and "security" in spec.document
        self._by_scheme: dict[str, str | SignIn | Session] = {}
        self._any: str | SignIn | Session | None = None
        if isinstance(auth, Mapping):
            self._by_scheme = {str(name): _checked(secret) for name, secret in auth.items()}
        elif auth is not None:
            self._any = _checked(auth)
        self._is_kept = False
        self._headers = [
            (_checked_name(name), _checked_text(value)) for name, value in (headers or {}).items()
        ]

    def __bool__(self) -> bool:
        return self._any is not None or bool(self._by_scheme or self._headers)

    def __repr__(self) -> str:
        return f"<Credentials for {self.origin or 'nothing'}>"

    def __reduce__(self) -> Any:
        raise TypeError("credentials are not pickled: they would be written in clear")

    # -- what is asked for ------------------------------------------------------------

    def alternatives(self, operation: Operation) -> list[dict[str, Scheme]]:
        """What an operation asks for: one of these, each by the names of its schemes; [] if anyone may call."""
        own = _of_manifest(self._manifest)
        if self._declared or "security" in operation.raw:
            return [
                {str(name): self._schemes.get(str(name)) or own or {} for name in mapping(one)}
                for one in operation.security
            ]
        if self._manifest is not None:
            return [{self._manifest.auth.type: own}] if own else []
        # a document that lists schemes and never says where they are needed
        return [{name: scheme} for name, scheme in self._schemes.items()]

    def _chosen(self, operation: Operation) -> dict[str, Scheme]:
        """The schemes of the first alternative for which there is a secret of each, and a place for it."""
        alternatives = self.alternatives(operation)
        if self._manifest is None and not (self._schemes or self._declared or "security" in operation.raw):
            alternatives = [{"": _BEARER}]  # no document says anything: as most servers expect it
        for one in alternatives:
            if one and all(not _obstacle(s) and self._secret(n, s) is not None for n, s in one.items()):
                return one
        return {}

    def _secret(self, name: str, scheme: Scheme) -> str | SignIn | Session | None:
        secret = self._by_scheme.get(name, self._any)
        # signing in gives a bearer token, which is neither an API key nor a password
        return secret if isinstance(secret, str) or _kind(scheme) == "bearer" else None

    # -- sending ------------------------------------------------------------------------

    async def proof(self, operation: Operation, url: str) -> Proof | None:
        """What goes with a call of `operation` at `url`. Raises `SignInError` if a sign-in has ended."""
        if not self or not self.origin or origin(url) != self.origin:
            return None
        tokens = {}
        for name, scheme in self._chosen(operation).items():
            secret = self._secret(name, scheme)
            if isinstance(secret, Session):
                tokens[name] = await secret.access_token()
            elif isinstance(secret, str):
                tokens[name] = secret
        return self.placed(operation, tokens)

    def placed(self, operation: Operation, tokens: Mapping[str, str] | None = None) -> Proof:
        """The same for secrets that are known; without `tokens`, for those that are texts."""
        proof = Proof(self.origin, [*self._headers])  # what was given by its header's name comes first
        cookies = []
        for name, scheme in self._chosen(operation).items():
            secret = (tokens or {}).get(name) if tokens is not None else self._secret(name, scheme)
            if not isinstance(secret, str):
                continue
            place, key = str(scheme.get("in")), str(scheme.get("name"))
            if _kind(scheme) != "apikey":
                place, key = "header", "Authorization"
                secret = _basic(secret) if _kind(scheme) == "basic" else f"Bearer {secret}"
            if place == "query":
                proof.query.append((key, secret))
            elif place == "cookie":
                cookies.append(f"{key}={secret}")
            elif key.lower() not in {taken.lower() for taken, _ in proof.headers}:
                proof.headers.append((key, secret))
        if cookies:
            proof.headers.append(("Cookie", "; ".join(cookies)))
        return proof

    async def renewed(self, proof: Proof | None) -> bool:
        """Refreshes the token in `proof`, which an answer 401 called expired; whether there is a new one to try."""
        sent = {value for name, value in proof.headers if name == "Authorization"} if proof else set()
        for session in self.sessions:
            if f"Bearer {session.token.get('access_token')}" in sent:
                return await session.refresh()
        return bool(sent and self.sessions)  # another call has refreshed it meanwhile

    # -- signing in and out ---------------------------------------------------------------

    @property
    def sessions(self) -> list[Session]:
        secrets = [self._any, *self._by_scheme.values()]
        return [secret for secret in secrets if isinstance(secret, Session)]

    @property
    def sign_in(self) -> SignIn | None:
        """The sign-in that has not happened yet."""
        secrets = [self._any, *self._by_scheme.values()]
        return next((secret for secret in secrets if isinstance(secret, SignIn)), None)

    def signed_in(self, session: Session) -> None:
        """Takes the place of the sign-in that `session` came from."""
        if self._any is session.sign_in:
            self._any = session
        for name, secret in self._by_scheme.items():
            if secret is session.sign_in:
                self._by_scheme[name] = session

    def give(self, secret: str | Session) -> None:
        """One secret for whatever is asked for, as `auth` of `install`."""
        self._any = _checked(secret)

    def keep(self) -> None:
        """Keeps the token or the sign-in in the system's keyring, now and whenever it is refreshed."""
        secret = self._any
        if isinstance(secret, Session):
            secret.on_change = lambda: vault.save(self.origin, secret.token)
            secret.on_change()
        elif isinstance(secret, str):
            vault.save(self.origin, {"token": secret})
        self._is_kept = True

    def forget(self) -> None:
        """Drops every secret, here and in the system's keyring."""
        if self._is_kept:
            vault.delete(self.origin)
            self._is_kept = False
        for session in self.sessions:
            session.forget()
        self._any = None
        self._by_scheme.clear()
        self._headers.clear()

    # -- hiding ---------------------------------------------------------------------------

    def hide(self, value: Any) -> Any:
        """`value`, an answer of the plugin, without the secrets that it repeats."""
        secrets = [secret for one in self._texts() for secret in (one, quote(one, safe=""), _encoded(one))]
        secrets = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True)
        return _without(value, re.compile("|".join(map(re.escape, secrets)))) if secrets else value

    def _texts(self) -> list[str]:
        secrets = [self._any, *self._by_scheme.values()]
        texts = [secret for secret in secrets if isinstance(secret, str)]
        secret_headers = [value for name, value in self._headers if hide({name: value})[name] == HIDDEN]
        texts += [value.removeprefix("Bearer ").removeprefix("Basic ") for value in secret_headers]
        return texts + [text for session in self.sessions for text in session.texts()]

    # -- what is said at install ------------------------------------------------------------

    def notes(self, operations: Iterable[Operation], base_url: str) -> list[Problem]:
        """What cannot be sent, or not there, as (place, message)."""
        notes: dict[Problem, None] = {}
        asked: set[str] = set()
        served = given = False
        for operation in operations:
            alternatives = self.alternatives(operation)
            asked |= {name for one in alternatives for name in one}
            served = served or bool(self._chosen(operation))
            given = given or bool(alternatives)
            if alternatives and {} not in alternatives and all(_obstacles(one) for one in alternatives):
                for name, why in _obstacles(alternatives[0]).items():
                    place = f"/components/securitySchemes/{pointer_token(name)}"
                    notes[place, f"{why}: nothing is sent for it"] = None
        servers = [url for operation in operations for url in server_urls(operation.servers)]
        elsewhere = {origin(joined(base_url + "/", url)) for url in servers} - {"", self.origin}
        if not self:
            return list(notes)
        if elsewhere and self.origin:
            notes[
                "auth",
                f"is not sent to the servers of single operations: {', '.join(sorted(elsewhere)):.300}",
            ] = None
        if not self.origin:
            notes["auth", f"is not sent to {base_url}, which is not the origin that was named: with "
                  f"base_url={base_url!r} you say that it is meant for there"] = None  # fmt: skip
        elif (self._any is not None or self._by_scheme) and not served:
            why = "nothing that is asked for fits it" if given else "neither manifest nor spec asks for one"
            notes["auth", f"is not sent: {why}. headers={{...}} sends what no document mentions"] = None
        for name in self._by_scheme.keys() - asked:
            known = ", ".join(sorted(asked)) or "none"
            notes["auth", f"names {name!r}, which no operation asks for; there are: {known}"] = None
        return list(notes)

    def take_over(self, other: Credentials) -> None:
        """The secrets of the same plugin, as it was installed before."""
        self._any, self._by_scheme, self._headers = other._any, other._by_scheme, other._headers
        self._is_kept = other._is_kept

    @property
    def has_ended(self) -> bool:
        """Whether a sign-in has ended, so that the user must sign in again."""
        return any(not session.token for session in self.sessions)

    @property
    def is_missing(self) -> bool:
        """Whether the manifest asks for a secret, and none was given."""
        given = [name for name, _ in self._headers if name.lower() == "authorization"]
        return bool(_of_manifest(self._manifest)) and not (given or self._by_scheme) and self._any is None


def _of_manifest(manifest: Manifest | None) -> Scheme:
    """The manifest's auth as a scheme of a spec; {} for none."""
    kind = getattr(manifest, "auth", None)
    if kind is None or kind.type == "none":
        return {}
    if kind.type == "oauth":
        return {"type": "oauth2", "flows": {}}
    return {"type": "http", "scheme": kind.authorization_type}


def _kind(scheme: Scheme) -> str:
    """How a scheme is served: as "bearer", "basic" or "apikey"; "" if not at all."""
    kind, how = text(scheme.get("type")).lower(), text(scheme.get("scheme")).lower()
    if kind in ("oauth2", "openidconnect") or (kind == "http" and how in ("bearer", "")):
        return "bearer"
    if kind == "http" and how == "basic":
        return "basic"
    is_key = (
        kind == "apikey" and scheme.get("in") in ("header", "query", "cookie") and text(scheme.get("name"))
    )
    return "apikey" if is_key else ""


def _obstacle(scheme: Scheme) -> str:
    """Why the kit cannot serve a scheme; "" if it can."""
    if _kind(scheme):
        return ""
    if not scheme:
        return "is asked for and not defined"
    how = (
        " ".join(filter(None, [text(scheme.get("type")), text(scheme.get("scheme"))]))
        or "a scheme of no type"
    )
    return f"is {how:.60}, which the kit cannot serve"


def _obstacles(alternative: Mapping[str, Scheme]) -> dict[str, str]:
    return {name: why for name, scheme in alternative.items() if (why := _obstacle(scheme))}


def _basic(secret: str) -> str:
    """RFC 7617; what has no colon is encoded already."""
    return "Basic " + (_encoded(secret) if ":" in secret else secret)


def _encoded(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode()


def _checked(secret: Any) -> str | SignIn | Session:
    if isinstance(secret, SignIn | Session):
        return secret
    if not isinstance(secret, str):
        raise InstallError(
            f"A token of auth is {type(secret).__name__}, not text.",
            "Give a text, kit.SignIn(...), or a mapping of schemes to those.",
            source="auth",
        )
    return _checked_text(secret)


def _checked_text(secret: str) -> str:
    """Without the line break that comes along when something is pasted; never shown in the error."""
    secret = str(secret).strip()
    if not secret or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", secret):
        what = "has characters that no header can carry" if secret else "is empty"
        raise InstallError(f"A token {what}.", "Copy it again, as one line.", source="auth")
    return secret


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", str(name)):  # RFC 9110, 5.1
        raise InstallError(f"{name!r:.60} is not a header's name.", 'Write headers={"X-Name": "value"}.', source="headers")  # fmt: skip
    return str(name)


def _is_label(label: str, name: str, addresses: Iterable[str]) -> bool:
    """Whether a user's label means this plugin: its name, its address, or the host of that."""
    bare = label.rstrip("/")
    if bare == name:
        return True
    for address in filter(None, addresses):
        parts = urlsplit(address) if "://" in address else urlsplit(f"//{address}")
        if bare in (address.rstrip("/"), parts.netloc) or ("://" in bare and origin(bare) == origin(address)):
            return True
    return False


def _without(value: Any, secrets: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return secrets.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    return [_without(item, secrets) for item in value] if isinstance(value, list) else value
