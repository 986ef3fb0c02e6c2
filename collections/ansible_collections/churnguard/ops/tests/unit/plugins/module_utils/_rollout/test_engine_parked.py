# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that stops once its version has proved itself, because others have to, too."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.world import World

OF_GROUP = {"group": "shop/7"}
PARKED = {**OF_GROUP, "park": True}
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
CANARY = {"strategy": "canary", "pace": {"weights": ((50, 5.0), (100, 5.0))}}


@pytest.fixture
def world() -> World:
    return World().installed()


@pytest.mark.parametrize("how", [{}, CANARY, {"pace": {"retire": False}}], ids=["blue-green", "canary", "stays warm"])
def test_it_has_all_traffic_and_the_old_version_is_warm(world, how):
    outcome = world.run("v2", **how, **PARKED)
    assert (outcome.verdict, outcome.changed, outcome.failed) == ("passed", True, False)
    assert world.live == ("v1", ALL_GREEN, {BLUE: 2, GREEN: 2})
    rollout = world.journal.rollout
    assert (rollout.phase, rollout.group) == ("running", "shop/7")
    left = [step.name for step in rollout.steps[rollout.cursor :]]
    assert left[-1] == "release_size" and not {"bake", "hold"} & set(left)
    assert world.events()[-1] == "parked"


def test_it_is_ended_later_without_a_second_bake(world):
    world.run("v2", **PARKED)
    outcome = world.run("v2", **OF_GROUP)
    assert (outcome.verdict, world.live, world.broken) == ("passed", V2_LIVE, [])
    assert "bake" not in world.events()


def test_it_is_taken_back_by_the_usual_way_back(world):
    world.run("v2", **PARKED)
    assert world.run(state="aborted", **OF_GROUP).verdict == "aborted"
    assert (world.live, world.broken) == (V1_LIVE, [])


def test_a_first_install_can_be_parked_and_taken_away_too():
    world = World()
    world.run("v1", **PARKED)
    assert (world.journal.stable, world.journal.rollout.phase) == (None, "running")
    assert world.run(state="aborted", **OF_GROUP).verdict == "aborted"
    assert world.replicas(BLUE) == 0


def test_a_rolling_update_can_be_parked_and_gets_its_template_back(world):
    before = world.cluster.find("Deployment", f"{world.target.name}-blue")["spec"]["template"]
    world.run("v2", strategy="rolling", **PARKED)
    assert world.cluster.find("Deployment", f"{world.target.name}-blue")["spec"]["template"] != before
    assert world.run(state="aborted", **OF_GROUP).verdict == "aborted"
    assert world.cluster.find("Deployment", f"{world.target.name}-blue")["spec"]["template"] == before
    assert (world.live, world.broken) == (V1_LIVE, [])


@pytest.mark.parametrize(
    "wish", [{}, {"version": "v3"}, {"version": "v3", "on_unfinished": "abort"}, {"state": "rolled_back"}]
)
def test_nobody_else_ends_it(world, wish):
    world.run("v2", **PARKED)
    world.cluster.writes.clear()
    with pytest.raises(OperationError, match="belongs to release shop/7 of several services"):
        world.run(**{"version": "v2", **wish})
    assert world.cluster.writes == []


def test_whoever_says_so_takes_one_service_back_alone(world):
    world.run("v2", **PARKED)
    assert world.run(state="aborted").verdict == "aborted"
    assert world.live == V1_LIVE


def test_a_rollout_of_its_own_does_not_become_part_of_a_group(world):
    world.run("v2", image="crash", on_failure="halt")
    with pytest.raises(OperationError, match="does not belong to the group"):
        world.run("v2", image="crash", **PARKED)
    assert world.run("v2", on_unfinished="abort", **PARKED).verdict == "passed"
    assert world.journal.rollout.group == "shop/7"
