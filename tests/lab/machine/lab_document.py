"""What the role writes into lab.json, as the tests use it."""

from __future__ import annotations

import dataclasses
from typing import Any

from churnguard_lab.settings import Ports

LISTENERS = [port.name for port in dataclasses.fields(Ports)]
DOCUMENT: dict[str, Any] = {
    "state_dir": "/srv/lab",
    "python": "/srv/venv/bin/python",
    "repository": "/srv",
    "kubeconfig": "/srv/lab/kubeconfig",
    "ports": {name: 18000 + number for number, name in enumerate(LISTENERS)},
    "node": {"name": "lab-node-1", "pod_network": "127.0.16.0/20"},
    "gateway": {"class": "churnguard-lab", "sync_delay_s": 1},
}
