"""What Prometheus reads at `/metrics`: how many requests each operation has answered, how, and in how long.

It has a port of its own, METRICS_PORT, so that who reaches the plugin does not reach it: a proxy, a Service of Kubernetes and
a published port of a container lead to the plugin's port only. The names are OpenTelemetry's semantic conventions for HTTP
servers in Prometheus' form, as its own exporter writes them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.types import Message, Receive, Scope, Send

from kit.errors import ServeError
from kit.plugin.health import HEALTH_PATH, READY_PATH
from kit.plugin.wellknown import INNER, route_path

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own: where several processes keep their numbers


class Metrics:
    """Middleware: around a plugin, once in a process. Only what comes over HTTP is counted, a call by `/mcp` as that."""

    def __init__(self, plugin: Plugin) -> None:
        from prometheus_client import Gauge, Histogram

        self._plugin = plugin
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP server requests.",
            ("http_request_method", "http_route", "http_response_status_code"),
            # OpenTelemetry's, and three more up to the kit's REQUEST_TIMEOUT
            buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 30, 45),
        )
        self._active = Gauge(
            "http_server_active_requests",
            "Number of active HTTP server requests.",
            ("http_request_method",),
            multiprocess_mode="livesum",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._plugin(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status, start, active = (
            499,
            perf_counter(),
            self._active.labels(method),
        )  # 499: nginx's, for no answer

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        active.inc()
        try:
            await self._plugin(scope, receive, noting)
        except Exception:
            status = 500
            raise
        finally:
            active.dec()
            self._duration.labels(method, self._route(scope), str(status)).observe(perf_counter() - start)

    def _route(self, scope: Scope) -> str:
        """The path as the spec has it. Empty for what is none: what a client may choose makes no new row."""
        route = scope.get(INNER, scope).get("route")
        if found := getattr(route, "path_format", None) or getattr(route, "path", ""):
            return str(found)
        path, plugin = route_path(scope), self._plugin
        is_known = (
            path in plugin._pages or path in plugin.extensions or path in (HEALTH_PATH, READY_PATH, "/")
        )
        return path if is_known else ""


@contextlib.contextmanager
def serving(host: str, port: int, workers: int) -> Iterator[Callable[[int], Any]]:
    """Serves the numbers of this process, or of its workers, in a thread; yields what to call with the id of a dead worker.

    Enter it before a worker starts: they find the folder of their numbers in the environment. Raises `ServeError`.
    """
    with contextlib.ExitStack() as opened:
        if workers > 1 and _FOLDER not in os.environ:
            os.environ[_FOLDER] = opened.enter_context(tempfile.TemporaryDirectory(prefix="kit-metrics-"))
            opened.callback(os.environ.pop, _FOLDER)
        try:
            import prometheus_client
            from prometheus_client import multiprocess
        except ImportError:
            raise ServeError(
                "METRICS_PORT needs the package prometheus-client, which is not installed.",
                "Add it to requirements.txt, or: pip install prometheus-client",
            ) from None
        registry = prometheus_client.REGISTRY
        if workers > 1:
            registry = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        try:
            server, thread = prometheus_client.start_http_server(port, host, registry)
        except OSError as error:
            raise ServeError(
                f"Cannot serve /metrics at {host}:{port}: {error.strerror}.",
                "Set METRICS_PORT to another port.",
            ) from None
        opened.callback(thread.join)
        opened.callback(server.server_close)
        opened.callback(server.shutdown)
        yield multiprocess.mark_process_dead
