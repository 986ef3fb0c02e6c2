# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canary and rolling on the engine: what they do, and that their controller may die at every single write."""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Gate
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, APP, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.world import World

PACE = {"weights": ((10, 20.0), (50, 20.0), (100, 5.0))}
CANARY = {"strategy": "canary", "pace": PACE}
ROLLING = {"strategy": "rolling"}
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
V2_IN_PLACE = ("v2", ALL_BLUE, {BLUE: 2, GREEN: 0})
LIVE = {"canary": V2_LIVE, "rolling": V2_IN_PLACE}
WISHES = {"canary": CANARY, "rolling": ROLLING}


@pytest.fixture
def world() -> World:
    return World().installed()


def shares(world: World) -> list[int]:
    """The new slot's weights as they were written."""
    events = [entry for entry in world.recorder.timeline if entry["event"] == "weights"]
    return [entry["data"]["weights"][GREEN] for entry in events]


# -- canary ----------------------------------------------------------------------------------------------------------


def test_a_canary_rises_by_its_weights_and_retires_the_old_slot(world):
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, world.live, world.broken) == ("passed", V2_LIVE, [])
    assert shares(world) == [10, 50, 100]
    assert outcome.message == "v2 is live in slot green; v1 in slot blue is retired."


def test_a_canary_that_falls_at_half_the_traffic_is_taken_back(world):
    outcome = world.run("v2", image="rot", **CANARY)
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert (world.live, world.broken) == (V1_LIVE, [])
    assert "CrashLoopBackOff" in outcome.message
    assert shares(world)[-1] == 0
    assert max(shares(world)) < 100


def test_a_weight_changed_by_hand_while_it_is_held_stops_the_canary_and_names_the_hand(world):
    def meddle() -> None:
        def change(route) -> None:
            route["spec"]["rules"][-1]["backendRefs"][0]["weight"] = 30
            route["metadata"]["managedFields"] = [
                {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:rules": {}}}}
            ]

        world.cluster.edit("HTTPRoute", APP, change)

    world.clock.after(12, meddle)
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, world.journal.rollout.phase) == ("failed", "halted")
    assert "field manager kubectl-edit" in outcome.message


def test_a_weight_changed_by_hand_may_be_answered_by_taking_back(world):
    world.settings["on_drift"] = "rollback"
    world.clock.after(
        12,
        lambda: world.cluster.edit(
            "HTTPRoute", APP, lambda r: r["spec"]["rules"][-1]["backendRefs"][0].update(weight=30)
        ),
    )
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])


def test_replicas_changed_by_hand_are_found(world):
    world.clock.after(
        12, lambda: world.cluster.edit("Deployment", f"{APP}-blue", lambda d: d["spec"].update(replicas=1))
    )
    outcome = world.run("v2", **CANARY)
    assert outcome.verdict == "failed"
    assert "Deployment churnguard-api-blue: spec.replicas is 1 where the journal allows 2" in outcome.message


def test_a_failure_may_freeze_instead(world):
    outcome = world.run("v2", image="rot", on_failure="halt", **CANARY)
    assert (outcome.verdict, world.journal.rollout.phase) == ("failed", "halted")
    assert "stopped half-way" in outcome.message
    assert world.run(state="aborted").verdict == "aborted"
    assert world.live == V1_LIVE


def test_the_old_slot_may_stay_warm_and_comes_back_without_a_pod_starting(world):
    assert world.run("v2", strategy="canary", pace={**PACE, "retire": False}).verdict == "passed"
    assert world.replicas(BLUE) == 2
    begin = world.clock.elapsed
    world.cluster.writes.clear()
    assert world.run(state="rolled_back", pace={"retire": False}).verdict == "passed"
    moved = next(entry for entry in world.recorder.timeline if entry["event"] == "weights")
    assert (world.split, world.broken) == (ALL_BLUE, [])
    assert moved["at"] <= f"2026-11-21T19:0{int(begin + 5) // 60}:{(begin + 5) % 60:06.3f}Z"


# -- gates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_timeout", "verdict", "phase"), [("rollback", "rolled_back", "rolled_back"), ("halt", "failed", "halted")]
)
def test_a_gate_that_nobody_answers_ends_by_policy(world, on_timeout, verdict, phase):
    gates = (Gate("50", 40.0, on_timeout),)
    outcome = world.run("v2", strategy="canary", pace={**PACE, "gates": gates})
    assert (outcome.verdict, world.journal.rollout.phase) == (verdict, phase)
    assert "nobody approved within 40 s" in outcome.message
    assert shares(world)[0] == 10
    assert 50 not in shares(world)


def test_check_mode_prints_every_step_of_a_canary_and_writes_nothing(world):
    outcome = world.run("v2", check_mode=True, **CANARY)
    assert world.cluster.writes == []
    assert "route green at 10 %, confirm green at 10 %, hold green at 10 %, route green at 50 %" in outcome.message


# -- rolling ---------------------------------------------------------------------------------------------------------


def test_a_rolling_update_changes_the_serving_slot_in_place(world):
    outcome = world.run("v2", **ROLLING)
    assert (outcome.verdict, world.live, world.broken) == ("passed", V2_IN_PLACE, [])
    assert outcome.message == "v2 is live in slot blue; it has replaced v1 there."
    strategy = world.cluster.find("Deployment", f"{APP}-blue")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert world.written("HTTPRoute") == []


@pytest.mark.parametrize("image", ["crash", "never", "rot"])
def test_a_rolling_update_that_fails_is_undone_to_the_recorded_template(world, image):
    before = world.cluster.find("Deployment", f"{APP}-blue")
    world.cluster.edit(
        "Deployment", f"{APP}-blue", lambda d: d["metadata"].setdefault("annotations", {}).update(team="a")
    )
    outcome = world.run("v2", image=image, **ROLLING)
    after = world.cluster.find("Deployment", f"{APP}-blue")
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["metadata"]["annotations"] == {**before["metadata"]["annotations"], "team": "a"}


def test_a_rolling_update_keeps_the_size_that_an_autoscaler_gave(world):
    world.cluster.edit("Deployment", f"{APP}-blue", lambda d: d["spec"].update(replicas=5))
    assert world.run("v2", **ROLLING).verdict == "passed"
    assert world.replicas(BLUE) == 5


def test_after_a_rolling_update_the_version_before_comes_back_in_the_other_slot(world):
    world.run("v2", **ROLLING)
    outcome = world.run(state="rolled_back")
    assert (outcome.verdict, world.live) == ("passed", ("v1", ALL_GREEN, {BLUE: 0, GREEN: 2}))


# -- death at every write --------------------------------------------------------------------------------------------


def count_writes(strategy: str, image: str) -> int:
    world = World().installed()
    client = world.client()
    world.run("v2", client=client, image=image, **WISHES[strategy])
    return client.sent


POINTS = [
    (strategy, image, number, landed)
    for strategy, image in product(WISHES, ("ok", "rot"))
    for number in range(1, count_writes(strategy, image) + 1)
    for landed in (False, True)
]
every_death = pytest.mark.parametrize(
    ("strategy", "image", "number", "landed"),
    POINTS,
    ids=[f"{s}-{i}-write {n} {'landed' if landed else 'lost'}" for s, i, n, landed in POINTS],
)


def killed(strategy: str, image: str, number: int, landed: bool) -> World:
    world = World().installed()
    with pytest.raises(Killed):
        world.run("v2", client=world.client(kill_at=number, landed=landed), image=image, **WISHES[strategy])
    rollout = world.journal.rollout
    assert not rollout.unfinished or world.split in rollout.sides
    return world


@every_death
def test_running_it_again_ends_as_an_unbroken_run_does(strategy, image, number, landed):
    world = killed(strategy, image, number, landed)
    outcome = world.run("v2", image=image, **WISHES[strategy])
    assert (world.live, world.broken) == (LIVE[strategy] if image == "ok" else V1_LIVE, [])
    assert outcome.failed == (image == "rot")
    world.cluster.writes.clear()
    if image == "ok":
        assert not world.run("v2", **WISHES[strategy]).changed
        assert not world.cluster.writes


@every_death
def test_aborting_it_ends_on_the_old_version_unless_it_was_over(strategy, image, number, landed):
    world = killed(strategy, image, number, landed)
    over = world.journal.stable.version == "v2"
    outcome = world.run(state="aborted")
    assert outcome.failed is False
    assert (world.live, world.broken) == (LIVE[strategy] if over else V1_LIVE, [])
    world.cluster.writes.clear()
    assert not world.run(state="aborted").changed
    assert not world.cluster.writes
