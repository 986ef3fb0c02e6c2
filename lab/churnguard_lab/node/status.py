"""A pod's status from the states of its containers, without I/O: phase, conditions, container statuses."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

WAITING, RUNNING, TERMINATED = "waiting", "running", "terminated"
#: Conditions that this node writes; all others in a pod's status belong to others.
OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


@dataclasses.dataclass
class Termination:
    """How one run of a container ended. Times are unix seconds; started_at is None when it never ran."""

    exit_code: int
    reason: str
    finished_at: float
    started_at: float | None = None
    message: str = ""
    container_id: str = ""


@dataclasses.dataclass
class ContainerState:
    """What is known of one container; exactly one of waiting, running and terminated, by `phase`."""

    name: str
    image: str
    image_id: str = ""
    phase: str = WAITING
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: float | None = None
    container_id: str = ""
    terminated: Termination | None = None
    last: Termination | None = None
    restart_count: int = 0
    ready: bool = False
    started: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it ended, for now, with exit code 0."""
        return self.phase == TERMINATED and self.terminated is not None and self.terminated.exit_code == 0


@dataclasses.dataclass(frozen=True)
class PodFacts:
    """What a pod's status is made of besides its containers. start_time: unix seconds."""

    pod_ip: str
    host_ip: str
    start_time: float
    sandbox: bool = True
    deleting: bool = False


def timestamp(seconds: float) -> str:
    """Unix seconds as the API's RFC 3339 text, whole seconds."""
    moment = datetime.datetime.fromtimestamp(int(seconds), tz=datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> float:
    """Unix seconds from the API's RFC 3339 text."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def pod_status(
    pod: Mapping[str, Any],
    init: Sequence[ContainerState],
    main: Sequence[ContainerState],
    facts: PodFacts,
    now: float,
) -> dict[str, Any]:
    """The status to write: this node's fields only. `now` dates the conditions that change."""
    spec = pod["spec"]
    phase = pod_phase(spec.get("restartPolicy", "Always"), init, main, facts.deleting)
    status: dict[str, Any] = {
        "phase": phase,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": timestamp(facts.start_time),
        "conditions": conditions(pod, init, main, facts, phase, now),
        "containerStatuses": [container_status(state) for state in main],
    }
    if init:
        status["initContainerStatuses"] = [container_status(state) for state in init]
    if facts.sandbox:
        status["podIP"] = facts.pod_ip
        status["podIPs"] = [{"ip": facts.pod_ip}]
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    return status


def pod_phase(
    policy: str, init: Sequence[ContainerState], main: Sequence[ContainerState], deleting: bool = False
) -> str:
    """Pending, Running, Succeeded or Failed, by the kubelet's rules."""
    if any(_failed_for_good(state, policy, deleting) for state in init):
        return "Failed"
    if not initialized(init) and not any(_has_run(state) for state in main):
        return "Pending"
    if any(state.phase == RUNNING for state in main):
        return "Running"
    if any(state.phase == WAITING and not _has_run(state) for state in main):
        return "Pending"
    ended = all(state.phase == TERMINATED for state in main)
    if not ended:
        return "Running"
    if deleting or policy == "Never" or (policy == "OnFailure" and all(state.succeeded for state in main)):
        return "Succeeded" if all(state.succeeded for state in main) else "Failed"
    return "Running"


def initialized(init: Sequence[ContainerState]) -> bool:
    """Whether all init containers have ended well."""
    return all(state.succeeded for state in init)


def conditions(
    pod: Mapping[str, Any],
    init: Sequence[ContainerState],
    main: Sequence[ContainerState],
    facts: PodFacts,
    phase: str,
    now: float,
) -> list[dict[str, Any]]:
    """This node's conditions; one that did not change keeps its transition time."""
    present = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or ()}
    over = phase in ("Succeeded", "Failed")
    unready = [state.name for state in main if not state.ready]
    waiting = [state.name for state in init if not state.succeeded]
    if over:
        containers = ("False", "PodCompleted" if phase == "Succeeded" else "PodFailed", "")
    elif unready:
        containers = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        containers = ("True", "", "")
    ready = containers
    closed = [
        gate["conditionType"]
        for gate in pod["spec"].get("readinessGates") or ()
        if (present.get(gate["conditionType"]) or {}).get("status") != "True"
    ]
    if containers[0] == "True" and closed:
        ready = ("False", "ReadinessGatesNotReady", f"readiness gates not passed: [{' '.join(closed)}]")
    if waiting and not over:
        message = f"containers with incomplete status: [{' '.join(waiting)}]"
        initial = ("False", "ContainersNotInitialized", message)
    else:
        initial = ("True", "PodCompleted" if phase == "Succeeded" else "", "")
    sandbox = ("True" if facts.sandbox and not over else "False", "", "")
    wanted = dict(zip(OWN_CONDITIONS, (sandbox, initial, ready, containers), strict=True))
    return [_condition(kind, values, present.get(kind), now) for kind, values in wanted.items()]


def container_status(state: ContainerState) -> dict[str, Any]:
    """One entry of containerStatuses."""
    if state.phase == RUNNING:
        current: dict[str, Any] = {RUNNING: {"startedAt": timestamp(state.started_at or 0)}}
    elif state.phase == TERMINATED and state.terminated is not None:
        current = {TERMINATED: _termination(state.terminated)}
    else:
        current = {WAITING: _without_empty({"reason": state.reason, "message": state.message})}
    return {
        "name": state.name,
        "image": state.image,
        "imageID": state.image_id,
        "containerID": state.container_id,
        "ready": state.ready,
        "started": state.started,
        "restartCount": state.restart_count,
        "state": current,
        "lastState": {TERMINATED: _termination(state.last)} if state.last else {},
    }


def differs(wanted: Any, present: Any) -> bool:
    """Whether the API server's status lacks anything of `wanted`; what it has beyond that does not count.

    Conditions are compared by type, since others write theirs into the same list.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(present, Mapping):
            return bool(wanted)
        return any(_entry_differs(key, value, present.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(present, list) or len(wanted) != len(present):
            return True
        return any(differs(left, right) for left, right in zip(wanted, present, strict=True))
    return wanted != present and not (wanted in ("", None) and present in ("", None))


def _entry_differs(key: str, wanted: Any, present: Any) -> bool:
    if key == "conditions":
        by_type = {item["type"]: item for item in present or ()}
        return any(differs(item, by_type.get(item["type"], {})) for item in wanted)
    if key in ("state", "lastState") and set(wanted) != set(present or {}):
        return True
    return differs(wanted, present)


def _condition(
    kind: str, values: tuple[str, str, str], present: Mapping[str, Any] | None, now: float
) -> dict[str, Any]:
    status, reason, message = values
    unchanged = present is not None and present.get("status") == status
    moment = present["lastTransitionTime"] if unchanged and present.get("lastTransitionTime") else timestamp(now)
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": moment}


def _termination(ended: Termination) -> dict[str, Any]:
    entry = {
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "finishedAt": timestamp(ended.finished_at),
        "startedAt": None if ended.started_at is None else timestamp(ended.started_at),
        "message": ended.message,
        "containerID": ended.container_id,
    }
    return {"exitCode": entry["exitCode"]} | _without_empty(entry)


def _without_empty(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value not in ("", None)}


def _has_run(state: ContainerState) -> bool:
    return state.phase != WAITING or state.last is not None or state.restart_count > 0


def _failed_for_good(state: ContainerState, policy: str, deleting: bool) -> bool:
    failed = state.phase == TERMINATED and not state.succeeded
    return failed and (policy == "Never" or deleting)
