"""Feature flags on real parts: a module writes, the node brings the file into a running pod, the pod follows."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._flags.api import FlagsApi
from ansible_collections.churnguard.ops.plugins.module_utils._flags.gate import gate_open, switch_off
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import (
    Connection,
    client_configuration,
)
from churnguard_lab import images
from world import World, finished, until

pytestmark = pytest.mark.lab

FLAGS = "churnguard-flags"
GUIDE = [
    {"name": "new_dashboard_ui", "state": "disabled", "percentage": 10},
    {"name": "advanced_analytics", "conditions": {"subscription_tier": ["professional", "enterprise"]}},
]
#: The kubelet brings a change within about a minute, the lab's node sooner.
ARRIVES_S = 60
USERS = [f"user-{number}" for number in range(60)]


def arguments(world: World, *flags: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "name": FLAGS,
        "namespace": world.namespace,
        "kubeconfig": str(world.lab.kubeconfig),
        "flags": list(flags),
        **options,
    }


def keep(world: World, *flags: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The module's result; it must not fail."""
    result = world.run(arguments(world, *flags, **options), "feature_flags")
    assert not result.failed, result.message
    return result.output


class Pod:
    """One pod of churnguard-api that mounts the flags as role app_manifests says."""

    def __init__(self, world: World) -> None:
        self._world = world
        image = f"{world.namespace}/api:v1"
        images.build(world.lab.state_dir, image, "api")
        lab = world.lab
        variables = {
            "DATABASE_URL": f"postgresql://churnguard:{lab.secret('database')}@127.0.0.1:{lab.ports.postgresql}/churnguard",
            "REDIS_URL": f"redis://:{lab.secret('redis')}@127.0.0.1:{lab.ports.redis}/0",
        }
        container = {
            "name": "api",
            "image": image,
            "env": [
                *({"name": name, "value": value} for name, value in variables.items()),
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 5000}, "periodSeconds": 1},
            "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("config", "tmp", "flags")],
        }
        volumes = [
            {"name": "config", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "flags", "configMap": {"name": FLAGS, "optional": True}},
        ]
        spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 2}
        world.core.create_namespaced_pod(world.namespace, {"metadata": {"name": "api"}, "spec": spec})
        until(self._ready, 60, "the pod is ready")
        self.ip = self._status().pod_ip

    def _status(self) -> Any:
        return self._world.core.read_namespaced_pod("api", self._world.namespace).status

    def _ready(self) -> bool:
        return bool(self._status().container_statuses and self._status().container_statuses[0].ready)

    @property
    def restarts(self) -> int:
        return int(self._status().container_statuses[0].restart_count)

    def features(self, **query: str) -> dict[str, Any]:
        url = f"http://{self.ip}:5000/api/v1/features?{urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.load(answer)["features"])

    def enabled(self, flag: str, **query: str) -> bool:
        return bool(self.features(**query)[flag]["enabled"])

    def chosen(self, flag: str) -> set[str]:
        return {user for user in USERS if self.enabled(flag, user_id=user)}

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://{self.ip}:8080/metrics", timeout=10) as answer:
            return str(answer.read().decode())


def test_a_running_pod_follows_its_flags(world: World) -> None:
    pod = Pod(world)
    assert pod.features(user_id="user-1") == {
        name: {"enabled": False, "variant": None, "reason": "ERROR", "error": "FLAG_NOT_FOUND"}
        for name in ("new_dashboard_ui", "advanced_analytics")
    }

    assert keep(world, *GUIDE)["changed"] is True
    seconds = until(
        lambda: pod.enabled("advanced_analytics", user_id="user-1", subscription_tier="enterprise"),
        ARRIVES_S,
        "the flags reach the pod",
    )
    print(f"new flags answered after {seconds:.1f} s")
    assert pod.features(user_id="user-1", subscription_tier="starter") == {
        "new_dashboard_ui": {"enabled": False, "variant": None, "reason": "DISABLED"},
        "advanced_analytics": {"enabled": False, "variant": "off", "reason": "TARGETING_MATCH"},
    }
    assert keep(world, *GUIDE)["changed"] is False

    keep(world, {"name": "new_dashboard_ui", "state": "enabled", "percentage": 30})
    until(lambda: pod.chosen("new_dashboard_ui") != set(), ARRIVES_S, "the first stage reaches the pod")
    first = pod.chosen("new_dashboard_ui")
    keep(world, {"name": "new_dashboard_ui", "percentage": 70})
    until(lambda: pod.chosen("new_dashboard_ui") != first, ARRIVES_S, "the second stage reaches the pod")
    second = pod.chosen("new_dashboard_ui")
    assert first < second < set(USERS)
    assert pod.enabled("new_dashboard_ui") is False, "somebody unknown is in no share"

    keep(world, *({"name": flag["name"], "state": "disabled"} for flag in GUIDE))
    until(lambda: pod.chosen("new_dashboard_ui") == set(), ARRIVES_S, "the kill switch reaches the pod")
    assert pod.enabled("advanced_analytics", user_id="user-1", subscription_tier="enterprise") is False

    assert pod.restarts == 0
    counted = [line for line in pod.metrics().splitlines() if line.startswith("churnguard_feature_evaluations_total")]
    assert len(counted) >= 4
    assert {line.split('flag="')[1].split('"')[0] for line in counted} == {"new_dashboard_ui", "advanced_analytics"}
    assert {line.split('variant="')[1].split('"')[0] for line in counted} <= {"on", "off", "none", "other"}


def test_check_mode_writes_nothing(world: World) -> None:
    result = world.run(arguments(world, *GUIDE), "feature_flags", check=True)
    assert result.output["changed"] is True
    assert list(result.output["diff"]["after"]["flags"]) == [flag["name"] for flag in GUIDE]
    assert FLAGS not in world.versions()


def test_everybody_who_writes_at_once_is_kept(world: World) -> None:
    begin = time.monotonic()
    names = [f"flag-{number}" for number in range(6)]
    processes = [world.start(arguments(world, {"name": name, "percentage": 10}), "feature_flags") for name in names]
    results = [finished(process, begin) for process in processes]
    assert [result.message for result in results if result.failed] == []
    found = world.core.read_namespaced_config_map(FLAGS, world.namespace)
    assert sorted(json.loads(found.data["flags.json"])["flags"]) == names


def test_a_rollout_asks_a_flag_and_switches_flags_off(world: World) -> None:
    keep(world, {"name": "gate", "percentage": 99}, {"name": "other", "default_variant": "on"})
    connection = Connection(client_configuration({"kubeconfig": str(world.lab.kubeconfig)}), Clock())
    api = FlagsApi(connection, world.namespace, FLAGS, "flags.json")
    assert gate_open(api.read().document, "gate") == (False, "Flag gate is not for everybody: on for 99 %.")
    keep(world, {"name": "gate", "percentage": 100})
    assert gate_open(api.read().document, "gate") == (True, "Flag gate is on for everybody.")
    assert [change["name"] for change in switch_off(api, ["gate"])] == ["gate"]
    version = world.versions()[FLAGS]
    assert switch_off(api, ["gate"]) == []
    assert world.versions()[FLAGS] == version
    assert gate_open(api.read().document, "gate")[0] is False
    assert gate_open(api.read().document, "other")[0] is True
