"""What an address means, and which addresses a plugin may lead to.

The rules are ChatGPT's (platform.openai.com/docs/plugins/production, mid-2023): a plugin belongs to
the domain that its manifest was found on. Spec and server must be on that domain or below it, a
redirect may only lead below it, and a stranger's plugin never leads into a private network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

from kit.errors import InstallError, ServeError
from kit.redaction import hide

NOWHERE = "https://nowhere.invalid"  # RFC 2606: no host has such a name
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared with, not listened on
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".in-process")
_DOCUMENT = re.compile(r"\.(json|ya?ml)$", re.IGNORECASE)
# Of IANA's registries of special-purpose addresses (RFC 6890), those that some versions of Python take for global.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")))
_UNICAST = ip_network(
    "2000::/3"
)  # all of IPv6 that is given out: the rest is reserved or local, or carries IPv4
_LABEL = re.compile(r"[^\s.%/\\?#@:]{1,63}")  # of a host's name: RFC 1035, 2.3.4


@dataclass(frozen=True)
class Root:
    """The address a user named, which decides where the rest of the plugin may be."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> Root:
        """Raises `InstallError` for anything but an http(s) URL whose host can exist."""
        try:
            url.encode()  # half a character has no bytes
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            reason = "it has half a character in it" if isinstance(error, UnicodeError) else str(error)
            raise InstallError(f"{_shown(url)} is not a URL: {reason}.", _FORMS, source=url) from None
        if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\x7f]", url):
            raise InstallError(f"{_shown(url)} is not an http(s) URL.", _FORMS, source=url)
        host = host if host.isascii() else _in_ascii(host, url)
        if ":" not in host and not _can_be(host):
            raise InstallError(
                f"{_shown(url)} is not a URL: there can be no host {_shown(host)}. A name's parts, between its dots, "
                "have 1 to 63 characters.",
                _FORMS,
                source=url,
            )
        return cls(parts.scheme, host, port)

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own: this machine, or a name or number of a private network."""
        return is_private(self.host)

    @property
    def place(self) -> str:
        """What is the plugin's own, in words: its domain or, on a machine of one's own, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.is_own and self.port else host

    def covers(self, url: str) -> bool:
        """Whether `url` is this plugin's own: on the domain of this address or below it, and no less safe.

        The one rule for specs, servers, redirects and tokens. On a machine of one's own (`is_own`) each port is
        another service, so there the port is the same too; the names of this machine are one.
        """
        other = Root.of(url)
        if other.scheme == "http" and self.scheme == "https":
            return False
        names = {self.host, other.host}
        if len(names) == 1 or names <= set(LOCAL_NAMES):
            return not self.is_own or other._port == self._port
        if names & set(LOCAL_NAMES):
            return False
        apex = self.host.removeprefix("www.")
        return other.host == apex or _is_below(other.host, apex)

    @property
    def _port(self) -> int:
        return self.port or {"http": 80, "https": 443}[self.scheme]


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


def _shown(url: str) -> str:
    text = str(hide(url))
    return repr(text) if len(text) <= 200 else f"{text[:200]!r}, and {len(text) - 200:,} characters more,"


def _can_be(host: str) -> bool:
    name = host.removesuffix(".")
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def _in_ascii(host: str, url: str) -> str:
    """A name in other letters as the HTTP client looks it up (IDNA 2008), so that both mean the same host."""
    import idna  # late: few hosts have one

    try:
        return idna.encode(host).decode()
    except UnicodeError as error:
        raise InstallError(
            f"{_shown(url)} is not a URL: there can be no host {_shown(host)}: {error}.", _FORMS, source=url
        ) from None


def is_public(address: str) -> bool:
    """Whether an IP address is a single host's on the internet: all that a stranger's plugin may lead to.

    What carries another address inside (NAT64, 6to4, Teredo, IPv4 mapped into IPv6) is not, nor are private,
    shared, loopback, link-local, multicast and reserved ones. Raises `ValueError` for what is no address.
    """
    number: IPv4Address | IPv6Address = ip_address(address)
    if not number.is_global or number.is_multicast or number.is_reserved:
        return False
    if any(number.version == network.version and number in network for network in _SPECIAL):
        return False
    return number.version == 4 or number in _UNICAST


def is_private(host: str) -> bool:
    """Whether a name or number belongs to a private network by its form alone."""
    try:
        return not is_public(host)
    except ValueError:
        name = host.removesuffix(".")
        return "." not in name or name.endswith(_PRIVATE_SUFFIXES)


def is_this_machine(host: str) -> bool:
    """Whether a name or number means this machine (RFC 6761: `localhost` and all below it), or a plugin in this process."""
    host = host.rstrip(".").lower()
    if host in LOCAL_NAMES or host.endswith((".localhost", ".in-process")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_public_name(host: str) -> bool:
    """Whether it has the form of a domain name that anyone can register: no number, and not without a dot."""
    return "." in host.rstrip(".") and not _is_address(host)


def host_of(url: str) -> str:
    """The host in a URL, in lower case; empty if it has none or is not a URL."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def origin(url: str) -> str:
    """Scheme, host and port of a URL, which is whom a token is for (RFC 6454); "" if it is not a URL.

    The names of this machine are one host, called localhost.
    """
    try:
        root = Root.of(url)
    except InstallError:
        return ""
    host = "localhost" if root.host in LOCAL_NAMES else root.host
    port = root.port or (443 if root.scheme == "https" else 80)
    return f"{root.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
    try:
        return bool(_DOCUMENT.search(urlsplit(url).path))
    except ValueError:
        return False


def is_url(address: str) -> bool:
    """Whether an address is an http(s) URL."""
    try:
        Root.of(address)
    except InstallError:
        return False
    return True


def choose_server(servers: list[str], spec_url: str, root: Root, strict: bool) -> tuple[str, list[str]]:
    """The base URL for calls, and the servers that were skipped.

    The first of `servers` that `root` covers; else where the spec came from. Without a manifest (`strict` false) the
    user has named the spec itself, and its first server is used if it is a public one. Of a spec that a machine of
    one's own serves, the server that is running comes before those that its author has listed.
    """
    own, elsewhere = [], []
    for server in servers:
        url = joined(spec_url, server)
        try:
            if root.covers(url):
                own.append((server, url))
            elif not strict and not is_private(Root.of(url).host):
                elsewhere.append((server, url))
        except InstallError:
            continue
    usable = own + elsewhere
    if not root.is_own:
        usable.sort(key=lambda pair: servers.index(pair[0]))
    if usable:
        chosen, url = usable[0]
        return url.rstrip("/"), servers[: servers.index(chosen)]
    parts = urlsplit(spec_url)
    return f"{parts.scheme}://{parts.netloc}", servers


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
