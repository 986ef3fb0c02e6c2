"""The light image: the application's endpoints, headers, faults and metrics without its database."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest
from churnguard_api.faults import Faults
from churnguard_api.metrics import BUCKETS
from churnguard_lab import testserver

from .conftest import Application

Start = Callable[..., Application]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/api/v1/customers", "/api/v1/customers"),
        ("/api/v1/customers/12/prediction", "/api/v1/customers/<int:customer_id>/prediction"),
        ("/api/v1/customers/x/prediction", "unmatched"),
        ("/api/v1/customers/12/prediction/", "unmatched"),
        ("/metrics", "unmatched"),
        ("/../etc", "unmatched"),
    ],
)
def test_routes(path: str, expected: str) -> None:
    assert testserver.route(path) == expected


def test_its_buckets_are_the_applications() -> None:
    assert testserver.BUCKETS == BUCKETS


def test_endpoints_headers_and_metrics(application: Start) -> None:
    server = application("testserver")
    for path, status in (
        ("/", 200),
        ("/ready", 200),
        ("/api/v1/version", 200),
        ("/api/v1/customers/5/prediction", 200),
        ("/api/v1/customers?organization_id=1", 200),
        ("/api/v1/slow?seconds=0.05", 200),
        ("/api/v1/slow?seconds=11", 400),
        ("/api/v1/slow?seconds=x", 400),
        ("/nowhere", 404),
    ):
        answer, _document, headers = server.get(path)
        assert answer == status, path
        assert (headers["X-ChurnGuard-Version"], headers["X-ChurnGuard-Slot"], headers["X-ChurnGuard-Pod"]) == (
            "v7",
            "green",
            "api-1",
        )
    assert server.get("/", "HEAD")[0] == 200
    labels = {"method": "GET", "endpoint": "/api/v1/slow"}
    server.await_sample(2, "churnguard_requests_total", status_code="400", **labels)
    server.await_sample(3, "churnguard_request_duration_seconds_count", **labels)
    server.await_sample(0, "churnguard_requests_in_progress")
    assert server.endpoints().isdisjoint({"/health", "/ready", "/nowhere"})
    assert any(name == "churnguard_predictions_total" for name, _labels in server.metrics())


def test_faults(application: Start) -> None:
    server = application("testserver", wrong=Faults(error_ratio=1, latency_s=0.2, never_ready=True))
    assert server.get("/ready")[0] == 503
    assert server.get("/health")[0] == 200
    started = time.monotonic()
    status, _document, headers = server.get("/api/v1/version")
    assert (status, headers["X-ChurnGuard-Injected"]) == (500, "error")
    assert time.monotonic() - started >= 0.2
    assert server.get("/")[2]["X-ChurnGuard-Injected"] is None


def test_crash(application: Start) -> None:
    started = time.monotonic()
    server = application("testserver", wrong=Faults(crash_after_s=1), healthy=False)
    assert server.process.wait(60) == 3
    assert time.monotonic() - started >= 1
    assert "injected crash" in server.log.read_text()


def test_requests_under_way_are_finished_at_sigterm(application: Start) -> None:
    server = application("testserver", wrong=Faults(slow_shutdown_s=1))
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(server.get("/api/v1/slow?seconds=1.5")[0]))
    thread.start()
    server.await_sample(1, "churnguard_requests_in_progress")
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.await_status("/health", None)
    assert server.process.wait(60) == 0
    thread.join(30)
    assert answers == [200]
    assert time.monotonic() - started >= 1 + testserver.LINGER_S


def test_bad_settings_are_told(application: Start) -> None:
    server = application("testserver", {"CHURNGUARD_FAULTS": "{"}, healthy=False)
    assert server.process.wait(60) == 1
    assert "CHURNGUARD_FAULTS is not JSON" in server.log.read_text()
