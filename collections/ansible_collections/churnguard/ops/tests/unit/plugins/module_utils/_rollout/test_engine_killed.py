# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller dies at every single write, before the write arrives and after; a later run finishes or takes back.
World checks every write of every run: no traffic to a slot that is not ready, no slot with traffic scaled away."""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Outcome
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, APP, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.world import World

KINDS = ("HTTPRoute", "Service")
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})


def count_writes(kind: str, **wish) -> int:
    """How many writes one unbroken run of v2 makes."""
    world = World(kind).installed()
    client = world.client()
    world.run("v2", client=client, **wish)
    return client.sent


WRITES = {image: count_writes("HTTPRoute", image=image) for image in ("ok", "rot", "crash")}


def deaths(image: str) -> pytest.MarkDecorator:
    points = list(product(KINDS, range(1, WRITES[image] + 1), (False, True)))
    names = [f"{kind}-write {n} {'landed' if landed else 'lost'}" for kind, n, landed in points]
    return pytest.mark.parametrize(("kind", "number", "landed"), points, ids=names)


def killed(kind: str, number: int, landed: bool, image: str) -> World:
    """v1 was live in blue, v2 was being shipped, and its controller died at write C(number)."""
    world = World(kind).installed()
    with pytest.raises(Killed):
        world.run("v2", client=world.client(kill_at=number, landed=landed), image=image)
    return world


def share_is_explained(world: World) -> bool:
    rollout = world.journal.rollout
    return not rollout.unfinished or world.split in rollout.sides


def lock_is_free(world: World, outcome: Outcome) -> bool:
    """Whether the run gave the lock back. One that had nothing to do leaves a dead holder's lease to expire."""
    return not world.lock_holder or not outcome.changed


def settled(world: World, **wish) -> bool:
    """Whether another run finds nothing to do, and writes nothing."""
    world.cluster.writes.clear()
    return not world.run(**wish).changed and not world.cluster.writes


def test_a_rollout_consists_of_so_many_writes_that_this_means_something():
    assert min(WRITES.values()) > 8
    assert WRITES["rot"] > WRITES["ok"] > WRITES["crash"]
    assert count_writes("Service") == WRITES["ok"]


@deaths("ok")
def test_running_it_again_ends_as_an_unbroken_run_does(kind, number, landed):
    world = killed(kind, number, landed, "ok")
    assert share_is_explained(world)
    outcome = world.run("v2")
    assert outcome.failed is False
    assert (world.live, world.broken) == (V2_LIVE, [])
    assert lock_is_free(world, outcome)
    assert [entry["verdict"] for entry in world.journal.history] == ["passed", "passed"]
    assert settled(world, version="v2")


@deaths("ok")
def test_aborting_it_ends_with_all_traffic_on_the_old_version(kind, number, landed):
    world = killed(kind, number, landed, "ok")
    over = world.journal.stable.version == "v2"
    outcome = world.run(state="aborted")
    assert outcome.failed is False
    assert (world.live, world.broken) == (V2_LIVE if over else V1_LIVE, [])
    assert lock_is_free(world, outcome)
    assert settled(world, state="aborted")
    assert settled(world, version=world.journal.stable.version)


@deaths("ok")
def test_another_version_takes_it_back_and_is_shipped(kind, number, landed):
    world = killed(kind, number, landed, "ok")
    over = world.journal.stable.version == "v2"
    assert world.run("v3", on_unfinished="abort").verdict == "passed"
    slot = BLUE if over else GREEN
    assert world.journal.stable.version == "v3"
    assert (world.split[slot], world.replicas(slot), world.replicas(world.target.other(slot))) == (100, 2, 0)
    assert world.broken == []


@pytest.mark.parametrize("wish", [{}, {"state": "aborted"}], ids=["same again", "aborted"])
@deaths("rot")
def test_a_rollback_that_was_cut_off_is_finished(kind, number, landed, wish):
    world = killed(kind, number, landed, "rot")
    assert share_is_explained(world)
    outcome = world.run("v2", image="rot", **wish)
    assert (world.live, world.broken) == (V1_LIVE, [])
    assert lock_is_free(world, outcome)
    assert outcome.failed == (not wish)
    assert not world.journal.rollout.unfinished


@pytest.mark.parametrize("wish", [{}, {"state": "aborted"}], ids=["same again", "aborted"])
@deaths("crash")
def test_a_refused_version_that_was_being_cleaned_up_is_cleaned_up(kind, number, landed, wish):
    world = killed(kind, number, landed, "crash")
    outcome = world.run("v2", image="crash", **wish)
    assert (world.live, world.broken) == (V1_LIVE, [])
    assert lock_is_free(world, outcome)
    assert outcome.failed == (not wish)
    assert not [w for w in world.cluster.writes if w.ref.kind == kind and w.verb == "patch" and _moved(world, w)]


def _moved(world: World, write) -> bool:
    """Whether a write to the router changed where traffic goes; a fence only marks it."""
    return write.before["spec"] != write.after["spec"]


@pytest.mark.parametrize("image", ["ok", "rot"])
def test_dying_again_and_again_does_not_keep_it_from_ending(image):
    world = World().installed()
    for number in range(1, 200):
        try:
            outcome = world.run("v2", client=world.client(kill_at=2 + number // 4, landed=number % 2 == 0), image=image)
        except Killed:
            continue
        break
    assert outcome.verdict == ("passed" if image == "ok" else "rolled_back")
    assert (world.live, world.broken) == (V2_LIVE if image == "ok" else V1_LIVE, [])


def test_a_first_install_survives_death_too():
    for number in range(1, 40):
        world = World()
        try:
            world.run("v1", client=world.client(kill_at=number))
        except Killed:
            assert world.run("v1").verdict == "passed"
            assert world.live == V1_LIVE
            continue
        break
    assert number > 8


@pytest.mark.parametrize("kind", KINDS)
def test_readiness_found_before_the_death_does_not_count_after_it(kind):
    world = World(kind).installed()
    client = world.client()

    def die_at_the_switch(write) -> None:
        if write.ref.kind == "ConfigMap" and world.journal.rollout.cursor == 3:
            client.kill_at = client.sent + 1

    world.cluster.watchers.append(die_at_the_switch)
    with pytest.raises(Killed):
        world.run("v2", client=client)
    assert world.split == ALL_BLUE
    world.cluster.workloads.spoil(f"{APP}-green")
    outcome = world.run("v2")
    assert "no traffic is sent to slot green, which is not ready" in outcome.message
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])


def test_a_run_on_the_same_machine_does_not_wait_for_a_dead_ones_lease():
    world = killed("HTTPRoute", 8, True, "ok")
    before = world.clock.elapsed
    world.run(state="aborted")
    assert world.clock.elapsed - before < 30
