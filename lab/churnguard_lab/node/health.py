"""The agent's own endpoint on loopback: GET /healthz, and GET /metrics/cadvisor for what the pods use."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from churnguard_lab.settings import LOOPBACK

Report = Callable[[], tuple[bool, dict[str, Any]]]


def health(
    now: float, synced_at: float | None, renewed_at: float | None, alive: bool, pods: int
) -> tuple[bool, dict[str, Any]]:
    """Whether the agent does its work, and why not. Times are unix seconds, None when it never happened.

    An API server that is away does not make the agent unhealthy: the pods are looked after all the same.
    """
    problems = []
    if synced_at is None:
        problems.append("the pods have not been listed yet")
    if renewed_at is None:
        problems.append("the node is not registered yet")
    if not alive:
        problems.append("the loop that follows the API server has ended")
    report: dict[str, Any] = {
        "status": "unhealthy" if problems else "healthy",
        "problems": problems,
        "pods": pods,
        "lease_age_s": None if renewed_at is None else round(now - renewed_at, 1),
        "sync_age_s": None if synced_at is None else round(now - synced_at, 1),
    }
    return not problems, report


def serve(port: int, report: Report, usage: Callable[[], bytes]) -> ThreadingHTTPServer:
    """Serve both in a thread of their own. `usage` yields Prometheus' text format. Raises OSError when the port is
    taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/healthz":
                healthy, document = report()
                self._answer(200 if healthy else 503, "application/json", json.dumps(document).encode())
            elif self.path == "/metrics/cadvisor":
                self._answer(200, CONTENT_TYPE_LATEST, usage())
            else:
                self.send_error(404)

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Requests are not logged."""

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
