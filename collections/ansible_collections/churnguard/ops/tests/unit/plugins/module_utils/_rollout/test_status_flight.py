# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from datetime import UTC, datetime

from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import Request
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Pace
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.status import describe
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import canary
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    BLUE,
    GREEN,
    journal,
    observed,
    release,
    rollout,
    target,
)

NOW = datetime(2026, 11, 21, 19, 0, 20, tzinfo=UTC)
LEASE = {"spec": {"holderIdentity": "me", "renewTime": "2026-11-21T19:00:00.000000Z", "leaseDurationSeconds": 60}}
QUARTER = {GREEN: 25, BLUE: 75}


def holding(**changes):
    """A canary that holds 25 %."""
    one = rollout(canary(release(GREEN, "v2"), release(), target(), Pace(((10, 60.0), (25, 60.0)))), **changes)
    while one.steps[one.cursor].args.get("weight") != 25 or one.steps[one.cursor].name != "hold":
        step = one.steps[one.cursor]
        codec.enter(one, step, "t")
        codec.leave(one, step, "t")
    return one


def shown(one, **more) -> dict:
    seen = observed(QUARTER, journal(stable=release(), rollout=one))
    found = describe(seen, {BLUE: [], GREEN: []}, more.pop("lease", LEASE), more.pop("now", NOW), target(), **more)
    json.dumps(found)  # goes to a callback plugin and into a report
    return found


def test_a_canary_shows_its_step_its_weight_and_what_keeps_it():
    one = holding(paused=True, waiting_for="approval of 50 %")
    current = shown(one)["current"]
    assert current["step_label"] == "hold green at 25 %"
    assert (current["step_number"], current["step_count"]) == (one.cursor + 1, len(one.steps))
    assert (current["weight"], current["paused"], current["waiting_for"]) == (25, True, "approval of 50 %")


def test_the_last_sample_and_the_audit_are_passed_on_whole():
    sample = {"verdict": "good", "held_s": 30.0, "hold_s": 60.0, "results": [{"name": "errors", "p_value": 0.4}]}
    entry = {"id": "a", "command": "pause", "by": "ops", "effect": "paused"}
    current = shown(holding(analysis=sample, audit=[entry]))["current"]
    assert (current["analysis"], current["audit"]) == (sample, [entry])


def test_requests_that_nobody_has_handled_are_shown_until_they_are():
    asked = [
        Request("a", "pause", False, "ops", "t", "look", "cafe0001"),
        Request("b", "abort", False, "x", "t", "", "0"),
    ]
    assert shown(holding(), requests=asked)["current"]["pending"] == ["pause by ops: look"]
    assert shown(holding(audit=[{"id": "a"}]), requests=asked)["current"]["pending"] == []
    assert shown(holding(phase="aborted"), requests=asked)["current"]["pending"] == []


def test_whether_somebody_runs_it():
    assert shown(holding())["keeper"]["state"] == "healthy"
    late = shown(holding(), now=NOW.replace(minute=2))["keeper"]
    assert (late["state"], "the lock of me ran out 80 s ago" in late["detail"]) == ("orphaned", True)
    assert shown(holding(), lease=None)["keeper"]["state"] == "orphaned"
    assert shown(holding(phase="halted", reason="weights moved."), lease=None)["keeper"]["state"] == "stopped"
    assert shown(holding(phase="passed"), lease=None)["keeper"]["state"] == "idle"


def test_a_holder_known_to_be_dead_is_told_before_its_lock_runs_out():
    keeper = shown(holding(), holder_dead=True)["keeper"]
    assert keeper["state"] == "orphaned"
    assert "me has ended, its lock runs for another 40 s" in keeper["detail"]
