# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds rollouts that nobody runs any more, and ends them. Internal: may change in any release."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .._common.clock import Clock
from .._common.envelope import FAILED, Recorder
from .._common.errors import OperationError
from .._kubernetes.connection import Connection
from .._kubernetes.objects import Ref
from . import group_orphan, orphan
from . import journal as codec
from .api import RolloutApi
from .engine import Engine
from .lock import LockHeld
from .model import Desired, Journal, Pace, Target

MANAGED = "app.kubernetes.io/managed-by=churnguard.ops"

TAKE_BACK = "take_back"
REPORT = "report"

NO_ACTION = "none"
TAKEN_BACK = "taken_back"
FINISHED = "finished"
REPORTED = "reported"
GAVE_UP = "gave_up"
UNREADABLE = "unreadable"

_SUFFIX = "-rollout"
_NEXT = (
    ". Next: run playbooks/deploy.yml with that version again to go on, playbooks/rollback.yml to take it back, or let "
    "the watchdog do so (policy=take_back)"
)
# One service alone must not go back, nor lose its old version, while others of the same release stay.
_OF_A_GROUP = (
    ". It belongs to release {} of several services, so it is not ended alone. Next: run the same group release again, "
    "or take all of it back"
)


@dataclass
class Verdict:
    """What the watchdog saw of one application and did about it. C(state) is one of orphan's, or unreadable."""

    app: str
    state: str
    detail: str
    action: str = NO_ACTION
    changed: bool = False
    failed: bool = False
    envelope: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For a module's result."""
        whole = dataclasses.asdict(self)
        return {key: value for key, value in whole.items() if key not in ("before", "after")}


def applications(connection: Connection, namespace: str) -> list[str]:
    """Names of the applications that have a journal in C(namespace)."""
    found = connection.list(Ref("ConfigMap", namespace), label_selector=MANAGED)
    names = [config_map["metadata"]["name"] for config_map in found]
    return sorted(name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX))


class Watchdog:
    """Looks at one application after the other. C(engine_for) makes an engine with a lock that is not yet taken."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        engine_for: Callable[[Target, Recorder], Engine],
        policy: str,
        orphaned_after: float,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._engine_for = engine_for
        self._policy = policy
        self._orphaned_after = orphaned_after

    def look(self, target: Target, check_mode: bool = False) -> Verdict:
        """See how C(target) is, and end an orphaned rollout. Raises nothing of its own: what went wrong is in the
        verdict, so that one application does not keep the others from being looked at."""
        try:
            return self._look(target, check_mode)
        except OperationError as error:
            return Verdict(target.name, UNREADABLE, str(error), failed=True)

    def _look(self, target: Target, check_mode: bool) -> Verdict:
        api = RolloutApi(self._connection, target)
        journal = codec.read(api.get_journal(), target)
        keeper = orphan.keeper_of(api.get_lease(), self._connection.server_now())
        finding = orphan.examine(journal.rollout, keeper, self._orphaned_after)
        verdict = Verdict(target.name, finding.state, finding.detail)
        if finding.state != orphan.ORPHANED:
            return verdict
        group = journal.rollout.group if journal.rollout else ""
        release = group_orphan.find(self._connection, group, target) if group and self._policy != REPORT else None
        if release is not None:
            return self._end_group(verdict, release, target, check_mode)
        if group or self._policy == REPORT:
            verdict.action, verdict.failed = REPORTED, True
            verdict.detail += _OF_A_GROUP.format(group) if group else _NEXT
            return verdict
        return self._end(verdict, journal, keeper, with_slots_of(target, journal), check_mode)

    def _end_group(self, verdict: Verdict, of_group: group_orphan.Orphan, target: Target, check_mode: bool) -> Verdict:
        """The whole release ends with the first of its services that is found."""
        if of_group.reason_to_leave:
            verdict.action, verdict.failed = REPORTED, True
            verdict.detail += f"; {of_group.reason_to_leave}. Next: run the same release again to go on"
            return verdict
        recorder = Recorder(self._clock, "rollout")
        recorder.event("orphaned", verdict.detail, {"group": of_group.tag})
        try:
            done = group_orphan.end(of_group, target.namespace, self._engine_for, recorder, check_mode)
        except LockHeld as error:
            return Verdict(target.name, orphan.HEALTHY, f"{error.holder} has taken it over meanwhile")
        except OperationError as error:
            recorder.event("failed", str(error))
            verdict.action, verdict.failed, verdict.detail = GAVE_UP, True, str(error)
            verdict.envelope = recorder.envelope(FAILED, changed=True)
            return verdict
        verdict.changed = any(outcome.changed for _name, outcome in done)
        verdict.failed = any(outcome.failed for _name, outcome in done)
        forward = of_group.release.phase == group_orphan.FINISHING
        verdict.action = GAVE_UP if verdict.failed else FINISHED if forward else TAKEN_BACK
        told = " ".join(f"{name}: {outcome.message}" for name, outcome in done)
        verdict.detail = f"{verdict.detail}; release {of_group.tag} of several services. {told}"
        verdict.steps = [{"service": name, **step} for name, outcome in done for step in outcome.steps]
        if not check_mode and done:
            verdict.envelope = recorder.envelope(done[-1][1].verdict, verdict.changed)
        return verdict

    def _end(
        self, verdict: Verdict, journal: Journal, keeper: orphan.Keeper, target: Target, check_mode: bool
    ) -> Verdict:
        recorder = Recorder(self._clock, "rollout")
        overdue = None if math.isinf(keeper.overdue) else round(keeper.overdue, 1)
        recorder.event("orphaned", verdict.detail, {"holder": keeper.name, "overdue_s": overdue})
        desired = wish(journal)
        try:
            outcome = self._engine_for(target, recorder).run(desired, check_mode)
        except LockHeld as error:
            return Verdict(target.name, orphan.HEALTHY, f"{error.holder} has taken it over meanwhile")
        except OperationError as error:
            recorder.event("failed", str(error))
            verdict.action, verdict.failed, verdict.detail = GAVE_UP, True, str(error)
            verdict.envelope = recorder.envelope(FAILED, changed=True)
            return verdict
        done = FINISHED if desired.state == "finished" else TAKEN_BACK
        verdict.action = GAVE_UP if outcome.failed else done
        verdict.changed, verdict.failed = outcome.changed, outcome.failed
        verdict.detail = f"{verdict.detail}. {outcome.message}"
        verdict.steps, verdict.before, verdict.after = outcome.steps, outcome.before, outcome.after
        if not check_mode:
            verdict.envelope = recorder.envelope(outcome.verdict, outcome.changed)
        return verdict


def wish(journal: Journal) -> Desired:
    """What is to be asked of the engine for an orphaned rollout: finish it if nothing but the retirement of the old
    version is left, else take it back."""
    rollout = journal.rollout
    if rollout is None:
        raise ValueError("without a rollout there is nothing to end")
    forward = orphan.ends_forward(rollout)
    return Desired(
        state="finished" if forward else "aborted",
        strategy=rollout.strategy,
        version=rollout.candidate.version,
        deployment={},
        content_hash="",
        replicas=None,
        on_unfinished="resume",
        pace=Pace(),
        reason="its controller has died",
    )


def with_slots_of(target: Target, journal: Journal) -> Target:
    """C(target) with the slots that its rollout uses, so that applications with other names for them are found."""
    rollout = journal.rollout
    slots = tuple(rollout.sides[0]) if rollout and rollout.sides else ()
    if len(slots) != 2 or set(slots) == set(target.slots):
        return target
    return dataclasses.replace(target, slots=(slots[0], slots[1]))
