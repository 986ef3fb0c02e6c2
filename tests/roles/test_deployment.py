"""The Deployment of a version: the guide's figures, what Pod Security asks for, and what makes a new release."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.roles.playing import Playbook

OWNER = {
    "app_manifests_image_repository": "registry.churnguard.invalid/churnguard/api",
    "app_manifests_version": "v2.0.0",
}


@pytest.fixture(scope="module")
def build(run_playbook: Playbook, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Builds the Deployment in an environment through the role, once for each input; returns a copy as plain data."""
    folder = tmp_path_factory.mktemp("build")
    playbook = folder / "build.yml"
    result = folder / "deployment.json"
    known: dict[str, str] = {}
    tasks = [
        {"ansible.builtin.import_role": {"name": "app_manifests", "tasks_from": "deployment"}},
        {"ansible.builtin.copy": {"content": "{{ app_manifests_deployment | to_json }}", "dest": str(result)}},
    ]
    playbook.write_text(json.dumps([{"hosts": "controller", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")

    def built(environment: str = "production", **variables: Any) -> dict[str, Any]:
        key = json.dumps([environment, variables], sort_keys=True)
        if key not in known:
            run = run_playbook(playbook, environment, **{**OWNER, **variables})
            assert run.code == 0, run.output
            known[key] = result.read_text(encoding="utf-8")
        return json.loads(known[key])

    return built


def test_production_runs_what_the_guide_describes(build):
    deployment = build()
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert deployment["metadata"]["name"] == "churnguard-api"
    assert deployment["metadata"]["namespace"] == "churnguard-production"
    spec = deployment["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}
    assert spec["progressDeadlineSeconds"] == 600

    template = spec["template"]
    assert template["metadata"]["labels"]["app"] == "churnguard-api"
    assert template["metadata"]["labels"]["version"] == "v2.0.0"
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == "8080"
    assert annotations["prometheus.io/path"] == "/metrics"

    pod = template["spec"]
    assert pod["serviceAccountName"] == "churnguard-service-account"
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] == 30
    (container,) = pod["containers"]
    assert container["image"] == "registry.churnguard.invalid/churnguard/api:v2.0.0"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 5000, "metrics": 8080}
    assert container["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"cpu": "1000m", "memory": "2Gi"},
    }
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/health", "port": "http"},
        "initialDelaySeconds": 30,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/ready", "port": "http"},
        "initialDelaySeconds": 5,
        "periodSeconds": 5,
        "timeoutSeconds": 3,
        "failureThreshold": 3,
    }
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_credentials_are_referred_to_and_identity_comes_from_the_pod(build):
    container = build()["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable for variable in container["env"]}
    for name, key in {"DATABASE_URL": "database-url", "REDIS_URL": "redis-url", "JWT_SECRET_KEY": "jwt-secret"}.items():
        assert env[name] == {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": "churnguard-secrets", "key": key}},
        }
    paths = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name", "SLOT": "metadata.labels['slot']"}
    for name, path in paths.items():
        assert env[name]["valueFrom"]["fieldRef"]["fieldPath"] == path
    assert env["APP_VERSION"]["value"] == "v2.0.0"


def test_nothing_writes_to_the_image(build):
    pod = build()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {mounts["/app/logs"]["name"], mounts["/tmp"]["name"]} == writable
    assert mounts["/app/config"]["readOnly"] is True
    assert mounts["/app/flags"] == {"name": "flags", "mountPath": "/app/flags", "readOnly": True}
    (flags,) = [volume for volume in pod["volumes"] if volume["name"] == "flags"]
    assert flags["configMap"] == {"name": "churnguard-flags", "optional": True}, "pods start without any flags"


def test_the_lab_runs_the_same_with_its_own_timings(build):
    production, lab = build(), build("lab")
    for deployment in (production, lab):
        for timing in ("progressDeadlineSeconds", "minReadySeconds"):
            deployment["spec"].pop(timing)
        deployment["metadata"].pop("namespace")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        for own in ("livenessProbe", "readinessProbe", "resources"):
            container.pop(own)
        deployment["spec"]["template"]["metadata"]["annotations"].pop("checksum/config")
        # The lab's spans go to a file.
        container["env"] = [one for one in container["env"] if one["name"] != "OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert lab == production


def test_a_release_is_the_same_until_its_content_changes(build):
    first = build()
    # The same content, given explicitly: built anew, not taken from the fixture's memory.
    assert build(app_manifests_config={}) == first
    changed = build(app_manifests_config={"churnguard.json": '{"threads": 8}'})
    template = changed["spec"]["template"]
    assert template["metadata"]["annotations"].pop("checksum/config") != (
        first["spec"]["template"]["metadata"]["annotations"].pop("checksum/config")
    )
    assert changed == first


def test_everything_that_an_environment_may_differ_in_arrives(build):
    deployment = build(
        app_manifests_version="2.10",
        app_manifests_env={"LOG_LEVEL": "debug", "WORKERS": 4},
        app_manifests_traces_endpoint="http://traces.tracing.svc:4318",
        app_manifests_readiness_probe={"tcpSocket": {"port": 5000}},
        app_manifests_pre_stop_seconds=7,
        app_manifests_termination_grace_seconds=90,
        app_manifests_topology_keys=["kubernetes.io/hostname"],
        app_manifests_secret_env={"DATABASE_URL": "url"},
        app_manifests_secret_name="other",
    )
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {variable["name"]: variable for variable in container["env"]}
    assert (env["LOG_LEVEL"]["value"], env["WORKERS"]["value"], env["APP_VERSION"]["value"]) == ("debug", "4", "2.10")
    assert env["DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {"name": "other", "key": "url"}
    assert "REDIS_URL" not in env
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"] == "http://traces.tracing.svc:4318"
    assert container["image"].endswith(":2.10")
    assert container["readinessProbe"] == {"tcpSocket": {"port": 5000}}
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 7
    assert pod["terminationGracePeriodSeconds"] == 90
    assert [constraint["topologyKey"] for constraint in pod["topologySpreadConstraints"]] == ["kubernetes.io/hostname"]
