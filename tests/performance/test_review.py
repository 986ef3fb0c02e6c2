"""The review of two recorded days in a real Prometheus."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy
import pytest
import recorded
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._performance.definitions import (
    Metric,
    default_metrics,
    read_metrics,
)
from ansible_collections.churnguard.ops.plugins.module_utils._performance.review import PURPOSE, Reviewer
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import BadQuery
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.asking import Asker, Server
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import Scope, Wish
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.ranges import Grid, query_range
from recorded import END, MINUTES, connections

CONNECTIONS = Metric("connections", "churnguard_db_connections_active", threshold=80.0)


def reviewer(url, *metrics, period="24h", end=END, step=60, clock=None, **server):
    """A review that has not been run."""
    clock = clock or Clock()
    at = isoformat(end) if end else None
    wish = Wish(Scope(), period, at, step, 0.9)
    recorder = Recorder(clock, "performance_review")
    return Reviewer(
        Asker(Server(url, **server), clock, recorder, PURPOSE), list(metrics) or default_metrics(), wish, recorder
    )


@pytest.fixture
def review(prometheus):
    """Runs one: the review, with what it found by name of the metric as `found`."""

    def run(*metrics, **options):
        one = reviewer(prometheus.url, *metrics, **options)
        one.verdict = one.run()
        one.found = {review.metric.name: review.plain() for review in one.reviews}
        return one

    return run


@pytest.fixture(scope="module")
def day(prometheus):
    """Everything of the last recorded day."""
    one = reviewer(prometheus.url)
    assert one.run() == "failed"
    return {review.metric.name: review.plain() for review in one.reviews}, one


def test_statistics_are_those_of_numpy(day):
    values = [connections(minute) for minute in range(MINUTES - 1439, MINUTES + 1)]
    found = day[0]["connections"]
    assert (found["samples"], found["coverage"]) == (1440, 1.0)
    assert found["average"] == pytest.approx(numpy.mean(values))
    assert (found["max"], found["min"]) == (96, 0)
    assert found["p95"] == pytest.approx(numpy.percentile(values, 95))
    assert found["p99"] == pytest.approx(numpy.percentile(values, 99))
    above = [value for value in values if value > 80]
    assert found["violations"]["count"] == len(above)
    assert found["violations"]["bands"] == {
        "low": sum(value / 80 < 1.1 for value in above),
        "medium": sum(value / 80 >= 1.1 for value in above),
        "high": 0,
        "critical": 0,
    }
    assert found["verdict"] == "failed"


def test_a_busy_machine_is_found_among_idle_ones(day):
    found = day[0]["cpu"]
    assert (found["verdict"], found["severity"], found["labels"]) == ("failed", "medium", {"instance": "db1"})
    assert found["max"] == pytest.approx(96, abs=0.01)
    # Three hours, less the minutes in which the window reaches back into quieter ones.
    assert 175 * 60 <= found["violations"]["longest_s"] <= 180 * 60
    assert [one["verdict"] for one in found["series"]] == ["failed", "passed"]
    assert found["series"][1]["max"] == pytest.approx(50, abs=0.01)
    advice = day[1].advice[0]
    assert (advice["metric"], advice["statistic"], advice["above"]) == ("cpu", "max", 90.0)


def test_what_is_within_its_threshold_passes(day):
    found = day[0]["memory"]
    assert (found["verdict"], found["reason"], found["severity"]) == ("passed", "", "none")
    assert found["p99"] == pytest.approx(40)


def test_a_gap_is_never_passed(day):
    found = day[0]["queue_depth"]
    assert (found["verdict"], found["max"]) == ("not_checked", 7)
    # Prometheus holds a value for five minutes, so that much of the gap is not seen.
    assert found["samples"] == 1440 - 6 * 60 + 4
    assert found["reason"] == "1084 of 1440 samples are there, 90 % are wanted"


def test_a_ratio_of_nothing_is_never_passed(day):
    for name in ("response_time", "request_p95"):
        found = day[0][name]
        assert found["verdict"] == "not_checked"
        assert "are no numbers, as of a ratio of nothing" in found["reason"]
    assert day[0]["response_time"]["average"] == pytest.approx(100)


def test_no_series_and_no_threshold_are_never_passed(day):
    found = day[0]["disk_write"]
    assert (found["verdict"], found["average"], found["series_total"]) == ("not_checked", None, 0)
    assert found["reason"] == "Prometheus has no such series in the period"
    assert (day[0]["disk_read"]["verdict"], day[0]["disk_read"]["reason"]) == ("not_checked", "no threshold is set")


def test_a_byte_is_counted_once_whatever_devices_it_goes_through(day):
    for name in ("disk_read", "network_received"):
        assert (day[0][name]["average"], day[0][name]["max"]) == (pytest.approx(1e6), pytest.approx(1e6))


def test_a_long_period_is_asked_for_in_pieces_and_each_moment_counts_once(review, prometheus):
    step, count = 15, recorded.HOURS * 240
    whole = Grid.until(END.timestamp(), recorded.HOURS * 3600, step)
    with pytest.raises(BadQuery, match="exceeded maximum resolution of 11,000 points"):
        query_range(prometheus.url, CONNECTIONS.query, whole)
    found = review(CONNECTIONS, period="48h", step=step).found["connections"]
    values = [connections((index + 1) * step // 60) for index in range(count)]
    assert found["samples"] == count == 11520
    assert found["average"] == pytest.approx(numpy.mean(values))
    assert found["p95"] == pytest.approx(numpy.percentile(values, 95))
    assert found["violations"]["count"] == sum(value > 80 for value in values)


def test_a_prometheus_that_dies_in_between_is_waited_for(prometheus, day):
    class Mending(Clock):
        """Somebody starts it again while the review waits."""

        def sleep(self, seconds):
            prometheus.start()
            super().sleep(0.01)

    one = reviewer(prometheus.url, *read_metrics([], {}, ["memory", "connections"]), clock=Mending())
    asked = []

    def strike(entry):
        if "asking for metric connections" in entry["detail"]:
            asked.append(entry)
            prometheus.kill()

    one.recorder.listen(strike)
    assert one.run() == "failed"
    assert len(asked) == one.asker.interruptions == 1
    assert [event["event"] for event in one.recorder.timeline] == ["reviewed", "prometheus_away", "reviewed"]
    assert one.reviews[1].plain() == day[0]["connections"]


def test_a_prometheus_that_stays_away_is_an_error_within_the_deadline():
    url = f"http://user:secret@127.0.0.1:{recorded.free_ports(1)[0]}"
    began = time.monotonic()
    with pytest.raises(OperationError, match="did not answer for its time in .* s: .*nothing was judged") as error:
        reviewer(url, deadline=1.0, timeout=1.0).run()
    assert time.monotonic() - began < 30
    assert "secret" not in str(error.value)


def test_clocks_apart_are_noticed_and_the_period_is_the_servers(review):
    class Ahead(Clock):
        def now(self):
            return super().now() + timedelta(minutes=2)

    one = review(Metric("up", "vector(1)", threshold=2.0), end=None, period="30m", clock=Ahead())
    assert one.asker.warning
    assert one.asker.skew_s == pytest.approx(-120, abs=5)
    assert one.recorder.timeline[0]["event"] == "clock_skew"
    assert [(m["name"], m["verdict"]) for m in one.recorder.measurements] == [
        ("up_p95", "passed"),
        ("clock_skew_s", "failed"),
    ]
    last = datetime.fromisoformat(one.recorder.subject["end"].replace("Z", "+00:00"))
    assert last < datetime.now(UTC)
    assert not review(Metric("up", "vector(1)", threshold=2.0), end=None, period="30m").asker.warning


def test_a_period_in_the_future_of_prometheus_is_refused(review):
    with pytest.raises(OperationError, match="by the clock of Prometheus it is .*compare the clocks"):
        review(CONNECTIONS, end=datetime.now(UTC) + timedelta(minutes=10))


def test_a_wrong_query_is_refused_by_name(review):
    with pytest.raises(OperationError, match="review metric odd: Prometheus refuses its query: 400.*unexpected"):
        review(Metric("odd", "sum(rate(x{"))


def test_too_many_series_are_refused_with_the_label_that_is_to_blame(review):
    with pytest.raises(OperationError, match=r"yields 300 series \(at most 200\); label user has 300 values"):
        review(Metric("logins", "logins"), period="20m")


def test_what_was_never_recorded_is_not_checked(review):
    one = review(CONNECTIONS, end=END - timedelta(days=30))
    assert one.verdict == "failed"
    assert one.found["connections"]["verdict"] == "not_checked"


def test_the_default_queries_are_all_understood(day):
    # A query that is refused ends the review, so this counts that each was asked.
    assert list(day[0]) == [metric.name for metric in default_metrics()]
    assert all("$" not in found["query"] for found in day[0].values())
