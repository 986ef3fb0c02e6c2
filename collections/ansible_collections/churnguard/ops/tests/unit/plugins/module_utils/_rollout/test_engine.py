# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole rollouts against a fake API server, in no time. Nothing interferes here; see test_engine_killed.py and
test_engine_others.py."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    APP,
    BLUE,
    GREEN,
    autoscaler,
    deployment,
    manifest,
)
from ansible_collections.churnguard.ops.tests.unit.support.world import World

KINDS = pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
BIRTH = ["create Deployment churnguard-api-green", "update Deployment churnguard-api-green"]


@pytest.fixture
def world() -> World:
    return World().installed()


def measured(world: World) -> dict[str, str]:
    return {entry["name"]: entry["verdict"] for entry in world.recorder.measurements}


def pods(world: World, slot: str) -> set[str]:
    return {key[2] for key in world.cluster.objects if key[0] == "Pod" and key[2].startswith(f"{APP}-{slot}")}


# -- success ---------------------------------------------------------------------------------------------------------


@KINDS
def test_a_first_install(kind):
    world = World(kind)
    outcome = world.run("v1")
    assert (outcome.verdict, outcome.changed, outcome.failed) == ("passed", True, False)
    assert outcome.message == "v1 is live in slot blue."
    assert (world.live, world.journal.previous, world.lock_holder) == (V1_LIVE, None, "")


@KINDS
def test_a_version_replaces_another(kind):
    world = World(kind).installed()
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.changed, outcome.failed) == ("passed", True, False)
    assert outcome.message == "v2 is live in slot green; v1 in slot blue is retired."
    assert (world.live, world.broken, world.lock_holder) == (V2_LIVE, [], "")
    assert world.journal.previous.version == "v1"
    router = "patch HTTPRoute churnguard-api" if kind == "HTTPRoute" else "patch Service churnguard-service"
    assert world.written("Deployment", kind) == [*BIRTH, router, "patch Deployment churnguard-api-blue"]


def test_what_a_rollout_tells_about_itself(world):
    outcome = world.run("v2")
    assert [step["name"] for step in outcome.steps] == [
        "hold_size",
        "start",
        "ready",
        "smoke",
        "route",
        "confirm",
        "bake",
        "drain",
        "retire",
        "release_size",
    ]
    assert all(step["status"] == "done" and step["started"] <= step["finished"] for step in outcome.steps)
    assert [event for event in world.events() if not event.startswith("step_")] == [
        "locked",
        "planned",
        "ready",
        "weights",
        "bake",
        "drained",
        "retired",
        "completed",
    ]
    assert measured(world) == {
        "ready_green_s": "passed",
        "smoke_tests": "not_checked",
        "confirmed": "not_checked",
        "bake_s": "passed",
        "drain_s": "not_checked",
        "retire_blue_s": "passed",
    }
    assert world.recorder.subject == {
        "app": APP,
        "namespace": "churnguard-test",
        "version": "v2",
        "previous_version": "v1",
        "strategy": "blue_green",
        "slot": GREEN,
    }
    assert outcome.before == {
        "version": "v1",
        "stable_slot": BLUE,
        "weights": ALL_BLUE,
        "replicas": {BLUE: 2, GREEN: None},
    }
    assert outcome.after == {
        "version": "v2",
        "stable_slot": GREEN,
        "weights": ALL_GREEN,
        "replicas": {BLUE: 0, GREEN: 2},
    }


def test_a_silence_that_nothing_was_asked_about_says_so(world):
    world.run("v2")
    drained = next(entry for entry in world.recorder.timeline if entry["event"] == "drained")
    assert "neither an endpoint nor a prometheus_url" in drained["detail"]


def test_the_old_slot_stays_warm_for_the_grace_period(world):
    world.run("v2", bake_seconds=300.0)
    at = {entry["event"]: entry["at"] for entry in world.recorder.timeline if entry["event"] in ("weights", "retired")}
    moved, retired = (int(at[name][14:16]) * 60 + float(at[name][17:23]) for name in ("weights", "retired"))
    assert retired - moved >= 300


def test_a_second_run_writes_nothing_and_changes_nothing(world):
    world.run("v2")
    world.cluster.writes.clear()
    outcome = world.run("v2")
    assert (outcome.changed, outcome.failed, outcome.steps) == (False, False, [])
    assert outcome.message == "v2 is already live in slot green; nothing to do."
    assert world.cluster.writes == []
    assert outcome.before == outcome.after


def test_version_after_version_goes_back_and_forth_between_the_slots(world):
    for number in range(2, 6):
        world.run(f"v{number}")
        assert world.journal.stable.slot == (GREEN if number % 2 == 0 else BLUE)
        assert not world.broken
    assert [entry["version"] for entry in world.journal.history] == ["v5", "v4", "v3", "v2", "v1"]


def test_a_rollback_after_the_rollout_needs_no_manifest(world):
    world.run("v2")
    outcome = world.run(state="rolled_back")
    assert (outcome.verdict, outcome.failed, world.live) == ("passed", False, V1_LIVE)
    assert world.journal.history[0]["operation"] == "rollback"
    assert world.broken == []


def test_the_new_slot_grows_to_what_an_autoscaler_made_of_the_old_one(world):
    world.cluster.edit("Deployment", f"{APP}-blue", lambda d: d["spec"].update(replicas=5))
    world.run("v2")
    assert world.replicas(GREEN) == 5


def test_an_application_without_a_journal_is_adopted(world):
    world.cluster.remove("ConfigMap", f"{APP}-rollout")
    assert world.run("v2").failed is False
    assert (world.live, world.journal.previous.version, world.broken) == (V2_LIVE, "v1", [])


def test_pods_that_an_autoscaler_adds_at_the_end_of_the_bake_are_no_failure(world):
    world.cluster.put(autoscaler(GREEN))

    def grow() -> None:
        world.cluster.edit("Deployment", f"{APP}-green", lambda d: d["spec"].update(replicas=6))

    def once_switched(write) -> None:
        if write.ref.kind == "HTTPRoute":
            world.clock.after(31, grow)  # the confirmation takes the first second

    world.cluster.watchers.append(once_switched)
    outcome = world.run("v2", bake_seconds=30.0)
    assert (outcome.verdict, world.replicas(GREEN)) == ("passed", 6)
    bake = next(entry for entry in world.recorder.measurements if entry["name"] == "bake_s")
    assert bake["value"] == 30


# -- failure ---------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    ("image", "text", "limit"),
    [("crash", "no such table: plans", 20), ("never", "was not ready within 60 s: 0/2 ready; pod", 80)],
)
def test_a_version_that_never_becomes_ready_never_gets_traffic(kind, image, text, limit):
    world = World(kind).installed()
    before = pods(world, BLUE)
    outcome = world.run("v2", image=image)
    assert (outcome.verdict, outcome.failed, outcome.changed) == ("rolled_back", True, True)
    assert text in outcome.message
    assert "Slot blue with v1 kept all traffic; slot green is scaled away" in outcome.message
    assert world.written(kind) == []
    assert (world.live, pods(world, BLUE), pods(world, GREEN), world.lock_holder) == (V1_LIVE, before, set(), "")
    assert world.clock.elapsed < limit
    assert measured(world)["ready_green_s"] == "failed"


@KINDS
def test_a_version_that_fails_in_its_bake_loses_its_traffic_at_once(kind):
    world = World(kind).installed()
    before = pods(world, BLUE)
    outcome = world.run("v2", image="rot")
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert "did not stay well" in outcome.message
    assert "no such table: plans" in outcome.message
    assert "Slot blue with v1 serves all traffic again; slot green is scaled away" in outcome.message
    assert (world.live, pods(world, BLUE), world.broken, world.lock_holder) == (V1_LIVE, before, [], "")
    back = [entry for entry in world.recorder.timeline if entry["event"] in ("rollback_started", "weights")]
    assert [entry["event"] for entry in back] == ["weights", "rollback_started", "weights"]
    assert back[1]["at"][:19] == back[2]["at"][:19]
    entry = world.journal.history[0]
    assert (entry["verdict"], entry["version"], entry["slot"]) == ("rolled_back", "v2", GREEN)


def event(kind: str, about: str, reason: str, at: str) -> dict:
    return {
        "kind": "Event",
        "metadata": {"name": reason, "namespace": "churnguard-test"},
        "type": kind,
        "involvedObject": {"kind": "Pod", "name": about},
        "reason": reason,
        "message": f"{reason} it was",
        "lastTimestamp": at,
    }


@pytest.mark.parametrize("allowed", [True, False])
def test_the_clusters_newest_warning_about_the_slots_pods_is_told_to_who_may_read_it(world, allowed):
    for kind, about, reason, at in (
        ("Warning", f"{APP}-green-3", "Unhealthy", "2026-11-21T19:00:20Z"),
        ("Warning", f"{APP}-green-4", "BackOff", "2026-11-21T19:00:10Z"),
        ("Warning", f"{APP}-blue-1", "Evicted", "2026-11-21T19:00:30Z"),
        ("Normal", f"{APP}-green-4", "Scheduled", "2026-11-21T19:00:30Z"),
    ):
        world.cluster.put(event(kind, about, reason, at))
    if not allowed:
        world.cluster.refused[("list", "Event")] = 403
    outcome = world.run("v2", image="never")
    assert outcome.verdict == "rolled_back"
    assert ("; the newest warning says Unhealthy: Unhealthy it was. Slot blue" in outcome.message) == allowed
    assert not any(word in outcome.message for word in ("BackOff", "Evicted", "Scheduled"))


def test_a_first_install_that_fails_is_scaled_away_and_can_be_tried_again():
    world = World()
    outcome = world.run("v1", image="crash")
    assert (outcome.verdict, world.journal.stable, world.replicas(BLUE)) == ("rolled_back", None, 0)
    assert world.run("v1").verdict == "passed"


def test_a_slot_is_used_again_after_a_failure_without_falling_for_what_failed_before(world):
    world.run("v2", image="crash")
    assert world.run("v3").verdict == "passed"
    assert world.live == ("v3", ALL_GREEN, {BLUE: 0, GREEN: 2})


def test_a_deadline_missed_by_the_same_release_before_does_not_fail_its_next_try(world):
    """The Deployment keeps its old condition until the pods make progress."""
    wanted = manifest("v2", image="never")
    wanted["spec"]["progressDeadlineSeconds"] = 10
    refused = world.run("v2", image="never", deployment=wanted)
    assert "ProgressDeadlineExceeded: has timed out progressing; pod churnguard-api-green" in refused.message
    assert (refused.verdict, world.live) == ("rolled_back", V1_LIVE)
    assert world.cluster.find("Deployment", f"{APP}-green")["status"]["conditions"]
    world.cluster.workloads.cured.add("never")
    assert world.run("v2", image="never", deployment=wanted).verdict == "passed"


def test_a_new_slot_scaled_away_by_hand_during_the_bake_is_taken_back(world):
    def scale_away(write) -> None:
        if write.ref.kind == "HTTPRoute" and world.split == ALL_GREEN:
            world.cluster.edit("Deployment", f"{APP}-green", lambda d: d["spec"].update(replicas=0))

    world.cluster.watchers.append(scale_away)
    outcome = world.run("v2")
    assert "churnguard-api-green is scaled to 0" in outcome.message
    assert (outcome.verdict, world.live) == ("rolled_back", V1_LIVE)


# -- half-way --------------------------------------------------------------------------------------------------------


def test_old_pods_that_do_not_end_stop_the_rollout_and_it_goes_on_when_they_have():
    world = World()
    world.run("v1", image="stall")
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed, outcome.changed) == ("failed", True, True)
    assert "stopped half-way: pods of slot blue have not ended within 60 s: 2 still ending" in outcome.message
    assert "Traffic is green 100 %, blue 0 %" in outcome.message
    assert (world.journal.rollout.phase, world.lock_holder) == ("halted", "")
    world.cluster.workloads.end_all()
    assert world.run("v2").verdict == "passed"
    assert (world.live, world.journal.history[0]["reason"]) == (V2_LIVE, "")


@pytest.mark.parametrize("damage", ["delete", "replace"])
def test_traffic_is_not_sent_back_to_a_slot_that_no_longer_holds_the_old_version(world, damage):
    def destroy(write) -> None:
        if write.ref.kind != "ConfigMap" or world.journal.rollout.phase != "rolling_back":
            return
        if damage == "delete":
            world.cluster.remove("Deployment", f"{APP}-blue")
        elif world.cluster.find("Deployment", f"{APP}-blue")["metadata"]["labels"]["version"] != "v9":
            world.cluster.put(deployment(BLUE, "v9"))

    world.cluster.watchers.append(destroy)
    outcome = world.run("v2", image="rot")
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert ("is gone" if damage == "delete" else "no longer holds v1") in outcome.message
    assert (world.split, world.replicas(GREEN)) == (ALL_GREEN, 2)
    assert world.journal.rollout.phase == "rolling_back"


# -- an earlier rollout that did not end -----------------------------------------------------------------------------


@pytest.fixture
def halted(world) -> World:
    """v2 has all traffic, and the rollout has stopped before v1 was retired."""
    drain_timeout, world.settings["drain_timeout"] = world.settings["drain_timeout"], 0
    assert world.run("v2").verdict == "failed"
    world.settings["drain_timeout"] = drain_timeout
    return world


def test_another_version_is_refused_and_told_what_to_do(halted):
    halted.cluster.writes.clear()
    with pytest.raises(
        OperationError, match="run version v2 again to finish it, take it back with playbooks/rollback.yml"
    ):
        halted.run("v3")
    assert halted.cluster.writes == []


def test_it_can_be_taken_back_instead(halted):
    outcome = halted.run(state="aborted")
    assert (outcome.verdict, outcome.failed, halted.live, halted.broken) == ("aborted", False, V1_LIVE, [])
    assert "v2 was aborted: taken back on request" in outcome.message


def test_another_version_can_take_it_back_first_and_then_go_its_own_way(halted):
    outcome = halted.run("v3", on_unfinished="abort")
    assert (outcome.verdict, outcome.changed) == ("passed", True)
    assert (halted.live, halted.broken) == (("v3", ALL_GREEN, {BLUE: 0, GREEN: 2}), [])
    assert [entry["verdict"] for entry in halted.journal.history] == ["passed", "aborted", "passed"]


def test_taking_it_back_is_a_change_even_if_the_wish_was_live_before(halted):
    outcome = halted.run("v1", on_unfinished="abort")
    assert (outcome.verdict, outcome.changed, outcome.failed, halted.live) == ("passed", True, False, V1_LIVE)


# -- check mode ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"version": "v2"}, {"version": "v1"}, {"state": "aborted"}], ids=str)
def test_check_mode_writes_nothing(world, wanted):
    outcome = world.run(check_mode=True, **wanted)
    assert (world.cluster.writes, world.lock_holder, outcome.failed) == ([], "", False)
    assert outcome.changed == (wanted.get("version") == "v2")


def test_check_mode_writes_nothing_about_a_rollout_that_did_not_end(halted):
    halted.cluster.writes.clear()
    outcomes = [
        halted.run("v2", check_mode=True),
        halted.run("v3", check_mode=True, on_unfinished="abort"),
        halted.run(state="aborted", check_mode=True),
    ]
    assert halted.cluster.writes == []
    assert [[step["name"] for step in outcome.steps][0] for outcome in outcomes] == ["drain", "start", "start"]
    assert all(outcome.changed for outcome in outcomes)


def test_check_mode_foretells_the_steps_and_the_difference(world):
    foretold = world.run("v2", check_mode=True)
    begin = "Would run: v2 into slot green, replacing v1 in blue: hold_size blue, start green, ready green"
    assert foretold.message.startswith(begin)
    done = world.run("v2")
    assert [(s["name"], s["slot"]) for s in foretold.steps] == [(s["name"], s["slot"]) for s in done.steps]
    assert (foretold.before, foretold.after) == (done.before, done.after)


def test_check_mode_refuses_what_a_run_would_refuse(world):
    world.cluster.remove("Service", f"{APP}-green")
    with pytest.raises(OperationError, match="of slot green does not exist"):
        world.run("v2", check_mode=True)
