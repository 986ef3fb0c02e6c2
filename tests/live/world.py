"""An application of its own for each live test: namespace, Services, HTTPRoute and images on the running lab, and the
rollout module run against it as a separate process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
from churnguard_api.faults import Faults
from churnguard_lab import images
from churnguard_lab.node.agent import pod_processes
from churnguard_lab.settings import Settings
from processes import ModuleProcess

APP = "shop"
SLOTS = ("blue", "green")
ROUTES = ("gateway.networking.k8s.io", "v1")


@dataclasses.dataclass(frozen=True)
class Result:
    """What a module printed. `output` is its JSON, `seconds` how long the process took."""

    output: dict[str, Any]
    seconds: float
    returncode: int

    @property
    def failed(self) -> bool:
        return bool(self.output.get("failed"))

    @property
    def message(self) -> str:
        return str(self.output.get("msg", ""))

    @property
    def verdict(self) -> str:
        return str(self.output["envelope"]["verdict"])


class World:
    """One application in a namespace of its own."""

    def __init__(self, lab: Settings) -> None:
        self.lab = lab
        self.namespace = f"live-{uuid.uuid4().hex[:8]}"
        self.host = f"{self.namespace}.test"
        client = kubernetes.config.new_client_from_config(str(lab.kubeconfig))
        self.core = kubernetes.client.CoreV1Api(client)
        self.apps = kubernetes.client.AppsV1Api(client)
        self.leases = kubernetes.client.CoordinationV1Api(client)
        self.rbac = kubernetes.client.RbacAuthorizationV1Api(client)
        self.custom = kubernetes.client.CustomObjectsApi(client)

    # -- setting up ----------------------------------------------------------------------------------------------

    def create(self) -> None:
        """The static parts, as role app_manifests makes them."""
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        for slot in SLOTS:
            self.create_service(f"{APP}-{slot}", slot)
        self.create_service("public", "blue")
        self.create_route()

    def create_service(self, name: str, slot: str) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": 5000}]
        spec = {"selector": {"app": APP, "slot": slot}, "ports": ports}
        self.core.create_namespaced_service(self.namespace, {"metadata": {"name": name}, "spec": spec})

    def create_route(self, name: str = APP, backends: dict[str, int] | None = None, host: str = "") -> None:
        weights = {f"{APP}-blue": 100, f"{APP}-green": 0} if backends is None else backends
        rules: list[dict[str, Any]] = [
            {
                "matches": [{"headers": [{"type": "Exact", "name": "x-churnguard-slot", "value": slot}]}],
                "backendRefs": [{"name": f"{APP}-{slot}", "port": 80}],
            }
            for slot in SLOTS
        ]
        rules.append({"backendRefs": [{"name": n, "port": 80, "weight": w} for n, w in weights.items()]})
        spec = {
            "parentRefs": [{"name": "churnguard", "namespace": "churnguard-gateway"}],
            "hostnames": [host or self.host],
            "rules": rules,
        }
        body = {
            "apiVersion": "/".join(ROUTES),
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.custom.create_namespaced_custom_object(*ROUTES, self.namespace, "httproutes", body)

    def destroy(self) -> None:
        self.core.delete_namespace(self.namespace)
        for reference in images.references(self.lab.state_dir):
            if reference.startswith(f"{self.namespace}/"):
                images.remove(self.lab.state_dir, reference)

    def deployment(self, version: str, build: bool = True, replicas: int = 1, **faults: Any) -> dict[str, Any]:
        """The Deployment of a version, whose image is built with the faults given."""
        image = f"{self.namespace}/app:{version}"
        if build:
            images.build(self.lab.state_dir, image, "testserver", Faults(**faults))
        container = {
            "name": "app",
            "image": image,
            "ports": [{"name": "http", "containerPort": 5000}, {"name": "metrics", "containerPort": 8080}],
            "env": [
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SLOT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['slot']"}}},
            ],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
            "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": "config", "mountPath": "/app/config"}],
        }
        pod = {
            "terminationGracePeriodSeconds": 10,
            "containers": [container],
            "volumes": [{"name": "config", "emptyDir": {}}],
        }
        metrics = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": APP},
            "spec": {
                "replicas": replicas,
                "progressDeadlineSeconds": 20,
                "template": {"metadata": {"annotations": metrics}, "spec": pod},
            },
        }

    # -- running modules -----------------------------------------------------------------------------------------

    def arguments(self, version: str = "v1", **overrides: Any) -> dict[str, Any]:
        """Arguments of the rollout module with short times; overrides win, None removes."""
        arguments: dict[str, Any] = {
            "name": APP,
            "namespace": self.namespace,
            "kubeconfig": str(self.lab.kubeconfig),
            "version": version or None,
            "ready_timeout": 30,
            "grace_period": 2,
            "confirm_timeout": 20,
            "confirm_requests": 5,
            "endpoint": {"url": f"http://127.0.0.1:{self.lab.ports.gateway}", "headers": {"Host": self.host}},
            "smoke_tests": [{"name": "version", "path": "/api/v1/version", "json": {"version": version}}],
            "drain": {"quiet_period": 1, "timeout": 30},
            "lease_duration": 15,
            **overrides,
        }
        if "deployment" not in arguments and arguments.get("state", "present") == "present":
            arguments["deployment"] = self.deployment(version)
        return {key: value for key, value in arguments.items() if value is not None}

    def start(self, arguments: dict[str, Any], module: str = "rollout", check: bool = False) -> ModuleProcess:
        """The module as a process that goes on by itself."""
        given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        return ModuleProcess(f"churnguard.ops.{module}", given)

    def run(self, arguments: dict[str, Any], module: str = "rollout", check: bool = False) -> Result:
        """The module, run to its end (at most 3 minutes)."""
        begin = time.monotonic()
        return finished(self.start(arguments, module, check), begin)

    def deploy(self, version: str = "v1", **overrides: Any) -> Result:
        """A rollout that has to pass."""
        result = self.run(self.arguments(version, **overrides))
        assert not result.failed, result.message
        return result

    # -- looking -------------------------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """What rollout_info says."""
        arguments = {"name": APP, "namespace": self.namespace, "kubeconfig": str(self.lab.kubeconfig)}
        result = self.run(arguments, "rollout_info")
        assert not result.failed, result.message
        return dict(result.output["rollout"])

    def route(self) -> dict[str, Any]:
        return dict(self.custom.get_namespaced_custom_object(*ROUTES, self.namespace, "httproutes", APP))

    def edit_route(self, manager: str, **weights: int) -> None:
        """Set weights of the split by another hand; a slot that has none gets a Service and a place."""
        route = self.route()
        backends = route["spec"]["rules"][-1]["backendRefs"]
        for slot, weight in weights.items():
            known = [ref for ref in backends if ref["name"] == f"{APP}-{slot}"]
            if known:
                known[0]["weight"] = weight
            else:
                self.create_service(f"{APP}-{slot}", slot)
                backends.append({"name": f"{APP}-{slot}", "port": 80, "weight": weight})
        self.custom.replace_namespaced_custom_object(
            *ROUTES, self.namespace, "httproutes", APP, route, field_manager=manager
        )

    def weights(self) -> dict[str, int]:
        return {
            ref["name"].removeprefix(f"{APP}-"): ref["weight"]
            for ref in self.route()["spec"]["rules"][-1]["backendRefs"]
        }

    def replicas(self) -> dict[str, int]:
        found = {d.metadata.name: d.spec.replicas for d in self.apps.list_namespaced_deployment(self.namespace).items}
        return {slot: found.get(f"{APP}-{slot}", 0) for slot in SLOTS}

    def ready(self, slot: str) -> int:
        """Pods of a slot that are ready."""
        status = self.apps.read_namespaced_deployment_status(f"{APP}-{slot}", self.namespace).status
        return int(status.ready_replicas or 0)

    def versions(self) -> dict[str, str]:
        """Everything a rollout could write, as it stands. What controllers write in their own time does not count:
        the status of route and Deployments, and the ConfigMap that each new namespace gets."""
        found = {"route": str(self.route()["metadata"]["generation"])}
        for deployment in self.apps.list_namespaced_deployment(self.namespace).items:
            meta = deployment.metadata
            found[meta.name] = f"{meta.generation} {meta.labels} {meta.annotations}"
        for config_map in self.core.list_namespaced_config_map(self.namespace).items:
            if config_map.metadata.name != "kube-root-ca.crt":
                found[config_map.metadata.name] = config_map.metadata.resource_version
        for lease in self.leases.list_namespaced_lease(self.namespace).items:
            found[f"lease {lease.metadata.name}"] = lease.metadata.resource_version
        return found

    def ask(self, path: str = "/api/v1/version", host: str = "", **headers: str) -> tuple[int, str]:
        """Status and version of one request through the gateway."""
        url = f"http://127.0.0.1:{self.lab.ports.gateway}{path}"
        request = urllib.request.Request(url, headers={"Host": host or self.host, **headers})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers.get("X-ChurnGuard-Version", "")
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("X-ChurnGuard-Version", "")

    @contextlib.contextmanager
    def load(self, ledger: Path, rate: int = 100, host: str = "") -> Iterator[Callable[[], dict[str, Any]]]:
        """Traffic while the block runs; afterwards the function yielded gives the load's summary."""
        command = [sys.executable, "-m", "churnguard_lab.load", "run", "--ledger", str(ledger), "--rate", str(rate)]
        command += ["--url", f"http://127.0.0.1:{self.lab.ports.gateway}", "--host", host or self.host]
        command += ["--duration", "900"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        try:
            until(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 1, 60, "the first reply")
            yield lambda: dict(json.loads(ledger.with_suffix(".summary.json").read_text()))
        finally:
            process.terminate()
            _out, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors

    @contextlib.contextmanager
    def crashing(self, slot: str) -> Iterator[None]:
        """The processes of a slot's pods are killed again and again while the block runs."""
        over = threading.Event()

        def crash() -> None:
            while not over.is_set():
                pods = self.core.list_namespaced_pod(self.namespace, label_selector=f"app={APP},slot={slot}").items
                ids = {state.container_id for pod in pods for state in pod.status.container_statuses or []}
                for pid, owner in pod_processes(self.lab.state_dir).items():
                    if owner in ids:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                over.wait(0.5)

        thread = threading.Thread(target=crash, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def finished(process: ModuleProcess, begin: float) -> Result:
    """The result of a module that `World.start` began at `begin` (time.monotonic)."""
    out, err = process.communicate(timeout=180)
    seconds = time.monotonic() - begin
    try:
        return Result(json.loads(out), seconds, process.returncode)
    except ValueError:
        raise AssertionError(f"the module printed no JSON but:\n{out}\n{err}") from None


def until(look: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until `look` is true; the seconds it took. Fails after `seconds`."""
    begin = time.monotonic()
    while not look():
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - begin
