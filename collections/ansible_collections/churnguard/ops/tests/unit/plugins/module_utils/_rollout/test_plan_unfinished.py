# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about a rollout that did not end."""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Rollout
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.plan import decide
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green, take_back
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    deployment,
    journal,
    observed,
    public_service,
    release,
    rollout,
    route,
    target,
    wish,
    written_by,
)

V1, V2 = release(BLUE, "v1"), release(GREEN, "v2")
OPERATIONS = ["deploy", "rollback"]


def baking(phase: str, operation: str = "deploy") -> Rollout:
    """v2 has all traffic and is in its bake; or, when being taken back, v1 has just been found ready again."""
    one = rollout(blue_green(V2, V1, target(), wish().pace), operation=operation)
    for step in one.steps[:6]:
        codec.enter(one, step, "t")
        codec.leave(one, step, "t")
    codec.enter(one, one.steps[6], "t")
    if phase == "rolling_back":
        codec.give_up(one, "it crashed", take_back(one, target()))
        for step in one.steps[:2]:
            codec.enter(one, step, "t")
            codec.leave(one, step, "t")
    one.phase = phase
    return one


def seen(one: Rollout, split=None, **changes):
    live = {BLUE: deployment(), GREEN: deployment(GREEN, "v2")}
    return observed(split or ALL_GREEN, journal(stable=V1, rollout=one), **{"deployments": live, **changes})


def expected(phase: str, operation: str, policy: str, state: str, version: str) -> str:
    """What the documentation of state and on_unfinished says."""
    back = state == "rolled_back" and operation == "deploy" and policy == "resume"
    if state == "aborted" or policy == "abort" or back:
        return "resume" if phase == "rolling_back" else "take_back"
    if policy == "fail":
        return "refuse"
    if phase == "rolling_back":
        return "resume"
    same = version == "v2" if state == "present" else operation == "rollback"
    return "resume" if same else "refuse"


@pytest.mark.parametrize("phase", ["running", "halted", "rolling_back"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("policy", ["resume", "abort", "fail"])
@pytest.mark.parametrize(
    ("state", "version"),
    [("present", "v2"), ("present", "v3"), ("present", "v1"), ("rolled_back", ""), ("aborted", "")],
)
def test_every_phase_policy_and_wish(phase, operation, policy, state, version):
    one = baking(phase, operation)
    decision = decide(seen(one), wish(version, state=state, on_unfinished=policy), target())
    assert decision.kind == expected(phase, operation, policy, state, version)
    assert one.id in decision.reason
    if decision.kind == "resume":
        assert decision.steps == one.steps[one.cursor :]
        assert decision.steps[0].name == ("route" if phase == "rolling_back" else "bake")
    elif decision.kind == "take_back":
        assert decision.steps == take_back(one, target())
    else:
        assert decision.steps == []
        assert "state=aborted" in decision.next_step
        assert "v2" in decision.next_step


@pytest.mark.parametrize(("phase", "step"), [("running", "7"), ("halted", "7")])
def test_a_resume_says_where_it_goes_on(phase, step):
    assert f"going on from step {step}" in decide(seen(baking(phase)), wish("v2"), target()).reason


WISHES = [("present", "resume"), ("present", "abort"), ("present", "fail"), ("aborted", "resume")]


@pytest.mark.parametrize(("phase", "wanted"), list(product(["running", "halted", "rolling_back"], WISHES)))
@pytest.mark.parametrize("split", [ALL_BLUE, {BLUE: 50, GREEN: 50}, {BLUE: 0, GREEN: 0}])
def test_a_split_that_the_journal_cannot_explain_stops_everything_and_names_its_writer(phase, wanted, split):
    state, policy = wanted
    live = written_by(route(split), "kubectl-edit", {"f:spec": {"f:rules": {}}})
    decision = decide(seen(baking(phase), router=live), wish("v2", state=state, on_unfinished=policy), target())
    assert decision.kind == "refuse"
    assert "(last written by field manager kubectl-edit) where the journal allows green 100 %" in decision.reason
    assert "rollout_info" in decision.next_step


def test_a_public_service_switched_by_hand_is_named_with_its_writer():
    live = written_by(public_service(BLUE), "kubectl-patch", {"f:spec": {"f:selector": {}}})
    decision = decide(seen(baking("running"), router=live), wish("v2"), target("Service"))
    assert (
        "churnguard-service sends blue 100 %, green 0 % (last written by field manager kubectl-patch)"
        in decision.reason
    )


@pytest.mark.parametrize("split", [ALL_BLUE, ALL_GREEN])
def test_while_a_step_moves_traffic_both_sides_are_explained(split):
    one = rollout(blue_green(V2, V1, target(), wish().pace))
    for step in one.steps[:4]:
        codec.enter(one, step, "t")
        codec.leave(one, step, "t")
    codec.enter(one, one.steps[4], "t")
    assert decide(seen(one, split), wish("v2"), target()).kind == "resume"


# -- what taking back consists of ------------------------------------------------------------------------------------


def test_before_traffic_moved_only_the_new_slot_is_scaled_away():
    one = rollout(blue_green(V2, V1, target(), wish().pace))
    steps = take_back(one, target())
    assert [(step.name, step.slot, step.args) for step in steps] == [
        ("retire", GREEN, {"serving": BLUE}),
        ("release_size", BLUE, {}),
    ]


def test_after_traffic_moved_the_old_slot_comes_back_first():
    one = baking("running")
    steps = [(step.name, step.slot) for step in take_back(one, target())]
    assert steps == [
        ("start", BLUE),
        ("ready", BLUE),
        ("route", BLUE),
        ("confirm", BLUE),
        ("drain", GREEN),
        ("retire", GREEN),
        ("release_size", BLUE),
    ]


@pytest.mark.parametrize("moved", [False, True])
def test_a_first_install_has_nowhere_to_go_back_to(moved):
    one = rollout([], candidate=V1, previous=None, traffic_moved=moved)
    assert [(step.name, step.slot, step.args) for step in take_back(one, target())] == [("retire", BLUE, {})]


def test_what_is_broken_by_hand_is_reported_before_what_is_unfinished():
    decision = decide(seen(baking("running"), router=None), wish("v2"), target())
    assert (decision.kind, "does not exist" in decision.reason) == ("refuse", True)
