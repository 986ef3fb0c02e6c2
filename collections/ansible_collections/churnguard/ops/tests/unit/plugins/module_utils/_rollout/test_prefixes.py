# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every prefix of every plan: a rollout is walked through on paper, one journal entry at a time, and at each point,
whether the write of the step in hand has landed or not, what a later run would decide is checked."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import product

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Rollout, Step, Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.plan import Decision, decide
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    BLUE,
    GREEN,
    deployment,
    journal,
    observed,
    release,
    rollout,
    router,
    target,
    wish,
)

SLOTS = (BLUE, GREEN)


@dataclass
class Paper:
    """The world as the steps would leave it, and what an observer would refuse to see."""

    split: dict[str, int]
    size: dict[str, int]
    ready: set[str]

    def do(self, step: Step) -> None:
        """The effect of C(step) once it is complete."""
        if step.name == "start":
            self.size[step.slot] = 2
        elif step.name == "ready":
            assert self.size[step.slot], f"slot {step.slot} would wait for pods that nobody started"
            self.ready.add(step.slot)
        elif step.name == "route":
            for slot, weight in step.args["split"].items():
                assert not weight or slot in self.ready, f"traffic to slot {slot}, which was not checked to be ready"
            self.split = dict(step.args["split"])
        elif step.name == "retire":
            assert not self.split[step.slot] or not step.args, f"slot {step.slot} retired while it serves"
            self.size[step.slot] = 0
            self.ready.discard(step.slot)


@dataclass
class Point:
    """A moment at which the controller may die."""

    name: str
    rollout: Rollout
    paper: Paper

    def decide(self, where: Target, **changes) -> Decision:
        live = {slot: deployment(slot, self._version(slot), size) for slot, size in self.paper.size.items()}
        serving = next(slot for slot, weight in self.paper.split.items() if weight)
        book = journal(stable=self.rollout.previous, rollout=self.rollout)
        seen = observed(book=book, deployments=live, router=router(where.router_kind, serving))
        return decide(seen, wish("v2", **changes), where)

    def _version(self, slot: str) -> str:
        previous = self.rollout.previous
        return previous.version if previous and previous.slot == slot else self.rollout.candidate.version


def walk(one: Rollout, paper: Paper, name: str) -> list[Point]:
    """Every point of a walk through the steps that are left: planned, and around each step's act."""
    points = [Point(f"{name}: planned", copy.deepcopy(one), copy.deepcopy(paper))]
    for step in one.steps[one.cursor :]:
        codec.enter(one, step, "t1")
        points.append(Point(f"{name}: {step.name} entered", copy.deepcopy(one), copy.deepcopy(paper)))
        paper.do(step)
        points.append(Point(f"{name}: {step.name} landed", copy.deepcopy(one), copy.deepcopy(paper)))
        codec.leave(one, step, "t2")
    return points


def forward(stable: str | None, where: Target) -> list[Point]:
    """v2 into the slot beside C(stable), or as a first install into blue."""
    slot = where.other(stable) if stable else BLUE
    old = release(stable, "v1") if stable else None
    candidate = release(slot, "v2")
    paper = Paper({s: 100 if s == (stable or BLUE) else 0 for s in SLOTS}, dict.fromkeys(SLOTS, 0), set())
    if stable:
        paper.size[stable] = 2
    steps = blue_green(candidate, old, where, wish("v2").pace)
    one = rollout(steps, candidate=candidate, previous=old, sides=[dict(paper.split)])
    return walk(one, paper, "forward")


CASES = [
    (where, stable, point)
    for where, stable in product((target(), target("Service")), (BLUE, GREEN, None))
    for point in forward(stable, where)
]
IDS = [f"{where.router_kind}-{stable or 'first'}-{point.name}" for where, stable, point in CASES]
every_prefix = pytest.mark.parametrize(("where", "stable", "point"), CASES, ids=IDS)


def taken_back(point: Point, where: Target, **changes) -> list[Point]:
    """The walk of taking C(point) back, begun as the engine begins it."""
    decision = point.decide(where, **changes)
    assert decision.kind == "take_back"
    one, paper = copy.deepcopy(point.rollout), copy.deepcopy(point.paper)
    paper.ready.clear()  # nothing that was seen before the controller died counts
    codec.give_up(one, "why", decision.steps)
    return walk(one, paper, "back")


@every_prefix
def test_the_journal_explains_the_split_at_every_point(where, stable, point):
    assert point.paper.split in point.rollout.sides
    if stable:
        for back in taken_back(point, where, state="aborted"):
            assert back.paper.split in back.rollout.sides, back.name


@every_prefix
def test_a_resume_goes_on_with_the_step_that_was_not_done_and_ends_right(where, stable, point):
    decision = point.decide(where)
    assert decision.kind == "resume"
    assert [step.name for step in decision.steps] == [s.name for s in point.rollout.steps if s.status != "done"]
    paper = copy.deepcopy(point.paper)
    done = {(s.name, s.slot) for s in point.rollout.steps if s.status == "done"}
    if ("ready", point.rollout.candidate.slot) not in done:
        paper.ready.clear()
    walk(copy.deepcopy(point.rollout), paper, "resumed")
    new = point.rollout.candidate.slot
    assert paper.split == {new: 100, where.other(new): 0}
    assert paper.size == {new: 2, where.other(new): 0}


@every_prefix
@pytest.mark.parametrize("wanted", [{"state": "aborted"}, {"on_unfinished": "abort"}], ids=["aborted", "abort"])
def test_an_abort_ends_on_the_old_slot(where, stable, point, wanted):
    end = taken_back(point, where, **wanted)[-1].paper
    if stable:
        assert end.split == {stable: 100, where.other(stable): 0}
        assert end.size == {stable: 2, where.other(stable): 0}
    else:
        assert end.size == {BLUE: 0, GREEN: 0}


@every_prefix
def test_an_abort_never_waits_for_the_new_slot(where, stable, point):
    for step in taken_back(point, where, state="aborted")[0].rollout.steps:
        assert step.name not in {"start", "ready", "smoke", "bake"} or step.slot == stable


@every_prefix
@pytest.mark.parametrize(
    "wanted", [{}, {"state": "aborted"}, {"on_unfinished": "abort"}], ids=["same", "aborted", "abort"]
)
def test_an_abort_that_was_cut_off_is_finished_from_every_point(where, stable, point, wanted):
    for back in taken_back(point, where, state="aborted"):
        decision = back.decide(where, **wanted)
        assert decision.kind == "resume", back.name
        assert [s.name for s in decision.steps] == [s.name for s in back.rollout.steps if s.status != "done"]
        end = walk(copy.deepcopy(back.rollout), copy.deepcopy(back.paper), "resumed")[-1].paper
        if stable:
            assert (end.split[stable], end.size[stable], end.size[where.other(stable)]) == (100, 2, 0)
