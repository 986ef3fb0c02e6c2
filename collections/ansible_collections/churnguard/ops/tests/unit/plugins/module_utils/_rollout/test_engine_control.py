# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask from outside, and what a rollout under way makes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import control
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import Request
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Gate
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.world import World

PACE = {"weights": ((10, 60.0), (50, 60.0), (100, 10.0))}
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
IN_THE_HOLD = 20.0


@pytest.fixture
def world() -> World:
    return World().installed()


def ask(world: World, command: str, full: bool = False, step: int | None = None) -> Callable[[], None]:
    """Somebody's request, to be made at some moment."""

    def now() -> None:
        live = world.cluster.find("ConfigMap", control.name_of(world.target))
        requests = control.read(live)
        rollout = world.journal.rollout
        request = Request(f"r{len(requests)}", command, full, "jo@desk", "t", "because", rollout.id, step)
        world.cluster.put(control.write([*requests, request], world.target))

    return now


def canary(world: World, **changes):
    return world.run("v2", strategy="canary", pace={**PACE, **changes})


def at(world: World, event: str, number: int = 0) -> float:
    """Seconds after the run's begin when the event of that number happened."""
    found = [entry["at"] for entry in world.recorder.timeline if entry["event"] == event]
    minutes, seconds = found[number][14:16], found[number][17:23]
    return int(minutes) * 60 + float(seconds) - world_begin(world)


def world_begin(world: World) -> float:
    first = world.recorder.timeline[0]["at"]
    return int(first[14:16]) * 60 + float(first[17:23])


def effects(world: World) -> list[tuple[str, str]]:
    return [(entry["command"], entry["effect"]) for entry in world.journal.rollout.audit]


def test_an_abort_takes_the_rollout_back_at_the_next_look(world):
    world.clock.after(IN_THE_HOLD, ask(world, "abort"))
    outcome = canary(world)
    assert (outcome.verdict, outcome.failed) == ("aborted", True)
    assert (world.live, world.broken) == (V1_LIVE, [])
    assert "aborted by jo@desk: because" in outcome.message
    assert at(world, "rollback_started") <= IN_THE_HOLD + 2


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_an_abort_is_heard_while_pods_come_up(world, seconds):
    world.cluster.workloads = world.cluster.workloads.__class__(world.cluster, start=30.0)
    world.clock.sleep(60)
    world.clock.after(seconds, ask(world, "abort"))
    outcome = canary(world)
    assert (outcome.verdict, world.live) == ("aborted", V1_LIVE)
    assert at(world, "rollback_started") < 5


def test_an_abort_after_the_new_version_has_proved_itself_comes_too_late(world):
    world.settings["drain_quiet"] = 10
    world.clock.after(170, ask(world, "abort"))
    outcome = canary(world)
    assert (outcome.verdict, world.live) == ("passed", V2_LIVE)
    assert effects(world)[0][1].startswith("too late")


def test_a_way_back_waits_at_no_gate_and_says_how_it_goes(world):
    assert canary(world).verdict == "passed"
    gates = tuple(Gate(before, 500.0, "halt") for before in ("start", "100", "bake", "drain"))
    begin = world.clock.elapsed
    outcome = world.run(state="rolled_back", strategy="canary", pace={**PACE, "gates": gates})
    assert (outcome.verdict, world.live) == ("passed", ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0}))
    assert world.clock.elapsed - begin < 100
    assert world.recorder.subject["strategy"] == "blue_green"


def test_every_answer_is_audited(world):
    world.clock.after(IN_THE_HOLD, ask(world, "abort"))
    canary(world)
    entry = world.journal.rollout.audit[0]
    assert (entry["command"], entry["by"], entry["reason"], entry["weight"]) == ("abort", "jo@desk", "because", 10)
    assert entry["handled_at"].startswith("2026-11-21T19:00:2")
    assert len(entry["evidence"]) == 64


def test_a_pause_holds_the_weight_until_somebody_resumes(world):
    world.clock.after(IN_THE_HOLD, ask(world, "pause"))
    world.clock.after(IN_THE_HOLD + 300, ask(world, "resume"))
    outcome = canary(world)
    assert (outcome.verdict, world.live) == ("passed", V2_LIVE)
    assert at(world, "weights", 1) == pytest.approx(60 + 300 + 3, abs=4)
    assert [command for command, _effect in effects(world)] == ["pause", "resume"]


def test_a_pause_that_nobody_ends_ends_by_itself(world):
    world.settings["pause_timeout"] = 100.0
    world.clock.after(IN_THE_HOLD, ask(world, "pause"))
    outcome = canary(world)
    assert (outcome.verdict, world.live) == ("rolled_back", V1_LIVE)
    assert "paused for 100 s, and nobody resumed it" in outcome.message


def test_a_promotion_ends_the_present_hold_only(world):
    world.clock.after(IN_THE_HOLD, ask(world, "promote"))
    assert canary(world).verdict == "passed"
    assert at(world, "weights", 1) < IN_THE_HOLD + 5
    assert at(world, "weights", 2) > IN_THE_HOLD + 60


def test_a_full_promotion_ends_all_of_them(world):
    world.clock.after(IN_THE_HOLD, ask(world, "promote", full=True))
    assert canary(world).verdict == "passed"
    assert at(world, "completed") < IN_THE_HOLD + 40


def test_an_approval_opens_the_gate(world):
    world.clock.after(100, ask(world, "approve"))
    assert canary(world, gates=(Gate("50", 200.0, "rollback"),)).verdict == "passed"
    assert at(world, "weights", 1) == pytest.approx(100, abs=3)
    assert effects(world) == [("approve", "approval of 50 % given")]


def test_an_approval_where_nothing_waits_does_nothing(world):
    world.clock.after(IN_THE_HOLD, ask(world, "approve"))
    assert canary(world).verdict == "passed"
    assert effects(world) == [("approve", "nothing waits for approval")]
    assert at(world, "weights", 1) > 55


def test_a_promotion_meant_for_an_earlier_step_does_not_end_a_later_one(world):
    world.clock.after(IN_THE_HOLD, ask(world, "promote", step=3))
    assert canary(world).verdict == "passed"
    assert at(world, "weights", 1) > 55
    assert effects(world) == [("promote", "too late: the step it was made for is over")]


def test_a_retry_begins_the_hold_anew(world):
    world.clock.after(50, ask(world, "retry"))
    assert canary(world).verdict == "passed"
    assert at(world, "weights", 1) == pytest.approx(50 + 60, abs=4)


def test_a_request_for_another_rollout_is_left_alone(world):
    def stranger() -> None:
        request = Request("r9", "abort", False, "jo@desk", "t", "", "00000000")
        world.cluster.put(control.write([request], world.target))

    world.clock.after(IN_THE_HOLD, stranger)
    assert canary(world).verdict == "passed"
    assert effects(world) == []


def test_a_pause_outlives_the_controller(world):
    from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed

    client = world.client()
    world.clock.after(IN_THE_HOLD, ask(world, "pause"))

    def die() -> None:
        client.dead = True

    world.clock.after(IN_THE_HOLD + 20, die)
    with pytest.raises(Killed):
        world.run("v2", client=client, strategy="canary", pace=PACE)
    assert world.journal.rollout.paused
    world.clock.after(200, ask(world, "resume"))
    begin = world.clock.elapsed
    assert canary(world).verdict == "passed"
    assert world.clock.elapsed - begin > 200 + 60


def test_the_journal_says_what_the_rollout_waits_for(world):
    seen = []
    world.clock.after(70, lambda: seen.append(world.journal.rollout.waiting_for))
    world.clock.after(100, ask(world, "approve"))
    canary(world, gates=(Gate("50", 200.0, "rollback"),))
    assert seen == ["approval of 50 %"]
    assert world.journal.rollout.waiting_for == ""
