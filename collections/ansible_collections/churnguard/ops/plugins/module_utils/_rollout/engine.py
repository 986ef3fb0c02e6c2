# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, journal, act, confirm: one rollout from the decision to the verdict. Internal: may change in any release."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.envelope import ABORTED, FAILED, PASSED, ROLLED_BACK, Recorder
from .._common.errors import OperationError
from .._kubernetes.errors import ApiError
from . import journal as codec
from . import plan
from .api import RolloutApi
from .lock import Lock, LockHeld
from .model import ROLLING_BACK, RUNNING, Desired, Journal, Observed, Rollout, Step, Target
from .routing import RouterProblem, describe, read_split
from .slot_steps import recorded_manifest
from .steps import StepAborted, StepFailed, StepHalted, Steps
from .store import JournalStore, observe
from .strategies import PAST_RETURN, RETIRE, START, take_back
from .superseding import make_way

_THEN_FAILED = "; taking it back then failed: "


@dataclass
class Outcome:
    """What a run comes to. C(failed) is the module's; C(steps) are those planned or done."""

    verdict: str
    changed: bool
    failed: bool
    message: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


class Engine:
    """Runs what plan.decide decides, under the lock, one journaled step at a time."""

    def __init__(
        self, api: RolloutApi, lock: Lock, steps: Steps, clock: Clock, recorder: Recorder, target: Target
    ) -> None:
        self._api = api
        self._lock = lock
        self._steps = steps
        self._clock = clock
        self._recorder = recorder
        self._target = target
        self._store = JournalStore(api, target)

    def _observe(self) -> Observed:
        return observe(self._api, self._target, self._store.load())

    def run(self, desired: Desired, check_mode: bool = False) -> Outcome:
        """Bring about C(desired). With C(check_mode) nothing is written; the plan is returned.

        Raises OperationError (LockHeld, LockLost, Unreachable, ApiError …) when it could not even begin, or was cut
        off; the journal then says how far it came.
        """
        observed = self._observe()
        before = summary(observed, self._target)
        decision = plan.decide(observed, desired, self._target)
        self._describe_subject(decision, desired, observed.journal)
        if decision.kind == plan.REFUSE:
            # What looks unfinished or moved by hand may be a run that is under way: its name helps more.
            self._lock.check()
        self._check(decision, desired)
        if check_mode or decision.kind in (plan.NOTHING, plan.REFUSE):
            outcome = self._without_acting(decision, desired)
        else:
            outcome = self._locked(desired)
        outcome.before = before
        outcome.after = (
            _predicted(before, decision, observed.journal.rollout) if check_mode else self._last_look(before)
        )
        return outcome

    def _last_look(self, before: dict[str, Any]) -> dict[str, Any]:
        """For the diff alone: a rollout that has ended does not fail because nobody could look at it."""
        try:
            return summary(self._observe(), self._target)
        except OperationError as error:
            self._recorder.event("failed", f"the state afterwards could not be read: {error}")
            return before

    def _check(self, decision: plan.Decision, desired: Desired) -> None:
        """What can be known before anything starts. Raises OperationError."""
        if decision.kind == plan.DEPLOY and decision.candidate is not None:
            gates = [gate.flag for gate in desired.pace.gates if gate.flag]
            self._steps.check(decision.candidate, decision.stable, desired.flags, gates)

    # -- deciding ----------------------------------------------------------------------------------------------

    def _describe_subject(self, decision: plan.Decision, desired: Desired, journal: Journal) -> None:
        unfinished = journal.rollout if journal.rollout and journal.rollout.unfinished else None
        candidate = decision.candidate or (unfinished.candidate if unfinished else decision.stable)
        previous = unfinished.previous if unfinished and not decision.candidate else decision.stable
        self._recorder.subject = {
            "app": self._target.name,
            "namespace": self._target.namespace,
            "version": candidate.version if candidate else desired.version,
            "previous_version": previous.version if previous and previous is not candidate else None,
            "strategy": decision.strategy or (unfinished.strategy if unfinished else desired.strategy),
            "slot": candidate.slot if candidate else None,
        }

    def _without_acting(self, decision: plan.Decision, desired: Desired) -> Outcome:
        if decision.kind == plan.REFUSE:
            raise OperationError(f"roll out {self._target}", f"{decision.reason}.", decision.next_step)
        if decision.kind == plan.NOTHING:
            self._recorder.event("completed", decision.reason)
            return Outcome(PASSED, False, False, f"{decision.reason}; nothing to do.")
        self._recorder.event("planned", decision.reason)
        message = f"Would run: {decision.reason}: " + ", ".join(step.label for step in decision.steps)
        return Outcome(PASSED, True, False, message, _plain(decision.steps))

    # -- acting ------------------------------------------------------------------------------------------------

    def _locked(self, desired: Desired) -> Outcome:
        taken_over = self._acquire(desired)
        try:
            self._recorder.event("locked", f"by {self._lock.identity}" + (", taken over" if taken_over else ""))
            if taken_over:
                self.fence()
            return self._act(desired)
        finally:
            self._release()

    def _acquire(self, desired: Desired) -> bool:
        try:
            return self._lock.acquire()
        except LockHeld:
            if desired.on_unfinished != "supersede":
                raise
        return make_way(self._api, self._lock, self._clock, self._recorder, self._target, desired.version)

    def _release(self) -> None:
        try:
            self._lock.release()
        except OperationError as error:
            self._recorder.event("failed", f"the lock was not given back and will expire: {error}")

    def fence(self) -> None:
        """Whoever held the lock before may be asleep, not dead: make every write it has prepared fail."""
        target = self._target
        self._api.fence("ConfigMap", target.journal, self._lock.token)
        self._api.fence(target.router_kind, target.router_name, self._lock.token)
        for slot in target.slots:
            self._api.fence("Deployment", target.workload(slot), self._lock.token)

    def _act(self, desired: Desired) -> Outcome:
        """Decide again now that nobody else writes, and do it; after an unfinished rollout has been taken back, the
        wish itself is next."""
        changed = False
        while True:
            observed = self._observe()
            decision = plan.decide(observed, desired, self._target)
            self._describe_subject(decision, desired, observed.journal)
            if decision.kind in (plan.NOTHING, plan.REFUSE):
                outcome = self._without_acting(decision, desired)
                outcome.changed = changed
                return outcome
            self._recorder.event("planned", decision.reason)
            journal = observed.journal
            if decision.kind == plan.DEPLOY:
                if changed:
                    # An unfinished rollout was in the way of the first check.
                    self._check(decision, desired)
                self._begin(observed, decision, desired)
                return self._forward(journal, desired)
            if decision.kind == plan.TAKE_BACK:
                outcome = self._take_back(journal, desired.reason or "taken back on request", decision.steps, ABORTED)
            elif _rollout(journal).phase == ROLLING_BACK:
                outcome = self._back(journal, ABORTED if plan.wants_back(desired, _rollout(journal)) else ROLLED_BACK)
            else:
                return self._forward(journal, desired)
            changed = True
            if outcome.failed or plan.ends_with_back(desired, _rollout(journal)):
                return outcome

    def _begin(self, observed: Observed, decision: plan.Decision, desired: Desired) -> None:
        candidate = decision.candidate
        if candidate is None:
            raise ValueError("a decision to deploy has a candidate")
        rollout = Rollout(
            id=uuid.uuid4().hex[:8],
            operation="rollback" if desired.state == "rolled_back" else "deploy",
            strategy=decision.strategy,
            candidate=candidate,
            previous=decision.stable,
            phase=RUNNING,
            steps=decision.steps,
            sides=[read_split(observed.router or {}, self._target)],
            started=self._server_time(),
            holder=self._lock.identity,
            flags=desired.flags,
            group=desired.group,
        )
        rollout.traffic_moved = rollout.sides[0][candidate.slot] > 0
        live = observed.deployments[candidate.slot]
        if decision.stable is not None and decision.stable.slot == candidate.slot and live is not None:
            # A rolling update overwrites what it may have to go back to, and the journal may have been lost.
            observed.journal.manifests.setdefault("stable", recorded_manifest(live))
        codec.begin(observed.journal, rollout, decision.manifest)
        self._store.save(observed.journal)

    def _forward(self, journal: Journal, desired: Desired) -> Outcome:
        rollout = _rollout(journal)
        if rollout.phase != RUNNING:
            rollout.phase, rollout.reason = RUNNING, ""
        try:
            self._run_steps(journal, PAST_RETURN if desired.park else frozenset())
        except (StepFailed, ApiError) as error:
            step = rollout.steps[min(rollout.cursor, len(rollout.steps) - 1)]
            self._recorder.event("failed", f"{step.label}: {error}")
            if step.name in PAST_RETURN or desired.on_failure == "halt":
                return self._halt(journal, str(error))
            return self._take_back(journal, str(error), take_back(rollout, self._target), ROLLED_BACK)
        except StepAborted as error:
            outcome = self._take_back(journal, str(error), take_back(rollout, self._target), ABORTED)
            # Whoever started the run wanted the version, and did not get it.
            outcome.failed = True
            return outcome
        except StepHalted as error:
            return self._halt(journal, str(error))
        if desired.park:
            return self._park(journal)
        codec.finish(journal, PASSED, self._server_time())
        self._store.save(journal)
        message = f"{rollout.candidate.version} is live in slot {rollout.candidate.slot}{_end_of_previous(rollout)}."
        self._recorder.event("completed", message)
        return Outcome(PASSED, True, False, message, _plain(rollout.steps))

    def _park(self, journal: Journal) -> Outcome:
        """The new version has proved itself; the end of the old one waits for others, and for another run."""
        rollout = _rollout(journal)
        self._store.save(journal)
        message = f"{rollout.candidate.version} has proved itself in slot {rollout.candidate.slot}"
        self._recorder.event("parked", f"{message}; it can still be taken back")
        return Outcome(PASSED, True, False, f"{message}.", _plain(rollout.steps))

    def _take_back(self, journal: Journal, reason: str, steps: list[Step], verdict: str) -> Outcome:
        rollout = _rollout(journal)
        self._recorder.event("rollback_started", reason)
        codec.give_up(rollout, reason, steps)
        self._store.save(journal)
        return self._back(journal, verdict)

    def _back(self, journal: Journal, verdict: str) -> Outcome:
        rollout = _rollout(journal)
        try:
            self._run_steps(journal)
        except (StepFailed, StepHalted, ApiError) as error:
            first = rollout.reason.partition(_THEN_FAILED)[0]
            return self._halt(journal, f"{first}{_THEN_FAILED}{error}")
        codec.finish(journal, verdict, self._server_time())
        self._store.save(journal)
        message = _taken_back(rollout, aborted=verdict == ABORTED)
        self._recorder.event("rolled_back", message)
        return Outcome(verdict, True, verdict != ABORTED, message, _plain(rollout.steps))

    def _halt(self, journal: Journal, reason: str) -> Outcome:
        rollout = _rollout(journal)
        codec.halt(rollout, reason)
        self._store.save(journal)
        try:
            now = describe(read_split(self._api.get_router() or {}, self._target))
        except (RouterProblem, KeyError):
            now = "unknown"
        message = (
            f"The rollout of {rollout.candidate.version} stopped half-way: {reason.rstrip('.')}. Traffic is {now}; "
            "both slots were left as they are. Next: deal with the reason, then run the same again to go on, or "
            "playbooks/rollback.yml (state=aborted) to take it back."
        )
        self._recorder.event("failed", message)
        return Outcome(FAILED, True, True, message, _plain(rollout.steps))

    def _run_steps(self, journal: Journal, stop_before: frozenset[str] = frozenset()) -> None:
        """From the first step that is not done up to one that is named in C(stop_before). The journal says what is
        about to happen before it does."""
        rollout = _rollout(journal)
        for step in rollout.steps[rollout.cursor :]:
            if step.name in stop_before:
                return
            self._lock.keep()
            codec.enter(rollout, step, self._server_time())
            self._store.save(journal)
            self._recorder.event("step_started", step.label)
            self._steps.run(step, rollout, journal, lambda: self._store.save(journal))
            codec.leave(rollout, step, self._server_time())
            self._recorder.event("step_done", step.label)

    def _server_time(self) -> str:
        return isoformat(self._api.server_now())


def summary(observed: Observed, target: Target) -> dict[str, Any]:
    """The few facts that a diff shows."""
    try:
        split = read_split(observed.router, target) if observed.router else None
    except RouterProblem:
        split = None
    stable = observed.journal.stable
    return {
        "version": stable.version if stable else None,
        "stable_slot": stable.slot if stable else None,
        "weights": split,
        "replicas": {slot: (d["spec"].get("replicas", 1) if d else None) for slot, d in observed.deployments.items()},
    }


def _predicted(before: dict[str, Any], decision: plan.Decision, rollout: Rollout | None) -> dict[str, Any]:
    """C(before) as the decision's steps would leave it."""
    after = copy.deepcopy(before)
    candidate = decision.candidate
    if candidate is None and rollout is not None and decision.kind == plan.RESUME and rollout.phase != ROLLING_BACK:
        candidate = rollout.candidate
    if candidate is not None:
        after.update(version=candidate.version, stable_slot=candidate.slot)
    for step in decision.steps:
        if step.name == START and candidate is not None and step.slot == candidate.slot:
            after["replicas"][step.slot] = candidate.replicas
        elif step.name == RETIRE:
            after["replicas"][step.slot] = 0
        after["weights"] = step.args.get("split", after["weights"])
    return after


def _taken_back(rollout: Rollout, aborted: bool) -> str:
    """The outcome of a rollout that was taken back, in two sentences."""
    if rollout.previous is None:
        state = "There was no version before it"
    else:
        how = "serves all traffic again" if rollout.traffic_moved else "kept all traffic"
        state = f"Slot {rollout.previous.slot} with {rollout.previous.version} {how}"
    was = "aborted" if aborted else "refused"
    in_place = rollout.previous is not None and rollout.previous.slot == rollout.candidate.slot
    end = "its pods have been replaced." if in_place else f"slot {rollout.candidate.slot} is scaled away."
    return f"{rollout.candidate.version} was {was}: {rollout.reason.rstrip('.')}. {state}; {end}"


def _end_of_previous(rollout: Rollout) -> str:
    previous = rollout.previous
    if previous is None:
        return ""
    if previous.slot == rollout.candidate.slot:
        return f"; it has replaced {previous.version} there"
    if any(step.name == RETIRE for step in rollout.steps):
        return f"; {previous.version} in slot {previous.slot} is retired"
    return f"; {previous.version} stays warm in slot {previous.slot}"


def _rollout(journal: Journal) -> Rollout:
    if journal.rollout is None:
        raise ValueError("the journal holds no rollout")
    return journal.rollout


def _plain(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [
        {
            "name": s.name,
            "slot": s.slot,
            "weight": s.args.get("weight"),
            "status": s.status,
            "started": s.started,
            "finished": s.finished,
        }
        for s in steps
    ]
