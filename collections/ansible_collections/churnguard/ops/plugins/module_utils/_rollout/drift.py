# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else has changed under a rollout in flight, and who. Pure but for C(look). Internal: may change in
any release."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .._kubernetes.connection import FIELD_MANAGER
from . import autoscaler
from .api import RolloutApi
from .manifest import slot_selector
from .model import ANNOTATION_HASH, HTTP_ROUTE, ROLLING_BACK, STEP_DONE, STEP_PENDING, Release, Rollout, Target
from .routing import RouterProblem, describe, read_split
from .strategies import HOLD_SIZE, RELEASE_SIZE, RETIRE, START, UPDATE

# The autoscaler writes replicas under the name of the process that it runs in.
_CONTROLLER = "kube-controller-manager"


@dataclass(frozen=True)
class Drift:
    """One field that is not as the journal allows. C(manager) and C(time) are of the field's last writer by the
    object's managedFields, empty if those do not tell: of a write through the scale subresource the API server notes
    no time."""

    object: str
    field: str
    found: Any
    expected: Any
    manager: str = ""
    time: str = ""

    def __str__(self) -> str:
        when = f" at {self.time}" if self.time else ""
        by = f" (written by field manager {self.manager}{when})" if self.manager else ""
        return f"{self.object}: {self.field} is {self.found} where the journal allows {self.expected}{by}"


@dataclass
class Seen:
    """One look at what a rollout stands on. Slots map to objects; None is absent."""

    router: dict[str, Any] | None
    services: dict[str, dict[str, Any] | None]
    deployments: dict[str, dict[str, Any] | None]
    autoscalers: list[dict[str, Any]]


def look(api: RolloutApi, target: Target, rollout: Rollout) -> list[Drift]:
    """Read everything once, six requests, and say what somebody else has changed."""
    seen = Seen(
        router=api.get_router(),
        services={slot: api.get_service(slot) for slot in target.slots},
        deployments={slot: api.get_deployment(slot) for slot in target.slots},
        autoscalers=api.list_autoscalers() if _step_done(rollout, HOLD_SIZE) or rollout.autoscalers else [],
    )
    return find_drift(rollout, seen, target)


def find_drift(rollout: Rollout, seen: Seen, target: Target) -> list[Drift]:
    """Everything in C(seen) that neither the journal nor a held autoscaler explains."""
    found = _router_drift(rollout, seen.router, target)
    for slot in target.slots:
        found += _service_drift(seen.services[slot], slot, target)
    for release in _watched(rollout):
        found += _deployment_drift(rollout, release, seen, target)
    return found + _autoscaler_drift(rollout, seen.autoscalers)


def remember_template(rollout: Rollout, deployment: dict[str, Any] | None) -> None:
    """Note in C(rollout) what the slot of C(deployment) runs, as the API server keeps it, defaults and all."""
    if deployment is not None:
        rollout.templates[deployment["spec"]["selector"]["matchLabels"]["slot"]] = template_digest(deployment)


def template_digest(deployment: dict[str, Any]) -> str:
    """Identifies the live pod template."""
    canonical = json.dumps(deployment["spec"]["template"], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def last_writer(obj: dict[str, Any], *path: str) -> tuple[str, str]:
    """Manager and time of whoever wrote the field at C(path) last, or something below it; others before us, since
    our own write is no news. Two empty strings if managedFields do not tell."""
    writers = []
    for entry in obj["metadata"].get("managedFields") or []:
        node: Any = entry.get("fieldsV1") or {}
        for step in path:
            node = node.get(f"f:{step}") if isinstance(node, dict) else None
        if node is not None:
            manager = str(entry.get("manager", "unknown"))
            writers.append((manager != FIELD_MANAGER, str(entry.get("time", "")), manager))
    if not writers:
        return "", ""
    _other, time, manager = max(writers)
    return manager, time


# -- the router and the Services -----------------------------------------------------------------------------------


def _router_drift(rollout: Rollout, router: dict[str, Any] | None, target: Target) -> list[Drift]:
    name = f"{target.router_kind} {target.router_name}"
    sides = " or ".join(describe(side) for side in rollout.sides)
    if router is None:
        return [Drift(name, "object", "absent", "present")]
    # The rules of a route are atomic to the API server: it names no owner for anything inside them.
    field = "rules" if target.router_kind == HTTP_ROUTE else "selector"
    writer = last_writer(router, "spec", field)
    try:
        split = read_split(router, target)
    except RouterProblem as error:
        return [Drift(name, f"spec.{field}", str(error), sides, *writer)]
    if split in rollout.sides:
        return []
    return [Drift(name, f"spec.{field}", describe(split), sides, *writer)]


def _service_drift(service: dict[str, Any] | None, slot: str, target: Target) -> list[Drift]:
    name = f"Service {target.workload(slot)}"
    if service is None:
        return [Drift(name, "object", "absent", "present")]
    selector, wanted = service["spec"].get("selector"), slot_selector(target, slot)
    if selector == wanted:
        return []
    return [Drift(name, "spec.selector", selector, wanted, *last_writer(service, "spec", "selector"))]


# -- the Deployments -----------------------------------------------------------------------------------------------


def _watched(rollout: Rollout) -> list[Release]:
    """The releases whose Deployments have to be as the journal says. While a rollout is taken back its candidate is
    not among them: it may be half written, and is on its way out."""
    candidate, previous = rollout.candidate, rollout.previous
    if rollout.phase == ROLLING_BACK:
        started = previous is not None and all(
            step.status == STEP_DONE
            for step in rollout.steps
            if step.name in (START, UPDATE) and step.slot == previous.slot
        )
        return [previous] if previous is not None and started else []
    written = _step_done(rollout, START, candidate.slot) or _step_done(rollout, UPDATE, candidate.slot)
    releases = [candidate] if written else []
    return releases if previous is None or previous.slot == candidate.slot else [*releases, previous]


def _deployment_drift(rollout: Rollout, release: Release, seen: Seen, target: Target) -> list[Drift]:
    name = f"Deployment {target.workload(release.slot)}"
    deployment = seen.deployments[release.slot]
    if deployment is None:
        return [Drift(name, "object", "absent", "present")]
    found = []
    digest = (deployment["metadata"].get("annotations") or {}).get(ANNOTATION_HASH, "")
    if digest != release.content_hash:
        writer = last_writer(deployment, "metadata", "annotations", ANNOTATION_HASH)
        found.append(Drift(name, "content hash", digest or "absent", release.content_hash or "absent", *writer))
    template, known = template_digest(deployment), rollout.templates.get(release.slot)
    if known and template != known:
        writer = last_writer(deployment, "spec", "template")
        found.append(Drift(name, "spec.template", f"another one ({template})", known, *writer))
    if deployment["spec"].get("paused"):
        found.append(Drift(name, "spec.paused", True, False, *last_writer(deployment, "spec", "paused")))
    return found + _size_drift(rollout, release, deployment, seen.autoscalers, target)


def _size_drift(
    rollout: Rollout, release: Release, deployment: dict[str, Any], hpas: list[dict[str, Any]], target: Target
) -> list[Drift]:
    if any(s.name == RETIRE and s.slot == release.slot and s.status != STEP_PENDING for s in rollout.steps):
        return []
    mine = [hpa for hpa in hpas if autoscaler.scaled_slot(hpa, target) == release.slot]
    low, high = _allowed(release, mine)
    size = deployment["spec"].get("replicas", 1)
    if low <= size <= high:
        return []
    manager, time = last_writer(deployment, "spec", "replicas")
    if mine and manager == _CONTROLLER:
        # The autoscaler had not seen the hold yet; it will at its next look.
        return []
    allowed = str(low) if low == high else f"{low} to {high}"
    return [Drift(f"Deployment {deployment['metadata']['name']}", "spec.replicas", size, allowed, manager, time)]


def _allowed(release: Release, hpas: list[dict[str, Any]]) -> tuple[int, int]:
    """Fewest and most replicas that are nobody's fault. An autoscaler that something else writes (KEDA) may go to 0."""
    if not hpas:
        return release.replicas, release.replicas
    lows = [0 if autoscaler.master_of(hpa) else hpa["spec"].get("minReplicas", 1) for hpa in hpas]
    return min(*lows, release.replicas), max(*(hpa["spec"]["maxReplicas"] for hpa in hpas), release.replicas)


# -- the autoscalers -----------------------------------------------------------------------------------------------


def _autoscaler_drift(rollout: Rollout, hpas: list[dict[str, Any]]) -> list[Drift]:
    """Held fields that hold no longer. Nothing is said while they are being put back."""
    if any(step.name == RELEASE_SIZE and step.status != STEP_PENDING for step in rollout.steps):
        return []
    live = {hpa["metadata"]["name"]: hpa for hpa in hpas}
    found = []
    for entry in rollout.autoscalers:
        name = f"HorizontalPodAutoscaler {entry['name']}"
        hpa = live.get(entry["name"])
        if hpa is None:
            found.append(Drift(name, "object", "absent", "present"))
            continue
        for field, held in entry["held"].items():
            value = hpa["spec"].get(field)
            if value not in (held, entry["from"].get(field, held)):
                found.append(Drift(name, f"spec.{field}", value, held, *last_writer(hpa, "spec", field)))
    return found


def _step_done(rollout: Rollout, name: str, slot: str = "") -> bool:
    return any(step.name == name and step.status == STEP_DONE and slot in ("", step.slot) for step in rollout.steps)
