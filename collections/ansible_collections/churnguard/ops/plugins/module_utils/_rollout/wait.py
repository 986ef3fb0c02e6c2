# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a slot ready, coming, or beyond hope? Predicates over API objects, no I/O. Internal: may change in any release.

Ready is judged as kubectl does (generation, updatedReplicas, availableReplicas), and unlike kubectl and
kubernetes.core a state that cannot get better by itself ends the wait at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .._common.clock import parse_time
from .._common.waiting import DONE, FAILED, PENDING, Finding

# Waiting reasons that the kubelet only gives after it has tried and failed (ErrImagePull alone may be a hiccup;
# ImagePullBackOff is the second failure).
_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)

_ENDED = frozenset({"Succeeded", "Failed"})


def deployment_finding(
    deployment: dict[str, Any] | None,
    pods: list[dict[str, Any]],
    since: datetime | None = None,
    enough: int | None = None,
) -> Finding:
    """The state of a Deployment that should be fully available; C(pods) are those of its selector.

    With C(enough) that many replicas will do: what an autoscaler adds beyond the size that a release needs takes its
    time without holding the release up.

    Conditions older than C(since) belong to what the slot ran before: the deployment controller leaves
    ProgressDeadlineExceeded standing until the new pods make progress.
    """
    if deployment is None:
        return Finding(FAILED, "the Deployment does not exist")
    name = deployment["metadata"]["name"]
    spec = deployment["spec"]
    status = deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    if spec.get("paused"):
        return Finding(FAILED, f"Deployment {name} is paused, so it will not bring up the new pods")
    if wanted == 0:
        return Finding(FAILED, f"Deployment {name} is scaled to 0")
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Finding(PENDING, f"0/{wanted} ready, the deployment controller has not seen the change yet")
    current = _current(deployment, pods)
    waiting = _waiting_reason(current)
    hopeless = _hopeless_pod(current) or _also(_hopeless_condition(name, status, since), waiting)
    if hopeless:
        return Finding(FAILED, hopeless)
    updated = status.get("updatedReplicas", 0)
    total = status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    needed = wanted if enough is None else min(wanted, enough)
    if updated >= needed and total == updated and available >= needed:
        return Finding(DONE, f"{available}/{wanted} ready")
    detail = f"{min(available, updated)}/{wanted} ready"
    if updated < wanted:
        detail += f", {updated} updated"
    if total > updated:
        detail += f", {total - updated} old pods still there"
    return Finding(PENDING, _also(detail, waiting))


def gone_finding(pods: list[dict[str, Any]]) -> Finding:
    """Whether every pod of a retired slot has ended. Evicted pods have, although nobody deletes their objects."""
    names = sorted(p["metadata"]["name"] for p in pods if (p.get("status") or {}).get("phase") not in _ENDED)
    if not names:
        return Finding(DONE, "all pods have ended")
    return Finding(PENDING, f"{len(names)} still ending: {', '.join(names)}")


def newest_warning(events: list[dict[str, Any]], workload: str, since: datetime) -> str:
    """What the newest warning event about a pod of C(workload) since then says; empty if there is none."""
    about = [
        (at, event)
        for event in events
        if event["involvedObject"].get("name", "").startswith(f"{workload}-")
        and (at := event.get("lastTimestamp") or event.get("eventTime"))
        and parse_time(at) >= since - timedelta(seconds=1)
    ]
    if not about:
        return ""
    _at, newest = max(about, key=lambda item: parse_time(item[0]))
    return f"{newest.get('reason')}: {str(newest.get('message', '')).strip()}"


def _also(text: str, more: str) -> str:
    """Both, if there are both; a condition's message may end in a full stop."""
    return f"{text.rstrip('.')}; {more}" if text and more else text.rstrip(".")


def _hopeless_condition(name: str, status: dict[str, Any], since: datetime | None) -> str:
    for condition in status.get("conditions") or []:
        kind, value = condition["type"], condition["status"]
        updated = condition.get("lastUpdateTime")
        # Kubernetes keeps whole seconds, hence the second of grace.
        if since is not None and updated and parse_time(updated) < since - timedelta(seconds=1):
            continue
        if kind == "Progressing" and value == "False":
            return f"Deployment {name}: {condition.get('reason')}: {condition.get('message')}"
        if kind == "ReplicaFailure" and value == "True":
            return f"Deployment {name}: {condition.get('reason')}: {condition.get('message')}"
    return ""


def _current(deployment: dict[str, Any], pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pods of the present version that are not on their way out: a slot is used again and again, and the last
    one's crashed pods say nothing about this one."""
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and labels.items() <= (pod["metadata"].get("labels") or {}).items()
        and annotations.items() <= (pod["metadata"].get("annotations") or {}).items()
    ]


def _hopeless_pod(pods: list[dict[str, Any]]) -> str:
    for pod in pods:
        for container in _container_statuses(pod):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _HOPELESS:
                return _describe(pod, container, waiting)
    return ""


def _describe(pod: dict[str, Any], container: dict[str, Any], waiting: dict[str, Any]) -> str:
    text = f"pod {pod['metadata']['name']}, container {container['name']}: {waiting['reason']}"
    if waiting.get("message"):
        text += f": {waiting['message']}"
    last = (container.get("lastState") or {}).get("terminated")
    if last:
        text += f"; it last ended with exit code {last.get('exitCode')} ({last.get('reason')})"
        if last.get("message"):
            text += f", saying: {last['message'].strip()}"
    return text


def _waiting_reason(pods: list[dict[str, Any]]) -> str:
    """Why a pod is not ready yet, if one says so."""
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                text = f"pod {pod['metadata']['name']} is {condition.get('reason')}: {condition.get('message')}"
                return text.rstrip(".")
        for container in _container_statuses(pod):
            waiting = (container.get("state") or {}).get("waiting")
            if waiting:
                return f"pod {pod['metadata']['name']}: {waiting.get('reason')}"
            if not container.get("ready"):
                return f"pod {pod['metadata']['name']} runs but is not ready"
    return ""


def _container_statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
