"""Canaries and rolling updates on real parts, judged by the metrics that the lab's Prometheus scrapes.

Each scenario has an application of its own. They wait far more than they work, so they are played side by side; a test
tells how its scenario ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.settings import Settings
from watching import ask, canary, kill, reach
from world import Result, World, finished, until

from ..lab.relay import Relay

pytestmark = pytest.mark.lab

RATE = 60
INTERVAL = 5
#: 20 % errors, as the metric sees them after one scrape at a tenth of the traffic.
BAD = {"error_ratio": 0.2}


Scenario = Callable[[World, Path], None]
SCENARIOS: list[Scenario] = []
Played = dict[Scenario, Future[None]]
SIDE_BY_SIDE = 3


def scenario(play: Scenario) -> Scenario:
    """Have `play` played with an application of its own and a folder, and its outcome told by a test."""
    SCENARIOS.append(play)
    return play


def measured(world: World, port: int | None = None, **options: Any) -> dict[str, Any]:
    """An analysis by the default metrics at the lab's pace; `port` is Prometheus' or a relay's."""
    url = f"http://127.0.0.1:{port or world.lab.ports.prometheus}"
    return {"prometheus_url": url, "interval": INTERVAL, "max_hold": 60, **options}


def judged(
    world: World, version: str = "v2", wrong: dict[str, Any] | None = None, replicas: int = 1, **overrides: Any
) -> dict[str, Any]:
    """Arguments of a canary over 50 and 100 per cent that holds each until a sample was good."""
    given = {
        "strategy": "canary",
        "canary": {"weights": [50, 100], "hold": INTERVAL, "share_requests": 20},
        "analysis": measured(world),
        "deployment": world.deployment(version, replicas=replicas, **(wrong or {})),
        "smoke_tests": None,
        **overrides,
    }
    return world.arguments(version, **given)


def events(result: Result, name: str) -> list[dict[str, Any]]:
    return [event for event in result.output["envelope"]["timeline"] if event["event"] == name]


def first_error(result: Result) -> dict[str, Any]:
    """The result of the error metric in the sample that decided."""
    found = events(result, "sample")[-1]["data"]["results"]
    return dict(next(one for one in found if one["name"] == "error_ratio"))


@scenario
def a_good_canary_gets_all_traffic_without_a_failed_request(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        result = world.run(judged(world, grace_period=INTERVAL))
    assert result.verdict == "passed", result.message
    assert summary()["failed"] == 0
    assert [event["data"]["weights"]["green"] for event in events(result, "weights")] == [50, 100]
    assert {event["data"]["weight"] for event in events(result, "sample")} == {50, 100}
    shares = [one for one in result.output["envelope"]["evidence"] if one["kind"] == "share"]
    assert [one["weight"] for one in shares] == [50]
    assert world.replicas() == {"blue": 0, "green": 1}


@scenario
def a_bad_canary_is_taken_back_by_its_numbers(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    weights = {"weights": [30, 100], "hold": 30, "share_requests": 20}
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        result = world.run(judged(world, wrong=BAD, canary=weights))
        time.sleep(1)
    said = summary()
    assert result.verdict == "rolled_back"
    assert (said["failed"], said["injected"] > 0) == (0, True)
    # It never got beyond the first weight.
    assert [event["data"]["weights"]["green"] for event in events(result, "weights")] == [30, 0]
    error = first_error(result)
    assert (error["verdict"], error["decisive"], error["limit"]) == ("bad", True, 0.01)
    assert error["value"] > 0.05
    assert error["p_value"] < 0.001
    assert 'slot="green"' in error["query"]
    assert world.weights() == {"blue": 100, "green": 0}
    assert world.replicas() == {"blue": 1, "green": 0}


@scenario
def pinned_requests_reach_the_canary_at_every_weight(world: World, _tmp_path: Path) -> None:
    """By the header, at 0 % as well: a gate stands before the first weight."""
    world.deploy("v1")
    gates = [{"before": "50", "timeout": 120}, {"before": "100", "timeout": 120}]
    process = world.start(canary(world, hold=2, gates=gates))
    try:
        for weight, gate in ((0, "approval of 50 %"), (50, "approval of 100 %")):
            until(lambda gate=gate: _waits_for(world, gate), 60, f"the rollout waits for {gate}")
            assert world.weights()["green"] == weight
            pinned = {world.ask(**{"x-churnguard-slot": "green"}) for _ in range(10)}
            stable = {world.ask(**{"x-churnguard-slot": "blue"}) for _ in range(10)}
            assert (pinned, stable) == ({(200, "v2")}, {(200, "v1")})
            assert not ask(world, "approve").failed
        result = finished(process, time.monotonic())
    finally:
        process.kill()
    assert result.verdict == "passed", result.message
    assert world.ask(**{"x-churnguard-slot": "green"}) == (200, "v2")


def _waits_for(world: World, what: str) -> bool:
    current = world.info()["current"]
    return bool(current) and current["waiting_for"] == what


@scenario
def a_gate_that_nobody_answers_is_taken_back(world: World, _tmp_path: Path) -> None:
    world.deploy("v1")
    result = world.run(canary(world, hold=2, gates=[{"before": "50", "timeout": 3}]))
    assert result.verdict == "rolled_back"
    assert "nobody approved within 3 s" in result.message
    assert world.ask() == (200, "v1")
    assert world.replicas() == {"blue": 1, "green": 0}


@scenario
def a_gate_may_halt_instead(world: World, _tmp_path: Path) -> None:
    world.deploy("v1")
    gates = [{"before": "100", "timeout": 3, "on_timeout": "halt"}]
    result = world.run(canary(world, hold=2, gates=gates))
    assert result.verdict == "failed"
    assert "nobody approved within 3 s" in result.message
    assert world.weights() == {"blue": 50, "green": 50}
    assert world.replicas() == {"blue": 1, "green": 1}


@scenario
def another_hand_on_the_weights_is_named_and_halts(world: World, _tmp_path: Path) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    process = world.start(canary(world))
    try:
        reach(world, "hold", 50)
        world.edit_route("night-shift", blue=80, green=20)
        edited = time.monotonic()
        result = finished(process, begin)
    finally:
        process.kill()
    assert time.monotonic() - edited <= 20
    assert result.verdict == "failed"
    assert "night-shift" in result.message
    # Whoever changed them meant it: they stay, and so do both versions.
    assert world.weights() == {"blue": 80, "green": 20}
    assert world.replicas() == {"blue": 1, "green": 1}


@scenario
def metrics_that_are_away_for_40_s_cost_40_s(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    relay = Relay(("127.0.0.1", world.lab.ports.prometheus))
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        process, begin = world.start(judged(world, analysis=measured(world, relay.port))), time.monotonic()
        try:
            reach(world, "hold", 50)
            relay.cut()
            time.sleep(40)
            assert world.weights() == {"blue": 50, "green": 50}
            current = world.info()["current"]
            assert (current["step"], current["analysis"]["cause"]) == ("hold", "metrics_unavailable")
            relay.mend()
            result = finished(process, begin)
        finally:
            process.kill()
    assert result.verdict == "passed", result.message
    assert "metrics_unavailable" in [event["data"]["cause"] for event in events(result, "frozen")]
    assert summary()["failed"] == 0


@scenario
def metrics_that_stay_away_cost_the_release(world: World, _tmp_path: Path) -> None:
    world.deploy("v1")
    relay = Relay(("127.0.0.1", world.lab.ports.prometheus))
    analysis = measured(world, relay.port, interval=1, max_hold=6)
    process, begin = world.start(judged(world, analysis=analysis)), time.monotonic()
    try:
        reach(world, "hold", 50)
        relay.cut()
        result = finished(process, begin)
    finally:
        process.kill()
    assert result.verdict == "rolled_back"
    assert "max_hold" in result.message
    assert events(result, "sample")[-1]["data"]["cause"] == "metrics_unavailable"
    assert world.ask() == (200, "v1")


@scenario
def killed_while_it_held_and_resumed(world: World, tmp_path: Path) -> None:
    _killed_while_it_held(world, tmp_path, "v2", lambda: canary(world, hold=5))


@scenario
def killed_while_it_held_and_aborted(world: World, tmp_path: Path) -> None:
    _killed_while_it_held(world, tmp_path, "v1", lambda: world.arguments("", state="aborted", smoke_tests=None))


def _killed_while_it_held(world: World, tmp_path: Path, version: str, then: Callable[[], dict[str, Any]]) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        process = world.start(canary(world, hold=5))
        reach(world, "hold", 50)
        kill(process)
        assert world.weights() == {"blue": 50, "green": 50}
        result = world.run(then())
    assert not result.failed, result.message
    assert world.ask() == (200, version)
    assert summary()["failed"] == 0
    info = world.info()
    assert (info["version"], info["unfinished"]) == (version, False)


def rolling(world: World, version: str = "v2", wrong: dict[str, Any] | None = None) -> dict[str, Any]:
    given = judged(world, version, wrong, replicas=2, strategy="rolling")
    # Pods end under traffic: each has to outlast the gateway's learning of it, which takes a second, or more here.
    spec = given["deployment"]["spec"]["template"]["spec"]
    spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = 5
    return given


@scenario
def a_good_rolling_update_replaces_the_pods_in_place(world: World, tmp_path: Path) -> None:
    world.deploy("v1", deployment=rolling(world, "v1")["deployment"])
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        result = world.run(rolling(world))
    assert result.verdict == "passed", result.message
    assert summary()["failed"] == 0
    assert world.ask() == (200, "v2")
    assert world.weights() == {"blue": 100, "green": 0}
    assert world.replicas() == {"blue": 2, "green": 0}


@scenario
def a_bad_rolling_update_is_undone(world: World, tmp_path: Path) -> None:
    world.deploy("v1", deployment=rolling(world, "v1")["deployment"])
    before = world.apps.read_namespaced_deployment("shop-blue", world.namespace)
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        result = world.run(rolling(world, wrong=BAD))
    assert result.verdict == "rolled_back", result.message
    assert summary()["failed"] == 0
    after = world.apps.read_namespaced_deployment("shop-blue", world.namespace)
    assert after.spec.template.to_dict() == before.spec.template.to_dict()
    assert {world.ask() for _ in range(10)} == {(200, "v1")}


@scenario
def a_late_way_back_is_quick_with_a_warm_slot(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    world.deploy("v2", retire=False)
    assert world.replicas() == {"blue": 1, "green": 1}
    with world.load(tmp_path / "ledger.jsonl", rate=RATE) as summary:
        begin = time.monotonic()
        process = world.start(world.arguments("", state="rolled_back", smoke_tests=None))
        try:
            until(lambda: world.weights() == {"blue": 100, "green": 0}, 60, "traffic is back")
            moved = time.monotonic() - begin
            result = finished(process, begin)
        finally:
            process.kill()
    assert moved <= 15
    assert result.verdict == "passed", result.message
    assert world.ask() == (200, "v1")
    assert summary()["failed"] == 0


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, lab: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The scenarios that were chosen, under way."""
    items = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    chosen = [item.callspec.params["play"] for item in items]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {play: pool.submit(_play, play, lab, tmp_path_factory.mktemp("scenario")) for play in chosen}


def _play(play: Scenario, lab: Settings, folder: Path) -> None:
    world = World(lab)
    world.create()
    try:
        play(world, folder)
    finally:
        world.destroy()


@pytest.mark.parametrize("play", SCENARIOS, ids=lambda play: play.__name__)
def test_scenario(played: Played, play: Scenario) -> None:
    played[play].result()
