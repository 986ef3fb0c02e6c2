"""The lab that is up: rights, kinds, data, secrecy, and what Prometheus finds."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
import redis
from churnguard_lab import alert_sink, images, pki, processes, settings, supervise
from kubernetes import client, config

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab() -> settings.Settings:
    return settings.load()


@pytest.fixture(scope="module")
def admin(lab: settings.Settings) -> client.ApiClient:
    return config.new_client_from_config(str(lab.kubeconfig))


@pytest.fixture
def namespace(admin: client.ApiClient) -> Iterator[str]:
    core, name = client.CoreV1Api(admin), f"lab-test-{secrets.token_hex(3)}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name)


def test_every_part_is_ready(lab: settings.Settings) -> None:
    words = supervise.status(lab)
    assert {name: text for name, text in words.items() if not text.startswith("ready")} == {}
    wanted = {"etcd", "kube-apiserver", "node", "gateway", "prometheus", "pushgateway", "postgresql", "redis", "moto"}
    wanted |= {"redis-replica", "redis-sentinel-1", "redis-sentinel-2", "redis-sentinel-3"}
    wanted |= {
        "alertmanager",
        "alert-sink",
        "node-exporter",
        "postgres-exporter",
        "redis-exporter",
        "blackbox-exporter",
    }
    wanted |= {"kube-state-metrics"}
    assert wanted <= set(words)


def test_everything_listens_on_loopback_alone(lab: settings.Settings) -> None:
    listening = [
        connection.laddr
        for process in processes.of_lab(lab.state_dir)
        for connection in process.net_connections(kind="tcp")
        if connection.status == "LISTEN"
    ]
    assert len(listening) >= 10
    assert [address for address in listening if not address.ip.startswith("127.") and address.ip != "::1"] == []


def test_no_password_is_in_a_command_line_or_a_log(lab: settings.Settings) -> None:
    words = [lab.secret(name) for name in pki.PASSWORDS]
    shown = [part for process in processes.of_lab(lab.state_dir) for part in process.cmdline()]
    shown += [path.read_text(errors="replace") for path in lab.log_dir.glob("*.log")]
    shown += [(lab.state_dir / "lab.json").read_text()]
    assert len(shown) > 20
    assert not any(word in text for word in words for text in shown)


RIGHTS = [
    ("node", "list", "", "pods", True),
    ("node", "patch", "", "pods/status", True),
    ("node", "get", "", "secrets", True),
    ("node", "update", "coordination.k8s.io", "leases", True),
    ("node", "create", "", "pods", False),
    ("node", "update", "", "secrets", False),
    ("node", "list", "apps", "deployments", False),
    ("gateway", "watch", "gateway.networking.k8s.io", "httproutes", True),
    ("gateway", "patch", "gateway.networking.k8s.io", "httproutes/status", True),
    ("gateway", "list", "", "services", True),
    ("gateway", "patch", "gateway.networking.k8s.io", "httproutes", False),
    ("gateway", "get", "", "secrets", False),
    ("gateway", "delete", "", "pods", False),
    ("prometheus", "watch", "", "pods", True),
    ("prometheus", "list", "", "endpoints", True),
    ("prometheus", "get", "", "secrets", False),
    ("prometheus", "patch", "", "pods", False),
    ("kube-state-metrics", "list", "apps", "deployments", True),
    ("kube-state-metrics", "watch", "", "pods", True),
    ("kube-state-metrics", "get", "", "secrets", False),
    ("kube-state-metrics", "list", "", "configmaps", False),
    ("kube-state-metrics", "patch", "apps", "deployments", False),
]


@pytest.mark.parametrize(("component", "verb", "group", "resource", "allowed"), RIGHTS)
def test_components_may_do_their_work_and_no_more(
    lab: settings.Settings, component: str, verb: str, group: str, resource: str, allowed: bool
) -> None:
    api = config.new_client_from_config(str(lab.component_kubeconfig(component)))
    name, _, subresource = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": name, "subresource": subresource, "namespace": "default"}
    review = client.AuthorizationV1Api(api).create_self_subject_access_review({"spec": {"resourceAttributes": asked}})
    assert review.status.allowed is allowed


def test_nobody_without_a_certificate_gets_in(lab: settings.Settings) -> None:
    anonymous = client.Configuration(host=f"https://127.0.0.1:{lab.ports.kube_apiserver}")
    anonymous.ssl_ca_cert = str(lab.state_dir / "pki" / "ca.crt")
    with pytest.raises(client.ApiException) as raised:
        client.VersionApi(client.ApiClient(anonymous)).get_code()
    assert raised.value.status == 401


def route(**rule: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "it"},
        "spec": {"parentRefs": [{"name": "churnguard"}], "hostnames": ["it.lab"], "rules": [rule]},
    }


def create_route(admin: client.ApiClient, namespace: str, body: dict[str, Any]) -> Any:
    api = client.CustomObjectsApi(admin)
    return api.create_namespaced_custom_object("gateway.networking.k8s.io", "v1", namespace, "httproutes", body)


def test_route_gets_the_gateway_api_s_defaults(admin: client.ApiClient, namespace: str) -> None:
    body = route(
        matches=[{"headers": [{"name": "x-churnguard-slot", "value": "blue"}]}],
        backendRefs=[{"name": "blue", "port": 80}, {"name": "green", "port": 80, "weight": 0}],
    )
    (rule,) = create_route(admin, namespace, body)["spec"]["rules"]
    assert [backend["weight"] for backend in rule["backendRefs"]] == [1, 0]
    assert rule["backendRefs"][0]["kind"] == "Service"
    assert rule["matches"][0]["path"] == {"type": "PathPrefix", "value": "/"}
    assert rule["matches"][0]["headers"][0]["type"] == "Exact"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"backendRefs": [{"name": "blue", "port": 80, "weight": -1}]}, "weight"),
        ({"backendRefs": [{"name": "blue", "port": 80, "weight": "5"}]}, "weight"),
        ({"backendRefs": [{"name": "blue"}]}, "needs a port"),
        ({"matches": [{"path": {"type": "Regex", "value": "/"}}]}, "path.type"),
        ({"matches": [{"path": {"value": "no-slash"}}]}, "path.value"),
        ({"filters": [{"type": "Unheard"}]}, "filters[0].type"),
    ],
)
def test_route_that_is_wrong_is_refused(
    admin: client.ApiClient, namespace: str, rule: dict[str, Any], message: str
) -> None:
    with pytest.raises(client.ApiException) as raised:
        create_route(admin, namespace, route(**rule))
    assert raised.value.status == 422
    assert message in json.loads(raised.value.body)["message"]


@pytest.fixture(scope="module")
def database(lab: settings.Settings) -> Iterator[Any]:
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=lab.ports.postgresql,
        user="churnguard",
        password=lab.secret("database"),
        dbname="churnguard",
    )
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


@pytest.mark.parametrize(
    ("table", "rows"), [("organizations", 20), ("users", 200), ("customers", 5000), ("predictions", 20000)]
)
def test_database_is_seeded(database: Any, table: str, rows: int) -> None:
    database.execute(f"SELECT count(*) FROM {table}")
    assert database.fetchone()[0] >= rows


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO users (organization_id, email, role) VALUES (-1, 'a@b', 'viewer')", "ForeignKeyViolation"),
        (
            "INSERT INTO users (organization_id, email, role) VALUES (1, 'USER20@organization1.example', 'viewer')",
            "Unique",
        ),
        ("UPDATE organizations SET subscription_tier = 'free' WHERE id = 1", "CheckViolation"),
        ("UPDATE predictions SET churn_probability = 1.01 WHERE id = 1", "CheckViolation"),
        ("UPDATE predictions SET risk_level = NULL WHERE id = 1", "NotNullViolation"),
        ("CREATE ROLE intruder", "InsufficientPrivilege"),
    ],
)
def test_database_keeps_its_rules(database: Any, statement: str, error: str) -> None:
    with pytest.raises(psycopg2.Error) as raised:
        database.execute(statement)
    assert error in type(raised.value).__name__


def test_seeded_rows_are_the_same_in_every_lab(database: Any) -> None:
    database.execute("SELECT risk_level, count(*) FROM predictions WHERE id <= 20000 GROUP BY 1 ORDER BY 1")
    assert dict(database.fetchall()) == {"high": 6000, "low": 8000, "medium": 6000}
    database.execute("SELECT sum(monthly_charges), count(churned_at) FROM customers WHERE id <= 5000")
    charges, churned = database.fetchone()
    # The seed's own arithmetic, done again here.
    assert charges * 100 == sum(2000 + number * 7919 % 10000 for number in range(1, 5001))
    assert churned == 5000 // 11


def test_database_and_cache_ask_for_the_password(lab: settings.Settings) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host="127.0.0.1", port=lab.ports.postgresql, user="postgres", password="x", dbname="postgres")
    with redis.Redis("127.0.0.1", lab.ports.redis) as cache, pytest.raises(redis.AuthenticationError):
        cache.ping()


def prometheus(lab: settings.Settings, path: str) -> Any:
    """What Prometheus answers, without its envelope."""
    with urllib.request.urlopen(f"http://127.0.0.1:{lab.ports.prometheus}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]


def value(lab: settings.Settings, expression: str) -> float:
    """The only value that an expression has now; 0 without any."""
    found = prometheus(lab, f"query?query={urllib.parse.quote(expression)}")["result"]
    return float(found[0]["value"][1]) if found else 0.0


def await_value(lab: settings.Settings, expression: str, expected: float) -> None:
    give_up = time.monotonic() + 60
    while (seen := value(lab, expression)) != expected:
        assert time.monotonic() < give_up, f"{expression} is {seen}, not {expected}"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('count(up{job!~"churnguard-api|blackbox"} == 1)', 10),
        ("pg_up", 1),
        # One exporter for both, each under its own address.
        ("count(redis_up == 1)", 2),
        ('count(redis_instance_info{role="master"})', 1),
        ('count(probe_success{job="blackbox", instance=~".*:[0-9]+"} == 1)', 1),
        ('kube_node_status_condition{condition="Ready", status="true"}', 1),
        ("prometheus_config_last_reload_successful", 1),
        ('count(ALERTS{alertname="Watchdog", alertstate="firing"})', 1),
        # A job that has no target, or an exporter that does not reach what it is for.
        ('count(ALERTS{alertname=~"JobMissing|PostgresDown|RedisDown|CertificateExpiresSoon"}) or vector(0)', 0),
    ],
)
def test_everything_is_watched(lab: settings.Settings, expression: str, expected: float) -> None:
    await_value(lab, expression, expected)


def test_metrics_that_are_left_in_a_file_are_scraped(lab: settings.Settings) -> None:
    name = f"lab_test_{secrets.token_hex(4)}"
    file = lab.state_dir / "data" / "textfile" / f"{name}.prom"
    file.write_text(f"# TYPE {name} gauge\n{name} 7\n")
    try:
        await_value(lab, name, 7)
    finally:
        file.unlink()


def test_alerts_arrive(lab: settings.Settings) -> None:
    """The one that always fires is told every minute."""
    give_up = time.monotonic() + 90
    file = lab.log_dir / "notifications.jsonl"
    while not [one for one in alert_sink.read_records(file) if time.time() - one["arrived_s"] < 90]:
        assert time.monotonic() < give_up, f"nothing new in {file}"
        time.sleep(0.5)
    told = alert_sink.read_records(file)[-1]
    assert {alert["labels"]["environment"] for alert in told["alerts"]} == {"lab"}


def test_exporter_of_the_database_sees_no_table(lab: settings.Settings) -> None:
    place = {"host": "127.0.0.1", "port": lab.ports.postgresql, "dbname": "churnguard"}
    connection = psycopg2.connect(**place, user="churnguard_exporter", password=lab.secret("exporter"))
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>'")
        assert cursor.fetchone() == (0,)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT count(*) FROM customers")


def targets(lab: settings.Settings) -> list[dict[str, Any]]:
    return prometheus(lab, "targets?state=active&scrapePool=churnguard-api")["activeTargets"]


def test_prometheus_finds_annotated_pods_with_their_labels(
    lab: settings.Settings, admin: client.ApiClient, namespace: str
) -> None:
    images.build(lab.state_dir, "test/scraped:1", "testserver")
    core = client.CoreV1Api(admin)
    for name, wishes in {
        "scraped": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"},
        "silent": {},
    }.items():
        metadata = {"name": name, "annotations": wishes, "labels": {"app": "it", "slot": "blue", "version": "v7"}}
        ports = [{"name": "http", "containerPort": 5000}, {"name": "metrics", "containerPort": 8080}]
        fields = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name"}
        environment = [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()]
        container = {"name": "it", "image": "test/scraped:1", "ports": ports, "env": environment}
        spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
        core.create_namespaced_pod(namespace, {"metadata": metadata, "spec": spec})
    give_up = time.monotonic() + 60
    while not (found := [t for t in targets(lab) if t["labels"]["namespace"] == namespace and t["health"] == "up"]):
        assert time.monotonic() < give_up, targets(lab)
        time.sleep(0.5)
    # Two ports, and still one target: the annotated one.
    (target,) = found
    address = core.read_namespaced_pod("scraped", namespace).status.pod_ip
    assert target["scrapeUrl"] == f"http://{address}:8080/metrics"
    assert target["labels"] == {
        "job": "churnguard-api",
        "instance": f"{address}:8080",
        "namespace": namespace,
        "pod": "scraped",
        "node": lab.node.name,
        "app": "it",
        "slot": "blue",
        "version": "v7",
    }
