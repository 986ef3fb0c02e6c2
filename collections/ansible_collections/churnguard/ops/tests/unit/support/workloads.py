# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the fake cluster: Deployments get pods that behave as their image says, gateways accept routes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat

if TYPE_CHECKING:
    from .cluster import FakeCluster

# Images: churnguard/<behaviour>:<version>.
OK, NEVER, CRASH, ROT, STALL = "ok", "never", "crash", "rot", "stall"


@dataclass
class Pod:
    owner: str
    name: str
    template: str
    behaviour: str
    born: float
    deleted: float | None = None


class Workloads:
    """Deployment controller, kubelet and gateway in one. They act when somebody looks, by the clock.

    Delays are seconds: C(see) for a controller to notice a change, C(start) for a pod to become ready, C(crash) for
    one that crashes to back off, C(rot) for one that starts well and then crashes, C(end) for one to end, C(sync)
    for the gateway to take a route over, C(scale) between two looks of the autoscaler. C(accepted) is what the gateway
    then says about the route. C(cured) are behaviours whose cause has gone: their pods are well. C(load) maps
    Deployments to the size that their metrics ask for; an autoscaler without metrics only keeps to its limits.
    """

    def __init__(self, cluster: FakeCluster, **delays: float) -> None:
        self._cluster = cluster
        self._delays = {
            "see": 0.2,
            "start": 2.0,
            "crash": 3.0,
            "rot": 12.0,
            "end": 5.0,
            "sync": 1.0,
            "scale": 1.0,
            **delays,
        }
        self._noticed: dict[tuple[str, str], tuple[int, float]] = {}
        self._pods: list[Pod] = []
        self._born = 0
        self._missed: dict[tuple[str, str], dict[str, Any]] = {}
        self.accepted = "True"
        self.cured: set[str] = set()
        self.load: dict[str, int] = {}
        self._scaled = 0.0
        self._settled = (-1.0, -1)

    def settle(self) -> None:
        """Bring the objects to what they are by now; nothing to do if neither time nor a write has passed."""
        if self._settled == (self._now(), self._cluster.version):
            return
        self._pods = [p for p in self._pods if p.deleted is None or not self._passed(p.deleted, "end", p)]
        if self._passed(self._scaled, "scale"):
            self._scaled = self._now()
            self._autoscale()
        for key, obj in list(self._cluster.objects.items()):
            if key[0] == "Deployment":
                self._deployment(obj)
            elif key[0] == "HTTPRoute" and self._seen(obj, "sync"):
                self._accept(obj)
        self._publish_pods()
        self._settled = (self._now(), self._cluster.version)

    def ready(self, name: str) -> int:
        """Ready pods of a Deployment that are not ending."""
        return sum(p.owner == name and p.deleted is None and self._state(p) == "ready" for p in self._pods)

    def end_all(self) -> None:
        """Let pods that do not end by themselves end now."""
        self._pods = [pod for pod in self._pods if pod.deleted is None]

    def spoil(self, name: str) -> None:
        """Let the pods of a Deployment crash from now on."""
        for pod in self._pods:
            if pod.owner == name:
                pod.behaviour = CRASH

    def _now(self) -> float:
        return self._cluster.clock.monotonic()

    def _passed(self, since: float, delay: str, pod: Pod | None = None) -> bool:
        if delay == "end" and pod is not None and pod.behaviour == STALL:
            return False
        return self._now() - since >= self._delays[delay]

    def _seen(self, obj: dict[str, Any], delay: str) -> bool:
        """Whether the controller has noticed the object's present generation."""
        key = (obj["kind"], obj["metadata"]["name"])
        generation = obj["metadata"]["generation"]
        if self._noticed.get(key, (0, 0.0))[0] != generation:
            self._noticed[key] = (generation, self._now())
        return self._passed(self._noticed[key][1], delay)

    def _autoscale(self) -> None:
        """As the real one: inactive at 0 replicas; its limits come first, then what the load asks for."""
        for hpa in [obj for key, obj in self._cluster.objects.items() if key[0] == "HorizontalPodAutoscaler"]:
            name, spec = hpa["spec"]["scaleTargetRef"]["name"], hpa["spec"]
            deployment = self._cluster.find("Deployment", name)
            if deployment is None or deployment["spec"]["replicas"] == 0:
                continue
            wanted = self.load.get(name, deployment["spec"]["replicas"])
            wanted = min(max(wanted, spec.get("minReplicas", 1)), spec["maxReplicas"])
            if wanted != deployment["spec"]["replicas"]:
                self._store({**deployment, "spec": {**deployment["spec"], "replicas": wanted}})

    def _deployment(self, obj: dict[str, Any]) -> None:
        if not self._seen(obj, "see"):
            return
        name, spec = obj["metadata"]["name"], obj["spec"]
        template = json.dumps(spec["template"], sort_keys=True)
        behaviour = spec["template"]["spec"]["containers"][0]["image"].split("/")[1].split(":")[0]
        mine = [pod for pod in self._pods if pod.owner == name and pod.deleted is None]
        for pod in mine:
            if pod.template != template:
                pod.deleted = self._now()
        current = [pod for pod in mine if pod.template == template]
        for pod in current[spec["replicas"] :]:
            pod.deleted = self._now()
        for _missing in range(spec["replicas"] - len(current)):
            self._born += 1
            self._pods.append(Pod(name, f"{name}-{self._born}", template, behaviour, self._now()))
        self._report(obj, template)

    def _report(self, obj: dict[str, Any], template: str) -> None:
        live = [pod for pod in self._pods if pod.owner == obj["metadata"]["name"] and pod.deleted is None]
        ready = sum(self._state(pod) == "ready" for pod in live)
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(live),
            "updatedReplicas": sum(pod.template == template for pod in live),
            "availableReplicas": ready,
            "conditions": self._conditions(obj, ready, template),
        }
        if status != obj.get("status"):
            self._store({**obj, "status": status})

    def _conditions(self, obj: dict[str, Any], ready: int, template: str) -> list[dict[str, Any]]:
        """A missed deadline stands, with its time, until pods of the same template make progress."""
        key = (obj["metadata"]["name"], template)
        noticed = self._noticed[("Deployment", key[0])][1]
        if ready >= obj["spec"]["replicas"] > 0:
            self._missed.pop(key, None)
        elif key not in self._missed and self._now() - noticed >= obj["spec"].get("progressDeadlineSeconds", 600):
            moment = isoformat(self._cluster.clock.now())
            text = {"reason": "ProgressDeadlineExceeded", "message": "has timed out progressing."}
            self._missed[key] = {"type": "Progressing", "status": "False", "lastUpdateTime": moment, **text}
        return [self._missed[key]] if key in self._missed else []

    def _state(self, pod: Pod) -> str:
        if pod.behaviour in self.cured:
            return "ready" if self._passed(pod.born, "start") else "starting"
        if pod.behaviour == CRASH and self._passed(pod.born, "crash"):
            return "crashing"
        if pod.behaviour == ROT and self._passed(pod.born, "rot"):
            return "crashing"
        if pod.behaviour in (NEVER, CRASH) or not self._passed(pod.born, "start"):
            return "starting"
        return "ready"

    def _publish_pods(self) -> None:
        names = {pod.name for pod in self._pods}
        for key in [key for key in self._cluster.objects if key[0] == "Pod" and key[2] not in names]:
            del self._cluster.objects[key]
        for pod in self._pods:
            owner = self._cluster.find("Deployment", pod.owner)
            namespace = owner["metadata"]["namespace"] if owner else ""
            self._store(_pod_object(pod, self._state(pod), namespace))

    def _accept(self, route: dict[str, Any]) -> None:
        generation = route["metadata"]["generation"]
        condition = {"type": "Accepted", "status": self.accepted, "observedGeneration": generation}
        status = {"parents": [{"controllerName": "churnguard.ops/lab-gateway", "conditions": [condition]}]}
        if status != route.get("status"):
            self._store({**route, "status": status})

    def _store(self, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        self._cluster.store((obj["kind"], metadata["namespace"], metadata["name"]), obj)


def _pod_object(pod: Pod, state: str, namespace: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "api", "ready": state == "ready", "state": {"running": {}}}
    if state == "crashing":
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
        container["lastState"] = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no such table: plans"}}
    metadata: dict[str, Any] = {
        "name": pod.name,
        "namespace": namespace,
        "labels": json.loads(pod.template)["metadata"]["labels"],
    }
    if pod.deleted is not None:
        metadata["deletionTimestamp"] = "2026-11-21T19:00:00Z"
    return {"kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [container]}}
