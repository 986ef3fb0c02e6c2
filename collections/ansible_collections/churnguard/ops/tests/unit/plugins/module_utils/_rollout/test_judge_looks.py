# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge says when there is too little to go by, when several metrics disagree, when the stable version is ill,
and over time."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.judge import BAD, GOOD, UNKNOWN, Judge
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric
from ansible_collections.churnguard.ops.tests.unit.support.bench import ERRORS, STABLE, Bench

NO_COMPARISON = dataclasses.replace(ERRORS, compare=False)
QUEUE = Metric("queue", "value", query="q", limit=10.0)


def verdict(sample) -> tuple[str, bool, str]:
    return sample.verdict, sample.decisive, sample.cause


# -- too little, too much, too late ----------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", [0, 3, 58])
def test_too_few_requests_are_unknown(requests):
    bench = Bench()
    bench.serve(requests)
    bench.serve_stable(1000)
    sample = bench.look()
    assert verdict(sample) == (UNKNOWN, False, "no_data")
    assert f"{requests} requests since the step began, 59 are needed" in sample.reason


def test_low_traffic_adds_up_until_it_is_enough():
    bench = Bench()
    seen = []
    for _look in range(20):
        bench.serve(3)
        bench.serve_stable(12)
        seen.append(bench.look(60).verdict)
    assert (seen[0], seen[18], seen[19]) == (UNKNOWN, UNKNOWN, GOOD)


def test_traffic_that_stops_is_unknown_whatever_was_before():
    bench = Bench()
    bench.serve(1000)
    bench.serve_stable(1000)
    assert bench.look().verdict == GOOD
    bench.look(30)
    sample = bench.look(40)
    assert verdict(sample) == (UNKNOWN, False, "no_data")
    assert "no request in the last 60 s" in sample.reason


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("hold", (UNKNOWN, False, "no_data")), ("fail", (BAD, False, "no_data")), ("pass", (GOOD, False, ""))],
)
def test_what_no_data_means_is_policy(policy, expected):
    bench = Bench(dataclasses.replace(ERRORS, on_no_data=policy))
    assert verdict(bench.look()) == expected


def test_no_data_that_fails_is_decisive_after_a_whole_window():
    bench = Bench(dataclasses.replace(ERRORS, on_no_data="fail"))
    assert [verdict(bench.look(30))[1] for _look in range(2)] == [False, True]


def test_a_probe_is_asked_for_while_traffic_is_missing():
    bench = Bench(dataclasses.replace(ERRORS, on_no_data="probe"))
    sample = bench.look()
    assert (sample.verdict, sample.wants_probe) == (UNKNOWN, True)
    bench.serve(100)
    bench.serve_stable(100)
    assert bench.look().wants_probe is False


def test_sparse_errors_against_none_are_never_good():
    """Six looks with 0, 1, 2, 1, 0, 0 errors of 30 requests each, beside a stable version without any."""
    bench = Bench(ERRORS)
    seen = []
    for errors in (0, 1, 2, 1, 0, 0):
        bench.serve(30, errors=errors)
        bench.serve_stable(30)
        seen.append(bench.look(60).verdict)
    assert GOOD not in seen[2:]
    assert BAD in seen


def test_metrics_that_are_away_are_unknown_and_nothing_is_lost():
    bench = Bench()
    bench.serve(100)
    bench.serve_stable(100)
    bench.look()
    bench.broken = "connection refused"
    sample = bench.look()
    assert verdict(sample) == (UNKNOWN, False, "metrics_unavailable")
    assert "connection refused" in sample.reason
    bench.broken = ""
    bench.serve(100)
    assert bench.look().results[0].n == 200


# -- several metrics -------------------------------------------------------------------------------------------------


def test_a_metric_that_is_not_critical_fails_by_its_weight():
    other = dataclasses.replace(QUEUE, critical=False, weight=1.0)
    main = dataclasses.replace(QUEUE, name="main", limit=1000.0, weight=3.0)
    for score, expected in ((75.0, GOOD), (76.0, BAD)):
        bench = Bench(main, other, pass_score=score)
        bench.values["candidate"] = [11.0]
        assert bench.look().verdict == expected


def test_unknown_is_not_outvoted_unless_it_is_not_critical():
    for critical, expected in ((True, UNKNOWN), (False, GOOD)):
        bench = Bench(dataclasses.replace(ERRORS, critical=critical), QUEUE)
        bench.values["candidate"] = [1.0]
        assert bench.look().verdict == expected


def test_nothing_known_at_all_is_unknown():
    assert Bench(dataclasses.replace(ERRORS, critical=False)).look().verdict == UNKNOWN


# -- a stable version that is ill itself -----------------------------------------------------------------------------


def test_a_stable_version_as_bad_as_the_new_one_leaves_it_unknown():
    bench = Bench(ERRORS)
    bench.serve(1000, errors=50)
    bench.serve_stable(1000, errors=50)
    sample = bench.look()
    assert verdict(sample) == (UNKNOWN, False, "stable_unhealthy")
    assert "the stable version breaks the limit too and the new one is no worse" in sample.reason


def test_forced_forward_an_ill_stable_version_does_not_hold_the_cure_back_nor_in_the_bake():
    bench = Bench(ERRORS, force_forward=True)
    bench.serve(1000, errors=20)
    bench.serve_stable(1000, errors=50)
    assert bench.look().verdict == GOOD
    bench.begin_stage()
    bench.serve(1000, errors=20)
    assert bench.look().verdict == GOOD


def test_forced_forward_is_no_way_for_a_worse_version():
    bench = Bench(ERRORS, force_forward=True)
    bench.serve(1000, errors=200)
    bench.serve_stable(1000, errors=50)
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_forced_forward_keeps_the_limit_where_the_stable_version_is_well():
    bench = Bench(ERRORS, force_forward=True)
    bench.serve(1000, errors=200)
    bench.serve_stable(1000)
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_an_ill_stable_value_is_seen_too():
    bench = Bench(QUEUE)
    bench.values = {"candidate": [11.0], "stable": [12.0]}
    assert verdict(bench.look()) == (UNKNOWN, False, "stable_unhealthy")


# -- time and processes ----------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_changes_nothing_but_the_window():
    bench = Bench(ERRORS)
    for jump in (-10_000.0, 10.0, 1_000_000.0):
        bench.serve(200, errors=1)
        bench.serve_stable(200, errors=1)
        assert bench.look(jump).verdict == GOOD
    bench.serve(200, errors=40)
    bench.serve_stable(200, errors=1)
    assert verdict(bench.look(-5.0)) == (BAD, True, "bad")


def test_the_next_process_goes_on_where_this_one_stopped():
    bench, whole = Bench(), Bench()
    for one in (bench, whole):
        one.serve(1000, errors=5)
        one.serve_stable(1000, errors=2)
        one.look()
        one.begin_stage()
        one.serve(300, errors=2)
        one.serve_stable(300)
        one.look()
    state = json.loads(json.dumps(bench.judge.state()))
    bench.judge = Judge(bench.metrics, **bench.options)
    bench.judge.restore(state)
    bench.now = 17.0
    seen = []
    for one in (bench, whole):
        one.serve(100, errors=1)
        one.serve_stable(100)
        seen.append(one.look().plain())
    assert seen[0]["results"][0]["n"] == 400
    assert [{**result, "window_s": 0} for result in seen[0]["results"]] == [
        {**result, "window_s": 0} for result in seen[1]["results"]
    ]


def test_a_state_without_anything_is_no_state():
    bench = Bench()
    bench.judge.restore({})
    bench.serve(100)
    bench.serve_stable(100)
    assert bench.look().verdict == GOOD


def test_what_is_thrown_away_does_not_count_later():
    bench = Bench(ERRORS)
    bench.serve(1000, errors=11)
    bench.serve_stable(1000)
    assert bench.look().verdict == BAD
    bench.begin_stage(forget=True)
    bench.serve(1000)
    bench.serve_stable(1000)
    sample = bench.look()
    assert (sample.verdict, sample.results[0].n) == (GOOD, 1000)


def test_a_pod_that_starts_or_restarts_in_between_is_counted():
    bench = Bench(ERRORS)
    bench.serve(100)
    bench.serve_stable(100)
    bench.look()
    bench.application.restart(*STABLE)
    bench.serve_stable(40)
    bench.serve(30, pod="2")
    result = bench.look().results[0]
    assert (result.n, result.n_stable) == (130, 140)


def test_more_looks_need_more_evidence():
    levels = []
    for looks in (1, 10, 10_000):
        bench = Bench(NO_COMPARISON, looks=looks)
        bench.serve(300, errors=12)
        levels.append(bench.look().decisive)
    assert levels == [True, True, False]


def test_looks_beyond_the_plan_are_nearly_free_of_false_alarms():
    judge = Judge([NO_COMPARISON], looks=10, false_alarm=0.01)
    shares = []
    for _look in range(5000):
        judge.look(float(_look), {})
        shares.append(judge._share() * NO_COMPARISON.tests)
    assert sum(shares[:10]) == pytest.approx(0.01)
    assert sum(shares[10:]) < 0.001
