# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all steps of a rollout share: the means to act, to wait and to stop. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._common.clock import Clock, parse_time
from .._common.envelope import Recorder
from .._common.waiting import Finding, wait_until
from .._kubernetes.errors import ApiError
from .api import RolloutApi
from .desk import Desk, StepAborted
from .drift import look as look_for_drift
from .lock import Lock
from .model import RUNNING, Journal, Release, Rollout, Step, Target
from .plan import foreign_split
from .routing import RouterProblem, read_split
from .settings import Settings
from .strategies import PAST_RETURN
from .wait import deployment_finding, newest_warning

WRITE_ATTEMPTS = 10

__all__ = ["WRITE_ATTEMPTS", "Context", "StepAborted", "StepFailed", "StepHalted"]


class StepFailed(Exception):
    """The step's goal cannot be reached; the rollout is to be taken back."""


class StepHalted(Exception):
    """Going on and going back are both unsafe, or somebody else interferes; stop and say so."""


class Context:
    """Of one rollout: C(rollout) and C(journal) are those in flight, C(save) writes the journal."""

    def __init__(
        self, api: RolloutApi, lock: Lock, clock: Clock, recorder: Recorder, target: Target, settings: Settings
    ) -> None:
        self.api = api
        self.lock = lock
        self.clock = clock
        self.recorder = recorder
        self.target = target
        self.settings = settings
        self._at: tuple[Step, Rollout, Journal, Callable[[], None]] | None = None
        self.desk = Desk(api, clock, recorder, settings.interval)

    def enter(self, step: Step, rollout: Rollout, journal: Journal, save: Callable[[], None]) -> None:
        """From now on C(step) of C(rollout) is run."""
        self._at = (step, rollout, journal, save)

    @property
    def step(self) -> Step:
        return self._now()[0]

    @property
    def rollout(self) -> Rollout:
        return self._now()[1]

    @property
    def journal(self) -> Journal:
        return self._now()[2]

    def save(self) -> None:
        """Write the journal as it is now."""
        self._now()[3]()

    def _now(self) -> tuple[Step, Rollout, Journal, Callable[[], None]]:
        if self._at is None:
            raise ValueError("no step is being run")
        return self._at

    # -- waiting -----------------------------------------------------------------------------------------------

    def wait(self, look: Callable[[], Finding], limit: float, interval: float = 0.0) -> tuple[Finding, float]:
        """As wait_until, with the lock kept, the user told and an abort from outside heard; the settings' interval
        unless one is given. Raises StepAborted."""

        def tell(finding: Finding, waited: float) -> None:
            self.lock.keep()
            self.hear_abort()
            self.recorder.progress(finding.detail, waited, limit)

        return wait_until(look, self.clock, limit, interval or self.settings.interval, tell)

    def hear_abort(self) -> None:
        """Raise StepAborted if somebody asked for that; all other requests wait for a step that can heed them."""
        if self.rollout.phase == RUNNING:
            self.desk.hear_abort(self.rollout, self.step.name in PAST_RETURN, self.save)

    # -- the slots ---------------------------------------------------------------------------------------------

    def release(self) -> Release:
        """The release that the present step is about."""
        rollout, step = self.rollout, self.step
        named = step.args.get("release")
        if rollout.previous is not None and (named == "previous" or not named and step.slot != rollout.candidate.slot):
            return rollout.previous
        return rollout.candidate

    def slot_finding(self, slot: str, since: str = "") -> Finding:
        moment = parse_time(since) if since else None
        rollout = self.rollout
        known = [release for release in (rollout.candidate, rollout.previous) if release and release.slot == slot]
        # An autoscaler may have added pods meanwhile; the size that the release needs is enough.
        enough = min((release.replicas for release in known), default=None)
        return deployment_finding(self.api.get_deployment(slot), self.api.list_pods(slot), moment, enough)

    def settled(self, slot: str) -> Finding:
        """Whether C(slot) is wholly ready, with time for pods that an autoscaler or a node change has just begun."""
        return self.wait(lambda: self.slot_finding(slot), self.settings.confirm_timeout)[0]

    def warning(self, slot: str, since: str) -> str:
        """The cluster's newest warning about the slot's pods, to add to a message. Who may not read events does
        without."""
        try:
            warning = newest_warning(self.api.list_warnings(), self.target.workload(slot), parse_time(since))
        except ApiError:
            return ""
        return f"; the newest warning says {warning}" if warning else ""

    # -- traffic -----------------------------------------------------------------------------------------------

    def router(self) -> dict[str, Any]:
        router = self.api.get_router()
        if router is None:
            raise StepHalted(f"{self.target.router_kind} {self.target.router_name} has disappeared")
        return router

    def split(self) -> dict[str, int]:
        try:
            return read_split(self.router(), self.target)
        except RouterProblem as error:
            raise StepHalted(str(error)) from error

    def refuse_foreign(self, router: dict[str, Any]) -> None:
        """Stop, or take back if that is the policy, when somebody else moved the traffic."""
        try:
            split = read_split(router, self.target)
        except RouterProblem as error:
            raise StepHalted(str(error)) from error
        foreign = foreign_split(self.rollout, split, self.target, router)
        if not foreign:
            return
        if self._takes_back_drift():
            # Taking back overwrites what was found, and only that: the journal must be able to explain it.
            self.rollout.sides.append(split)
            raise StepFailed(foreign)
        raise StepHalted(foreign)

    def refuse_drift(self) -> None:
        """As refuse_foreign, for everything else that a rollout stands on: selectors, sizes, templates."""
        drifts = look_for_drift(self.api, self.target, self.rollout)
        if not drifts:
            return
        text = "somebody else changed what this rollout stands on: " + "; ".join(str(drift) for drift in drifts)
        if self._takes_back_drift():
            raise StepFailed(text)
        raise StepHalted(text)

    def _takes_back_drift(self) -> bool:
        return self.settings.on_drift == "rollback" and self.rollout.phase == RUNNING
