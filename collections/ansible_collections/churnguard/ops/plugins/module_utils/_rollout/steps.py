# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which code runs which step. Every step may be run again from its beginning. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._common.clock import Clock
from .._common.envelope import Recorder
from . import strategies
from .api import RolloutApi
from .context import Context, StepAborted, StepFailed, StepHalted
from .drain_step import DrainStep
from .flag_steps import FlagSteps
from .judging import Judging
from .lock import Lock
from .model import Journal, Release, Rollout, Step, Target
from .settings import Settings
from .size_steps import SizeSteps
from .slot_steps import SlotSteps
from .traffic_steps import TrafficSteps
from .watch_steps import WatchSteps

if TYPE_CHECKING:
    from .analysis import Analysis

__all__ = ["StepAborted", "StepFailed", "StepHalted", "Steps"]


class Steps:
    """Runs single steps of one rollout against the cluster; samples are judged by C(analysis) if there is one."""

    def __init__(
        self,
        api: RolloutApi,
        lock: Lock,
        clock: Clock,
        recorder: Recorder,
        target: Target,
        settings: Settings,
        analysis: Analysis | None = None,
    ) -> None:
        self.context = Context(api, lock, clock, recorder, target, settings)
        self._judging = judging = Judging(self.context, analysis) if analysis else None
        sizes = SizeSteps(self.context)
        traffic = TrafficSteps(self.context, sizes, judging)
        slots = SlotSteps(self.context, traffic, judging)
        self._flags = FlagSteps(self.context)
        watch = WatchSteps(self.context, judging, self._flags)
        self._handlers: dict[str, Callable[[], None]] = {
            strategies.START: slots.start,
            strategies.UPDATE: slots.update,
            strategies.READY: slots.ready,
            strategies.SMOKE: slots.smoke,
            strategies.GATE: watch.watch,
            strategies.ROUTE: traffic.route,
            strategies.CONFIRM: traffic.confirm,
            strategies.HOLD: watch.watch,
            strategies.BAKE: watch.watch,
            strategies.DRAIN: DrainStep(self.context).drain,
            strategies.RETIRE: slots.retire,
            strategies.FLAGS_OFF: self._flags.flags_off,
            strategies.HOLD_SIZE: sizes.hold_size,
            strategies.RELEASE_SIZE: sizes.release_size,
        }

    def check(self, candidate: Release, stable: Release | None, flags: dict[str, Any], gates: list[str]) -> None:
        """What can be known before anything starts. Raises OperationError for metrics that cannot be asked for, and for
        feature flags that do not exist."""
        self._flags.check(flags, gates)
        if self._judging is not None:
            self._judging.check(candidate, stable)

    def run(self, step: Step, rollout: Rollout, journal: Journal, save: Callable[[], None]) -> None:
        """Do C(step); C(save) writes the journal. Raises StepFailed, StepHalted, StepAborted, or what the API
        raised."""
        self.context.enter(step, rollout, journal, save)
        self.context.lock.keep()
        self.context.hear_abort()
        self._handlers[step.name]()
