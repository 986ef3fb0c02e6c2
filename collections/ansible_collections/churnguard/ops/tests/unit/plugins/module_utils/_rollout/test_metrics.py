# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of metrics: templates, defaults, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import (
    Metric,
    Scope,
    default_metrics,
    metric_options,
    read_metrics,
)

SCOPE = Scope("shop-prod", "shop", "green", "v2")
RATIO = {"name": "errors", "kind": "ratio", "numerator": "a", "denominator": "b", "limit": 0.01}
LATENCY = {"name": "latency", "kind": "latency", "buckets": "a", "limit": 2.0}
VALUE = {"name": "queue", "kind": "value", "query": "a", "limit": 10.0}


def given(**changes: object) -> dict:
    """A ratio as a module's parameters hold it: every option is there."""
    options = {name: option.get("default") for name, option in metric_options().items()}
    return {**options, **RATIO, **changes}


def test_placeholders_are_filled_and_nothing_else():
    template = 'label_replace(x{$selector}, "a", "$1", "b", "(.*)$") / y{slot="$slot"}[$window]'
    filled = SCOPE.fill(template, 60.0)
    assert filled == (
        'label_replace(x{namespace="shop-prod",app="shop",slot="green",version="v2"}, "a", "$1", "b", "(.*)$")'
        ' / y{slot="green"}[60s]'
    )
    assert SCOPE.fill("$namespace $app $version [$window]", 0.2) == "shop-prod shop v2 [1s]"


def test_what_is_not_known_is_not_matched():
    assert Scope("n", "a", "", "").selector == 'namespace="n",app="a"'


def test_no_value_can_leave_its_string():
    assert Scope("n", "a", "", 'v"} or up{x="\\').selector.endswith('version="v\\"} or up{x=\\"\\\\"')


def test_the_defaults_are_the_guides():
    metrics = {metric.name: metric for metric in read_metrics([])}
    assert list(metrics) == ["error_ratio", "latency_p99", "predictions_per_request"]
    assert metrics["error_ratio"].limit == 0.01
    assert (metrics["latency_p99"].limit, metrics["latency_p99"].quantile) == (2.0, 0.99)
    drop = metrics["predictions_per_request"]
    assert (drop.direction, drop.max_change, drop.limit) == ("decrease", 0.05, None)
    assert all(metric.compare and metric.critical and metric.min_requests == 59 for metric in metrics.values())
    assert all("$selector" in text for metric in default_metrics() for text in metric.parts.values())


def test_options_that_are_left_out_take_the_defaults():
    assert read_metrics([given()]) == [Metric(**RATIO)]
    assert read_metrics([given(window=30.0)])[0].window == 30.0


def test_the_module_options_are_the_metrics_fields():
    fields = Metric.__dataclass_fields__
    assert set(metric_options()) == set(fields)
    for name, option in metric_options().items():
        if "default" in option:
            assert option["default"] == fields[name].default, name


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([RATIO, RATIO], "metric errors: its option name is given twice"),
        ([{**RATIO, "denominator": ""}], "option denominator is missing"),
        ([{**LATENCY, "buckets": " "}], "option buckets is missing"),
        ([{**VALUE, "query": ""}], "option query is missing"),
        ([{**RATIO, "query": "up"}], "option query does not belong to kind ratio"),
        ([{**RATIO, "limit": 5.0}], "option limit is 5. Next: give a share from 0 to 1"),
        ([{**LATENCY, "direction": "decrease"}], "a latency can only be too high"),
        ([{**LATENCY, "quantile": 99.0}], "option quantile is 99"),
        ([{**LATENCY, "min_effect": 0.2}], "option min_effect is 0.2"),
        ([{**LATENCY, "min_slowdown": -1.0}], "option min_slowdown is -1"),
        ([{**RATIO, "hard_limit": 1.0}], "option hard_limit does not belong to kind ratio"),
        ([{**RATIO, "max_change": -0.1}], "option max_change is -0.1"),
        ([{**RATIO, "window": 0.0}], "option window is 0"),
        ([{**RATIO, "weight": 0.0}], "option weight is 0"),
        ([{**RATIO, "min_requests": 0}], "option min_requests is 0"),
        ([{**RATIO, "limit": None, "compare": False}], "give a limit, or let it be compared"),
        ([{**VALUE, "limit": None}], "give a limit, or let it be compared"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_metric_and_option(raw, message):
    with pytest.raises(OperationError) as refused:
        read_metrics(raw)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "share"),
    [
        (Metric(**RATIO), 0.01),
        (Metric(**{**RATIO, "direction": "decrease", "limit": 0.98}), 0.02),
        (Metric(**LATENCY), 0.01),
    ],
)
def test_every_limit_is_a_share_of_bad_requests(metric, share):
    assert metric.allowed_share == pytest.approx(share)
