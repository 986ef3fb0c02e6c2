"""Services with ten thousand series each, of the metrics that the rules read: their labels, values and growth.

Nothing is wrong with any of them, so no alert but the watchdog fires.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

SERIES_EACH = 10_000
_ENDPOINTS = tuple(f"/api/v1/{name}" for name in ("customers", "predictions", "segments", "exports", "users"))
_STATUS = {"200": 2.0, "404": 0.02, "422": 0.01, "500": 0.0001}
#: The bounds of churnguard-api's histogram; all requests take between 0.1 and 0.25 s.
_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "5.0", "10.0", "+Inf")
_MODES = ("idle", "user", "system", "iowait", "irq", "softirq", "nice", "steal")


@dataclasses.dataclass(frozen=True)
class Series:
    """One series. `growth` is a second's; `window_s` is how far back a rule looks at it."""

    name: str
    labels: dict[str, str]
    first: float = 0.0
    growth: float = 0.0
    window_s: int = 900


#: Objectives look back six hours at the counters, and NodeDiskFillsUp at the file systems.
LONG_S = 6 * 3600


def all_series() -> dict[str, list[Series]]:
    """Service (job) -> its series, at least SERIES_EACH."""
    return {job: list(_enough(job, one)) for job, one in _SERVICES.items()}


def _enough(job: str, one: Callable[[int], Iterator[Series]]) -> Iterator[Series]:
    """As many pods, nodes or servers as it takes."""
    made = 0
    for number in itertools.count(1):
        for series in one(number):
            yield dataclasses.replace(series, labels={"job": job, "instance": f"{job}-{number}:9", **series.labels})
            made += 1
        if made >= SERIES_EACH:
            return


def _pod_of_the_application(number: int) -> Iterator[Series]:
    pod = {"namespace": "shop", "pod": f"api-{number}", "app": "churnguard-api", "slot": "blue", "version": "v1"}
    for endpoint, method in itertools.product(_ENDPOINTS, ("GET", "POST")):
        route = {**pod, "endpoint": endpoint, "method": method}
        for status, rate in _STATUS.items():
            yield Series("churnguard_requests_total", {**route, "status_code": status}, growth=rate, window_s=LONG_S)
        total = sum(_STATUS.values())
        for bound in _BOUNDS:
            rate = 0.0 if bound in _BOUNDS[:5] else total
            name = "churnguard_request_duration_seconds_bucket"
            # Objectives look at one bound of them, and at the count.
            window = LONG_S if bound == "2.0" else 900
            yield Series(name, {**route, "le": bound}, growth=rate, window_s=window)
        yield Series("churnguard_request_duration_seconds_count", route, growth=total, window_s=LONG_S)
        yield Series("churnguard_request_duration_seconds_sum", route, growth=0.2 * total)
    for level in ("low", "medium", "high"):
        yield Series("churnguard_predictions_total", {**pod, "model_version": "m1", "risk_level": level}, growth=1)
    for name, value in (
        ("up", 1),
        ("churnguard_db_connections_active", 1),
        ("churnguard_active_users", 120),
        ("churnguard_gdpr_requests_overdue", 0),
        ("churnguard_compliance_score", 93),
        ("churnguard_prediction_age_seconds", 1800),
    ):
        yield Series(name, pod, value)


def _node(number: int) -> Iterator[Series]:
    for cpu, mode in itertools.product(range(16), _MODES):
        rate = 0.86 if mode == "idle" else 0.02
        yield Series("node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode}, growth=rate)
    for disk in range(10):
        place = {"device": f"/dev/sd{disk}", "fstype": "ext4", "mountpoint": f"/data/{disk}"}
        yield Series("node_filesystem_avail_bytes", place, 6e10, window_s=LONG_S)
        yield Series("node_filesystem_size_bytes", place, 1e11)
        yield Series("node_filesystem_readonly", place, 0)
    for name, value in (
        ("up", 1),
        ("node_memory_MemAvailable_bytes", 6e9),
        ("node_memory_MemTotal_bytes", 8e9),
        ("node_timex_offset_seconds", 0.001),
    ):
        yield Series(name, {}, value)


def _database_server(number: int) -> Iterator[Series]:
    server = {"server": f"db-{number}:5432"}
    for database, state in itertools.product(range(20), ("active", "idle", "idle in transaction", "disabled")):
        place = {**server, "datname": f"db{database}", "state": state}
        yield Series("pg_stat_activity_count", place, 0.5)
        yield Series("pg_stat_activity_max_tx_duration", place, 0.2)
    for database in range(20):
        yield Series("pg_stat_database_deadlocks", {**server, "datname": f"db{database}"}, 3)
    for name, labels, value in (
        ("up", {}, 1),
        ("pg_up", {}, 1),
        ("pg_settings_max_connections", server, 100),
        ("pg_settings_superuser_reserved_connections", server, 3),
        ("pg_stat_replication_pg_wal_lsn_diff", {**server, "application_name": "standby"}, 1000),
        ("pg_replication_slots_active", {**server, "slot_name": "standby"}, 1),
        ("pg_stat_archiver_failed_count", server, 2),
    ):
        yield Series(name, labels, value)


def _cache_server(number: int) -> Iterator[Series]:
    # What no rule reads is there all the same: most of what this exporter exposes is about commands.
    for command in range(90):
        yield Series("redis_commands_total", {"cmd": f"c{command}"}, growth=1)
    for name, value in (
        ("up", 1),
        ("redis_up", 1),
        ("redis_memory_used_bytes", 500),
        ("redis_memory_max_bytes", 1000),
        ("redis_rejected_connections_total", 0),
        ("redis_master_link_up", 1),
    ):
        yield Series(name, {}, value)


def _node_full_of_pods(number: int) -> Iterator[Series]:
    """kube-state-metrics tells of a node, its hundred pods and their five Deployments."""
    node = f"node-{number}"
    for condition, status in itertools.product(
        ("Ready", "DiskPressure", "MemoryPressure"), ("true", "false", "unknown")
    ):
        well = status == ("true" if condition == "Ready" else "false")
        labels = {"node": node, "condition": condition, "status": status}
        yield Series("kube_node_status_condition", labels, float(well))
    for deployment in range(5):
        place = {"namespace": "shop", "deployment": f"d-{number}-{deployment}"}
        yield Series("kube_deployment_spec_replicas", place, 20)
        yield Series("kube_deployment_status_replicas_available", place, 20)
        for status in ("true", "false", "unknown"):
            labels = {**place, "condition": "Progressing", "status": status}
            yield Series("kube_deployment_status_condition", labels, float(status == "true"))
    for pod in range(100):
        place = {"namespace": "shop", "pod": f"p-{number}-{pod}"}
        yield Series("kube_pod_info", {**place, "node": node, "uid": f"{number}-{pod}"}, 1)
        waits = {**place, "container": "api"}
        yield Series("kube_pod_container_status_restarts_total", waits, 1)
        reason = "CrashLoopBackOff" if pod == 0 else "ContainerCreating"
        # One in a hundred crashed some minutes ago, which is not yet an alert.
        if pod < 5:
            window = 300 if pod == 0 else 900
            yield Series("kube_pod_container_status_waiting_reason", {**waits, "reason": reason}, 1, window_s=window)
        for phase in ("Running", "Pending", "Failed", "Succeeded", "Unknown"):
            yield Series("kube_pod_status_phase", {**place, "phase": phase}, float(phase == "Running"))


_SERVICES: dict[str, Callable[[int], Iterator[Series]]] = {
    "churnguard-api": _pod_of_the_application,
    "node-exporter": _node,
    "postgres-exporter": _database_server,
    "redis-exporter": _cache_server,
    "kube-state-metrics": _node_full_of_pods,
}
