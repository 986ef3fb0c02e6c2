# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.status import describe
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green, take_back
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_GREEN,
    BLUE,
    GREEN,
    deployment,
    journal,
    observed,
    release,
    rollout,
    route,
    target,
    wish,
    written_by,
)

NOW = datetime(2026, 11, 21, 19, 0, 20, tzinfo=UTC)
LEASE = {"spec": {"holderIdentity": "me", "renewTime": "2026-11-21T19:00:00.000000Z", "leaseDurationSeconds": 60}}


def status(seen=None, lease=None, now=NOW) -> dict:
    shown = describe(seen or observed(), {BLUE: [], GREEN: []}, lease, now, target())
    json.dumps(shown)  # goes to a callback plugin and into a report
    return shown


def test_a_quiet_site():
    shown = status()
    assert (shown["phase"], shown["unfinished"], shown["current"], shown["drift"]) == ("none", False, None, [])
    assert (shown["version"], shown["stable_slot"], shown["previous_version"]) == ("v1", BLUE, None)
    assert shown["weights"] == {BLUE: 100, GREEN: 0}
    assert shown["slots"] == {
        BLUE: {"version": "v1", "replicas": 2, "ready": 2, "state": "done", "detail": "2/2 ready"},
        GREEN: {"version": None, "replicas": 0, "ready": 0, "state": "absent", "detail": "no Deployment"},
    }
    assert shown["lease"] == {"holder": None, "held": False, "expires_in_s": None}


def test_nothing_at_all():
    nothing = observed(
        book=Journal(), deployments={BLUE: None, GREEN: None}, services={BLUE: None, GREEN: None}, router=None
    )
    shown = status(nothing)
    assert (shown["version"], shown["weights"]) == (None, None)
    assert "does not exist" in shown["drift"][0]


def test_a_retired_slot_is_not_a_broken_one():
    live = {BLUE: deployment(), GREEN: deployment(GREEN, "v0", 0)}
    assert status(observed(deployments=live))["slots"][GREEN] == {
        "version": "v0",
        "replicas": 0,
        "ready": 0,
        "state": "retired",
        "detail": "scaled to 0",
    }


@pytest.mark.parametrize(
    ("lease", "now", "shown"),
    [
        (None, NOW, (None, False, None)),
        ({"spec": {"holderIdentity": ""}}, NOW, (None, False, None)),
        (LEASE, NOW, ("me", True, 40.0)),
        (LEASE, NOW.replace(minute=2), ("me", False, -80.0)),
    ],
)
def test_who_holds_the_lock_and_for_how_long(lease, now, shown):
    assert tuple(status(lease=lease, now=now)["lease"].values()) == shown


def in_flight(done: int):
    one = rollout(blue_green(release(GREEN, "v2"), release(), target(), wish().pace))
    for step in one.steps[:done]:
        codec.enter(one, step, "t")
        codec.leave(one, step, "t")
    return one


@pytest.mark.parametrize(
    ("done", "step", "number"), [(0, "hold_size", 1), (6, "bake", 7), (8, "retire", 9), (10, None, 10)]
)
def test_where_a_rollout_is(done, step, number):
    seen = observed(ALL_GREEN if done > 4 else None, journal(stable=release(), rollout=in_flight(done)))
    shown = status(seen)
    assert (shown["phase"], shown["unfinished"], shown["drift"]) == ("running", True, [])
    assert (shown["current"]["step"], shown["current"]["step_number"]) == (step, number)
    assert (shown["current"]["version"], shown["current"]["slot"]) == ("v2", GREEN)
    assert [one["status"] for one in shown["current"]["steps"]] == ["done"] * done + ["pending"] * (10 - done)


def test_a_rollout_that_is_over_is_at_no_step():
    one = rollout(take_back(in_flight(2), target()), phase="rolled_back", reason="it crashed", finished="t")
    shown = status(observed(book=journal(stable=release(), rollout=one)))
    assert (shown["phase"], shown["unfinished"], shown["current"]["step"]) == ("rolled_back", False, None)
    assert (shown["current"]["reason"], shown["current"]["finished"]) == ("it crashed", "t")


def test_traffic_moved_by_hand_is_drift_at_rest_and_in_flight():
    moved = written_by(route(ALL_GREEN), "kubectl-edit", {"f:spec": {"f:rules": {}}})
    at_rest = status(observed(router=moved))["drift"]
    in_between = status(observed(router=moved, book=journal(stable=release(), rollout=in_flight(2))))["drift"]
    assert "slot blue (v1) is stable" in at_rest[0]
    assert "the journal allows blue 100 %" in in_between[0]
    assert all("field manager kubectl-edit" in text for text in (*at_rest, *in_between))


def test_a_route_that_cannot_be_read_is_drift_and_has_no_weights():
    obj = route()
    obj["spec"]["rules"] = []
    shown = status(observed(router=obj))
    assert shown["weights"] is None
    assert "has no rule" in shown["drift"][0]


def test_the_history_is_passed_on():
    book = journal(stable=release())
    book.history = [{"id": "1"}]
    assert status(observed(book=book))["history"] == [{"id": "1"}]
