"""What an address means, and which addresses a plugin may lead to.

The rules are ChatGPT's (platform.openai.com/docs/plugins/production, mid-2023): a plugin belongs to
the domain that its manifest was found on. Spec and server must be on that domain or below it, a
redirect may only lead below it, and a stranger's plugin never leads into a private network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from kit.errors import InstallError, ServeError

NOWHERE = "https://nowhere.invalid"  # RFC 2606: no host has such a name
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared with, not listened on
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".in-process")
_DOCUMENT = re.compile(r"\.(json|ya?ml)$", re.IGNORECASE)


@dataclass(frozen=True)
class Root:
    """The address a user named, which decides where the rest of the plugin may be."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> Root:
        """Raises `InstallError` for anything but an http(s) URL."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InstallError(f"{url!r} is not a URL: {error}.", _FORMS, source=url) from None
        if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
            raise InstallError(f"{url!r} is not an http(s) URL.", _FORMS, source=url)
        return cls(parts.scheme, host, port)

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own: this machine, or a name or number of a private network."""
        return is_private(self.host)

    def covers(self, url: str) -> bool:
        """Whether `url` is on the domain of this address or below it, and no less safe."""
        other = Root.of(url)
        if other.host in LOCAL_NAMES or self.host in LOCAL_NAMES:
            return other.host in LOCAL_NAMES and self.host in LOCAL_NAMES
        apex = self.host.removeprefix("www.")
        below = other.host == self.host or other.host == apex or _is_below(other.host, apex)
        return below and (other.scheme == "https" or self.scheme == "http")

    def may_redirect_to(self, url: str) -> bool:
        """Whether a fetch from this address may be redirected to `url`: the same host, or below it."""
        other = Root.of(url)
        if (other.host, other.port) == (self.host, self.port):
            return other.scheme == "https" or self.scheme == "http"
        if self.host in LOCAL_NAMES or other.host in LOCAL_NAMES:
            return False  # another port of this machine is another service
        upgrade = other.host == self.host and (self.scheme, other.scheme) == ("http", "https")
        apex = self.host.removeprefix("www.")
        return upgrade or (other.scheme == "https" and (other.host == apex or _is_below(other.host, apex)))


_FORMS = (
    "Give a base URL (localhost:3333, https://example.com), the URL of a manifest (.../ai-plugin.json) "
    "or of a spec (.../openapi.json), or a file."
)


def _is_below(host: str, apex: str) -> bool:
    return "." in apex and host.endswith(f".{apex}") and not _is_address(apex)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_private(host: str) -> bool:
    """Whether a name or number belongs to a private network by its form alone."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def host_of(url: str) -> str:
    """The host in a URL, in lower case; empty if it has none or is not a URL."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def joined(base: str, url: str) -> str:
    """`url` relative to `base`, as a link in a page; unchanged if it is not a URL."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def same_site(url: str, other: str) -> bool:
    """Whether two URLs share their second-level domain, as in api.example.com and www.example.com.

    Under a suffix of two parts (co.uk) unrelated domains count as one: there is no list of suffixes.
    """
    hosts = [host_of(url), host_of(other)]
    if any(_is_address(host) for host in hosts):
        return hosts[0] == hosts[1]
    return hosts[0].split(".")[-2:] == hosts[1].split(".")[-2:]


def complete(address: str) -> str:
    """An address as people type it, completed to a URL: `localhost:3333` gets http, `example.com` https."""
    address = address.strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address):
        return address
    host = re.split(r"[/:?#]", address.lstrip("/"), maxsplit=1)[0]
    scheme = "http" if is_private(host) or address.startswith("[") else "https"
    return f"{scheme}://{address.lstrip('/')}"


def is_document(url: str) -> bool:
    """Whether a URL names a document (a manifest or a spec) and not the base of a plugin."""
    return bool(_DOCUMENT.search(urlsplit(url).path))


def is_url(address: str) -> bool:
    """Whether an address is an http(s) URL."""
    try:
        Root.of(address)
    except InstallError:
        return False
    return True


def choose_server(servers: list[str], spec_url: str, root: Root, strict: bool) -> tuple[str, list[str]]:
    """The base URL for calls, and the servers that were skipped.

    The first of `servers` that `root` covers; else where the spec came from. Without a manifest
    (`strict` false) the user has named the spec itself, and its first server is used.
    """
    skipped: list[str] = []
    for server in servers:
        url = joined(spec_url, server)
        try:
            covered = root.covers(url) or (not strict and not is_private(Root.of(url).host))
        except InstallError:
            covered = False
        if covered:
            return url.rstrip("/"), skipped
        skipped.append(server)
    parts = urlsplit(spec_url)
    return f"{parts.scheme}://{parts.netloc}", skipped


def checked(url: str) -> str:
    """A public address, without a slash at its end. Raises `ServeError` for one that no host would accept."""
    example = "Write it in full: https://plugin.example.com"
    if not is_url(url):
        raise ServeError(f"public_url {url!r} is not an http(s) URL.", f"{example}.")
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ServeError(
            f"public_url {url!r} has more than a host and a path.", f"{example}, or with a path."
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL_NAMES:
        raise ServeError(
            f"public_url {url!r} is plain http: hosts refuse it, and anyone on the way can read what is sent.",
            "Use an https address or a tunnel: public_url=kit.tunnels.cloudflared.",
        )
    return url.rstrip("/")
