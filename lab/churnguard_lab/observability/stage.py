"""A namespace of its own on the lab with one version of churnguard-api in each slot, and a route to them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

import kubernetes
from churnguard_api.faults import Faults

from churnguard_lab import images
from churnguard_lab.load import ledger
from churnguard_lab.observability.waiting import until
from churnguard_lab.settings import LOOPBACK, Settings

APP = "churnguard-api"
#: Where the role lab keeps the application's secret.
SECRET, SECRET_NAMESPACE = "churnguard-secrets", "churnguard-lab"
ROUTES = ("gateway.networking.k8s.io", "v1")
SLOTS = ("blue", "green")
READY_S, GONE_S = 90.0, 120.0
_SECRETS = {"DATABASE_URL": "database-url", "REDIS_URL": "redis-url", "JWT_SECRET_KEY": "jwt-secret"}
_METRICS = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}


class Stage:
    """The namespace and what is in it. `stop` ends every wait."""

    def __init__(self, lab: Settings, namespace: str, stop: threading.Event | None = None) -> None:
        self.lab, self.namespace, self._stop = lab, namespace, stop
        self.host = f"{namespace}.test"
        client = kubernetes.config.new_client_from_config(str(lab.kubeconfig))
        self.core = kubernetes.client.CoreV1Api(client)
        self._apps = kubernetes.client.AppsV1Api(client)
        self._custom = kubernetes.client.CustomObjectsApi(client)

    def create(self) -> None:
        """The namespace."""
        self.core.create_namespace({"metadata": {"name": self.namespace}})

    def share_secret(self) -> None:
        """Let pods here reach the lab's database and cache, as the application's own do."""
        found = self.core.read_namespaced_secret(SECRET, SECRET_NAMESPACE)
        self.core.create_namespaced_secret(self.namespace, {"metadata": {"name": SECRET}, "data": found.data})

    def deploy(self, slot: str, kind: str, wrong: Faults | None = None) -> None:
        """One pod of a version that is built now, with what is wrong with it. `kind` is an image's."""
        image = f"{self.namespace}/app:{slot}"
        images.build(self.lab.state_dir, image, kind, wrong or Faults())
        labels = {"app": APP, "slot": slot, "version": slot}
        pod = {"terminationGracePeriodSeconds": 10, "containers": [_container(image, kind)], "volumes": _VOLUMES}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": _METRICS}, "spec": pod},
        }
        body = {"metadata": {"name": f"{APP}-{slot}", "labels": labels}, "spec": spec}
        self._apps.create_namespaced_deployment(self.namespace, body)

    def delete_deployment(self, slot: str) -> None:
        """Take a slot's Deployment away."""
        self._apps.delete_namespaced_deployment(f"{APP}-{slot}", self.namespace)

    def await_ready(self, slot: str) -> None:
        """Wait until its pod is ready. Raises TooLate."""

        def ready() -> bool:
            status = self._apps.read_namespaced_deployment_status(f"{APP}-{slot}", self.namespace).status
            return bool(status.ready_replicas)

        until(f"the pod of {self.namespace}/{slot} is ready", ready, READY_S, self._stop)

    def publish(self, slot: str) -> None:
        """Services for both slots, and a route that sends everything to one of them."""
        for name in SLOTS:
            ports = [{"name": "http", "port": 80, "targetPort": 5000}]
            spec: dict[str, Any] = {"selector": {"app": APP, "slot": name}, "ports": ports}
            body = {"metadata": {"name": f"{APP}-{name}"}, "spec": spec}
            self.core.create_namespaced_service(self.namespace, body)
        parent = {"name": "churnguard", "namespace": "churnguard-gateway"}
        spec = {"parentRefs": [parent], "hostnames": [self.host], "rules": _rules(slot)}
        body = {
            "apiVersion": "/".join(ROUTES),
            "kind": "HTTPRoute",
            "metadata": {"name": APP, "namespace": self.namespace},
            "spec": spec,
        }
        self._custom.create_namespaced_custom_object(*ROUTES, self.namespace, "httproutes", body)

    def send_to(self, slot: str) -> None:
        """Move all traffic to a slot."""
        patch = {"spec": {"rules": _rules(slot)}}
        self._custom.patch_namespaced_custom_object(*ROUTES, self.namespace, "httproutes", APP, patch)

    def ask(self, path: str = "/api/v1/version") -> int:
        """The status of one request through the gateway; 0 when nobody answers."""
        url = f"http://{LOOPBACK}:{self.lab.ports.gateway}{path}"
        request = urllib.request.Request(url, headers={"Host": self.host})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def restarts(self) -> int:
        """How often the container that ended most often has been started anew."""
        counts = [
            status.restart_count
            for pod in self.core.list_namespaced_pod(self.namespace).items
            for status in pod.status.container_statuses or []
        ]
        return max(counts, default=0)

    def remove(self) -> None:
        """The namespace with all that is in it, and its images. May be run again. Raises TooLate."""
        try:
            self.core.delete_namespace(self.namespace)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
        # Not ended by `stop`: what was begun is taken away in all cases.
        until(f"the namespace {self.namespace} is gone", self._is_gone, GONE_S)
        for reference in images.references(self.lab.state_dir):
            if reference.startswith(f"{self.namespace}/"):
                images.remove(self.lab.state_dir, reference)

    def _is_gone(self) -> bool:
        try:
            self.core.read_namespace(self.namespace)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return True
            raise
        return False


class Traffic:
    """Requests to a stage at a steady rate until `stop`, at most `longest_s` seconds."""

    def __init__(self, stage: Stage, rate: float, longest_s: float) -> None:
        folder = stage.lab.state_dir / "load"
        folder.mkdir(parents=True, exist_ok=True)
        self.ledger = folder / f"{stage.namespace}.jsonl"
        self.ledger.unlink(missing_ok=True)
        url = f"http://{LOOPBACK}:{stage.lab.ports.gateway}"
        command = [sys.executable, "-m", "churnguard_lab.load", "run", "--quiet", "--url", url, "--host", stage.host]
        command += ["--rate", f"{rate:g}", "--duration", f"{longest_s:g}", "--path", "/api/v1/version=1"]
        command += ["--ledger", str(self.ledger)]
        with (stage.lab.log_dir / "load.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._log = log.name

    def first(self, status: int, within_s: float = 30.0) -> float:
        """When the first request was due that was answered so, in Unix seconds. Raises TooLate, or RuntimeError when
        the traffic has ended."""

        def look() -> float:
            if self._process.poll() is not None:
                raise RuntimeError(f"the load generator has ended (code {self._process.returncode}): {self._log}")
            if not self.ledger.exists() or not self.ledger.read_bytes().endswith(b"\n"):
                return 0.0
            _header, entries = ledger.read(self.ledger)
            return min((entry.t for entry in entries if entry.status == status), default=0.0)

        return until(f"a request is answered with {status}", look, within_s)

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


_VOLUMES = [{"name": name, "emptyDir": {}} for name in ("config", "tmp", "logs")]


def _rules(slot: str) -> list[dict[str, Any]]:
    weights = {name: 100 if name == slot else 0 for name in SLOTS}
    return [{"backendRefs": [{"name": f"{APP}-{n}", "port": 80, "weight": w} for n, w in weights.items()]}]


def _container(image: str, kind: str) -> dict[str, Any]:
    def field(path: str) -> dict[str, Any]:
        return {"fieldRef": {"fieldPath": path}}

    env: list[dict[str, Any]] = [
        {"name": "POD_IP", "valueFrom": field("status.podIP")},
        {"name": "POD_NAME", "valueFrom": field("metadata.name")},
        {"name": "SLOT", "valueFrom": field("metadata.labels['slot']")},
    ]
    if kind == "api":
        env += [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}}}
            for name, key in _SECRETS.items()
        ]
    return {
        "name": APP,
        "image": image,
        "ports": [{"name": "http", "containerPort": 5000}, {"name": "metrics", "containerPort": 8080}],
        "env": env,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 3},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": "/app/config"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "logs", "mountPath": "/app/logs"},
        ],
    }
