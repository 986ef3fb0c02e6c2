"""A real HAProxy on spare ports, real application processes on loopback addresses, and objects to route."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.gateway.controller import MEMORY_FILE, DataPlane
from churnguard_lab.gateway.haproxy import HAProxy, HAProxyError
from churnguard_lab.gateway.health import Metrics
from churnguard_lab.gateway.model import parse_gateway, parse_pod, parse_route, parse_service
from churnguard_lab.gateway.plan import Desired, Snapshot, build

from ..ports import free_ports
from ..waiting import until

NAMESPACE = "shop"
HOST = "shop.lab"
PORT = 5000


def pod(name: str, ip: str, ready: bool = True, deleted: bool = False, labels: Mapping[str, str] | None = None) -> Any:
    """A pod's API object; its slot is the part of the name before the first dash."""
    metadata: dict[str, Any] = {
        "uid": f"uid-{name}",
        "namespace": NAMESPACE,
        "name": name,
        "labels": dict(labels or {"app": "shop", "slot": name.partition("-")[0]}),
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": PORT}]}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(slot: str) -> Any:
    """A slot's Service."""
    return {
        "metadata": {"namespace": NAMESPACE, "name": f"shop-{slot}"},
        "spec": {"selector": {"app": "shop", "slot": slot}, "ports": [{"port": 80, "targetPort": "http"}]},
    }


def route(weights: Mapping[str, int], **changes: Any) -> Any:
    """The application's HTTPRoute: one rule a slot by header, then the weighted rule."""
    pinned = [
        {
            "matches": [{"headers": [{"name": "x-churnguard-slot", "value": slot}]}],
            "backendRefs": [{"name": f"shop-{slot}", "port": 80}],
        }
        for slot in weights
    ]
    weighted = {"backendRefs": [{"name": f"shop-{slot}", "port": 80, "weight": w} for slot, w in weights.items()]}
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": "shop",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "parentRefs": [{"name": "front", "namespace": "gateways"}],
            "hostnames": [HOST],
            "rules": [*pinned, weighted],
            **changes,
        },
    }


def gateway(port: int, allowed: str = "All") -> Any:
    """The Gateway with one HTTP listener."""
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": port,
        "allowedRoutes": {"namespaces": {"from": allowed}},
    }
    return {
        "metadata": {"namespace": "gateways", "name": "front", "generation": 1},
        "spec": {"gatewayClassName": "lab", "listeners": [listener]},
    }


class Plane:
    """A data plane with a spare front door, and the last state that it was given."""

    def __init__(self, directory: Path) -> None:
        self.front_port, self.admin_port = free_ports(2)
        self.directory = directory
        self.metrics = Metrics()
        self.url = f"http://127.0.0.1:{self.front_port}"
        self.open()

    def open(self) -> None:
        """Act as a controller that has just been started."""
        haproxy = HAProxy(self.directory / "gateway", self.directory / "haproxy.log", self.directory)
        self.data_plane = DataPlane(
            haproxy, self.directory / "gateway" / MEMORY_FILE, self.front_port, self.admin_port, self.metrics
        )
        self.data_plane.start_with_last_state()

    def set(self, routes: list[Any], services: list[Any], pods: list[Any]) -> Desired:
        """Have HAProxy do what these objects ask for."""
        parsed_services = [parse_service(item) for item in services]
        snapshot = Snapshot(
            gateways=(parse_gateway(gateway(self.front_port)),),
            routes=tuple(parse_route(item) for item in routes),
            services={(item.namespace, item.name): item for item in parsed_services},
            pods=tuple(parse_pod(item) for item in pods),
        )
        desired = build(snapshot, self.data_plane.pools, self.front_port)
        self.data_plane.sync(desired)
        return desired

    def await_dead(self) -> None:
        """Wait until no HAProxy runs any more."""

        def is_dead() -> bool:
            with contextlib.suppress(HAProxyError):  # it dies while it is asked
                return not self.data_plane.haproxy.processes()
            return False

        until("no HAProxy runs", is_dead)

    def count(self, name: str) -> float:
        """A counter of the controller's metrics."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"churnguard_gateway_{name}_total"
        )

    def get(self, path: str = "/api/v1/version", **headers: str) -> tuple[int, Mapping[str, str], str]:
        """One request: status, headers, body."""
        named = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, reply.headers, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """A running HAProxy without routes."""
    made = Plane(tmp_path)
    yield made
    made.data_plane.haproxy.stop()
    assert made.data_plane.haproxy.processes() == []


class Application:
    """One application process on its own loopback address."""

    def __init__(self, ip: str, version: str, faults: Mapping[str, str]) -> None:
        self.ip = ip
        environment = {**os.environ, "POD_IP": ip, "APP_VERSION": version, "SLOT": version, "POD_NAME": ip, **faults}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "churnguard_lab.testserver"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_ready(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            with contextlib.suppress(OSError):
                socket.create_connection((self.ip, PORT), timeout=1).close()
                return True
            return False

        until(f"{self.ip} answers", answers)

    def terminate(self) -> None:
        """SIGTERM, as a kubelet sends it."""
        self.process.terminate()


_addresses = (f"127.0.{64 + os.getpid() % 64}.{number}" for number in itertools.count(1))


@pytest.fixture
def application() -> Iterator[Callable[..., Application]]:
    """Starts applications, each on an address that no earlier one used; ends them all."""
    started: list[Application] = []

    def start(version: str, **faults: str) -> Application:
        item = Application(next(_addresses), version, faults)
        started.append(item)
        item.await_ready()
        return item

    yield start
    for item in started:
        item.process.kill()
        item.process.wait()


@pytest.fixture
def make() -> Any:
    """The makers of API objects."""

    class Makers:
        pod = staticmethod(pod)
        service = staticmethod(service)
        route = staticmethod(route)
        gateway = staticmethod(gateway)

    return Makers
