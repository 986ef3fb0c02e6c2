# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One service of a group as the group's engine deals with it. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .._common.clock import Clock
from .._common.envelope import FAILED, ROLLED_BACK
from .._common.errors import OperationError
from .._common.waiting import Finding, wait_until
from .._kubernetes.errors import Unreachable
from . import journal as codec
from .api import RolloutApi
from .engine import Engine, Outcome, summary
from .group import DONE, RETURNING, Entry, standing
from .group_record import ServiceRecorder
from .lock import Lock, LockHeld, LockLost
from .model import Desired, Journal, Target
from .plan import broken_part, foreign_split
from .routing import read_split
from .store import observe
from .wait import deployment_finding

# These end the run where it is: the next one goes on from the journals.
CUT_OFF = (Unreachable, LockLost, LockHeld)


@dataclass
class Service:
    """C(desired) is what the user wants of it, C(engine_with) makes its engine for a lock that somebody else takes,
    C(patience) are the seconds in which a version that has proved itself must look well."""

    desired: Desired
    target: Target
    api: RolloutApi
    clock: Clock
    recorder: ServiceRecorder
    engine_with: Callable[[Lock], Engine]
    patience: float

    @property
    def name(self) -> str:
        return self.target.name

    def entry(self) -> Entry:
        target, wanted = self.target, self.desired
        slots = list(target.slots)
        return Entry(target.name, wanted.version, wanted.content_hash, slots, target.router_kind, target.router_name)

    def journal(self) -> Journal:
        return codec.read(self.api.get_journal(), self.target)

    def standing(self, tag: str) -> str:
        return standing(self.journal(), tag)

    def summary(self) -> dict[str, Any]:
        return summary(observe(self.api, self.target), self.target)

    def run(self, engine: Engine, wish: Desired) -> Outcome:
        """As the engine does; a refusal is an outcome, too. Raises what cuts a run off."""
        try:
            return engine.run(wish)
        except CUT_OFF:
            raise
        except OperationError as error:
            self.recorder.event("failed", str(error))
            stays = wish.on_failure == "halt" or wish.state != "present" or not wish.park
            return Outcome(FAILED if stays else ROLLED_BACK, False, True, str(error))
        finally:
            self.recorder.hand_over()

    def forward(self, tag: str, on_unfinished: str, freeze: bool) -> Desired:
        """The wish to bring the new version up to where it has proved itself; with C(freeze) it is not taken back."""
        rollout = self.journal().rollout
        mine = rollout is not None and rollout.group == tag
        return replace(
            self.desired,
            state="present",
            group=tag,
            park=True,
            on_failure="halt" if freeze else self.desired.on_failure,
            on_unfinished="resume" if mine else on_unfinished,
        )

    def finish(self, tag: str) -> Desired:
        """The wish to end a rollout whose version has proved itself."""
        return replace(self.desired, state="present", group=tag, on_unfinished="resume")

    def back(self, tag: str, stands: str) -> Desired:
        """The wish to undo what release C(tag) has done here: what has not ended is aborted, what has is returned."""
        return replace(
            self.desired,
            state="rolled_back" if stands in (DONE, RETURNING) else "aborted",
            version="",
            deployment={},
            content_hash="",
            group=tag,
            on_unfinished="resume",
            on_failure="rollback",
        )

    def trouble(self, keep: Callable[[], None]) -> tuple[str, str]:
        """What is wrong with a version that had proved itself, and the verdict that it means; empty while it is well.
        C(keep) renews the locks."""
        rollout = self.journal().rollout
        if rollout is None:
            return "its journal is gone", FAILED
        observed = observe(self.api, self.target)
        broken = broken_part(observed, self.target)
        if broken is not None:
            return broken.reason, FAILED
        router = observed.router or {}
        foreign = foreign_split(rollout, read_split(router, self.target), self.target, router)
        if foreign:
            return foreign, FAILED
        slot = rollout.candidate.slot

        def look() -> Finding:
            keep()
            return deployment_finding(self.api.get_deployment(slot), self.api.list_pods(slot))

        finding, _waited = wait_until(look, self.clock, self.patience)
        return ("", "") if finding.done else (f"slot {slot} did not stay well: {finding.detail}", ROLLED_BACK)
