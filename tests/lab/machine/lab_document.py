"""What the role writes into lab.json, as the tests use it."""

from __future__ import annotations

from typing import Any

LISTENERS = [
    "supervisor",
    "etcd",
    "etcd_peer",
    "kube_apiserver",
    "kube_controller_manager",
    "kube_scheduler",
    "node_agent",
    "gateway",
    "gateway_admin",
    "gateway_controller",
    "prometheus",
    "pushgateway",
    "postgresql",
    "redis",
    "moto",
    "redis_replica",
    "redis_sentinel_1",
    "redis_sentinel_2",
    "redis_sentinel_3",
]
DOCUMENT: dict[str, Any] = {
    "state_dir": "/srv/lab",
    "python": "/srv/venv/bin/python",
    "repository": "/srv",
    "kubeconfig": "/srv/lab/kubeconfig",
    "ports": {name: 18000 + number for number, name in enumerate(LISTENERS)},
    "node": {"name": "lab-node-1", "pod_network": "127.0.16.0/20"},
    "gateway": {"class": "churnguard-lab", "sync_delay_s": 1},
}
