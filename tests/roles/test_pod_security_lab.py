"""The rendered Deployment against the API server's own Pod Security admission, in a namespace that enforces it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from kubernetes import client

from tests.roles.playing import Playbook

pytestmark = pytest.mark.lab


@pytest.fixture
def deployment(run_playbook: Playbook, in_namespace: dict[str, Any], tmp_path) -> dict[str, Any]:
    """The lab's Deployment of v1, its namespace brought in line."""
    result = tmp_path / "deployment.json"
    tasks = [
        {"ansible.builtin.import_role": {"name": "app_manifests"}},
        {"ansible.builtin.import_role": {"name": "app_manifests", "tasks_from": "deployment"}},
        {"ansible.builtin.copy": {"content": "{{ app_manifests_deployment | to_json }}", "dest": str(result)}},
    ]
    playbook = tmp_path / "build.yml"
    playbook.write_text(json.dumps([{"hosts": "controller", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    run = run_playbook(playbook, "lab", **in_namespace, app_manifests_version="v1")
    assert run.code == 0, run.output
    return json.loads(result.read_text(encoding="utf-8"))


def in_slot(deployment: dict[str, Any]) -> dict[str, Any]:
    """The Deployment as the rollout engine completes it."""
    complete = copy.deepcopy(deployment)
    complete["metadata"]["name"] += "-blue"
    selector = {"app": "churnguard-api", "slot": "blue"}
    complete["spec"]["selector"] = {"matchLabels": selector}
    complete["spec"]["template"]["metadata"]["labels"].update(selector)
    return complete


def test_the_pods_pass_restricted(api: client.ApiClient, namespace: str, deployment: dict[str, Any]):
    complete = in_slot(deployment)
    made = client.AppsV1Api(api).create_namespaced_deployment_with_http_info(
        namespace, complete, dry_run="All", field_validation="Strict"
    )
    warnings = [value for name, value in made[2].items() if name.lower() == "warning"]
    assert not warnings, "the API server warns about the pod template"

    template = complete["spec"]["template"]
    pod = {"metadata": {"name": "a-pod", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    core = client.CoreV1Api(api)
    core.create_namespaced_pod(namespace, pod, dry_run="All", field_validation="Strict")

    # The same call refuses what restricted forbids: it is the admission that has said yes above.
    for weaken in (
        lambda spec: spec["securityContext"].pop("runAsNonRoot"),
        lambda spec: spec["securityContext"].pop("seccompProfile"),
        lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
        lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"),
    ):
        weak = copy.deepcopy(pod)
        weaken(weak["spec"])
        with pytest.raises(client.ApiException) as answer:
            core.create_namespaced_pod(namespace, weak, dry_run="All")
        assert answer.value.status == 403
        assert "violates PodSecurity" in answer.value.body
