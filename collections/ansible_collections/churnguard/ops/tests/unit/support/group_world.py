# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three services in one fake cluster, and runs of the real group engine against them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import group_journal
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine, Outcome
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group import (
    Entry,
    GroupJournal,
    GroupWish,
    group_target,
    standing,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group_engine import GroupEngine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group_record import ServiceRecorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group_service import Service
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import Lock
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.manifest import content_hash
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Desired, Journal, Pace, Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.routing import read_split
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps

from .clock import FakeClock
from .cluster import Client, FakeCluster, Write
from .objects import APP, BLUE, GREEN, NAMESPACE, manifest, route, service
from .world import dead_process

SERVICES = ("a", "b", "c")
GROUP = "shop"
SLOTS = (BLUE, GREEN)


def renamed(obj: Any, name: str) -> Any:
    """C(obj) of the one application as one of C(name)."""
    if isinstance(obj, dict):
        return {key: renamed(value, name) for key, value in obj.items()}
    if isinstance(obj, list):
        return [renamed(value, name) for value in obj]
    return obj.replace(APP, name) if isinstance(obj, str) else obj


class GroupWorld:
    """Services C(a), C(b) and C(c) with two slots and an HTTPRoute each, nothing deployed.

    Every write is checked as World does: traffic only to a ready slot, only a slot without traffic is scaled away.
    """

    def __init__(self, names: Sequence[str] = SERVICES) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.target = group_target(GROUP, NAMESPACE)
        self.targets = {name: Target(name, NAMESPACE, SLOTS, "HTTPRoute", name) for name in names}
        self.recorder = Recorder(self.clock, "rollout_group")
        self.settings: dict[str, Any] = {
            "ready_timeout": 30,
            "drain_quiet": 1,
            "drain_timeout": 30,
            "confirm_timeout": 20,
        }
        self.broken: list[str] = []
        self._runs = 0
        self._live = False
        for name in names:
            for obj in (service(BLUE), service(GREEN), route()):
                self.cluster.put(renamed(copy.deepcopy(obj), name))
        self.cluster.watchers.append(self._check)

    # -- running -------------------------------------------------------------------------------------------------

    def desired(self, name: str, version: str, image: str = "ok", **changes: Any) -> Desired:
        """The wish for one service; in the fake cluster C(image) says how its pods behave."""
        deployment = renamed(manifest(version, replicas=1, image=image), name)
        wanted = {
            "state": "present",
            "strategy": "blue_green",
            "version": version,
            "deployment": deployment,
            "content_hash": content_hash(deployment, version),
            "replicas": None,
            "on_unfinished": "resume",
            "pace": Pace(bake_seconds=1.0),
        }
        return Desired(**{**wanted, **changes})

    def wish(self, version: str = "v2", state: str = "present", **changes: Any) -> GroupWish:
        """All services to C(version). C(changes): C(mark), C(on_unfinished), C(only) names of the services, and for a
        service's name a dictionary of what is different about it (version, image, or a field of Desired)."""
        names = changes.pop("only", tuple(self.targets) if state == "present" else ())
        services = [self.desired(name, **{"version": version, **changes.pop(name, {})}) for name in names]
        mark = changes.pop("mark", "")
        return GroupWish(state, tuple(services), tuple(names), mark, changes.pop("on_unfinished", "resume"))

    def lock(self, api: RolloutApi, target: Target, process: str = "") -> Lock:
        lock = Lock(api, target, self.clock, 60)
        lock.identity = f"runner {self._runs}"
        lock.process = process or dead_process()
        return lock

    def engine(self, wish: GroupWish, client: Client | None = None, process: str = "") -> GroupEngine:
        """One run's engine, as its own process; by default one that is dead as soon as it stops."""
        client = client or Client(self.cluster)
        self._runs += 1
        self.recorder = Recorder(self.clock, "rollout_group")

        def made(desired: Desired, target: Target) -> Service:
            recorder = ServiceRecorder(self.clock, self.recorder, target.name)

            def engine_with(lock: Lock) -> Engine:
                api = RolloutApi(client, target)
                steps = Steps(api, lock, self.clock, recorder, target, Settings(**self.settings))
                return Engine(api, lock, steps, self.clock, recorder, target)

            return Service(desired, target, RolloutApi(client, target), self.clock, recorder, engine_with, 20.0)

        def known(entry: Entry) -> Service:
            desired = self.desired(entry.name, entry.version, content_hash=entry.content_hash, deployment={})
            return made(desired, entry.target(NAMESPACE))

        services = [made(one, self.targets[name]) for name, one in zip(wish.names, wish.services, strict=True)]
        api = RolloutApi(client, self.target)
        return GroupEngine(
            api, self.target, self.recorder, services, known, lambda api, target: self.lock(api, target, process)
        )

    def run(
        self, version: str = "v2", client: Client | None = None, check_mode: bool = False, **changes: Any
    ) -> Outcome:
        """One run of the engine (see wish)."""
        wish = self.wish(version, **changes)
        return self.engine(wish, client).run(wish, check_mode)

    def run_one(self, name: str, version: str, client: Client | None = None, **changes: Any) -> Outcome:
        """A single rollout of one service, by another process."""
        client, target = client or Client(self.cluster), self.targets[name]
        self._runs += 1
        api = RolloutApi(client, target)
        lock, recorder = self.lock(api, target), Recorder(self.clock, "rollout")
        steps = Steps(api, lock, self.clock, recorder, target, Settings(**self.settings))
        engine = Engine(api, lock, steps, self.clock, recorder, target)
        return engine.run(self.desired(name, version, **changes))

    def installed(self, version: str = "v1") -> GroupWorld:
        """With C(version) live in blue everywhere, by single rollouts, and the record of writes emptied."""
        for name in self.targets:
            self.run_one(name, version)
        self.cluster.writes.clear()
        self._live = True
        return self

    # -- looking -------------------------------------------------------------------------------------------------

    def split(self, name: str) -> dict[str, int]:
        return read_split(self.cluster.find("HTTPRoute", name) or {}, self.targets[name])

    def replicas(self, name: str, slot: str) -> int:
        deployment = self.cluster.find("Deployment", f"{name}-{slot}")
        return deployment["spec"]["replicas"] if deployment else 0

    def journal(self, name: str) -> Journal:
        return codec.read(self.cluster.find("ConfigMap", f"{name}-rollout"), self.targets[name])

    @property
    def book(self) -> GroupJournal:
        return group_journal.read(self.cluster.find("ConfigMap", f"{GROUP}-group"), self.target)

    def stands(self) -> list[str]:
        """How far each service of the release is, by its own journal."""
        tag = self.book.release.tag(GROUP) if self.book.release else ""
        return [standing(self.journal(name), tag) for name in self.targets]

    @property
    def live(self) -> dict[str, tuple[str | None, int, int, int]]:
        """For each service the stable version by its journal, the share of blue, and the sizes of blue and green."""
        found = {}
        for name in self.targets:
            stable = self.journal(name).stable
            sizes = (self.replicas(name, BLUE), self.replicas(name, GREEN))
            found[name] = (stable.version if stable else None, self.split(name)[BLUE], *sizes)
        return found

    @property
    def holders(self) -> dict[str, str]:
        """Holders of the leases that are held."""
        leases = {
            key[2]: obj["spec"]["holderIdentity"] for key, obj in self.cluster.objects.items() if key[0] == "Lease"
        }
        return {name: holder for name, holder in leases.items() if holder}

    def served(self) -> list[str]:
        """The services whose traffic was moved, in that order, one entry for each write."""
        return [w.ref.name for w in self.cluster.writes if w.ref.kind == "HTTPRoute" and _moved(w)]

    def events(self, *kinds: str) -> list[str]:
        return [entry["detail"] for entry in self.recorder.timeline if entry["event"] in kinds]

    # -- checking ------------------------------------------------------------------------------------------------

    def _check(self, write: Write) -> None:
        name = write.ref.name.rpartition("-")[0] or write.ref.name
        if not self._live or write.ref.kind not in ("HTTPRoute", "Deployment"):
            return
        what = f"after write {len(self.cluster.writes)} ({write.verb} {write.ref}): "
        split = self.split(name)
        for slot in SLOTS:
            ready = self.cluster.workloads.ready(f"{name}-{slot}")
            if write.ref.kind == "HTTPRoute" and _moved(write) and split[slot] and not ready:
                self.broken.append(f"{what}{split[slot]} % on slot {slot}, which is not ready")
            if split[slot] and not self.replicas(name, slot):
                self.broken.append(f"{what}slot {slot} has traffic and is scaled away")


def _moved(write: Write) -> bool:
    """Whether a write to a route changed where traffic goes; a fence only marks it."""
    return write.before is not None and write.before["spec"] != write.after["spec"]
