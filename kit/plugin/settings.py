"""The settings of a server that come from its environment alone: limits, hosts, logs, its address.

| variable | default | |
|---|---|---|
| PUBLIC_URL | none | the https address at which clients see it: in manifest, spec and whatever makes addresses |
| ROOT_PATH | none | the prefix of its paths behind a proxy, whether that takes it away or not; PUBLIC_URL has it in its path |
| FORWARDED_ALLOW_IPS | this machine | addresses and networks of proxies whose X-Forwarded-* and Forwarded are believed; `*` is all |
| ALLOWED_HOSTS | all; on this machine its own names | host names, comma separated; `*.example.com` is all subdomains |
| MAX_BODY_BYTES | 10000000 | a larger request gets status 413; 0 means no limit |
| MAX_HEADERS | 100 | a request with more headers gets status 431; 0 means no limit |
| MAX_HEADER_BYTES | 65536 | a request with longer headers gets status 431; 0 means no limit |
| MAX_CONNECTIONS | 3/4 of the process's files | those that wait for their client are closed for more, else status 503; the kit's servers only |
| HEADER_TIMEOUT | 20 | seconds until the headers of a request are there, else status 408; 0 means no limit; the kit's servers only |
| REQUEST_TIMEOUT | 45 | seconds until an answer must begin, else status 504, or 408 without its body; 0 means no limit |
| SHUTDOWN_TIMEOUT | 30 | seconds for the requests under way when `kit serve` is stopped |
| METRICS_PORT | none | the port, beside the plugin's own, at which Prometheus reads `/metrics`; `kit serve` only |
| LOG_FORMAT | none | `json` or `text`: a line for each request on stderr |
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from kit.addresses import checked
from kit.errors import ServeError, SettingsError
from kit.plugin.proxies import LOOPBACK, Proxies

_HOST_NAME = re.compile(r"\[[0-9a-f:.]+\]|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


@dataclass(frozen=True)
class Settings:
    """One reading of the environment. Sizes are bytes, times seconds; 0 means no limit."""

    public_url: str | None
    root_path: str  # begins with a slash, and ends with none; or empty
    proxies: Proxies
    allowed_hosts: tuple[str, ...]  # empty: not set; "*" is all
    max_body: int
    max_headers: int
    max_header_bytes: int
    max_connections: int
    header_timeout: float
    request_timeout: float
    shutdown_timeout: float
    metrics_port: int  # 0: not served
    log_format: str  # "json", "text" or ""


def from_environment() -> Settings:
    """The settings as the environment has them now. Raises `SettingsError` naming the variable that is wrong."""
    log_format = _variable("LOG_FORMAT").lower()
    if log_format not in ("", "json", "text"):
        raise SettingsError(
            f"LOG_FORMAT is {log_format!r}.",
            "Set it to json or text; unset, the kit logs no requests.",
            setting="LOG_FORMAT",
        )
    public_url = _public_url()
    hosts = _hosts()
    if hosts and public_url:
        hosts = (*hosts, urlsplit(public_url).hostname or "")
    return Settings(
        public_url=public_url,
        root_path=_root_path(),
        proxies=_proxies(),
        allowed_hosts=hosts,
        max_body=int(_number("MAX_BODY_BYTES", "10000000", "bytes", r"\d+")),
        # Apache's LimitRequestFields; what h11, uvicorn's other parser, takes; the least of Apache's RequestReadTimeout
        max_headers=int(_number("MAX_HEADERS", "100", "headers", r"\d+")),
        max_header_bytes=int(_number("MAX_HEADER_BYTES", "65536", "bytes", r"\d+")),
        max_connections=int(_number("MAX_CONNECTIONS", str(_descriptors() * 3 // 4), "connections", r"\d+")),
        header_timeout=_number("HEADER_TIMEOUT", "20", "seconds"),
        request_timeout=_number("REQUEST_TIMEOUT", "45", "seconds"),
        shutdown_timeout=_number("SHUTDOWN_TIMEOUT", "30", "seconds"),
        metrics_port=_port("METRICS_PORT"),
        log_format=log_format,
    )


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _number(name: str, default: str, unit: str, form: str = r"\d+(\.\d+)?") -> float:
    value = _variable(name) or default
    if not re.fullmatch(form, value, re.ASCII):
        raise SettingsError(
            f"{name} is {value!r}.",
            f"Set it to a number of {unit}, such as {default}; 0 means no limit.",
            setting=name,
        )
    return float(value)


def _port(name: str) -> int:
    value = _variable(name) or "0"
    if not re.fullmatch(r"\d{1,5}", value, re.ASCII) or int(value) > 65535:
        raise SettingsError(f"{name} is {value!r}.", "Set it to a number up to 65535.", setting=name)
    return int(value)


def _descriptors() -> int:
    """How many files and sockets this process may have open; 0 if there is no limit, or no knowing."""
    try:
        import resource  # of Unix
    except ImportError:
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def _public_url() -> str | None:
    if not (value := _variable("PUBLIC_URL")):
        return None
    try:
        return checked(value)
    except ServeError as error:
        raise SettingsError(f"PUBLIC_URL: {error.problem}", error.remedy, setting="PUBLIC_URL") from None


def _root_path() -> str:
    value = _variable("ROOT_PATH").rstrip("/")
    if value and (not value.startswith("/") or re.search(r"[\s?#]|//", value)):
        raise SettingsError(
            f"ROOT_PATH is {value!r}, which is no path.",
            "Write what stands between the host and the plugin's own paths: /todo",
            setting="ROOT_PATH",
        )
    return value


def _proxies() -> Proxies:
    try:
        return Proxies(_variable("FORWARDED_ALLOW_IPS") or LOOPBACK)
    except ValueError as error:
        raise SettingsError(
            f"FORWARDED_ALLOW_IPS has {str(error)!r}, which is neither an address nor a network.",
            "Write those of your proxies: 10.0.0.7,10.1.0.0/16; or * if nobody else reaches the server.",
            setting="FORWARDED_ALLOW_IPS",
        ) from None


def _hosts() -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in _variable("ALLOWED_HOSTS").split(",") if host.strip())
    for host in hosts:
        if host != "*" and not _HOST_NAME.fullmatch(host):
            raise SettingsError(
                f"ALLOWED_HOSTS has {host!r}, which is not a host name.",
                "Write names without scheme, port and path: plugin.example.com,*.example.org",
                setting="ALLOWED_HOSTS",
            )
    return tuple(host.strip("[]") for host in hosts)
