# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a hold: good time, somebody's word, or patience running out."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.hold import Hold, planned_looks
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Pace, Step


def hold(judged: bool = True, **args) -> Hold:
    given = {"seconds": 60.0, "weight": 10, **args}
    return Hold.of(Step("hold", "green", given), judged, max_hold=100.0, pause_timeout=50.0)


def state(one: Hold) -> str:
    return one.finding().state


def test_time_alone_is_not_enough_where_samples_are_judged():
    one = hold()
    one.passed(60)
    assert (state(one), one.finding().detail) == ("pending", "waiting for the first sample")
    one.judge("good", "")
    assert (state(one), one.finding().detail) == ("done", "held for 60 s")


def test_time_is_enough_where_nothing_is_judged():
    one = hold(judged=False)
    one.passed(59)
    assert state(one) == "pending"
    one.passed(1)
    assert state(one) == "done"


def test_time_that_is_not_good_does_not_count():
    one = hold()
    one.passed(30)
    assert one.judge("bad", "error_ratio 2 % (limit 1 %)")
    one.passed(30)
    assert not one.judge("unknown", "no data")
    one.passed(30)
    assert (one.held, one.frozen, one.left) == (30, 60, 30)
    assert one.finding().detail == "frozen for 60 of 100 s: no data"
    one.judge("good", "")
    assert one.frozen == 0
    one.passed(30)
    assert state(one) == "done"


@pytest.mark.parametrize("verdict", ["bad", "unknown"])
def test_frozen_too_long_fails_with_the_last_reason(verdict):
    one = hold()
    one.judge(verdict, "why")
    one.passed(99)
    assert state(one) == "pending"
    one.passed(1)
    assert (state(one), one.finding().detail) == ("failed", "frozen for 100 s (max_hold): why")


def test_a_good_sample_in_between_starts_patience_anew():
    one = hold()
    for _time in range(5):
        one.judge("unknown", "why")
        one.passed(60)
        one.judge("good", "")
    assert (one.held, state(one)) == (0, "pending")


def test_a_pause_stops_the_time_and_ends_by_itself():
    one = hold()
    one.judge("good", "")
    one.passed(40)
    one.paused = True
    one.passed(49)
    assert (one.held, state(one)) == (40, "pending")
    one.passed(1)
    assert (state(one), one.finding().detail) == ("failed", "paused for 50 s, and nobody resumed it")
    one.paused = False
    one.passed(20)
    assert (one.paused_for, state(one)) == (0, "done")


def test_promotion_ends_it_whatever_is_missing():
    one = hold()
    one.judge("unknown", "why")
    one.promoted = True
    assert (state(one), one.finding().detail) == ("done", "promoted by hand")


def test_a_gate_waits_for_its_approval_and_for_nothing_else_before_there_is_traffic():
    one = hold(seconds=0, weight=0, timeout=30)
    assert not one.judged
    one.passed(29)
    assert (state(one), one.finding().detail) == ("pending", "waiting for approval, 29 of 30 s")
    one.approved = True
    assert state(one) == "done"


def test_a_gate_that_nobody_answers_runs_out():
    one = hold(seconds=0, weight=50, timeout=30)
    one.judge("good", "")
    one.passed(30)
    assert (state(one), one.finding().detail) == ("failed", "nobody approved within 30 s")


def test_approval_does_not_overrule_a_sample_that_is_not_good():
    one = hold(seconds=0, weight=50, timeout=30)
    one.judge("bad", "why")
    one.approved = True
    assert state(one) == "pending"
    one.judge("good", "")
    assert state(one) == "done"


def test_again_forgets_time_and_verdict():
    one = hold()
    one.passed(50)
    one.judge("bad", "why")
    one.passed(50)
    one.again()
    assert (one.held, one.frozen, one.is_frozen, state(one)) == (0, 0, False, "pending")


def test_the_number_of_looks_covers_every_hold_the_bake_and_one_freeze():
    pace = Pace(weights=((10, 600.0), (50, 600.0), (100, 10.0)), bake_seconds=300.0)
    assert planned_looks(pace, 30.0, 600.0) == 20 + 20 + 1 + 10 + 20


def test_another_cause_is_told_but_the_same_one_only_once():
    one = hold()
    told = [one.judge("unknown", "why", cause) for cause in ("no_data", "no_data", "metrics_unavailable")]
    assert told == [True, False, True]
    assert not one.judge("good", "")
    assert one.judge("unknown", "why", "no_data")
