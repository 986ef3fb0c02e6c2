# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole releases beside autoscalers that would rather shrink: capacity stays, and everything is put back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed, Write
from ansible_collections.churnguard.ops.tests.unit.support.objects import APP, BLUE, GREEN, autoscaler
from ansible_collections.churnguard.ops.tests.unit.support.world import World

HPA = "HorizontalPodAutoscaler"
CANARY = {"strategy": "canary", "pace": {"weights": ((50, 20.0), (100, 5.0))}}


class Scaled(World):
    """v1 runs in blue with 10 replicas, which its load asks for; its manifest says 2, its autoscaler 4 to 20."""

    def __init__(self) -> None:
        super().__init__()
        for slot in (BLUE, GREEN):
            self.cluster.put(autoscaler(slot, 4))
        self.installed()
        self.load(BLUE, 10)
        self.pass_time(30)
        self.cluster.writes.clear()
        self.before = self.autoscalers()
        self.smallest = self.replicas(BLUE)
        self.watching = True
        self.cluster.watchers.append(self._measure)

    def load(self, slot: str, size: int) -> None:
        self.cluster.workloads.load[f"{APP}-{slot}"] = size

    def pass_time(self, seconds: int) -> None:
        for _second in range(seconds):
            self.clock.sleep(1)
            self.cluster.workloads.settle()

    def autoscalers(self) -> list[dict[str, Any]]:
        found = [copy.deepcopy(self.cluster.find(HPA, f"{APP}-{slot}") or {}) for slot in (BLUE, GREEN)]
        for hpa in found:
            for key in ("resourceVersion", "generation"):
                hpa["metadata"].pop(key)
        return found

    def at_step(self, name: str, act: Callable[[], None]) -> None:
        """Do C(act) once, when the journal says that the step begins."""
        todo = [act]

        def watch(write: Write) -> None:
            rollout = self.journal.rollout
            if todo and rollout and any(s.name == name and s.status == "started" for s in rollout.steps):
                todo.pop()()

        self.cluster.watchers.append(watch)

    def _measure(self, write: Write) -> None:
        """The old slot's size, until it is retired or the release is over."""
        rollout = self.journal.rollout
        if rollout is None or any(
            s.name == "retire" and s.slot == BLUE and s.status != "pending" for s in rollout.steps
        ):
            self.watching = False
        if self.watching:
            self.smallest = min(self.smallest, self.replicas(BLUE))


def test_the_old_slot_keeps_its_size_when_the_load_halves_and_the_canary_fails():
    world = Scaled()
    world.at_step("hold", lambda: [world.load(BLUE, 3), world.load(GREEN, 3)])
    outcome = world.run("v2", image="rot", **CANARY)
    assert outcome.verdict == "rolled_back"
    assert (world.smallest, world.replicas(BLUE), world.broken) == (10, 10, [])
    assert world.autoscalers() == world.before
    world.pass_time(30)
    assert world.replicas(BLUE) == 4


def test_the_new_slot_has_the_old_ones_live_size_and_keeps_it():
    world = Scaled()
    sizes: list[int] = []
    world.load(GREEN, 1)
    world.at_step("bake", lambda: sizes.append(world.replicas(GREEN)))
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, sizes, world.smallest, world.broken) == ("passed", [10], 10, [])
    assert world.autoscalers() == world.before
    world.pass_time(30)
    assert world.replicas(GREEN) == 4


def test_an_old_slot_that_grew_during_the_canary_is_matched_before_the_weight_goes_up():
    world = Scaled()
    world.at_step("hold", lambda: world.load(BLUE, 14))
    ready_at: list[tuple[int, int]] = []

    def watch(write: Write) -> None:
        if write.ref.kind == "HTTPRoute":
            ready_at.append((world.split[GREEN], world.cluster.workloads.ready(f"{APP}-{GREEN}")))

    world.cluster.watchers.append(watch)
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, world.broken) == ("passed", [])
    assert ready_at == [(50, 10), (100, 14)]
    assert "grown" in world.events()
    assert world.autoscalers() == world.before


def test_growth_by_its_own_autoscaler_is_no_failure():
    world = Scaled()
    world.at_step("hold", lambda: world.load(GREEN, 16))
    outcome = world.run("v2", **CANARY)
    assert (outcome.verdict, world.broken) == ("passed", [])
    assert world.replicas(GREEN) == 16
    assert world.autoscalers() == world.before


def test_a_hold_undone_by_somebody_else_stops_the_release_with_the_name():
    world = Scaled()

    def undo() -> None:
        world.cluster.edit(HPA, f"{APP}-{BLUE}", lambda hpa: hpa["spec"].update(minReplicas=2))

    world.at_step("hold", undo)
    outcome = world.run("v2", **CANARY)
    assert outcome.failed
    assert f"HorizontalPodAutoscaler {APP}-blue: spec.minReplicas is 2 where the journal allows 10" in outcome.message


def writes_of(**wish: Any) -> int:
    world = Scaled()
    client = world.client()
    world.run("v2", client=client, **wish)
    return client.sent


GOOD, BAD = writes_of(**CANARY), writes_of(image="crash", **CANARY)


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, GOOD + 1))
def test_killed_at_every_write_of_a_release(number, landed):
    """Gone on with and taken back in turns."""
    state = "present" if (number + landed) % 2 else "aborted"
    world = Scaled()
    with pytest.raises(Killed):
        world.run("v2", client=world.client(kill_at=number, landed=landed), **CANARY)
    outcome = world.run("v2", state=state, **CANARY)
    assert not outcome.failed, outcome.message
    assert (world.smallest, world.broken) == (10, [])
    assert world.autoscalers() == world.before
    assert world.journal.rollout is None or world.journal.rollout.autoscalers == []


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, BAD + 1))
def test_killed_at_every_write_of_a_release_that_is_taken_back(number, landed):
    world = Scaled()
    with pytest.raises(Killed):
        world.run("v2", client=world.client(kill_at=number, landed=landed), image="crash", **CANARY)
    world.run("v2", state="aborted", **CANARY)
    assert (world.smallest, world.replicas(GREEN), world.broken) == (10, 0, [])
    assert world.autoscalers() == world.before
