# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole site in the fake cluster, and runs of the real engine against it."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.analysis import Analysis
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine, Outcome
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import Lock, own_process
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.routing import read_split
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps

from .clock import FakeClock
from .cluster import Client, FakeCluster, Write
from .objects import APP, BLUE, GREEN, public_service, route, service, target, wish

SLOTS = (BLUE, GREEN)


def dead_process() -> str:
    """A process of this machine that has ended: this one's id with another start time."""
    boot, namespace, _pid, _start = own_process().split("/")
    return f"{boot}/{namespace}/{os.getpid()}/1"


class World:
    """An application with two slots, a router of C(kind), and nothing deployed.

    Every write of a run is checked: traffic is only given to a ready slot, only a slot without traffic is scaled
    away, and once a version is live the two slots are never both empty. C(broken) lists what was violated.
    """

    def __init__(self, kind: str = "HTTPRoute") -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.target = target(kind)
        self.broken: list[str] = []
        self.recorder = Recorder(self.clock, "rollout")
        self.settings: dict[str, Any] = {"ready_timeout": 60, "drain_quiet": 3, "drain_timeout": 30}
        # Options of Analysis, for runs that are judged.
        self.analysis: dict[str, Any] = {}
        for slot in SLOTS:
            self.cluster.put(service(slot))
        self.cluster.put(route() if kind == "HTTPRoute" else public_service())
        self._runs = 0
        self._live = False
        self.cluster.watchers.append(self._check)

    # -- running -------------------------------------------------------------------------------------------------

    def client(self, **faults: Any) -> Client:
        return Client(self.cluster, **faults)

    def lock(self, client: Client, process: str = "") -> Lock:
        """A lock of another process than all locks before; by default one that is dead as soon as it stops."""
        self._runs += 1
        lock = Lock(RolloutApi(client, self.target), self.target, self.clock, 60)
        lock.identity = f"runner {self._runs}"
        lock.process = process or dead_process()
        return lock

    def run(
        self, version: str = "v2", client: Client | None = None, check_mode: bool = False, **changes: Any
    ) -> Outcome:
        """One run of the engine, as its own process; C(changes) go into the wish (see objects.wish)."""
        client = client or self.client()
        api, lock = RolloutApi(client, self.target), self.lock(client)
        self.recorder = Recorder(self.clock, "rollout")
        analysis = Analysis(target=self.target, clock=self.clock, **self.analysis) if self.analysis else None
        steps = Steps(api, lock, self.clock, self.recorder, self.target, Settings(**self.settings), analysis)
        engine = Engine(api, lock, steps, self.clock, self.recorder, self.target)
        return engine.run(wish(version, **changes), check_mode)

    def installed(self, version: str = "v1") -> World:
        """With C(version) live in blue, and the record of writes emptied."""
        self.run(version)
        self.cluster.writes.clear()
        self._live = True
        return self

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def split(self) -> dict[str, int]:
        return read_split(self.cluster.find(self.target.router_kind, self.target.router_name) or {}, self.target)

    @property
    def journal(self) -> Journal:
        return codec.read(self.cluster.find("ConfigMap", self.target.journal), self.target)

    def replicas(self, slot: str) -> int:
        deployment = self.cluster.find("Deployment", f"{APP}-{slot}")
        return deployment["spec"]["replicas"] if deployment else 0

    @property
    def lock_holder(self) -> str:
        lease = self.cluster.find("Lease", self.target.journal)
        return lease["spec"]["holderIdentity"] if lease else ""

    @property
    def live(self) -> tuple[str | None, dict[str, int], dict[str, int]]:
        """Stable version by the journal, split, replicas."""
        stable = self.journal.stable
        return stable.version if stable else None, self.split, {slot: self.replicas(slot) for slot in SLOTS}

    @property
    def versions(self) -> dict[str, str]:
        """The version of each slot that runs."""
        found = {slot: self.cluster.find("Deployment", f"{APP}-{slot}") for slot in SLOTS}
        return {
            slot: obj["spec"]["template"]["metadata"]["labels"]["version"]
            for slot, obj in found.items()
            if obj is not None and obj["spec"]["replicas"]
        }

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.recorder.timeline]

    def written(self, *kinds: str) -> list[str]:
        """The writes so far, for example "patch HTTPRoute churnguard-api"."""
        return [f"{w.verb} {w.ref.kind} {w.ref.name}" for w in self.cluster.writes if not kinds or w.ref.kind in kinds]

    # -- checking ------------------------------------------------------------------------------------------------

    def _check(self, write: Write) -> None:
        if not self._live:
            return
        what = f"after write {len(self.cluster.writes)} ({write.verb} {write.ref}): "
        if write.ref.kind == self.target.router_kind and self.split != read_split(write.before or {}, self.target):
            for slot, weight in self.split.items():
                if weight and self.cluster.workloads.ready(f"{APP}-{slot}") < max(self.replicas(slot), 1):
                    self.broken.append(f"{what}{weight} % on slot {slot}, which is not ready")
        if write.ref.kind == "Deployment":
            if not any(self.replicas(slot) for slot in SLOTS):
                self.broken.append(what + "both slots are at 0")
            for slot in SLOTS:
                if self.split[slot] and not self.replicas(slot):
                    self.broken.append(f"{what}slot {slot} has traffic and is scaled away")
