# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small builders of API objects, journals and wishes. Each returns a fresh object that a test may change."""

from __future__ import annotations

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._rollout.manifest import content_hash, slot_deployment
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import (
    Desired,
    Journal,
    Observed,
    Pace,
    Release,
    Rollout,
    Step,
    Target,
)

APP, NAMESPACE = "churnguard-api", "churnguard-test"
BLUE, GREEN = "blue", "green"
ALL_BLUE, ALL_GREEN = {BLUE: 100, GREEN: 0}, {BLUE: 0, GREEN: 100}


def target(kind: str = "HTTPRoute") -> Target:
    name = APP if kind == "HTTPRoute" else "churnguard-service"
    return Target(APP, NAMESPACE, (BLUE, GREEN), kind, name)


def manifest(version: str = "v1", replicas: int = 2, image: str = "ok") -> dict[str, Any]:
    """The Deployment that a user writes. In the fake cluster the image says how its pods behave."""
    container = {"name": "api", "image": f"churnguard/{image}:{version}", "ports": [{"containerPort": 5000}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
    }


def release(slot: str = BLUE, version: str = "v1", replicas: int = 2, image: str = "ok") -> Release:
    return Release(slot, version, content_hash(manifest(version, image=image), version), replicas)


def deployment(slot: str = BLUE, version: str = "v1", replicas: int = 2, image: str = "ok") -> dict[str, Any]:
    """A slot's live Deployment, wholly ready."""
    obj = slot_deployment(manifest(version, image=image), target(), release(slot, version, replicas, image))
    obj["metadata"].update(resourceVersion="10", generation=3)
    obj["status"] = {
        "observedGeneration": 3,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": [],
    }
    return obj


def autoscaler(slot: str = BLUE, least: int | None = 2, most: int = 20, name: str = "") -> dict[str, Any]:
    """A slot's HorizontalPodAutoscaler as the manifests make it: applied by churnguard-ops."""
    workload = f"{APP}-{slot}"
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
        "maxReplicas": most,
    }
    if least is not None:
        spec["minReplicas"] = least
    owned = {
        "manager": "churnguard-ops",
        "operation": "Apply",
        "apiVersion": "autoscaling/v2",
        "time": "2026-11-20T08:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {f"f:{field}": {} for field in spec}},
    }
    metadata = {"name": name or workload, "namespace": NAMESPACE, "resourceVersion": "13", "managedFields": [owned]}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def service(slot: str = BLUE, name: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name or f"{APP}-{slot}", "namespace": NAMESPACE, "resourceVersion": "11"},
        "spec": {"selector": {"app": APP, "slot": slot}},
    }


def written_by(obj: dict[str, Any], manager: str, fields: dict[str, Any]) -> dict[str, Any]:
    """C(obj) with an entry of managedFields, C(fields) in the form of fieldsV1."""
    obj["metadata"]["managedFields"] = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    return obj


def weighted(split: dict[str, int]) -> list[dict[str, Any]]:
    return [{"name": f"{APP}-{slot}", "port": 80, "weight": weight} for slot, weight in split.items()]


def route(split: dict[str, int] | None = None, accepted: bool = True) -> dict[str, Any]:
    """An HTTPRoute as the manifests make it: a pinned rule for each slot, then the weighted one."""
    pinned = [
        {
            "matches": [{"headers": [{"name": "x-churnguard-slot", "value": slot}]}],
            "backendRefs": [{"name": f"{APP}-{slot}", "port": 80}],
        }
        for slot in (BLUE, GREEN)
    ]
    obj = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": APP, "namespace": NAMESPACE, "resourceVersion": "12", "generation": 4},
        "spec": {"rules": [*pinned, {"backendRefs": weighted(ALL_BLUE if split is None else split)}]},
        "status": {"parents": []},
    }
    if accepted:
        obj["status"]["parents"] = [parent(4)]
    return obj


def parent(generation: int, **conditions: str) -> dict[str, Any]:
    """A gateway's answer about a route; C(conditions) maps types to status, Accepted and ResolvedRefs by default."""
    return {
        "controllerName": "churnguard.ops/lab-gateway",
        "conditions": [
            {"type": kind, "status": value, "observedGeneration": generation, "reason": "Why", "message": "text"}
            for kind, value in (conditions or {"Accepted": "True", "ResolvedRefs": "True"}).items()
        ],
    }


def public_service(slot: str = BLUE) -> dict[str, Any]:
    return service(slot, "churnguard-service")


def router(kind: str, slot: str) -> dict[str, Any]:
    """A router of either kind that sends everything to C(slot)."""
    return public_service(slot) if kind == "Service" else route({s: 100 if s == slot else 0 for s in (BLUE, GREEN)})


def pod(name: str = "p1", version: str = "v1", slot: str = BLUE, **status: Any) -> dict[str, Any]:
    labels = {"app": APP, "slot": slot, "version": version}
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "status": status}


def wish(version: str = "v2", **changes: Any) -> Desired:
    """What a user asks for: by default, to ship v2."""
    image = changes.pop("image", "ok")
    wanted = {
        "state": "present",
        "strategy": "blue_green",
        "version": version,
        "deployment": manifest(version, image=image),
        "content_hash": content_hash(manifest(version, image=image), version),
        "replicas": None,
        "on_unfinished": "resume",
        "pace": Pace(bake_seconds=changes.pop("bake_seconds", 30.0), **changes.pop("pace", {})),
    }
    if changes.get("state", "present") != "present":
        wanted.update(version="", deployment={}, content_hash="")
    return Desired(**{**wanted, **changes})


def journal(stable: Release | None = None, previous: Release | None = None, rollout: Rollout | None = None) -> Journal:
    """A journal with the manifests that belong to it."""
    known = {"stable": stable, "previous": previous, "candidate": rollout.candidate if rollout else stable}
    manifests = {name: manifest(one.version) for name, one in known.items() if one is not None}
    return Journal(stable=stable, previous=previous, rollout=rollout, manifests=manifests)


def rollout(steps: list[Step], **changes: Any) -> Rollout:
    """v2 into green while v1 is stable in blue, not begun."""
    fields: dict[str, Any] = {
        "id": "cafe0001",
        "operation": "deploy",
        "strategy": "blue_green",
        "candidate": release(GREEN, "v2"),
        "previous": release(BLUE, "v1"),
        "phase": "running",
        "steps": steps,
        "sides": [dict(ALL_BLUE)],
        "started": "2026-11-21T19:00:00.000Z",
        "holder": "somebody@somewhere (process 1)",
    }
    return Rollout(**{**fields, **changes})


def observed(split: dict[str, int] | None = None, book: Journal | None = None, **changes: Any) -> Observed:
    """v1 is live in blue, green is empty, everything else is in order."""
    fields: dict[str, Any] = {
        "journal": book if book is not None else journal(stable=release()),
        "deployments": {BLUE: deployment(), GREEN: None},
        "services": {BLUE: service(BLUE), GREEN: service(GREEN)},
        "router": route(split),
    }
    return Observed(**{**fields, **changes})
