"""The baseline: the same load on the way a first script ships a version, to show what that drops.

    python -m churnguard_lab.naive --rate 200 --seconds 30

In a namespace of its own it runs v1 behind one Service, starts v2 beside it, waits until v2 is rolled out, then patches
the Service's selector and scales v1 to 0 at once: no preStop hook, no draining, no waiting. It removes all it made.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import urllib3
from kubernetes import client, config

from churnguard_lab import images, settings
from churnguard_lab.load.schedule import HIGHEST_RATE

NAMESPACE = "churnguard-naive"
HOST = "naive.churnguard.lab"
IMAGE = "churnguard/naive"
VERSIONS = ("v1", "v2")
REPLICAS = 3
LONGEST_S = 300.0
_SECRET, _SECRET_NAMESPACE = "churnguard-secrets", "churnguard-lab"
_GATEWAY = {"name": "churnguard", "namespace": "churnguard-gateway"}
_APP = "churnguard"
_READY_S, _GONE_S = 90.0, 120.0
#: The load runs this long before v2 is started, and at least this long after the switch.
_BEFORE_S, _AFTER_S = 3.0, 10.0


class NaiveError(Exception):
    """The baseline could not be run; the message says which step failed and what was seen."""


class Cluster:
    """The calls that the baseline makes. Raises NaiveError."""

    def __init__(self, kubeconfig: Path) -> None:
        api = config.new_client_from_config(str(kubeconfig))
        self.core, self.apps, self.custom = client.CoreV1Api(api), client.AppsV1Api(api), client.CustomObjectsApi(api)

    def has_namespace(self) -> bool:
        """Whether the namespace exists, even if it is on its way out."""
        try:
            self.core.read_namespace(NAMESPACE)
        except client.ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def install(self) -> None:
        """Namespace, secret, v1, the public Service, and the route to it."""
        self.core.create_namespace({"metadata": {"name": NAMESPACE}})
        secret = self.core.read_namespaced_secret(_SECRET, _SECRET_NAMESPACE)
        self.core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": _SECRET}, "data": secret.data})
        self.core.create_namespaced_service(NAMESPACE, service(VERSIONS[0]))
        self.deploy(VERSIONS[0])
        group = "gateway.networking.k8s.io"
        self.custom.create_namespaced_custom_object(group, "v1", NAMESPACE, "httproutes", route(group))

    def deploy(self, version: str) -> None:
        """Create a version's Deployment."""
        self.apps.create_namespaced_deployment(NAMESPACE, deployment(version))

    def is_rolled_out(self, version: str) -> bool:
        """What `kubectl rollout status` waits for."""
        status = self.apps.read_namespaced_deployment_status(f"{_APP}-{version}", NAMESPACE).status
        return (status.available_replicas or 0) >= REPLICAS

    def switch(self, old: str, new: str) -> None:
        """The naive switch: selector, then the old version to 0, at once."""
        self.core.patch_namespaced_service(_APP, NAMESPACE, {"spec": {"selector": {"version": new}}})
        self.apps.patch_namespaced_deployment_scale(f"{_APP}-{old}", NAMESPACE, {"spec": {"replicas": 0}})


def service(version: str) -> dict[str, Any]:
    """The public Service, selecting one version."""
    port = {"name": "http", "port": 80, "targetPort": 5000}
    return {"metadata": {"name": _APP}, "spec": {"selector": {"app": _APP, "version": version}, "ports": [port]}}


def route(group: str) -> dict[str, Any]:
    """The HTTPRoute: everything to the public Service."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": _APP},
        "spec": {
            "parentRefs": [_GATEWAY],
            "hostnames": [HOST],
            "rules": [{"backendRefs": [{"name": _APP, "port": 80}]}],
        },
    }


def deployment(version: str) -> dict[str, Any]:
    """A version's Deployment, as a first script has it: probes, but nothing for a graceful end."""
    labels = {"app": _APP, "version": version}
    container = {
        "name": _APP,
        "image": f"{IMAGE}:{version}",
        "ports": [{"name": "http", "containerPort": 5000}, {"name": "metrics", "containerPort": 8080}],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": "database-url"}}},
            {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": "redis-url"}}},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/app/config"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "config", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    return {
        "metadata": {"name": f"{_APP}-{version}"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"automountServiceAccountToken": False, "containers": [container], "volumes": volumes},
            },
        },
    }


def run(lab: settings.Settings, rate: float = 200, seconds: float = 30) -> dict[str, Any]:
    """Run the baseline under `rate` requests a second for at least `seconds`. Returns the load's counts: `sent`,
    `failed`, `outcomes`, `failures`, `by_version`, and `switched` (Unix time). Raises NaiveError."""
    if not 1 <= rate <= HIGHEST_RATE or not 1 <= seconds <= LONGEST_S:
        raise NaiveError(f"rate must be 1 to {HIGHEST_RATE:g} and seconds 1 to {LONGEST_S:g}")
    try:
        cluster = Cluster(lab.kubeconfig)
        with _installed(lab, cluster):
            return _ship(lab, cluster, rate, seconds)
    except client.ApiException as error:
        raise NaiveError(f"the API server refused: {error.status} {error.reason}: {error.body}") from error
    except (urllib3.exceptions.HTTPError, config.ConfigException, OSError) as error:
        raise NaiveError(f"cannot reach the lab (is it up? make lab-up): {error}") from error
    except images.ImageError as error:
        raise NaiveError(str(error)) from error


@contextlib.contextmanager
def _installed(lab: settings.Settings, cluster: Cluster) -> Iterator[None]:
    """Install v1, and remove everything at the end, whatever happens."""
    _remove(cluster)  # what a killed run may have left
    try:
        for version in VERSIONS:
            images.build(lab.state_dir, f"{IMAGE}:{version}")
        cluster.install()
        _await("v1 rolled out", lambda: cluster.is_rolled_out(VERSIONS[0]), _READY_S)
        _await("the gateway serves v1", lambda: _is_served(lab), _READY_S)
        yield
    finally:
        try:
            _remove(cluster)
        except (client.ApiException, urllib3.exceptions.HTTPError, NaiveError) as error:
            print(f"naive: not removed ({error}); remove it: kubectl delete namespace {NAMESPACE}", file=sys.stderr)
        for version in VERSIONS:
            images.remove(lab.state_dir, f"{IMAGE}:{version}")


def _ship(lab: settings.Settings, cluster: Cluster, rate: float, seconds: float) -> dict[str, Any]:
    name = f"naive-{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H-%M-%SZ}"
    ledger = lab.state_dir / "load" / f"{name}.jsonl"
    command = [sys.executable, "-m", "churnguard_lab.load", "run", "--quiet", "--rate", f"{rate:g}"]
    command += ["--url", f"http://127.0.0.1:{lab.ports.gateway}", "--host", HOST, "--ledger", str(ledger)]
    command += ["--duration", f"{seconds + _READY_S + _AFTER_S:g}"]
    # In a session of its own: Ctrl-C ends the baseline, which then ends the load.
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _await("the load started", ledger.exists, _READY_S)
        started = time.monotonic()
        time.sleep(_BEFORE_S)
        cluster.deploy(VERSIONS[1])
        _await("v2 rolled out", lambda: cluster.is_rolled_out(VERSIONS[1]), _READY_S)
        switched = time.time()
        cluster.switch(*VERSIONS)
        time.sleep(max(_AFTER_S, started + seconds - time.monotonic()))
        load.send_signal(signal.SIGTERM)
        if load.wait(timeout=60) != 0:
            raise NaiveError(f"the load generator failed with status {load.returncode}")
    except subprocess.TimeoutExpired as error:
        raise NaiveError("the load generator did not end within 60 s of SIGTERM") from error
    finally:
        load.kill()
        load.wait()
    summary = json.loads(ledger.with_suffix(".summary.json").read_text(encoding="utf-8"))
    kept = ("sent", "failed", "outcomes", "failures", "by_version", "rate", "latency_s", "lag_s", "ledger")
    return {**{field: summary[field] for field in kept}, "switched": round(switched, 3)}


def _remove(cluster: Cluster) -> None:
    if cluster.has_namespace():
        with contextlib.suppress(client.ApiException):  # it may be terminating already
            cluster.core.delete_namespace(NAMESPACE)
        _await(f"namespace {NAMESPACE} gone", lambda: not cluster.has_namespace(), _GONE_S)


def _is_served(lab: settings.Settings) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{lab.ports.gateway}/api/v1/version", headers={"Host": HOST})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _await(what: str, check: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise NaiveError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when the baseline ran (whatever it dropped), 1 when it could not."""
    parser = argparse.ArgumentParser(prog="churnguard_lab.naive", description="What the naive switch drops.")
    parser.add_argument("--config", type=Path, help="lab.json (default: $CHURNGUARD_LAB_CONFIG, else .lab/lab.json)")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="how long the load runs at least (%(default)s)")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: .lab/load/naive.json)")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        lab = settings.load(options.config)
        result = run(lab, options.rate, options.seconds)
    except (NaiveError, settings.SettingsError) as error:
        print(f"naive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("naive: interrupted; all that it made is removed", file=sys.stderr)
        return 130
    output = options.output or lab.state_dir / "load" / "naive.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    print(f"The naive switch dropped {result['failed']} of {result['sent']} requests.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the removal, which is bounded in time, is not interrupted
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
