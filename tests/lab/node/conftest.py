"""A node agent of the tests' own beside the lab's: its own node, state and address range, the lab's API server.

The tests so disturb nobody: its node takes no pod of others, and "the API server is away" is a relay that is cut.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from churnguard_lab import images, settings
from churnguard_lab.node.agent import pod_processes
from kubernetes import client, config, watch

from ..ports import free_ports
from ..relay import Relay
from ..waiting import until

Json = dict[str, Any]


class TestNode:
    """The agent under test, its cluster, and what tests do with them."""

    __test__ = False

    def __init__(self, lab: settings.Settings, folder: Path) -> None:
        self.name = f"node-test-{secrets.token_hex(3)}"
        self.namespace = self.name
        self.relay = Relay(("127.0.0.1", lab.ports.kube_apiserver))
        self.lab = self._own_lab(lab, folder)
        self.config = folder / "lab.json"
        self.agent: subprocess.Popen[bytes] | None = None
        #: Pod -> the resource version with which it was created.
        self.created: dict[str, str] = {}
        connection = config.new_client_from_config(str(lab.kubeconfig))
        self.core = client.CoreV1Api(connection)

    def _own_lab(self, lab: settings.Settings, folder: Path) -> settings.Settings:
        (port,) = free_ports(1)
        third = 128 + secrets.randbelow(64)
        own = dataclasses.replace(
            lab,
            state_dir=folder,
            ports=dataclasses.replace(lab.ports, node_agent=port),
            node=settings.NodeSettings(self.name, f"127.1.{third}.0/24"),
        )
        document = dataclasses.asdict(own) | {"state_dir": str(folder), "repository": str(own.repository)}
        document["kubeconfig"] = str(own.kubeconfig)
        document["gateway"] = {"class": own.gateway.gateway_class, "sync_delay_s": own.gateway.sync_delay_s}
        (folder / "lab.json").write_text(json.dumps(document))
        kubeconfig = yaml.safe_load(lab.component_kubeconfig("node").read_text())
        for cluster in kubeconfig["clusters"]:
            cluster["cluster"]["server"] = f"https://127.0.0.1:{self.relay.port}"
        path = own.component_kubeconfig("node")
        path.parent.mkdir()
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(kubeconfig))
        return own

    # -- the agent -----------------------------------------------------------------------------------------

    def command(self, *options: str) -> list[str]:
        """The agent's command line."""
        return [sys.executable, "-m", "churnguard_lab.node", "--config", str(self.config), *options]

    def start(self) -> None:
        """Start the agent and wait until it is healthy."""
        environment = os.environ | {"CHURNGUARD_LAB": str(self.lab.state_dir)}
        with open(self.lab.state_dir / "agent.log", "ab") as log:
            self.agent = subprocess.Popen(self.command(), stdout=log, stderr=log, env=environment)
        until("the agent is healthy", lambda: self.health().get("status") == "healthy")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the agent by a signal."""
        assert self.agent is not None
        self.agent.send_signal(number)
        self.agent.wait(30)

    def health(self) -> Json:
        """The agent's own report; empty when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.lab.ports.node_agent}/healthz", timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)
        except OSError:
            return {}

    def log(self) -> str:
        """What the agent wrote."""
        return (self.lab.state_dir / "agent.log").read_text()

    def processes(self, pod: Json) -> list[int]:
        """The processes of a pod's containers."""
        ids = {status["containerID"] for status in pod["status"]["containerStatuses"]}
        return sorted(pid for pid, owner in pod_processes(self.lab.state_dir).items() if owner in ids)

    # -- the cluster ---------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Create namespace and node; the node is closed to the scheduler."""
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        self.core.create_node({"metadata": {"name": self.name}, "spec": {"unschedulable": True}})
        until("the namespace's service account", lambda: self._json(self.core.list_namespaced_service_account)["items"])

    def tear_down(self) -> None:
        """Delete what set_up and the tests created; no agent is there any more to end the pods in order."""
        self.core.delete_collection_namespaced_pod(self.namespace, grace_period_seconds=0)
        self.core.delete_namespace(self.namespace)
        self.core.delete_node(self.name)

    def _json(self, function: Callable[..., Any], **options: Any) -> Json:
        return json.loads(function(namespace=self.namespace, _preload_content=False, **options).data)

    def image(self, name: str, script: str) -> str:
        """Build an image that runs a shell script; its reference."""
        images.build(self.lab.state_dir, f"test/{name}:1", "command", command=("sh", "-c", script))
        return f"test/{name}:1"

    def create(self, name: str, image: str, grace: int = 10, **changes: Any) -> None:
        """Create a pod of one container on the node; `changes` are of the container, `spec` of the pod."""
        spec = {
            "nodeName": self.name,
            "terminationGracePeriodSeconds": grace,
            "automountServiceAccountToken": False,
            **changes.pop("spec", {}),
        }
        spec["containers"] = [{"name": "c", "image": image, **changes}]
        metadata = {"name": name, "labels": {"color": "blue"}}
        made = self.core.create_namespaced_pod(self.namespace, {"metadata": metadata, "spec": spec})
        self.created[name] = made.metadata.resource_version

    def pod(self, name: str) -> Json | None:
        """A pod's object, None when it is gone."""
        try:
            return self._json(self.core.read_namespaced_pod, name=name)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise

    def container(self, name: str) -> Json:
        """The status of a pod's first container; empty before there is one."""
        pod = self.pod(name) or {}
        return (pod.get("status", {}).get("containerStatuses") or [{}])[0]

    def delete(self, name: str, grace: int | None = None) -> float:
        """Delete a pod; when it was asked for (monotonic seconds), which is before the agent can know."""
        asked = time.monotonic()
        body = {} if grace is None else {"gracePeriodSeconds": grace}
        self.core.delete_namespaced_pod(name, self.namespace, body=body)
        return asked

    def running(self, name: str, ready: bool = True) -> Json:
        """Wait until a pod's container runs (and is ready); the pod."""

        def check() -> bool:
            status = self.container(name)
            return "running" in status.get("state", {}) and (status["ready"] or not ready)

        until(f"pod {name} runs", check)
        found = self.pod(name)
        assert found is not None
        return found

    def waiting(self, name: str, reason: str, seconds: float = 60.0) -> Json:
        """Wait until a pod's container waits for that reason, which has to last; its status."""

        def check() -> Json | None:
            status = self.container(name)
            return status if status.get("state", {}).get("waiting", {}).get("reason") == reason else None

        return until(f"pod {name} waits with {reason}", check, seconds)

    def reasons(self, name: str) -> list[str]:
        """Why a pod's container has waited so far, in order: also what was shown too briefly to be seen by asking."""
        changes = watch.Watch().stream(
            self.core.list_namespaced_pod,
            self.namespace,
            field_selector=f"metadata.name={name}",
            resource_version=self.created[name],
            timeout_seconds=1,
        )
        found = []
        for change in changes:
            for status in change["raw_object"].get("status", {}).get("containerStatuses") or ():
                reason = status["state"].get("waiting", {}).get("reason")
                if reason and reason not in found[-1:]:
                    found.append(reason)
        return found

    def gone(self, name: str, seconds: float = 60.0) -> float:
        """Wait until a pod is gone; when (monotonic seconds)."""
        until(f"pod {name} is gone", lambda: self.pod(name) is None, seconds)
        return time.monotonic()

    def events(self, name: str) -> dict[str, str]:
        """Reason -> message of a pod's events."""
        found = self._json(self.core.list_namespaced_event, field_selector=f"involvedObject.name={name}")
        return {item["reason"]: item["message"] for item in found["items"]}

    def output(self, name: str) -> list[str]:
        """The lines a pod's container has written."""
        path = self.lab.log_dir / "pods" / f"{self.namespace}_{name}_c.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A running agent with its node; every process it started is ended afterwards."""
    made = TestNode(settings.load(), tmp_path_factory.mktemp("node"))
    made.set_up()
    made.start()
    yield made
    if made.agent is not None and made.agent.poll() is None:
        made.end()
    subprocess.run(made.command("--stop-all", "--grace", "1"), check=True, timeout=30)
    made.tear_down()
    assert pod_processes(made.lab.state_dir) == {}
    assert ipaddress.ip_network(made.lab.node.pod_network).is_loopback
