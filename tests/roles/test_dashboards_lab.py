"""Role dashboards against the lab's API server: ConfigMaps, in a namespace of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.roles.playing import Playbook, Run

pytestmark = pytest.mark.lab

PLAY = [{"name": "Dashboards", "hosts": "localhost", "gather_facts": False, "roles": [{"role": "dashboards"}]}]


@pytest.fixture
def config_maps(api: client.ApiClient, namespace: str) -> Any:
    """Reads the ConfigMaps of the namespace by name, those that Kubernetes makes by itself left out."""
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": namespace}})

    def read() -> dict[str, Any]:
        return {
            one.metadata.name: one
            for one in core.list_namespaced_config_map(namespace).items
            if one.metadata.name != "kube-root-ca.crt"
        }

    return read


def test_the_cluster_gets_a_config_map_for_each_and_loses_what_is_no_longer_made(
    run_playbook: Playbook, api: client.ApiClient, namespace: str, config_maps: Any, tmp_path: Path
) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump(PLAY))

    def bring(*options: str, names: tuple[str, ...] = ("redis", "business")) -> Run:
        # The lab's inventory says where the lab's kubeconfig is.
        to = {"dashboards_namespace": namespace, "dashboards_kubeconfig": "{{ app_manifests_kubeconfig }}"}
        return run_playbook(playbook, "lab", *options, dashboards_names=names, **to).passed()

    assert bring("--check").changed == 1
    assert config_maps() == {}
    assert bring().changed == 1
    made = config_maps()
    assert set(made) == {"churnguard-redis", "churnguard-business"}
    one = made["churnguard-redis"]
    assert one.metadata.labels["grafana_dashboard"] == "1"
    assert one.metadata.annotations["grafana_folder"] == "ChurnGuard"
    assert '"{{ instance }}"' in one.data["churnguard-redis.json"], "legends are Grafana's to fill in"

    other = {"metadata": {"name": "hand-made", "labels": {"grafana_dashboard": "1"}}, "data": {"x.json": "{}"}}
    client.CoreV1Api(api).create_namespaced_config_map(namespace, other)
    assert bring(names=("redis",)).changed == 1, "the removal alone: what stays has not changed"
    assert set(config_maps()) == {"churnguard-redis", "hand-made"}
