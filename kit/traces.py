"""OpenTelemetry's spans of a conversation, and the header that carries its trace to the plugin.

Nothing is imported for them: a program that records traces has `opentelemetry` loaded already (FastAPI loads its API),
and where it is not loaded, or no SDK is set up, nothing is recorded and nothing sent. The names are those of
https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai (November 2026). No text of the user, the model
or the plugin is recorded, nor arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote

from kit.redaction import hide

_API = "opentelemetry.trace"
_FASTAPI = "opentelemetry.instrumentation.fastapi"
_PROVIDER = "openai"  # whose API it is: "the GenAI telemetry format flavor", whoever runs the model
TURN, ROUND, CALL = "invoke_agent", "chat", "execute_tool"


class Usage(Protocol):
    """Tokens, as the model's API counts them."""

    @property
    def input_tokens(self) -> int: ...

    @property
    def output_tokens(self) -> int: ...


class Span:
    """One span. A generator may be closed in another task than it began in, so it is what runs now only in `current()`."""

    def __init__(self, operation: str, name: str = "", call_id: str = "", parent: Span | None = None) -> None:
        self._operation = operation
        self._children: list[Span] = []
        self._error = ""
        self._span: Any = None
        if _API not in sys.modules:
            return
        from opentelemetry import trace

        about = {"operation.name": operation}
        if operation == CALL:
            about |= {"tool.name": name, "tool.call.id": call_id, "tool.type": "function"}
        else:
            about |= {"provider.name": _PROVIDER, "agent.name": name}
        self._span = trace.get_tracer("kit").start_span(
            f"{operation} {name}".strip(),
            None if parent is None else trace.set_span_in_context(parent._span),
            trace.SpanKind.CLIENT if operation == ROUND else trace.SpanKind.INTERNAL,
            _attributes(about),
        )

    def within(self, operation: str, name: str = "", call_id: str = "") -> Span:
        """A span within this one, which ends with it at the latest."""
        child = Span(operation, name, call_id, self)
        self._children.append(child)
        return child

    def answered(self, asked: str, model: str, usage: Usage) -> None:
        """The model that was asked for, the one that answered, and the tokens."""
        if self._span is None:
            return
        found: dict[str, Any] = {"request.model": asked, "response.model": model}
        found |= {"usage.input_tokens": usage.input_tokens, "usage.output_tokens": usage.output_tokens}
        self._span.set_attributes(_attributes(found))
        if self._operation == ROUND:
            self._span.update_name(f"{ROUND} {asked}".strip())
            self.end()

    def fail(self, kind: str) -> None:
        """It ends in an error of this kind, a status or the name of an exception; in none if that is empty."""
        self._error = kind

    @contextmanager
    def current(self) -> Iterator[None]:
        """The block runs in this span: what it sends carries the trace."""
        if self._span is None:
            yield
            return
        from opentelemetry import trace

        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    def end(self) -> None:
        """Ends it and those within it, which are in the same error if they are still open."""
        for child in self._children:
            child._error = child._error or self._error
            child.end()
        span, self._span, self._children = self._span, None, []
        if span is None:
            return
        if self._error:
            from opentelemetry.trace import StatusCode

            span.set_attribute("error.type", self._error)
            span.set_status(StatusCode.ERROR)
        span.end()

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        self.end()


def carried() -> list[tuple[str, str]]:
    """The headers that continue the trace that runs now: `traceparent`, and `tracestate` if there is one.

    Never baggage, which may hold anything and would reach whoever runs the plugin (W3C Trace Context, 6).
    """
    headers: dict[str, str] = {}
    if _API in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return list(headers.items())


def hide_query(query: bytes) -> None:
    """Hides the secrets in the query that the span of the request which is answered now has been given."""
    from opentelemetry import trace

    if query and (span := trace.get_current_span()).is_recording():
        span.set_attribute("url.query", hide(unquote(query.decode("latin-1"))))


def instrument(app: Any, like: Any = None) -> None:
    """Instruments an app if all of FastAPI's were to be, by `FastAPIInstrumentor().instrument()`, or if `like` was.

    That replaces the class `fastapi.FastAPI`, of which a class that was made before is no subclass.
    """
    module = sys.modules.get(_FASTAPI)
    if module is None or getattr(app, "_is_instrumented_by_opentelemetry", False):
        return
    is_wanted = module.FastAPIInstrumentor().is_instrumented_by_opentelemetry
    if is_wanted or getattr(like, "_is_instrumented_by_opentelemetry", False):
        options = module._InstrumentedFastAPI._instrument_kwargs if is_wanted else {}
        module.FastAPIInstrumentor.instrument_app(app, **options)


def _attributes(found: dict[str, Any]) -> dict[str, Any]:
    return {f"gen_ai.{name}": value for name, value in found.items() if value}
