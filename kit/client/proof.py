"""`Proof`: what goes with one request to say who calls, bound to one origin; `home` is which one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from kit.addresses import Root, host_of, origin


@dataclass(frozen=True, repr=False)
class Proof:
    """What goes with one request, and with no request to another origin than `origin`."""

    origin: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    query: list[tuple[str, str]] = field(default_factory=list)

    def belongs_to(self, url: str) -> bool:
        return origin(url) == self.origin

    def removed_from(self, url: str) -> str:
        """`url` without parameters of the secrets' names: a redirect may repeat them."""
        parts = urlsplit(url)
        names = {name for name, _ in self.query}
        pairs = [pair for pair in parts.query.split("&") if unquote_plus(pair.partition("=")[0]) not in names]
        return url if not names else urlunsplit(parts._replace(query="&".join(filter(None, pairs))))

    def added_to(self, url: str) -> str:
        """`url` with the secrets that belong into its query; it is for the request only, and never shown."""
        parts = urlsplit(self.removed_from(url))
        secret = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query]
        return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, *secret]))))

    def joined_with(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """A request's own headers with these, which replace those of the same name; cookies are put together."""
        mine = {name.lower() for name, _ in self.headers} - {"cookie"}
        both = [(n, v) for n, v in [*headers, *self.headers] if n.lower() != "cookie"]
        kept = [(n, v) for n, v in both if n.lower() not in mine or (n, v) in self.headers]
        cookies = [v for n, v in [*headers, *self.headers] if n.lower() == "cookie"]
        return [*kept, ("Cookie", "; ".join(cookies))] if cookies else kept


def home(source: str, base_url: str, is_vouched: bool) -> str:
    """The one origin that secrets may go to; "" if the user has named another one than calls go to.

    `source` is what the user named. A manifest vouches (`is_vouched`) for servers below its own domain; a spec
    without one for its own host only. Another port of this machine is another service.
    """
    named, called = Root.of(source), Root.of(base_url)
    if origin(source) == origin(base_url):
        return origin(base_url)
    if host_of(origin(source)) == "localhost" or not named.covers(base_url):
        return ""
    return (
        origin(base_url) if is_vouched or (named.host == called.host and _is_upgrade(named, called)) else ""
    )


def _is_upgrade(named: Root, called: Root) -> bool:
    """http://example.com and https://example.com, both at their usual ports."""
    return (named.scheme, called.scheme) == ("http", "https") and {named.port, called.port} <= {None, 80, 443}
