"""The release that one lab serves, served by another one, too: same objects, same images, the other lab's secrets."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import kubernetes
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from churnguard_lab.settings import LOOPBACK, Settings

#: In the order in which they are made: what pods need comes before them.
KINDS = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
)
ANSWER_TIMEOUT_S = 90
#: Given by each cluster itself, or the journal of rollouts there.
_GIVEN = ("kube-root-ca.crt", "default")
_JOURNAL = "-rollout"
_CONFLICT = 409


class CopyError(Exception):
    """The release cannot be copied, or is not served; the message says why."""


def portable(found: dict[str, Any]) -> dict[str, Any]:
    """An object without what its cluster has added."""
    meta = found["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "labels") if meta.get(name)}
    annotations = {
        name: text for name, text in (meta.get("annotations") or {}).items() if not name.startswith("deployment.")
    }
    if annotations:
        kept["annotations"] = annotations
    made = {name: value for name, value in found.items() if name not in ("metadata", "status")}
    made["metadata"] = kept
    if found["kind"] == "Service":
        made["spec"] = {name: value for name, value in found["spec"].items() if name not in ("clusterIP", "clusterIPs")}
    return made


def wanted(found: dict[str, Any]) -> bool:
    """Whether an object belongs to the release: not the cluster's own, not another slot's leftovers."""
    name = found["metadata"]["name"]
    if name in _GIVEN or (found["kind"] == "ConfigMap" and name.endswith(_JOURNAL)):
        return False
    return found["kind"] != "Deployment" or bool(found["spec"].get("replicas"))


def copy(first: Settings, second: Settings, namespace: str) -> None:
    """Make the release in the second lab and wait until its gateway serves it. Raises CopyError."""
    try:
        source, target = _client(first), _client(second)
        hosts = [_copy_kind(source, target, kind, namespace) for kind in KINDS][-1]
    except ApiException as error:
        raise CopyError(f"the release of {namespace} cannot be copied: {error.status} {error.body}") from error
    if not hosts:
        raise CopyError(f"{namespace} of the first lab has no HTTPRoute: deploy the application there first")
    _await_answer(f"http://{LOOPBACK}:{second.ports.gateway}/ready", hosts[0])


def _client(lab: Settings) -> DynamicClient:
    return DynamicClient(kubernetes.config.new_client_from_config(str(lab.kubeconfig)))


def _copy_kind(source: DynamicClient, target: DynamicClient, kind: tuple[str, str], namespace: str) -> list[str]:
    """Copy all objects of a kind; the host names that they serve."""
    version, name = kind
    there = target.resources.get(api_version=version, kind=name)
    hosts: list[str] = []
    for item in source.resources.get(api_version=version, kind=name).get(namespace=namespace).items:
        found = {"apiVersion": version, "kind": name, **item.to_dict()}
        if wanted(found):
            try:
                there.create(body=portable(found), namespace=namespace)
            except ApiException as error:
                if error.status != _CONFLICT:
                    raise
            hosts += found.get("spec", {}).get("hostnames") or []
    return hosts


def _await_answer(url: str, host: str, now: Callable[[], float] = time.monotonic) -> None:
    give_up, answer = now() + ANSWER_TIMEOUT_S, ""
    while now() < give_up:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=3):
                return
        except urllib.error.HTTPError as error:
            answer = f"it answered {error.code}"
        except OSError as error:
            answer = str(error)
        time.sleep(0.2)
    raise CopyError(f"{url} does not serve {host} within {ANSWER_TIMEOUT_S} s: {answer}")
