"""An instance of the whole controller in the lab, apart from the lab's own gateway: its own GatewayClass, ports and
HAProxy, and a relay to the API server that a test can cut."""

from __future__ import annotations

import collections
import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from churnguard_lab import settings as lab_settings
from churnguard_lab.gateway.haproxy import HAProxy, HAProxyError
from churnguard_lab.gateway.model import CONTROLLER_NAME, GATEWAY_GROUP
from kubernetes import client, config

from ..ports import free_ports
from ..relay import Relay
from ..waiting import until

IMAGE = "churnguard/gateway-test:v1"
HOST = "live.lab"
DELAY_S = 1.0
RATE = 100


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

    host = HOST
    delay_s = DELAY_S
    await_that = staticmethod(until)

    def route(self, name: str, hostnames: list[str], weights: Mapping[str, int]) -> Any:
        """An HTTPRoute's API object."""
        return route(name, hostnames, weights)

    def load(self, ledger: Path) -> contextlib.AbstractContextManager[dict[str, Any]]:
        """Load while the block runs; the summary is filled in afterwards."""
        return load(self, ledger)

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

        until(f"generation {generation} programmed", is_programmed)

    def scale(self, slot: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{self.name}/deployments/shop-{slot}"
        self.cluster.call("PATCH", path, {"spec": {"replicas": replicas}})

    def await_pods(self, slot: str, count: int) -> None:
        """Wait until a slot has that many pods, those that end included."""

        def pods() -> int:
            path = f"{self.namespace_path}/pods?labelSelector=slot%3D{slot}"
            return len(self.cluster.call("GET", path)["items"])

        until(f"{count} pods of {slot}", lambda: pods() == count)


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
    installed.relay.mend()
    if installed.process is None or installed.process.poll() is not None:
        installed.start()
    installed.scale("blue", 2)
    installed.scale("green", 1)
    until("gateway healthy", installed.healthy)
    for slot, count in (("blue", 2), ("green", 1)):
        backend = f"{installed.name}_shop-{slot}_80"

        def is_filled(backend: str = backend, count: int = count) -> bool:
            with contextlib.suppress(HAProxyError, OSError):  # it may be reloading
                haproxy = installed.haproxy
                servers = haproxy.actual(haproxy.workers()[0]).servers
                usable = [key for key, s in servers.items() if s.weight > 0 and not s.is_maintenance]
                return sum(name == backend for name, _ in usable) == count
            return False

        until(f"{slot} pods in the pool", is_filled)
    installed.await_programmed(installed.weigh(100, 0))
    return installed


@contextlib.contextmanager
def load(instance: Instance, ledger: Path) -> Iterator[dict[str, Any]]:
    """RATE requests a second from before the block begins until it ends; then its summary is filled in."""
    command = [sys.executable, "-m", "churnguard_lab.load", "run", "--url", instance.url, "--host", HOST, "--quiet"]
    command += ["--rate", str(RATE), "--slow-seconds", "2", "--duration", "300", "--ledger", str(ledger)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    summary: dict[str, Any] = {}
    try:
        until("the first reply", lambda: ledger.exists() and len(ledger.read_bytes().splitlines()) > 1)
        started = time.monotonic()
        yield summary
        # What was due while the block ran: open-loop load does not wait for replies.
        summary["due"] = int(RATE * (time.monotonic() - started))
        process.terminate()
        assert process.wait(timeout=60) == 0
        summary |= json.loads(ledger.with_suffix(".summary.json").read_text(encoding="utf-8"))
    finally:
        process.kill()
        process.wait()
