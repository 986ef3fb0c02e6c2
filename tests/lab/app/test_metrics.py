"""Metrics: labels that stay bounded, both formats, exemplars, and what a collector does when it cannot read."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from churnguard_telemetry.metrics import CachedCollector, Label, LabelError, Metrics, RequestMetrics
from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

TRACE = "0af7651916cd43dd8448eb211c80319c"
REPLACED = "x_telemetry_label_values_replaced_total"


def samples(metrics: Metrics, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Labels -> value of a metric's samples."""
    families = parse_text(generate_latest(metrics.registry).decode())
    return {frozenset(one.labels.items()): one.value for each in families for one in each.samples if one.name == name}


@pytest.mark.parametrize("label", ["organization_id", "user_id", "path", ""])
def test_a_label_that_is_not_bounded_is_refused_by_name(label: str) -> None:
    metrics = Metrics("x", {"colour": Label()})
    for make in (
        lambda: metrics.counter("x_seen", "Seen", ["colour", label]),
        lambda: metrics.histogram("x_seen_seconds", "Seen", [label], (1.0,)),
        lambda: metrics.folded("x_seen", label, "1"),
    ):
        with pytest.raises(LabelError, match=f"metric x_seen.*: label {label} is not among the bounded ones .*colour"):
            make()


def test_values_beyond_the_cap_become_other_and_are_counted() -> None:
    metrics = Metrics("x", {"colour": Label(most=3), "size": Label(frozenset({"s"}))})
    seen = metrics.counter("x_seen", "Seen", ["colour", "size"])
    for number in range(1000):
        seen.labels(f"c{number}", f"s{number}").inc()
    seen.labels("c1", "s").inc()
    seen.labels("c999", "s999").inc()  # one that came before is not remembered, and counted again
    assert samples(metrics, "x_seen_total") == {
        **{frozenset({("colour", f"c{number}"), ("size", "other")}): 1 for number in range(3)},
        frozenset({("colour", "other"), ("size", "other")}): 998,
        frozenset({("colour", "c1"), ("size", "s")}): 1,
    }
    # A fixed list is no cap: who sends something else is not told apart.
    assert samples(metrics, REPLACED) == {frozenset({("metric", "x_seen"), ("label", "colour")}): 998}


def test_a_cap_holds_when_many_threads_find_new_values() -> None:
    metrics = Metrics("x", {"colour": Label(most=5)})
    seen = metrics.counter("x_seen", "Seen", ["colour"])
    threads = [
        threading.Thread(target=lambda start=start: [seen.labels(str(start + n)).inc() for n in range(200)])
        for start in (0, 1000, 2000, 3000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = samples(metrics, "x_seen_total")
    assert (len(found), sum(found.values()), found[frozenset({("colour", "other")})]) == (6, 800, 795)


def test_a_collectors_label_needs_a_list() -> None:
    metrics = Metrics("x", {"colour": Label(), "size": Label(frozenset({"s"}))})
    assert (metrics.folded("x_seen", "size", "s"), metrics.folded("x_seen", "size", "m")) == ("s", "other")
    with pytest.raises(LabelError, match="metric x_seen: label colour has no list of values"):
        metrics.folded("x_seen", "colour", "red")


def test_exemplars_are_in_openmetrics_alone_and_of_kept_traces() -> None:
    metrics = Metrics("x", {})
    requests = RequestMetrics(metrics, (0.1, 1.0))
    requests.answered("GET", "/a", 200, 0.05)
    assert "# {" not in generate_openmetrics(metrics.registry, version="1.0.0").decode()
    requests.answered("GET", "/a", 200, 0.5, TRACE)
    assert TRACE not in generate_latest(metrics.registry).decode()
    families = list(parse_openmetrics(generate_openmetrics(metrics.registry, version="1.0.0").decode()))
    found = {
        (one.name, one.labels.get("le")): one.exemplar for each in families for one in each.samples if one.exemplar
    }
    assert set(found) == {("x_requests_total", None), ("x_request_duration_seconds_bucket", "1.0")}
    assert {exemplar.labels["trace_id"] for exemplar in found.values()} == {TRACE}
    assert found["x_request_duration_seconds_bucket", "1.0"].value == 0.5


def test_promtool_finds_nothing_wrong(promtool: Path) -> None:
    metrics = Metrics("x", {})
    RequestMetrics(metrics, (0.1, 1.0)).answered("GET", None, 404, 0.05)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(metrics.registry), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


class Source:
    """A source of one gauge that counts how often it was read, and that can be down or slow."""

    def __init__(self) -> None:
        self.read_times, self.down = 0, False
        self.answers = threading.Event()
        self.answers.set()

    def read(self) -> list[GaugeMetricFamily]:
        self.read_times += 1
        self.answers.wait(30)
        if self.down:
            raise ConnectionError("no route")
        return [GaugeMetricFamily("x_age_seconds", "Age", self.read_times)]


@pytest.fixture
def collecting() -> Callable[[], tuple[Source, CachedCollector, list[float]]]:
    """A source, its collector (kept for 10 s) and the collector's clock."""

    def make() -> tuple[Source, CachedCollector, list[float]]:
        source, now = Source(), [1000.0]
        return source, CachedCollector(source.read, 10, 5, lambda: now[0]), now

    return make


def values(collector: CachedCollector) -> list[float]:
    return [one.value for each in collector.collect() for one in each.samples]


def test_the_source_is_read_at_a_scrape_and_seldom(collecting) -> None:
    source, collector, now = collecting()
    registry = Metrics("x", {}).registry
    registry.register(collector)
    assert source.read_times == 0, "registering does not read"
    assert [values(collector) for now[0] in (1000.0, 1001.0, 1009.9, 1010.0, 1019.0)] == [[1], [1], [1], [2], [2]]
    assert source.read_times == 2


def test_what_cannot_be_read_is_absent_and_comes_back(collecting, caplog: pytest.LogCaptureFixture) -> None:
    source, collector, now = collecting()
    answers = []
    with caplog.at_level(logging.WARNING):
        for now[0], source.down in ((1000, False), (1010, True), (1015, False), (1020, True), (1030, False)):
            answers.append(values(collector))
    assert answers == [[1], [], [], [], [4]]
    assert source.read_times == 4, "a source that is down is asked no more often"
    assert [record.getMessage() for record in caplog.records] == [
        "metrics absent until they can be read: ConnectionError: no route"
    ]


def test_a_source_that_hangs_holds_no_scrape_up(collecting) -> None:
    source, _collector, now = collecting()
    collector = CachedCollector(source.read, 10, 0.01, lambda: now[0])
    source.answers.clear()
    answers = [values(collector) for now[0] in (1000.0, 1010.0, 1020.0)]
    assert (answers, source.read_times) == ([[], [], []], 1), "one reader at a time"
    source.answers.set()
    waited = threading.Event()
    for _ in range(500):
        if found := values(collector):
            break
        waited.wait(0.01)
    assert found == [1]
    source.answers.clear()
    assert [values(collector) for now[0] in (1030.0, 1039.9, 1040.1)] == [[1], [1], []], "at most twice as old"
    source.answers.set()
