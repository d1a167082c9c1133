"""ChatGPT's plugins of 2023: the manifest, version 1, and the rules of its store.

ChatGPT has read none since April 2024. Other hosts and catalogues still do, and Copilot's manifest grew from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from kit.addresses import LOCAL_NAMES, NOWHERE, host_of, is_private, same_site
from kit.auth import NoAuth, ServiceHttp, UserHttp
from kit.hosts.findings import Finding
from kit.hosts.texts import texts_too_long
from kit.manifest import SHORTER_LIMITS

if TYPE_CHECKING:
    from kit.description import Description

TITLE = "ChatGPT plugins (version 1, retired)"
FILE = "ai-plugin.json"
HOST = "chatgpt"
RETIRED = "ChatGPT has taken no plugin since April 2024"
_finding = partial(Finding, HOST)
MAX_ABOUT = 200  # characters of a summary or description, of an operation or a parameter

_START = "https://platform.openai.com/docs/plugins/getting-started (April 2023)"
_PRODUCTION = "https://platform.openai.com/docs/plugins/production (mid-2023)"
_AUTH = "https://platform.openai.com/docs/plugins/authentication (2023)"
_NO_TEXT = "no official text: copies of the page from later in 2023 have it"


def render(plugin: Description) -> dict[str, Any]:
    """The manifest as a host fetches it, with absolute URLs."""
    document = plugin.manifest.render(plugin.base_url)
    if "://" in plugin.spec.source:
        document["api"]["url"] = plugin.spec.source
    return document


def check(plugin: Description) -> Iterator[Finding]:
    """A finding for every documented rule that the manifest and the spec break."""
    manifest = plugin.manifest
    seen = set()
    for field, message in [*manifest.problems, *manifest.violations()]:
        name = "api.url" if field == "api_url" else field
        if name not in seen and "misspelling" not in message and "relative" not in message:
            seen.add(name)
            is_mild = "ignored" in message or "read a" in message
            severity: Literal["error", "warning"] = "warning" if is_mild else "error"
            yield _finding(severity, _place(name), f"{name} {message}.", "Fix it in the manifest.", _START)
    for name, limit in SHORTER_LIMITS.items():
        length = len(getattr(manifest, name))
        if length > limit:
            message = f"{name} has {length} characters; later hosts cut after {limit}."
            yield _finding("warning", _place(name), message, f"Shorten it to {limit}.", _NO_TEXT)
    yield from _domains(plugin)
    if isinstance(manifest.auth, UserHttp):
        yield _finding(
            "warning", "manifest/auth/type", "user_http was not admitted to the store.", "Use service_http or oauth.", _AUTH
        )  # fmt: skip
    if isinstance(manifest.auth, ServiceHttp) and not manifest.auth.verification_tokens:
        message = "There is no verification token for the host."
        remedy = "Add the one that the host issues: {'openai': '...'}."
        yield _finding("warning", "manifest/auth/verification_tokens", message, remedy, _AUTH)
    yield from texts_too_long(plugin, HOST, MAX_ABOUT, MAX_ABOUT, _START)


def _domains(plugin: Description) -> Iterator[Finding]:
    manifest, base = plugin.manifest, plugin.base_url
    host = host_of(base)
    if base == NOWHERE:
        message = "The spec names no server."
        yield _finding("error", "/servers", message, "Add 'servers' to it, or pass base_url=.", _PRODUCTION)
        return
    if host in LOCAL_NAMES:
        if not isinstance(manifest.auth, NoAuth):
            message = f"On localhost ChatGPT took no auth, and this is {manifest.auth.type}."
            yield _finding("error", "manifest/auth/type", message, "Use kit.NoAuth() there.", _START)
    elif is_private(host):
        message = f"{base} is in a private network."
        yield _finding("error", "/servers", message, "Serve it with a public_url.", _PRODUCTION)
    elif not base.startswith("https://") or urlsplit(base).port not in (None, 443):
        yield _finding(
            "error", "/servers", f"{base} is not https on port 443.", "Serve it there.", _PRODUCTION
        )
    local = host in LOCAL_NAMES or is_private(host)
    if "://" in manifest.legal_info_url and not local and not same_site(base, manifest.legal_info_url):
        message = f"{manifest.legal_info_url} is not on the domain of {base}."
        remedy = "Put the page there; /legal is one."
        yield _finding("error", _place("legal_info_url"), message, remedy, _PRODUCTION)
    domain = manifest.contact_email.rpartition("@")[2]
    if domain and not local and not same_site(base, f"https://{domain}"):
        message = f"{manifest.contact_email} is not on the domain of {base}."
        remedy = "Use an address of that domain: the text says 'should'."
        yield _finding("warning", _place("contact_email"), message, remedy, _PRODUCTION)


def _place(field: str) -> str:
    return f"manifest/{field.replace('.', '/')}"
