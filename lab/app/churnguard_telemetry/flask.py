"""The one place that hooks into Flask: metrics, a span, log fields and reply headers of every request but probes."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Collection
from contextvars import Token
from typing import Any

from flask import Flask, Response, g, request
from opentelemetry import context, trace

from churnguard_telemetry import logs, tracing
from churnguard_telemetry.metrics import METHODS, OTHER, UNMATCHED, RequestMetrics
from churnguard_telemetry.tracing import Tracing

#: Where gunicorn's logger finds the fields of the line about a request; absent, there is none.
ACCESS_FIELDS = "churnguard.access"
REQUEST_ID, TRACE_RESPONSE = "X-Request-Id", "traceresponse"
#: A caller's request id is taken over when it looks like one: nothing else of a client's comes into the logs.
_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_GIVEN_ID = "HTTP_X_REQUEST_ID"
_CARRIED = {name: f"HTTP_{name.upper()}" for name in tracing.CARRIED}


@dataclasses.dataclass
class _Observed:
    """A request under way."""

    started: float
    span: trace.Span
    route: str | None
    log: logs.Request
    in_trace: Token[Any]
    in_log: Token[Any]


def observe(
    app: Flask, metrics: RequestMetrics, tracing_: Tracing, access: str = "notable", ignored: Collection[str] = ()
) -> None:
    """Observe the requests of `app`, but those of the paths in `ignored`. To be called before other hooks are added, so
    that they are observed too. `access` is one of logs.ACCESS."""

    @app.before_request
    def begin() -> None:
        # `request` finds its object anew at each use, and this runs for every request.
        asked = request._get_current_object()
        if asked.path in ignored:
            return
        route = asked.url_rule.rule if asked.url_rule else None
        method, environ = asked.method, asked.environ
        headers = {name: environ[key] for name, key in _CARRIED.items() if key in environ}
        span = tracing_.request(method, route, environ["wsgi.url_scheme"], headers)
        trace_id, span_id = tracing.ids(span)
        given = environ.get(_GIVEN_ID, "")
        log = logs.Request(
            trace_id=trace_id,
            span_id=span_id,
            # Without one of the caller's the trace's id serves: it is as random, and known everywhere.
            request_id=given if _ID.fullmatch(given) else trace_id,
            method=method if method in METHODS else OTHER,
            route=route or UNMATCHED,
        )
        metrics.in_progress.inc()
        in_trace = context.attach(trace.set_span_in_context(span))
        g.observed = _Observed(time.perf_counter(), span, route, log, in_trace, logs.current.set(log))

    @app.after_request
    def end(response: Response) -> Response:
        observed: _Observed | None = g.get("observed")
        if observed is None:
            return response
        seconds, status, log = time.perf_counter() - observed.started, response.status_code, observed.log
        kept = observed.span.is_recording()
        metrics.answered(log.method, observed.route, status, seconds, log.trace_id if kept else "")
        tracing.answered(observed.span, status)
        response.headers[REQUEST_ID] = log.request_id
        response.headers[TRACE_RESPONSE] = tracing.carried(observed.span)
        if logs.notable(access, status, seconds, kept):
            request.environ[ACCESS_FIELDS] = {**dataclasses.asdict(log), "status": status}
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        observed: _Observed | None = g.pop("observed", None)
        if observed is None:
            return
        observed.span.end()
        context.detach(observed.in_trace)
        logs.current.reset(observed.in_log)
        metrics.in_progress.dec()


def failed(error: Exception) -> None:
    """Name an exception that the application turned into a reply as what its request's span failed of."""
    tracing.failed(trace.get_current_span(), type(error).__qualname__)
