"""What a pod asks for that this node does not do: named at once instead of ignored in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churnguard_lab.node import probes
from churnguard_lab.node.environment import ConfigError
from churnguard_lab.node.volumes import volume_references


def unsupported(pod: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing in the pod's spec that the lab's node cannot do; empty when it can do all."""
    spec = pod["spec"]
    found = list(_volumes(pod))
    if spec.get("activeDeadlineSeconds") is not None:
        found.append("the lab's node does not enforce activeDeadlineSeconds")
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            found.append(f'init container "{container["name"]}": the lab\'s node has no sidecar containers')
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        found.extend(f'container "{container["name"]}": {lack}' for lack in _container(container))
    return found


def _volumes(pod: Mapping[str, Any]) -> Iterator[str]:
    try:
        volume_references(pod)
    except ConfigError as error:
        yield str(error)


def _container(container: Mapping[str, Any]) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    if lifecycle.get("postStart"):
        yield "the lab's node does not run postStart hooks"
    if lifecycle.get("stopSignal"):
        yield "the lab's node always sends SIGTERM, not a stopSignal"
    checks = [container.get(f"{kind}Probe") for kind in probes.KINDS]
    hook = lifecycle.get("preStop")
    if hook and "sleep" not in hook:
        checks.append(hook)
    for raw in checks:
        if not raw:
            continue
        try:
            probes.parse_check(raw, container.get("ports") or (), "")
        except probes.ProbeError as error:
            yield str(error)
