# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that bring a slot up, change it and take it away. Internal: may change in any release."""

from __future__ import annotations

import copy
from typing import Any

from .._common.envelope import FAILED as VERDICT_FAILED
from .._common.envelope import NOT_CHECKED, PASSED
from .._common.waiting import DONE, Finding
from .._kubernetes.errors import Conflict
from . import probe
from .context import WRITE_ATTEMPTS, Context, StepFailed, StepHalted
from .drift import remember_template
from .judging import Judging
from .manifest import merge_onto_live, slot_deployment
from .model import ANNOTATION_HASH, Release
from .routing import describe
from .strategies import ROLLING
from .traffic_steps import TrafficSteps
from .wait import gone_finding

# Time beyond a pod's own grace period for the node to report its end.
_END_MARGIN = 30.0


class SlotSteps:
    """Runs START, UPDATE, READY, SMOKE and RETIRE."""

    def __init__(self, context: Context, traffic: TrafficSteps, judging: Judging | None) -> None:
        self._context = context
        self._traffic = traffic
        self._judging = judging

    # -- up ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The new slot gets its Deployment; an old one gets its size back."""
        context = self._context
        release = context.release()
        if release is not context.rollout.candidate:
            self._grow_back(release)
            return
        self._write(slot_deployment(context.journal.manifests["candidate"], context.target, release))

    def update(self) -> None:
        """The serving slot's Deployment gets the template of the release, at the size that it has."""
        context, args = self._context, self._context.step.args
        release = context.release()
        manifest = context.journal.manifests["candidate" if args["release"] == "candidate" else "stable"]
        wanted = slot_deployment(manifest, context.target, release)
        if args.get("rolling"):
            wanted["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": args["rolling"]}
        live = context.api.get_deployment(release.slot)
        if live is None:
            raise StepHalted(f"Deployment {context.target.workload(release.slot)} of the serving slot is gone")
        wanted["spec"]["replicas"] = live["spec"].get("replicas", 1) or release.replicas
        self._write(wanted)

    def _write(self, wanted: dict[str, Any]) -> None:
        context = self._context
        for _attempt in range(WRITE_ATTEMPTS):
            context.lock.keep()
            live = context.api.get_deployment(context.step.slot)
            try:
                if live is None:
                    # Nothing fences a create: it must do no harm if the lock was lost just before. The replacement
                    # that follows carries a resourceVersion.
                    context.api.create_deployment({**wanted, "spec": {**wanted["spec"], "replicas": 0}})
                    continue
                written = context.api.replace_deployment(merge_onto_live(live, wanted))
                remember_template(context.rollout, written)
                return
            except Conflict:
                # The deployment controller writes status all the time; read again, if the lock is still ours.
                context.lock.renew()
        raise StepFailed(f"Deployment {wanted['metadata']['name']} kept changing while it was being written")

    def _grow_back(self, release: Release) -> None:
        """The slot that served before gets its size back; its template is never touched."""
        live = self._holding(release)
        if live["spec"].get("replicas", 1) < release.replicas:
            self.scale(release.slot, release.replicas, at_least=True)

    def _holding(self, release: Release) -> dict[str, Any]:
        """The live Deployment of C(release). Raises StepHalted if its slot holds something else."""
        live = self._context.api.get_deployment(release.slot)
        if live is None:
            raise StepHalted(f"Deployment {self._context.target.workload(release.slot)} of the old slot is gone")
        if (live["metadata"].get("annotations") or {}).get(ANNOTATION_HASH, "") != release.content_hash:
            raise StepHalted(f"slot {release.slot} no longer holds {release.version}")
        return live

    def scale(self, slot: str, replicas: int, at_least: bool = False) -> dict[str, Any] | None:
        """The Deployment of C(slot) with C(replicas), or more if that will do; None if there is none."""
        context = self._context
        for _attempt in range(WRITE_ATTEMPTS):
            context.lock.keep()
            deployment = context.api.get_deployment(slot)
            if deployment is None:
                return None
            size = deployment["spec"].get("replicas", 1)
            if size == replicas or at_least and size > replicas:
                return deployment
            try:
                return context.api.scale_deployment(deployment, replicas)
            except Conflict:
                context.lock.renew()
        name = context.target.workload(slot)
        raise StepHalted(f"Deployment {name} kept changing while it was being scaled to {replicas}")

    # -- ready -------------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """All pods of the slot run the release and are available."""
        context, slot = self._context, self._context.step.slot
        limit = context.settings.ready_timeout
        # Measured from the first step: a condition from before it belongs to what the slot ran earlier.
        since = context.rollout.steps[0].started
        finding, waited = context.wait(self._ready_look(slot, since), limit)
        verdict = PASSED if finding.done else VERDICT_FAILED
        context.recorder.measure(f"ready_{slot}_s", waited, "s", limit, verdict)
        if finding.failed:
            raise StepFailed(f"slot {slot} cannot become ready: {finding.detail}{context.warning(slot, since)}")
        if not finding.done:
            how = f"was not ready within {limit:.0f} s: {finding.detail}{context.warning(slot, since)}"
            raise StepFailed(f"slot {slot} {how}")
        context.recorder.event("ready", f"slot {slot}: {finding.detail} after {waited:.1f} s")

    def _ready_look(self, slot: str, since: str) -> Any:
        """What READY looks at. While a rolling update runs, new pods serve already, so their samples are judged."""
        context, judging = self._context, self._judging
        rolling = context.rollout.strategy == ROLLING and context.step.args.get("release") != "previous"
        if judging is None or not rolling or context.rollout.previous is None:
            return lambda: context.slot_finding(slot, since)
        judging.begin_stage()

        def look() -> Finding:
            if judging.due():
                sample = judging.sample()
                if sample.verdict == "bad" and sample.decisive:
                    raise StepFailed(sample.reason)
            return context.slot_finding(slot, since)

        return look

    def smoke(self) -> None:
        """The slot answers the smoke tests, each once for every replica."""
        context, slot = self._context, self._context.step.slot
        endpoint, tests = context.settings.endpoint, context.settings.smoke_tests
        if endpoint is None or not tests:
            context.recorder.measure("smoke_tests", None, "tests", verdict=NOT_CHECKED, reason="none are configured")
            return
        release = context.release()
        self._traffic.await_origin(release, 1, slot=slot)
        # Once for each replica, and the data plane spreads them: one bad pod among good ones shows.
        for test in tests:
            for _repeat in range(max(release.replicas, 1)):
                context.lock.keep()
                reply = probe.fetch(endpoint, test["path"], slot, test["method"])
                problem = probe.smoke_failure(test, reply) or probe.other_origin(reply, release, endpoint)
                if problem:
                    context.recorder.measure("smoke_tests", len(tests), "tests", verdict=VERDICT_FAILED, reason=problem)
                    raise StepFailed(f"smoke test '{test['name']}' of slot {slot} ({test['path']}): {problem}")
        context.recorder.measure("smoke_tests", len(tests), "tests", verdict=PASSED)
        names = ", ".join(test["name"] for test in tests)
        context.recorder.event("smoke", f"slot {slot} passed {names}, each {max(release.replicas, 1)} times")

    # -- away --------------------------------------------------------------------------------------------------

    def retire(self) -> None:
        """The slot is scaled to 0 and its pods have ended."""
        context, step = self._context, self._context.step
        serving = step.args.get("serving")
        if serving:
            self._serving_or_halt(serving, step.slot, bool(step.args.get("serving_ready")))
        deployment = self.scale(step.slot, 0)
        if deployment is None:
            return
        pod_spec = deployment["spec"]["template"]["spec"]
        limit = float(pod_spec.get("terminationGracePeriodSeconds", 30)) + _END_MARGIN
        finding, waited = context.wait(lambda: gone_finding(context.api.list_pods(step.slot)), limit)
        verdict = PASSED if finding.done else VERDICT_FAILED
        context.recorder.measure(f"retire_{step.slot}_s", waited, "s", limit, verdict)
        if not finding.done:
            raise StepHalted(f"pods of slot {step.slot} have not ended within {limit:.0f} s: {finding.detail}")
        context.recorder.event("retired", f"slot {step.slot} is scaled to 0, {finding.detail}")

    def _serving_or_halt(self, serving: str, retiring: str, must_be_ready: bool) -> None:
        finding = self._context.settled(serving) if must_be_ready else Finding(DONE, "")
        if not finding.done:
            raise StepHalted(f"slot {retiring} is kept, because slot {serving} is not wholly ready: {finding.detail}")
        split = self._context.split()
        if split[retiring] != 0 or split[serving] != 100:
            raise StepHalted(f"slot {retiring} is not scaled away, because traffic is {describe(split)}")


def recorded_manifest(live: dict[str, Any]) -> dict[str, Any]:
    """A live Deployment as a manifest that can be written again."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": live["metadata"]["name"]},
        "spec": copy.deepcopy({key: value for key, value in live["spec"].items() if key != "selector"}),
    }
