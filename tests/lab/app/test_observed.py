"""What a running application tells of itself: with a real database and a real cache, in its own process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ..waiting import until
from .conftest import Application, Stand
from .test_traces import PARENT, TRACE, attributes, is_sampled, read

Start = Callable[..., Application]
PREDICTION = "/api/v1/customers/<int:customer_id>/prediction"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
AGE, SCORE = "churnguard_prediction_age_seconds", "churnguard_compliance_score"


@pytest.fixture
def app(application: Start, stand: Stand, tmp_path: Path) -> Application:
    """Traces everything that its caller does not decide, and logs each request."""
    (tmp_path / "churnguard.json").write_text(
        json.dumps({"trace_ratio": 1, "access_log": "all", "business_metrics_s": 1, "cache_ttl_s": 1})
    )
    started = application("api", stand.variables)
    started.await_status("/ready", 200)
    return started


def metric(app: Application, name: str) -> dict[tuple[str, ...], float]:
    """Label values -> value of a metric's samples, both in the order of their names."""
    return {
        tuple(value for _name, value in sorted(labels)): value
        for (found, labels), value in app.metrics().items()
        if found == name
    }


def test_a_request_is_the_same_one_in_metrics_traces_and_logs(app: Application, tmp_path: Path) -> None:
    given = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "8f14e45f-ceea"}
    status, _document, reply = app.get("/api/v1/customers/7/prediction?who=jo@example.org", headers=given)
    assert (status, reply["X-Request-Id"]) == (200, "8f14e45f-ceea")
    version, trace_id, span_id, _flags = reply["traceresponse"].split("-")
    assert (version, trace_id, is_sampled(reply["traceresponse"])) == ("00", TRACE, True)

    text, kind = app.scrape(OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    exemplars = {
        one.name: one.exemplar.labels["trace_id"]
        for each in parse_openmetrics(text)
        for one in each.samples
        if one.exemplar
    }
    assert exemplars == {"churnguard_requests_total": TRACE, "churnguard_request_duration_seconds_bucket": TRACE}

    assert app.end() == 0, "at SIGTERM what waits is written"
    spans = {span.name: span for span in read(tmp_path / "traces" / "api-1.jsonl")}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    server = spans[f"GET {PREDICTION}"]
    assert (server.span_id.hex(), server.parent_span_id.hex()) == (span_id, PARENT)
    assert {name for name, span in spans.items() if span.parent_span_id == server.span_id} == {
        "GET",
        "SELECT customers",
        "SET",
    }
    assert attributes(spans["SELECT customers"])["db.query.text"].endswith("WHERE id = %s")

    (entry,) = app.lines()
    assert set(entry) == {
        *("timestamp", "level", "logger", "message", "trace_id", "span_id"),
        *("request_id", "method", "route", "status", "duration_ms"),
    }
    assert (entry["trace_id"], entry["span_id"], entry["request_id"]) == (TRACE, span_id, "8f14e45f-ceea")
    assert (entry["message"], entry["logger"]) == (f"GET {PREDICTION} 200", "gunicorn.access")
    assert (entry["route"], entry["status"]) == (PREDICTION, 200)
    assert entry["duration_ms"] > 0
    everything = app.log.read_text() + (tmp_path / "traces" / "api-1.jsonl").read_text() + text
    assert "example.org" not in everything and "who=" not in everything and "customers/7" not in everything


def test_a_trace_goes_on_from_service_to_service(app: Application, application: Start, stand: Stand) -> None:
    second = application("api", {**stand.variables, "POD_NAME": "api-2"})
    first_reply = app.get("/api/v1/version")[2]["traceresponse"]
    assert is_sampled(first_reply)
    second.get("/api/v1/version", headers={"traceparent": first_reply})
    assert (app.end(), second.end()) == (0, 0)
    folder = app.log.parent / "traces"
    (begun,), (went_on,) = read(folder / "api-1.jsonl"), read(folder / "api-2.jsonl")
    assert (went_on.trace_id, went_on.parent_span_id) == (begun.trace_id, begun.span_id)
    assert begun.parent_span_id == b""


def test_probes_leave_nothing_behind(app: Application, tmp_path: Path) -> None:
    for _ in range(3):
        assert "traceresponse" not in app.get("/health")[2]
        app.get("/ready")
    assert app.endpoints() == set()
    assert app.end() == 0
    assert not (tmp_path / "traces").exists()
    assert app.lines() == []


def test_a_request_id_that_is_none_is_not_taken_over(app: Application) -> None:
    for given in ("jo@example.org", "short", "x" * 65, "a b c d e f g"):
        assert re.fullmatch("[0-9a-f]{32}", app.get("/", headers={"X-Request-Id": given})[2]["X-Request-Id"]), given


def test_both_formats_are_read_and_promtool_finds_nothing_wrong(app: Application, promtool: Path) -> None:
    app.get("/api/v1/customers/7/prediction")
    app.get("/nowhere")
    until("business figures", lambda: app.sample(SCORE))
    plain, kind = app.scrape("text/plain")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert "# {" not in plain and "# EOF" not in plain
    names = {each.name for each in parse_text(plain)}
    assert names == {each.name for each in parse_openmetrics(app.scrape(OPENMETRICS)[0])}
    done = subprocess.run([promtool, "check", "metrics"], input=plain, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_figures_of_the_business_come_from_the_database(app: Application, stand: Stand) -> None:
    until("business figures", lambda: app.sample(SCORE))
    received = {kind: count for (status, kind), count in metric(app, "churnguard_gdpr_requests_total").items()
                if status == "received"}  # fmt: skip
    assert received == {
        "access": 12, "erasure": 12, "rectification": 6, "portability": 6, "objection": 6, "restriction": 6,
    }  # fmt: skip
    assert sum(metric(app, "churnguard_gdpr_requests_total").values()) == 48 + 48, "each has also ended"
    assert app.sample("churnguard_gdpr_requests_overdue") == 0
    assert app.sample(SCORE) == 92.3, "12 of 13"
    assert metric(app, "churnguard_active_users") == {("starter",): 0, ("professional",): 0, ("enterprise",): 0}
    ((age,),) = stand.run("SELECT extract(epoch FROM now() - max(created_at)) FROM predictions")
    assert abs(app.sample(AGE) - float(age)) < 600


def test_a_deadline_is_a_month_of_the_calendar(stand: Stand) -> None:
    assert stand.run(
        "SELECT received_at::date::text, due_at::date::text FROM gdpr_requests WHERE id IN (1, 2, 30) ORDER BY id"
    ) == [("2026-01-31", "2026-02-28"), ("2026-02-02", "2026-03-02"), ("2026-03-30", "2026-04-30")]
    (opened,) = stand.run(
        "INSERT INTO gdpr_requests (type) VALUES ('access') RETURNING due_at = received_at + interval '1 month'"
    )
    stand.run("DELETE FROM gdpr_requests WHERE status = 'received'")
    assert opened == (True,)


def test_a_day_in_the_lab_and_an_overdue_request(app: Application, stand: Stand) -> None:
    stand.run((Path(__file__).parents[3] / "lab" / "database" / "today.sql").read_text(encoding="utf-8"))
    stand.run(
        "INSERT INTO gdpr_requests (type, received_at, due_at) VALUES "
        "('erasure', now() - interval '1 month', now() - interval '1 minute'), "
        "('erasure', now() - interval '27 days', now() + interval '1 day')"
    )
    app.await_sample(1, "churnguard_gdpr_requests_overdue")
    app.await_sample(14, "churnguard_gdpr_requests_total", type="erasure", status="received")
    assert app.sample(SCORE) == 84.6, "the deadlines are a check, too: 11 of 13"
    assert 0 <= app.sample(AGE) < 3600
    expected = stand.run(
        "SELECT subscription_tier, count(*) FROM users JOIN organizations o ON o.id = organization_id "
        "WHERE active AND users.id % 5 <> 0 GROUP BY 1"
    )
    assert metric(app, "churnguard_active_users") == {(tier,): count for tier, count in expected}
    stand.run(
        "UPDATE gdpr_requests SET status = 'refused', completed_at = now() WHERE status = 'received' AND due_at < now()"
    )
    app.await_sample(0, "churnguard_gdpr_requests_overdue")
    app.await_sample(14, "churnguard_gdpr_requests_total", type="erasure", status="received")


def test_without_the_database_its_series_are_absent_and_a_scrape_is_answered(app: Application, stand: Stand) -> None:
    until("business figures", lambda: app.sample(SCORE))
    stand.database.cut()
    try:
        until("the series are gone", lambda: app.sample(SCORE) is None)
        found = {name for name, _labels in app.metrics()}
        assert "churnguard_requests_in_progress" in found
        assert not {name for name in found if re.search("gdpr|compliance|prediction_age|active_users", name)}
        assert app.get("/api/v1/customers?organization_id=1")[0] == 503
    finally:
        stand.database.mend()
    until("they are back", lambda: app.sample(SCORE))
    entries = {entry["message"].partition(":")[0]: entry for entry in app.lines()}
    assert entries["metrics absent until they can be read"]["level"] == "warning"
    failed = entries["database unavailable"]
    assert (failed["route"], failed["method"]) == ("/api/v1/customers", "GET")
    assert re.fullmatch("[0-9a-f]{32}", failed["trace_id"]) and failed["request_id"]


def test_a_database_that_hangs_does_not_hold_up_a_scrape(application: Start, stand: Stand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x"
        app = application("api", {**stand.variables, "DATABASE_URL": url})
        assert app.sample("churnguard_requests_in_progress") == 0
        assert app.sample(SCORE) is None


def test_a_folder_that_cannot_be_written_fails_no_request(application: Start, stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "churnguard.json").write_text('{"trace_ratio": 1, "access_log": "none"}')
    (tmp_path / "traces").write_text("in the way")
    app = application("api", stand.variables)
    assert [app.get("/api/v1/version")[0] for _ in range(5)] == [200] * 5
    app.await_sample(5, "churnguard_telemetry_spans_dropped_total", reason="export_failed")
    assert app.end() == 0
    assert [entry["message"] for entry in app.lines()] == [
        f"cannot write traces to {tmp_path}/traces/api-1.jsonl: File exists; they are dropped"
    ]


def test_gunicorns_own_messages_are_lines_of_the_same_form(app: Application) -> None:
    with socket.create_connection((app.address, 5000)) as client:
        client.sendall(b"GET /?who=jo@example.org BROKEN/9\r\n\r\n")
        assert b"400" in client.recv(1000)
    (entry,) = until("a warning", app.lines)
    assert (entry["logger"], entry["level"]) == ("gunicorn.error", "warning")
    assert "example.org" not in app.log.read_text() and "127." not in entry["message"]


def test_an_unexpected_error_is_one_line_and_a_failed_span(app: Application, stand: Stand, tmp_path: Path) -> None:
    stand.run("ALTER TABLE customers RENAME TO gone")
    try:
        assert app.get("/api/v1/customers?organization_id=1")[0] == 500
    finally:
        stand.run("ALTER TABLE gone RENAME TO customers")
    assert app.end() == 0
    entries = {entry["message"]: entry for entry in app.lines()}
    entry = entries["unexpected error"]
    assert (entry["error_type"], entry["level"]) == ("psycopg2.errors.UndefinedTable", "error")
    assert "database.py" in entry["stack"] and entry["error"] == 'relation "customers" does not exist'
    spans = {span.name: span for span in read(tmp_path / "traces" / "api-1.jsonl")}
    assert {attributes(span)["error.type"] for span in spans.values()} == {"UndefinedTable"}
    assert {span.trace_id.hex() for span in spans.values()} == {entry["trace_id"]}
