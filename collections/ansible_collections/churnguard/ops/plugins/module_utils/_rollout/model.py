# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types shared by the rollout area. No I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

HTTP_ROUTE = "HTTPRoute"
SERVICE = "Service"

RUNNING = "running"
ROLLING_BACK = "rolling_back"
HALTED = "halted"
UNFINISHED = frozenset({RUNNING, ROLLING_BACK, HALTED})

STEP_PENDING = "pending"
STEP_STARTED = "started"
STEP_DONE = "done"

ANNOTATION_HASH = "churnguard.ops/content-hash"
ANNOTATION_VERSION = "churnguard.ops/version"
ANNOTATION_FENCE = "churnguard.ops/fence"


@dataclass(frozen=True)
class Target:
    """Where a rollout happens: the application, its two slots and what routes traffic to them."""

    name: str
    namespace: str
    slots: tuple[str, str]
    router_kind: str
    router_name: str

    def workload(self, slot: str) -> str:
        """Name of a slot's Deployment and Service."""
        return f"{self.name}-{slot}"

    @property
    def journal(self) -> str:
        """Name of the ConfigMap and the Lease."""
        return f"{self.name}-rollout"

    def other(self, slot: str) -> str:
        return self.slots[1] if slot == self.slots[0] else self.slots[0]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Release:
    """A version that runs, or ran, in a slot. C(replicas) is the size it had when it was last measured."""

    slot: str
    version: str
    content_hash: str
    replicas: int

    @classmethod
    def read(cls, data: dict[str, Any] | None) -> Release | None:
        return cls(**data) if data else None


@dataclass
class Step:
    """One step of a plan. C(args) are plain data, so that a step read back from the journal runs the same."""

    name: str
    slot: str
    args: dict[str, Any] = field(default_factory=dict)
    status: str = STEP_PENDING
    started: str = ""
    finished: str = ""

    @property
    def label(self) -> str:
        """For people: "hold green at 10 %"."""
        weight = self.args.get("weight")
        return f"{self.name} {self.slot}" + ("" if weight is None else f" at {weight} %")


@dataclass
class Rollout:
    """The rollout in flight or the last one, as the journal keeps it.

    C(sides) are the splits that the journal can explain: one while no step moves traffic, both sides of the move
    while one does. A live split that is not among them was written by somebody else.

    C(audit) holds the requests of people that were handled, C(paused) and C(waiting_for) what keeps the rollout from
    going on, C(analysis) the last sample with the state of the step it was taken in, C(evidence) what the judge has
    seen, C(autoscalers) what was changed of them and has to be put back, C(templates) what the slots run, by the digest
    of their live pod template, C(flags) the feature flags that go off when it is taken back, with the ConfigMap that
    holds them, C(group) the release of several services that it belongs to ("<group>/<id>").
    """

    id: str
    operation: str
    strategy: str
    candidate: Release
    previous: Release | None
    phase: str
    steps: list[Step]
    sides: list[dict[str, int]]
    started: str
    holder: str
    finished: str = ""
    reason: str = ""
    traffic_moved: bool = False
    paused: bool = False
    promoted_fully: bool = False
    waiting_for: str = ""
    analysis: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)
    autoscalers: list[dict[str, Any]] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    reason: str = ""

    @property
    def unfinished(self) -> bool:
        return self.phase in UNFINISHED

    @property
    def cursor(self) -> int:
        """Index of the first step that is not done; the number of steps when all are."""
        for index, step in enumerate(self.steps):
            if step.status != STEP_DONE:
                return index
        return len(self.steps)

    @classmethod
    def read(cls, data: dict[str, Any] | None) -> Rollout | None:
        if not data:
            return None
        fields = dict(data)
        fields["candidate"] = Release(**data["candidate"])
        fields["previous"] = Release.read(data["previous"])
        fields["steps"] = [Step(**step) for step in data["steps"]]
        return cls(**fields)


@dataclass
class Journal:
    """What must survive the controller: which slot is stable, what is in flight, and what was before.

    C(manifests) holds the Deployment manifests of the candidate, the stable and the previous release under those
    names, so that resuming and rolling back need nothing but the cluster.
    """

    stable: Release | None = None
    previous: Release | None = None
    rollout: Rollout | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """All but the manifests, as plain data."""
        return {
            "schema": 1,
            "stable": asdict(self.stable) if self.stable else None,
            "previous": asdict(self.previous) if self.previous else None,
            "rollout": asdict(self.rollout) if self.rollout else None,
            "history": self.history,
        }


@dataclass(frozen=True)
class Gate:
    """A step that waits for somebody (or a feature flag) to say yes. C(before) is a weight ("50") or a step's name."""

    before: str
    timeout: float
    on_timeout: str
    flag: str = ""


@dataclass(frozen=True)
class Pace:
    """How a strategy goes about it. C(weights) are (per cent, seconds to hold) in rising order; C(max_surge) and
    C(max_unavailable) are those of a Deployment's rolling update. Without C(retire) the old slot stays warm."""

    weights: tuple[tuple[int, float], ...] = ()
    gates: tuple[Gate, ...] = ()
    bake_seconds: float = 0.0
    max_surge: int | str = 1
    max_unavailable: int | str = 0
    retire: bool = True


@dataclass(frozen=True)
class Desired:
    """What is asked for. C(state) is present, rolled_back, aborted, or finished (end what is in flight, forward, and no
    more); C(deployment) is the manifest as given, C(content_hash) identifies it, C(reason) is why. C(group) is the
    release of several services that it belongs to; with C(park) the rollout stops short of the old version's end, so
    that it can still be taken back."""

    state: str
    strategy: str
    version: str
    deployment: dict[str, Any]
    content_hash: str
    replicas: int | None
    on_unfinished: str
    pace: Pace
    on_failure: str = "rollback"
    flags: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    park: bool = False
    reason: str = ""


@dataclass
class Observed:
    """One look at everything a decision depends on. Objects are the API's own dictionaries; None is absent."""

    journal: Journal
    deployments: dict[str, dict[str, Any] | None]
    services: dict[str, dict[str, Any] | None]
    router: dict[str, Any] | None
