# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge says, look by look, about versions whose faults are known."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.judge import BAD, GOOD, UNKNOWN
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric
from ansible_collections.churnguard.ops.tests.unit.support.bench import ERRORS, LATENCY, PREDICTIONS, Bench
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import samples

NO_COMPARISON = dataclasses.replace(ERRORS, compare=False)
QUEUE = Metric("queue", "value", query="q", limit=10.0)


def verdict(sample) -> tuple[str, bool, str]:
    return sample.verdict, sample.decisive, sample.cause


# -- errors ----------------------------------------------------------------------------------------------------------


def test_a_version_no_worse_than_the_stable_one_is_good():
    bench = Bench()
    bench.serve(200, errors=1)
    bench.serve_stable(1800, errors=9)
    sample = bench.look()
    assert verdict(sample) == (GOOD, False, "")
    assert "error_ratio 0.5 % of 200 requests (limit 1 %, stable 0.5 % of 1800)" in sample.reason
    errors = samples(sample.results)["error_ratio"]
    assert (errors.n, errors.n_stable, errors.value, errors.stable_value, errors.limit) == (
        200,
        1800,
        0.005,
        0.005,
        0.01,
    )


def test_strong_evidence_decides_at_the_first_look():
    bench = Bench()
    bench.serve(200, errors=40)
    bench.serve_stable(1800)
    sample = bench.look()
    assert verdict(sample) == (BAD, True, "bad")
    assert sample.reason.startswith("error_ratio 20 % of 200 requests (limit 1 %, stable 0 % of 1800), 40 of 200")
    assert samples(sample.results)["error_ratio"].p_value < 1e-30


def test_a_point_over_the_limit_freezes_and_is_taken_back_when_it_was_chance():
    bench = Bench(ERRORS)
    bench.serve(200, errors=3)
    bench.serve_stable(200, errors=1)
    assert verdict(bench.look()) == (BAD, False, "bad")
    for _look in range(6):
        bench.serve(200)
        bench.serve_stable(200)
        sample = bench.look()
    assert verdict(sample) == (GOOD, False, "")


def test_one_bad_request_is_never_enough():
    bench = Bench(NO_COMPARISON)
    bench.serve(60, errors=1)
    assert verdict(bench.look()) == (GOOD, False, "")


def test_a_fault_that_begins_late_is_seen_in_the_window():
    bench = Bench(NO_COMPARISON)
    for _look in range(60):
        bench.serve(200)
        assert bench.look().verdict == GOOD
    bench.serve(200, errors=40)
    sample = bench.look()
    assert verdict(sample) == (BAD, True, "bad")
    assert "40 of 1200 requests beyond the limit in the last 60 s, beyond doubt" in sample.reason


def test_a_small_excess_is_found_over_the_whole_stage():
    bench = Bench(NO_COMPARISON)
    taken = []
    for look in range(90):
        bench.serve(200, errors=3 if look % 2 else 4)
        taken.append(verdict(bench.look()))
        if taken[-1][1]:
            break
    assert taken[0] == (BAD, False, "bad")
    assert taken[-1] == (BAD, True, "bad")


def test_even_few_requests_decide_when_all_fail():
    bench = Bench()
    bench.serve(20, errors=20)
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_a_ratio_that_must_not_fall_has_a_floor():
    bench = Bench(
        Metric("hits", "ratio", "predictions{$selector}", "requests{$selector}", direction="decrease", limit=0.4)
    )
    bench.serve(500, predictions=240)
    bench.serve_stable(500, predictions=250)
    assert bench.look().verdict == GOOD
    bench.serve(500, predictions=50)
    bench.serve_stable(500, predictions=250)
    assert verdict(bench.look()) == (BAD, True, "bad")


# -- comparison with the stable version ------------------------------------------------------------------------------


def test_more_errors_than_the_stable_version_are_bad_below_the_limit_too():
    bench = Bench(ERRORS)
    bench.serve(20_000, errors=160)
    bench.serve_stable(20_000, errors=60)
    sample = bench.look()
    assert verdict(sample) == (BAD, True, "bad")
    assert "worse than the stable version in this step: 0.8 % against 0.3 %, beyond doubt" in sample.reason


def test_a_difference_that_does_not_matter_is_left_alone_however_certain():
    bench = Bench(ERRORS)
    bench.serve(1_000_000, errors=6000)
    bench.serve_stable(1_000_000, errors=5000)
    assert bench.look().verdict == GOOD


def test_a_drop_of_the_business_metric_is_bad_beyond_its_margin_only():
    bench = Bench(PREDICTIONS)
    bench.serve(10_000, predictions=4800)
    bench.serve_stable(10_000, predictions=5000)
    assert bench.look().verdict == GOOD
    bench.serve(10_000, predictions=4000)
    bench.serve_stable(10_000, predictions=5000)
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_small_differences_add_up_over_the_steps():
    bench = Bench(ERRORS, looks=20)
    seen = []
    for _step in range(6):
        bench.serve(1000, errors=9)
        bench.serve_stable(1000, errors=2)
        seen.append(bench.look())
        bench.begin_stage()
    assert not seen[0].decisive
    assert seen[-1].decisive
    assert "over all steps: 0.9 % against 0.2 %" in seen[-1].reason


def test_changing_weights_make_no_difference_where_none_is():
    """Simpson's paradox: both versions have 0.2 % at noon and 0.9 % at night, but meet them in other shares. Added up,
    the new one would have 0.83 % against 0.27 %."""
    bench = Bench(ERRORS, looks=20)
    bench.serve(1000, errors=2)
    bench.serve_stable(9000, errors=18)
    assert bench.look().verdict == GOOD
    bench.begin_stage()
    bench.serve(9000, errors=81)
    bench.serve_stable(1000, errors=9)
    assert verdict(bench.look()) == (GOOD, False, "")


def test_without_traffic_on_the_stable_version_only_the_limit_is_tested():
    bench = Bench(ERRORS)
    bench.serve_stable(1000)
    bench.serve(1000)
    bench.look()
    bench.begin_stage()
    bench.serve(1000, errors=5)
    sample = bench.look()
    assert sample.verdict == GOOD
    assert "the stable version gets no traffic, so it is not compared" in sample.reason
    bench.serve(1000, errors=200)
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_stragglers_on_the_stable_version_hold_the_bake_for_one_look_only():
    bench = Bench()
    bench.serve(2000)
    bench.serve_stable(51)
    assert verdict(bench.look()) == (UNKNOWN, False, "no_data")
    bench.serve(2000)
    assert bench.look().verdict == GOOD


def test_without_a_stable_version_only_the_limit_is_tested():
    bench = Bench()
    bench.stable = False
    bench.serve(1000)
    assert bench.look().verdict == GOOD


# -- latency ---------------------------------------------------------------------------------------------------------


def test_a_p99_over_its_limit_is_more_than_one_slow_request_in_a_hundred():
    bench = Bench(dataclasses.replace(LATENCY, compare=False))
    bench.serve(970)
    bench.serve(30, seconds=3.0)
    sample = bench.look()
    assert verdict(sample) == (BAD, True, "bad")
    assert sample.results[0].value == pytest.approx(4.0)
    assert "30 of 1000 requests beyond the limit" in sample.reason


def test_a_slower_version_is_found_below_the_limit():
    bench = Bench(LATENCY)
    bench.serve(300, seconds=0.08)
    bench.serve_stable(300, seconds=0.03)
    sample = bench.look()
    assert verdict(sample) == (BAD, True, "bad")
    assert "slower in 100% of pairs, the median by 38 ms, beyond doubt" in sample.reason


def test_a_slowdown_too_small_to_feel_is_left_alone():
    bench = Bench(LATENCY)
    bench.serve(3000, seconds=0.008)
    bench.serve_stable(3000, seconds=0.004)
    bench.serve_stable(2500, seconds=0.008)
    assert bench.look().verdict == GOOD


def test_a_limit_beyond_the_buckets_cannot_be_tested_and_is_unknown():
    bench = Bench(dataclasses.replace(LATENCY, limit=20.0))
    bench.serve(300)
    bench.serve_stable(300)
    sample = bench.look()
    assert verdict(sample) == (UNKNOWN, False, "no_data")
    assert "no bucket at or above the limit" in sample.reason


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "verdicts"),
    [
        ([5, 6, 7], ["good", "good", "good"]),
        ([11, 5, 5, 5, 5, 11], ["bad", "good", "good", "good", "good", "bad"]),
        ([11, 5, 5, 5, 11], ["bad", "good", "good", "good", "bad decisive"]),
        ([11, 12], ["bad", "bad decisive"]),
    ],
)
def test_a_value_decides_with_two_bad_of_the_last_five(values, verdicts):
    bench = Bench(QUEUE)
    seen = []
    for value in values:
        bench.values["candidate"] = [value]
        sample = bench.look()
        seen.append(sample.verdict + (" decisive" if sample.decisive else ""))
    assert seen == verdicts


def test_beyond_the_hard_limit_one_value_decides():
    bench = Bench(dataclasses.replace(QUEUE, hard_limit=100.0))
    bench.values["candidate"] = [101.0]
    assert verdict(bench.look()) == (BAD, True, "bad")


def test_a_value_is_compared_with_the_stable_versions():
    bench = Bench(Metric("income", "value", query="q", direction="decrease", max_change=0.05))
    bench.values = {"candidate": [94.0], "stable": [100.0]}
    sample = bench.look()
    assert verdict(sample) == (BAD, False, "bad")
    assert "6.0% worse than the stable version, limit 5.0%" in sample.reason
    bench.values["candidate"] = [96.0]
    assert bench.look().verdict == GOOD


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf")], [1.0, 2.0]])
def test_a_value_that_is_none_is_unknown(values):
    bench = Bench(QUEUE)
    bench.values["candidate"] = values
    assert verdict(bench.look()) == (UNKNOWN, False, "no_data")
