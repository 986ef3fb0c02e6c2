"""People who stop, push and take back a rollout that runs elsewhere, on real parts."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from watching import ask, canary, kill, of_this, playbook, reach, server, token_of
from world import APP, World, finished, until

pytestmark = pytest.mark.lab

HALF = {"blue": 50, "green": 50}
#: The engine looks every second; the rest is for a machine that has other things to do.
PROMPT_SECONDS = 6


def answered(result: Any) -> dict[str, Any]:
    """The audit entry of a command that was handled, within an interval of having been asked."""
    assert not result.failed, result.message
    entry = dict(result.output["handled"])
    asked, handled = (datetime.fromisoformat(entry[name].replace("Z", "+00:00")) for name in ("at", "handled_at"))
    assert (handled - asked).total_seconds() <= PROMPT_SECONDS
    assert entry["by"] == "kim"
    return entry


def test_paused_resumed_and_promoted_to_the_end(world: World) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    process = world.start(canary(world, hold=12, grace_period=600))
    try:
        reach(world, "hold", 50)
        entry = answered(ask(world, "pause", reason="look at it"))
        assert (entry["weight"], entry["reason"], len(entry["evidence"])) == (50, "look at it", 64)
        # Longer than what is left of the hold: only the pause keeps it there.
        time.sleep(14)
        info = world.info()
        assert (world.weights(), info["current"]["paused"], info["current"]["step"]) == (HALF, True, "hold")
        assert ask(world, "pause").output["changed"] is False

        answered(ask(world, "resume"))
        reach(world, "hold", 100)
        answered(ask(world, "promote"))
        reach(world, "bake")
        answered(ask(world, "promote", full=True))
        result = finished(process, begin)
    finally:
        process.kill()
    assert result.verdict == "passed", result.message
    audit = world.info()["current"]["audit"]
    assert [entry["command"] for entry in audit] == ["pause", "resume", "promote", "promote"]
    assert world.weights() == {"blue": 0, "green": 100}
    controls = [event for event in result.output["envelope"]["timeline"] if event["event"] == "control"]
    assert len(controls) == 4


def test_promoting_everything_passes_over_all_that_would_wait(world: World) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    process = world.start(canary(world, hold=600, grace_period=600, gates=[{"before": "100", "timeout": 600}]))
    try:
        reach(world, "hold", 50)
        answered(ask(world, "promote", full=True))
        result = finished(process, begin)
    finally:
        process.kill()
    assert result.verdict == "passed", result.message
    assert world.info()["version"] == "v2"


def test_aborted_while_it_held(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=50) as summary:
        begin = time.monotonic()
        process = world.start(canary(world))
        try:
            reach(world, "hold", 50)
            answered(ask(world, "abort", reason="wrong price list"))
            seconds = until(lambda: world.weights()["blue"] == 100, 20, "the stable version has all traffic again")
            result = finished(process, begin)
        finally:
            process.kill()
    assert seconds <= 10
    assert (result.verdict, result.failed) == ("aborted", True)
    assert "aborted by kim: wrong price list" in result.message
    assert summary()["failed"] == 0
    assert world.replicas() == {"blue": 1, "green": 0}
    again = ask(world, "abort")
    assert (again.failed, again.output["changed"]) == (False, False)
    assert "no rollout is in flight" in again.message


def test_a_gate_is_answered_and_only_there(world: World) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    process = world.start(canary(world, hold=3, gates=[{"before": "100", "timeout": 300}]))
    try:
        until(lambda: bool(world.info()["unfinished"]), 60, "the rollout has begun")
        early = ask(world, "approve")
        info = reach(world, "gate")
        assert info["current"]["waiting_for"] == "approval of 100 %"
        # What was asked before anybody waited for it answers nothing.
        assert early.failed
        assert world.weights() == HALF
        refused = ask(world, "retry")
        assert "gathers no evidence" in refused.message
        answered(ask(world, "approve", reason="change CHG-1207"))
        result = finished(process, begin)
    finally:
        process.kill()
    assert result.verdict == "passed", result.message
    assert [(entry["command"], entry["reason"]) for entry in world.info()["current"]["audit"]] == [
        ("approve", "change CHG-1207")
    ]


def test_retried_the_hold_begins_anew(world: World) -> None:
    world.deploy("v1")
    process = world.start(canary(world, hold=300))
    try:
        reach(world, "hold", 50)
        until(lambda: (world.info()["current"]["analysis"] or {}).get("held_s", 0) >= 8, 60, "it has held for 8 s")
        answered(ask(world, "retry"))
        until(lambda: world.info()["current"]["analysis"]["held_s"] < 6, 10, "what was held does not count any more")
        assert world.weights() == HALF
        answered(ask(world, "abort"))
        process.communicate(timeout=120)
    finally:
        process.kill()


def test_several_who_ask_at_once_are_all_heard(world: World) -> None:
    world.deploy("v1")
    process = world.start(canary(world, hold=300))
    try:
        reach(world, "hold", 50)
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask, world, command) for command in ("pause", "retry", "resume")]
            results = [one.result() for one in asked]
        assert {result.output["changed"] for result in results if not result.failed} <= {True, False}
        left = [result.output["request"]["id"] for result in results if result.output.get("changed")]
        assert len(left) >= 2
        until(lambda: {e["id"] for e in world.info()["current"]["audit"]} >= set(left), 20, "all are in the audit")
        answered(ask(world, "abort"))
        process.communicate(timeout=120)
    finally:
        process.kill()


def test_nobody_answers_for_a_dead_controller(world: World) -> None:
    world.deploy("v1")
    process = world.start(canary(world))
    reach(world, "hold", 50)
    kill(process)
    before = world.versions()
    result = ask(world, "abort")
    assert result.failed
    assert "is orphaned" in result.message
    assert "playbooks/watchdog.yml" in result.message
    assert world.versions() == before, "nothing is asked of nobody"
    assert world.info()["keeper"]["state"] == "orphaned"


def test_who_may_only_ask_can_ask_and_move_nothing(world: World) -> None:
    """The rights that docs/control.md lists for somebody who gives commands."""
    world.deploy("v1")
    name = "operator"
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [f"{APP}-rollout", f"{APP}-rollout-control"],
            "verbs": ["get"],
        },
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [f"{APP}-rollout-control"],
            "verbs": ["update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
    ]
    world.core.create_namespaced_service_account(world.namespace, {"metadata": {"name": name}})
    world.rbac.create_namespaced_role(world.namespace, {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": world.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
    world.rbac.create_namespaced_role_binding(world.namespace, binding)
    way_in = {**server(world), "api_key": token_of(world, name)}
    process = world.start(canary(world))
    try:
        reach(world, "hold", 50)
        answered(ask(world, "pause", **way_in))
        answered(ask(world, "abort", **way_in))
        process.communicate(timeout=120)
    finally:
        process.kill()
    refused = world.run({"name": APP, "namespace": world.namespace, **way_in, "state": "rolled_back"}, "rollout")
    assert "403" in refused.message


def test_the_playbooks_ask_and_show(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    process = world.start(canary(world, gates=[{"before": "100", "timeout": 300}], hold=3))
    variables = of_this(world, tmp_path)
    try:
        reach(world, "gate")
        shown = " ".join(playbook("status", variables).stdout.split())
        assert "Waiting for approval of 100 %: playbooks/control.yml -e rollout_command=approve" in shown
        assert "gate green at 50 %" in shown
        assert "constant good 1 2 " in shown
        given = {**variables, "rollout_command": "abort", "rollout_reason": "not today", "awx_user_name": "kim"}
        run = playbook("control", given)
        assert run.returncode == 0, run.stdout
        assert "taking back" in run.stdout
        process.communicate(timeout=120)
    finally:
        process.kill()
    kept = [json.loads(path.read_text()) for path in (tmp_path / "reports").rglob("*-rollout_control.json")]
    assert [envelope["verdict"] for envelope in kept] == ["passed"]
    assert kept[0]["evidence"][0]["by"] == "kim"
    shown = " ".join(playbook("status", variables).stdout.split())
    assert "abort by kim (not today), at step" in shown
    nothing = playbook("control", {**variables, "rollout_command": "approve"})
    assert nothing.returncode != 0
    assert "start one with playbooks/deploy.yml" in " ".join(nothing.stdout.split())
