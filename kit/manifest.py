"""The `ai-plugin.json` manifest, version 1: its fields and their limits.

An own `Manifest` is checked when it is created and whenever a field is set; one from elsewhere is read
with `Manifest.read`, which keeps what is there and lists what is wrong in `problems`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, fields, replace
from typing import Any

from kit import auth as auths
from kit.addresses import is_url, joined, same_site
from kit.auth import Auth, NoAuth, OAuth, UserHttp
from kit.errors import ManifestError
from kit.markup import CELL, box, code, columns, escape, link, logo_image
from kit.visible import visible_line

MANIFEST_PATH = "/.well-known/ai-plugin.json"
SPEC_PATH = "/.well-known/openapi.json"  # the usual place; the manifest names it

# Characters. platform.openai.com/docs/plugins/getting-started, text of April 2023.
LIMITS = {
    "name_for_model": 50,
    "name_for_human": 50,
    "description_for_human": 120,
    "description_for_model": 8000,
}
# Later copies of the same page, and Microsoft 365 Copilot, cut these two shorter.
SHORTER_LIMITS = {"name_for_human": 20, "description_for_human": 100}

_NAME = re.compile(r"[A-Za-z0-9_]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")

Violation = tuple[str, str]


@dataclass
class Manifest:
    """The manifest of a plugin. Raises `ManifestError`, naming every violation at once.

    URLs may be paths: they are completed with the base URL that the manifest is served from.
    `conversation_starters` are served as `capabilities.conversation_starters`, where Microsoft's later versions of
    this document have them (m365copilot-docs, plugin-manifest-2.4.md).
    """

    name_for_model: str
    name_for_human: str = ""
    description_for_model: str = ""
    description_for_human: str = ""
    auth: Auth = field(default_factory=NoAuth)
    api_url: str = SPEC_PATH
    logo_url: str = "/logo.svg"
    contact_email: str = "support@example.com"
    legal_info_url: str = "/legal"
    schema_version: str = "v1"
    conversation_starters: Sequence[str] = ()  # what a user may say first
    home: InitVar[str] = ""  # the public URL of the plugin, if known

    def __post_init__(self, home: str) -> None:
        self.problems: list[Violation] = []
        wrong_home = [("public_url", message) for message in _check_url(home)] if home else []
        violations = [*self.violations(), *wrong_home]
        is_url = isinstance(self.legal_info_url, str) and "://" in self.legal_info_url
        if home and is_url and not wrong_home and not same_site(home, self.legal_info_url):
            # platform.openai.com/docs/plugins/production: the second-level domains must be the same
            message = f"must be on the plugin's own domain, that of {home}: not {self.legal_info_url}"
            violations.append(("legal_info_url", message))
        if violations:
            raise _refusal(self.name_for_model, violations)
        self._checked = True

    def __setattr__(self, name: str, value: Any) -> None:
        # A field that is set later is checked too: the old value stays if the new one breaks a rule.
        if getattr(self, "_checked", False) and name in _FIELDS:
            replace(self, **{name: value})
            object.__setattr__(self, "_revision", self.revision + 1)
        object.__setattr__(self, name, value)

    @property
    def revision(self) -> int:
        """Grows by one whenever a field is set, so that a rendered copy knows it is stale."""
        return int(getattr(self, "_revision", 0))

    def violations(self) -> list[Violation]:
        """Every documented rule that the fields break, as (field, message)."""
        violations = [(name, message) for name in _FIELDS for message in _check(name, getattr(self, name))]
        return violations + [(f"auth.{name}", message) for name, message in _violations_of(self.auth)]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Manifest:
        """A manifest from elsewhere. Nothing is refused: what breaks a rule is listed in `problems`.

        A record of ChatGPT's store, which contains the manifest, is read too.
        """
        manifest = object.__new__(cls)
        problems: list[Violation] = []
        if "api" not in data and isinstance(data.get("manifest"), Mapping):
            problems.append(("manifest", "the document is a record with the manifest inside: read anyway"))
            data = data["manifest"]
        api = data.get("api")
        problems += _slips(data, api)
        values = {**data, "api_url": api.get("url") if isinstance(api, Mapping) else None}
        for name in _FIELDS:
            value = values.get(name)
            if name == "auth":
                object.__setattr__(manifest, name, _read_auth(value, problems))
                continue
            if name == "conversation_starters":
                object.__setattr__(manifest, name, _read_starters(data.get("capabilities"), problems))
                continue
            shown = "api.url" if name == "api_url" else name
            if not isinstance(value, str):
                problems.append((shown, "is missing" if value is None else f"is not text: {value!r:.60}"))
            text = value if isinstance(value, str) else "" if value is None else str(value)
            object.__setattr__(manifest, name, text)
            if isinstance(value, str) and not (name == "api_url" and value and "//" not in value):
                problems += [(shown, message) for message in _check(name, text)]
        manifest.problems = problems
        return manifest

    def render(self, base_url: str) -> dict[str, Any]:
        """The document as a host fetches it, its URLs completed with `base_url`."""

        def absolute(url: str) -> str:
            return base_url.rstrip("/") + url if url.startswith("/") else joined(base_url, url)

        names = auths.manifest_fields(type(self.auth))
        values = {name: getattr(self.auth, name) for name in names}
        values = {
            name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()
        }
        auth = {name: value for name, value in values.items() if value or name == "scope"}
        starters = [{"text": text} for text in self.conversation_starters]
        return {
            "schema_version": self.schema_version,
            "name_for_model": self.name_for_model,
            "name_for_human": self.name_for_human,
            "description_for_model": self.description_for_model,
            "description_for_human": self.description_for_human,
            "auth": {"type": self.auth.type, **auth},
            "api": {
                "type": "openapi",
                "url": absolute(self.api_url),
                "is_user_authenticated": isinstance(self.auth, UserHttp | OAuth),
            },
            "logo_url": absolute(self.logo_url),
            "contact_email": self.contact_email,
            "legal_info_url": absolute(self.legal_info_url),
            **({"capabilities": {"conversation_starters": starters}} if starters else {}),
        }

    def __repr__(self) -> str:
        return manifest_text(self)

    def _repr_html_(self) -> str:
        return manifest_card(self)


_KEYS = {
    "schema_version", "name_for_model", "name_for_human", "description_for_model", "description_for_human",
    "auth", "api", "logo_url", "contact_email", "legal_info_url", "capabilities",
}  # fmt: skip


def _slips(data: Mapping[str, Any], api: Any) -> list[Violation]:
    """What the manifest has that version 1 does not know, and how it is read."""
    problems = [(str(key), "is not a field of version 1: ignored") for key in data if key not in _KEYS]
    if not isinstance(api, Mapping):
        return problems + ([("api", f"is {api!r:.60}, not a mapping")] if "api" in data else [])
    url = api.get("url")
    if api.get("type") != "openapi":
        problems.append(("api.type", f"is {api.get('type')!r:.60}: read as 'openapi', the only type"))
    if isinstance(url, str) and url and not re.match(r"https?://", url):
        problems.append(("api.url", f"is relative, {url!r}: read from the address of the manifest"))
    for key, value in api.items():
        if key == "has_user_authentication":
            problems.append((f"api.{key}", "is a misspelling of is_user_authenticated: read as that"))
        elif key not in ("type", "url", "is_user_authenticated"):
            problems.append((f"api.{key}", "is not a field of version 1: ignored"))
        if key in ("has_user_authentication", "is_user_authenticated") and not isinstance(value, bool):
            problems.append((f"api.{key}", f"is {value!r:.60}, neither true nor false: auth decides"))
    return problems


_FIELDS = tuple(f.name for f in fields(Manifest))


def _check(name: str, value: Any) -> list[str]:
    if name == "auth":
        return (
            []
            if isinstance(value, Auth)
            else [f"is {value!r}; use kit.NoAuth(), ServiceHttp, UserHttp or OAuth"]
        )
    if name == "conversation_starters":
        texts = isinstance(value, Sequence) and not isinstance(value, str)
        if texts and all(isinstance(text, str) and text.strip() for text in value):
            return []
        return [f"must be a list of texts that a user may say, not {value!r:.60}"]
    if not isinstance(value, str):
        return [f"must be text, not {value!r}"]
    if not value.strip():
        return ["is empty: write a text"]
    messages = []
    limit = LIMITS.get(name)
    if limit and len(value) > limit:
        messages.append(f"has {len(value)} characters, the limit is {limit}: cut {len(value) - limit}")
    if name == "name_for_model" and not _NAME.fullmatch(value):
        legal = legal_name(value)
        messages.append(f"may have letters, digits and _ only: {legal!r} is legal, not {value!r}")
    elif name == "contact_email" and not _EMAIL.fullmatch(value):
        messages.append(f"is not an e-mail address: {value!r}")
    elif name == "schema_version" and value != "v1":
        messages.append(f"must be 'v1', not {value!r}")
    elif name.endswith("_url"):
        messages += _check_url(value, path_allowed=True)
    return messages


def legal_name(text: str) -> str:
    """A legal `name_for_model` for a text, such as a title: its Latin letters without accents, digits and _."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("æ", "ae").replace("ø", "o"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")[: LIMITS["name_for_model"]].strip("_") or "plugin"


def cut(text: str, field: str) -> str:
    """A text in no more than the limit of a field of the manifest: whole words, then an ellipsis."""
    limit, text = LIMITS[field], text.strip()
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    return (head.rsplit(None, 1)[0] if " " in head.strip() else head).rstrip() + "…"


def _check_url(value: Any, path_allowed: bool = False) -> list[str]:
    if not isinstance(value, str):
        return [f"must be text, not {value!r:.60}"]
    if is_url(value) or (path_allowed and re.match("/(?!/)", value)):
        return []
    form = "https://... or a path such as /legal" if path_allowed else "https://..."
    return [f"is not a URL: {value!r}; write {form}"]


def _violations_of(auth: Any) -> list[Violation]:
    return auths.violations(auth) if isinstance(auth, Auth) else []


def _read_auth(value: Any, problems: list[Violation]) -> Auth:
    if not isinstance(value, Mapping):
        state = "missing" if value is None else f"{value!r:.60}"
        problems.append(("auth", f"is {state}: read as none"))
        return NoAuth()
    kind = auths.KINDS.get(str(value.get("type", "")).strip().lower())
    if kind is None:
        problems.append(("auth.type", f"is {value.get('type')!r:.60}, not a type of version 1: read as none"))
        return NoAuth()
    known = auths.manifest_fields(kind)
    options = {name: item for name, item in value.items() if name in known and item is not None}
    tokens = options.get("verification_tokens", {})
    if not (isinstance(tokens, Mapping) and all(isinstance(token, str) for token in tokens.values())):
        problems.append(("auth.verification_tokens", "is not a mapping of names to tokens: left out"))
        del options["verification_tokens"]
    wrong = [name for name in options if name != "verification_tokens" and not isinstance(options[name], str)]
    problems += [(f"auth.{name}", f"is not text: {options.pop(name)!r:.60}") for name in wrong]
    for name in ("client_url", "authorization_url"):
        if name in known and name not in options:
            options[name] = ""
    auth: Auth = kind(**options)
    problems += [(f"auth.{name}", message) for name, message in auths.violations(auth)]
    return auth


def _read_starters(capabilities: Any, problems: list[Violation]) -> list[str]:
    starters = capabilities.get("conversation_starters", []) if isinstance(capabilities, Mapping) else []
    entries = starters if isinstance(starters, list) else [starters]
    texts = [entry.get("text") if isinstance(entry, Mapping) else entry for entry in entries]
    kept = [text for text in texts if isinstance(text, str) and text.strip()]
    if len(kept) < len(texts):
        problems.append(("capabilities.conversation_starters", "has an entry without a text: ignored"))
    return kept


def _refusal(name: str, violations: list[Violation]) -> ManifestError:
    lines = "\n".join(f"  {field} {message}" for field, message in violations)
    many = "1 rule" if len(violations) == 1 else f"{len(violations)} rules"
    return ManifestError(
        f"The manifest of {name!r} breaks {many}:\n{lines}",
        "Fix the fields above and run this cell again.",
        violations=violations,
    )


# -- views --------------------------------------------------------------------

_AUTH_WORDS = {
    "none": "none: anyone may call",
    "user_http": "each user's own token",
    "service_http": "one token for the service",
    "oauth": "the user signs in (OAuth)",
}


def _manifest_rows(manifest: Manifest) -> list[tuple[str, str]]:
    return [
        ("for the model", f"{manifest.name_for_model}: {manifest.description_for_model}"),
        ("auth", _AUTH_WORDS[manifest.auth.type]),
        ("spec", manifest.api_url),
        ("logo", manifest.logo_url),
        ("contact", manifest.contact_email),
        ("legal", manifest.legal_info_url),
        *(("a user may say", text) for text in manifest.conversation_starters),
    ]


def manifest_text(manifest: Manifest) -> str:
    """The manifest for a terminal."""
    rows = [("", manifest.description_for_human), *_manifest_rows(manifest)]
    return f"{visible_line(manifest.name_for_human)}\n{columns(rows, '  ')}"


def manifest_card(manifest: Manifest, base: str = "") -> str:
    """The manifest as a card. With `base`, its links work."""
    rows = []
    for name, value in _manifest_rows(manifest):
        if name in ("spec", "logo", "legal") and value:
            url = base + value if value.startswith("/") else value
            cell = link(url, value) if base or "://" in value else code(value)
        else:
            cell = escape(value)
        rows.append((f"<b>{name}</b>", cell))
    head = f"<b>{escape(manifest.name_for_human)}</b><br>{escape(manifest.description_for_human)}"
    body = "".join(f'<tr><td style="{CELL}">{a}</td><td style="{CELL}">{b}</td></tr>' for a, b in rows)
    return box(f"{logo_image(manifest.name_for_human)}{head}<table><tbody>{body}</tbody></table>")
