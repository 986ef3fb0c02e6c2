# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import commands
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import COMMANDS, Request
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Gate, Pace
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.orphan import Keeper
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import steps_of
from ansible_collections.churnguard.ops.tests.unit.support.objects import GREEN, release, rollout, target

ALIVE = Keeper("runner", True, -40.0)
PACE = Pace(((10, 60.0), (50, 60.0)), (Gate("50", 600.0, "abort"),), bake_seconds=30.0)


def at(step: str, **changes):
    """A canary in its first step of that name."""
    one = rollout(steps_of("canary", release(GREEN, "v2"), release(), target(), PACE), **changes)
    for earlier in one.steps[: next(i for i, s in enumerate(one.steps) if s.name == step)]:
        earlier.status = "done"
    return one


def asked(one, *names: str, **changes) -> list[Request]:
    fields = {"full": False, "by": "ops", "at": "t", "reason": "", "rollout": one.id, **changes}
    return [
        Request(id=f"r{n}", command=name, step=commands.step_for(name, fields["full"], one), **fields)
        for n, name in enumerate(names)
    ]


def consider(command: str, one, keeper=ALIVE, requests=(), full=False):
    return commands.consider(command, full, one, keeper, list(requests))


@pytest.mark.parametrize("one", [None, at("hold", phase="passed"), at("hold", phase="rolled_back")])
@pytest.mark.parametrize("command", COMMANDS)
def test_with_nothing_in_flight(command, one):
    opinion = consider(command, one)
    assert "no rollout is in flight" in opinion.reason
    if command in ("abort", "pause", "resume"):
        assert opinion.kind == commands.NOTHING
    else:
        assert (opinion.kind, "deploy.yml" in opinion.next_step) == (commands.REFUSE, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("keeper", [Keeper("gone", False, 12.0), Keeper("", False, math.inf)])
def test_an_orphan_answers_nobody(command, keeper):
    opinion = consider(command, at("hold"), keeper)
    assert (opinion.kind, "nobody would answer" in opinion.reason) == (commands.REFUSE, True)
    assert all(book in opinion.next_step for book in ("watchdog.yml", "deploy.yml", "rollback.yml"))


@pytest.mark.parametrize("command", COMMANDS)
def test_one_that_stopped_half_way_answers_nobody_either(command):
    opinion = consider(command, at("hold", phase="halted", reason="weights were moved."), Keeper("", False, 5.0))
    assert (opinion.kind, "stopped half-way" in opinion.reason) == (commands.REFUSE, True)
    assert "weights were moved" in opinion.reason


@pytest.mark.parametrize("command", COMMANDS)
def test_one_that_is_being_taken_back_can_only_be_waited_for(command):
    opinion = consider(command, at("hold", phase="rolling_back", reason="errors"))
    assert opinion.kind == (commands.NOTHING if command == "abort" else commands.REFUSE)
    assert "is being taken back: errors" in opinion.reason


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ("start", {"pause", "abort"}),
        ("hold", {"pause", "abort", "promote", "retry"}),
        ("bake", {"pause", "abort", "promote", "retry"}),
        ("gate", {"pause", "abort", "promote"}),
        ("retire", set()),
    ],
)
def test_what_fits_which_step(step, fits):
    assert {name for name in COMMANDS if consider(name, at(step)).kind == commands.SEND} == fits


def test_once_the_old_version_is_being_retired_it_is_too_late():
    refused = consider("abort", at("drain"))
    assert "too late to abort" in refused.reason
    assert "rollback.yml" in refused.next_step


def test_approval_is_for_whoever_waits_for_it():
    assert consider("approve", at("gate", waiting_for="approval of 50 %")).kind == commands.SEND
    refused = consider("approve", at("hold"))
    assert (refused.kind, "waits for no approval" in refused.reason) == (commands.REFUSE, True)


def test_promoting_everything_fits_any_step():
    assert consider("promote", at("start"), full=True).kind == commands.SEND
    refused = consider("promote", at("start"))
    assert "start green, is neither a hold" in refused.reason
    assert "full=true" in refused.next_step


def test_pausing_what_is_paused_changes_nothing():
    assert consider("pause", at("hold", paused=True)).kind == commands.NOTHING
    assert consider("resume", at("hold")).kind == commands.NOTHING
    assert consider("resume", at("hold", paused=True)).kind == commands.SEND


def test_a_pause_on_its_way_counts():
    one = at("hold")
    assert consider("resume", one, requests=asked(one, "pause")).kind == commands.SEND
    assert consider("pause", one, requests=asked(one, "pause", "resume")).kind == commands.SEND


def test_the_same_command_pending_is_found():
    one = at("hold")
    waiting = asked(one, "promote", "abort")
    assert commands.same(waiting, "promote", False, one) == waiting[0]
    assert commands.same(waiting, "promote", True, one) is None
    assert commands.same(waiting, "retry", False, one) is None


def test_a_request_for_the_step_before_is_not_the_same():
    one = at("hold")
    waiting = asked(one, "promote")
    one.steps[one.cursor].status = "done"
    assert commands.same(waiting, "promote", False, one) is None


def test_of_pause_and_resume_the_newest_counts():
    one = at("hold")
    assert commands.same(asked(one, "pause", "resume"), "pause", False, one) is None
    assert commands.same(asked(one, "resume", "pause"), "pause", False, one).id == "r1"


@pytest.mark.parametrize(
    ("command", "bound"), [("pause", False), ("abort", False), ("promote", True), ("approve", True)]
)
def test_which_commands_belong_to_a_step(command, bound):
    one = at("gate")
    assert commands.step_for(command, False, one) == (one.cursor + 1 if bound else None)
    assert commands.step_for("promote", True, one) is None
