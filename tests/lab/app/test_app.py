"""The application against the lab's PostgreSQL and Redis."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from churnguard_api.faults import Faults
from churnguard_lab import settings

from ..relay import Relay
from .conftest import Application

pytestmark = pytest.mark.lab

Start = Callable[..., Application]
PREDICTION = "/api/v1/customers/<int:customer_id>/prediction"


class Backends:
    """The lab's database and cache, each behind a relay."""

    def __init__(self, lab: settings.Settings) -> None:
        self.database = Relay(("127.0.0.1", lab.ports.postgresql))
        self.cache = Relay(("127.0.0.1", lab.ports.redis))
        user = f"churnguard:{lab.secret('database')}"
        self.direct = f"postgresql://{user}@127.0.0.1:{lab.ports.postgresql}/churnguard"
        self.redis = redis.Redis(port=lab.ports.redis, password=lab.secret("redis"), decode_responses=True)
        self.variables = {
            "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{self.database.port}/churnguard",
            "REDIS_URL": f"redis://:{lab.secret('redis')}@127.0.0.1:{self.cache.port}/0",
        }

    def forget(self) -> None:
        """Remove what the tests' version has cached."""
        keys = self.redis.keys("prediction:v7:*")
        if keys:
            self.redis.delete(*keys)


@pytest.fixture
def backends() -> Iterator[Backends]:
    """The database and the cache; what the tests' version cached is removed."""
    made = Backends(settings.load())
    made.forget()  # what an interrupted run may have left
    yield made
    made.forget()


@pytest.fixture
def app(application: Start, backends: Backends) -> Application:
    """A healthy version that is ready."""
    started = application("api", backends.variables)
    started.await_status("/ready", 200)
    return started


def test_every_reply_names_its_version(app: Application) -> None:
    for path in ("/", "/health", "/ready", "/api/v1/version", "/nowhere", "/api/v1/slow?seconds=99"):
        _status, _document, headers = app.get(path)
        assert (headers["X-ChurnGuard-Version"], headers["X-ChurnGuard-Slot"], headers["X-ChurnGuard-Pod"]) == (
            "v7",
            "green",
            "api-1",
        )


def test_a_prediction_comes_from_the_database_and_is_cached(app: Application, backends: Backends) -> None:
    with psycopg2.connect(backends.direct) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM customers ORDER BY id LIMIT 1")
        customer = cursor.fetchone()[0]
    connection.close()
    key = f"prediction:v7:{customer}"
    assert backends.redis.get(key) is None
    status, first, _headers = app.get(f"/api/v1/customers/{customer}/prediction")
    assert (status, first["customer_id"], first["model_version"]) == (200, customer, "v7")
    assert 0 < backends.redis.ttl(key) <= 300
    backends.redis.set(key, backends.redis.get(key).replace(first["risk_level"], "medium"), ex=60)
    assert app.get(f"/api/v1/customers/{customer}/prediction")[1]["risk_level"] == "medium", "from the cache"
    counted = [value for (name, _labels), value in app.metrics().items() if name == "churnguard_predictions_total"]
    assert sum(counted) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/customers/999999999/prediction", 404),
        ("/api/v1/customers/99999999999999999999/prediction", 404),
        ("/api/v1/customers/abc/prediction", 404),
        ("/api/v1/customers/-1/prediction", 404),
        ("/api/v1/customers", 400),
        ("/api/v1/customers?organization_id=x", 400),
        ("/api/v1/customers?organization_id=1&limit=0", 400),
        ("/api/v1/customers?organization_id=1&limit=101", 400),
        ("/api/v1/customers?organization_id=99999999999999", 400),
        ("/api/v1/slow?seconds=nan", 400),
        ("/api/v1/slow?seconds=10.1", 400),
        ("/api/v1/slow?seconds=0", 200),
    ],
)
def test_bad_input(app: Application, path: str, status: int) -> None:
    answer, document, _headers = app.get(path)
    assert answer == status
    assert status == 200 or document["error"]


def test_customers_of_an_organization(app: Application) -> None:
    status, document, _headers = app.get("/api/v1/customers?organization_id=3&limit=2")
    assert status == 200
    assert [row["organization_id"] for row in document["customers"]] == [3, 3]
    assert set(document["customers"][0]) >= {"id", "tenure_months", "monthly_charges", "support_tickets"}


def test_metrics_have_bounded_labels_and_no_probes(app: Application) -> None:
    for number in range(20):
        app.get(f"/no/such/path/{number}")
        app.get(f"/api/v1/customers/{number + 1}/prediction")
        app.get("/ready")
    app.get("/api/v1/version", "POST")
    app.get("/api/v1/version", "BREW")
    assert app.endpoints() == {"unmatched", PREDICTION}
    labels = {"method": "GET", "endpoint": PREDICTION}
    app.await_sample(20, "churnguard_requests_total", status_code="200", **labels)
    app.await_sample(20, "churnguard_request_duration_seconds_bucket", le="2.0", **labels)
    app.await_sample(20, "churnguard_requests_total", status_code="404", method="GET", endpoint="unmatched")
    app.await_sample(0, "churnguard_requests_in_progress")
    assert {dict(found)["method"] for _name, found in app.metrics() if "method" in dict(found)} <= {
        "GET",
        "POST",
        "other",
    }


def test_requests_in_progress(app: Application) -> None:
    thread = threading.Thread(target=app.get, args=("/api/v1/slow?seconds=2",))
    thread.start()
    app.await_sample(1, "churnguard_requests_in_progress")
    thread.join()
    app.await_sample(0, "churnguard_requests_in_progress")


def test_without_redis_it_answers_and_is_not_ready(app: Application, backends: Backends) -> None:
    backends.cache.cut()
    app.await_status("/ready", 503)
    assert app.get("/ready")[1]["problems"] == ["cache"]
    assert app.get("/api/v1/customers/1/prediction")[0] == 200
    assert app.get("/health")[0] == 200
    backends.cache.mend()
    app.await_status("/ready", 200)


def test_without_the_database_it_says_so_and_comes_back(app: Application, backends: Backends) -> None:
    app.get("/api/v1/customers?organization_id=1")
    backends.database.cut()
    app.await_status("/ready", 503)
    assert app.get("/ready")[1]["problems"] == ["database"]
    status, document, _headers = app.get("/api/v1/customers?organization_id=1")
    assert (status, document) == (503, {"error": "database unavailable"})
    assert app.get("/health")[0] == 200
    backends.database.mend()
    app.await_status("/ready", 200)
    assert app.get("/api/v1/customers?organization_id=1")[0] == 200
    assert "database unavailable" in app.log.read_text()


def test_it_starts_without_its_backends(application: Start, backends: Backends) -> None:
    backends.database.cut()
    backends.cache.cut()
    started = application("api", backends.variables)
    assert started.get("/ready")[1]["problems"] == ["database", "cache"]
    backends.database.mend()
    backends.cache.mend()
    started.await_status("/ready", 200)


def test_connections_are_kept_alive(app: Application) -> None:
    connection = http.client.HTTPConnection(app.address, 5000, timeout=5)
    for _ in range(3):
        connection.request("GET", "/api/v1/version")
        answer = connection.getresponse()
        answer.read()
        assert answer.headers.get("Connection", "keep-alive").lower() == "keep-alive"
        assert connection.sock is not None
    connection.close()


def test_injected_errors_and_latency(application: Start, backends: Backends) -> None:
    app = application("api", backends.variables, Faults(error_ratio=1, latency_s=0.3))
    started = time.monotonic()
    status, _document, headers = app.get("/api/v1/version")
    assert (status, headers["X-ChurnGuard-Injected"]) == (500, "error")
    assert time.monotonic() - started >= 0.3
    app.await_status("/ready", 200)
    assert app.get("/")[0] == 200
    labels = {"method": "GET", "endpoint": "/api/v1/version", "status_code": "500"}
    app.await_sample(1, "churnguard_requests_total", **labels)


def test_an_error_ratio_is_a_ratio(application: Start, backends: Backends) -> None:
    app = application("api", backends.variables, Faults(error_ratio=0.5))
    failed = sum(app.get("/api/v1/version")[0] == 500 for _ in range(200))
    assert 60 <= failed <= 140, "far outside chance (10 standard deviations are 71)"


def test_never_ready(application: Start, backends: Backends) -> None:
    app = application("api", backends.variables, Faults(never_ready=True))
    assert app.get("/ready")[0] == 503
    assert app.get("/health")[0] == 200


def test_crash(application: Start, backends: Backends) -> None:
    app = application("api", backends.variables, Faults(crash_after_s=2), healthy=False)
    assert app.process.wait(60) == 3
    assert '"message": "injected crash after 2 s"' in app.log.read_text()


def test_shutdown_finishes_requests_and_may_be_slow(application: Start, backends: Backends) -> None:
    app = application("api", backends.variables, Faults(slow_shutdown_s=2))
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(app.get("/api/v1/slow?seconds=2")[0]))
    asked = time.monotonic()
    thread.start()
    app.await_sample(1, "churnguard_requests_in_progress")
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(60) == 0
    assert time.monotonic() - asked >= 2 + 2, "the request, then the slow shutdown"
    thread.join(30)
    assert answers == [200]


def test_a_missing_setting_is_told_in_one_line(application: Start, tmp_path: Path) -> None:
    app = application("api", {"REDIS_URL": "redis://127.0.0.1:1"}, healthy=False)
    assert app.process.wait(60) == 1
    assert app.log.read_text().splitlines() == [
        "churnguard-api cannot start: the environment variable DATABASE_URL is missing"
    ]
    (tmp_path / "churnguard.json").write_text('{"threads": 0}')
    app = application("api", {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": "x"}, healthy=False)
    assert app.process.wait(60) == 1
    assert "threads is 0" in app.log.read_text()


def test_features_are_answered_with_reasons(app: Application) -> None:
    status, document, _headers = app.get("/api/v1/features?user_id=u-1&subscription_tier=enterprise")
    assert (status, document["user_id"]) == (200, "u-1")
    absent = {"enabled": False, "variant": None, "reason": "ERROR", "error": "FLAG_NOT_FOUND"}
    assert document["features"] == {"new_dashboard_ui": absent, "advanced_analytics": absent}
    assert app.get("/api/v1/features")[1]["user_id"] is None
    for query in ("user_id=" + "x" * 129, "user_id=u&subscription_tier=" + "x" * 129):
        status, document, _headers = app.get(f"/api/v1/features?{query}")
        assert (status, "128 characters at most" in document["error"]) == (400, True)
    assert app.sample("churnguard_feature_evaluations_total", flag="new_dashboard_ui", variant="none") == 2
    assert "/api/v1/features" in app.endpoints()


def test_nothing_is_logged_while_all_is_well(application: Start, backends: Backends, tmp_path: Path) -> None:
    (tmp_path / "churnguard.json").write_text('{"trace_ratio": 0}')
    app = application("api", backends.variables)
    app.await_status("/ready", 200)
    for _ in range(5):
        app.get("/api/v1/customers/2/prediction")
    assert app.log.read_text() == ""
