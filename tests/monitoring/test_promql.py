"""The linter finds each known mistake, and leaves the correct form alone."""

from __future__ import annotations

import promql
import pytest

MISTAKES = {
    'rate(churnguard_requests_total{status_code=~"5.."}[5m]) > 0.05': "share",
    "rate(kube_pod_container_status_restarts_total[15m]) > 0": "single event",
    "histogram_quantile(0.95, churnguard_request_duration_seconds_bucket) > 2": "without an aggregation",
    "histogram_quantile(0.95, sum(rate(churnguard_request_duration_seconds_bucket[5m]))) > 2": "lost le",
    "histogram_quantile(0.95, sum by (le) (churnguard_request_duration_seconds_bucket)) > 2": "without rate",
    "avg(churnguard_request_duration_seconds) > 1": "has no series",
    "sum(churnguard_requests_total) > 100": "without rate or increase",
    "rate(churnguard_gdpr_requests_overdue[1h]) > 0.1": "no counter",
    '100 - (avg(irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80': "two samples",
    "sum by (organization_id) (rate(churnguard_requests_total[5m])) > 9": "each customer",
    'churnguard_compliance_score{organization_id="7"} < 80': "each customer",
}
CORRECT = [
    'sum by (job) (rate(a_total{code=~"5.."}[5m])) / sum by (job) (rate(a_total[5m])) > 0.05',
    "histogram_quantile(0.95, sum by (job, le) (rate(a_seconds_bucket[5m]))) > 2",
    "absent(churnguard_requests_total)",
    "sum(pg_stat_activity_count) > 80",
    "increase(pg_stat_database_deadlocks[15m]) > 5",
    'max by (pod) (max_over_time(kube_pod_container_status_waiting_reason{reason="x"}[5m])) >= 1',
]
KEPT = {
    "up == 0": None,
    "sum(up) > 1": set(),
    "sum by (job, le) (rate(a_bucket[5m])) > 1": {"job", "le"},
    "histogram_quantile(0.9, sum by (job, le) (rate(a_bucket[5m]))) > 1": {"job"},
    "sum without (pod) (up)": None,
    "time() - max by (app) (x) > 5 and y": {"app"},
    'absent(up{job="a"}) or absent(up{job="b"})': {"job"},
    "job_namespace:x:rate5m > 1": {"job", "namespace"},
    "vector(1)": set(),
    "1 - avg by (instance) (rate(a_total[5m])) > 0.8": {"instance"},
}


@pytest.mark.parametrize("expression", MISTAKES)
def test_a_mistake_is_found(expression):
    assert any(MISTAKES[expression] in fault for fault in promql.faults(expression)), promql.faults(expression)


@pytest.mark.parametrize("expression", CORRECT)
def test_the_correct_form_is_left_alone(expression):
    assert promql.faults(expression) == []


@pytest.mark.parametrize("expression", KEPT)
def test_the_labels_that_an_expression_keeps(expression):
    assert promql.labels_kept(expression) == KEPT[expression]


def test_labels_of_metrics_in_code_are_found():
    source = 'Counter("a_total", "text", ["method", "organization_id"])\nx.Gauge("b", "t", labelnames=("tier",))'
    assert list(promql.metric_labels(source)) == [("a_total", "method"), ("a_total", "organization_id"), ("b", "tier")]
