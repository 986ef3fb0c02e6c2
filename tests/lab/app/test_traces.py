"""Traces: what is in a span, where it goes, what happens when it cannot go there, and that a trace goes on."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from churnguard_telemetry import tracing
from churnguard_telemetry.sink import FileSpanExporter, QueueProcessor
from churnguard_telemetry.tracing import TraceSettings, Tracing
from google.protobuf.json_format import ParseDict
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = 2, 3


def read(path: Path) -> list[Any]:
    """The spans of a file, each line read as OTLP says: ids are hexadecimal, all else is protobuf's JSON."""
    spans = []
    for line in path.read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    assert isinstance(span["kind"], int)
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in span:
                            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        request = ParseDict(document, ExportTraceServiceRequest())
        spans += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return spans


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def is_sampled(traceparent: str) -> bool:
    """The lowest bit; the next one says that the trace id is random."""
    return bool(int(traceparent.rsplit("-", 1)[1], 16) & 1)


class Losses(Counter):
    """Counts dropped spans by reason."""

    def lost(self, reason: str, number: int) -> None:
        self[reason] += number


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
def make(tmp_path: Path, losses: Losses) -> Iterator[Callable[..., Tracing]]:
    """Makes tracings that write to spans.jsonl; ends them."""
    made: list[Tracing] = []

    def begin(ratio: float = 1.0, file: Path | None = tmp_path / "spans.jsonl") -> Tracing:
        made.append(Tracing(TraceSettings("shop", "v1", ratio, file, attributes={"pod": "p-1"}), losses.lost))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def handle(tracing_: Tracing, headers: dict[str, str] | None = None, method: str = "GET", status: int = 200) -> str:
    """One request with a statement and a cache read; the traceparent that it would pass on."""
    span = tracing_.request(method, "/a/<int:b>", "http", headers or {})
    with trace.use_span(span, end_on_exit=True):
        with tracing_.cache("GET"):
            pass
        with tracing_.database("SELECT a, 'x''y' FROM customers WHERE id = 42 AND name = %s LIMIT 10"):
            pass
        tracing.answered(span, status)
        return tracing.carried(span)


def test_spans_of_a_request(make: Callable[..., Tracing], tmp_path: Path, losses: Losses) -> None:
    tracing_ = make()
    passed_on = handle(tracing_, {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"}, status=503)
    tracing_.close()
    by_name = {span.name: span for span in read(tmp_path / "spans.jsonl")}
    assert set(by_name) == {"GET /a/<int:b>", "SELECT customers", "GET"}
    server = by_name["GET /a/<int:b>"]
    assert {span.trace_id.hex() for span in by_name.values()} == {TRACE}
    assert (server.parent_span_id.hex(), server.kind, server.trace_state) == (PARENT, SERVER, "a=b")
    assert attributes(server) == {
        "http.request.method": "GET",
        "http.route": "/a/<int:b>",
        "http.response.status_code": 503,
        "url.scheme": "http",
        "error.type": "503",
    }
    assert server.status.code == 2
    for name in ("SELECT customers", "GET"):
        assert (by_name[name].parent_span_id, by_name[name].kind) == (server.span_id, CLIENT)
    assert attributes(by_name["SELECT customers"]) == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "customers",
        "db.query.text": "SELECT a, ? FROM customers WHERE id = ? AND name = %s LIMIT ?",
    }
    assert passed_on == f"00-{TRACE}-{server.span_id.hex()}-01"
    assert not losses


def test_an_error_is_named_by_its_kind_and_never_by_its_text(make: Callable[..., Tracing], tmp_path: Path) -> None:
    tracing_ = make()
    span = tracing_.request("BREW", None, "http", {})
    with trace.use_span(span, end_on_exit=True), pytest.raises(ValueError), tracing_.database("SELECT 1"):
        raise ValueError("jo@example.org")
    tracing_.close()
    text = (tmp_path / "spans.jsonl").read_text()
    spans = {span.name: attributes(span) for span in read(tmp_path / "spans.jsonl")}
    assert spans["SELECT"]["error.type"] == "ValueError"
    assert spans["HTTP"]["http.request.method"] == "_OTHER"
    assert "example.org" not in text and "BREW" not in text


@pytest.mark.parametrize(
    ("ratio", "flag", "kept"),
    [(0.0, None, 0), (1.0, None, 3), (0.0, "01", 3), (1.0, "00", 0)],
)
def test_the_caller_decides_else_the_ratio(
    make: Callable[..., Tracing], tmp_path: Path, ratio: float, flag: str | None, kept: int
) -> None:
    tracing_ = make(ratio)
    passed_on = handle(tracing_, {"traceparent": f"00-{TRACE}-{PARENT}-{flag}"} if flag else {})
    tracing_.close()
    path = tmp_path / "spans.jsonl"
    assert len(read(path) if path.exists() else []) == kept
    assert is_sampled(passed_on) == bool(kept), "who is called next decides the same"
    assert not flag or passed_on.startswith(f"00-{TRACE}-")


@pytest.mark.parametrize("header", ["", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}", "00-" + "z" * 52])
def test_a_broken_traceparent_begins_a_new_trace(make: Callable[..., Tracing], header: str) -> None:
    passed_on = handle(make(), {"traceparent": header})
    version, trace_id, span_id, _flags = passed_on.split("-")
    assert (version, len(trace_id), len(span_id), is_sampled(passed_on)) == ("00", 32, 16, True)
    assert trace_id not in (TRACE, "0" * 32)


def test_without_a_place_for_spans_traces_still_have_ids(make: Callable[..., Tracing]) -> None:
    tracing_ = make(1.0, None)
    assert handle(tracing_, {"traceparent": f"00-{TRACE}-{PARENT}-01"}).startswith(f"00-{TRACE}-")
    trace_id = handle(tracing_).split("-")[1]
    assert trace_id != "0" * 32


def test_outside_of_a_request_nothing_is_traced(make: Callable[..., Tracing], tmp_path: Path) -> None:
    tracing_ = make()
    with tracing_.database("SELECT 1"), tracing_.cache("GET"):
        pass
    tracing_.close()
    assert not (tmp_path / "spans.jsonl").exists()


def test_the_file_is_set_aside_when_it_is_big(tmp_path: Path, losses: Losses) -> None:
    path = tmp_path / "deep" / "spans.jsonl"
    processor = QueueProcessor(FileSpanExporter(path, most_bytes=2000), losses.lost)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    for number in range(20):
        provider.get_tracer("t").start_span(f"span {number}").end()
        processor.force_flush()
    processor.shutdown()
    kept = [span.name for file in sorted(path.parent.iterdir(), reverse=True) for span in read(file)]
    assert {file.name for file in path.parent.iterdir()} <= {"spans.jsonl", "spans.jsonl.1"}
    assert all(file.stat().st_size < 4000 for file in path.parent.iterdir())
    assert kept == [f"span {number}" for number in range(20 - len(kept), 20)], "the newest, in order"
    assert 0 < len(kept) < 20
    assert not losses


def test_a_file_that_cannot_be_written_loses_spans_and_says_so(
    make: Callable[..., Tracing], tmp_path: Path, losses: Losses, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    tracing_ = make(1.0, tmp_path / "file" / "spans.jsonl")
    for _ in range(3):
        handle(tracing_)
    tracing_.close()
    assert losses == {"export_failed": 9}
    assert "cannot write traces to" in caplog.text and "they are dropped" in caplog.text


def test_a_full_disk_loses_spans_and_nothing_else(make: Callable[..., Tracing], losses: Losses) -> None:
    tracing_ = make(1.0, Path("/dev/full"))
    handle(tracing_)
    tracing_.close()
    assert losses == {"export_failed": 3}


class Stuck(SpanExporter):
    """Waits in each export until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go, self.number = threading.Event(), threading.Event(), 0

    def export(self, spans: Any) -> SpanExportResult:
        self.entered.set()
        self.let_go.wait(60)
        self.number += len(spans)
        return SpanExportResult.SUCCESS


def test_a_full_queue_drops_and_never_waits(losses: Losses) -> None:
    exporter = Stuck()
    processor = QueueProcessor(exporter, losses.lost, capacity=10, batch=5, delay_s=60)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    for _ in range(5):
        tracer.start_span("a").end()
    assert exporter.entered.wait(60), "a full batch wakes the thread"
    for _ in range(25):
        tracer.start_span("a").end()  # would hang here if it waited for the exporter
    assert losses == {"queue_full": 15}
    processor.shutdown(timeout_s=0.05)
    tracer.start_span("a").end()
    assert losses == {"queue_full": 15, "shutdown": 11}
    exporter.let_go.set()


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An HTTP server that keeps what is posted to it: its address, and (path, body)."""
    posted: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", posted
    server.shutdown()
    server.server_close()


def test_a_collector_is_sent_otlp_over_http(collector: tuple[str, list[tuple[str, bytes]]], losses: Losses) -> None:
    address, posted = collector
    tracing_ = Tracing(TraceSettings("shop", "v1", 1.0, endpoint=address + "/"), losses.lost)
    handle(tracing_)
    tracing_.close(30)
    assert {path for path, _body in posted} == {"/v1/traces"}
    requests = [ExportTraceServiceRequest.FromString(body) for _path, body in posted]
    spans = [span for one in requests for each in one.resource_spans for s in each.scope_spans for span in s.spans]
    assert sorted(span.name for span in spans) == ["GET", "GET /a/<int:b>", "SELECT customers"]
    assert not losses


def test_without_the_package_for_http_it_says_which(tmp_path: Path) -> None:
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    program = (
        "import os, sys; sys.modules['opentelemetry.exporter.otlp.proto.http.trace_exporter'] = None\n"
        "from churnguard_api.config import ConfigError, load\n"
        "try: load(os.environ)\n"
        "except ConfigError as error: print(error)"
    )
    variables = {"DATABASE_URL": "x", "REDIS_URL": "x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:hush@c:4318"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert "opentelemetry-exporter-otlp-proto-http is not installed" in done.stdout
    assert "unset OTEL_EXPORTER_OTLP_ENDPOINT" in done.stdout
    assert "hush" not in done.stdout
