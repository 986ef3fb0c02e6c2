# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller of a group dies at every single write, forward, backward and past the mark; a later run goes on or
takes back. GroupWorld checks every write of every run: no traffic to a slot that is not ready, no slot with traffic
scaled away."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, Killed
from ansible_collections.churnguard.ops.tests.unit.support.group_world import GroupWorld

V1, V2 = ("v1", 100, 1, 0), ("v2", 0, 0, 1)
ALL_V1, ALL_V2 = dict.fromkeys("abc", V1), dict.fromkeys("abc", V2)
V2_IN_PLACE = ("v2", 100, 1, 0)

# a is updated in place, so that both kinds of way back are on every path.
GOOD = {"a": {"strategy": "rolling"}}
BAD = {**GOOD, "c": {"image": "crash"}}
FROZEN = {**BAD, "mark": "b"}
WISHES = {"good": GOOD, "bad": BAD, "frozen": FROZEN}
END = {"a": V2_IN_PLACE, "b": V2, "c": V2}


def wish(kind: str) -> dict:
    return dict(WISHES[kind])


def count_writes(kind: str) -> int:
    """How many writes one unbroken run makes."""
    world = GroupWorld().installed()
    client = Client(world.cluster)
    world.run(client=client, **wish(kind))
    return client.sent


WRITES = {kind: count_writes(kind) for kind in WISHES}


def deaths(kind: str) -> pytest.MarkDecorator:
    points = [(number, landed) for number in range(1, WRITES[kind] + 1) for landed in (False, True)]
    names = [f"write {number} {'landed' if landed else 'lost'}" for number, landed in points]
    return pytest.mark.parametrize(("number", "landed"), points, ids=names)


def killed(kind: str, number: int, landed: bool) -> GroupWorld:
    """v1 was live everywhere, v2 was being shipped, and the controller died at write C(number)."""
    world = GroupWorld().installed()
    with pytest.raises(Killed):
        world.run(client=Client(world.cluster, kill_at=number, landed=landed), **wish(kind))
    return world


def settled(world: GroupWorld, **given) -> bool:
    """Whether another run finds nothing to do, and writes nothing."""
    world.cluster.writes.clear()
    return not world.run(**given).changed and not world.cluster.writes


def test_a_release_consists_of_so_many_writes_that_this_means_something():
    assert min(WRITES.values()) > 30
    assert WRITES["bad"] > WRITES["frozen"]


@deaths("good")
def test_running_it_again_ends_as_an_unbroken_run_does(number, landed):
    world = killed("good", number, landed)
    outcome = world.run(**wish("good"))
    assert (outcome.failed, world.live, world.broken) == (False, END, [])
    assert settled(world, **wish("good"))
    assert not outcome.changed or not world.holders


@deaths("good")
def test_aborting_it_ends_with_everything_on_the_old_versions_or_with_a_release_that_had_ended(number, landed):
    world = killed("good", number, landed)
    over = world.book.release is not None and world.book.release.phase == "passed"
    outcome = world.run(state="aborted")
    assert (outcome.failed, world.broken) == (False, [])
    versions = {name: state[0] for name, state in world.live.items()}
    assert versions == dict.fromkeys("abc", "v2" if over else "v1")
    assert all(state[1] in (0, 100) for state in world.live.values())
    assert settled(world, state="aborted")


@deaths("bad")
def test_a_way_back_that_was_cut_off_is_finished(number, landed):
    world = killed("bad", number, landed)
    outcome = world.run(**wish("bad"))
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert (world.live, world.broken) == (ALL_V1, [])
    assert not world.book.release.unfinished
    assert not world.holders


@deaths("bad")
def test_a_way_back_that_was_cut_off_is_finished_by_aborting(number, landed):
    world = killed("bad", number, landed)
    outcome = world.run(state="aborted")
    assert (outcome.failed and outcome.verdict != "rolled_back", world.live, world.broken) == (False, ALL_V1, [])
    assert settled(world, state="aborted")


@deaths("frozen")
def test_past_the_mark_nothing_is_taken_back_wherever_it_died(number, landed):
    world = killed("frozen", number, landed)
    outcome = world.run(**wish("frozen"))
    assert (outcome.verdict, outcome.failed, world.book.release.phase) == ("failed", True, "frozen")
    assert {name: world.live[name][1] for name in "abc"} == {"a": 100, "b": 0, "c": 100}
    assert (world.broken, world.holders) == ([], {})
    with pytest.raises(OperationError, match="after which nothing is taken back"):
        world.run(state="aborted")


@deaths("frozen")
def test_aborting_takes_back_what_is_before_the_mark_and_nothing_after_it(number, landed):
    world = killed("frozen", number, landed)
    try:
        outcome = world.run(state="aborted")
    except OperationError as error:
        assert "after which nothing is taken back" in str(error)
        assert (world.split("b")["blue"], world.journal("b").rollout.unfinished) == (0, True)
        return
    assert (outcome.failed, world.live, world.broken) == (False, ALL_V1, [])


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_dying_again_and_again_does_not_keep_it_from_ending(kind):
    world = GroupWorld().installed()
    for number in range(1, 400):
        client = Client(world.cluster, kill_at=6 + number // 4, landed=number % 2 == 0)
        try:
            outcome = world.run(client=client, **wish(kind))
        except Killed:
            continue
        break
    assert outcome.verdict == ("passed" if kind == "good" else "rolled_back")
    assert (world.live, world.broken) == (END if kind == "good" else ALL_V1, [])


@pytest.mark.parametrize("landed", [False, True])
def test_a_return_on_request_that_was_cut_off_is_finished(landed):
    for number in range(1, 200):
        world = GroupWorld().installed()
        world.run()
        try:
            world.run(state="rolled_back", client=Client(world.cluster, kill_at=number, landed=landed))
        except Killed:
            assert world.run(state="rolled_back").verdict == "passed"
            assert {name: state[0] for name, state in world.live.items()} == dict.fromkeys("abc", "v1")
            assert world.broken == []
            assert settled(world, state="rolled_back")
            continue
        break
    assert number > 30
