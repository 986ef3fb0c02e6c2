"""The static parts against the lab's API server: created once, idempotent, and never a hand on the traffic split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.roles.playing import Playbook

pytestmark = pytest.mark.lab

GATEWAY_API = ("gateway.networking.k8s.io", "v1")
SLOTS = ["churnguard-api-blue", "churnguard-api-green"]


class Cluster:
    """What the tests look at and tamper with in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self.core = client.CoreV1Api(api)
        self.apps = client.AppsV1Api(api)
        self.autoscaling = client.AutoscalingV2Api(api)
        self.policy = client.PolicyV1Api(api)
        self.networking = client.NetworkingV1Api(api)
        self.custom = client.CustomObjectsApi(api)

    def route(self) -> dict[str, Any]:
        return self.custom.get_namespaced_custom_object(*GATEWAY_API, self.namespace, "httproutes", "churnguard-api")

    def patch_route(self, *operations: dict[str, Any]) -> None:
        """As the rollout engine or a person would: JSON Patch operations on the route."""
        self.custom.patch_namespaced_custom_object(
            *GATEWAY_API,
            self.namespace,
            "httproutes",
            "churnguard-api",
            list(operations),
            _content_type="application/json-patch+json",
        )

    def weights(self) -> dict[str, int]:
        """The weights of the one rule that leads to both slots."""
        (rule,) = [rule for rule in self.route()["spec"]["rules"] if len(rule["backendRefs"]) == 2]
        return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}

    def move_traffic(self) -> None:
        """All weight to the second slot, as the rollout engine writes it."""
        self.patch_route(
            {"op": "add", "path": "/spec/rules/2/backendRefs/0/weight", "value": 0},
            {"op": "add", "path": "/spec/rules/2/backendRefs/1/weight", "value": 100},
        )

    def writes(self) -> dict[str, list[tuple[str, str]]]:
        """The last writes to everything that the role applies: equal before and after means that nobody wrote."""
        objects = [
            self.core.read_namespace(self.namespace),
            self.core.read_namespaced_service_account("churnguard-service-account", self.namespace),
            self.core.read_namespaced_config_map("churnguard-config", self.namespace),
            *self.core.list_namespaced_service(self.namespace).items,
            *self.autoscaling.list_namespaced_horizontal_pod_autoscaler(self.namespace).items,
            *self.policy.list_namespaced_pod_disruption_budget(self.namespace).items,
            *self.networking.list_namespaced_network_policy(self.namespace).items,
        ]
        return {f"{type(item).__name__}/{item.metadata.name}": self._writes(item.metadata) for item in objects}

    @staticmethod
    def _writes(metadata: client.V1ObjectMeta) -> list[tuple[str, str]]:
        """Who wrote last, and when. What controllers write to the status does not count."""
        return sorted((entry.manager, str(entry.time)) for entry in metadata.managed_fields if not entry.subresource)


@pytest.fixture
def cluster(api: client.ApiClient, namespace: str) -> Cluster:
    return Cluster(api, namespace)


@pytest.fixture
def site(run_playbook: Playbook, in_namespace: dict[str, Any]):
    """Runs site.yml for the test's namespace."""

    def run(*options: str, **variables: Any):
        return run_playbook("site", "lab", *options, **{**in_namespace, **variables})

    return run


def test_check_mode_without_the_namespace_writes_nothing(site, cluster):
    run = site("--check")
    assert run.code == 0, run.output
    assert run.changed == 1
    with pytest.raises(client.ApiException) as answer:
        cluster.core.read_namespace(cluster.namespace)
    assert answer.value.status == 404


def test_everything_is_created_and_a_second_run_changes_nothing(site, cluster):
    first = site()
    assert first.code == 0, first.output
    assert first.changed == 2

    labels = cluster.core.read_namespace(cluster.namespace).metadata.labels
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    account = cluster.core.read_namespaced_service_account("churnguard-service-account", cluster.namespace)
    assert account.automount_service_account_token is False

    services = {item.metadata.name: item.spec for item in cluster.core.list_namespaced_service(cluster.namespace).items}
    assert {name: spec.selector for name, spec in services.items()} == {
        "churnguard-api-blue": {"app": "churnguard-api", "slot": "blue"},
        "churnguard-api-green": {"app": "churnguard-api", "slot": "green"},
        "churnguard-service": {"app": "churnguard-api"},
    }
    for spec in services.values():
        assert {port.port: port.target_port for port in spec.ports} == {80: 5000, 8080: 8080}

    scalers = cluster.autoscaling.list_namespaced_horizontal_pod_autoscaler(cluster.namespace).items
    assert {item.metadata.name: item.spec.scale_target_ref.name for item in scalers} == dict(
        zip(SLOTS, SLOTS, strict=True)
    )
    metrics = [metric.type for metric in scalers[0].spec.metrics]
    assert metrics == ["Resource", "Resource", "Pods"]
    assert scalers[0].spec.behavior.scale_down.stabilization_window_seconds == 300

    budgets = cluster.policy.list_namespaced_pod_disruption_budget(cluster.namespace).items
    assert {item.metadata.name: item.spec.max_unavailable for item in budgets} == dict.fromkeys(SLOTS, 1)

    policies = {
        item.metadata.name: item.spec
        for item in cluster.networking.list_namespaced_network_policy(cluster.namespace).items
    }
    deny = policies["default-deny"]
    assert deny.policy_types == ["Ingress", "Egress"] and not deny.ingress and not deny.egress
    assert not deny.pod_selector.match_labels
    opened = policies["churnguard-api"]
    assert [[port.port for port in rule.ports] for rule in opened.ingress] == [[5000], [8080]]
    assert [rule._from[0].namespace_selector.match_labels for rule in opened.ingress] == [
        {"kubernetes.io/metadata.name": "churnguard-gateway"},
        {"kubernetes.io/metadata.name": "monitoring"},
    ]
    assert all(rule.to for rule in opened.egress), "an egress rule without peers opens its ports towards everybody"

    rules = cluster.route()["spec"]["rules"]
    pins = [rule["matches"][0]["headers"][0] for rule in rules[:2]]
    assert [(pin["name"], pin["value"]) for pin in pins] == [
        ("x-churnguard-slot", "blue"),
        ("x-churnguard-slot", "green"),
    ]
    assert [rule["backendRefs"][0]["name"] for rule in rules[:2]] == SLOTS
    assert cluster.weights() == dict(zip(SLOTS, [100, 0], strict=True))

    before = cluster.writes()
    second = site()
    assert second.code == 0, second.output
    assert second.changed == 0
    assert cluster.writes() == before


def test_check_mode_on_a_live_namespace_writes_nothing_and_tells_what_would_change(site, cluster):
    site().passed()
    before, route = cluster.writes(), cluster.route()["metadata"]["generation"]
    run = site("--check", app_manifests_hpa_max_replicas=9, app_manifests_hostnames=["other.lab"])
    assert run.code == 0, run.output
    assert run.changed == 1
    assert cluster.writes() == before
    assert cluster.route()["metadata"]["generation"] == route


def test_live_weights_survive_whatever_the_role_brings_in_line(site, cluster):
    site().passed()
    cluster.move_traffic()
    moved = dict(zip(SLOTS, [0, 100], strict=True))
    generation = cluster.route()["metadata"]["generation"]

    run = site()
    assert (run.code, run.changed) == (0, 0), run.output
    assert cluster.route()["metadata"]["generation"] == generation

    run = site(app_manifests_hostnames=["other.lab", "more.lab"])
    assert (run.code, run.changed) == (0, 1), run.output
    assert cluster.route()["spec"]["hostnames"] == ["other.lab", "more.lab"]
    assert cluster.weights() == moved

    # A pin rule is removed and a foreign rule added: the pin comes back, the foreign rule stays.
    foreign = {"name": "foreign", "backendRefs": [{"name": "elsewhere", "port": 80}]}
    cluster.patch_route(
        {"op": "remove", "path": "/spec/rules/0"},
        {"op": "add", "path": "/spec/rules/-", "value": foreign},
        {"op": "add", "path": "/spec/hostnames", "value": [f"{cluster.namespace}.lab"]},
    )
    run = site(app_manifests_force_conflicts=True)
    assert (run.code, run.changed) == (0, 1), run.output
    rules = cluster.route()["spec"]["rules"]
    assert [[backend["name"] for backend in rule["backendRefs"]] for rule in rules] == [
        [SLOTS[0]],
        [SLOTS[1]],
        SLOTS,
        ["elsewhere"],
    ]
    assert cluster.weights() == moved
    run = site()
    assert (run.code, run.changed) == (0, 0), run.output


def test_traffic_that_moves_between_the_look_and_the_write_is_not_moved_back(
    run_playbook, site, cluster, in_namespace, tmp_path
):
    site().passed()
    move = {
        "api_version": "/".join(GATEWAY_API),
        "kind": "HTTPRoute",
        "namespace": cluster.namespace,
        "name": "churnguard-api",
        "kubeconfig": "{{ app_manifests_kubeconfig }}",
        "patch": [
            {"op": "add", "path": "/spec/rules/2/backendRefs/0/weight", "value": 0},
            {"op": "add", "path": "/spec/rules/2/backendRefs/1/weight", "value": 100},
        ],
    }
    tasks = [
        {"ansible.builtin.import_role": {"name": "app_manifests"}},
        {"kubernetes.core.k8s_json_patch": move},
        {"ansible.builtin.import_role": {"name": "app_manifests", "tasks_from": "router"}},
    ]
    playbook = tmp_path / "race.yml"
    playbook.write_text(json.dumps([{"hosts": "controller", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    run = run_playbook(playbook, "lab", **in_namespace)
    assert run.code != 0
    assert "the server rejected our request" in run.text
    assert cluster.weights() == dict(zip(SLOTS, [0, 100], strict=True))


def test_a_route_whose_split_cannot_be_told_is_left_alone(site, cluster):
    site().passed()
    cluster.patch_route({"op": "copy", "from": "/spec/rules/2", "path": "/spec/rules/0"})
    generation = cluster.route()["metadata"]["generation"]
    run = site()
    assert run.code != 0
    assert "has 2 rules whose backends are churnguard-api-blue and churnguard-api-green" in run.text
    assert cluster.route()["metadata"]["generation"] == generation


def test_a_field_that_somebody_else_changed_stops_the_run_and_can_be_taken_over(site, cluster):
    site().passed()
    cluster.core.patch_namespaced_service(
        SLOTS[0], cluster.namespace, {"spec": {"selector": {"slot": "green"}}}, field_manager="somebody"
    )
    run = site()
    assert run.code != 0
    assert 'conflict with \\"somebody\\"' in run.text and ".spec.selector" in run.text
    assert "-e app_manifests_force_conflicts=true" in run.text
    assert cluster.core.read_namespaced_service(SLOTS[0], cluster.namespace).spec.selector["slot"] == "green"

    run = site(app_manifests_force_conflicts=True)
    assert (run.code, run.changed) == (0, 1), run.output
    assert cluster.core.read_namespaced_service(SLOTS[0], cluster.namespace).spec.selector["slot"] == "blue"


def test_the_public_service_as_router_keeps_the_slot_it_was_switched_to(site, cluster):
    as_router = {"app_manifests_router": "Service"}
    site(**as_router).passed()
    service = cluster.core.read_namespaced_service("churnguard-service", cluster.namespace)
    assert service.spec.selector == {"app": "churnguard-api", "slot": "blue"}
    assert [rule["backendRefs"][0]["name"] for rule in cluster.route()["spec"]["rules"]] == [
        *SLOTS,
        "churnguard-service",
    ]

    cluster.core.patch_namespaced_service(
        "churnguard-service", cluster.namespace, {"spec": {"selector": {"slot": "green"}}}, field_manager="engine"
    )
    run = site(**as_router)
    assert (run.code, run.changed) == (0, 0), run.output
    run = site(**as_router, app_manifests_http_port=5001)
    assert (run.code, run.changed) == (0, 1), run.output
    service = cluster.core.read_namespaced_service("churnguard-service", cluster.namespace)
    assert service.spec.selector == {"app": "churnguard-api", "slot": "green"}
    assert {port.port: port.target_port for port in service.spec.ports} == {80: 5001, 8080: 8080}


def test_missing_rights_are_named(site):
    run = site(env={"K8S_AUTH_IMPERSONATE_USER": "nobody-in-particular"})
    assert run.code != 0
    assert 'User \\"nobody-in-particular\\" cannot get resource \\"namespaces\\"' in run.text
    assert "Next: give the user the rights that the README of role app_manifests lists." in run.text


def without_rights(api: client.ApiClient, cluster: Cluster, folder: Path) -> str:
    """A kubeconfig with the token of an account that may do nothing."""
    account = "churnguard-service-account"
    token = cluster.core.create_namespaced_service_account_token(account, cluster.namespace, {"spec": {}}).status.token
    server = {"server": api.configuration.host, "certificate-authority": api.configuration.ssl_ca_cert}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": server}],
        "users": [{"name": "nobody", "user": {"token": token}}],
        "contexts": [{"name": "churnguard-lab", "context": {"cluster": "lab", "user": "nobody"}}],
    }
    path = folder / "kubeconfig-of-nobody"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_the_secret_is_checked_by_the_names_of_its_keys_only(run_playbook, api, site, cluster, in_namespace, tmp_path):
    site().passed()
    playbook = tmp_path / "secret.yml"
    tasks = [{"ansible.builtin.import_role": {"name": "app_manifests", "tasks_from": "secret"}}]
    playbook.write_text(json.dumps([{"hosts": "controller", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    identity = f"Secret {cluster.namespace}/churnguard-secrets"

    run = run_playbook(playbook, "lab", **in_namespace)
    assert run.code != 0
    assert f"{identity} does not exist or lacks the keys database-url, jwt-secret, redis-url" in run.text
    assert "External Secrets" in run.text and "SOPS" in run.text

    values = {"database-url": "postgresql://secret-in-the-url", "redis-url": "redis://another-secret"}
    secret = {"metadata": {"name": "churnguard-secrets"}, "stringData": values}
    cluster.core.create_namespaced_secret(cluster.namespace, secret)
    run = run_playbook(playbook, "lab", "-vvv", "--diff", **in_namespace)
    assert run.code != 0
    assert f"{identity} does not exist or lacks the keys jwt-secret;" in run.text

    complete = {"stringData": {"jwt-secret": "third-secret"}}
    cluster.core.patch_namespaced_secret("churnguard-secrets", cluster.namespace, complete)
    passed = run_playbook(playbook, "lab", "-vvv", "--diff", **in_namespace)
    assert passed.code == 0, passed.output
    for shown in (run.output, passed.output):
        for telltale in ("secret-in-the-url", "another-secret", "third-secret", "c2VjcmV0LWluLXRoZS11cmw"):
            assert telltale not in shown

    run = run_playbook(playbook, "lab", **in_namespace, app_manifests_kubeconfig=without_rights(api, cluster, tmp_path))
    assert run.code != 0
    assert f"Could not look at {identity}" in run.text and 'cannot get resource "secrets"' in run.text


def test_limits_that_a_release_holds_are_left_to_it(site, cluster):
    site().passed()
    hold = {"spec": {"minReplicas": 10, "maxReplicas": 30}}
    cluster.autoscaling.patch_namespaced_horizontal_pod_autoscaler(
        SLOTS[0], cluster.namespace, hold, field_manager="churnguard-rollout"
    )

    def limits() -> dict[str, tuple[int, int]]:
        items = cluster.autoscaling.list_namespaced_horizontal_pod_autoscaler(cluster.namespace).items
        return {item.metadata.name: (item.spec.min_replicas, item.spec.max_replicas) for item in items}

    for options, changed in (((), 1), ((), 0), (("--check",), 0)):
        run = site(*options, app_manifests_hpa_min_replicas=4, app_manifests_hpa_max_replicas=20)
        assert (run.code, run.changed) == (0, changed), run.output
        assert limits() == {SLOTS[0]: (10, 30), SLOTS[1]: (4, 20)}
        assert (
            "holds maxReplicas of churnguard-api-blue, minReplicas of churnguard-api-blue: left as they are" in run.text
        )

    # Another hand on another field of the same object still stops the run.
    behavior = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 7}}}}
    cluster.autoscaling.patch_namespaced_horizontal_pod_autoscaler(
        SLOTS[0], cluster.namespace, behavior, field_manager="somebody"
    )
    run = site(app_manifests_hpa_min_replicas=4)
    assert run.code != 0
    assert 'conflict with \\"somebody\\"' in run.text
    assert limits()[SLOTS[0]] == (10, 30)
