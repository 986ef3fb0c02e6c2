"""The controller's own health and metrics, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What the controller counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "churnguard_gateway"
        self.syncs = Counter(f"{prefix}_syncs", "Syncs by result.", ["result"], registry=self.registry)
        self.sync_seconds = Histogram(
            f"{prefix}_sync_duration_seconds",
            "Time from a due change to HAProxy's confirmation.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.propagation_seconds = Histogram(
            f"{prefix}_propagation_seconds",
            "Time from seeing a change to HAProxy's confirmation.",
            buckets=(0.1, 0.25, 0.5, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10),
            registry=self.registry,
        )
        self.commands = Counter(f"{prefix}_runtime_commands", "Runtime API commands sent.", registry=self.registry)
        self.reloads = Counter(f"{prefix}_reloads", "HAProxy reloads by result.", ["result"], registry=self.registry)
        self.starts = Counter(f"{prefix}_haproxy_starts", "Times HAProxy was started.", registry=self.registry)
        self.relists = Counter(f"{prefix}_relists", "Lists of a kind.", ["kind"], registry=self.registry)
        self.api_errors = Counter(f"{prefix}_api_errors", "Failed API calls by kind.", ["kind"], registry=self.registry)
        self.workers = Gauge(f"{prefix}_haproxy_workers", "HAProxy workers, leaving ones too.", registry=self.registry)


def serve(port: int, metrics: Metrics, health: Callable[[], tuple[bool, dict[str, object]]]) -> ThreadingHTTPServer:
    """Serve /healthz (200 or 503, JSON) and /metrics on 127.0.0.1:`port` in a daemon thread. Raises OSError when the
    port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._reply(200, METRICS_TYPE, generate_latest(metrics.registry))
            elif self.path == "/healthz":
                is_healthy, detail = health()
                self._reply(200 if is_healthy else 503, "application/json", json.dumps(detail).encode() + b"\n")
            else:
                self._reply(404, "text/plain", b"/healthz and /metrics are here\n")

        def _reply(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a log line."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
