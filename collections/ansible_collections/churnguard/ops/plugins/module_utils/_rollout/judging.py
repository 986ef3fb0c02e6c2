# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples taken at their time and kept where people look: timeline, journal, evidence. Internal: may change in any
release."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import probe
from .context import Context
from .hold import Hold
from .model import Release, Rollout

if TYPE_CHECKING:
    from .analysis import Analysis
    from .judge import Sample


class Judging:
    """Asks C(analysis) for a sample every interval."""

    def __init__(self, context: Context, analysis: Analysis) -> None:
        self._context = context
        self._analysis = analysis
        self._next = 0.0
        self._looks = 0
        self._wants_probe = False
        self._began = False
        self._begun_at: int | None = None

    def check(self, candidate: Release, stable: Release | None) -> None:
        """Before anything starts: raises OperationError for a query that Prometheus refuses."""
        away = self._analysis.check(candidate, stable)
        if away:
            self._context.recorder.event("metrics_unavailable", f"Prometheus cannot be asked yet: {away}")

    def begin_stage(self, forget: bool = False) -> None:
        """What is measured from now on is of the present step; with C(forget), what that has seen does not count."""
        rollout, weight = self._context.rollout, self._context.step.args.get("weight")
        self._remember(rollout)
        # Once all traffic has moved, the old version's last requests say nothing about now.
        self._analysis.begin_stage(rollout.candidate, None if weight == 100 else rollout.previous, forget)
        self._next = self._context.clock.monotonic() + self._context.settings.analysis_interval
        self._begun_at = None

    def begin_weight(self) -> None:
        """A weight has been written: what is measured while it is confirmed on the data plane counts for the hold that
        follows, whose first sample is due an interval after the weight, not after the last probe."""
        self.begin_stage()
        self._begun_at = self._context.step.args.get("weight")

    def enter_hold(self) -> None:
        """The hold of a weight begins, and with it the stage, unless that began when the weight was written."""
        if self._begun_at is None or self._begun_at != self._context.step.args.get("weight"):
            self.begin_stage()
        self._begun_at = None

    def _remember(self, rollout: Rollout) -> None:
        """What an earlier process has seen of this release counts: it is the same release, looked at once more."""
        first, self._began = not self._began, True
        if not first or not rollout.evidence:
            return
        try:
            self._analysis.restore(rollout.evidence)
            self._looks = int(rollout.analysis.get("looks", 0))
        except (KeyError, TypeError, ValueError) as error:
            self._context.recorder.event("evidence_lost", f"what was seen before cannot be read: {error!r}")

    def due(self) -> bool:
        """Whether it is time for a sample."""
        return self._context.clock.monotonic() >= self._next

    def sample(self, hold: Hold | None = None) -> Sample:
        """The sample that is due, recorded and journaled."""
        context = self._context
        if self._wants_probe:
            self._send_probes()
        sample = self._analysis.sample()
        self._looks += 1
        self._wants_probe = sample.wants_probe
        # Counted from the plan, not from now: a slow look does not make the next one late.
        interval = context.settings.analysis_interval
        self._next = max(self._next + interval, context.clock.monotonic())
        data = self._data(sample, hold)
        context.recorder.event("sample", f"{context.step.label} {sample.verdict}: {sample.reason}", data)
        context.rollout.analysis = {**data, "at": context.recorder.timeline[-1]["at"], "looks": self._looks}
        context.rollout.evidence = self._analysis.state()
        context.save()
        return sample

    def _data(self, sample: Sample, hold: Hold | None) -> dict[str, Any]:
        step = self._context.step
        data: dict[str, Any] = {
            "step": step.name,
            "weight": step.args.get("weight"),
            "verdict": sample.verdict,
            "decisive": sample.decisive,
            "cause": sample.cause,
            "reason": sample.reason,
            "results": [asdict(result) for result in sample.results],
        }
        if hold is not None:
            data.update(
                held_s=round(hold.held, 1),
                hold_s=hold.seconds,
                left_s=round(hold.left, 1),
                frozen_s=round(hold.frozen, 1),
                max_hold_s=hold.max_hold,
            )
        return data

    def _send_probes(self) -> None:
        """Requests to the new slot alone, so that there is something to judge where nobody else asks."""
        settings = self._context.settings
        if settings.endpoint is None:
            return
        for _number in range(settings.probe_requests):
            probe.fetch(settings.endpoint, settings.probe_path, self._context.step.slot)
