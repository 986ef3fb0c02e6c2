# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of each strategy, where gates stand, and how each is taken back."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Gate, Pace
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import STRATEGIES, steps_of, take_back
from ansible_collections.churnguard.ops.tests.unit.support.objects import BLUE, GREEN, release, rollout, target

V1, V2 = release(BLUE, "v1"), release(GREEN, "v2")
IN_PLACE = release(BLUE, "v2")
PACE = Pace(weights=((10, 60.0), (50, 30.0), (100, 5.0)), bake_seconds=7.0)


def plan(strategy: str, candidate=V2, stable=V1, **changes) -> list[str]:
    pace = Pace(**{**PACE.__dict__, **changes})
    return [step.label for step in steps_of(strategy, candidate, stable, target(), pace)]


def test_a_canary_rises_by_weights_each_confirmed_and_held():
    assert plan("canary") == [
        "hold_size blue",
        "start green",
        "ready green",
        "smoke green",
        "route green at 10 %",
        "confirm green at 10 %",
        "hold green at 10 %",
        "route green at 50 %",
        "confirm green at 50 %",
        "hold green at 50 %",
        "route green at 100 %",
        "confirm green at 100 %",
        "hold green at 100 %",
        "bake green at 100 %",
        "drain blue",
        "retire blue",
        "release_size blue",
    ]


def test_weights_of_a_canary_always_make_a_hundred():
    splits = [s.args["split"] for s in steps_of("canary", V2, V1, target(), PACE) if "split" in s.args]
    assert splits[0] == {GREEN: 10, BLUE: 90}
    assert {sum(split.values()) for split in splits} == {100}


def test_a_rolling_update_stays_in_its_slot():
    assert plan("rolling", IN_PLACE) == [
        "hold_size blue",
        "update blue",
        "ready blue",
        "smoke blue",
        "confirm blue at 100 %",
        "bake blue at 100 %",
        "release_size blue",
    ]


def test_a_rolling_update_carries_its_limits():
    steps = steps_of("rolling", IN_PLACE, V1, target(), Pace(max_surge="25%", max_unavailable=1))
    assert steps[1].args["rolling"] == {"maxSurge": "25%", "maxUnavailable": 1}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_first_release_has_nothing_to_compare_with_nor_to_retire(strategy):
    assert plan(strategy, V1, None) == [
        "start blue",
        "ready blue",
        "smoke blue",
        "route blue at 100 %",
        "confirm blue at 100 %",
    ]


@pytest.mark.parametrize("strategy", ["blue_green", "canary"])
def test_the_old_slot_may_stay_warm(strategy):
    assert plan(strategy, retire=False)[-2:] == ["bake green at 100 %", "release_size blue"]


@pytest.mark.parametrize(
    ("before", "neighbours"),
    [
        ("50", ("hold green at 10 %", "route green at 50 %")),
        ("10", ("smoke green", "route green at 10 %")),
        ("start", ("hold_size blue", "start green")),
        ("bake", ("hold green at 100 %", "bake green at 100 %")),
        ("drain", ("bake green at 100 %", "drain blue")),
    ],
)
def test_a_gate_stands_before_its_step(before, neighbours):
    labels = plan("canary", gates=(Gate(before, 5.0, "rollback"),))
    index = next(i for i, label in enumerate(labels) if label.startswith("gate"))
    assert (labels[index - 1], labels[index + 1]) == neighbours


def test_a_gate_knows_the_weight_that_is_held_meanwhile():
    gates = (Gate("50", 5.0, "halt"), Gate("start", 9.0, "rollback", "go"))
    found = [s.args for s in steps_of("canary", V2, V1, target(), Pace(PACE.weights, gates)) if s.name == "gate"]
    assert found == [
        {"before": "start", "timeout": 9.0, "on_timeout": "rollback", "flag": "go", "weight": 0},
        {"before": "50", "timeout": 5.0, "on_timeout": "halt", "flag": "", "weight": 10},
    ]


def test_a_gate_whose_step_a_first_release_does_not_have_is_left_out():
    assert "gate" not in " ".join(plan("canary", V1, None, gates=(Gate("50", 5.0, "rollback"),)))


def test_a_rolling_update_is_taken_back_in_place():
    one = rollout([], candidate=IN_PLACE, previous=V1, strategy="rolling", traffic_moved=True)
    steps = take_back(one, target())
    assert [step.label for step in steps] == [
        "update blue",
        "ready blue",
        "confirm blue at 100 %",
        "release_size blue",
    ]
    assert {step.args.get("release") for step in steps[:3]} == {"previous"}
