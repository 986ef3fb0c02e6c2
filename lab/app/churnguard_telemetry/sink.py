"""Where finished spans go: a bounded queue, and behind it a file of OTLP JSON lines or a collector's OTLP over HTTP."""

from __future__ import annotations

import base64
import collections
import errno
import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

HTTP_PACKAGE = "opentelemetry-exporter-otlp-proto-http"
HTTP_TIMEOUT_S = 5
_IDS = ("traceId", "spanId", "parentSpanId")
_LOG = logging.getLogger(__name__)


class SinkError(Exception):
    """Spans cannot be sent where the settings say; the message says why and what to do."""


def otlp_json(spans: Sequence[ReadableSpan]) -> str:
    """One line: an ExportTraceServiceRequest in OTLP's JSON, in which ids are hexadecimal and enumerations numbers."""
    document = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
    for resource in document.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                _name_in_hex(span)
                for link in span.get("links", ()):
                    _name_in_hex(link)
    return json.dumps(document, separators=(",", ":"))


def _name_in_hex(part: dict[str, Any]) -> None:
    for name in _IDS:
        if name in part:
            part[name] = base64.b64decode(part[name]).hex()


class FileSpanExporter(SpanExporter):
    """Appends a line for each batch. At `most_bytes` the file is set aside as `<name>.1`, in place of the last one."""

    def __init__(self, path: Path, most_bytes: int = 10 * 1024 * 1024) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._problem = ""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans; what cannot be written is lost, and said once until it works again."""
        try:
            self._append(f"{otlp_json(spans)}\n".encode())
        except OSError as error:
            problem = f"cannot write traces to {self._path}: {error.strerror}"
            if problem != self._problem:
                _LOG.warning("%s; they are dropped", problem)
            self._problem = problem
            return SpanExportResult.FAILURE
        self._problem = ""
        return SpanExportResult.SUCCESS

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "ab", buffering=0) as file:
            end = file.seek(0, 2)
            if file.write(line) != len(line):
                file.truncate(end)  # half a line would spoil the next one
                raise OSError(errno.ENOSPC, "only a part could be written")
        if end + len(line) >= self._most_bytes:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))


def http_exporter(endpoint: str) -> SpanExporter:
    """Sends to the collector at `endpoint`, OTLP over HTTP. Raises SinkError when the package for that is missing."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SinkError(
            f"traces cannot be sent over HTTP: the Python package {HTTP_PACKAGE} is not installed ({error}); "
            "install it, or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from error
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=HTTP_TIMEOUT_S)


class QueueProcessor(SpanProcessor):
    """Hands spans to an exporter from a thread of its own; a full queue drops the newest and tells `dropped`.

    The SDK's BatchSpanProcessor drops the oldest, says so only to OpenTelemetry's own metrics, and may take 30 s to
    end. `dropped(reason, number)` has the reasons queue_full, export_failed and shutdown.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        dropped: Callable[[str, int], None],
        capacity: int = 2048,
        batch: int = 256,
        delay_s: float = 1.0,
    ) -> None:
        self._exporter, self._dropped = exporter, dropped
        self._capacity, self._batch, self._delay_s = capacity, batch, delay_s
        self._waiting: collections.deque[ReadableSpan] = collections.deque()
        self._guard = threading.Lock()
        self._exporting = threading.Lock()
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, or drop it; never waits for the exporter."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._guard:
            ended, number = self._ended, len(self._waiting)
            taken = not ended and number < self._capacity
            if taken:
                self._waiting.append(span)
        if not taken:
            self._dropped("shutdown" if ended else "queue_full", 1)
        elif number + 1 == self._batch:
            self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(self._delay_s)
            self._wake.clear()
            self.force_flush()
        self.force_flush()  # what came between the last time and the end

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what waits now; whether all of it was taken."""
        well = True
        with self._exporting:
            for _ in range(0, self._capacity, self._batch):
                with self._guard:
                    spans = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
                if not spans:
                    break
                well = self._export(spans) and well
        return well

    def _export(self, spans: list[ReadableSpan]) -> bool:
        try:
            well = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001  the thread has to live on for the spans to come
            _LOG.exception("traces not exported")
            well = False
        if not well:
            self._dropped("export_failed", len(spans))
        return well

    def shutdown(self, timeout_s: float = 3.0) -> None:
        """Take no more, export what waits, for `timeout_s` seconds at most."""
        with self._guard:
            self._ended = True
        self._wake.set()
        self._thread.join(timeout_s)
        with self._guard:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._dropped("shutdown", left)
        self._exporter.shutdown()
