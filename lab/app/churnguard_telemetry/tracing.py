"""OpenTelemetry traces: a span for each request and, below it, for what it asks of databases and caches.

A trace that a caller began (W3C traceparent) goes on, sampled as the caller decided; of the others a share is sampled.
Nothing in a span is personal: routes instead of paths, statements without values, no keys, no addresses of clients.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from churnguard_telemetry.metrics import METHODS
from churnguard_telemetry.sink import FileSpanExporter, QueueProcessor, http_exporter

#: What a request's trace is read from.
CARRIED = ("traceparent", "tracestate")
#: Names of OpenTelemetry's semantic conventions for an unknown method, HTTP and databases.
OTHER_METHOD = "_OTHER"
_PROPAGATOR = TraceContextTextMapPropagator()
_VALUES = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_OPERATION = re.compile(r"\s*(\w+)")
_COLLECTION = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+([\w.]+)", re.IGNORECASE)
_NOTHING = contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class TraceSettings:
    """Where spans go (nowhere without `file` and `endpoint`), which share of traces is kept (0 to 1), and who says so.

    file: of OTLP JSON lines. endpoint: of a collector, OTLP over HTTP, without /v1/traces. attributes: of the resource.
    """

    service: str
    version: str
    ratio: float
    file: Path | None = None
    endpoint: str = ""
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Tracing:
    """The traces of one process. `dropped(reason, number)` is told of spans that are lost."""

    def __init__(self, settings: TraceSettings, dropped: Callable[[str, int], None]) -> None:
        """Raises sink.SinkError when spans cannot be sent as the settings say."""
        exporters = [FileSpanExporter(settings.file)] if settings.file else []
        exporters += [http_exporter(settings.endpoint)] if settings.endpoint else []
        self._processors = [QueueProcessor(exporter, dropped) for exporter in exporters]
        # Without a place for spans none is recorded; traces still have ids, which logs name and callees are told.
        sampler: Sampler = ParentBased(TraceIdRatioBased(settings.ratio)) if exporters else ALWAYS_OFF
        resource = Resource.create(
            {"service.name": settings.service, "service.version": settings.version, **settings.attributes}
        )
        provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        for processor in self._processors:
            provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("churnguard_telemetry")

    def request(self, method: str, route: str | None, scheme: str, headers: Mapping[str, str]) -> Span:
        """A started span for a request that came in; who starts it ends it. `route` is a template or None."""
        known = method if method in METHODS else OTHER_METHOD
        context = _PROPAGATOR.extract(headers, Context()) if CARRIED[0] in headers else Context()
        name = known if method in METHODS else "HTTP"
        span = self._tracer.start_span(f"{name} {route}" if route else name, context, SpanKind.SERVER)
        if span.is_recording():
            span.set_attribute("http.request.method", known)
            span.set_attribute("url.scheme", scheme)
            if route:
                span.set_attribute("http.route", route)
        return span

    def database(self, statement: str) -> contextlib.AbstractContextManager[object]:
        """A span around a statement for PostgreSQL, when the request is traced."""
        if not trace.get_current_span().is_recording():
            return _NOTHING
        summary, attributes = _described(statement)
        return self._client(summary, attributes)

    def cache(self, operation: str) -> contextlib.AbstractContextManager[object]:
        """A span around an operation of Redis (GET, SET), when the request is traced."""
        if not trace.get_current_span().is_recording():
            return _NOTHING
        return self._client(operation, {"db.system.name": "redis", "db.operation.name": operation})

    @contextlib.contextmanager
    def _client(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        # An exception's text may hold values, so the SDK does not record it; its kind is enough here.
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                failed(span, type(error).__qualname__)
                raise

    def close(self, timeout_s: float = 3.0) -> None:
        """Send what waits, for that many seconds at most, and take no more."""
        for processor in self._processors:
            processor.shutdown(timeout_s)


def answered(span: Span, status: int) -> None:
    """Note a request's status; a 5xx is an error of this service."""
    if not span.is_recording():
        return
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        failed(span, str(status))


def failed(span: Span, kind: str) -> None:
    """Mark a span as an error of that kind, unless it is marked already."""
    if span.is_recording():
        if "error.type" not in (getattr(span, "attributes", None) or {}):
            span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))


def ids(span: Span) -> tuple[str, str]:
    """Trace id and span id, hexadecimal; empty outside of a trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return "", ""
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def carried(span: Span) -> str:
    """The traceparent (W3C Trace Context) that hands this span's trace on; empty outside of a trace."""
    trace_id, span_id = ids(span)
    return f"00-{trace_id}-{span_id}-{span.get_span_context().trace_flags:02x}" if trace_id else ""


@functools.lru_cache(maxsize=256)
def _described(statement: str) -> tuple[str, dict[str, str]]:
    """A statement's short name and its attributes, without the values in it."""
    operation = match[1].upper() if (match := _OPERATION.match(statement)) else "QUERY"
    attributes = {
        "db.system.name": "postgresql",
        "db.operation.name": operation,
        "db.query.text": _VALUES.sub("?", statement),
    }
    if collection := _COLLECTION.search(statement):
        attributes["db.collection.name"] = collection[1]
    return " ".join((operation, attributes.get("db.collection.name", ""))).strip(), attributes


def is_endpoint(text: str) -> bool:
    """Whether this is the address of a collector: http or https, with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
