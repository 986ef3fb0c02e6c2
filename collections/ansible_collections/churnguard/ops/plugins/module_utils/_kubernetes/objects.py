# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of Kubernetes objects and how to read them; no I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PLURALS = {
    "ConfigMap": ("", "v1", "configmaps"),
    "Secret": ("", "v1", "secrets"),
    "Service": ("", "v1", "services"),
    "Pod": ("", "v1", "pods"),
    "Event": ("", "v1", "events"),
    "Deployment": ("apps", "v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "Lease": ("coordination.k8s.io", "v1", "leases"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
}


@dataclass(frozen=True)
class Ref:
    """One namespaced object, or with an empty name the collection of its kind."""

    kind: str
    namespace: str
    name: str = ""

    @property
    def group(self) -> str:
        return _PLURALS[self.kind][0]

    @property
    def plural(self) -> str:
        return _PLURALS[self.kind][2]

    @property
    def api_version(self) -> str:
        group, version, _plural = _PLURALS[self.kind]
        return f"{group}/{version}" if group else version

    @property
    def collection_path(self) -> str:
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        return f"{root}/namespaces/{self.namespace}/{self.plural}"

    @property
    def path(self) -> str:
        return f"{self.collection_path}/{self.name}" if self.name else self.collection_path

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else f"{self.plural} in {self.namespace}"


def resource_version(obj: dict[str, Any]) -> str:
    """The version that a write must carry to be refused if somebody else wrote meanwhile."""
    return str(obj["metadata"]["resourceVersion"])


def field_managers(obj: dict[str, Any], *path: str) -> list[str]:
    """Who wrote the field at C(path) (for example spec, selector, slot) last, by the object's managedFields."""
    found = []
    for entry in obj.get("metadata", {}).get("managedFields") or []:
        node: Any = entry.get("fieldsV1") or {}
        for step in path:
            node = node.get(f"f:{step}") if isinstance(node, dict) else None
            if node is None:
                break
        if node is not None:
            found.append(str(entry.get("manager", "unknown")))
    return found
