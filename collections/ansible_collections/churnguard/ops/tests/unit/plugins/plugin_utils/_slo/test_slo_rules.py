# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of objectives become rules, or are refused with a reason."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo import model, rules, selector, windows
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo.selector import SloError

URL = "https://docs.example/runbooks"
API = {
    "name": "api",
    "service": "shop",
    "kind": "availability",
    "objective": 99.9,
    "total": "x_total",
    "bad": 'x_total{code=~"5.."}',
    "summary": "Requests fail",
    "labels": {"team": "platform"},
}
LATENCY = {
    **{key: API[key] for key in ("service", "summary")},
    "name": "slow",
    "kind": "latency",
    "objective": 95,
    "histogram": 'y_seconds{method="GET"}',
    "threshold": 2,
}
AGE = {**LATENCY, "name": "fresh", "kind": "freshness", "age": "age_seconds", "threshold": 60}
del AGE["histogram"]


def made(*definitions: dict, **options) -> list[dict]:
    return [
        rule for group in rules.groups(definitions, runbook_url=URL, **options)["groups"] for rule in group["rules"]
    ]


def recorded(name: str, *definitions: dict) -> str:
    (rule,) = [rule for rule in made(*definitions) if rule.get("record") == name]
    return rule["expr"]


def alert(name: str, *definitions: dict) -> dict:
    (rule,) = [rule for rule in made(*definitions) if rule.get("alert") == name]
    return rule


def test_an_objective_has_eight_windows_a_budget_and_three_alerts():
    names = [rule.get("record") or rule["alert"] for rule in made(API)]
    ratios = [name.rpartition("ratio_rate")[2] for name in names if name.startswith("slo:sli_error:")]
    assert ratios == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
    assert {"slo:error_budget:ratio", "slo:period_error_budget_remaining:ratio", "slo_info"} <= set(names)
    assert [rule["alert"] for rule in made(API) if "alert" in rule] == ["SloBurnFast", "SloBurnSlow", "SloNoData"]
    assert len(names) == len(set(names))


def test_the_factors_are_those_of_the_book():
    assert [burn.factor(30) for burn in windows.BURNS] == [14.4, 6.0, 3.0, 1.0]
    assert [burn.factor(28) for burn in windows.BURNS] == [13.44, 5.6, 2.8, 0.933333]


def test_an_alert_needs_both_windows_and_enough_bad_events():
    text = alert("SloBurnFast", API)["expr"]
    assert (
        'slo:sli_error:ratio_rate5m{slo="api"} > 0.0144\n  and slo:sli_error:ratio_rate1h{slo="api"} > 0.0144' in text
    )
    assert 'slo:sli_error:ratio_rate30m{slo="api"} > 0.006\n  and slo:sli_error:ratio_rate6h{slo="api"} > 0.006' in text
    assert 'sum_over_time(slo:sli_bad:rate5m{slo="api"}[1h]) * 30 >= 10' in text
    assert ">= 10" not in alert("SloBurnFast", {**API, "minimum_bad_events": 0})["expr"]


def test_severities_runbooks_and_labels():
    fast, slow = alert("SloBurnFast", API), alert("SloBurnSlow", API)
    assert fast["labels"] == {"team": "platform", "severity": "critical", "slo": "api", "service": "shop"}
    assert slow["labels"]["severity"] == "warning"
    assert fast["annotations"]["runbook_url"] == f"{URL}/SloBurnFast.md"
    own = {**API, "runbook": "https://x/y", "labels": {"severity": "warning"}}
    assert alert("SloBurnFast", own)["annotations"]["runbook_url"] == "https://x/y"
    assert alert("SloBurnFast", own)["labels"]["severity"] == "warning"


def test_errors_that_never_happened_are_no_errors():
    expression = recorded("slo:sli_bad:rate5m", API)
    assert expression == 'sum (rate(x_total{code=~"5.."}[5m])) or 0 * sum (rate(x_total[5m]))'
    good = {**{key: value for key, value in API.items() if key != "bad"}, "good": 'x_total{code="200"}'}
    total = "sum (rate(x_total[5m]))"
    wanted = f'{total} - (sum (rate(x_total{{code="200"}}[5m])) or 0 * {total})'
    assert recorded("slo:sli_bad:rate5m", good) == wanted


def test_a_latency_counts_what_is_above_a_buckets_bound():
    expression = recorded("slo:sli_bad:rate5m", LATENCY)
    assert r'y_seconds_bucket{method="GET",le=~"2(\\.0)?"}' in expression
    assert 'y_seconds_count{method="GET"}' in expression
    assert 'le="0.5"' in recorded("slo:sli_bad:rate5m", {**LATENCY, "threshold": 0.5})


def test_an_age_is_judged_by_time_and_has_no_minimum_of_events():
    assert recorded("slo:sli_bad:now", AGE) == "max (age_seconds) > bool 60"
    assert recorded("slo:sli_error:ratio_rate1h", AGE) == 'avg_over_time(slo:sli_bad:now{slo="fresh"}[1h])'
    assert "sum_over_time" not in alert("SloBurnFast", AGE)["expr"]


def test_labels_to_tell_apart_are_kept_and_named():
    definition = {**API, "by": ["namespace"]}
    assert recorded("slo:sli_total:rate5m", definition) == "sum by (namespace) (rate(x_total[5m]))"
    assert "{{ $labels.namespace }}" in alert("SloBurnFast", definition)["annotations"]["summary"]


def test_a_generous_objective_keeps_only_what_errors_can_reach():
    text = alert("SloBurnFast", {**API, "objective": 93})["expr"]
    assert "> 0.42" in text and "ratio_rate1h" not in text
    with pytest.raises(SloError, match="More than 83.3 %"):
        made({**API, "objective": 80})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"objective": 100}, "no error budget"),
        ({"objective": 100.5}, "no error budget"),
        ({"objective": 0}, "above 0"),
        ({"objective": -1}, "above 0"),
        ({"objective": "99.9"}, "number of per cent"),
        ({"objective": None}, "number of per cent"),
        ({"objective": float("nan")}, "number of per cent"),
        ({"kind": "speed"}, "kind 'speed' is unknown; there are availability"),
        ({"name": "API 1"}, "lower-case"),
        ({"total": None}, "a selector without"),
        ({"total": "rate(x_total[5m])"}, "without function or range"),
        ({"total": "x_total{a=b}"}, "cannot read"),
        ({"bad": 'x_total{organization_id="7"}'}, "label organization_id"),
        ({"by": ["organization_id"]}, "label organization_id"),
        ({"by": ["pod_template"]}, "label pod_template"),
        ({"by": ["slo"]}, "set by the rules"),
        ({"by": "namespace"}, "a list of label names"),
        ({"by": 1}, "a list of label names"),
        ({"period": "7d"}, "28d to 92d"),
        ({"period": "month"}, "28d to 92d"),
        ({"labels": {"a-b": "c"}}, "no label name"),
        ({"labels": {"slo": "x"}}, "set by the rules"),
        ({"threshold": 2}, "needs bad\\+total or good\\+total"),
        ({"tagret": 1}, "unknown: tagret"),
        ({"minimum_bad_events": -1}, "whole number"),
        ({"no_data_for": "soon"}, "duration such as 15m"),
        ({"service": ""}, "service is missing"),
        ({"summary": ""}, "summary is missing"),
    ],
)
def test_a_bad_definition_is_refused_with_its_reason(change, reason):
    with pytest.raises(SloError, match=reason):
        made({**API, **change})


def test_a_name_that_is_there_twice_is_refused():
    with pytest.raises(SloError, match="SLO api: this name is there twice"):
        made(API, {**LATENCY, "name": "api"})


def test_an_unknown_metric_is_refused_by_name():
    assert made(API, LATENCY, known_metrics=["x_total", "y_seconds_bucket", "y_seconds_count"])
    with pytest.raises(SloError, match="histogram: there is no metric y_seconds_count"):
        made(API, LATENCY, known_metrics=["x_total", "y_seconds_bucket"])


def test_a_label_of_ones_own_may_be_grouped_by_unless_it_grows_with_customers():
    assert made({**API, "by": ["shard"]}, bounded_labels=["shard"])
    with pytest.raises(SloError, match="label tenant"):
        made({**API, "by": ["tenant"]}, bounded_labels=["tenant"])


@pytest.mark.parametrize("interval", ["2m", "often", "0s"])
def test_an_interval_that_does_not_fit_is_refused(interval):
    with pytest.raises(SloError, match="at most 60s"):
        made(API, interval=interval)


def test_labels_that_grow_are_known_by_their_words():
    growing = ["organization_id", "client_ip", "clientIP", "organizationId", "user", "session_token", "email"]
    bounded = ["endpoint", "risk_level", "model_version", "status_code", "request_type", "recipient"]
    assert [label for label in growing + bounded if selector.is_unbounded(label)] == growing


def test_a_budget_is_exact():
    (slo,) = model.parse_all([API], None, ())
    assert slo.budget == 0.001
