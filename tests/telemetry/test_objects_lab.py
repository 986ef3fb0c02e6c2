"""The roles' objects in the lab's API server, which checks every field, every right and Pod Security."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.roles.playing import Run

pytestmark = pytest.mark.lab

Place = dict[str, str]


@pytest.fixture(scope="module")
def applied(collect: Callable[..., Run], api: client.ApiClient, places: Place) -> dict[str, Run]:
    """The first runs: check mode on nothing, then in earnest, then again."""
    runs = {"check": collect("--check").passed()}
    existing = {one.metadata.name for one in client.CoreV1Api(api).list_namespace().items}
    assert not existing & {places["logs"], places["agents"], places["traces"]}, "check mode has written"
    runs["first"] = collect().passed()
    runs["second"] = collect().passed()
    return runs


@pytest.fixture
def state(api: client.ApiClient, places: Place, applied: dict[str, Run]) -> Callable[[], dict[str, str]]:
    """The versions of everything that decides what runs."""
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)

    def read() -> dict[str, str]:
        listed = []
        for part in ("logs", "agents", "traces"):
            listed += core.list_namespaced_config_map(places[part]).items
            for kind in ("daemon_set", "stateful_set", "deployment"):
                listed += getattr(apps, f"list_namespaced_{kind}")(places[part]).items
        # A generation grows with the spec, and not with what controllers write into the status.
        return {
            f"{one.metadata.namespace}/{one.metadata.name}": str(
                one.metadata.generation or one.metadata.resource_version
            )
            for one in listed
        }

    return read


def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(applied: dict[str, Run]):
    assert applied["check"].changed > 0
    assert applied["first"].changed == 4, "namespaces and objects, of each role"
    assert applied["second"].changed == 0


def test_pods_run_with_the_configuration_that_was_checked(
    api: client.ApiClient, places: Place, applied: dict[str, Run]
):
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    agent = apps.read_namespaced_daemon_set(places["agents"], places["agents"])
    (volume,) = (one for one in agent.spec.template.spec.volumes if one.name == "config")
    held = core.read_namespaced_config_map(volume.config_map.name, places["agents"])
    assert held.immutable
    config = yaml.safe_load(held.data["collector.yaml"])
    assert (
        config["exporters"]["otlp_http/loki"]["logs_endpoint"] == f"http://loki.{places['logs']}.svc:3100/otlp/v1/logs"
    )
    service = core.read_namespaced_service("loki", places["logs"])
    assert {port.port for port in service.spec.ports} == {3100, 9095}
    gateway = apps.read_namespaced_deployment(places["traces"], places["traces"])
    assert gateway.spec.strategy.rolling_update.max_unavailable == 0


def test_grafana_gets_data_sources_that_lead_to_each_other(
    api: client.ApiClient, places: Place, applied: dict[str, Run]
):
    core = client.CoreV1Api(api)
    found = core.list_namespaced_config_map(places["app"], label_selector="grafana_datasource=1").items
    sources = {
        one["uid"]: one for held in found for text in held.data.values() for one in yaml.safe_load(text)["datasources"]
    }
    assert set(sources) == {"churnguard-loki", "churnguard-tempo", "churnguard-prometheus"}
    (link,) = sources["churnguard-loki"]["jsonData"]["derivedFields"]
    assert (link["matcherRegex"], link["datasourceUid"], link["url"]) == (
        "trace_id",
        "churnguard-tempo",
        "$${__value.raw}",
    )
    assert sources["churnguard-tempo"]["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "churnguard-loki"
    (exemplar,) = sources["churnguard-prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplar["datasourceUid"] == "churnguard-tempo"


def pod_of(workload: Any, api: client.ApiClient) -> dict[str, Any]:
    """A pod as the workload's controller would make it."""
    template = api.sanitize_for_serialization(workload.spec.template)
    spec = template["spec"]
    claims = [one.metadata.name for one in getattr(workload.spec, "volume_claim_templates", None) or []]
    spec["volumes"] += [{"name": name, "emptyDir": {}} for name in claims]
    spec.pop("priorityClassName", None)
    return {"metadata": {"name": "a-pod", "labels": template["metadata"]["labels"]}, "spec": spec}


def test_all_but_the_agents_pass_restricted_and_agents_are_alone(
    api: client.ApiClient, places: Place, applied: dict[str, Run]
):
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    pods = {
        "loki": (pod_of(apps.read_namespaced_stateful_set("loki", places["logs"]), api), "logs"),
        "tempo": (pod_of(apps.read_namespaced_stateful_set("tempo", places["traces"]), api), "traces"),
        "gateway": (pod_of(apps.read_namespaced_deployment(places["traces"], places["traces"]), api), "traces"),
        "agent": (pod_of(apps.read_namespaced_daemon_set(places["agents"], places["agents"]), api), "agents"),
    }
    for account, part in ((f"{places['logs']}-loki", "logs"), (f"{places['traces']}-tempo", "traces")):
        core.read_namespaced_service_account(account, places[part])
    for pod, part in pods.values():
        core.create_namespaced_pod(places[part], pod, dry_run="All", field_validation="Strict")

    # The level that the agents' namespace gives up is needed for what they read, and for nothing else.
    pod, _part = pods["agent"]
    pod["spec"]["serviceAccountName"] = f"{places['logs']}-loki"
    with pytest.raises(client.ApiException) as answer:
        core.create_namespaced_pod(places["logs"], pod, dry_run="All")
    assert answer.value.status == 403
    refused = answer.value.body
    assert "restricted volume types" in refused and "runAsUser=0" in refused
    assert "allowPrivilegeEscalation" not in refused and "capabilities" not in refused and "seccomp" not in refused


@pytest.mark.parametrize(
    ("verb", "resource", "part", "allowed"),
    [
        ("list", "pods", "app", True),
        ("watch", "pods", "app", True),
        ("get", "secrets", "app", False),
        ("get", "configmaps", "app", False),
        ("create", "pods", "app", False),
        ("delete", "pods", "agents", False),
    ],
)
@pytest.mark.parametrize("who", ["agents", "traces"])
def test_what_reads_labels_may_do_nothing_else(
    api: client.ApiClient,
    places: Place,
    applied: dict[str, Run],
    who: str,
    verb: str,
    resource: str,
    part: str,
    allowed: bool,
):
    review = {
        "spec": {
            "user": f"system:serviceaccount:{places[who]}:{places[who]}",
            "resourceAttributes": {"namespace": places[part], "verb": verb, "resource": resource},
        }
    }
    answer = client.AuthorizationV1Api(api).create_subject_access_review(review)
    assert answer.status.allowed is allowed


def test_the_gateway_knows_pods_of_the_application_alone(api: client.ApiClient, places: Place, applied: dict[str, Run]):
    review = {
        "spec": {
            "user": f"system:serviceaccount:{places['traces']}:{places['traces']}",
            "resourceAttributes": {"namespace": "kube-system", "verb": "list", "resource": "pods"},
        }
    }
    assert not client.AuthorizationV1Api(api).create_subject_access_review(review).status.allowed


def test_what_is_refused_leaves_what_runs_as_it_is(collect: Callable[..., Run], state: Callable[[], dict[str, str]]):
    before = state()
    by_schema = collect(logging_agent_config={"exporters": {"otlp_http/loki": {"timeut": "3s"}}})
    assert by_schema.code != 0
    assert "'timeut' was unexpected" in by_schema.text
    assert state() == before
    # What no schema of ours knows, the API server refuses: before anything of the change has been written.
    by_server = collect(logging_retention="240h", logging_loki_storage="ten gigabytes")
    assert by_server.code != 0
    assert "Ask the API server whether it would take all of it" in by_server.text
    assert "Pods that run keep the configuration that they have." in by_server.text
    assert state() == before


def test_a_change_makes_a_new_configuration_and_keeps_the_former_until_it_is_no_longer_needed(
    collect: Callable[..., Run], api: client.ApiClient, places: Place, state: Callable[[], dict[str, str]]
):
    core = client.CoreV1Api(api)

    def held() -> set[str]:
        listed = core.list_namespaced_config_map(places["logs"], label_selector="churnguard.com/telemetry=loki").items
        return {one.metadata.name for one in listed}

    before, (former,) = state(), held()
    # Nothing runs pods' images here, so that waiting for them ends badly: the former configuration stays for them.
    waited = collect(logging_retention="240h", logging_wait=True, logging_wait_timeout=2)
    assert waited.code != 0
    assert "see the events and logs of the pods in" in waited.text
    assert former in held() and len(held()) == 2
    changed = {name for name, version in state().items() if before.get(name) != version}
    assert f"{places['logs']}/loki" in changed
    assert f"{places['traces']}/tempo" not in changed

    assert collect(playbook="former.yml", logging_retention="240h").passed().changed == 1
    assert len(held()) == 1 and former not in held()
