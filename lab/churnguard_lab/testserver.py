"""The light image: churnguard-api's endpoints, headers, faults and metrics with the standard library alone.

It starts in a tenth of a second and needs neither database nor cache, for tests that start many pods. Run as a
module in a pod: python -m churnguard_lab.testserver. Its environment is churnguard-api's.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from churnguard_api import faults

HTTP_PORT, METRICS_PORT = 5000, 8080
KEEPALIVE_S = 75
#: How long requests under way may take after SIGTERM, and how long an idle kept-alive connection is still answered.
GRACEFUL_S, LINGER_S = 20.0, 2.0
LONGEST_SLOW_S = 10.0
ENDING = (signal.SIGTERM, signal.SIGINT)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
PROBES = ("/health", "/ready")
PREDICTION = "/api/v1/customers/<int:customer_id>/prediction"
_NAMES = ("/", "/health", "/ready", "/api/v1/version", "/api/v1/customers", "/api/v1/slow")


def route(path: str) -> str:
    """The route a path belongs to, for metric labels: a bounded set whatever is asked for."""
    if path in _NAMES:
        return path
    parts = path.split("/")
    if len(parts) == 6 and parts[:4] == ["", "api", "v1", "customers"] and parts[5] == "prediction":
        return PREDICTION if parts[4].isdecimal() else "unmatched"
    return "unmatched"


class Metrics:
    """The request metrics of churnguard-api, counted under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, str, float]] = Counter()
        self._sums: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._predictions: Counter[tuple[str, str]] = Counter()
        self.in_progress = 0

    def begin(self) -> None:
        """A request has come in."""
        with self._lock:
            self.in_progress += 1

    def end(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        with self._lock:
            self.in_progress -= 1
            self._requests[method, endpoint, status] += 1
            self._sums[method, endpoint] += seconds
            self._counts[method, endpoint] += 1
            for bound in BUCKETS:
                if seconds <= bound:
                    self._buckets[method, endpoint, bound] += 1

    def predicted(self, version: str, level: str) -> None:
        """A prediction was answered."""
        with self._lock:
            self._predictions[version, level] += 1

    def text(self) -> str:
        """All metrics in Prometheus's text format."""
        with self._lock:
            lines = ["# TYPE churnguard_requests_total counter"]
            for (method, endpoint, status), count in sorted(self._requests.items()):
                labels = f'method="{method}",endpoint="{endpoint}",status_code="{status}"'
                lines.append(f"churnguard_requests_total{{{labels}}} {count}")
            lines.append("# TYPE churnguard_request_duration_seconds histogram")
            for key, count in sorted(self._counts.items()):
                labels = f'method="{key[0]}",endpoint="{key[1]}"'
                name = "churnguard_request_duration_seconds"
                for bound in BUCKETS:
                    lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {self._buckets[(*key, bound)]}')
                lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {count}')
                lines += [f"{name}_sum{{{labels}}} {self._sums[key]}", f"{name}_count{{{labels}}} {count}"]
            lines.append("# TYPE churnguard_requests_in_progress gauge")
            lines.append(f"churnguard_requests_in_progress {self.in_progress}")
            lines.append("# TYPE churnguard_predictions_total counter")
            for (version, level), count in sorted(self._predictions.items()):
                labels = f'model_version="{version}",risk_level="{level}"'
                lines.append(f"churnguard_predictions_total{{{labels}}} {count}")
        return "\n".join(lines) + "\n"


class Application:
    """Answers requests; what is wrong with this version comes from its faults."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.version = environment.get("APP_VERSION", "unknown")
        self.faults = faults.parse(environment.get(faults.ENVIRONMENT))
        self.headers = {
            "X-ChurnGuard-Version": self.version,
            "X-ChurnGuard-Slot": environment.get("SLOT", ""),
            "X-ChurnGuard-Pod": environment.get("POD_NAME", ""),
        }
        self.metrics = Metrics()
        self.stopping = False

    def answer(self, path: str, query: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, document and extra headers of one request."""
        name = route(path)
        if name.startswith("/api/"):
            if self.faults.latency_s:
                time.sleep(self.faults.latency_s)
            if self.faults.injects_error():
                return 500, {"error": "injected error"}, {"X-ChurnGuard-Injected": "error"}
        if name == "/ready":
            ready = not self.faults.never_ready
            return (200 if ready else 503), {"status": "ready" if ready else "unavailable"}, {}
        if name == "/health":
            return 200, {"status": "healthy", "version": self.version}, {}
        if name == "/api/v1/slow":
            return self._slow(query)
        if name == "/api/v1/customers":
            return 200, {"customers": []}, {}
        if name == PREDICTION:
            return self._prediction(int(path.split("/")[4]))
        if name == "unmatched":
            return 404, {"error": "not found"}, {}
        return 200, {"service": "churnguard-api", "version": self.version}, {}

    def _slow(self, query: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        try:
            seconds = float(parse_qs(query).get("seconds", ["1"])[0])
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_SLOW_S:
            return 400, {"error": f"seconds must be a number from 0 to {LONGEST_SLOW_S:g}"}, {}
        time.sleep(seconds)
        return 200, {"slept": seconds}, {}

    def _prediction(self, customer: int) -> tuple[int, dict[str, Any], dict[str, str]]:
        score = customer * 37 % 101 / 100
        level = "high" if score >= 0.7 else "medium" if score >= 0.4 else "low"
        self.metrics.predicted(self.version, level)
        document = {"customer_id": customer, "risk_score": score, "risk_level": level}
        return 200, document | {"model_version": self.version}, {}


class Server(ThreadingHTTPServer):
    """One port of the application."""

    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the standard library."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def handler(application: Application) -> type[BaseHTTPRequestHandler]:
    """The request handler of one application."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = KEEPALIVE_S
        wbufsize = -1  # headers and body leave in one packet

        def do_GET(self) -> None:
            self._respond()

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

        def _respond(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                self.rfile.read(length)
            counted = parts.path not in PROBES
            started = time.monotonic()
            if counted:
                application.metrics.begin()
            status = 500
            try:
                status, document, extra = application.answer(parts.path, parts.query)
                self._send(status, json.dumps(document).encode(), extra)
            finally:
                if counted:
                    spent = time.monotonic() - started
                    application.metrics.end(self.command, route(parts.path), status, spent)

        def _send(self, status: int, body: bytes, extra: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (application.headers | extra).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if application.stopping:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Requests are counted, not logged."""

    return Handler


def metrics_handler(application: Application) -> type[BaseHTTPRequestHandler]:
    """The handler of the metrics port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = urlsplit(self.path).path == "/metrics"
            body = application.metrics.text().encode() if found else b"not found\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Scrapes are not logged."""

    return Handler


def _told_to_end(seconds: float | None) -> bool:
    """Wait until a signal of ENDING has come; False when none came in that time, None being for ever."""
    if seconds is None:
        return bool(signal.sigwait(ENDING))
    return signal.sigtimedwait(ENDING, seconds) is not None


def main() -> int:
    """Serve until SIGTERM, then drain: no new connections, requests under way finished, connections closed."""
    try:
        application = Application(dict(os.environ))
        address = os.environ.get("POD_IP", "127.0.0.1")
        server = Server((address, HTTP_PORT), handler(application))
        metrics = Server((address, METRICS_PORT), metrics_handler(application))
    except (faults.FaultError, OSError) as error:
        print(json.dumps({"level": "error", "message": f"cannot start: {error}"}), flush=True)
        return 1
    # Blocked in every thread and fetched by this one: a handler would leave a gap in which a signal that arrives just
    # before the wait wakes nobody.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for part in (server, metrics):
        threading.Thread(target=part.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    if not _told_to_end(application.faults.crash_after_s):
        print(json.dumps({"level": "error", "message": "injected crash"}), flush=True)
        os._exit(3)
    application.stopping = True
    server.shutdown()
    server.server_close()
    time.sleep(LINGER_S)
    deadline = time.monotonic() + GRACEFUL_S
    while application.metrics.in_progress and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(application.faults.slow_shutdown_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
