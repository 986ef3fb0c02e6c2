"""The whole controller against the lab's API server and node."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from ..chance import assert_share

pytestmark = pytest.mark.lab


def test_weights_are_served_when_they_are_programmed_and_not_before_the_delay(instance: Any) -> None:
    assert instance.slots(30) == {"blue": 30}
    started = time.monotonic()
    generation = instance.weigh(0, 100)
    instance.await_that("green", lambda: instance.slots(1)["green"])
    assert time.monotonic() - started >= instance.delay_s
    instance.await_programmed(generation)
    assert instance.slots(30) == {"green": 30}
    instance.await_programmed(instance.weigh(50, 50))
    assert_share("50 to 50", lambda count: instance.slots(count)["green"], 400, 0.5)
    instance.await_programmed(instance.weigh(0, 0))
    status, headers = instance.get()
    assert (status, headers["X-Gateway-Reason"]) == (503, "no-weight")


def assert_nothing_failed(summary: dict[str, Any]) -> None:
    """Requests were sent all the time, and every one was answered."""
    assert (summary["failures"], summary["failed"]) == ({}, 0)
    # On a busy machine the generator may be behind its schedule when it is ended.
    assert summary["sent"] >= summary["due"] / 2 > 0


def test_scaling_the_unweighted_slot_away_under_load_fails_nothing(instance: Any, tmp_path: Path) -> None:
    with instance.load(tmp_path / "ledger.jsonl") as summary:
        instance.await_programmed(instance.weigh(0, 100))
        instance.scale("blue", 0)
        instance.await_pods("blue", 0)
        instance.scale("blue", 2)
        instance.await_pods("blue", 2)
        time.sleep(1)  # of load after the last change
    assert_nothing_failed(summary)


def test_scaling_down_a_slot_that_serves_fails_nothing(instance: Any, tmp_path: Path) -> None:
    """The pod that goes is drained by the gateway while its preStop hook runs."""
    with instance.load(tmp_path / "ledger.jsonl") as summary:
        instance.scale("blue", 1)
        instance.await_pods("blue", 1)
        time.sleep(1)  # of load after the last change
    assert_nothing_failed(summary)


def test_a_killed_controller_drops_nothing_and_its_successor_takes_over(instance: Any, tmp_path: Path) -> None:
    before = instance.haproxy.processes()
    with instance.load(tmp_path / "ledger.jsonl") as summary:
        instance.kill()
        generation = instance.weigh(0, 100)
        time.sleep(2 * instance.delay_s)  # as long as a controller would have needed
        assert instance.slots(5) == {"blue": 5}, "HAProxy serves on with the last state"
        instance.start()
        instance.await_programmed(generation)
        assert instance.slots(5) == {"green": 5}
    assert_nothing_failed(summary)
    assert instance.haproxy.processes() == before, "the same HAProxy, not even reloaded"


def test_traffic_goes_on_without_the_api_server(instance: Any, tmp_path: Path) -> None:
    with instance.load(tmp_path / "ledger.jsonl") as summary:
        instance.relay.cut()
        generation = instance.weigh(0, 100)
        time.sleep(3 * instance.delay_s)
        assert instance.slots(5) == {"blue": 5}
        instance.await_that("healthy nevertheless", instance.healthy)
        instance.relay.mend()
        instance.await_programmed(generation)
        assert instance.slots(5) == {"green": 5}
    assert_nothing_failed(summary)


def test_a_start_without_the_api_server_serves_the_last_state(instance: Any) -> None:
    instance.relay.cut()
    instance.kill()
    for process in instance.haproxy.processes():
        os.kill(process.pid, signal.SIGKILL)
    instance.start()
    instance.await_that("blue again", lambda: reachable(instance) and instance.slots(1)["blue"])
    instance.relay.mend()
    instance.await_programmed(instance.weigh(0, 100))
    assert instance.slots(5) == {"green": 5}


def reachable(instance: Any) -> bool:
    try:
        return instance.get()[0] == 200
    except OSError:
        return False


def programmed(instance: Any, name: str, status: str) -> dict[str, Any] | None:
    """A route's conditions once HAProxy does what its status says, or once it is said that it does not."""
    found = instance.conditions(name)
    return found if found.get("Programmed", {}).get("status") == status else None


def test_a_missing_service_and_a_hostname_conflict_show_in_the_status(instance: Any) -> None:
    instance.cluster.call("POST", instance.route_path, instance.route("broken", ["broken.lab"], {"nowhere": 1}))
    instance.cluster.call("POST", instance.route_path, instance.route("second", [instance.host], {"green": 1}))
    try:
        broken = instance.await_that("broken is programmed", lambda: programmed(instance, "broken", "True"))
        assert (broken["Accepted"]["status"], broken["ResolvedRefs"]["reason"]) == ("True", "BackendNotFound")
        status, headers = instance.get(host="broken.lab")
        assert (status, headers["X-Gateway-Reason"]) == (500, "backend-not-found")
        second = instance.await_that("status of second", lambda: programmed(instance, "second", "False"))
        assert (second["Accepted"]["status"], second["Accepted"]["reason"]) == ("False", "HostnameConflict")
        assert instance.slots(5) == {"blue": 5}
        instance.cluster.remove(f"{instance.route_path}/shop")
        instance.await_that("second takes the hostname over", lambda: programmed(instance, "second", "True"))
        assert instance.slots(5) == {"green": 5}
    finally:
        instance.cluster.remove(f"{instance.route_path}/broken")
        instance.cluster.remove(f"{instance.route_path}/second")
        with contextlib.suppress(client.ApiException):
            instance.cluster.call(
                "POST", instance.route_path, instance.route("shop", [instance.host], {"blue": 100, "green": 0})
            )


def test_gateway_and_class_status(instance: Any) -> None:
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{instance.name}/gateways/front"

    def all_true() -> Any:
        item = instance.cluster.call("GET", path)
        states = {each["type"]: each["status"] for each in (item.get("status") or {}).get("conditions") or ()}
        return item if states == {"Accepted": "True", "Programmed": "True"} else None

    gateway = instance.await_that("the Gateway is accepted and programmed", all_true)
    found = {item["type"]: item for item in gateway["status"]["conditions"]}
    assert found["Programmed"]["observedGeneration"] == gateway["metadata"]["generation"]
    item = instance.cluster.call("GET", f"{instance.class_path}/{instance.name}")
    assert item["status"]["conditions"][0]["status"] == "True"


def test_metrics_tell_of_syncs_and_reloads(instance: Any) -> None:
    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{instance.health}/metrics", timeout=5) as reply:
            return reply.read().decode()

    text = metrics()
    for name in ("syncs_total", "sync_duration_seconds_count", "propagation_seconds_count", "runtime_commands_total"):
        assert f"churnguard_gateway_{name}" in text
    # A worker that a reload replaced stays until its last connection ends.
    instance.await_that("one worker", lambda: "churnguard_gateway_haproxy_workers 1.0" in metrics())


def test_the_end_of_the_controller_ends_haproxy_unless_told_otherwise(instance: Any) -> None:
    assert instance.terminate() == 0
    assert instance.haproxy.processes() == []
    instance.start("--keep-haproxy")
    instance.await_that("healthy", instance.healthy)
    kept = instance.haproxy.processes()
    assert instance.terminate() == 0
    assert instance.haproxy.processes() == kept
    environment = Path(f"/proc/{kept[0].pid}/environ").read_text(encoding="utf-8")
    assert f"CHURNGUARD_LAB={instance.directory}" in environment
