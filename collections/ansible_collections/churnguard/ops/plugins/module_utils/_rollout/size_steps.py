# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that keep the slots' sizes while traffic moves. Internal: may change in any release."""

from __future__ import annotations

from .._common.waiting import FAILED, Finding
from .context import Context, StepFailed, StepHalted
from .drift import remember_template
from .model import RUNNING
from .sizes import Unsettled, grow_to, hold_autoscalers, live_size, restore_autoscalers


class SizeSteps:
    """Runs HOLD_SIZE and RELEASE_SIZE; C(before_rise) belongs to every ROUTE that gives the new slot more traffic."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def hold_size(self) -> None:
        """Neither slot's autoscaler goes below the size that the old slot has; what the old slot runs is noted, so
        that a change by somebody else is seen."""
        context = self._context
        previous = context.rollout.previous
        # A rolling update is about to write the one slot that there is.
        if previous is not None and previous.slot != context.rollout.candidate.slot:
            remember_template(context.rollout, context.api.get_deployment(previous.slot))
        self._hold()

    def release_size(self) -> None:
        """Every autoscaler is as the journal says that it was before."""
        context = self._context
        try:
            done = restore_autoscalers(context.api, context.target, context.rollout, context.save)
        except Unsettled as error:
            raise StepHalted(str(error)) from error
        self._tell(done)

    def before_rise(self) -> None:
        """The old slot may have grown since the new one was sized: match it, and wait for the new pods, before the
        new slot gets more traffic. Raises StepFailed if they do not come."""
        context = self._context
        rollout, previous = context.rollout, context.rollout.previous
        slot = rollout.candidate.slot
        if rollout.phase != RUNNING or previous is None or context.step.slot != slot or previous.slot == slot:
            return
        self._hold()
        try:
            grown = grow_to(context.api, rollout, live_size(context.api, previous.slot), context.save)
        except Unsettled as error:
            raise StepFailed(str(error)) from error
        size = rollout.candidate.replicas
        if grown:
            text = f"slot {slot} to {size} replicas, the size that slot {previous.slot} has now"
            context.recorder.event("grown", text)
        elif live_size(context.api, slot) <= size:
            return
        # Its own autoscaler may have made it larger still; that is no reason to fail, but takes a moment.
        limit = context.settings.ready_timeout
        finding, _waited = context.wait(self._grown_look, limit)
        if not finding.done:
            what = finding.detail if finding.failed else f"not within {limit:.0f} s: {finding.detail}"
            raise StepFailed(f"slot {slot} cannot grow to {size} replicas: {what}")

    def _grown_look(self) -> Finding:
        context = self._context
        slot = context.rollout.candidate.slot
        if not live_size(context.api, slot):
            return Finding(FAILED, f"the Deployment of slot {slot} is scaled to 0 or gone")
        return context.slot_finding(slot, context.rollout.steps[0].started)

    def _hold(self) -> None:
        context = self._context
        try:
            self._tell(hold_autoscalers(context.api, context.target, context.rollout, context.save))
        except Unsettled as error:
            raise StepFailed(str(error)) from error

    def _tell(self, done: list[str]) -> None:
        for text in done:
            self._context.recorder.event("autoscaler", text)
