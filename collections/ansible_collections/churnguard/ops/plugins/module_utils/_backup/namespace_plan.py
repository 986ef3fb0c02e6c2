# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects as they are worth keeping: what is exported, and what of it. Pure. Internal: may change in any
release."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Groups that hold no state of their own: measurements, and events a second time.
EXCLUDED_GROUPS = frozenset(
    {"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "events.k8s.io", "authorization.k8s.io"}
)
# Kinds that controllers make again, or that only mean something while they run.
EXCLUDED_KINDS = frozenset(
    {"Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision", "PodMetrics", "LocalSubjectAccessReview"}
)
_MADE_BY_THE_CLUSTER = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
_ANNOTATIONS = (
    "control-plane.alpha.kubernetes.io/leader",
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
)


@dataclass(frozen=True)
class Resource:
    """A kind that the API server offers in namespaces, in the version it prefers."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


def exported(entry: Mapping[str, Any], group: str, excluded_kinds: Iterable[str]) -> bool:
    """Whether a resource of the API server's discovery is exported: namespaced, listable, creatable, not excluded."""
    verbs = set(entry.get("verbs") or [])
    return (
        bool(entry.get("namespaced"))
        and "/" not in entry["name"]
        and {"list", "create"} <= verbs
        and group not in EXCLUDED_GROUPS
        and entry["kind"] not in EXCLUDED_KINDS | set(excluded_kinds)
    )


def reason_to_leave_out(obj: Mapping[str, Any]) -> str:
    """Why one object is not exported; empty if it is."""
    metadata = obj["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    if owners:
        return f"made by a {owners[0].get('kind')}"
    if metadata.get("deletionTimestamp"):
        return "being deleted"
    if (obj["kind"], metadata["name"]) in _MADE_BY_THE_CLUSTER:
        return "made by the cluster in every namespace"
    if obj["kind"] == "Secret" and obj.get("type") == "kubernetes.io/service-account-token":
        return "a token of this cluster"
    return ""


def stripped(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what the server writes: status, identity, bookkeeping, and what it allocated."""
    kept = {name: value for name, value in obj.items() if name != "status"}
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _METADATA}
    annotations = {
        name: value for name, value in (metadata.pop("annotations", None) or {}).items() if name not in _ANNOTATIONS
    }
    kept["metadata"] = metadata | ({"annotations": annotations} if annotations else {})
    if isinstance(obj.get("spec"), Mapping):
        kept["spec"] = _stripped_spec(obj)
    return kept


def _stripped_spec(obj: Mapping[str, Any]) -> dict[str, Any]:
    spec = dict(obj["spec"])
    if obj["kind"] == "Service" and spec.get("clusterIP") != "None":
        for name in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            spec.pop(name, None)
    if obj["kind"] == "PersistentVolumeClaim":
        spec.pop("volumeName", None)
    if obj["kind"] == "Job" and not spec.get("manualSelector"):
        spec.pop("selector", None)
        template = dict(spec.get("template") or {})
        metadata = dict(template.get("metadata") or {})
        labels = {n: v for n, v in (metadata.get("labels") or {}).items() if not n.endswith(("controller-uid",))}
        spec["template"] = {**template, "metadata": {**metadata, "labels": labels}}
    return spec


def text_of(obj: Mapping[str, Any]) -> str:
    """An object as the text that is archived: the same for the same object."""
    return json.dumps(obj, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def member_name(obj: Mapping[str, Any]) -> str:
    """Where an object lies in the archive: C(objects/<group>/<kind>/<name>.json)."""
    group = obj["apiVersion"].rpartition("/")[0] or "core"
    return f"objects/{group}/{obj['kind']}/{obj['metadata']['name']}.json"


def counts(objects: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many objects of each kind, C(group/kind)."""
    found = Counter(f"{obj['apiVersion'].rpartition('/')[0] or 'core'}/{obj['kind']}" for obj in objects)
    return dict(sorted(found.items()))


def still_unstripped(obj: Mapping[str, Any]) -> list[str]:
    """What a stripped object may not have and has."""
    metadata = obj.get("metadata") or {}
    return [name for name in _METADATA if name in metadata] + (["status"] if "status" in obj else [])
