# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods and answered requests say about an application that lost processes. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .ledger import Ack


class Workload(NamedTuple):
    """A Deployment that serves: its name, how many pods it wants, and the labels it finds them by."""

    name: str
    replicas: int
    selector: str


class Gap(NamedTuple):
    """Requests that were not answered as they should be, one after the other: how many, from when to when (monotonic
    seconds, from the last good answer to the next)."""

    failed: int
    begin: float
    end: float


def serving(deployments: Iterable[Mapping[str, Any]]) -> list[Workload]:
    """The Deployments that want pods; the other slot of an application has none."""
    found = []
    for deployment in deployments:
        wanted = int(deployment["spec"].get("replicas") or 0)
        labels = deployment["spec"]["selector"].get("matchLabels") or {}
        if wanted and labels:
            selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
            found.append(Workload(deployment["metadata"]["name"], wanted, selector))
    return found


def unready(deployment: Mapping[str, Any]) -> str:
    """Why the Deployment is not whole; empty when every replica that it wants is up to date, ready and available."""
    status, wanted = deployment.get("status") or {}, int(deployment["spec"].get("replicas") or 0)
    name = deployment["metadata"]["name"]
    if int(status.get("observedGeneration") or 0) < int(deployment["metadata"].get("generation") or 0):
        return f"{name}: its newest state was not looked at yet"
    for field in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        has = int(status.get(field) or 0)
        if has < wanted:
            return f"{name} has {has} of {wanted} {field}"
    return ""


def containers(pods: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Container id, such as C(containerd://0ab1), -> pod, of all containers that run."""
    found = {}
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            if "running" in (status.get("state") or {}) and status.get("containerID"):
                found[status["containerID"]] = pod["metadata"]["name"]
    return found


def renewed(pods: Sequence[Mapping[str, Any]], lost: Iterable[str]) -> str:
    """Why the containers that were lost are not all replaced yet; empty when none of them is said to run any more."""
    still = sorted(set(lost) & set(containers(pods)))
    return f"{len(still)} lost containers are still said to run" if still else ""


def gaps(acks: Sequence[Ack], written: int) -> list[Gap]:
    """The runs of numbers that are missing between two good answers, and at the end."""
    found = []
    for before, after in zip(acks, acks[1:], strict=False):
        if after.seq > before.seq + 1:
            found.append(Gap(after.seq - before.seq - 1, before.acked, after.acked))
    if acks and acks[-1].seq < written:
        found.append(Gap(written - acks[-1].seq, acks[-1].acked, float("inf")))
    return found


def outage(found: Iterable[Gap], fault: float) -> float | None:
    """Seconds from the fault to the answer after the last failed request; 0 when no request failed after it, None while
    the last one has failed."""
    ends = [gap.end for gap in found if gap.end >= fault]
    if not ends:
        return 0.0
    return None if max(ends) == float("inf") else max(ends) - fault


def in_a_row(acks: Sequence[Ack], since: float) -> int:
    """How many requests in a row were answered at the end, of those sent at C(since) or later."""
    count = 0
    for number, ack in enumerate(reversed(acks)):
        if ack.sent < since or ack.seq != acks[-1].seq - number:
            break
        count += 1
    return count
