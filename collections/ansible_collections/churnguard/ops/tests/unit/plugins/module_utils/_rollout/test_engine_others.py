# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts while others write, refuse, or take over."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import Lock, LockHeld, LockLost
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    APP,
    BLUE,
    GREEN,
    weighted,
    wish,
)
from ansible_collections.churnguard.ops.tests.unit.support.world import World

V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
WRITES = 20


@pytest.fixture
def world() -> World:
    return World().installed()


def count_writes() -> int:
    world = World().installed()
    client = world.client()
    world.run("v2", client=client)
    return client.sent


def test_the_number_of_writes_is_what_the_cases_below_go_through():
    assert count_writes() == WRITES


# -- answers that get lost, objects that change ----------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_lost_answer_at_any_write_is_survived(world, number):
    assert world.run("v2", client=world.client(lose_at=number)).verdict == "passed"
    assert (world.live, world.broken, world.lock_holder) == (V2_LIVE, [], "")


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_controllers_that_write_just_before_us_are_survived(world, number):
    def touch() -> None:
        for kind, name in (("HTTPRoute", APP), ("Deployment", f"{APP}-blue"), ("Deployment", f"{APP}-green")):
            if world.cluster.find(kind, name):
                world.cluster.edit(kind, name, lambda o: o["metadata"].setdefault("annotations", {}).update(seen="x"))

    assert world.run("v2", client=world.client(before={number: touch})).verdict == "passed"
    assert (world.live, world.broken) == (V2_LIVE, [])
    assert world.cluster.find("HTTPRoute", APP)["metadata"].get("annotations", {"seen": "x"})["seen"] == "x"


@pytest.mark.parametrize(
    ("kind", "name", "verdict"),
    [
        ("HTTPRoute", APP, "rolled_back"),
        ("Deployment", f"{APP}-green", "rolled_back"),
        ("Deployment", f"{APP}-blue", "failed"),
    ],
)
def test_an_object_that_never_stops_changing_ends_the_wait(world, kind, name, verdict):
    client = world.client()
    count = iter(range(10_000))

    def busy() -> None:
        if world.cluster.find(kind, name):
            change = {"seen": str(next(count))}
            world.cluster.edit(kind, name, lambda o: o["metadata"].setdefault("annotations", {}).update(change))

    client.before = dict.fromkeys(range(1, 200), busy)
    outcome = world.run("v2", client=client)
    assert (outcome.verdict, outcome.failed) == (verdict, True)
    assert "kept changing" in outcome.message
    assert world.broken == []


# -- what the server refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "kind"), [("update", "Lease"), ("update", "ConfigMap")])
def test_without_lock_or_journal_nothing_is_touched(world, verb, kind):
    world.cluster.refused[(verb, kind)] = 403
    with pytest.raises(ApiError, match=f"let this user '{verb}'"):
        world.run("v2")
    assert world.written("Deployment", "HTTPRoute") == []
    assert (world.live, world.lock_holder) == (V1_LIVE, "")


@pytest.mark.parametrize(("verb", "kind"), [("create", "Lease"), ("create", "ConfigMap")])
def test_nor_is_it_where_nothing_was_installed(verb, kind):
    world = World()
    world.cluster.refused[(verb, kind)] = 403
    with pytest.raises(ApiError, match=f"let this user '{verb}'"):
        world.run("v1")
    assert world.written("Deployment", "HTTPRoute") == []


@pytest.mark.parametrize(
    ("verb", "kind", "status"),
    [
        ("create", "Deployment", 403),
        ("create", "Deployment", 422),
        ("update", "Deployment", 422),
        ("patch", "HTTPRoute", 403),
    ],
)
def test_a_write_that_is_refused_before_traffic_moves_is_taken_back(world, verb, kind, status):
    world.cluster.refused[(verb, kind)] = status
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert f"Could not {verb} {kind}" in outcome.message
    assert f"answered {status}: " in outcome.message
    assert ".." not in outcome.message
    assert (world.split, world.replicas(BLUE), world.replicas(GREEN)) == (ALL_BLUE, 2, 0)
    assert (world.broken, world.lock_holder) == ([], "")


def test_a_retirement_that_is_refused_stops_with_both_slots_running_and_goes_on_later(world):
    world.cluster.refused[("patch", "Deployment")] = 403
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert "stopped half-way" in outcome.message
    assert (world.split, world.replicas(BLUE), world.journal.rollout.phase) == (ALL_GREEN, 2, "halted")
    world.cluster.refused.clear()
    assert world.run("v2").verdict == "passed"
    assert (world.live, world.broken) == (V2_LIVE, [])


def test_a_rollback_that_cannot_be_cleaned_up_has_moved_the_traffic_all_the_same(world):
    world.cluster.refused[("patch", "Deployment")] = 403
    outcome = world.run("v2", image="rot")
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    again = world.run("v2", image="rot")
    for message in (outcome.message, again.message):
        assert message.count("did not stay well") == message.count("taking it back then failed: ") == 1
    assert (world.split, world.journal.rollout.phase) == (ALL_BLUE, "rolling_back")
    world.cluster.refused.clear()
    assert world.run(state="aborted").failed is False
    assert world.live == V1_LIVE


def test_a_lock_that_cannot_be_given_back_is_said_and_does_not_spoil_the_result(world):
    def forbid(write) -> None:
        if write.ref.kind == "ConfigMap" and world.journal.rollout.phase == "passed":
            world.cluster.refused[("update", "Lease")] = 403

    world.cluster.watchers.append(forbid)
    assert world.run("v2").verdict == "passed"
    assert "the lock was not given back and will expire" in world.recorder.timeline[-1]["detail"]
    assert world.lock_holder


# -- other hands -----------------------------------------------------------------------------------------------------


def weights(split: dict[str, int]):
    return lambda route: route["spec"]["rules"][-1].update(backendRefs=weighted(split))


@pytest.mark.parametrize("split", [ALL_BLUE, {BLUE: 50, GREEN: 50}])
def test_weights_changed_by_hand_during_the_bake_stop_the_rollout_within_a_look(world, split):
    def meddle() -> None:
        world.cluster.edit("HTTPRoute", APP, weights(split))
        seen.append((world.clock.elapsed, len(world.cluster.writes)))

    def once_switched(write) -> None:
        if write.ref.kind == "HTTPRoute" and not seen:
            world.clock.after(10, meddle)

    seen: list[tuple[float, int]] = []
    world.cluster.watchers.append(once_switched)
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert "where the journal allows green 100 %, blue 0 %" in outcome.message
    assert world.clock.elapsed - seen[0][0] <= 1
    after = world.written()[seen[0][1] :]
    assert after == [f"update ConfigMap {APP}-rollout", f"update Lease {APP}-rollout"]
    assert (world.split, world.replicas(BLUE), world.replicas(GREEN)) == (split, 2, 2)


def test_weights_changed_by_hand_before_the_switch_are_not_overwritten(world):
    def before_the_switch(write) -> None:
        if write.ref.kind == "ConfigMap" and world.journal.rollout.cursor == 3 and world.split == ALL_BLUE:
            world.cluster.edit("HTTPRoute", APP, weights({BLUE: 90, GREEN: 10}))

    world.cluster.watchers.append(before_the_switch)
    outcome = world.run("v2")
    assert outcome.verdict == "failed"
    assert world.split == {BLUE: 90, GREEN: 10}
    with pytest.raises(OperationError, match="put the weights to one side"):
        world.run("v2")


def test_the_old_slot_is_not_scaled_away_while_somebody_sends_it_traffic(world):
    def before_retiring(write) -> None:
        if write.ref.kind == "ConfigMap" and world.journal.rollout.cursor == 7 and world.split == ALL_GREEN:
            world.cluster.edit("HTTPRoute", APP, weights({BLUE: 999, GREEN: 1}))

    world.cluster.watchers.append(before_retiring)
    outcome = world.run("v2")
    assert "slot blue is not scaled away, because traffic is blue 99 %, green 1 %" in outcome.message
    assert (world.replicas(BLUE), outcome.verdict) == (2, "failed")


def test_a_router_that_disappears_stops_the_rollout(world):
    def vanish(write) -> None:
        if write.ref.kind == "HTTPRoute" and write.verb == "patch":
            world.cluster.remove("HTTPRoute", APP)

    world.cluster.watchers.append(vanish)
    outcome = world.run("v2")
    assert "HTTPRoute churnguard-api has disappeared" in outcome.message
    assert "Traffic is unknown" in outcome.message
    assert (world.replicas(BLUE), world.replicas(GREEN)) == (2, 2)


@pytest.mark.parametrize("cursor", [3, 7], ids=["before the switch", "after it"])
def test_a_journal_deleted_by_hand_stops_the_rollout_where_it_is_and_the_next_run_adopts(world, cursor):
    writes = []

    def delete(write) -> None:
        if write.ref.kind == "ConfigMap" and world.journal.rollout.cursor == cursor and not writes:
            world.cluster.remove("ConfigMap", f"{APP}-rollout")
            writes.append(len(world.cluster.writes))

    world.cluster.watchers.append(delete)
    with pytest.raises(ApiError, match="Could not update ConfigMap"):
        world.run("v2")
    assert [w.ref.kind for w in world.cluster.writes[writes[0] :]] == ["Lease"]
    assert (world.replicas(BLUE), world.replicas(GREEN), world.lock_holder) == (2, 2, "")
    assert world.run("v2").failed is False
    assert (world.split, world.broken) == (ALL_GREEN, [])


# -- two at once -----------------------------------------------------------------------------------------------------


def engine(world: World, client, process: str) -> Engine:
    """An engine whose process cannot be told to be dead from here."""
    lock: Lock = world.lock(client, process)
    api = RolloutApi(client, world.target)
    steps = Steps(api, lock, world.clock, world.recorder, world.target, Settings(**world.settings))
    return Engine(api, lock, steps, world.clock, world.recorder, world.target)


@pytest.mark.parametrize("number", range(2, WRITES))
def test_a_second_run_is_locked_out_at_any_moment_and_writes_nothing(world, number):
    refused = []

    def second() -> None:
        before = len(world.cluster.writes)
        with pytest.raises(LockHeld, match="runner 2 holds Lease"):
            engine(world, world.client(), "elsewhere/pid:[1]/3/1").run(wish("v3"))
        refused.append(len(world.cluster.writes) - before)

    first = engine(world, world.client(before={number: second}), "elsewhere/pid:[1]/2/1")
    assert first.run(wish("v2")).verdict == "passed"
    assert (refused, world.live) == ([0], V2_LIVE)


# Before write 3 there is nothing in flight that could be aborted.
@pytest.mark.parametrize(
    ("taker", "number"), [("present", n) for n in range(1, WRITES)] + [("aborted", n) for n in range(3, WRITES)]
)
def test_a_run_that_slept_while_another_took_over_does_nothing_more(world, number, taker):
    """The sleeper has read, decided and prepared write C(number); then it stops for three minutes, and another run
    takes the lock and brings the rollout to an end."""
    after = []

    def take_over() -> None:
        world.clock.sleep(180)
        outcome = engine(world, world.client(), "elsewhere/pid:[1]/3/1").run(wish("v2", state=taker))
        assert not outcome.failed
        after.append((world.live, len(world.cluster.writes)))

    sleeper = engine(world, world.client(before={number: take_over}), "elsewhere/pid:[1]/2/1")
    with pytest.raises((LockLost, LockHeld)):
        sleeper.run(wish("v2"))
    (live, writes) = after[0]
    # A create cannot be refused as stale; it is made so that it does no harm.
    assert world.written()[writes:] in ([], [f"create Deployment {APP}-green"])
    assert (world.live, world.broken, world.lock_holder) == (live, [], "")
    assert live == (V1_LIVE if taker == "aborted" else V2_LIVE)
