"""playbooks/monitoring.yml in a cluster: the operator's real kinds, the real helm, the lab's real API server."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.roles.playing import ROOT, Playbook, Run

from .go_modules import helm, operator_kinds

sys.path += [str(ROOT / "tests" / "monitoring"), str(ROOT / "collections")]

pytestmark = pytest.mark.lab

GROUP, VERSION = "monitoring.coreos.com", "v1"
PLURALS = {
    "PodMonitor": "podmonitors",
    "ServiceMonitor": "servicemonitors",
    "Probe": "probes",
    "PrometheusRule": "prometheusrules",
}
RECEIVERS = {"slack", "pagerduty-platform", "pagerduty-infrastructure", "pagerduty-compliance"}
#: What has no place in an output: the value of every Secret here.
VALUE = "a-value-nobody-may-read"
OWNER = {
    "app_manifests_kube_context": "churnguard-lab",
    "app_manifests_hostnames": ["api.churnguard.example"],
    "churnguard_deadman_url": "https://deadman.churnguard.example/ping",
}
LESS = {
    "monitoring_rule_files": ["redis"],
    "monitoring_kube_service_jobs": [{"name": "redis-exporter", "port": "redis-exporter", "interval": "30s"}],
    "monitoring_kube_pod_jobs": [],
    "monitoring_kube_probes": [],
    "monitoring_dashboards": False,
}


@pytest.fixture(scope="module")
def kinds(api: client.ApiClient) -> Iterator[None]:
    """The operator's kinds; those that were not there before go again."""
    extensions = client.ApiextensionsV1Api(api)
    there = {item.metadata.name for item in extensions.list_custom_resource_definition().items}
    made = []
    for plural in PLURALS.values():
        manifest = yaml.safe_load((operator_kinds() / f"{GROUP}_{plural}.yaml").read_text(encoding="utf-8"))
        if manifest["metadata"]["name"] not in there:
            extensions.create_custom_resource_definition(manifest)
            made.append(manifest["metadata"]["name"])
    yield
    for name in made:
        extensions.delete_custom_resource_definition(name)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart that writes the values it is given into a ConfigMap."""
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text("ours: none\ntheirs: none\n")
    (folder / "templates" / "values.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tiny}\n"
        "data: {ours: {{ .Values.ours | quote }}, theirs: {{ .Values.theirs | quote }}}\n"
    )
    return folder


@pytest.fixture
def bring(
    run_playbook: Playbook, api: client.ApiClient, namespace: str, kinds: None, chart: Path
) -> Callable[..., Run]:
    """Runs the playbook with production's data in the test's namespace; no output holds a secret."""
    from rulebook import executable

    amtool = shutil.which("amtool")
    assert amtool, "no amtool in PATH: install Debian's prometheus-alertmanager (make setup)"
    given = {
        **OWNER,
        "app_manifests_kubeconfig": str(Path(os.environ.get("CHURNGUARD_LAB_DIR") or ROOT / ".lab") / "kubeconfig"),
        "monitoring_kube_namespace": namespace,
        "monitoring_promtool": str(executable()),
        "monitoring_helm_program": str(helm()),
        "monitoring_helm_repository": "",
        "monitoring_helm_releases": [{"name": "tiny", "chart": str(chart), "version": "0.1.0"}],
        "monitoring_helm_values": {"tiny": {"ours": "of production"}},
        "alerting_kube_namespace": namespace,
        "alerting_amtool": amtool,
        "dashboards_namespace": namespace,
        "dashboards_names": ["redis"],
    }

    def run(*options: str, **variables: Any) -> Run:
        ended = run_playbook("monitoring", "production", *options, **{**given, **variables})
        assert VALUE not in ended.output
        return ended

    return run


@pytest.fixture
def objects(api: client.ApiClient, namespace: str) -> Callable[[str], dict[str, dict[str, Any]]]:
    """Reads the objects of a kind by name."""

    def read(kind: str) -> dict[str, dict[str, Any]]:
        found = client.CustomObjectsApi(api).list_namespaced_custom_object(GROUP, VERSION, namespace, PLURALS[kind])
        return {item["metadata"]["name"]: item for item in found["items"]}

    return read


def write_secret(api: client.ApiClient, namespace: str, name: str, keys: set[str]) -> None:
    """What an owner does: a Secret with these keys."""
    body = {"metadata": {"name": name}, "stringData": dict.fromkeys(keys, VALUE)}
    client.CoreV1Api(api).create_namespaced_secret(namespace, body)


def write_all_secrets(api: client.ApiClient, namespace: str) -> None:
    """Those that the charts' pods refer to."""
    write_secret(api, namespace, "grafana-admin", {"admin-user", "admin-password"})
    write_secret(api, namespace, "postgres-exporter", {"data-source-name"})
    write_secret(api, namespace, "redis-exporter", {"address", "password"})


def namespaces(api: client.ApiClient) -> set[str]:
    """The names of all."""
    return {item.metadata.name for item in client.CoreV1Api(api).list_namespace().items}


def test_from_nothing_to_everything_and_back(
    api: client.ApiClient, namespace: str, bring: Callable[..., Run], objects: Any, tmp_path: Path
) -> None:
    core = client.CoreV1Api(api)
    first = bring("--check", monitoring_dashboards=False).passed()
    assert namespace not in namespaces(api), "check mode writes nothing"
    assert f"Namespace {namespace} does not exist. The charts would bring that" in first.text

    refused = bring()
    assert refused.code != 0
    assert "lack keys: grafana-admin/admin-password, grafana-admin/admin-user, postgres-exporter/" in refused.text
    assert "tiny" not in {item.metadata.name for item in core.list_namespaced_config_map(namespace).items}

    write_all_secrets(api, namespace)
    without_receivers = bring()
    assert without_receivers.code != 0
    assert f"Secret {namespace}/alertmanager-receivers lacks the keys" in without_receivers.text
    check_objects(objects, namespace, tmp_path)
    assert core.read_namespaced_config_map("tiny", namespace).data == {"ours": "of production", "theirs": "none"}

    write_secret(api, namespace, "alertmanager-receivers", RECEIVERS)
    assert bring().passed().changed == 2, "what was missing: the routes and the dashboards"
    check_routes(core.read_namespaced_secret("churnguard-alertmanager", namespace).data, tmp_path)
    assert bring().passed().changed == 0

    other = {"kind": "PrometheusRule", "metadata": {"name": "hand-made"}, "spec": {}}
    other["apiVersion"] = f"{GROUP}/{VERSION}"
    client.CustomObjectsApi(api).create_namespaced_custom_object(GROUP, VERSION, namespace, "prometheusrules", other)
    smaller = bring("--diff", **LESS).passed()
    assert smaller.changed == 2, "the changed job and the removal"
    assert "- interval: 15s" in smaller.text and "+ interval: 30s" in smaller.text
    assert set(objects("PrometheusRule")) == {"churnguard-redis", "churnguard-slo", "hand-made"}
    assert set(objects("ServiceMonitor")) == {"churnguard-redis-exporter"}
    assert objects("PodMonitor") == objects("Probe") == {}


def check_objects(objects: Any, namespace: str, folder: Path) -> None:
    """The operator's objects hold what the role's rule files, rendered by another way, hold; and the guide's jobs."""
    from rulebook import Book

    (folder / "book").mkdir()
    rules = objects("PrometheusRule")
    for path in Book.render(folder / "book").files:
        expected = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert rules.pop(f"churnguard-{path.stem}")["spec"] == expected
    assert rules == {}

    monitors = objects("ServiceMonitor")
    assert set(monitors) == {
        f"churnguard-{name}" for name in ("postgres-exporter", "redis-exporter", "node-exporter", "pushgateway")
    }
    assert monitors["churnguard-pushgateway"]["spec"]["endpoints"][0]["honorLabels"] is True
    (pods,) = objects("PodMonitor").values()
    assert pods["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert pods["spec"]["namespaceSelector"] == {"matchNames": ["churnguard-production"]}
    (endpoint,) = pods["spec"]["podMetricsEndpoints"]
    steps = [(step["action"], step.get("targetLabel"), step.get("regex")) for step in endpoint["relabelings"]]
    assert steps[:3] == [
        ("keep", None, "true"),
        ("replace", "__metrics_path__", "(.+)"),
        ("replace", "__address__", r"([^;]+);(\d+)"),
    ]
    (probe,) = objects("Probe").values()
    assert probe["spec"]["targets"]["staticConfig"]["static"] == ["https://api.churnguard.example/health"]
    assert probe["spec"]["prober"]["url"] == f"blackbox-exporter.{namespace}.svc:9115"


def check_routes(data: dict[str, str], folder: Path) -> None:
    """What Alertmanager gets leads alerts to their teams, and names files instead of holding secrets."""
    config = folder / "alertmanager.yaml"
    config.write_bytes(base64.b64decode(data["alertmanager.yaml"]))
    for labels, receiver in {
        "alertname=Watchdog severity=none": "deadman",
        "alertname=NodeDiskAlmostFull severity=critical team=infrastructure": "infrastructure-page",
        "alertname=ComplianceScoreLow severity=warning team=compliance": "compliance-chat",
    }.items():
        answered = subprocess.run(
            ["amtool", "config", "routes", "test", f"--config.file={config}", *labels.split()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert answered.stdout.split() == [receiver]
    parsed = yaml.safe_load(config.read_text())
    assert parsed["templates"] == ["/etc/alertmanager/config/churnguard.tmpl"]
    assert b'define "churnguard.text"' in base64.b64decode(data["churnguard.tmpl"])
    page = next(one for one in parsed["receivers"] if one["name"] == "platform-page")
    mounted = "/etc/alertmanager/secrets/alertmanager-receivers"
    assert page["pagerduty_configs"][0]["routing_key_file"] == f"{mounted}/pagerduty-platform"


def test_what_is_wrong_is_named_and_nothing_is_applied(
    api: client.ApiClient, namespace: str, bring: Callable[..., Run], objects: Any
) -> None:
    alone = {**LESS, "monitoring_helm": False}
    homeless = bring(**alone)
    assert homeless.code != 0
    assert f"Namespace {namespace} does not exist. Next: make the namespace" in homeless.text

    client.CoreV1Api(api).create_namespace({"metadata": {"name": namespace}})
    soon = {"monitoring_rule_files": ["kubernetes"], "monitoring_thresholds": {"crash_loop_for": "soon"}}
    broken = bring(**{**alone, **soon})
    assert broken.code != 0
    assert "at 'Check the rules with promtool'" in broken.text and "not a valid duration" in broken.text
    assert "Nothing was applied" in broken.text

    job = {"name": "odd", "port": "http", "interval": "soon"}
    refused = bring("--check", **{**alone, "monitoring_kube_service_jobs": [job]})
    assert refused.code != 0
    assert "at 'Apply the objects'" in refused.text and "spec.endpoints[0].interval" in refused.text
    assert objects("PrometheusRule") == objects("ServiceMonitor") == {}
