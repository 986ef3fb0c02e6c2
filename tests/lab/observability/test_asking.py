"""Questions to a real Prometheus: what it scrapes, its rules, and what it refuses."""

from __future__ import annotations

import pytest
from churnguard_lab.observability.asking import AskingError, Prometheus, seconds
from churnguard_lab.observability.own_prometheus import OwnPrometheus
from churnguard_lab.observability.waiting import until

RULES = """
groups:
  - name: some
    interval: 7s
    rules: [{alert: Always, expr: vector(1), for: 90s}]
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(RULES, encoding="utf-8")
    made = OwnPrometheus(folder, retention="1d")
    address = made.url.removeprefix("http://")
    job = f"{{job_name: itself, scrape_interval: 61s, static_configs: [{{targets: ['{address}']}}]}}"
    made.configure(f"rule_files: ['{folder}/rules.yml']\nscrape_configs: [{job}]\n")
    with made:
        until("it has found its target", lambda: made.asked.get("targets")["activeTargets"], 60)
        yield made


def test_for_and_interval_are_those_that_prometheus_has(prometheus):
    rule = prometheus.asked.alerting_rule("Always")
    assert (rule["duration"], rule["interval"]) == (90, 7)
    assert prometheus.asked.scrape_interval("itself") == 61


def test_what_it_does_not_have_is_named(prometheus):
    with pytest.raises(AskingError, match="has no alert Never"):
        prometheus.asked.alerting_rule("Never")
    with pytest.raises(AskingError, match="no target of job other; it scrapes itself"):
        prometheus.asked.scrape_interval("other")
    with pytest.raises(AskingError, match="400 .*parse error"):
        prometheus.asked.query("sum(")
    with pytest.raises(AskingError, match=r"no answer of Prometheus at http://127.0.0.1:9/.*make lab-up"):
        Prometheus("http://127.0.0.1:9").query("up")


def test_a_configuration_that_is_refused_is_said_so(prometheus):
    with pytest.raises(AskingError, match=r"refuses its configuration: (?s:.*)no_such_key"):
        prometheus.configure("no_such_key: 1\n")


def test_its_own_metrics_are_read_by_a_label(prometheus):
    found = prometheus.metrics("prometheus_rule_group_interval_seconds", "rule_group")
    assert [(name.rsplit(";", 1)[-1], value) for name, value in found.items()] == [("some", 7)]


@pytest.mark.parametrize(("text", "expected"), [("5s", 5), ("1m30s", 90), ("1d", 86400), ("500ms", 0.5), ("0s", 0)])
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "5 s", "1y", "s", "-5s"])
def test_what_is_no_duration(text):
    with pytest.raises(AskingError, match="no duration"):
        seconds(text)
