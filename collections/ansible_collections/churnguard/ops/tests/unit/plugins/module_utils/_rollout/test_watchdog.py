# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog at every point at which a controller can die."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import orphan, watchdog
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.watchdog import Verdict, Watchdog
from ansible_collections.churnguard.ops.tests.unit.support.clock import START
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    APP,
    BLUE,
    GREEN,
    NAMESPACE,
)
from ansible_collections.churnguard.ops.tests.unit.support.world import World

V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
LEASE_SECONDS = 60


def died_in(step: str, image: str = "ok", phase: str = "running") -> World:
    """v1 was live, v2 was being shipped, and the controller died in C(step) of the way out (or back)."""
    for number in range(1, 60):
        world = World().installed()
        try:
            world.run("v2", client=world.client(kill_at=number, landed=True), image=image)
        except Killed:
            rollout = world.journal.rollout
            if rollout.phase == phase and rollout.steps[rollout.cursor].name == step:
                return world
    raise AssertionError(f"no write leaves the rollout in {step}")


def look(world: World, after: float = 30.0, policy: str = "take_back", check_mode: bool = False) -> Verdict:
    client = world.client()

    def engine_for(target: Target, recorder: Recorder) -> Engine:
        api, lock = RolloutApi(client, target), world.lock(client)
        steps = Steps(api, lock, world.clock, recorder, target, Settings(**world.settings))
        return Engine(api, lock, steps, world.clock, recorder, target)

    return Watchdog(client, world.clock, engine_for, policy, after).look(world.target, check_mode)


def pass_by(world: World, beyond_the_lease: float) -> World:
    """Let time go by until so many seconds after the end of the dead runner's lock."""
    renewed = parse_time(world.cluster.find("Lease", f"{APP}-rollout")["spec"]["renewTime"])
    ends = (renewed - world.clock.now()).total_seconds() + LEASE_SECONDS
    world.clock.sleep(ends + beyond_the_lease)
    world.cluster.writes.clear()
    return world


@pytest.mark.parametrize("step", ["start", "ready", "smoke", "route", "confirm", "bake"])
def test_an_orphan_is_taken_back_from_wherever_it_was(step):
    world = pass_by(died_in(step), 31)
    verdict = look(world)
    assert (verdict.state, verdict.action, verdict.changed, verdict.failed) == ("orphaned", "taken_back", True, False)
    assert (world.live, world.broken, world.lock_holder) == (V1_LIVE, [], "")
    assert world.journal.rollout.phase == "aborted"
    assert verdict.envelope["verdict"] == "aborted"
    assert verdict.envelope["timeline"][0]["event"] == "orphaned"
    assert "runner 2 ran out 3" in verdict.detail


@pytest.mark.parametrize("step", ["drain", "retire", "release_size"])
def test_with_nothing_left_but_the_retirement_it_is_finished(step):
    world = pass_by(died_in(step), 31)
    verdict = look(world)
    assert (verdict.action, verdict.changed, verdict.failed) == ("finished", True, False)
    assert (world.live, world.broken, world.journal.rollout.phase) == (V2_LIVE, [], "passed")


@pytest.mark.parametrize("step", ["start", "route", "drain", "retire"])
def test_a_way_back_that_was_cut_off_is_finished(step):
    world = pass_by(died_in(step, image="rot", phase="rolling_back"), 31)
    verdict = look(world)
    assert (verdict.action, verdict.failed) == ("taken_back", False)
    assert (world.live, world.broken) == (V1_LIVE, [])


@pytest.mark.parametrize(("beyond", "acts"), [(-1, False), (1, False), (29, False), (31, True)])
def test_it_waits_for_the_lease_and_then_a_little_longer(beyond, acts):
    world = pass_by(died_in("bake"), beyond)
    verdict = look(world)
    assert verdict.changed == acts == bool(world.cluster.writes)
    assert verdict.state == ("orphaned" if acts else "healthy" if beyond < 0 else "silent")


def test_a_second_look_changes_nothing():
    world = pass_by(died_in("bake"), 31)
    look(world)
    world.cluster.writes.clear()
    again = look(world)
    assert (again.state, again.changed, again.failed, world.cluster.writes) == ("idle", False, False, [])


def test_nothing_was_ever_shipped():
    verdict = look(World())
    assert (verdict.state, verdict.changed, verdict.failed) == ("idle", False, False)


def test_by_policy_it_only_tells():
    world = pass_by(died_in("bake"), 31)
    verdict = look(world, policy="report")
    assert (verdict.action, verdict.changed, verdict.failed, world.cluster.writes) == ("reported", False, True, [])
    assert "policy=take_back" in verdict.detail


def test_check_mode_says_what_it_would_do():
    world = pass_by(died_in("bake"), 31)
    verdict = look(world, check_mode=True)
    assert (verdict.action, verdict.changed, world.cluster.writes) == ("taken_back", True, [])
    assert "Would run" in verdict.detail
    assert [step["name"] for step in verdict.steps][0] == "start"
    assert (verdict.before["weights"], verdict.after["weights"]) == (ALL_GREEN, ALL_BLUE)


def test_a_lock_that_was_given_back_without_an_end_counts_from_then():
    """The API server was away for too long: the run ended in the middle, and gave the lock back on its way out."""
    world = died_in("bake")
    now = isoformat(world.clock.now())
    world.cluster.edit("Lease", f"{APP}-rollout", lambda o: o["spec"].update(holderIdentity="", renewTime=now))
    world.clock.sleep(29)
    assert look(world).state == "silent"
    world.clock.sleep(2)
    assert (look(world).action, world.live) == ("taken_back", V1_LIVE)


def test_a_lock_that_somebody_deleted_does_not_save_an_orphan():
    world = died_in("bake")
    world.cluster.remove("Lease", f"{APP}-rollout")
    assert (look(world).action, world.live) == ("taken_back", V1_LIVE)


def test_a_lock_made_by_hand_keeps_the_watchdog_out():
    world = pass_by(died_in("bake"), 300)
    world.cluster.edit("Lease", f"{APP}-rollout", lambda o: o.update(spec={"holderIdentity": "freeze for the audit"}))
    verdict = look(world)
    assert (verdict.state, verdict.changed) == ("healthy", False)
    assert "freeze for the audit" in verdict.detail


def test_one_that_stopped_half_way_waits_for_people():
    world = World().installed()
    drifted = {"then": False}

    def drift(write) -> None:
        if write.ref.kind == "HTTPRoute" and world.split == ALL_GREEN and not drifted["then"]:
            drifted["then"] = True
            world.clock.after(5, lambda: world.cluster.edit("HTTPRoute", APP, halve))

    world.cluster.watchers.append(drift)
    assert world.run("v2").verdict == "failed"
    world.clock.sleep(500)
    world.cluster.writes.clear()
    verdict = look(world)
    assert (verdict.state, verdict.changed, verdict.failed, world.cluster.writes) == ("stopped", False, False, [])
    assert "waits for somebody" in verdict.detail


def halve(obj: dict) -> None:
    for backend in obj["spec"]["rules"][-1]["backendRefs"]:
        backend["weight"] = 50


def test_weights_moved_by_other_hands_are_said_and_left():
    world = pass_by(died_in("bake"), 31)
    world.cluster.edit("HTTPRoute", APP, halve)
    verdict = look(world)
    assert (verdict.action, verdict.failed, verdict.changed) == ("gave_up", True, False)
    assert "where the journal allows" in verdict.detail


def of_a_group(world: World) -> World:
    def change(obj: dict) -> None:
        state = json.loads(obj["data"]["state.json"])
        state["rollout"]["group"] = "shop/7"
        obj["data"]["state.json"] = json.dumps(state)

    world.cluster.edit("ConfigMap", f"{APP}-rollout", change)
    return world


@pytest.mark.parametrize("step", ["bake", "drain"])
def test_one_of_a_group_is_reported_and_never_ended_alone(step):
    world = of_a_group(pass_by(died_in(step), 31))
    verdict = look(world)
    assert (verdict.state, verdict.action, verdict.failed, world.cluster.writes) == ("orphaned", "reported", True, [])
    assert "belongs to release shop/7 of several services" in verdict.detail


def test_one_of_a_group_that_waits_for_the_others_is_no_orphan():
    world = of_a_group(pass_by(died_in("drain"), 31))
    world.cluster.edit("Lease", f"{APP}-rollout", lambda o: o["spec"].update(holderIdentity=""))
    verdict = look(world)
    assert (verdict.state, verdict.changed, verdict.failed, world.cluster.writes) == ("grouped", False, False, [])


def test_a_journal_that_cannot_be_read_fails_and_says_so():
    world = World().installed()
    world.cluster.edit("ConfigMap", f"{APP}-rollout", lambda o: o.update(data={"state.json": "{"}))
    verdict = look(world)
    assert (verdict.state, verdict.failed) == ("unreadable", True)
    assert "does not hold a valid one" in verdict.detail


def test_whoever_takes_it_over_at_the_same_moment_is_left_alone():
    world = pass_by(died_in("bake"), 31)
    client = world.client()

    def engine_for(target: Target, recorder: Recorder) -> Engine:
        api, lock = RolloutApi(client, target), world.lock(client)
        other = world.lock(world.client(), process="elsewhere")
        client.before[1] = other.acquire
        return Engine(
            api, lock, Steps(api, lock, world.clock, recorder, target, Settings()), world.clock, recorder, target
        )

    verdict = Watchdog(client, world.clock, engine_for, "take_back", 30).look(world.target)
    assert (verdict.state, verdict.changed, verdict.failed) == ("healthy", False, False)
    assert "has taken it over meanwhile" in verdict.detail


def test_slots_of_other_names_come_from_the_journal():
    world = died_in("bake")
    named = watchdog.with_slots_of(Target(APP, NAMESPACE, ("a", "b"), "HTTPRoute", APP), world.journal)
    assert set(named.slots) == {BLUE, GREEN}
    assert watchdog.with_slots_of(world.target, world.journal) is world.target


def test_applications_are_found_by_their_journals():
    world = World().installed()
    labels = {"app.kubernetes.io/managed-by": "churnguard.ops"}
    for name in (f"{APP}-rollout-control", "other-rollout"):
        world.cluster.put({"kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}})
    world.cluster.put({"kind": "ConfigMap", "metadata": {"name": "alien-rollout", "namespace": NAMESPACE}})
    assert watchdog.applications(world.client(), NAMESPACE) == [APP, "other"]


def test_how_long_nobody_has_had_the_lock():
    renewed = {"holderIdentity": "me", "renewTime": isoformat(START), "leaseDurationSeconds": 60}
    later = START + timedelta(seconds=100)
    assert orphan.keeper_of({"spec": renewed}, later).overdue == 40
    assert orphan.keeper_of({"spec": {**renewed, "holderIdentity": ""}}, later).overdue == 100
    assert orphan.keeper_of(None, later).overdue == math.inf
    assert orphan.keeper_of({"spec": {"holderIdentity": ""}}, later).overdue == math.inf
    assert orphan.keeper_of({"spec": {"holderIdentity": "me"}}, later).alive
