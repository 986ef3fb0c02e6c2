# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that watch: a weight held, the bake, a gate. One loop serves all three. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

from .._common.envelope import PASSED
from .._common.waiting import DONE
from . import control, probe
from .context import Context, StepAborted, StepFailed, StepHalted
from .control import Request
from .flag_steps import FlagSteps
from .hold import GOOD, Hold
from .judging import Judging
from .strategies import BAKE, GATE

_BAD_PROBES = 3
# Sizes and templates are looked at less often than traffic: it takes six requests.
_DRIFT_SECONDS = 10.0


class WatchSteps:
    """Runs HOLD, BAKE and GATE. C(judging) is None where nothing is measured: then time and readiness decide."""

    def __init__(self, context: Context, judging: Judging | None, flags: FlagSteps) -> None:
        self._context = context
        self._flags = flags
        self._judging = judging
        self._bad_probes = 0
        self._worst_probe = ""
        self._next_drift_look = 0.0

    def watch(self) -> None:
        """Hold what is, until it has gone well long enough. Raises StepFailed, StepHalted or StepAborted."""
        context = self._context
        step, rollout, settings = context.step, context.rollout, context.settings
        if rollout.promoted_fully:
            context.recorder.event("promoted", f"{step.label}: passed over, as was asked")
            return
        # What has proved itself before comes back without another analysis.
        judged = self._judging is not None and rollout.operation == "deploy"
        hold = Hold.of(step, judged, settings.max_hold, settings.pause_timeout)
        hold.paused = rollout.paused
        self._bad_probes, self._worst_probe = 0, ""
        self._begin(hold)
        try:
            self._until_over(hold)
        finally:
            rollout.waiting_for = ""
        self._conclude(hold)

    def _begin(self, hold: Hold) -> None:
        context = self._context
        if hold.gate_timeout is not None:
            before = context.step.args["before"]
            what = f"{before} %" if before.isdigit() else before
            context.rollout.waiting_for = f"approval of {what}"
            text = f"waiting up to {hold.gate_timeout:.0f} s for {context.rollout.waiting_for}"
            context.recorder.event("gate", text, {"before": before, "state": "waiting"})
            context.save()
        if hold.judged and self._judging is not None:
            self._judging.enter_hold()

    def _until_over(self, hold: Hold) -> None:
        context = self._context
        last = context.clock.monotonic()
        while True:
            context.lock.keep()
            self._look_around()
            self._listen(hold)
            if hold.judged and self._judging is not None and self._judging.due():
                self._take_sample(hold)
            finding = hold.finding()
            if finding.done:
                return
            if finding.failed:
                self._run_out(hold, finding.detail)
            context.recorder.progress(f"{context.step.label}: {finding.detail}", hold.held, hold.seconds)
            pause = context.settings.interval
            if not hold.is_frozen and not hold.paused and hold.left:
                pause = min(pause, max(hold.left, 0.01))
            context.clock.sleep(pause)
            now = context.clock.monotonic()
            hold.passed(now - last)
            last = now

    def _run_out(self, hold: Hold, detail: str) -> None:
        """Patience has run out; what then is policy for people's silence, and a way back for bad samples."""
        step = self._context.step
        if step.name == GATE:
            self._context.recorder.event("gate", detail, {"before": step.args["before"], "state": "timed_out"})
        if not hold.is_frozen and step.args.get("on_timeout") == "halt":
            raise StepHalted(f"{step.label}: {detail}")
        raise StepFailed(f"{step.label}: {detail}")

    # -- looking -----------------------------------------------------------------------------------------------

    def _look_around(self) -> None:
        """Everything that can go wrong without a metric: traffic moved by others, pods that fall, wrong replies, and
        other changes by other hands."""
        context, step = self._context, self._context.step
        context.refuse_foreign(context.router())
        if step.args.get("weight", 0) > 0:
            finding = context.slot_finding(step.slot)
            if finding.failed:
                raise StepFailed(f"slot {step.slot} did not stay well: {finding.detail}")
        if step.args.get("weight") == 100:
            self._probe()
        now = context.clock.monotonic()
        if now >= self._next_drift_look:
            context.refuse_drift()
            self._next_drift_look = now + min(context.settings.analysis_interval, _DRIFT_SECONDS)

    def _probe(self) -> None:
        endpoint = self._context.settings.endpoint
        if endpoint is None:
            return
        problem = probe.wrong_origin(probe.fetch(endpoint, endpoint.path), self._context.rollout.candidate, endpoint)
        self._bad_probes = self._bad_probes + 1 if problem else 0
        self._worst_probe = problem or self._worst_probe
        if self._bad_probes >= _BAD_PROBES:
            slot = self._context.step.slot
            raise StepFailed(f"slot {slot} did not stay well: {self._bad_probes} probes in a row: {problem}")

    def _take_sample(self, hold: Hold) -> None:
        context, judging = self._context, self._judging
        if judging is None:
            return
        sample = judging.sample(hold)
        if sample.verdict != GOOD and sample.decisive:
            raise StepFailed(sample.reason)
        if hold.judge(sample.verdict, sample.reason, sample.cause):
            context.recorder.event("frozen", f"{context.step.label}: {sample.reason}", {"cause": sample.cause})

    # -- people ------------------------------------------------------------------------------------------------

    def _listen(self, hold: Hold) -> None:
        context = self._context
        for request in context.desk.requests(context.rollout):
            effect = self._heed(request, hold)
            context.desk.settle(context.rollout, request, effect)
            context.save()
            if request.command == control.ABORT:
                raise StepAborted(request)
        self._ask_flag(hold)

    def _heed(self, request: Request, hold: Hold) -> str:
        rollout = self._context.rollout
        if control.outdated(request, rollout):
            return "too late: the step it was made for is over"
        if request.command in (control.PAUSE, control.RESUME):
            hold.paused = rollout.paused = request.command == control.PAUSE
            return f"paused at {self._context.step.label}" if hold.paused else "goes on"
        if request.command == control.PROMOTE:
            rollout.promoted_fully = request.full
            hold.promoted, hold.paused, rollout.paused = True, False, False
            return "goes to the end without holding" if request.full else f"{self._context.step.label} ends now"
        if request.command == control.RETRY:
            hold.again()
            if hold.judged and self._judging is not None:
                self._judging.begin_stage(forget=True)
            return f"{self._context.step.label} begins anew"
        if request.command == control.APPROVE:
            if hold.gate_timeout is None:
                return "nothing waits for approval"
            hold.approved = True
            return f"{self._context.rollout.waiting_for} given"
        return "taking back"

    def _ask_flag(self, hold: Hold) -> None:
        """A gate may be a feature flag: open once that is on."""
        context = self._context
        flag = context.step.args.get("flag")
        if not flag or hold.approved:
            return
        is_open, reason = self._flags.is_open(flag)
        if is_open:
            hold.approved = True
            context.recorder.event("gate", f"opened by flag {flag}: {reason}", {"flag": flag, "state": "approved"})

    # -- the end -----------------------------------------------------------------------------------------------

    def _conclude(self, hold: Hold) -> None:
        context = self._context
        step = context.step
        if step.args.get("weight", 0) > 0:
            finding = context.settled(step.slot)
            if finding.state != DONE:
                raise StepFailed(
                    f"slot {step.slot} did not stay well ({hold.waited:.0f} s after the switch): {finding.detail}"
                )
        if step.name == BAKE:
            reason = self._worst_probe and f"single bad probe: {self._worst_probe}"
            context.recorder.measure("bake_s", hold.waited, "s", verdict=PASSED, reason=reason)
        detail = f"{step.label}: {hold.finding().detail}"
        context.recorder.event(step.name, detail, self._summary(hold))

    def _summary(self, hold: Hold) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "held_s": round(hold.held, 1),
            "waited_s": round(hold.waited, 1),
            "promoted": hold.promoted,
        }
        if hold.gate_timeout is not None:
            summary.update(before=self._context.step.args["before"], state="approved")
        return summary
