# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts that are watched through the data plane and by Prometheus: both are real HTTP servers here."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.probe import Endpoint
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, APP, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.plane import DataPlane, Metrics
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, free_port
from ansible_collections.churnguard.ops.tests.unit.support.world import World

V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
IDLE = {"served": 100.0, "in_flight": 0.0, "age": 1.0}


def smoke(**wanted) -> dict:
    return {"name": "health", "path": "/health", "method": "GET", "status": [200], "contains": None, **wanted}


@pytest.fixture
def world() -> World:
    return World().installed()


@pytest.fixture
def watched(world):
    """Starts a data plane in front of the world, and lets rollouts watch it."""
    started = []

    def start(behaviour=None, *tests: dict) -> DataPlane:
        plane = DataPlane(world, behaviour)
        started.append(plane.server.__enter__())
        endpoint = Endpoint(plane.server.url, timeout=2)
        world.settings.update(endpoint=endpoint, smoke_tests=list(tests), confirm_timeout=1.5, confirm_requests=5)
        return plane

    yield start
    for server in started:
        server.__exit__()


@pytest.fixture
def metered(world):
    """Starts a Prometheus that rollouts ask."""
    started = []
    world.settings.update(drain_timeout=8, interval=2)

    def start(**slots) -> Metrics:
        metrics = Metrics(**slots)
        started.append(metrics.server.__enter__())
        world.settings["prometheus_url"] = metrics.server.url
        return metrics

    yield start
    for server in started:
        server.__exit__()


def fails(version: str, path: str, status: int = 500):
    """Behaviour: C(version) answers C(status) on C(path)."""
    return lambda v, p: Answer(status, "boom") if (v, p) == (version, path) else None


def measure(world: World, name: str) -> dict:
    return next(entry for entry in world.recorder.measurements if entry["name"] == name)


def switches(world: World) -> int:
    return world.written("HTTPRoute").count(f"patch HTTPRoute {APP}")


# -- smoke tests -----------------------------------------------------------------------------------------------------


def test_a_version_that_passes_its_smoke_tests_is_confirmed_and_live(world, watched):
    plane = watched(None, smoke(json={"version": "v2"}), smoke(name="home", path="/", contains="ok"))
    outcome = world.run("v2")
    assert (outcome.verdict, world.live, world.broken) == ("passed", V2_LIVE, [])
    assert measure(world, "smoke_tests") == {
        "name": "smoke_tests",
        "value": 2,
        "unit": "tests",
        "limit": None,
        "verdict": "passed",
    }
    assert measure(world, "confirmed_s")["verdict"] == "passed"
    assert world.recorder.evidence[0]["consecutive"] == 5
    smoked = [r.path for r in plane.server.requests if r.headers.get("x-churnguard-slot") == GREEN]
    assert smoked == ["/health"] + ["/health"] * 2 + ["/"] * 2  # one to see the slot, then each test for each replica


@pytest.mark.parametrize(
    ("behaviour", "test", "text"),
    [
        (fails("v2", "/predict"), smoke(name="predict", path="/predict"), "answered 500, expected 200: boom"),
        (None, smoke(name="predict", json={"version": "v9"}), "the reply's version is 'v2', expected 'v9'"),
    ],
)
def test_a_version_that_fails_a_smoke_test_never_gets_traffic(world, watched, behaviour, test, text):
    watched(behaviour, test)
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert f"smoke test 'predict' of slot green ({test['path']}): {text}" in outcome.message
    assert (world.live, switches(world)) == (V1_LIVE, 0)
    assert measure(world, "smoke_tests")["verdict"] == "failed"


def test_one_bad_pod_among_good_ones_fails_the_smoke_test(world, watched):
    answers = iter([None, None, Answer(500, "boom")])
    watched(lambda v, p: next(answers, None) if (v, p) == ("v2", "/health") else None, smoke())
    assert "answered 500" in world.run("v2").message
    assert world.live == V1_LIVE


def test_a_smoke_test_may_want_an_error(world, watched):
    watched(fails("v2", "/down", 503), smoke(path="/down", status=[503]))
    assert world.run("v2").verdict == "passed"


def test_an_image_that_is_not_the_version_it_was_given_out_as_never_gets_traffic(world, watched):
    def lies(version: str, _path: str) -> Answer | None:
        answer = Answer(200)
        if version == "v2":
            answer.headers = _Fixed({"X-ChurnGuard-Version": "v1.9"})
        return answer

    watched(lies, smoke())
    outcome = world.run("v2")
    assert "does not show v2 after 2 s: answered by v1.9" in outcome.message
    assert (world.live, switches(world)) == (V1_LIVE, 0)


class _Fixed(dict):
    """Headers that nobody can change."""

    def update(self, *_others, **_more) -> None:
        pass


# -- confirmation ----------------------------------------------------------------------------------------------------


def test_weights_that_the_data_plane_does_not_serve_are_taken_back(world, watched):
    watched().stuck = True
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed, world.live, world.broken) == ("rolled_back", True, V1_LIVE, [])
    assert "does not show v2 after 2 s: answered by v1" in outcome.message


def test_a_gateway_that_rejects_the_route_is_noticed_at_once(world):
    def judge(write) -> None:
        if write.ref.kind == "HTTPRoute":
            world.cluster.workloads.accepted = "False" if world.split == ALL_GREEN else "True"

    world.cluster.watchers.append(judge)
    outcome = world.run("v2")
    assert "the gateway does not serve the new weights after 1 s" in outcome.message
    assert "Accepted is False" in outcome.message
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])


def test_an_endpoint_that_cannot_be_reached_is_no_reason_to_move_traffic(world):
    world.settings.update(
        endpoint=Endpoint(f"http://127.0.0.1:{free_port()}"), smoke_tests=[smoke()], confirm_timeout=5
    )
    outcome = world.run("v2")
    assert "no answer" in outcome.message
    assert (outcome.verdict, world.live, switches(world)) == ("rolled_back", V1_LIVE, 0)


# -- bake ------------------------------------------------------------------------------------------------------------


def test_a_version_that_starts_to_fail_in_its_bake_is_taken_back(world, watched):
    def turns_bad(version: str, _path: str) -> Answer | None:
        return Answer(500) if version == "v2" and switched and world.clock.elapsed - switched[0] > 10 else None

    def note(write) -> None:
        if write.ref.kind == "HTTPRoute":
            switched.append(world.clock.elapsed)

    switched: list[float] = []
    world.cluster.watchers.append(note)
    watched(turns_bad)
    outcome = world.run("v2", bake_seconds=300.0)
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])
    assert "3 probes in a row: answered 500" in outcome.message
    assert switched[1] - switched[0] < 15


def test_a_single_bad_probe_is_noted_and_no_reason_to_go_back(world, watched):
    bad = iter([None] * 12 + [Answer(503)])
    watched(lambda v, _p: next(bad, None) if v == "v2" else None)
    outcome = world.run("v2")
    assert outcome.verdict == "passed"
    assert measure(world, "bake_s")["reason"] == "single bad probe: answered 503"


# -- drain -----------------------------------------------------------------------------------------------------------


def test_silence_is_proved_by_the_old_slots_own_counters(world, watched, metered):
    watched()
    metered(blue=IDLE)
    assert world.run("v2").verdict == "passed"
    drained = measure(world, "drain_s")
    assert (drained["verdict"], drained["reason"]) == ("passed", "by its own counters")


def test_without_prometheus_only_the_probes_speak_and_that_is_said(world, watched):
    watched()
    assert world.run("v2").verdict == "passed"
    drained = measure(world, "drain_s")
    assert drained["verdict"] == "not_checked"
    assert "probes alone" in drained["reason"]


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ({**IDLE, "in_flight": 1.0}, "1 requests still in flight"),
        ({**IDLE, "age": 100.0}, "silent for 0 s of 3 s"),
        ({}, "its metrics cannot be read"),
    ],
    ids=["in flight", "stale", "no series"],
)
def test_an_old_slot_that_is_not_proved_silent_stays(world, metered, figures, text):
    metrics = metered(blue=figures)
    outcome = world.run("v2")
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert f"slot blue has not fallen silent within 8 s: {text}" in outcome.message
    assert (world.split, world.replicas(BLUE), world.journal.rollout.phase) == (ALL_GREEN, 2, "halted")
    metrics.slots[BLUE] = IDLE
    assert world.run("v2").verdict == "passed"
    assert (world.live, world.broken) == (V2_LIVE, [])


def test_prometheus_that_is_down_never_counts_as_silence(world):
    world.settings.update(prometheus_url=f"http://127.0.0.1:{free_port()}", drain_timeout=8)
    assert "its metrics cannot be read" in world.run("v2").message
    assert (world.split, world.replicas(BLUE)) == (ALL_GREEN, 2)


def test_a_bad_version_whose_metrics_are_gone_is_scaled_away_all_the_same(world, metered):
    metered(blue=IDLE)
    outcome = world.run("v2", image="rot")
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])
    assert measure(world, "drain_s")["verdict"] == "failed"


def test_errors_of_a_bad_version_are_traffic_too(world, watched):
    """While the gateway still sends requests to it, it is not silent, however it answers them."""
    plane = watched(lambda v, _p: Answer(500) if v == "v2" and world.clock.elapsed > 20 else None)
    sizes = []

    def lag(write) -> None:
        rollout = world.journal.rollout
        if (
            write.ref.kind == "ConfigMap"
            and rollout.phase == "rolling_back"
            and rollout.cursor == 4
            and not plane.stuck
        ):
            plane.lag(ALL_GREEN)
            world.clock.after(10, catch_up)

    def catch_up() -> None:
        sizes.append(world.replicas(GREEN))
        plane.lag(None)

    world.cluster.watchers.append(lag)
    outcome = world.run("v2")
    assert (outcome.verdict, world.live, sizes) == ("rolled_back", V1_LIVE, [2])
