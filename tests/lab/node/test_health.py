"""The agent's health, and the node's own objects."""

from __future__ import annotations

import pytest
from churnguard_lab.node.events import Event, event_body
from churnguard_lab.node.health import health
from churnguard_lab.node.heartbeat import CAPACITY, lease_body, node_status


@pytest.mark.parametrize(
    ("synced", "renewed", "alive", "problem"),
    [
        (None, 1.0, True, "the pods have not been listed yet"),
        (1.0, None, True, "the node is not registered yet"),
        (1.0, 1.0, False, "the loop that follows the API server has ended"),
    ],
)
def test_problems(synced: float | None, renewed: float | None, alive: bool, problem: str) -> None:
    healthy, report = health(10.0, synced, renewed, alive, 0)
    assert not healthy
    assert (report["status"], report["problems"]) == ("unhealthy", [problem])


def test_an_api_server_that_is_away_does_not_make_the_agent_unhealthy() -> None:
    healthy, report = health(1000.0, 1.0, 1.0, True, 3)
    assert healthy
    assert (report["pods"], report["lease_age_s"], report["sync_age_s"]) == (3, 999.0, 999.0)


def test_the_node_is_ready_and_roomy() -> None:
    status = node_status("n", 1_800_000_000, 1_799_999_000)
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert ready["status"] == "True"
    assert ready["lastHeartbeatTime"] > ready["lastTransitionTime"]
    assert status["allocatable"] == CAPACITY
    assert status["addresses"][0] == {"type": "InternalIP", "address": "127.0.0.1"}


def test_lease_times_have_microseconds() -> None:
    assert lease_body("n", 1_800_000_000.25)["spec"]["renewTime"] == "2027-01-15T08:00:00.250000Z"


def test_an_event_names_pod_and_container() -> None:
    event = Event("shop", "api-1", "u1", "Warning", "BackOff", "x" * 5000, "api")
    body = event_body(event, "n", 1_800_000_000)
    assert body["involvedObject"]["fieldPath"] == "spec.containers{api}"
    assert body["involvedObject"]["uid"] == "u1"
    assert len(body["message"]) == 1024
