"""The lab's parts: what each needs before it starts, where it listens, and how one sees that it is ready."""

from __future__ import annotations

import dataclasses
import http.client
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from typing import Any

import redis

from churnguard_lab.settings import LOOPBACK, Settings

PROBE_TIMEOUT_S = 3.0


class NotReady(Exception):
    """The part does not answer as it should yet; the message says what it answered."""


Probe = Callable[[Settings], None]


@dataclasses.dataclass(frozen=True)
class Part:
    """One program under the supervisor."""

    name: str
    listens: tuple[str, ...]
    probe: Probe
    after: tuple[str, ...] = ()
    ready_within_s: float = 60


def startable(wanted: Collection[str], ready: Collection[str], started: Collection[str]) -> list[str]:
    """Names of the wanted parts that can be started now: those whose prerequisites, as far as wanted, are ready."""
    return [
        part.name
        for part in PARTS.values()
        if part.name in wanted
        and part.name not in started
        and all(before in ready for before in part.after if before in wanted)
    ]


def listener_ports(settings: Settings, names: Collection[str]) -> dict[str, tuple[str, int]]:
    """Listener name -> (part, port) of the named parts and of the supervisor itself."""
    ports = {"supervisor": ("supervisor", settings.ports.supervisor)}
    for part in PARTS.values():
        if part.name in names:
            ports |= {listener: (part.name, getattr(settings.ports, listener)) for listener in part.listens}
    return ports


def _get(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """The body of a 200 answer; NotReady otherwise."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S, context=context) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise NotReady(f"{url} answered {error.code}: {error.read(300).decode(errors='replace')}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{url}: {getattr(error, 'reason', None) or error}") from error


def _get_object(url: str, context: ssl.SSLContext | None = None) -> Mapping[str, Any]:
    """The JSON object that a 200 answer holds; NotReady otherwise."""
    body = _get(url, context)
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotReady(f"{url} answered no JSON object: {body[:300].decode(errors='replace')}")
    return document


def _trust(settings: Settings, *, as_admin: bool) -> ssl.SSLContext:
    folder = settings.state_dir / "pki"
    try:
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        if as_admin:
            context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    except OSError as error:
        raise NotReady(f"cannot read the lab's certificates in {folder}: {error.strerror}") from error
    return context


def _etcd(settings: Settings) -> None:
    answer = _get_object(f"http://{LOOPBACK}:{settings.ports.etcd}/health")
    if answer.get("health") not in (True, "true"):
        raise NotReady(f"etcd says {answer}")


def _apiserver(settings: Settings) -> None:
    _get(f"https://{LOOPBACK}:{settings.ports.kube_apiserver}/readyz", _trust(settings, as_admin=True))


def _controller_manager(settings: Settings) -> None:
    port = settings.ports.kube_controller_manager
    _get(f"https://{LOOPBACK}:{port}/healthz", _trust(settings, as_admin=False))


def _scheduler(settings: Settings) -> None:
    port = settings.ports.kube_scheduler
    _get(f"https://{LOOPBACK}:{port}/readyz", _trust(settings, as_admin=False))


def _node(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.node_agent}/healthz")
    url = f"https://{LOOPBACK}:{settings.ports.kube_apiserver}/api/v1/nodes/{settings.node.name}"
    node = _get_object(url, _trust(settings, as_admin=True))
    conditions = {entry["type"]: entry["status"] for entry in node.get("status", {}).get("conditions", [])}
    if conditions.get("Ready") != "True":
        raise NotReady(f"node {settings.node.name} has the conditions {conditions}")


def _gateway(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.gateway_controller}/healthz")


def _prometheus(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.prometheus}/-/ready")


def _pushgateway(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.pushgateway}/-/ready")


def _postgresql(settings: Settings) -> None:
    command = ["pg_isready", "-q", "-h", LOOPBACK, "-p", str(settings.ports.postgresql), "-t", "3"]
    try:
        code = subprocess.run(command, check=False, timeout=10).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady(f"pg_isready: {error}") from error
    if code:
        raise NotReady({1: "PostgreSQL is starting up", 2: "PostgreSQL does not answer"}.get(code, f"exit {code}"))


def _ask_redis(settings: Settings, port: int, question: Callable[[redis.Redis], Any]) -> Any:
    """What the Redis or the Sentinel on that port answers; NotReady when it refuses or is silent."""
    client = redis.Redis(
        LOOPBACK,
        port,
        password=settings.secret("redis"),
        socket_timeout=PROBE_TIMEOUT_S,
        retry=None,
        decode_responses=True,
    )
    try:
        return question(client)
    except redis.RedisError as error:
        raise NotReady(f"Redis: {error}") from error
    finally:
        client.close()


def _redis(settings: Settings) -> None:
    _ask_redis(settings, settings.ports.redis, redis.Redis.ping)


def _redis_replica(settings: Settings) -> None:
    """Of the two nodes one follows the other: after a failover it is the first that follows the second."""
    ports = (settings.ports.redis, settings.ports.redis_replica)
    told = [_ask_redis(settings, port, lambda client: client.info("replication")) for port in ports]
    if sorted(node["role"] for node in told) != ["master", "slave"]:
        raise NotReady(f"Redis: the nodes are {' and '.join(node['role'] for node in told)}")
    link = next(node["master_link_status"] for node in told if node["role"] == "slave")
    if link != "up":
        raise NotReady(f"Redis: the replica's link to its primary is {link}")


def _redis_sentinel(number: int) -> Probe:
    def probe(settings: Settings) -> None:
        port = getattr(settings.ports, f"redis_sentinel_{number}")
        primaries = _ask_redis(settings, port, lambda client: client.sentinel_masters())
        if not primaries:
            raise NotReady("Sentinel watches no primary")
        for name, state in primaries.items():
            _ask_redis(settings, port, lambda client, name=name: client.sentinel_ckquorum(name))
            if state["num-slaves"] < 1:
                raise NotReady(f"Sentinel has not found a replica of {name} yet")

    return probe


def _exporter(listener: str) -> Probe:
    """An exporter is ready when it answers; whether what it looks at is there, its series say."""

    def probe(settings: Settings) -> None:
        _get(f"http://{LOOPBACK}:{getattr(settings.ports, listener)}/")

    return probe


def _alertmanager(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.alertmanager}/-/ready")


def _alert_sink(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.alert_sink}/-/ready")


def _kube_state_metrics(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.kube_state_metrics_telemetry}/readyz")


def _moto(settings: Settings) -> None:
    _get(f"http://{LOOPBACK}:{settings.ports.moto}/moto-api/")


PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        Part("etcd", ("etcd", "etcd_peer"), _etcd),
        Part("kube-apiserver", ("kube_apiserver",), _apiserver, after=("etcd",), ready_within_s=90),
        Part("kube-controller-manager", ("kube_controller_manager",), _controller_manager, ("kube-apiserver",)),
        Part("kube-scheduler", ("kube_scheduler",), _scheduler, ("kube-apiserver",)),
        Part("node", ("node_agent",), _node, ("kube-apiserver",)),
        Part("gateway", ("gateway", "gateway_admin", "gateway_controller"), _gateway, ("kube-apiserver",)),
        Part("prometheus", ("prometheus",), _prometheus),
        Part("pushgateway", ("pushgateway",), _pushgateway),
        Part("postgresql", ("postgresql",), _postgresql),
        Part("redis", ("redis",), _redis),
        Part("redis-replica", ("redis_replica",), _redis_replica, ("redis",)),
        *(
            Part(f"redis-sentinel-{number}", (f"redis_sentinel_{number}",), _redis_sentinel(number), ("redis-replica",))
            for number in (1, 2, 3)
        ),
        Part("moto", ("moto",), _moto),
        Part("alert-sink", ("alert_sink",), _alert_sink),
        Part("alertmanager", ("alertmanager",), _alertmanager),
        Part("node-exporter", ("node_exporter",), _exporter("node_exporter")),
        Part("postgres-exporter", ("postgres_exporter",), _exporter("postgres_exporter")),
        Part("redis-exporter", ("redis_exporter",), _exporter("redis_exporter")),
        Part("blackbox-exporter", ("blackbox_exporter",), _exporter("blackbox_exporter")),
        Part(
            "kube-state-metrics",
            ("kube_state_metrics", "kube_state_metrics_telemetry"),
            _kube_state_metrics,
            ("kube-apiserver",),
        ),
    )
}
