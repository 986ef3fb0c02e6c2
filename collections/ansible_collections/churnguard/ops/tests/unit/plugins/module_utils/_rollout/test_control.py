# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import control
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import Request
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green
from ansible_collections.churnguard.ops.tests.unit.support.objects import GREEN, release, rollout, target, wish


def request(number: int = 1, command: str = "pause", **changes) -> Request:
    fields = {"full": False, "by": "ops@console", "at": "2026-11-21T19:00:00.000Z", "reason": "", "rollout": "cafe0001"}
    return Request(**{"id": f"r{number}", "command": command, "step": None, **fields, **changes})


def in_flight(**changes):
    return rollout(blue_green(release(GREEN, "v2"), release(), target(), wish().pace), **changes)


def config_map(text: str) -> dict:
    return {"data": {"requests.json": text}}


def test_requests_come_back_as_they_were_written():
    asked = [request(1, reason="why"), request(2, "promote", full=True), request(3, "approve", step=4)]
    assert control.read(control.write(asked, target())) == asked
    assert control.problem(control.write(asked, target())) == ""


def test_the_config_map_is_named_and_labelled_for_the_application():
    metadata = control.write([], target())["metadata"]
    assert metadata["name"] == "churnguard-api-rollout-control"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "churnguard.ops"


def test_only_the_newest_are_kept():
    asked = [request(number) for number in range(control.KEPT_REQUESTS + 5)]
    assert control.read(control.write(asked, target())) == asked[5:]


@pytest.mark.parametrize("nothing", [None, {}, {"data": None}, {"data": {}}, config_map("[]")])
def test_nothing_asked_is_no_request(nothing):
    assert (control.read(nothing), control.problem(nothing)) == ([], "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"a": 1}', "is not a list"),
        ("[3]", "is not an object"),
        ('[{"id": "r1"}]', "has no text 'command'"),
        (json.dumps([{**vars(request()), "command": "explode"}]), "unknown command 'explode'"),
        (json.dumps([{**vars(request()), "step": "two"}]), "a step that is not a number"),
        (json.dumps([{**vars(request()), "step": True}]), "a step that is not a number"),
        (json.dumps([{**vars(request()), "rollout": None}]), "has no text 'rollout'"),
    ],
)
def test_what_is_no_request_is_left_out_and_said(text, said):
    assert control.read(config_map(text)) == []
    assert said in control.problem(config_map(text))


def test_a_damaged_entry_does_not_hide_the_others():
    text = json.dumps([3, vars(request())])
    assert control.read(config_map(text)) == [request()]
    assert control.problem(config_map(text)).startswith("entry 1 of")


def test_full_is_only_what_says_so_and_what_others_added_is_ignored():
    text = json.dumps([{**vars(request()), "full": "yes", "more": 1}])
    assert control.read(config_map(text)) == [request()]


def test_pending_are_this_rollouts_that_its_audit_does_not_have_in_order():
    asked = [request(1), request(2, rollout="other"), request(3, "resume"), request(4, "abort")]
    assert control.pending(asked, in_flight(audit=[{"id": "r3"}])) == [asked[0], asked[3]]
    assert control.answer(in_flight(audit=[{"id": "r3", "effect": "goes on"}]), asked[2])["effect"] == "goes on"
    assert control.answer(in_flight(), asked[0]) is None


@pytest.mark.parametrize(("step", "late"), [(None, False), (1, False), (2, True), (7, True)])
def test_a_request_for_another_step_is_outdated(step, late):
    assert control.outdated(request(step=step), in_flight()) == late


def test_a_request_in_words():
    assert str(request(command="promote", full=True, reason="CHG-1")) == "promote (full) by ops@console: CHG-1"
    assert str(request()) == "pause by ops@console"
