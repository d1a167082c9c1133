"""What proxies say of a request, in X-Forwarded-* or in RFC 7239's `Forwarded`, and which proxies are believed.

Each proxy adds its entry at the right. An entry tells of the client of that proxy, so they are read from the right: past
each client that is a trusted proxy itself, up to the first one that is not. What stands left of that one, anyone may have
written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote

LOOPBACK = "127.0.0.0/8,::1"  # trusted if nothing else is set
HEADERS = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
     b"x-forwarded-prefix", b"x-forwarded-context")
)  # fmt: skip

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~@%+-]+)*")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_NAMELESS = re.compile(r"unknown|_[A-Za-z0-9._-]+")  # RFC 7239, 6.2 and 6.3
# RFC 7239, 4: a pair `name=token` or `name="quoted string"`, and what follows it
_PAIR = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:\[\]-]+)|"((?:[^"\\]|\\.)*)")[ \t]*(?:([;,])|$)""",
    re.ASCII,
)


class Proxies:
    """The proxies that are trusted: addresses and networks, separated by commas; `*` is all of them."""

    def __init__(self, text: str = LOOPBACK) -> None:
        """Raises `ValueError` with the entry that is neither an address nor a network."""
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        self.is_everyone = "*" in entries
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            if entry != "*":
                try:
                    self._networks.append(ip_network(entry, strict=False))
                except ValueError:
                    raise ValueError(entry) from None

    def __contains__(self, host: str) -> bool:
        if self.is_everyone:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:  # of a server that listens on `::`
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


@dataclass(frozen=True)
class Forwarded:
    """What the proxies say of the client's own request; what they do not say is empty. `client` has port 0 for none."""

    client: tuple[str, int] | None = None
    scheme: str = ""  # http or https
    host: str = ""  # as in a Host header
    prefix: str = ""  # of the path, without a slash at its end


def read(headers: Mapping[bytes, Sequence[str]], trusted: Proxies) -> Forwarded:
    """What headers of a trusted proxy say; a name that came several times has several values.

    If there are X-Forwarded-For, -Proto or -Host, `Forwarded` is not read: most proxies write only the former, and let
    pass what a client writes into the latter.
    """
    said = {name[12:].decode(): _entries(values) for name, values in headers.items() if name[:2] == b"x-"}
    if not said.keys() & {"for", "proto", "host"}:
        said |= _elements(",".join(headers.get(b"forwarded", ())))
    clients = [_node(text) for text in said.get("for", ())]
    # how many of the clients, from the right, are trusted proxies: their own entries are believed too
    depth = next(
        (at for at, client in enumerate(reversed(clients)) if client[0] not in trusted), len(clients)
    )
    if trusted.is_everyone:
        depth = max(map(len, said.values()), default=0)

    def entry(name: str) -> str:
        values = said.get(name, ())
        return values[max(len(values) - 1 - depth, 0)] if values else ""

    client = clients[max(len(clients) - 1 - depth, 0)] if clients else ("", 0)
    scheme = _SCHEMES.get(entry("proto").lower(), "")
    return Forwarded(
        client=client if client[0] else None,
        scheme=scheme,
        host=_with_port(entry("host"), entry("port")),
        prefix=_prefix("".join(said.get("prefix", ())[-1 - depth :]) or entry("context")),
    )


def is_host(text: str) -> bool:
    """Whether it is what a Host header may hold: a name or a number, and perhaps a port."""
    found = _HOST.fullmatch(text)
    return found is not None and int((found[2] or ":0")[1:]) <= 65535


def _entries(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",")]


def _elements(text: str) -> dict[str, list[str]]:
    """The pairs of `Forwarded` by name, one value for each proxy; nothing if it is not by RFC 7239.

    A proxy that does not say what another within says has its value: it has passed it on.
    """
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return {}
        name, token, quoted, end = pair.groups()
        elements[-1][name.lower()] = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
        if end == ",":
            elements.append({})
        at = pair.end()
    found: dict[str, list[str]] = {}
    for name in {name for element in elements for name in element} & {"for", "proto", "host"}:
        values: list[str] = []
        for element in reversed(elements):
            values.insert(0, element.get(name, "unknown" if name == "for" else values[0] if values else ""))
        found[name] = values
    return found


@lru_cache(1024)
def _node(text: str) -> tuple[str, int]:
    """Address and port of `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`, `unknown` or `_hidden`.

    ("", 0) for anything else.
    """
    if _NAMELESS.fullmatch(text):
        return text, 0
    host, port = text, ""
    if found := re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}|_[A-Za-z0-9._-]+))?", text):
        host, port = found[1] or found[2] or "", found[3] or ""
    try:
        return str(ip_address(host)), int(port) if port.isdigit() and int(port) <= 65535 else 0
    except ValueError:
        return "", 0


def _with_port(host: str, port: str) -> str:
    """The host with the port that is said beside it. 80 and 443 are not written: beside https, 80 is a port within."""
    if not is_host(host):
        return ""
    is_bare = not re.search(r":\d+$", host) or host.endswith("]")
    shown = is_bare and port not in ("", "80", "443") and is_host(f"{host}:{port}")
    return f"{host}:{port}" if shown else host


def _prefix(text: str) -> str:
    text = text.rstrip("/")
    return text if _PREFIX.fullmatch(text) and unquote(text).isprintable() else ""
