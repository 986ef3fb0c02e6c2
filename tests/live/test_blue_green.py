"""The blue-green journey on real parts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from world import APP, World, finished, until

pytestmark = pytest.mark.lab


def test_a_new_version_replaces_the_old_without_a_failed_request(world: World, tmp_path: Path) -> None:
    first = world.deploy("v1", deployment=world.deployment("v1", replicas=2))
    assert first.verdict == "passed"
    assert world.ask() == (200, "v1")

    with world.load(tmp_path / "ledger.jsonl") as summary:
        second = world.deploy("v2", grace_period=5)
        time.sleep(1)
    assert summary()["failed"] == 0
    assert set(summary()["by_version"]) == {"v1", "v2"}

    assert second.verdict == "passed"
    assert second.output["envelope"]["subject"]["previous_version"] == "v1"
    assert world.weights() == {"blue": 0, "green": 100}
    # The new slot got the old one's live size; the old one is retired.
    assert world.replicas() == {"blue": 0, "green": 2}
    events = [event["event"] for event in second.output["envelope"]["timeline"]]
    order = ["locked", "planned", "ready", "smoke", "weights", "confirmed", "bake", "drained", "retired", "completed"]
    assert [event for event in events if event in order] == order
    assert second.output["diff"]["before"]["version"] == "v1"
    assert second.output["diff"]["after"] == {
        "version": "v2",
        "stable_slot": "green",
        "weights": {"blue": 0, "green": 100},
        "replicas": {"blue": 0, "green": 2},
    }


def test_the_same_version_again_changes_nothing(world: World) -> None:
    world.deploy("v1")
    before = world.versions()
    again = world.run(world.arguments("v1"))
    assert again.output["changed"] is False
    assert again.verdict == "passed"
    assert world.versions() == before


def test_check_mode_plans_and_writes_nothing(world: World) -> None:
    world.deploy("v1")
    before = world.versions()
    planned = world.run(world.arguments("v2"), check=True)
    assert planned.output["changed"] is True
    names = [step["name"] for step in planned.output["steps"]]
    ends = ["drain", "retire", "release_size"]
    assert names == ["hold_size", "start", "ready", "smoke", "route", "confirm", "bake", *ends]
    assert planned.output["diff"]["after"]["weights"] == {"blue": 0, "green": 100}
    assert world.versions() == before


def test_a_version_that_never_becomes_ready_is_refused(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl") as summary:
        refused = world.run(world.arguments("v2", deployment=world.deployment("v2", never_ready=True), ready_timeout=6))
    assert refused.failed
    assert refused.verdict == "rolled_back"
    assert "not ready within 6 s" in refused.message
    assert "Readiness probe failed" in refused.message
    assert "Slot blue with v1 kept all traffic" in refused.message
    assert summary()["failed"] == 0
    assert set(summary()["by_version"]) == {"v1"}
    assert world.weights() == {"blue": 100, "green": 0}
    assert world.replicas() == {"blue": 1, "green": 0}


def test_a_crashing_version_is_refused_within_15_s_of_the_terminal_condition(world: World) -> None:
    world.deploy("v1")
    process = world.start(world.arguments("v2", deployment=world.deployment("v2", crash_after_s=0.2)))
    seen = _first_crash_loop(world)
    _out, _err = process.communicate(timeout=180)
    assert time.monotonic() - seen <= 15
    info = world.info()
    assert info["phase"] == "rolled_back"
    assert "CrashLoopBackOff" in info["current"]["reason"]
    assert info["version"] == "v1"


def _first_crash_loop(world: World) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pods = world.core.list_namespaced_pod(world.namespace, label_selector=f"app={APP},slot=green").items
        for pod in pods:
            for status in pod.status.container_statuses or []:
                if status.state.waiting and status.state.waiting.reason == "CrashLoopBackOff":
                    return time.monotonic()
        time.sleep(0.1)
    raise AssertionError("no pod went into CrashLoopBackOff")


def test_a_missing_image_is_refused(world: World) -> None:
    world.deploy("v1")
    refused = world.run(world.arguments("v2", deployment=world.deployment("v2", build=False)))
    assert refused.failed
    assert "ImagePull" in refused.message
    assert world.weights() == {"blue": 100, "green": 0}


def test_a_failed_smoke_test_moves_no_traffic(world: World) -> None:
    world.deploy("v1")
    wrong = [{"name": "version", "path": "/api/v1/version", "json": {"version": "v9"}}]
    refused = world.run(world.arguments("v2", smoke_tests=wrong))
    assert refused.verdict == "rolled_back"
    assert "smoke test 'version'" in refused.message
    assert "weights" not in [event["event"] for event in refused.output["envelope"]["timeline"]]


def test_a_version_that_goes_bad_while_baking_is_taken_back(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=50):
        begin = time.monotonic()
        process = world.start(world.arguments("v2", grace_period=120))
        until(lambda: world.info()["current"]["step"] == "bake", 60, "the rollout bakes")
        with world.crashing("green"):
            taken_back = finished(process, begin)
    assert taken_back.verdict == "rolled_back"
    assert "Slot blue with v1 serves all traffic again" in taken_back.message
    assert world.weights() == {"blue": 100, "green": 0}
    assert world.replicas() == {"blue": 1, "green": 0}


def test_rolling_back_brings_the_version_before_back(world: World) -> None:
    world.deploy("v1")
    world.deploy("v2")
    back = world.run(world.arguments("", state="rolled_back", smoke_tests=None))
    assert back.verdict == "passed", back.message
    assert world.ask() == (200, "v1")
    assert world.info()["previous_version"] == "v2"


def test_a_refused_version_does_not_spoil_the_way_back(world: World) -> None:
    """The refused version used the slot that held the version before; its manifest is in the journal."""
    world.deploy("v1")
    world.deploy("v2")
    world.run(world.arguments("v3", deployment=world.deployment("v3", never_ready=True), ready_timeout=4))
    back = world.run(world.arguments("", state="rolled_back", smoke_tests=None))
    assert back.verdict == "passed", back.message
    assert world.ask() == (200, "v1")


def test_the_service_selector_is_a_router_too(world: World) -> None:
    host = f"selector-{world.host}"
    world.create_route("by-selector", {"public": 100}, host)
    endpoint = {"url": f"http://127.0.0.1:{world.lab.ports.gateway}", "headers": {"Host": host}}
    # Pinned requests need the slots' own route, under the other host name.
    pinned = {**endpoint, "headers": {"Host": world.host}}
    router = {"kind": "Service", "name": "public"}
    world.deploy("v1", router=router, endpoint=pinned, smoke_tests=None)
    second = world.deploy("v2", router=router, endpoint=endpoint, smoke_tests=None)
    assert second.verdict == "passed"
    assert world.core.read_namespaced_service("public", world.namespace).spec.selector == {"app": APP, "slot": "green"}
    assert world.ask(host=host) == (200, "v2")


def test_info_shows_a_rollout_from_a_second_terminal(world: World) -> None:
    world.deploy("v1")
    process = world.start(world.arguments("v2", grace_period=8))
    try:
        seen: list[dict[str, Any]] = []

        def bakes() -> bool:
            seen.append(world.info())
            return bool(seen[-1]["current"]["step"] == "bake")

        until(bakes, 60, "the rollout bakes")
        info = seen[-1]
        assert info["unfinished"] is True
        assert info["current"]["version"] == "v2"
        assert info["weights"] == {"blue": 0, "green": 100}
        assert info["lease"]["held"] is True
        assert info["version"] == "v1", "the pointer to the stable slot moves at the end"
    finally:
        process.communicate(timeout=180)
    assert world.info()["version"] == "v2"
