# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client of the fake cluster's application sees, and what Prometheus knows: real HTTP, answers from the
cluster's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import Ref
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.routing import read_split, route_applied

from .objects import APP, NAMESPACE
from .servers import Answer, Request, Server
from .world import World


class DataPlane:
    """Answers as the gateway would: by the pinned slot, else by the weights that the gateway has taken over.

    C(behaviour) may change what a version answers: it gets version and path, and returns an Answer or None for the
    usual one. C(stuck) is a gateway that serves the old weights whatever it says in the route's status.
    """

    def __init__(self, world: World, behaviour: Callable[[str, str], Answer | None] | None = None) -> None:
        self._world = world
        self._behaviour = behaviour or (lambda _version, _path: None)
        self._served = world.split
        self._credit: dict[str, float] = {}
        self.stuck = False
        self.server = Server(self._respond)

    def lag(self, split: dict[str, int] | None) -> None:
        """Serve C(split) whatever the route says, until told None."""
        self._served = split or self._served
        self.stuck = split is not None

    def _respond(self, request: Request) -> Answer:
        slot = request.headers.get("x-churnguard-slot") or self._slot()
        deployment = self._world.cluster.find("Deployment", f"{APP}-{slot}")
        if deployment is None or not self._world.cluster.workloads.ready(f"{APP}-{slot}"):
            return Answer(503, "no healthy upstream")
        version = deployment["spec"]["template"]["metadata"]["labels"]["version"]
        answer = self._behaviour(version, request.path) or Answer(200, {"status": "ok", "version": version})
        answer.headers.update({"X-ChurnGuard-Version": version, "X-ChurnGuard-Slot": slot})
        return answer

    def _slot(self) -> str:
        target = self._world.target
        router = self._world.cluster.read(Ref(target.router_kind, NAMESPACE, target.router_name)) or {}
        if not self.stuck and route_applied(router, target).done:
            self._served = read_split(router, target)
        # Smooth weighted round robin, as a gateway spreads requests.
        for slot, weight in self._served.items():
            self._credit[slot] = self._credit.get(slot, 0) + weight if weight else 0
        chosen = max(self._served, key=lambda slot: self._credit[slot])
        self._credit[chosen] -= sum(self._served.values())
        return chosen


class Metrics:
    """A Prometheus with the application's counters. C(slots) maps a slot to its figures: served, in_flight, age; a
    slot that is not there has no series."""

    def __init__(self, **slots: dict[str, float]) -> None:
        self.slots = slots
        self.server = Server(self._respond)

    def _respond(self, request: Request) -> Answer:
        query = request.query["query"]
        name = "age" if "timestamp(" in query else "in_flight" if "in_progress" in query else "served"
        slot = query.split('slot="')[1].split('"')[0]
        result: list[Any] = []
        if name in self.slots.get(slot, {}):
            result = [{"metric": {}, "value": [0, str(self.slots[slot][name])]}]
        return Answer(200, {"status": "success", "data": {"resultType": "vector", "result": result}})
