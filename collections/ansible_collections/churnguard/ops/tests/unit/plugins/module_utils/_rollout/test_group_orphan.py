# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog and a group whose controller has died: all services or none, and nothing past the mark."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.watchdog import Verdict, Watchdog
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, Killed
from ansible_collections.churnguard.ops.tests.unit.support.group_world import GroupWorld

V1, V2 = ("v1", 100, 1, 0), ("v2", 0, 0, 1)
ALL_V1, ALL_V2 = dict.fromkeys("abc", V1), dict.fromkeys("abc", V2)


def died_with(stands: list[str], phase: str = "running", **wish) -> GroupWorld:
    """The first world whose controller died in C(phase), with the services where C(stands) says."""
    for number in range(10, 60):
        world = GroupWorld().installed()
        with pytest.raises(Killed):
            world.run(client=Client(world.cluster, kill_at=number, landed=True), **wish)
        if (world.book.release.phase, world.stands()) == (phase, stands):
            world.clock.sleep(200)
            world.cluster.writes.clear()
            return world
    raise AssertionError(f"no write leaves the release {phase} with {stands}")


def look(world: GroupWorld, check_mode: bool = False) -> list[Verdict]:
    """One look of the watchdog at each service."""
    client = Client(world.cluster)

    def engine_for(target: Target, recorder: Recorder) -> Engine:
        api = RolloutApi(client, target)
        lock = world.lock(api, target)
        steps = Steps(api, lock, world.clock, recorder, target, Settings(**world.settings))
        return Engine(api, lock, steps, world.clock, recorder, target)

    dog = Watchdog(client, world.clock, engine_for, "take_back", 30)
    return [dog.look(target, check_mode) for target in world.targets.values()]


def test_an_orphaned_release_is_taken_back_as_a_whole_the_last_service_first():
    world = died_with(["parked", "parked", "under_way"])
    found = look(world)
    assert [verdict.action for verdict in found] == ["taken_back", "none", "none"]
    assert not any(verdict.failed for verdict in found)
    assert (world.live, world.broken, world.served()[-2:]) == (ALL_V1, [], ["b", "a"])
    # The next run finds that nothing is left of it and begins anew.
    assert world.run().verdict == "passed"
    assert [entry["verdict"] for entry in world.book.history] == ["passed", "rolled_back"]
    assert world.live == ALL_V2


def test_one_whose_services_have_all_proved_themselves_is_finished():
    world = died_with(["done", "parked", "parked"], "finishing")
    assert [verdict.action for verdict in look(world)][-2:] == ["finished", "none"]
    assert (world.live, world.broken) == (ALL_V2, [])
    assert world.run().verdict == "passed"


def test_past_the_mark_nothing_is_touched_and_somebody_is_told():
    world = died_with(["parked", "parked", "under_way"], mark="b")
    found = look(world)
    assert [(verdict.action, verdict.failed) for verdict in found] == [("reported", True)] * 3
    assert "is past b, after which nothing is taken back" in found[0].detail
    assert world.cluster.writes == []


def test_check_mode_writes_nothing():
    world = died_with(["parked", "parked", "under_way"])
    assert look(world, check_mode=True)[0].changed
    assert world.cluster.writes == []


def test_no_service_is_ended_alone_when_the_groups_journal_is_gone():
    world = died_with(["parked", "parked", "under_way"])
    world.cluster.remove("ConfigMap", "shop-group")
    found = look(world)
    assert [verdict.action for verdict in found] == ["reported"] * 3
    assert "belongs to release shop/" in found[0].detail
    assert world.cluster.writes == []
