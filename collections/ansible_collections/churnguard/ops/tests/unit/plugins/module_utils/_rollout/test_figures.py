# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import (
    by_urgency,
    comparison,
    duration,
    figure,
    gate_state,
    kind_of,
)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.0021, "ratio", "0.21 %"),
        (0.0, "ratio", "0 %"),
        (1.0, "ratio", "100 %"),
        (0.412, "latency", "412 ms"),
        (0.0004, "latency", "0.4 ms"),
        (2.0, "latency", "2 s"),
        (12345.6, "value", "12,346"),
        (-0.0512, "value", "-0.0512"),
        (1e-9, "value", "0"),
        (3, "", "3"),
        (None, "ratio", "no data"),
        (math.nan, "ratio", "no data"),
        (math.inf, "ratio", "infinite"),
        (-math.inf, "value", "-infinite"),
        (True, "", "no data"),
        ("x", "", "no data"),
    ],
)
def test_figures_have_three_digits_and_their_unit(value, kind, text):
    assert figure(value, kind) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"value": 0.002, "limit": 0.01, "kind": "ratio", "verdict": "good"}, "0.2 % <= 1 %"),
        ({"value": 0.02, "limit": 0.01, "kind": "ratio", "verdict": "bad"}, "2 % > 1 %"),
        ({"value": 0.9, "limit": 2, "stable_value": 0.5, "kind": "latency", "verdict": "good"}, "900 ms <= 2 s"),
        ({"value": 0.9, "limit": 2, "stable_value": 0.5, "kind": "latency", "verdict": "bad"}, "900 ms, stable 500 ms"),
        ({"value": 0.9, "limit": None, "stable_value": 1.0, "verdict": "good"}, "0.9, stable 1"),
        ({"value": 3, "verdict": "good"}, "3"),
        ({"value": None, "limit": 0.01, "verdict": "unknown"}, "no data"),
        ({}, "no data"),
    ],
)
def test_a_value_is_compared_with_what_decides(result, text):
    assert comparison(result) == text


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ({"name": "predictions_per_request", "kind": "ratio"}, "ratio"),
        ({"name": "latency", "kind": "value"}, "value"),
        ({"name": "latency_p99"}, ""),
        ({}, ""),
    ],
)
def test_the_unit_follows_from_the_kind_and_never_from_the_name(result, kind):
    assert kind_of(result) == kind


def test_what_is_bad_comes_first_and_the_rest_keeps_its_order():
    pairs = zip("abcde", ["good", "unknown", "bad", "good", "?"], strict=True)
    results = [{"name": name, "verdict": verdict} for name, verdict in pairs]
    assert [result["name"] for result in by_urgency(results)] == ["c", "b", "e", "a", "d"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.4, "59 s"), (60, "1 min"), (245, "4 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("data", "state"),
    [
        ({"before": "50"}, "waiting"),
        ({"flag": "x"}, "opened"),
        ({"waited_s": 3}, "passed"),
        ({"state": "timed_out"}, "timed_out"),
    ],
)
def test_what_a_gate_tells(data, state):
    assert gate_state(data) == state
