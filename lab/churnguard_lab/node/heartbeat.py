"""The node's own objects: Node, its Ready condition, and the Lease that says the agent is alive."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from churnguard_lab import settings
from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.status import timestamp

LEASE_NAMESPACE = "kube-node-lease"
LEASE_S = 40
RENEW_S = 10.0
RETRY_S = 2.0
#: The node's status is written this often even if nothing changed: it mends what the controllers wrote meanwhile.
STATUS_S = 30.0
#: More than any lab asks for: processes share the machine, and the scheduler must not stand in the way.
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "1Ti"}
_LOG = logging.getLogger(__name__)


def node_body(name: str) -> dict[str, Any]:
    """The Node object to register."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "churnguard.ops/lab": "true",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def node_status(name: str, now: float, since: float) -> dict[str, Any]:
    """The Node's status at `now`, ready since `since` (unix seconds)."""
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the lab's node agent is running"}
    others = [
        {"type": kind, "status": "False", "reason": "NotMonitored", "message": "the lab's node has no such limit"}
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    times = {"lastHeartbeatTime": timestamp(now), "lastTransitionTime": timestamp(since)}
    return {
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": [condition | times for condition in [ready, *others]],
        "addresses": [
            {"type": "InternalIP", "address": settings.LOOPBACK},
            {"type": "Hostname", "address": name},
        ],
        "nodeInfo": {
            "kubeletVersion": "churnguard-lab",
            "containerRuntimeVersion": "process://1",
            "operatingSystem": "linux",
            "architecture": "amd64",
            "osImage": "",
            "kernelVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kubeProxyVersion": "",
        },
    }


def lease_body(name: str, now: float) -> dict[str, Any]:
    """The node's Lease, renewed at `now` (unix seconds)."""
    renewed = datetime.datetime.fromtimestamp(now, tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_S, "renewTime": renewed},
    }


class Heartbeat:
    """Registers the node, then keeps its Lease and status fresh."""

    def __init__(self, api: NodeApi, name: str) -> None:
        self._api, self._name = api, name
        self._since = time.time()
        self._status_at = 0.0
        self.renewed_at: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Beat until `stop` is set; what fails is tried again in 2 s."""
        while not stop.is_set():
            now = time.time()
            try:
                self._beat(now)
                pause = RENEW_S
            except ApiError as error:
                _LOG.warning("%s (again in %.0f s)", error, RETRY_S)
                pause = RETRY_S
            stop.wait(pause)

    def _beat(self, now: float) -> None:
        if now - self._status_at >= STATUS_S:
            body = node_body(self._name)
            present = self._api.ensure_node(body)
            if not _has(present["metadata"].get("labels") or {}, body["metadata"]["labels"]):
                self._api.patch_node(self._name, {"metadata": {"labels": body["metadata"]["labels"]}})
            self._api.patch_node_status(self._name, node_status(self._name, now, self._since))
            self._status_at = now
        self._api.renew_lease(LEASE_NAMESPACE, self._name, lease_body(self._name, now))
        self.renewed_at = now


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
