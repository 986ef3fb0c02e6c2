"""A pod's status from its containers' states."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from churnguard_lab.node.status import (
    OWN_CONDITIONS,
    RUNNING,
    TERMINATED,
    WAITING,
    ContainerState,
    PodFacts,
    Termination,
    container_status,
    differs,
    parse_timestamp,
    pod_phase,
    pod_status,
    timestamp,
)

NOW = 1_800_000_000.9
STAMP = "2027-01-15T08:00:00Z"
FACTS = PodFacts("127.0.16.1", "127.0.0.1", NOW)


def running(name: str = "c", ready: bool = True) -> ContainerState:
    return ContainerState(name, "a:1", phase=RUNNING, started_at=NOW, ready=ready, started=True)


def waiting(name: str = "c", reason: str = "ContainerCreating", crashed: bool = False) -> ContainerState:
    last = Termination(1, "Error", NOW) if crashed else None
    return ContainerState(name, "a:1", phase=WAITING, reason=reason, last=last)


def ended(code: int, name: str = "c") -> ContainerState:
    return ContainerState(name, "a:1", phase=TERMINATED, terminated=Termination(code, "x", NOW, NOW))


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize(
    ("init", "main", "phase"),
    [
        ([], [running()], "Running"),
        ([], [waiting()], "Pending"),
        ([], [running("a"), waiting("b")], "Running"),
        ([], [waiting(reason="CrashLoopBackOff", crashed=True)], "Running"),
        ([], [waiting("a"), waiting("b", crashed=True)], "Pending"),
        ([running()], [waiting()], "Pending"),
        ([ended(0)], [waiting()], "Pending"),
        ([ended(0)], [running()], "Running"),
        ([waiting(reason="ErrImagePull")], [waiting()], "Pending"),
    ],
)
def test_phase_of_pods_that_live(policy: str, init: list, main: list, phase: str) -> None:
    assert pod_phase(policy, init, main) == phase


@pytest.mark.parametrize(
    ("policy", "deleting", "init", "codes", "phase"),
    [
        ("Always", False, [], [0], "Running"),
        ("Always", False, [], [1], "Running"),
        ("Always", True, [], [0], "Succeeded"),
        ("Always", True, [], [0, 143], "Failed"),
        ("OnFailure", False, [], [0], "Succeeded"),
        ("OnFailure", False, [], [0, 1], "Running"),
        ("Never", False, [], [0, 0], "Succeeded"),
        ("Never", False, [], [0, 1], "Failed"),
        ("Never", False, [ended(1)], [], "Failed"),
        ("Always", False, [ended(1)], [], "Pending"),
        ("OnFailure", True, [ended(1)], [], "Failed"),
    ],
)
def test_phase_of_ended_pods(policy: str, deleting: bool, init: list, codes: list[int], phase: str) -> None:
    main = [ended(code, f"c{number}") for number, code in enumerate(codes)] or [waiting()]
    assert pod_phase(policy, init, main, deleting) == phase


def status(init: list, main: list, facts: PodFacts = FACTS, **pod: Any) -> dict[str, Any]:
    base = {"metadata": {"generation": 3}, "spec": {"restartPolicy": "Always"}}
    return pod_status(base | pod, init, main, facts, NOW)


def conditions(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["message"]) for item in document["conditions"]}


def test_a_running_pod() -> None:
    document = status([], [running()])
    assert (document["phase"], document["podIP"], document["podIPs"]) == (
        "Running",
        "127.0.16.1",
        [{"ip": "127.0.16.1"}],
    )
    assert (document["startTime"], document["observedGeneration"]) == (STAMP, 3)
    assert conditions(document) == dict.fromkeys(OWN_CONDITIONS, ("True", ""))
    assert "initContainerStatuses" not in document


def test_an_unready_container_is_named() -> None:
    found = conditions(status([], [running("a"), running("b", ready=False)]))
    message = "containers with unready status: [b]"
    assert (found["Ready"], found["ContainersReady"], found["Initialized"]) == (
        ("False", message),
        ("False", message),
        ("True", ""),
    )


def test_an_unfinished_init_container_is_named() -> None:
    document = status([running("first")], [waiting("c", "PodInitializing")])
    assert conditions(document)["Initialized"] == ("False", "containers with incomplete status: [first]")
    assert document["initContainerStatuses"][0]["name"] == "first"


def test_a_pod_without_its_volumes_has_no_address_yet() -> None:
    facts = PodFacts("127.0.16.1", "127.0.0.1", NOW, sandbox=False)
    document = status([], [waiting()], facts)
    assert "podIP" not in document
    assert conditions(document)["PodReadyToStartContainers"][0] == "False"


def test_readiness_gates_hold_back_ready_alone() -> None:
    spec = {"restartPolicy": "Always", "readinessGates": [{"conditionType": "x/y"}]}
    found = conditions(status([], [running()], spec=spec))
    assert (found["Ready"], found["ContainersReady"]) == (("False", "readiness gates not passed: [x/y]"), ("True", ""))
    passed = {"conditions": [{"type": "x/y", "status": "True"}]}
    assert conditions(status([], [running()], spec=spec, status=passed))["Ready"] == ("True", "")


def test_a_condition_that_did_not_change_keeps_its_time() -> None:
    old = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        {"type": "ContainersReady", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"},
    ]
    document = status([], [running()], status={"conditions": old})
    times = {item["type"]: item["lastTransitionTime"] for item in document["conditions"]}
    assert (times["Ready"], times["ContainersReady"]) == ("2020-01-01T00:00:00Z", STAMP)


def test_a_completed_pod() -> None:
    document = status([], [ended(0)], spec={"restartPolicy": "Never"})
    reasons = {item["type"]: (item["status"], item["reason"]) for item in document["conditions"]}
    assert document["phase"] == "Succeeded"
    assert reasons["Ready"] == ("False", "PodCompleted")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (running(), {"running": {"startedAt": STAMP}}),
        (waiting(), {"waiting": {"reason": "ContainerCreating"}}),
        (
            ContainerState("c", "a:1", reason="ErrImagePull", message="no such image"),
            {"waiting": {"reason": "ErrImagePull", "message": "no such image"}},
        ),
        (
            ended(0),
            {"terminated": {"exitCode": 0, "reason": "x", "finishedAt": STAMP, "startedAt": STAMP}},
        ),
    ],
)
def test_container_states(state: ContainerState, expected: dict) -> None:
    assert container_status(state)["state"] == expected


def test_the_last_run_is_reported() -> None:
    last = Termination(3, "Error", NOW, NOW, "boom", "lab://1")
    state = ContainerState("c", "a:1", phase=RUNNING, started_at=NOW, last=last, restart_count=2)
    document = container_status(state)
    assert document["lastState"]["terminated"]["message"] == "boom"
    assert document["restartCount"] == 2


def test_nothing_is_written_when_the_server_has_it_all() -> None:
    wanted = status([], [running()])
    present = copy.deepcopy(wanted) | {"qosClass": "Burstable"}
    present["conditions"].insert(0, {"type": "PodScheduled", "status": "True"})
    for item in present["conditions"]:
        item.pop("reason", None)
        item.pop("message", None)
        item["lastProbeTime"] = None
    present["containerStatuses"][0].pop("imageID")
    present["containerStatuses"][0]["resources"] = {}
    assert not differs(wanted, present)


@pytest.mark.parametrize(
    "change",
    [
        lambda present: present.pop("podIP"),
        lambda present: present.update(phase="Pending"),
        lambda present: present["containerStatuses"][0].update(ready=False),
        lambda present: present["containerStatuses"][0].update(state={"waiting": {}}),
        lambda present: present["containerStatuses"][0].update(lastState={"terminated": {"exitCode": 1}}),
        lambda present: present["containerStatuses"].append({"name": "other"}),
        lambda present: present["conditions"].pop(),
        lambda present: present["conditions"][-1].update(status="Unknown"),
        lambda present: present.clear(),
    ],
)
def test_every_difference_is_seen(change: Any) -> None:
    wanted = status([], [running()])
    present = copy.deepcopy(wanted)
    change(present)
    assert differs(wanted, present)


def test_timestamps_are_whole_seconds_both_ways() -> None:
    assert timestamp(NOW) == STAMP
    assert parse_timestamp(STAMP) == int(NOW)
