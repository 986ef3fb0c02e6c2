"""The whole controller against the lab's API server and node: an instance of its own, with its own GatewayClass, ports
and HAProxy, which reaches the API server through a relay that a test can cut."""

from __future__ import annotations

import collections
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from churnguard_lab import settings as lab_settings
from churnguard_lab.gateway.haproxy import HAProxy, HAProxyError
from churnguard_lab.gateway.model import CONTROLLER_NAME, GATEWAY_GROUP
from kubernetes import client, config

pytestmark = pytest.mark.lab
IMAGE = "churnguard/gateway-test:v1"
HOST = "live.lab"
DELAY_S = 1.0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def await_that(what: str, check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of `check`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


class Relay:
    """Relays one loopback port to the API server, until it is cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_cut = False
        self.connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and accept none."""
        self.is_cut = True
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            inner, _ = self.listener.accept()
            if self.is_cut:
                inner.close()
                continue
            outer = socket.create_connection(self.target)
            self.connections |= {inner, outer}
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections -= {source, sink}


class Cluster:
    """Reads and writes plain objects as the lab's administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        reply = self._client.call_api(
            path,
            method,
            header_params={"Content-Type": content_type, "Accept": "application/json"},
            body=body,
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=(3, 20),
        )
        return json.loads(reply.data)

    def remove(self, path: str) -> None:
        with contextlib.suppress(client.ApiException):
            self.call("DELETE", path)


class Instance:
    """A gateway of its own in the lab."""

    def __init__(self, directory: Path) -> None:
        self.lab = lab_settings.load()
        self.cluster = Cluster(self.lab.kubeconfig)
        self.name = f"gateway-{uuid.uuid4().hex[:8]}"
        self.directory = directory
        self.front, self.admin, self.health = free_ports(3)
        self.url = f"http://127.0.0.1:{self.front}"
        self.namespace_path = f"/api/v1/namespaces/{self.name}"
        self.route_path = f"/apis/{GATEWAY_GROUP}/v1/namespaces/{self.name}/httproutes"
        self.class_path = f"/apis/{GATEWAY_GROUP}/v1/gatewayclasses"
        self.relay = self._configure()
        self.haproxy = HAProxy(directory / "gateway", directory / "log" / "haproxy.log", directory)
        self.process: subprocess.Popen[bytes] | None = None

    def _configure(self) -> Relay:
        source = self.lab.component_kubeconfig("gateway")
        kubeconfig = yaml.safe_load(source.read_text(encoding="utf-8"))
        server = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
        relay = Relay((str(server.hostname), int(server.port or 443)))
        kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
        target = self.directory / "kubeconfigs" / "gateway.kubeconfig"
        target.parent.mkdir()
        target.touch(mode=0o600)
        target.write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
        document = json.loads(lab_settings.default_path().read_text(encoding="utf-8"))
        document["state_dir"] = str(self.directory)
        document["ports"] |= {"gateway": self.front, "gateway_admin": self.admin, "gateway_controller": self.health}
        document["gateway"] = {"class": self.name, "sync_delay_s": DELAY_S}
        (self.directory / "lab.json").write_text(json.dumps(document), encoding="utf-8")
        return relay

    def create(self) -> None:
        """Class, Gateway, and an application of two blue pods and a green one."""
        gateway_class = {"metadata": {"name": self.name}, "spec": {"controllerName": CONTROLLER_NAME}}
        self.cluster.call("POST", self.class_path, gateway_class | kind("GatewayClass"))
        self.cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.name}})
        listener = {"name": "http", "protocol": "HTTP", "port": self.front}
        gateway = {"metadata": {"name": "front"}, "spec": {"gatewayClassName": self.name, "listeners": [listener]}}
        self.cluster.call(
            "POST", f"/apis/{GATEWAY_GROUP}/v1/namespaces/{self.name}/gateways", gateway | kind("Gateway")
        )
        for slot, replicas in (("blue", 2), ("green", 1)):
            self.cluster.call("POST", f"{self.namespace_path}/services", service(slot))
            path = f"/apis/apps/v1/namespaces/{self.name}/deployments"
            self.cluster.call("POST", path, deployment(slot, replicas))
        self.cluster.call("POST", self.route_path, route("shop", [HOST], {"blue": 100, "green": 0}))

    def remove(self) -> None:
        self.cluster.remove(self.namespace_path)
        self.cluster.remove(f"{self.class_path}/{self.name}")

    def start(self, *arguments: str) -> None:
        """Start the controller."""
        command = [sys.executable, "-m", "churnguard_lab.gateway", "--config", str(self.directory / "lab.json")]
        with open(self.directory / "controller.log", "ab") as log:
            self.process = subprocess.Popen([*command, *arguments], stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/healthz", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def get(self, path: str = "/api/v1/version", host: str = HOST, **headers: str) -> tuple[int, Mapping[str, str]]:
        request = urllib.request.Request(self.url + path, headers={"Host": host, **headers})
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, reply.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    def slots(self, count: int) -> collections.Counter[str]:
        return collections.Counter(self.get()[1]["X-ChurnGuard-Slot"] for _ in range(count))

    def weigh(self, blue: int, green: int) -> int:
        """Set weights; returns the route's new generation."""
        rules = route("shop", [HOST], {"blue": blue, "green": green})["spec"]["rules"]
        item = self.cluster.call("PATCH", f"{self.route_path}/shop", {"spec": {"rules": rules}})
        return item["metadata"]["generation"]

    def conditions(self, name: str = "shop") -> dict[str, Any]:
        parents = (self.cluster.call("GET", f"{self.route_path}/{name}").get("status") or {}).get("parents") or []
        return {item["type"]: item for parent in parents for item in parent["conditions"]}

    def await_programmed(self, generation: int) -> None:
        def is_programmed() -> bool:
            found = self.conditions().get("Programmed", {})
            return found.get("status") == "True" and found["observedGeneration"] >= generation

        await_that(f"generation {generation} programmed", is_programmed)

    def scale(self, slot: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{self.name}/deployments/shop-{slot}"
        self.cluster.call("PATCH", path, {"spec": {"replicas": replicas}})


def kind(name: str) -> dict[str, str]:
    return {"apiVersion": f"{GATEWAY_GROUP}/v1", "kind": name}


def service(slot: str) -> Any:
    selector = {"app": "shop", "slot": slot}
    return {"metadata": {"name": f"shop-{slot}"}, "spec": {"selector": selector, "ports": [PORT]}}


PORT = {"name": "http", "port": 80, "targetPort": "http"}


def deployment(slot: str, replicas: int) -> Any:
    labels = {"app": "shop", "slot": slot}
    container = {
        "name": "app",
        "image": IMAGE,
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "SLOT", "value": slot},
        ],
        "ports": [{"name": "http", "containerPort": 5000}, {"name": "metrics", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
    }
    return {
        "metadata": {"name": f"shop-{slot}"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def route(name: str, hostnames: list[str], weights: Mapping[str, int]) -> Any:
    references = [{"name": f"shop-{slot}", "port": 80, "weight": weight} for slot, weight in weights.items()]
    return {
        **kind("HTTPRoute"),
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "front"}], "hostnames": hostnames, "rules": [{"backendRefs": references}]},
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    images = [sys.executable, "-m", "churnguard_lab.images"]
    subprocess.run([*images, "build", IMAGE, "--kind", "testserver"], check=True, stdout=subprocess.DEVNULL)
    made = Instance(tmp_path_factory.mktemp("gateway"))
    try:
        made.create()
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()
        made.haproxy.stop()
        made.remove()
        subprocess.run([*images, "remove", IMAGE], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def instance(installed: Instance) -> Instance:
    """The instance running, all weight on blue, every pod ready."""
    installed.relay.restore()
    if installed.process is None or installed.process.poll() is not None:
        installed.start()
    installed.scale("blue", 2)
    installed.scale("green", 1)
    await_that("gateway healthy", installed.healthy)
    for slot, count in (("blue", 2), ("green", 1)):
        backend = f"{installed.name}_shop-{slot}_80"

        def is_filled(backend: str = backend, count: int = count) -> bool:
            with contextlib.suppress(HAProxyError, OSError):  # it may be reloading
                haproxy = installed.haproxy
                servers = haproxy.actual(haproxy.workers()[0]).servers
                usable = [key for key, s in servers.items() if s.weight > 0 and not s.is_maintenance]
                return sum(name == backend for name, _ in usable) == count
            return False

        await_that(f"{slot} pods in the pool", is_filled, seconds=60)
    installed.await_programmed(installed.weigh(100, 0))
    return installed


@contextlib.contextmanager
def load(instance: Instance, ledger: Path, seconds: int) -> Iterator[dict[str, Any]]:
    """Load while the block runs; the summary is filled in afterwards."""
    command = [sys.executable, "-m", "churnguard_lab.load", "run", "--url", instance.url, "--host", HOST, "--quiet"]
    command += ["--rate", "100", "--slow-seconds", "2", "--duration", str(seconds), "--ledger", str(ledger)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    summary: dict[str, Any] = {}
    try:
        time.sleep(1.0)
        yield summary
        assert process.wait(timeout=seconds + 30) == 0
        summary |= json.loads(ledger.with_suffix(".summary.json").read_text(encoding="utf-8"))
    finally:
        process.kill()
        process.wait()


def test_weights_are_served_when_they_are_programmed_and_not_before_the_delay(instance: Instance) -> None:
    assert instance.slots(30) == {"blue": 30}
    started = time.monotonic()
    generation = instance.weigh(0, 100)
    await_that("green", lambda: instance.slots(1)["green"])
    assert time.monotonic() - started >= DELAY_S
    instance.await_programmed(generation)
    assert instance.slots(30) == {"green": 30}
    instance.await_programmed(instance.weigh(50, 50))
    assert abs(instance.slots(400)["green"] - 200) <= 2.576 * math.sqrt(100)
    instance.await_programmed(instance.weigh(0, 0))
    status, headers = instance.get()
    assert (status, headers["X-Gateway-Reason"]) == (503, "no-weight")


def test_scaling_the_unweighted_slot_away_under_load_fails_nothing(instance: Instance, tmp_path: Path) -> None:
    with load(instance, tmp_path / "ledger.jsonl", 14) as summary:
        instance.await_programmed(instance.weigh(0, 100))
        time.sleep(1)
        instance.scale("blue", 0)
        time.sleep(5)
        instance.scale("blue", 2)
    assert summary["failures"] == {}
    assert (summary["sent"], summary["failed"]) == (1400, 0)


def test_scaling_down_a_slot_that_serves_fails_nothing(instance: Instance, tmp_path: Path) -> None:
    """The pod that goes is drained by the gateway while its preStop hook runs."""
    with load(instance, tmp_path / "ledger.jsonl", 12) as summary:
        instance.scale("blue", 1)
        time.sleep(8)
    assert summary["failures"] == {}
    assert (summary["sent"], summary["failed"]) == (1200, 0)


def test_a_killed_controller_drops_nothing_and_its_successor_takes_over(instance: Instance, tmp_path: Path) -> None:
    before = instance.haproxy.processes()
    with load(instance, tmp_path / "ledger.jsonl", 10) as summary:
        instance.kill()
        generation = instance.weigh(0, 100)
        time.sleep(1)
        assert instance.slots(5) == {"blue": 5}, "HAProxy serves on with the last state"
        instance.start()
        instance.await_programmed(generation)
        assert instance.slots(5) == {"green": 5}
    assert summary["failures"] == {}
    assert (summary["sent"], summary["failed"]) == (1000, 0)
    assert instance.haproxy.processes() == before, "the same HAProxy, not even reloaded"


def test_traffic_goes_on_without_the_api_server(instance: Instance, tmp_path: Path) -> None:
    with load(instance, tmp_path / "ledger.jsonl", 12) as summary:
        instance.relay.cut()
        generation = instance.weigh(0, 100)
        time.sleep(3)
        assert instance.slots(5) == {"blue": 5}
        assert instance.healthy()
        instance.relay.restore()
        instance.await_programmed(generation)
        assert instance.slots(5) == {"green": 5}
    assert (summary["failures"], summary["failed"]) == ({}, 0)


def test_a_start_without_the_api_server_serves_the_last_state(instance: Instance) -> None:
    instance.relay.cut()
    instance.kill()
    for process in instance.haproxy.processes():
        os.kill(process.pid, signal.SIGKILL)
    instance.start()
    await_that("blue again", lambda: reachable(instance) and instance.slots(1)["blue"])
    instance.relay.restore()
    instance.await_programmed(instance.weigh(0, 100))
    assert instance.slots(5) == {"green": 5}


def reachable(instance: Instance) -> bool:
    try:
        return instance.get()[0] == 200
    except OSError:
        return False


def test_a_missing_service_and_a_hostname_conflict_show_in_the_status(instance: Instance) -> None:
    instance.cluster.call("POST", instance.route_path, route("broken", ["broken.lab"], {"nowhere": 1}))
    instance.cluster.call("POST", instance.route_path, route("second", [HOST], {"green": 1}))
    try:
        broken = await_that("status of broken", lambda: instance.conditions("broken"))
        assert (broken["Accepted"]["status"], broken["ResolvedRefs"]["reason"]) == ("True", "BackendNotFound")
        status, headers = instance.get(host="broken.lab")
        assert (status, headers["X-Gateway-Reason"]) == (500, "backend-not-found")
        second = await_that("status of second", lambda: instance.conditions("second"))
        assert (second["Accepted"]["status"], second["Accepted"]["reason"]) == ("False", "HostnameConflict")
        assert second["Programmed"]["status"] == "False"
        assert instance.slots(5) == {"blue": 5}
        instance.cluster.remove(f"{instance.route_path}/shop")
        taken_over = lambda: instance.conditions("second")["Accepted"]["status"] == "True"  # noqa: E731
        await_that("second takes the hostname over", taken_over)
        assert instance.slots(5) == {"green": 5}
    finally:
        instance.cluster.remove(f"{instance.route_path}/broken")
        instance.cluster.remove(f"{instance.route_path}/second")
        with contextlib.suppress(client.ApiException):
            instance.cluster.call("POST", instance.route_path, route("shop", [HOST], {"blue": 100, "green": 0}))


def test_gateway_and_class_status(instance: Instance) -> None:
    gateway = instance.cluster.call("GET", f"/apis/{GATEWAY_GROUP}/v1/namespaces/{instance.name}/gateways/front")
    found = {item["type"]: item for item in gateway["status"]["conditions"]}
    assert {name: item["status"] for name, item in found.items()} == {"Accepted": "True", "Programmed": "True"}
    assert found["Programmed"]["observedGeneration"] == gateway["metadata"]["generation"]
    item = instance.cluster.call("GET", f"{instance.class_path}/{instance.name}")
    assert item["status"]["conditions"][0]["status"] == "True"


def test_metrics_tell_of_syncs_and_reloads(instance: Instance) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.health}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    for name in ("syncs_total", "sync_duration_seconds_count", "propagation_seconds_count", "runtime_commands_total"):
        assert f"churnguard_gateway_{name}" in text
    assert "churnguard_gateway_haproxy_workers 1.0" in text


def test_the_end_of_the_controller_ends_haproxy_unless_told_otherwise(instance: Instance) -> None:
    assert instance.terminate() == 0
    assert instance.haproxy.processes() == []
    instance.start("--keep-haproxy")
    await_that("healthy", instance.healthy)
    kept = instance.haproxy.processes()
    assert instance.terminate() == 0
    assert instance.haproxy.processes() == kept
    environment = Path(f"/proc/{kept[0].pid}/environ").read_text(encoding="utf-8")
    assert f"CHURNGUARD_LAB={instance.directory}" in environment
